"""What a study found: the accuracy of each variant with its spread, and how much the value that is varied matters."""

import pandas as pd
from scipy import stats

from fergit import metrics, published
from fergit.errors import FergitError
from fergit.present import counted, listed, percent, points

PAIR = ["network", "seed"]  # what pairs the trainings of two variants


def read(folder):
    """The tables of a study's folder: predictions, trainings, history.

    Raises
    ------
    FergitError
        One is missing.
    """
    tables = []
    for name in ("predictions", "trainings", "history"):
        file = folder / f"{name}.csv"
        if not file.exists():
            raise FergitError(f"{file}: no such file; `dvc repro studies/dvc.yaml:train@{folder.name}` writes it")
        tables.append(pd.read_csv(file, dtype={"variant": str, "group": str}, keep_default_na=False))
    return tables


def by_variant(trainings, level):
    """The test accuracy of each variant and network over its trainings.

    Returns
    -------
    DataFrame
        ``variant``, ``network``, ``trainings``, ``failed`` (never left the class prior), ``mean``, ``sd`` and the ends
        ``low`` and ``high`` of Student's t interval of the mean (NaN for one training), ``validation`` and ``training``
        (mean accuracies at the best epoch).
    """
    rows = []
    for (variant, network), group in trainings.groupby(["variant", "network"], sort=False):
        low, high = metrics.over_seeds(group["accuracy"], level) or (None, None)
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
                "validation": group["best_val_accuracy"].mean(),
                "training": group["train_accuracy_at_best"].mean(),
            }
        )
    return pd.DataFrame(rows).astype({"low": float, "high": float})


def against_first(trainings, level):
    """Each variant less the first one, training by training with the same network and seed.

    Returns
    -------
    DataFrame
        ``variant``, ``pairs``, ``difference`` (mean), ``low``, ``high`` and ``p`` of the paired t test, and ``p_holm``,
        corrected for the variants; empty where variants have one training each, or there is one variant.
    """
    table = trainings.pivot(index=PAIR, columns="variant", values="accuracy")
    first, *others = trainings["variant"].unique()
    if len(table) < 2 or not others:
        return pd.DataFrame(columns=["variant", "pairs", "difference", "low", "high", "p", "p_holm"])
    rows = []
    for variant in others:
        differences = table[variant] - table[first]
        low, high = metrics.over_seeds(differences, level)
        p = float(stats.ttest_rel(table[variant], table[first]).pvalue) if differences.std() else 1.0
        rows.append((variant, len(differences), differences.mean(), low, high, p))
    found = pd.DataFrame(rows, columns=["variant", "pairs", "difference", "low", "high", "p"])
    return found.assign(p_holm=metrics.holm(found["p"]))


def pooled(predictions, evaluate):
    """The accuracy over all test images of all variants together, and its interval.

    Where persons are known, the bootstrap draws whole persons, for images of one person are not independent; else it is
    Wilson's.

    Returns
    -------
    dict
        ``network``: accuracy, low, high, images, people (0 where unknown).
    """
    level, found = evaluate["confidence_level"], {}
    for network, table in predictions.groupby("network", sort=False):
        probabilities = table.filter(regex=f"^{metrics.PREFIX}")
        right = probabilities.idxmax(axis=1).str.removeprefix(metrics.PREFIX) == table["label"]
        people = table["group"].nunique() if (table["group"] != "").all() else 0
        if people:
            each = right.groupby(table["group"]).agg(["sum", "size"]).to_numpy().T
            interval = metrics.bootstrap(
                each, lambda v: v[0].sum(axis=-1) / v[1].sum(axis=-1), evaluate["bootstrap_samples"], level
            )
        else:
            interval = [float(end) for end in metrics.wilson(right.sum(), len(right), level)]
        low, high = interval
        found[network] = {"accuracy": right.mean(), "low": low, "high": high, "images": len(table), "people": people}
    return found


def summary(study, predictions, trainings, evaluate):
    """All of a study's metrics.json."""
    level = evaluate["confidence_level"]
    variants, differences = by_variant(trainings, level), against_first(trainings, level)
    whole = {}
    for network, group in trainings.groupby("network", sort=False):
        whole[network] = {
            "trainings": len(group),
            "mean": group["accuracy"].mean(),
            "sd": group["accuracy"].std() if len(group) > 1 else None,
            "interval": metrics.over_seeds(group["accuracy"], level),
            "lowest": group["accuracy"].min(),
            "highest": group["accuracy"].max(),
        }
    return metrics.rounded(
        {
            "study": study.name,
            "dataset": study.dataset,
            "vary": study.vary,
            "confidence_level": level,
            "all_trainings": whole,
            "all_images": pooled(predictions, evaluate),
            "variants": variants.astype(object).where(variants.notna(), None).to_dict("records"),
            "against_first": differences.to_dict("records"),
        }
    )


def paper_accuracy(study, network):
    """The paper's accuracy for the trainings of a study, or None: for CK+, only where frames are split."""
    settings = next(iter(study.variants.values()))[study.dataset]["split"]
    table = published.table(study.dataset, network)
    return table["accuracy"] if table and settings.get("protocol", "frames") == "frames" else None


def spread_sentence(study, found):
    """The accuracy over all trainings of a study whose variants are equals, such as splits."""
    said = []
    for network, whole in found["all_trainings"].items():
        level = percent(found["confidence_level"], 0)
        over = f", {level} interval of the mean {_percents(*whole['interval'])}" if whole["interval"] else ""
        sd = f", standard deviation {100 * whole['sd']:.1f} points" if whole["sd"] is not None else ""
        said.append(
            f"Over {counted(whole['trainings'], 'training')} the {network} network names **{percent(whole['mean'])}** "
            f"rightly on the mean{sd}{over}; the worst {percent(whole['lowest'])}, "
            f"the best {percent(whole['highest'])}."
        )
        images = found["all_images"][network]
        people = f" of {images['people']:,} persons (whole persons resampled)" if images["people"] else ""
        said.append(
            f"All test images together: {percent(images['accuracy'])}, {level} interval over "
            f"{images['images']:,} images{people} {_percents(images['low'], images['high'])}."
        )
        paper = paper_accuracy(study, network)
        if paper is not None:
            said.append(f"The paper has {percent(paper, 0)}.")
    return " ".join(said)


def difference_sentence(study, found):
    """What the varied value does to the accuracy, against the first value."""
    first = found["variants"][0]["variant"]
    if not found["against_first"]:
        return ""
    parts = [
        f"{row['variant']} {points(row['difference'])} points ({points(row['low'])} to {points(row['high'])}, "
        f"p = {row['p_holm']:.2g})"
        for row in found["against_first"]
    ]
    pairs = found["against_first"][0]["pairs"]
    return (
        f"Against {study.vary}: {first}, over {counted(pairs, 'pair')} of trainings with equal seeds: {listed(parts)}. "
        "In parentheses the interval, and p of the paired t test, corrected for the variants (Holm)."
    )


def variants_table(found):
    """The variants for the eye."""
    table = pd.DataFrame(found["variants"])
    for name in ("mean", "validation", "training"):
        table[name] = table[name].map(percent)
    several = table["sd"].notna()
    table["sd"] = [f"{100 * sd:.1f} points" if one else "–" for sd, one in zip(table["sd"], several, strict=True)]
    ends = zip(table["low"], table["high"], several, strict=True)
    table["interval"] = [_percents(low, high) if one else "–" for low, high, one in ends]
    names = {
        "variant": found["vary"],
        "network": "network",
        "trainings": "trainings",
        "failed": "failed",
        "mean": "test accuracy",
        "sd": "sd over trainings",
        "interval": "interval of the mean",
        "validation": "validation accuracy",
        "training": "training accuracy",
    }
    return table[list(names)].rename(columns=names)


def _percents(low, high):
    return f"{100 * low:.1f} to {100 * high:.1f} %"
