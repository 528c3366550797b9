"""What all figures share: one look, and PNG files that are the same bytes each time."""

import math

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from fergit.core import paths

# Two colours that stay apart in gray print and for colour-blind readers: the paper's number, and ours.
PAPER, OURS = "#B0B0B0", "#2F5D8A"
NETWORKS = {"basic": "C0", "residual": "C1"}  # where both stand in one figure
FEWEST = 16  # persons, or images where persons are unknown: the mean face of fewer might show one that someone knows


def theme():
    """Set the look of all figures; call it once a notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update({"figure.dpi": 100, "figure.constrained_layout.use": True, "axes.titlelocation": "left"})
    plt.rcParams["text.parse_math"] = False  # a class may be called "$1 or $2"


def mean_face(faces):
    """The mean of faces, none of which can be recognised in it: float64 (48, 48); None if it is of too few people."""
    people = len(np.unique(faces.group[faces.group != ""])) + int((faces.group == "").sum())
    return faces.images.mean(axis=0) if people >= FEWEST else None


def percent_ticks(axis):
    """Write the ticks of an axis, which are shares, as the text does, with the decimals that they need: ``68.5 %``."""

    def text(share, _):
        step = 100 * np.diff(axis.get_majorticklocs()).min(initial=1)
        return f"{100 * share:.{max(0, math.ceil(-math.log10(step) - 1e-9))}f} %"

    axis.set_major_formatter(text)


def halves(value, low, high):
    """The two halves of error bars; rounding must not make one negative."""
    return np.maximum([value - low, high - value], 0)


def save(figure, path, title=""):
    """Write a figure as PNG, with nothing in the file that changes from run to run, close it, and return it.

    A `title` stands above all its panels. Closing keeps a notebook from showing the figure twice.
    """
    if title:
        figure.suptitle(title)
    path = paths.ROOT / path
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
    return figure
