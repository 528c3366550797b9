"""The figure of a study: what each of its trainings came to."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from fergit.analysis.intervals import wilson
from fergit.pages import present
from fergit.pages.plots import NETWORKS, halves, percent_ticks
from fergit.pages.plots_results import ROUND
from fergit.pages.tables_studies import has_splits


def study(trainings, found):
    """The test accuracy of each training of a study, by variant, and the validation accuracy unless splits vary.

    A single training has its interval over images; several have a dash at their mean, and a thin line joins those of
    one seed. `trainings` is a table with ``variant``, ``network``, ``seed``, ``accuracy`` and ``n_test``; `found` is
    the study's metrics.json.
    """
    figure, ax = plt.subplots(figsize=(8, 4))
    names, variants = (list(trainings[column].unique()) for column in ("network", "variant"))
    for number, name in enumerate(names):
        colour, place = NETWORKS[name], 0.3 * (number - (len(names) - 1) / 2)
        runs = trainings[trainings["network"] == name]
        table = runs.pivot(index="variant", columns="seed", values="accuracy").loc[variants]
        several = table.shape[1] > 1
        at = np.arange(len(variants))[:, np.newaxis] + place + 0.06 * (np.arange(table.shape[1]) - table.shape[1] // 2)
        look = {"color": colour, "linestyle": "none", "label": f"{name}, test"}
        if several:
            ax.plot(at.ravel(), table.to_numpy().ravel(), marker="o", **look)
            mean = f"{name}, mean of {table.shape[1]} runs"
            ax.plot(at.mean(axis=1), table.mean(axis=1), **look | {"marker": "_", "markersize": 11, "label": mean})
        else:
            share, n_test = runs["accuracy"], runs["n_test"]  # in the variants' order
            ends = halves(share, *wilson(n_test * share, n_test, found["confidence_level"]))
            ax.errorbar(at[:, 0], share, ends, marker="o", **look)
        if not found["draws"]:
            validation = [row["validation"] for row in found["variants"] if row["network"] == name]
            hollow = {"marker": "D", "markerfacecolor": "none", "label": f"{name}, validation"}
            ax.plot(at.max(axis=1) + 0.1, validation, **look | hollow)
            if several:
                ax.plot(at, table, color="0.75", linewidth=0.8, zorder=1)
        elif has_splits(found):
            share = found["draws"][name]["accuracy"]
            ax.axhline(share, color=colour, linestyle=":", label=f"{name}, all splits, {present.percent(share)}")
        if theirs := found["paper"][name]:
            label = f"paper, {name}, {present.percent(theirs['accuracy'], 0)}"
            ax.axhline(theirs["accuracy"], color="0.35", linestyle="-." if name == "basic" else "--", label=label)
    section, _, varied = found["vary"].replace("_", " ").rpartition(".")
    xlabel = f"{varied} of the split" if section.endswith("split") else varied
    ax.set_title(present.title(found["dataset"]))
    width = max(6, 48 // len(variants))
    ax.set_xticks(range(len(variants)), [textwrap.fill(name.replace("_", " "), width) for name in variants])
    if len(variants) == 1 and len(names) > 1:  # then the networks are what differs
        places, xlabel = [0.3 * (number - (len(names) - 1) / 2) for number in range(len(names))], "network"
        ax.set_xticks(places, names)
    ax.set(xlabel=xlabel, ylabel="accuracy")
    ax.set_xlim(-0.6, len(variants) - 0.4)
    ax.yaxis.set_major_locator(MaxNLocator("auto", steps=ROUND))
    percent_ticks(ax.yaxis)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
