"""The figures of a card: accuracy against the strength of each alteration, and what each does to an image."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np

from fergit.analysis.alterations import ALTERATIONS
from fergit.pages import plots


def altered(found):
    """A panel for each alteration, from a card's metrics.json; bands are intervals over images.

    The steps stand side by side, unaltered first, whatever their distance.
    """
    support = [row["support"] for row in found["classes"]]
    lines = {"unaltered": "--", "always the largest class": ":"}
    figure, axes = plt.subplots(3, 3, figsize=(10, 8), sharey=True)
    for ax, (name, steps) in zip(axes.flat, found["altered"].items(), strict=True):
        at = np.arange(len(steps))
        accuracy, low, high = (np.array([step[key] for step in steps]) for key in ("accuracy", "low", "high"))
        ax.plot(at, accuracy, color=plots.OURS, marker="o", markersize=4, label="altered")
        ax.fill_between(at, low, high, color=plots.OURS, alpha=0.2, linewidth=0, label="its interval over images")
        for height, (label, style) in zip((accuracy[0], max(support) / sum(support)), lines.items(), strict=True):
            ax.axhline(height, color="0.6", linestyle=style, linewidth=1, label=label)
        ax.set_xticks(at, [f"{step['strength']:g}" for step in steps])
        ax.set(title=ALTERATIONS[name].title, xlabel=textwrap.fill(ALTERATIONS[name].unit, 28), ylim=(0, 1))
        plots.percent_ticks(ax.yaxis)
    figure.supylabel("accuracy")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def examples(image, source):
    """One image of a source, uint8 (48, 48), at each step of each alteration: a row each, unaltered first."""
    columns = 1 + max(len(alteration.strengths) for alteration in ALTERATIONS.values())
    size, bare = (1.2 * columns + 2, 1.25 * len(ALTERATIONS)), {"xticks": [], "yticks": [], "frame_on": False}
    figure, axes = plt.subplots(len(ALTERATIONS), columns, figsize=size, subplot_kw=bare)
    for row, alteration in zip(axes, ALTERATIONS.values(), strict=True):
        for ax, strength in zip(row, (alteration.none, *alteration.strengths), strict=False):
            ax.imshow(alteration(image[np.newaxis], strength, source)[0], cmap="gray", vmin=0, vmax=255)
            shown = "unaltered" if strength == alteration.none else f"{strength:g}"
            ax.set_title(shown, fontsize=8, loc="center", pad=2)
        title = alteration.title.replace(" in the", "\nin the")
        row[0].set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center")
    return figure
