"""What is seen, in a few sentences: the ends of the notebooks that read results, and how a study compares; as Markdown.

`found` is what report.json or metrics.json holds.
"""

from fergit.analysis.intervals import interval_key
from fergit.analysis.leaks import ANOTHER, NEAR, NEITHER, SAME
from fergit.analysis.regions import ALL
from fergit.pages.present import (
    by_seed,
    counted,
    direction,
    gain,
    intervals,
    percent,
    points,
    score,
    title,
    with_interval,
)
from fergit.pages.tables_studies import has_splits, is_key, networks

ONE_SEED = "These are runs with one seed. Other seeds may give another difference."


def evaluation(found, per_class, confused, level):
    """The accuracy, the classes that are found least and most often, and the most frequent confusion.

    `per_class` is of `metrics.per_class`, `confused` of `metrics.most_confused`, `level` the confidence level.
    """
    entry, recalls = found["accuracy"], per_class["recall"]
    runs = f", the mean of {len(entry['per_seed'])} runs" if len(entry["per_seed"]) > 1 else ""
    correct = with_interval(entry["mean"], *entry[interval_key(level)])
    lines = [f"The network is correct on {correct} of {counted(found['n_test'], 'test image')}{runs}."]
    if recalls.min() < recalls.max():
        least, most = (
            f"for {_names(recalls.index[recalls == recall])} ({percent(recall)})"
            for recall in (recalls.min(), recalls.max())
        )
        lines.append(f"Its recall is lowest {least} and highest {most}.")
    for row in confused.head(1).to_dict("records"):
        taken = f"{percent(row['share'])} of *{row['class']}* ({counted(row['images'], 'image')})"
        which = " with the first seed" if runs else ""
        lines.append(f"Its most frequent confusion{which}: it calls {taken} *{row['predicted']}*.")
    return _list(lines)


def calibration(found, perfect):
    """The calibration error before and after the temperature; `perfect`: every validation image is correct."""
    before, after = found["calibration_error"], found["calibration_error_scaled"]
    several = f" (mean over {len(found['seeds'])} seeds)" if len(found["seeds"]) > 1 else ""
    error = f"The expected calibration error on the test set{several} is **{percent(before)}**"
    if perfect:
        return f"{error}. Every validation image is classified correctly, so no temperature can be fitted."
    scaled = f"**{percent(after)}** after it{'' if after < before else ', so it does not help here'}"
    return f"The temperature is **{found['temperature']:.2f}**. {error} before it and {scaled}."


def report(found):
    """The accuracies beside the paper's, what the residual blocks change, how many of the paper's numbers agree."""
    lines, verdicts = [], {claim["id"]: claim["verdict"] for claim in found["claims"]}
    for model, entry in found["models"].items():
        if entry["failed_seeds"]:
            lines.append(f"Training failed for the {model} network.")
            continue
        paper, verdict = entry["paper_accuracy"], verdicts.get(f"{found['dataset']}-{model}-accuracy")
        paper = f" The paper has {percent(paper, 0)}: {verdict}." if paper is not None and verdict else ""
        lines.append(f"The accuracy of the {model} network is {score(entry['accuracy'])}.{paper}")
    if change := found["comparison"]:
        each = f" By seed it is {by_seed(change['per_seed'])}." if len(change["per_seed"]) > 1 else ""
        amount = f"{points(change['difference'])} points ({intervals(change)})"
        lines.append(f"The residual blocks change it by {amount}, {_significance(change)}.{each}")
    counts = {name: [*verdicts.values()].count(name) for name in ("reproduced", "not reproduced", "inconclusive")}
    if judged := sum(counts.values()):
        each = ", ".join(f"{count} {name}" for name, count in counts.items())
        lines.append(f"Of the paper's numbers, {judged} can be compared here: {each}.")
    return _list(lines)


def kind(found):
    """What kind of study it is: a sentence."""
    if not found["draws"]:
        return "This study compares variants."
    return f"This study measures networks on {'several splits' if has_splits(found) else 'one split'}."


def how_compared(found):
    """What the study's table of differences compares, and when one is significant."""
    if not found["draws"]:
        return (
            "Each variant is compared with the first one on the same test images and with the same seeds. With several "
            "seeds the test is a paired t test over seeds, and the interval over seeds is the one to report. With one "
            "seed it is McNemar's test, which compares the two networks that were trained; another seed may order them "
            "differently. The p values are corrected for the number of comparisons (Holm), the intervals are not. A "
            f"difference is *significant* if its corrected p is below {1 - found['confidence_level']:.2g}."
        )
    if has_splits(found):
        return (
            "The second network is compared with the first on the same tests. The last columns count the splits in "
            "which its accuracy is higher, equal or lower. The interval is a bootstrap over persons where these are "
            "known, because images of one person resemble each other, and one image may be tested in several splits. A "
            "difference is *significant* if this interval excludes 0; it does not include chance in training."
        )
    return (
        "The second network is compared with the first on the same test images. The interval is a bootstrap over "
        "persons where these are known, else over images. A difference is *significant* if it excludes 0; it does not "
        "include chance in training."
    )


def over_all_tests(found):
    """What the table over all splits says, under a heading of its own."""
    said = ["## Over all tests\n\n"]
    if has_splits(found) and any(one["below"] is not None for one in found["draws"].values()):
        said.append("Three rows count the splits below, equal to and above the paper's accuracy, in whole percents. ")
    if has_splits(found) and found["vary"].endswith(".seed"):
        said.append(
            "Random splits share most of their training images, so their standard deviation understates the variation "
            "between independent samples."
        )
    return "".join(said).strip()


def study(found):
    """The accuracy over all splits; or the variant with the best validation accuracy, and what each changes."""
    return _list(_of_splits(found) if found["draws"] else _of_a_setting(found))


def _of_splits(found):
    for network, one in found["draws"].items():
        if one["failed"]:
            yield f"Training of the {network} network failed {one['failed']} of {one['trainings']} times."
            continue
        ends, over = "", "on the test images"
        if has_splits(found):
            ends, over = f"; single splits have {percent(one['lowest'])} to {percent(one['highest'])}", "over all tests"
        yield f"The accuracy of the {network} network {over} is {score(one)}{ends}."
        if ends and one["below"] is not None:
            paper = percent(found["paper"][network]["accuracy"], 0)
            where = f"{one['below']} below, {one['equal']} equal, {one['above']} above"
            yield f"Splits compared with the paper's {paper}, in whole percents: {where}."
    if two := found["networks"]:
        each = f" By seed it is {by_seed(two['per_seed'])}." if len(two["per_seed"]) > 1 else ""
        over = "persons" if all(one["people"] for one in found["draws"].values()) else "images"
        change = f"{gain(two, ' points')}, {_significance(two)} over {over}"
        yield f"The {two['second']} network differs from the {two['first']} one by {change}.{each}"
        if len(two["per_seed"]) == 1 and not has_splits(found):
            yield ONE_SEED


def _of_a_setting(found):
    varied = found["vary"].rpartition(".")[2].replace("_", " ") if is_key(found["vary"]) else found["vary"]
    for network in networks(found):
        own = [row for row in found["variants"] if row["network"] == network]
        sound = [row for row in own if not row["failed"]]
        if len(sound) < len(own):
            yield f"Training of the {network} network failed with {len(own) - len(sound)} of {len(own)} variants."
        if sound:
            best = max(row["validation"] for row in sound)
            names = _names(row["variant"] for row in sound if row["validation"] == best)
            yield f"The highest validation accuracy of the {network} network is {percent(best)}: {varied} {names}."
            if paper := found["paper"][network]:
                apart = (f"{_apart(row['named'], paper['named']):.2f} (*{row['variant']}*)" for row in sound)
                yield (
                    f"Mean distance from the paper in how often a class is predicted: {', '.join(apart)}. Ours is on "
                    "validation images, the paper's on test images."
                )
        for row in (row for row in found["against_first"] if row["network"] == network):
            sure = "" if row["p_holm"] < 1 - found["confidence_level"] else "not "
            over = "seeds" if row["seeds"] > 1 else "images"
            without = row["seeds"] > 1 and not row["over_seeds"]  # two seeds have a test and no interval
            yield (
                f"*{row['variant']}* instead of *{own[0]['variant']}* changes the accuracy on test images by "
                f"{points(row['difference']) + ' points' if without else gain(row, ' points')}, "
                f"{sure}significant over {over}."
            )
    if any(row["seeds"] == 1 for row in found["against_first"]):
        yield ONE_SEED


def leaks(found):
    """The accuracy of each network on images that are new to it, by source, and by what voters saw."""
    lines = []
    for network, entry in found["networks"].items():
        strata = {row["stratum"]: row for row in [*entry["copies"][NEAR[0]], *entry.get("labels", ())]}
        line = f"The accuracy of the {network} network is {percent(entry['accuracy'])}."
        if NEITHER in strata and len(entry["copies"][NEAR[0]]) > 1:
            line += f" On images without a copy in training, as far as we found them, it is {score(strata[NEITHER])}."
        if len(entry["sources"]) > 1:
            each = (f"{score(row)} on images from {title(row['stratum'])}" for row in entry["sources"])
            line += f" It is {' and '.join(each)}."
        if {SAME, ANOTHER} <= strata.keys():
            line += (
                f" Where the label has the most votes of FER+ it is {score(strata[SAME])}; where another expression "
            )
            line += f"has, {score(strata[ANOTHER])}."
        lines.append(line)
    return _list(lines)


def gradcam(found):
    """The share of the maps in all regions, beside that of the center map and of the untrained networks."""
    lines = []
    for one in found["sizes"]:
        if one["share"][ALL] is None:
            continue
        fresh, size = one["untrained"], f"{one['positions']}x{one['positions']}"
        both = f"{percent(one['share'][ALL])} of the trained network's maps and {percent(one['centre'][ALL])}"
        lines.append(
            f"At {size} positions the regions hold {both} of the center map; untrained networks with at least as much: "
            f"{fresh['as_much']} of {fresh['networks']}."
        )
    return _list(lines) or "There are too few maps to tell."


def _significance(difference):
    """Whether the intervals of a difference leave out 0."""
    return "not significant" if direction(difference) == "not significant" else "significant"


def _apart(ours, theirs):
    """The mean distance of two dicts of numbers by class, without classes of which there is no image."""
    known = [name for name in theirs if ours.get(name) is not None]
    return sum(abs(ours[name] - theirs[name]) for name in known) / max(1, len(known))


def _names(names):
    """``*a*, *b* and *c*``."""
    *first, last = (f"*{name}*" for name in names)
    return f"{', '.join(first)} and {last}" if first else last


def _list(lines):
    return "\n".join(f"- {line}" for line in lines)
