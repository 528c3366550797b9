"""Figures of results: what the networks get right, what they confuse, how sure they are, and how they learned."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from fergit.pages.plots import NETWORKS, PAPER, halves, percent_ticks

ROUND = (1, 2, 5, 10)  # the steps between ticks, and these times powers of ten


def confusion_matrices(confusion, classes):
    """Counts and row shares side by side, as the paper's Figure 5, of int (classes, classes); rows are true classes."""
    support = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, support, out=np.zeros(confusion.shape), where=support > 0)
    figure, axes = plt.subplots(1, 2, figsize=(10, 5.6), sharey=True)
    panels = ((confusion, "d", "images", None), (100 * shares, ".0f", "% of the true class", 100))
    for ax, (values, form, title, top) in zip(axes, panels, strict=True):
        names = {"xticklabels": classes, "yticklabels": classes, "annot_kws": {"size": 11}, "linewidths": 0.5}
        sns.heatmap(
            values, annot=True, fmt=form, cmap="Blues", vmin=0, vmax=top, square=True, cbar=False, ax=ax, **names
        )
        ax.set(title=title, xlabel="predicted")
        ax.tick_params(axis="y", rotation=0, length=0)
        plt.setp(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    axes[0].set_ylabel("true")
    return figure


def f1_per_class(table, network):
    """F1 of each class from `metrics.beside_paper`, with the paper's where it has one, the easiest class on top."""
    table = table.sort_values("f1", kind="stable")
    rows = np.arange(len(table))
    figure, ax = plt.subplots(figsize=(8, 0.5 * len(table) + 1.4))
    if "paper_f1" in table:
        ends = table[["f1", "paper_f1"]]
        ax.hlines(rows, ends.min(axis=1), ends.max(axis=1), color="0.8", lw=2, zorder=1)
        ax.scatter(table["paper_f1"], rows, s=80, color=PAPER, edgecolor="0.3", marker="D", label="paper", zorder=2)
    ax.scatter(table["f1"], rows, s=80, color=NETWORKS[network], label="ours", zorder=3)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(table) - 0.4), xlabel="F1", title="F1 of each class")
    ax.set_yticks(rows, [f"{name}  (n = {n})" for name, n in table["support"].items()])
    ax.grid(axis="y", visible=False)
    if "paper_f1" in table:
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def roc(curves, areas):
    """One-vs-rest ROC curves of `metrics.roc_curves`, with the area under each in the legend."""
    palette = sns.color_palette("colorblind")
    colours, styles = [palette[i] for i in (0, 1, 2, 3, 4, 7, 9)], ("-", "--", "-.", ":")  # not the pale ones
    figure, ax = plt.subplots(figsize=(6, 5.6))
    for number, (name, area) in enumerate(areas.dropna().items()):
        curve = curves[curves["class"] == name]
        look = {"color": colours[number % len(colours)], "ls": styles[number % len(styles)], "lw": 1.8}
        ax.plot(curve["fpr"], curve["tpr"], label=f"{name}  {area:.3f}", **look)
    ax.plot([0, 1], [0, 1], color="0.6", lw=1)
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="false positive rate", ylabel="true positive rate")
    ax.set_aspect("equal")
    ax.legend(title="area under the curve", loc="lower right", alignment="left")
    return figure


def reliability(table, network):
    """Accuracy against confidence from `calibration.reliability`, and how many images each point stands for."""
    colour = NETWORKS[network]
    figure, (ax, below) = plt.subplots(2, 1, figsize=(6.2, 6.6), sharex=True, gridspec_kw={"height_ratios": (3, 1)})
    ax.plot([0, 1], [0, 1], color="0.6", lw=1, ls=":", label="perfectly calibrated")
    ends = halves(table["accuracy"], table["accuracy_low"], table["accuracy_high"])
    ax.errorbar(table["confidence"], table["accuracy"], ends, color=colour, marker="o", capsize=3, label="network")
    ax.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), ylabel="share that is correct")
    ax.legend(loc="lower right")
    below.bar(table["low"], table["images"], table["high"] - table["low"], align="edge", color=colour, zorder=2)
    below.set(xlabel="probability of the predicted class", ylabel="images")
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure


def learning(histories):
    """Training and validation accuracy by epoch, a panel each: a line for each run, and of several their mean.

    `histories` are tables with network, seed, epoch, accuracy and val_accuracy. The mean ends with the shortest run.
    """
    parts = {"accuracy": "training, as augmented, with dropout", "val_accuracy": "validation"}
    table = pd.concat(histories).rename(columns=parts)
    names = table["network"].unique()
    colours = NETWORKS if set(names) <= NETWORKS.keys() else dict(zip(names, sns.color_palette()[2:], strict=False))
    look = {"height": 4, "aspect": 1.2, "units": "seed", "estimator": None, "facet_kws": {"despine": False}}
    look |= {"marker": "o"} if table["epoch"].max() < 30 else {}  # a line of one epoch would not be seen
    several = table["seed"].nunique() > 1
    look |= {"alpha": 0.45, "linewidth": 0.8} if several else {}
    table = table.melt(["network", "seed", "epoch"], [*parts.values()], "part", "share")
    with plt.rc_context({"figure.constrained_layout.use": False}):  # the grid has a layout of its own
        grid = sns.relplot(table, x="epoch", y="share", hue="network", palette=colours, col="part", kind="line", **look)
    for (part, name), runs in table.groupby(["part", "network"]) if several else ():
        mean = runs.pivot(index="epoch", columns="seed", values="share").dropna().mean(axis=1)
        grid.axes_dict[part].plot(mean, color=colours[name], linewidth=2)
    grid.set_axis_labels("epoch", "accuracy").set_titles("{col_name}")
    for line in grid.legend.legend_handles:
        line.set(alpha=1, linewidth=2)
    for ax in grid.axes.flat:  # each fills its axis
        percent_ticks(ax.yaxis)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=ROUND))
    return grid.figure
