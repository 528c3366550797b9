"""What a study found: the accuracy of each variant with its spread, and how much the value that is varied matters."""

import numpy as np
import pandas as pd
from scipy import stats

from fergit.analysis import claims, metrics
from fergit.core.errors import FergitError
from fergit.core.files import read_table
from fergit.pages.present import counted, listed, p_value, percent, points
from fergit.paper import published

TABLES = {  # what the study leaves, and what is read of it
    "predictions": ("variant", "network", "seed", "sample_id", "group", "label"),
    "trainings": ("variant", "network", "seed", "best_val_accuracy", "train_accuracy_at_best", "trained", "accuracy"),
    "history": ("variant", "network", "seed", "epoch", "accuracy", "val_accuracy"),
}


def read(folder):
    """The tables of a study's folder: predictions, trainings, history.

    Raises
    ------
    FergitError
        One is missing, or no such table.
    """
    remedy = f"`dvc repro studies/dvc.yaml:train@{folder.name}` writes it"
    options = {"dtype": {"variant": str, "group": str}, "keep_default_na": False}
    return [read_table(folder / f"{name}.csv", columns, remedy, **options) for name, columns in TABLES.items()]


def by_variant(predictions, trainings, level):
    """The test scores of each variant and network over its trainings.

    Returns
    -------
    DataFrame
        ``variant``, ``network``, ``trainings``, ``failed`` (never left the class prior), ``mean``, ``sd`` and the ends
        ``low`` and ``high`` of Student's t interval of the mean (NaN for one training), ``macro_f1`` (mean),
        ``validation`` and ``training`` (mean accuracies at the best epoch), ``named``: by class, how many images get
        its name for each image of it, in all tests together; None for a class that is not there.
    """
    rows = []
    for (variant, network), group in trainings.groupby(["variant", "network"], sort=False):
        low, high = metrics.over_seeds(group["accuracy"], level) or (None, None)
        of_variant = _of(predictions, variant, network)
        rows.append(
            {
                "variant": variant,
                "network": network,
                "trainings": len(group),
                "failed": int((~group["trained"]).sum()),
                "mean": group["accuracy"].mean(),
                "sd": group["accuracy"].std(),
                "low": low,
                "high": high,
                "macro_f1": metrics.macro_f1(metrics.confusions(of_variant)).mean(),
                "validation": group["best_val_accuracy"].mean(),
                "training": group["train_accuracy_at_best"].mean(),
                "named": metrics.named_per_image(of_variant),
            }
        )
    return pd.DataFrame(rows).astype({"low": float, "high": float})


def against_first(predictions, trainings, evaluate):
    """Each variant less the first one, by network, on the same test images and with the same seeds.

    Variants of which a training failed are left out: they compare nothing.

    Returns
    -------
    list of dict
        ``network``, ``variant``, ``seeds`` (how many), ``difference`` (of mean accuracies), ``low`` and ``high`` (over
        images, paired bootstrap), ``over_seeds`` (Student's t interval, None for one seed), ``test`` and its ``p``: the
        paired t test over seeds, or McNemar's where there is one seed; and ``p_holm``, corrected for all rows.
    """
    level, rows = evaluate["confidence_level"], []
    for network, group in trainings.groupby("network", sort=False):
        accuracies = group.pivot(index="seed", columns="variant", values="accuracy")
        sound = group.groupby("variant")["trained"].all()
        first, *others = group["variant"].unique()
        for variant in others:
            if not (sound[first] and sound[variant]):
                continue
            found = metrics.compare(*(_of(predictions, one, network) for one in (first, variant)), evaluate)
            differences = accuracies[variant] - accuracies[first]
            several = len(differences) > 1
            rows.append(
                {
                    "network": network,
                    "variant": variant,
                    "seeds": len(differences),
                    **{name: found[name] for name in ("difference", "low", "high")},
                    "over_seeds": metrics.over_seeds(differences, level),
                    "test": "paired t test over seeds" if several else "McNemar's test",
                    "p": _paired_t(differences) if several else found["mcnemar"][0]["p"],
                }
            )
    for row, p in zip(rows, metrics.holm([row["p"] for row in rows]) if rows else (), strict=True):
        row["p_holm"] = p
    return rows


def _of(predictions, variant, network):
    """The predictions of one variant and network, as a table of `metrics.predictions_table`."""
    inside = (predictions["variant"] == variant) & (predictions["network"] == network)
    return predictions[inside].drop(columns=["variant", "network", "group"])


def _paired_t(differences):
    """p of the hypothesis that the mean of paired differences is 0: 1 where all of them are, 0 where all are equal."""
    if np.ptp(differences) < 1e-12:
        return float(abs(differences.iloc[0]) < 1e-12)
    return float(stats.ttest_1samp(differences, 0).pvalue)


def over_draws(predictions, trainings, evaluate, paper):
    """What a study says whose variants are draws, such as splits: the spread over trainings and over images or persons.

    Parameters
    ----------
    predictions, trainings : DataFrame
        Of `read`.
    evaluate : dict
    paper : dict of str to dict or None
        By network, of which ``accuracy`` is read; None where it has none.

    Returns
    -------
    dict
        By network: ``draws``, ``trainings``, ``failed``; of the accuracies of the draws, each the mean of its
        trainings, ``mean``, ``sd``, ``lowest``, ``highest``, and beside the paper's, once rounded as it is, ``below``,
        ``equal`` and ``above`` (how many of ours; None where the paper has no such table); over all tests ``accuracy``,
        ``low`` and ``high`` (bootstrap that draws whole persons, or images where persons are unknown), ``tests``,
        ``images`` (different ones), ``people`` (0 where unknown), ``by_person`` (by name, how many tests were right and
        how many there were; empty where unknown) and ``recalls``: by class its ``tests`` and the share
        of them that is ``right``.
    """
    found = {}
    for network, group in trainings.groupby("network", sort=False):
        table = predictions[predictions["network"] == network]
        right = _right(table)
        drawn = _by_person(right, table)
        accuracies = group.groupby("variant", sort=False)["accuracy"].mean()
        beside = np.sign(accuracies.round(2) - paper[network]["accuracy"]) if paper[network] else None
        recalls = right.groupby(table["label"], sort=False).agg(["size", "mean"])
        low, high = _interval(drawn, evaluate)
        found[network] = {
            "draws": len(accuracies),
            "trainings": len(group),
            "failed": int((~group["trained"]).sum()),
            "mean": accuracies.mean(),
            "sd": accuracies.std() if len(accuracies) > 1 else None,
            "lowest": accuracies.min(),
            "highest": accuracies.max(),
            **{
                name: None if beside is None else int((beside == sign).sum())
                for name, sign in (("below", -1), ("equal", 0), ("above", 1))
            },
            "accuracy": drawn["sum"].sum() / drawn["size"].sum(),
            "low": low,
            "high": high,
            "tests": len(table),
            "images": table["sample_id"].nunique(),
            "people": len(drawn) if _people_are_known(table) else 0,
            "by_person": drawn.T.to_dict("list") if _people_are_known(table) else {},
            "recalls": {name: {"tests": int(row["size"]), "right": row["mean"]} for name, row in recalls.iterrows()},
        }
    return found


def networks_over_draws(predictions, trainings, evaluate):
    """The second network of a study of draws less its first, on the same tests; None unless there are two, all trained.

    Returns
    -------
    dict or None
        ``first``, ``second``; ``difference`` of the accuracies over all tests, ``low`` and ``high`` (bootstrap as in
        `over_draws`); ``higher``, ``equal`` and ``lower``: in how many draws the second's mean accuracy is.

    Raises
    ------
    FergitError
        The networks were not tested on the same images.
    """
    networks = list(trainings["network"].unique())
    if len(networks) != 2 or not trainings["trained"].all():
        return None
    test = ["variant", "seed", "sample_id", "group", "label"]
    first, second = (predictions[predictions["network"] == network] for network in networks)
    pairs = first[test].assign(first=_right(first)).merge(second[test].assign(second=_right(second)), on=test)
    if not len(pairs) == len(first) == len(second):
        raise FergitError(f"predictions.csv: the {networks[0]} and the {networks[1]} network have not the same tests")
    drawn = _by_person(pairs["second"].astype(int) - pairs["first"], pairs)
    low, high = _interval(drawn, evaluate)
    means = trainings.pivot_table(index="variant", columns="network", values="accuracy")
    signs = np.sign((means[networks[1]] - means[networks[0]]).round(9))
    return {
        "first": networks[0],
        "second": networks[1],
        "difference": drawn["sum"].sum() / drawn["size"].sum(),
        "low": low,
        "high": high,
        **{name: int((signs == sign).sum()) for name, sign in (("higher", 1), ("equal", 0), ("lower", -1))},
    }


def between_studies(first, second, evaluate):
    """The accuracy over all tests of one study less that of another of the same persons, from their `over_draws`.

    Returns
    -------
    tuple of float
        The second less the first, and the ends of its interval: of the bootstrap that draws persons, each with all
        tests in both studies.
    """
    both = (pd.DataFrame.from_dict(draws["by_person"], orient="index") for draws in (first, second))
    drawn = pd.concat(both, axis=1).fillna(0).to_numpy().T

    def difference(values):
        right, tests, others_right, others_tests = values.sum(axis=-1)
        return others_right / others_tests - right / tests

    samples, level = evaluate["bootstrap_samples"], evaluate["confidence_level"]
    return float(difference(drawn)), *metrics.bootstrap(drawn, difference, samples, level)


def _right(table):
    guess = table.filter(regex=f"^{metrics.PREFIX}").idxmax(axis=1).str.removeprefix(metrics.PREFIX)
    return guess == table["label"]


def _people_are_known(table):
    return (table["group"] != "").all()


def _by_person(values, table):
    """The sum and number of values, one for each row of a table, by person, or by image where persons are unknown."""
    return values.groupby(table["group" if _people_are_known(table) else "sample_id"]).agg(["sum", "size"])


def _interval(drawn, evaluate):
    """Of the mean of what `_by_person` gives: the bootstrap that draws whole rows."""
    samples, level = evaluate["bootstrap_samples"], evaluate["confidence_level"]
    return metrics.bootstrap(drawn.to_numpy().T, lambda v: v[0].sum(axis=-1) / v[1].sum(axis=-1), samples, level)


def summary(study, predictions, trainings, evaluate):
    """All of a study's metrics.json: whatever is said of it later is said from this alone."""
    variants = by_variant(predictions, trainings, evaluate["confidence_level"])
    paper = {network: _paper(study, network) for network in study.models}
    return metrics.rounded(
        {
            "study": study.name,
            "question": study.question,
            "dataset": study.dataset,
            "set": study.common,
            "vary": study.vary,
            "confidence_level": evaluate["confidence_level"],
            "paper": paper,
            "variants": variants.astype(object).where(variants.notna(), None).to_dict("records"),
            "draws": over_draws(predictions, trainings, evaluate, paper) if study.are_draws else {},
            "networks": networks_over_draws(predictions, trainings, evaluate) if study.are_draws else None,
            "against_first": [] if study.are_draws else against_first(predictions, trainings, evaluate),
        }
    )


def _paper(study, network):
    """What the paper's table has for a network, or None: ``accuracy``, ``rarest`` class, ``named`` as in `by_variant`,
    and ``hardest``, the class with the lowest ``recall``.
    """
    settings = next(iter(study.variants.values()))[study.dataset]["split"]
    table = claims.paper_table(study.dataset, network, settings.get("protocol"))
    if table is None:
        return None
    rarest = table["classes"][int(np.argmin(table["support"]))]
    recalls = dict(zip(table["classes"], table["recall"], strict=True))
    hardest = min(recalls, key=recalls.get)
    return {
        "accuracy": table["accuracy"],
        "rarest": rarest,
        "named": published.named_per_image(table),
        "hardest": hardest,
        "recall": recalls[hardest],
    }


def findings(found):
    """What a study found, in sentences, from its metrics.json."""
    level = percent(found["confidence_level"], 0)
    said = []
    if found["set"]:
        said.append(f"All with {listed([_setting(*setting) for setting in found['set'].items()])}.")
    failed = [f"{row['variant']} ({row['network']})" for row in found["variants"] if row["failed"]]
    if failed:
        said.append(
            f"**Trainings failed with {listed(failed)}: they never became clearly better than naming the largest "
            "class. Their numbers say nothing about the network.**"
        )
    for network, draws in found["draws"].items():
        said.append(_draws_sentence(found, network))
        paper = found["paper"][network]
        recall = draws["recalls"].get(paper["hardest"]) if paper else None
        if recall:
            said.append(
                f"Of {paper['hardest']}, which the paper's network finds least ({percent(paper['recall'], 0)}), ours "
                f"finds {percent(recall['right'])} in {recall['tests']:,} tests."
            )
    if found["networks"]:
        said.append(_networks_sentence(found))
    for row in found["against_first"]:
        one, first = (_called(found, variant) for variant in (row["variant"], found["variants"][0]["variant"]))
        seeds = f", over seeds {_points(*row['over_seeds'])}" if row["over_seeds"] else ""
        said.append(
            f"The accuracy of the {row['network']} network with {one} less that with {first} is "
            f"**{points(row['difference'])} points** ({counted(row['seeds'], 'seed')}; {level} interval over images "
            f"{_points(row['low'], row['high'])}{seeds}; {row['test']}: {p_value(row['p_holm'])})."
        )
        low, high = row["over_seeds"] or (row["low"], row["high"])
        if low <= 0 <= high:
            said.append(
                f"These trainings do not tell the two apart: anything of {_points(low, high)} points fits them."
            )
    if len(found["against_first"]) > 1:
        said.append("The p values are corrected for there being several (Holm).")
    for network, paper in found["paper"].items():
        asked = paper and found["vary"] == "train.class_weights"
        times = named_times(found, network) if asked else ""
        if times:
            rarest = paper["rarest"]
            said.append(
                f"The {network} network names an image {rarest}, the rarest class, {times} for each that is; in "
                f"the paper's table it is {paper['named'][rarest]:.2f} times."
            )
    return " ".join(said)


def _called(found, variant):
    """A variant by a name that says something: ``leave_out_copies True`` and not ``True``."""
    return f"{found['vary'].rpartition('.')[2]} {variant}" if variant in ("True", "False") else variant


def _draws_sentence(found, network):
    """The accuracy of a network over the draws of a study, and the paper's among them."""
    draws = found["draws"][network]
    each = counted(draws["draws"], _noun(found))
    said = (
        f"Over {each} the {network} network names **{percent(draws['accuracy'])}** of {draws['tests']:,} tests of "
        f"{draws['images']:,} images rightly ({percent(found['confidence_level'], 0)} interval over "
        f"{_drawn_from(draws)} {_percents(draws['low'], draws['high'])})."
    )
    if draws["sd"] is not None:
        said += (
            f" The accuracies of the {each}, each counting alike, have mean {percent(draws['mean'])} and standard "
            f"deviation {100 * draws['sd']:.1f} points; they run from {percent(draws['lowest'])} to "
            f"{percent(draws['highest'])}."
        )
    if draws["failed"]:
        said += f" **But {counted(draws['failed'], 'training')} failed.**"
    return f"{said} {beside_paper(found, network)}".rstrip()


def beside_paper(found, network):
    """Where the paper's accuracy lies among those of the draws of a study; empty where it has none."""
    draws, paper = found["draws"][network], found["paper"][network]
    if not paper:
        return ""
    return (
        f"Rounded like the paper's {percent(paper['accuracy'], 0)}, the {network} network is below it in "
        f"{draws['below']}, equal to it in {draws['equal']} and above it in {draws['above']} of "
        f"{counted(draws['draws'], _noun(found))}."
    )


def _networks_sentence(found):
    """What the second network adds to the first over the draws of a study."""
    two = found["networks"]
    draws = found["draws"][two["first"]]
    tie = " These trainings do not tell which is better." if two["low"] <= 0 <= two["high"] else ""
    return (
        f"The accuracy of the {two['second']} network less that of the {two['first']} one, on the same tests, is "
        f"**{points(two['difference'])} points** ({percent(found['confidence_level'], 0)} interval over "
        f"{_drawn_from(draws)} {_points(two['low'], two['high'])}). Of the {draws['draws']} {_noun(found)}s it is "
        f"better in {two['higher']}, level in {two['equal']} and worse in {two['lower']}.{tie}"
    )


def _noun(found):
    return "fold" if found["vary"].endswith(".fold") else "random split"


def _drawn_from(draws):
    return f"{draws['people']:,} persons" if draws["people"] else f"{draws['images']:,} images"


def _setting(name, value):
    theirs = published.RECIPE.get(name, value)
    return f"{name} {value}" + (f" (the paper: {theirs})" if theirs != value else "")


def named_times(found, network):
    """How often each sound variant names the paper's rarest class, for each image of it; empty where none is sound."""
    rows = [row for row in found["variants"] if row["network"] == network and not row["failed"]]
    named = [(row["named"][found["paper"][network]["rarest"]], row["variant"]) for row in rows]
    said = [f"{times:.2f} times with {variant}" for times, variant in named if times is not None]
    return listed(said) if said else ""


def variants_table(found):
    """The variants for the eye: a row for each and each network; of draws for each, with its networks side by side."""
    table = pd.DataFrame(found["variants"])
    names = {
        "variant": found["vary"],
        "network": "network",
        "trainings": "trainings",
        "failed": "failed",
        "mean": "test accuracy",
        "sd": "sd over trainings",
        "interval": "interval of the mean",
        "macro_f1": "macro F1",
        "validation": "validation accuracy",
        "training": "training accuracy",
    }
    several = table["sd"].notna()
    if not several.any():  # nothing to be said of a spread
        names = {name: title for name, title in names.items() if name not in ("trainings", "sd", "interval")}
    ends = zip(table["low"], table["high"], several, strict=True)
    table["interval"] = [_percents(low, high) if one else "–" for low, high, one in ends]
    table["sd"] = [f"{100 * sd:.1f} points" if one else "–" for sd, one in zip(table["sd"], several, strict=True)]
    shares = ["mean", "macro_f1", "validation", "training"]
    for name in shares:
        table[name] = table[name].map(percent)
    if not found["draws"] or table["network"].nunique() == 1:
        return table[list(names)].rename(columns=names)
    table.loc[table["failed"] > 0, shares] = "training failed"
    wide = table.pivot(index="variant", columns="network", values=shares).loc[table["variant"].unique()]
    wide.columns = [f"{names[name]}, {network}" for name, network in wide.columns]
    return wide.rename_axis(found["vary"]).reset_index()


def named_table(found):
    """How many images get a class's name for each image of it, by class: of each variant, and in the paper's table.

    Classes are the rows, or the columns of a study of draws.
    """
    columns = {(row["network"], row["variant"]): row["named"] for row in found["variants"]}
    columns |= {(network, "paper"): paper["named"] for network, paper in found["paper"].items() if paper}
    table = pd.DataFrame(columns).round(2).rename_axis(columns=("network", found["vary"]))
    return table.T if found["draws"] else table  # many draws are rows rather than columns


def _percents(low, high):
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def _points(low, high):
    return f"{points(low)} to {points(high)}"
