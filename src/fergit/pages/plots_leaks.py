"""Figures on copies across parts, on sources and on labels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from fergit.analysis import leaks
from fergit.data import ferplus
from fergit.pages import plots

COLOURS = dict(zip(leaks.KINDS, ("#B5483A", "#E0A030", plots.OURS), strict=True))


def correlations(tests):
    """How like its nearest training image each test image is, from `leaks.tested`."""
    figure, axes = plt.subplots(figsize=(8, 3.4))
    sns.histplot(
        tests.assign(correlation=tests["correlation"].clip(lower=0)),
        x="correlation",
        hue="copy",
        hue_order=leaks.KINDS,
        palette=COLOURS,
        multiple="stack",
        bins=np.linspace(0, 1, 51),
        alpha=1,
        ax=axes,
    )
    axes.axvline(leaks.NEAR, color="0.3", linestyle="--", linewidth=1)
    axes.set(
        title="The nearest image in training", xlabel="correlation of the pixels", ylabel="test images", xlim=(0, 1)
    )
    axes.get_legend().set_title(None)
    return figure


def accuracies(found):
    """Accuracy of each network within the strata, with its intervals, from a metrics.json of `leaks.summary`."""
    headings = {"copies": "{}", "sources": "from {}", "labels": "FER+ votes for {}"}
    networks = list(found["networks"])
    figure, axes = plt.subplots(figsize=(8, 4.2))
    names = []
    for kind, heading in headings.items():
        for row in next(iter(found["networks"].values())).get(kind, ()):
            names.append((kind, row["stratum"], f"{heading.format(row['stratum'])} ({row['images']:,})"))
    for number, network in enumerate(networks):
        rows = {(kind, row["stratum"]): row for kind in headings for row in found["networks"][network].get(kind, ())}
        drawn = [rows[kind, stratum] for kind, stratum, _ in names]
        at = np.arange(len(drawn)) + 0.16 * (number - (len(networks) - 1) / 2)
        centre = np.array([row["accuracy"] for row in drawn])
        ends = np.array([[row["accuracy"] - row["low"], row["high"] - row["accuracy"]] for row in drawn]).T
        axes.errorbar(centre, at, xerr=np.abs(ends), fmt="o", capsize=3, label=network, color=f"C{number}")
    axes.axvline(next(iter(found["networks"].values()))["accuracy"], color="0.6", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(names)), [name for *_, name in names])
    axes.set(title="Accuracy by kind of test image", xlabel="accuracy", xlim=(0, 1.02))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.invert_yaxis()
    axes.legend(title="network", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def seen_as(labels, votes):
    """What most votes of FER+ are for in the images of each class of FER2013, as shares of the class."""
    seen = ferplus.most_voted(votes.loc[labels.index])
    table = pd.crosstab(labels, seen, normalize="index")
    columns = [*table.index, *[name for name in (*ferplus.CLASSES.values(), ferplus.TIE) if name not in table.index]]
    table = table.reindex(columns=columns, fill_value=0.0)
    figure, axes = plt.subplots(figsize=(9, 4.2))
    sns.heatmap(100 * table, annot=True, fmt=".0f", cmap="Blues", vmin=0, vmax=100, cbar=False, ax=axes)
    axes.set(title="Per cent of a label's images", xlabel="most votes of FER+ are for", ylabel="FER2013's label")
    axes.tick_params(axis="x", rotation=35)
    axes.tick_params(axis="y", rotation=0)
    return figure
