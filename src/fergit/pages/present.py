"""Numbers as texts."""

import pandas as pd

from fergit.core import paths

TITLES = {
    "fergit": "FERGIT",
    "fergit_best": "FERGIT, our recipe",
    "ckplus": "CK+",
    "fer2013": "FER2013",
    "fer2013_best": "FER2013, our recipe",
    "synthetic": "Drawn faces",
}
HEADINGS = TITLES | {"card": "The shipped network", "gradcam": "Grad-CAM", "leaks": "Leaks and labels"}  # of results/*
HEADINGS |= {name: name.capitalize() for name in ("reconstruction", "results", "studies")}
FAILED = "training failed"
NOTEBOOKS = {path.stem for path in paths.NOTEBOOKS.glob("*.ipynb")}  # as a folder of figures beside one is called


def title(name):
    """What a data set, a source, a label or a folder of results is called in headings and tables: ``FERGIT``."""
    return HEADINGS.get(name, name.replace("_", " "))


def confidence(level):
    """A confidence level as text: ``95 %``, ``99.9 %``."""
    return f"{100 * level:g} %"


def percent(share, digits=1):
    """A share as text: ``73.4 %``; NaN and None as a dash."""
    return "–" if pd.isna(share) else f"{100 * share:.{digits}f} %"


def interval(low, high):
    """The ends of an interval of a share, in percent: ``71.6–75.1``."""
    return f"{100 * low:.1f}–{100 * high:.1f}"


def with_interval(mean, low, high, before=""):
    """``73.4 % (71.6–75.1)``; without the interval where there is none; `before` stands in front of the interval."""
    return percent(mean) if pd.isna(low) else f"{percent(mean)} ({before}{interval(low, high)})"


def ends(entry):
    """The interval of a score or a difference, over seeds where there is such a one: low and high."""
    return entry.get("over_seeds") or entry.get("ci95") or (entry["low"], entry["high"])


def score(entry, before=""):
    """`with_interval` of a dict with ``accuracy`` or ``mean``, and with `ends`; unless a training of it ``failed``."""
    if entry.get("failed"):
        return FAILED
    return with_interval(entry["accuracy" if "accuracy" in entry else "mean"], *ends(entry), before)


def accuracy(entry, before=""):
    """`score` of the accuracy of a network in report.json, unless a training of it failed."""
    return FAILED if entry["failed_seeds"] else score(entry["accuracy"], before)


def direction(entry):
    """Of a difference: higher, lower or not significant, as its intervals (over seeds too) leave out 0 or not."""
    low, high = min(entry["low"], ends(entry)[0]), max(entry["high"], ends(entry)[1])
    return "not significant" if low <= 0 <= high else "higher" if low > 0 else "lower"


def intervals(entry):
    """Both intervals of a difference: ``−0.4 to +1.2 over images, −2.9 to +3.7 over seeds``, or the one that it has."""
    seeds = f", {points_interval(*entry['over_seeds'])} over seeds" if entry.get("over_seeds") else ""
    return f"{points_interval(entry['low'], entry['high'])} over images{seeds}"


def points(difference):
    """A difference of shares in percentage points, with its sign: ``+0.7``, ``−2.2``, ``−0.04``, ``0.0``."""
    text = next((text for digits in (1, 2) if float(text := f"{100 * difference:+.{digits}f}")), "0.0")
    return text.replace("-", "−")


def points_interval(low, high):
    """The ends of an interval of a difference: ``−0.8 to +2.8``."""
    return f"{points(low)} to {points(high)}"


def gain(entry, unit="", before=""):
    """``+0.9 (−0.8 to +2.8)``, of a dict with ``difference`` and `ends`; a dash where there are none."""
    low, high = ends(entry)
    return "–" if pd.isna(low) else f"{points(entry['difference'])}{unit} ({before}{points_interval(low, high)})"


def by_seed(differences):
    """Differences, one for each seed: ``+1.9, 0.0, −0.7``."""
    return ", ".join(map(points, differences))


def spread(sd):
    """A standard deviation in percentage points: ``0.4 points``; a dash where there is none."""
    return "–" if pd.isna(sd) else f"{100 * sd:.1f} points"


def p_value(p):
    """``p = 0.023``, ``p < 0.0001``."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def counted(n, noun):
    """``1 seed``, ``5 seeds``, ``2,465 images``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def markdown(table):
    """A DataFrame of texts as a Markdown table, without its index: its cells wrap, and are not cut."""
    if table.empty:
        return "*None yet.*"
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in table.itertuples(index=False)]
    rows = [list(table.columns), ["---"] * table.shape[1], *cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def failure_warning(trainings, model):
    """A block that cannot be overlooked if a training never left the class prior, else an empty text."""
    *others, last = [str(seed) for seed, training in trainings.items() if not training["trained"]] or [""]
    failed = f"seeds {', '.join(others)} and {last}" if others else f"seed {last}"
    return last and (
        "> ## ⚠️ A failure, not a result\n>\n"
        f"> **The {model} network with {failed} never became clearly better than always predicting the largest class. "
        "The numbers below say nothing about it. Train longer, lower the dropout or change the learning rate in "
        "`params.yaml`, and run again.**"
    )
