"""Figures on copies across parts, on sources and on labels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from fergit.analysis import leaks
from fergit.core.faces import EXPRESSIONS
from fergit.pages import plots
from fergit.pages.present import title

COLOURS = dict(zip(leaks.KINDS, ("#B5483A", "#E0A030", plots.OURS), strict=True))
HEADINGS = {"copies": "{}", "sources": "from {}", "labels": "FER+ votes: {}"}


def correlations(tests):
    """How like its nearest training image each test image is, from `leaks.read_copies`; lines are the thresholds."""
    figure, axes = plt.subplots(figsize=(8, 3.4))
    table = tests.assign(correlation=tests["correlation"].clip(lower=0), copy=leaks.kinds(tests))
    least = np.fmin(np.floor(10 * table["correlation"].min()) / 10, 0.8)  # both thresholds are seen in any case
    look = {"multiple": "stack", "bins": np.linspace(0, 1, 41), "alpha": 1}
    sns.histplot(table, x="correlation", hue="copy", hue_order=leaks.KINDS, palette=COLOURS, ax=axes, **look)
    for near in leaks.NEAR:
        axes.axvline(float(near), color="0.3", linestyle="--", linewidth=1)
    axes.set(
        title=f"The nearest image in training; near copies: {leaks.NEAR[0]} or more (also tried: {leaks.NEAR[1]})",
        xlabel="correlation of the pixels",
        ylabel="test images",
        xlim=(least, 1),
    )
    axes.get_legend().set_title(None)
    return figure


def accuracies(found):
    """Accuracy of each network within the strata of test images, with intervals, from metrics.json."""
    figure, axes = plt.subplots(figsize=(8, 4.2))
    for number, (network, entry) in enumerate(found["networks"].items()):
        strata = {
            "copies": entry["copies"][leaks.NEAR[0]],
            "sources": entry["sources"],
            "labels": entry.get("labels", ()),
        }
        rows = pd.DataFrame([row | {"kind": kind} for kind, several in strata.items() for row in several])
        at = np.arange(len(rows)) + 0.16 * (number - (len(found["networks"]) - 1) / 2)
        ends = plots.halves(rows["accuracy"], rows["low"], rows["high"])
        colour = plots.NETWORKS[network]
        axes.axvline(entry["accuracy"], color=colour, linestyle="--", linewidth=1, label=f"{network}, all images")
        axes.errorbar(rows["accuracy"], at, xerr=ends, fmt="o", capsize=3, label=network, color=colour)
    names = [f"{HEADINGS[row.kind].format(title(row.stratum))} ({row.images:,})" for row in rows.itertuples()]
    axes.set_yticks(range(len(names)), names)  # the same strata in the same order for each network
    axes.set(title="Accuracy by kind of test image", xlabel="accuracy, with its interval", xlim=(0, 1.02))
    plots.percent_ticks(axes.xaxis)
    axes.invert_yaxis()
    axes.legend(title="network", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def seen_as(labels, votes):
    """What most votes of FER+ are for in the images of each class, as shares of the class."""
    table = pd.crosstab(labels, leaks.most_voted(votes), normalize="index")
    names = [name for name in EXPRESSIONS if name in table.index] + [*table.index.difference(EXPRESSIONS)]
    counts = labels.value_counts()
    others = [name for name in (*votes.columns, leaks.NO_EXPRESSION[-1]) if name not in names]
    table = table.reindex(index=names, columns=[*names, *others], fill_value=0.0)
    figure, axes = plt.subplots(figsize=(9, 4.2))
    sns.heatmap(100 * table, annot=True, fmt=".0f", cmap="Blues", vmin=0, vmax=100, cbar=False, ax=axes)
    axes.set(title="% of the test images with a label", xlabel="most votes of FER+ are for", ylabel="label")
    axes.set_yticklabels([f"{name} ({counts[name]:,})" for name in names])
    axes.set_xticklabels([name.replace("_", " ") for name in table.columns], rotation=35, ha="right")
    axes.tick_params(axis="y", rotation=0)
    return figure
