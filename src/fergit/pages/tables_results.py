"""The tables of the notebooks on results: what `metrics`, `claims`, `leaks` and `gradcam` found, for the eye."""

import string

import pandas as pd

from fergit.analysis.intervals import interval_key
from fergit.analysis.leaks import NEAR
from fergit.analysis.regions import ALL, FEWEST_MAPS
from fergit.pages.present import (
    accuracy,
    confidence,
    gain,
    interval,
    markdown,
    p_value,
    percent,
    score,
    spread,
    title,
    with_interval,
)
from fergit.pages.tables_pages import number
from fergit.paper import published


def _by_row(rows, name):
    """A table from a dict of dicts, a row each."""
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(name)


def trainings_table(trainings):
    """What each training ended with, a row for each seed."""
    shares = {
        "train_accuracy": "training accuracy",
        "validation_accuracy": "validation accuracy",
        "prior_val_accuracy": "largest class (validation)",
    }
    return _by_row(
        {
            seed: {"epochs run": training["epochs_run"], "best epoch": training["best_epoch"]}
            | {shown: percent(training[name]) for name, shown in shares.items()}
            | {"better than the largest class": "yes" if training["trained"] else "NO"}
            for seed, training in trainings.items()
        },
        "seed",
    )


def scores_table(summary, level, paper=None):
    """Accuracy and macro F1 from metrics.json, beside those of the paper's table (F1: the mean of its classes)."""
    theirs = {"accuracy": paper["accuracy"], "macro_f1": published.recomputed_mean(paper, "f1")} if paper else {}
    rows = {}
    for name, shown in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
        entry = summary[name]
        rows[shown] = {
            "ours": percent(entry["mean"]),
            f"{confidence(level)} interval": interval(*entry[interval_key(level)]) + " %",
            "sd over seeds": spread(entry["sd"]),
        } | ({"paper": percent(theirs[name], int(name == "macro_f1"))} if paper else {})
    return _by_row(rows, f"{summary['n_test']:,} test images")


def per_class_table(table):
    """`metrics.beside_paper` for the eye: two groups of columns, two decimals, the interval of the recall as text."""
    titles = {"precision": "precision", "recall": "recall", "f1": "F1"}
    groups = {}
    for whose, prefix in {"ours": "", "paper": "paper_"}.items():
        if f"{prefix}f1" in table:
            scores = table[[f"{prefix}{name}" for name in titles]].map("{:.2f}".format)
            groups[whose] = scores.set_axis(titles.values(), axis=1).assign(support=table[f"{prefix}support"])
    ends = zip(table["recall_low"], table["recall_high"], strict=True)
    groups["ours"].insert(2, "recall, interval", [f"{low:.2f}–{high:.2f}" for low, high in ends])
    return pd.concat(groups, axis=1)


def networks_table(report):
    """The networks of report.json side by side, and beside the paper where it has any of them."""
    table = _by_row(
        {
            model: {
                "accuracy": accuracy(entry),
                "by seed": ", ".join(map(percent, entry["accuracy"]["per_seed"])),
                "its sd over seeds": spread(entry["accuracy"]["sd"]),
                "paper": percent(entry["paper_accuracy"], 0),
                "macro F1": score(entry["macro_f1"]),
                "training accuracy": percent(entry["train_accuracy"]),
                "failed": len(entry["failed_seeds"]),
                "epochs run": ", ".join(map(str, entry["epochs_run"])),
                "parameters": f"{entry['parameters']:,}",
                "of these trainable": f"{entry['trainable_parameters']:,}",
            }
            for model, entry in report["models"].items()
        },
        "network",
    )
    in_paper = any(entry["paper_accuracy"] is not None for entry in report["models"].values())
    return table if in_paper else table.drop(columns="paper")


def mcnemar_table(comparison):
    """McNemar's test for each seed."""
    table = pd.DataFrame(comparison["mcnemar"]).set_index("seed")
    table[["p", "p_holm"]] = table[["p", "p_holm"]].map(p_value)
    return table.set_axis(["only basic correct", "only residual correct", "exact p", "p, corrected (Holm)"], axis=1)


def claims_table(checked):
    """`claims.check` for the eye, as Markdown: shares in percent, gains in points, the notes below by their letters."""
    letters = {}
    for note in (note for row in checked["note"] for note in row.split("; ") if note):
        letters.setdefault(note, string.ascii_lowercase[len(letters)])
    table = pd.DataFrame(
        {
            "network": row["model"],
            "quantity": f"{row['quantity']} {row['class']}".strip(),
            "verdict": row["verdict"],  # before what a phone shows only after scrolling
            "paper": number(row, "paper"),
            "ours": number(row, "ours"),
            "difference in points": gain(row),
            "margin": "–" if pd.isna(row["margin"]) else f"{100 * row['margin']:.0f}",
            "page": row["page"],
            "notes": ", ".join(letters[note] for note in row["note"].split("; ") if note),
        }
        for row in checked.to_dict("records")
    )
    return "\n".join([markdown(table), "", *(f"- {letter}: {note}." for note, letter in letters.items())])


def strata_table(rows_of):
    """Accuracy within strata: a row each, a column for each network, from {network: rows of `leaks.by_stratum`}."""
    columns = {"test images": {title(row["stratum"]): f"{row['images']:,}" for row in next(iter(rows_of.values()))}}
    columns |= {network: {title(row["stratum"]): score(row) for row in rows} for network, rows in rows_of.items()}
    return pd.DataFrame(columns).rename_axis("")


def copies_table(found):
    """`strata_table` of the kinds of copy, for each threshold that makes a near copy."""
    rows = {near: {model: one["copies"][near] for model, one in found["networks"].items()} for near in NEAR}
    return pd.concat({f"near: correlation of {near} or more": strata_table(rows[near]) for near in NEAR})


def contrasts_table(found, *names):
    """How much better one stratum does than another, by network; None where there are no such two."""
    rows = [
        {
            "network": network,
            "compared": f"{title(one['first'])} minus {title(one['second'])}",
            "among": "FER2013's images" if name.endswith("_of_fer2013") else "all test images",
            "points (interval)": gain(one),
            "Fisher's test (Holm)": p_value(one["p_holm"]),
        }
        for network, entry in found["networks"].items()
        for name, one in entry["contrasts"].items()
        if one and name in names
    ]
    return pd.DataFrame(rows).set_index("network") if rows else None


def agreement_table(table):
    """`leaks.agreement` for the eye."""
    shares = {name: table[name].map(percent) for name in table.columns.drop("images")}
    return table.assign(images=table["images"].map("{:,}".format), **shares).rename(columns={"no_face": "no face"})


def maps_table(found):
    """The share of the maps in the regions, beside what it is compared with: a row for each size of maps."""
    return _by_row(
        {
            _size(one): {
                "layer": one["layer"],
                "share in the regions": _share(one),
                "their area": percent(found["area"][ALL]),
                "center map": percent(one["centre"][ALL]),
                "untrained: mean (range)": with_interval(fresh["share"][ALL], fresh["least"], fresh["most"]),
                "untrained with at least that": f"{fresh['as_much']} of {fresh['networks']}",
                "maps of zeros": f"{one['empty']:,} of {one['images']:,}",
            }
            for one, fresh in ((one, one["untrained"]) for one in found["sizes"])
        },
        "positions",
    )


def regions_table(found):
    """How many times its area each region has of the maps, the center map and the untrained networks' maps."""
    rows = {}
    for one in found["sizes"]:
        all_three = one["share"], one["centre"], one["untrained"]["share"]
        rows[_size(one)] = {
            name: "–" if one["share"][name] is None else " / ".join(f"{each[name] / area:.2f}" for each in all_three)
            for name, area in found["area"].items()
        }
    return _by_row(rows, "positions")


def labels_table(found):
    """The share in the regions by the label given; a dash for fewer than `FEWEST_MAPS` maps that are not zero."""
    first = found["sizes"][0]["classes"]
    table = {"images": {name: f"{entry['images']:,}" for name, entry in first.items()}}
    for one in found["sizes"]:
        enough = {name: entry["images"] - entry["empty"] >= FEWEST_MAPS for name, entry in one["classes"].items()}
        table[_size(one)] = {name: _share(entry) if enough[name] else "–" for name, entry in one["classes"].items()}
    return pd.DataFrame(table).rename_axis("label")


def _size(one):
    return f"{one['positions']}x{one['positions']}"


def _share(entry):
    return with_interval(entry["share"][ALL], entry["low"], entry["high"])
