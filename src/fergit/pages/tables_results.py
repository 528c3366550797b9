"""The tables of the notebooks on results: what `metrics`, `claims`, `leaks` and `gradcam` found, for the eye."""

import pandas as pd

from fergit.analysis.intervals import interval_key
from fergit.analysis.leaks import NEAR
from fergit.analysis.regions import FEWEST_MAPS
from fergit.pages.present import TITLES, p_value, percent, points, with_interval
from fergit.paper import published


def _by_row(rows, name):
    """A table from a dict of dicts, a row each."""
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(name)


def _sd(sd):
    return "–" if sd is None else f"{100 * sd:.1f} points"


# One network


def trainings_table(trainings):
    """What each training ended with, a row for each seed."""
    return _by_row(
        {
            seed: {
                "epochs run": training["epochs_run"],
                "best epoch": training["best_epoch"],
                "training accuracy": percent(training["train_accuracy"]),
                "validation accuracy": percent(training["validation_accuracy"]),
                "largest class (validation)": percent(training["prior_val_accuracy"]),
                "better than the largest class": "yes" if training["trained"] else "NO",
            }
            for seed, training in trainings.items()
        },
        "seed",
    )


def scores_table(summary, level, paper=None):
    """Accuracy and macro F1 from metrics.json, beside those of the paper's table (F1: the mean of its classes)."""
    key = interval_key(level)
    rows = {}
    for name, title, theirs in (
        ("accuracy", "accuracy", lambda table: table["accuracy"]),
        ("macro_f1", "macro F1", lambda table: published.recomputed_mean(table, "f1")),
    ):
        entry = summary[name]
        rows[title] = {
            "ours": percent(entry["mean"]),
            f"{percent(level, 0)} interval over images": "{:.1f}–{:.1f} %".format(*(100 * end for end in entry[key])),
            "sd over seeds": _sd(entry["sd"]),
            "paper": "–" if paper is None else percent(theirs(paper), 0),
        }
    return _by_row(rows, f"{summary['n_test']:,} test images")


def per_class_table(table):
    """`metrics.beside_paper` for the eye: two groups of columns, two decimals, the interval of the recall as text."""
    two_decimals = "{:.2f}".format
    titles = {"precision": "precision", "recall": "recall", "f1": "F1"}
    ours = pd.DataFrame({title: table[name].map(two_decimals) for name, title in titles.items()})
    ends = zip(table["recall_low"], table["recall_high"], strict=True)
    ours.insert(2, "recall, interval", [f"{low:.2f}–{high:.2f}" for low, high in ends])
    groups = {"ours": ours.assign(support=table["support"])}
    if "paper_f1" in table:
        theirs = {title: table[f"paper_{name}"].map(two_decimals) for name, title in titles.items()}
        groups["paper"] = pd.DataFrame(theirs | {"support": table["paper_support"]})
    return pd.concat(groups, axis=1)


# The networks of a data set


def networks_table(report):
    """The networks of report.json side by side."""
    return _by_row(
        {
            model: {
                "accuracy": with_interval(*(entry["accuracy"][name] for name in ("mean", "low", "high"))),
                "paper": percent(entry["paper_accuracy"], 0),
                "macro F1": with_interval(*(entry["macro_f1"][name] for name in ("mean", "low", "high"))),
                "sd over seeds": _sd(entry["accuracy"]["sd"]),
                "training accuracy": percent(entry["train_accuracy"]),
                "seeds": len(entry["seeds"]),
                "failed": len(entry["failed_seeds"]),
                "epochs run": ", ".join(str(epochs) for epochs in entry["epochs_run"]),
                "parameters": f"{entry['parameters']:,}",
            }
            for model, entry in report["models"].items()
        },
        "network",
    )


def mcnemar_table(comparison):
    """McNemar's test for each seed."""
    titles = {"only_first": "only basic correct", "only_second": "only residual correct", "p": "p (exact)"}
    table = pd.DataFrame(comparison["mcnemar"]).set_index("seed")
    table[["p", "p_holm"]] = table[["p", "p_holm"]].map(p_value)
    return table.rename(columns=titles | {"p_holm": "p, corrected for the seeds (Holm)"})


def claims_table(checked):
    """`claims.check` for the eye."""

    def text(row, name):
        value, quantity = row[name], row["quantity"]
        if pd.isna(value):
            return "–"
        if quantity in ("parameters", "minutes"):
            return f"{value:,.0f}"
        return points(value) if quantity == "gain" else percent(value, 0 if name == "paper" else 1)

    rows = [row for _, row in checked.iterrows()]
    spans = [
        "–" if pd.isna(row["low"]) else f"{points(row['difference'])} ({points(row['low'])} to {points(row['high'])})"
        for row in rows
    ]
    return pd.DataFrame(
        {
            "network": checked["model"],
            "quantity": [" ".join(filter(None, (row["quantity"], row["class"]))) for row in rows],
            "page": checked["page"],
            "paper": [text(row, "paper") for row in rows],
            "ours": [text(row, "ours") for row in rows],
            "difference in points": spans,
            "verdict": checked["verdict"],
            "note": checked["note"],
        }
    )


# Leaks


def strata_table(rows_of):
    """Accuracy within strata: a row each, a column for each network, from {network: rows of `leaks.by_stratum`}."""
    table = {}
    for network, rows in rows_of.items():
        for row in rows:
            cells = table.setdefault(TITLES.get(row["stratum"], row["stratum"].replace("_", " ")), {})
            cells |= {"test images": f"{row['images']:,}"}
            cells |= {network: with_interval(row["accuracy"], row["low"], row["high"])}
    return _by_row(table, "")


def copies_table(found):
    """`strata_table` of the kinds of copy, for each threshold that makes a near copy."""
    tables = {
        f"near: correlation of {near} or more": strata_table(
            {network: entry["copies"][near] for network, entry in found["networks"].items()}
        )
        for near in NEAR
    }
    return pd.concat(tables)


def contrasts_table(found, *names):
    """How much better one stratum does than another, by network."""
    rows = [
        {
            "network": network,
            "compared": f"{TITLES.get(one['first'], one['first'])} less {TITLES.get(one['second'], one['second'])}",
            "among": "FER2013's images" if name.endswith("_of_fer2013") else "all test images",
            "points": points(one["difference"]),
            f"{percent(found['confidence_level'], 0)} interval": f"{points(one['low'])} to {points(one['high'])}",
            "p (Fisher, Holm)": p_value(one["p_holm"]),
        }
        for network, entry in found["networks"].items()
        for name, one in entry["contrasts"].items()
        if one and name in names
    ]
    return pd.DataFrame(rows).set_index("network") if rows else None


def agreement_table(table):
    """`leaks.agreement` for the eye."""
    shares = {name: table[name].map(percent) for name in table.columns.drop("images")}
    return table.assign(images=table["images"].map("{:,}".format), **shares).rename(
        columns=lambda name: name.replace("_", " ")
    )


# Grad-CAM


def maps_table(found):
    """The share of the maps in the regions, beside what it is compared with: a row for each size of maps."""
    rows = {}
    for one in found["sizes"]:
        fresh = one["untrained"]
        rows[f"{one['positions']}x{one['positions']}"] = {
            "layer": one["layer"],
            "pixels it depends on": f"{one['sight']}x{one['sight']}",
            "share in the regions": with_interval(one["share"]["all"], one["low"], one["high"]),
            "their area": percent(found["area"]["all"]),
            "centre map": percent(one["centre"]["all"]),
            "untrained: mean (range)": with_interval(fresh["share"]["all"], fresh["least"], fresh["most"]),
            "untrained with as much": f"{fresh['as_much']} of {fresh['networks']}",
            "maps of zeros": f"{one['empty']:,} of {one['images']:,}",
        }
    return _by_row(rows, "positions")


def regions_table(found):
    """How many times its area each region has of the maps; in parentheses the centre map's, and the untrained's."""
    return _by_row(
        {
            f"{one['positions']}x{one['positions']}": {
                name: "–"
                if one["share"][name] is None
                else " / ".join(
                    f"{whose[name] / area:.2f}" for whose in (one["share"], one["centre"], one["untrained"]["share"])
                )
                for name, area in found["area"].items()
            }
            for one in found["sizes"]
        },
        "positions",
    )


def labels_table(found):
    """The share in the regions by the label given; a dash for fewer than `FEWEST_MAPS` maps that are not zero."""
    columns = {"images": {name: f"{one['images']:,}" for name, one in found["sizes"][0]["classes"].items()}}
    for one in found["sizes"]:
        columns[f"{one['positions']}x{one['positions']}"] = {
            name: with_interval(entry["share"]["all"], entry["low"], entry["high"])
            if entry["images"] - entry["empty"] >= FEWEST_MAPS
            else "–"
            for name, entry in one["classes"].items()
        }
    return pd.DataFrame(columns).rename_axis("label")
