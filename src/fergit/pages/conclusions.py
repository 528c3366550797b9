"""What is seen, in a few sentences: the ends of the notebooks that read results, as Markdown.

`found` is what report.json or metrics.json holds.
"""

from fergit.analysis.intervals import interval_key
from fergit.analysis.leaks import ANOTHER, NEAR, NEITHER, SAME
from fergit.analysis.regions import ALL
from fergit.pages.present import counted, gain, gains, percent, points, score, title, with_interval
from fergit.pages.tables_studies import has_splits


def evaluation(found, per_class, confused, level):
    """The accuracy, the classes that are found least and most often, and the most frequent confusion.

    `per_class` is of `metrics.per_class`, `confused` of `metrics.most_confused`, `level` the confidence level.
    """
    entry, recalls = found["accuracy"], per_class["recall"]
    runs = f", the mean of {len(entry['per_seed'])} runs" if len(entry["per_seed"]) > 1 else ""
    correct = with_interval(entry["mean"], *entry[interval_key(level)])
    least, most = (f"{percent(recalls[name])} of *{name}*" for name in (recalls.idxmin(), recalls.idxmax()))
    lines = [
        f"The network is correct on {correct} of {counted(found['n_test'], 'test image')}{runs}.",
        f"It finds {least} and {most}: the hardest and the easiest class.",
        *(
            f"Its most frequent confusion: it takes {percent(row.share)} of *{row['class']}* for *{row.predicted}*."
            for _, row in confused.head(1).iterrows()
        ),
    ]
    return _list(lines)


def report(found):
    """The accuracies beside the paper's, what the residual blocks change, how many of the paper's numbers agree."""
    lines, verdicts = [], {claim["id"]: claim["verdict"] for claim in found["claims"]}
    for model, entry in found["models"].items():
        if entry["failed_seeds"]:
            lines.append(f"Training failed for the {model} network.")
            continue
        verdict = verdicts.get(f"{found['dataset']}-{model}-accuracy")
        paper = f" The paper has {percent(entry['paper_accuracy'], 0)}: {verdict}." if verdict else ""
        lines.append(f"The accuracy of the {model} network is {score(entry['accuracy'])}.{paper}")
    if (change := found["comparison"]) and not any(entry["failed_seeds"] for entry in found["models"].values()):
        by_seed = f" By seed it is {gains(found['models'])}." if len(change["mcnemar"]) > 1 else ""
        lines.append(
            f"The residual blocks change it by {gain(change, ' points')}, {_significance(change, 'images')}.{by_seed}"
        )
    counts = {name: [*verdicts.values()].count(name) for name in ("reproduced", "not reproduced", "inconclusive")}
    if judged := sum(counts.values()):
        each = ", ".join(f"{count} {name}" for name, count in counts.items())
        lines.append(f"Of the paper's numbers, {judged} can be compared here: {each}.")
    return _list(lines)


def study(found):
    """The accuracy over all splits; or the variant with the best validation accuracy, and what each changes."""
    return _list(_of_splits(found) if found["draws"] else _of_a_setting(found))


def _of_splits(found):
    for network, one in found["draws"].items():
        if one["failed"]:
            yield f"Training of the {network} network failed {one['failed']} of {one['trainings']} times."
            continue
        ends = (
            f"; single splits have {percent(one['lowest'])} to {percent(one['highest'])}" if has_splits(found) else ""
        )
        yield f"The accuracy of the {network} network over all tests is {score(one)}{ends}."
        if ends and one["below"] is not None:
            where = f"above {one['below']} of the {one['draws']} splits, below {one['above']}, equal to {one['equal']}"
            yield f"The paper's {percent(found['paper'][network]['accuracy'], 0)} is {where}, all in whole percents."
    if two := found["networks"]:
        by_seed = f" By seed it is {', '.join(map(points, two['per_seed']))}." if len(two["per_seed"]) > 1 else ""
        over = "persons" if all(one["people"] for one in found["draws"].values()) else "images"
        change = f"{gain(two, ' points')}, {_significance(two, over)}"
        yield f"The {two['second']} network differs from the {two['first']} one by {change}.{by_seed}"


def _of_a_setting(found):
    for network in dict.fromkeys(row["network"] for row in found["variants"]):
        own = [row for row in found["variants"] if row["network"] == network]
        sound = [row for row in own if not row["failed"]]
        if len(sound) < len(own):
            yield f"Training of the {network} network failed with {len(own) - len(sound)} of {len(own)} variants."
        if sound:
            best = max(row["validation"] for row in sound)
            names = " and ".join(f"*{row['variant']}*" for row in sound if row["validation"] == best)
            yield f"The highest validation accuracy of the {network} network is {percent(best)}: {names}."
            if paper := found["paper"][network]:
                apart = (f"{_apart(row['named'], paper['named']):.2f} (*{row['variant']}*)" for row in sound)
                yield (
                    "How often it names a class for each image of it differs from the paper's table, in the mean of "
                    f"the classes, by {', '.join(apart)}."
                )
        for row in (row for row in found["against_first"] if row["network"] == network):
            sure = "" if row["p_holm"] < 1 - found["confidence_level"] else "not "
            over = "seeds" if row["over_seeds"] else "images"
            yield (
                f"*{row['variant']}* instead of *{own[0]['variant']}* changes the accuracy on test images by "
                f"{gain(row, ' points')}, {sure}significant over {over}."
            )
    if any(not row["over_seeds"] for row in found["against_first"]):
        yield "These differences are of one seed. With others they may be otherwise."


def leaks(found):
    """The accuracy of each network on images that are new to it, by source, and by what voters saw."""
    lines = []
    for network, entry in found["networks"].items():
        strata = {row["stratum"]: row for row in [*entry["copies"][NEAR[0]], *entry.get("labels", ())]}
        line = f"The accuracy of the {network} network is {percent(entry['accuracy'])}."
        if NEITHER in strata and len(entry["copies"][NEAR[0]]) > 1:
            line += f" Without the copies that we found it is {score(strata[NEITHER])}."
        if len(entry["sources"]) > 1:
            each = (f"{score(row)} on images from {title(row['stratum'])}" for row in entry["sources"])
            line += f" It is {' and '.join(each)}."
        if {SAME, ANOTHER} <= strata.keys():
            line += f" Where most of FER+'s voters see the label it is {score(strata[SAME])}; where they see another "
            line += f"expression, {score(strata[ANOTHER])}."
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
            f"At {size} positions the regions hold {both} of the center map; untrained networks with as much: "
            f"{fresh['as_much']} of {fresh['networks']}."
        )
    return _list(lines) or "There are too few maps to tell."


def _significance(difference, over):
    """Whether the interval of a difference leaves out 0, and what it is over."""
    return f"{'' if difference['low'] > 0 or difference['high'] < 0 else 'not '}significant over {over}"


def _apart(ours, theirs):
    """The mean distance of two dicts of numbers by class, without classes of which there is no image."""
    known = [name for name in theirs if ours.get(name) is not None]
    return sum(abs(ours[name] - theirs[name]) for name in known) / len(known)


def _list(lines):
    return "\n".join(f"- {line}" for line in lines)
