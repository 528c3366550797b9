"""The tables of a card, from its metrics.json."""

import pandas as pd

from fergit.analysis.alterations import ALTERATIONS
from fergit.core import paths
from fergit.pages.present import TITLES, markdown, percent, with_interval

NOTABLE = 0.1  # of accuracy, lost: such cells are bold
MISSING = "Not measured yet: the commands above make these tables."


def numbers(found):
    """How good the network is as a whole: accuracy, calibration, and what shipping changed."""
    rounding, onnx = found["float32"], found["onnx"]
    calibration = found.get("calibration")  # what was shipped before there was a temperature has none
    f1 = found["macro_f1"]
    rows = [(f"accuracy, {found['n_test']:,} test images of {_title(found)}", _interval(found["accuracy"]))]
    rows += [
        (f"of these, {row['images']:,} of {row['stratum']}", with_interval(row["accuracy"], row["low"], row["high"]))
        for row in (found["sources"] if len(found["sources"]) > 1 else [])
    ]
    rows += [
        ("macro F1", f"{f1['value']:.2f} ({f1['low']:.2f}–{f1['high']:.2f})"),
        ("accuracy before rounding to float16", percent(rounding["accuracy"], 2)),
        ("labels that rounding changed", f"{rounding['named_otherwise']:,}"),
        ("probabilities that it moved, at most by", f"{rounding['at_most']:.6f}"),
    ]
    if onnx:
        rows += [
            ("labels that differ between OpenCV and Keras", f"{onnx['named_otherwise']:,}"),
            ("probabilities that differ, at most by", f"{onnx['at_most']:.6f}"),
        ]
    if calibration:
        rows += [
            ("temperature, fitted on validation images", f"{calibration['temperature']:.2f}"),
            ("expected calibration error without it", percent(calibration["before"])),
            ("expected calibration error with it, as shipped", percent(calibration["after"])),
        ]
    return pd.DataFrame(rows, columns=["", f"value ({percent(found['confidence_level'], 0)} interval)"])


def classes(found):
    """Precision, recall and F1 of each class, with their intervals."""
    rows = [
        {"class": row["class"], "images": f"{row['support']:,}"}
        | {
            title: f"{row[name]:.2f} ({row[f'{name}_low']:.2f}–{row[f'{name}_high']:.2f})"
            for title, name in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
        }
        for row in found["classes"]
    ]
    return pd.DataFrame(rows)


def altered(found):
    """Accuracy at each step of each alteration; bold where more than 10 points are lost."""
    rows = []
    for name, (plain, *steps) in found["altered"].items():
        alteration = ALTERATIONS[name]
        row = {"images made worse": f"{alteration.title} ({alteration.unit})"}
        for number, step in enumerate(steps, start=1):
            mark = "**" if plain["accuracy"] - step["accuracy"] > NOTABLE else ""
            title = {1: "mildest step", len(steps): "strongest"}.get(number, f"step {number}")
            row[title] = f"{mark}{percent(step['accuracy'])}{mark} at {step['strength']:g}"
        rows.append(
            row | {"predicted most at the strongest": f"{steps[-1]['named']} ({percent(steps[-1]['share'], 0)})"}
        )
    return pd.DataFrame(rows)


def strongest(found):
    """The recall of each class at the strongest step of each alteration."""
    steps = {ALTERATIONS[name].title: rows[-1]["recall"] for name, rows in found["altered"].items()}
    plain = next(iter(found["altered"].values()))[0]["recall"]
    table = pd.DataFrame.from_dict({"unaltered": plain} | steps, orient="index").rename_axis("recall")
    return table.astype(float).map(percent, digits=0)


def recalls(found):
    """Every step of every alteration, a row each: accuracy with its interval, and the recall of each class."""
    rows = [
        {"alteration": name}
        | {key: step[key] for key in ("strength", "accuracy", "low", "high", "named", "share")}
        | {f"recall_{label}": recall for label, recall in step["recall"].items()}
        for name, steps in found["altered"].items()
        for step in steps
    ]
    return pd.DataFrame(rows)


def block(found, results):
    """What stands between the markers of models/README.md; `results` is the folder of the card's results from there."""
    if not found:
        return MISSING
    return "\n\n".join(
        [
            network(found),
            *(markdown(table(found)) for table in (numbers, classes, altered)),
            f"![Figure: accuracy against strength for each alteration]({results}/09-card/altered.png)",
        ]
    )


def network(found):
    """Which network this is, in a line."""
    layout = found.get("network", {})
    values = ", ".join(f"{name} {layout[name]}" for name in ("poolings", "batch_normalization") if name in layout)
    kind = f"{found['model']} network{f' ({values})' if values else ''}"
    trained = f"{found['dataset']}/{found['model']}/02-train/seed-{found['seed']}/02-train.ipynb"
    first = f"first-reading/{found['dataset']}/{found['model']}/training.json"  # of an earlier version
    notebook = f"../results/{trained if (paths.RESULTS / trained).exists() else first}"
    run = f"the run with seed {found['seed']} on {_title(found)}, epoch {found['best_epoch']}"
    return f"The {kind} of {run}. [How it was trained]({notebook})."


def _title(found):
    return TITLES.get(found["dataset"], found["dataset"])


def _interval(entry):
    return with_interval(entry["value"], entry["low"], entry["high"])
