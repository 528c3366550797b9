"""Numbers as texts."""

import pandas as pd

TITLES = {
    "fergit": "FERGIT",
    "fergit_best": "FERGIT, better recipe",
    "ckplus": "CK+",
    "fer2013": "FER2013",
    "fer2013_best": "FER2013, better recipe",
    "synthetic": "Synthetic faces",
}
HEADINGS = TITLES | {"card": "The shipped network", "gradcam": "Grad-CAM", "leaks": "Leaks and labels"}  # of results/*


def title(dataset):
    """What a data set is called in headings and tables; one of the user's own by its name."""
    return TITLES.get(dataset, dataset)


def heading(folder):
    """The heading above the notebooks of a folder of results."""
    return HEADINGS.get(folder, folder.capitalize())


def percent(share, digits=1):
    """A share as text: ``73.4 %``; NaN and None as a dash."""
    return "–" if pd.isna(share) else f"{100 * share:.{digits}f} %"


def with_interval(mean, low, high):
    """``73.4 % (71.6–75.1)``; without the interval where there is none."""
    return percent(mean) if pd.isna(low) else f"{percent(mean)} ({100 * low:.1f}–{100 * high:.1f})"


def mean_with_interval(entry):
    """`with_interval` of a dict that has mean, low and high."""
    return with_interval(entry["mean"], entry["low"], entry["high"])


def points(difference):
    """A difference of shares in percentage points, with its sign: ``+0.7``, ``−2.2``, ``0.0``."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text[1:] == "0.0" else text.replace("-", "−")


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
    failed = ", ".join(str(seed) for seed, training in trainings.items() if not training["trained"])
    return failed and (
        "> ## ⚠️ A failure, not a result\n>\n"
        f"> **The {model} network with seed {failed} never became clearly better than naming the largest class. The "
        "numbers below say nothing about it. Train longer, lower the dropout or change the learning rate in "
        "`params.yaml`, and run again.**"
    )
