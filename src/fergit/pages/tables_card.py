"""The tables of a card, from its metrics.json."""

import pandas as pd

from fergit.analysis.alterations import ALTERATIONS
from fergit.pages import present
from fergit.pages.present import confidence, markdown, percent, score

NOTABLE = 0.1  # of accuracy, lost: such cells are bold
MISSING = "Not measured yet: the commands above make these tables."


def numbers(found):
    """How good the network is as a whole: accuracy, calibration, and what shipping changed."""
    rounding, onnx, calibration = found["float32"], found["onnx"], found["calibration"]
    all_of = found["accuracy"] | {"accuracy": found["accuracy"]["value"]}
    dataset = present.title(found["dataset"]).partition(",")[0]  # without the recipe
    parts = {f"accuracy, {found['n_test']:,} test images of {dataset}": all_of}
    if len(found["sources"]) > 1:
        parts |= {f"of these, {row['images']:,} of {row['stratum']}": row for row in found["sources"]}
    rows = {title: score(row) for title, row in parts.items()}
    rows |= {
        "macro F1": _share(found["macro_f1"], "value", "low", "high"),
        "accuracy before rounding to float16": percent(rounding["accuracy"], 2),
        "labels that rounding changed": f"{rounding['named_otherwise']:,}",
        "largest change of a probability by rounding": f"{rounding['at_most']:.1g}",
    }
    if onnx:
        rows |= {
            "labels that differ between OpenCV and Keras": f"{onnx['named_otherwise']:,}",
            "largest difference of a probability": f"{onnx['at_most']:.1g}",
        }
    rows |= {
        "temperature, fitted on validation images": f"{calibration['temperature']:.2f}",
        "expected calibration error before": percent(calibration["before"]),
        "expected calibration error after, as shipped": percent(calibration["after"]),
    }
    return pd.DataFrame(rows.items(), columns=["", f"value ({confidence(found['confidence_level'])} interval)"])


def classes(found):
    """Precision, recall and F1 of each class, with their intervals."""
    scores = {"precision": "precision", "recall": "recall", "F1": "f1"}
    return pd.DataFrame(
        {"class": row["class"], "images": f"{row['support']:,}"}
        | {title: _share(row, name, f"{name}_low", f"{name}_high") for title, name in scores.items()}
        for row in found["classes"]
    )


def altered(found):
    """Accuracy at each step of each alteration; bold where more than 10 points are lost."""
    rows = []
    for name, (plain, *steps) in found["altered"].items():
        row = {"corrupted images": f"{ALTERATIONS[name].title} ({ALTERATIONS[name].unit})"}
        for number, step in enumerate(steps, start=1):
            mark = "**" if plain["accuracy"] - step["accuracy"] > NOTABLE else ""
            title = {1: "mildest step", len(steps): "strongest"}.get(number, f"step {number}")
            row[title] = f"{mark}{percent(step['accuracy'])}{mark} at {step['strength']:g}"
        row["predicted most at the strongest"] = f"{steps[-1]['named']} ({percent(steps[-1]['share'], 0)})"
        rows.append(row)
    return pd.DataFrame(rows)


def strongest(found):
    """The recall of each class at the strongest step of each alteration."""
    steps = {"unaltered": next(iter(found["altered"].values()))[0]["recall"]}
    steps |= {ALTERATIONS[name].title: rows[-1]["recall"] for name, rows in found["altered"].items()}
    return pd.DataFrame.from_dict(steps, orient="index", dtype=float).rename_axis("recall").map(percent, digits=0)


def recalls(found):
    """Every step of every alteration, a row each: accuracy with its interval, and the recall of each class."""
    return pd.DataFrame(
        {"alteration": name}
        | {key: step[key] for key in ("strength", "accuracy", "low", "high", "named", "share")}
        | {f"recall_{label}": recall for label, recall in step["recall"].items()}
        for name, steps in found["altered"].items()
        for step in steps
    )


def block(found, results):
    """What stands between the markers of models/README.md; `results` is the folder of the card's results from there."""
    if not found:
        return MISSING
    figure = f"![Figure: accuracy against strength for each alteration]({results}/09-card/altered.png)"
    tables = [markdown(table(found)) for table in (numbers, classes, altered)]
    return "\n\n".join([network(found), *tables, figure])


def network(found):
    """Which network this is, in a line."""
    layout = ", ".join(f"{name} {found['network'][name]}" for name in ("poolings", "batch_normalization"))
    run = f"the run with seed {found['seed']} on {present.title(found['dataset'])}, epoch {found['best_epoch']}"
    trained = f"{found['dataset']}/{found['model']}/02-train/seed-{found['seed']}/02-train.ipynb"
    return f"The {found['model']} network ({layout}) of {run}. [How it was trained](../results/{trained})."


def _share(entry, value, low, high):
    return f"{entry[value]:.2f} ({entry[low]:.2f}–{entry[high]:.2f})"
