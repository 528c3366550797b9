"""Figures of results: what the networks get right, what they confuse, and how sure they are."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fergit.pages.plots import OURS, PAPER
from fergit.paper import published


def confusion_matrices(confusion, classes):
    """Counts and row shares side by side, as the paper's Figure 5.

    Parameters
    ----------
    confusion : int (classes, classes)
        Rows are the true classes.
    classes : sequence of str
    """
    support = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, support, out=np.zeros(confusion.shape), where=support > 0)
    figure, axes = plt.subplots(1, 2, figsize=(11.2, 5.6), sharey=True)
    panels = ((confusion, "d", "images", None), (100 * shares, ".0f", "% of the true class", 100))
    for ax, (values, form, title, top) in zip(axes, panels, strict=True):
        sns.heatmap(
            values,
            annot=True,
            fmt=form,
            cmap="Blues",
            vmin=0,
            vmax=top,
            square=True,
            cbar=False,
            linewidths=0.5,
            linecolor="white",
            xticklabels=classes,
            yticklabels=classes,
            annot_kws={"size": 11},
            ax=ax,
        )
        ax.set(title=title, xlabel="predicted")
        ax.tick_params(axis="x", rotation=45, length=0)
        ax.tick_params(axis="y", rotation=0, length=0)
        plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    axes[0].set_ylabel("true")
    return figure


def study(trainings, vary, are_draws, paper):
    """The test accuracy of each training of a study, by variant; and the mean of each variant, or of all where they are
    draws.

    Parameters
    ----------
    trainings : DataFrame
        ``variant``, ``network``, ``accuracy``.
    vary : str
        What the variants are values of.
    are_draws : bool
        Whether the variants are equals, such as splits.
    paper : dict of str to dict or None
        The paper's numbers by network, of which ``accuracy`` is drawn; None where it has none.
    """
    figure, ax = plt.subplots(figsize=(8, 4))
    networks = trainings["network"].unique()
    colors = dict(zip(networks, sns.color_palette(), strict=False))
    sns.swarmplot(  # and not stripplot, which strews its points at random
        trainings, x="variant", y="accuracy", hue="network", palette=colors, dodge=len(networks) > 1, size=7, ax=ax
    )
    if not are_draws:
        means = trainings.groupby(["variant", "network"], sort=False, as_index=False)["accuracy"].mean()
        sns.pointplot(
            means,
            x="variant",
            y="accuracy",
            hue="network",
            palette=colors,
            marker="_",
            markersize=24,
            linestyle="none",
            dodge=0.4 if len(networks) > 1 else False,
            legend=False,
            ax=ax,
        )
    for network, color in colors.items():
        if are_draws:
            mean = trainings.loc[trainings["network"] == network, "accuracy"].mean()
            ax.axhline(mean, color=color, linestyle=":", label=f"{network}, mean {100 * mean:.1f} %")
        if paper[network]:
            theirs = paper[network]["accuracy"]
            label = f"paper, {network}, {100 * theirs:.0f} %\n(of {published.RECIPE['train.epochs']} epochs)"
            ax.axhline(theirs, color=PAPER, linestyle="--", label=label)
    ax.set(xlabel=vary, ylabel="test accuracy", title="Test accuracy of each training")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def f1_per_class(ours, paper=None):
    """F1 of each class, ours and, where there is one, the paper's, from the easiest class to the hardest.

    Parameters
    ----------
    ours : DataFrame
        `metrics.per_class`.
    paper : dict, optional
        A table of `published`.
    """
    table = ours.sort_values("f1", kind="stable")
    rows = np.arange(len(table))
    figure, ax = plt.subplots(figsize=(8, 0.5 * len(table) + 1.4))
    if paper:
        theirs = dict(zip(paper["classes"], paper["f1"], strict=True))
        values = [theirs[name] for name in table.index]
        ax.hlines(rows, np.minimum(values, table["f1"]), np.maximum(values, table["f1"]), color="0.8", lw=2, zorder=1)
        ax.scatter(values, rows, s=80, color=PAPER, edgecolor="0.3", marker="D", label="paper", zorder=2)
    ax.scatter(table["f1"], rows, s=80, color=OURS, label="ours", zorder=3)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(table) - 0.4), xlabel="F1")
    ax.set_yticks(rows, [f"{name}  (n = {n})" for name, n in table["support"].items()])
    ax.grid(axis="y", visible=False)
    if paper:
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def roc(curves, areas):
    """One-vs-rest ROC curves, with the area under each in the legend.

    Parameters
    ----------
    curves, areas : DataFrame, Series
        `metrics.roc_curves`.
    """
    styles, colours = (
        ("-", "--", "-."),
        [sns.color_palette("colorblind")[i] for i in (0, 1, 2, 3, 4, 7, 9)],
    )  # not the pale
    figure, ax = plt.subplots(figsize=(7.6, 5.6))
    for number, (name, area) in enumerate(areas.dropna().items()):
        curve = curves[curves["class"] == name]
        look = {"color": colours[number % len(colours)], "ls": styles[number % len(styles)], "lw": 1.8}
        ax.step(curve["fpr"], curve["tpr"], where="post", label=f"{name}  {area:.3f}", **look)
    ax.plot([0, 1], [0, 1], color="0.6", lw=1, ls=":")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="false positive rate", ylabel="true positive rate")
    ax.legend(title="area under the curve", loc="lower right", alignment="left")
    ax.set_aspect("equal")
    return figure


def reliability(table, error):
    """Accuracy against confidence, and how many images stand behind each point.

    Parameters
    ----------
    table, error : DataFrame, float
        `metrics.calibration` and `metrics.calibration_error`.
    """
    figure, (ax, below) = plt.subplots(
        2, 1, figsize=(6.2, 6.6), sharex=True, gridspec_kw={"height_ratios": (3, 1)}, layout="constrained"
    )
    ax.plot([0, 1], [0, 1], color="0.6", lw=1, ls=":", label="perfectly calibrated")
    ends = _lengths(table["accuracy"], table["accuracy_low"], table["accuracy_high"])
    label = f"network, with intervals (error {error:.3f})"
    ax.errorbar(table["confidence"], table["accuracy"], yerr=ends, color=OURS, marker="o", capsize=3, label=label)
    ax.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), ylabel="share that is right")
    ax.legend(loc="lower right")
    below.bar(table["low"], table["images"], width=table["high"] - table["low"], align="edge", color=OURS, alpha=0.6)
    below.set(xlabel="probability of the predicted class", ylabel="images")
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure


def networks(rows):
    """Accuracy and macro F1 of each network with their intervals, beside the paper's.

    Parameters
    ----------
    rows : DataFrame
        network, metric, value, low, high, paper (NaN where it has none).
    """
    metrics = list(dict.fromkeys(rows["metric"]))
    names = list(dict.fromkeys(rows["network"]))
    ends = rows[["low", "high", "paper"]]
    low, high = ends.min(axis=None), ends.max(axis=None)
    margin = max(0.15 * (high - low), 0.02)
    limits = max(0, low - margin), min(1.005, high + margin)  # just above 1, so that a mark there is not cut
    figure, axes = plt.subplots(
        1, len(metrics), figsize=(10, 0.55 * len(names) + 1.9), sharex=True, sharey=True, squeeze=False
    )
    for ax, metric in zip(axes[0], metrics, strict=True):
        part = rows[rows["metric"] == metric].set_index("network").loc[names]
        y = np.arange(len(names))[::-1]
        ends = _lengths(part["value"], part["low"], part["high"])
        ax.errorbar(part["value"], y, xerr=ends, fmt="o", ms=8, capsize=4, color=OURS, label="ours")
        if part["paper"].notna().any():
            ax.scatter(part["paper"], y, s=70, marker="D", color=PAPER, edgecolor="0.3", label="paper", zorder=1)
        ax.set(title=metric, ylim=(-0.6, len(names) - 0.4))
        ax.set_yticks(y, names)
        ax.set_xlim(*limits)
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        ax.grid(axis="y", visible=False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def learning(histories):
    """Validation accuracy by epoch, one colour for each network, one line for each seed.

    Parameters
    ----------
    histories : DataFrame
        network, seed, epoch, val_accuracy.
    """
    figure, ax = plt.subplots(figsize=(8, 4))
    sns.lineplot(
        histories,
        x="epoch",
        y="val_accuracy",
        hue="network",
        style="network",
        units="seed",
        estimator=None,
        markers=bool(histories["epoch"].max() < 30),  # a line of one epoch would not be seen
        ax=ax,
    )
    ax.set(ylabel="validation accuracy", ylim=(0, 1.02), xlim=(0, histories["epoch"].max() + 1))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(title=None, loc="lower right")
    return figure


def _lengths(value, low, high):
    """The two halves of error bars; rounding must not make one negative."""
    return np.maximum([value - low, high - value], 0)
