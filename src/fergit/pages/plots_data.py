"""Tables and figures of a data set before any training: sizes, parts, mean faces, copies."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from fergit.core.errors import FergitError
from fergit.core.faces import PARTS
from fergit.pages import plots
from fergit.paper import published

PART_COLOURS = {"train": plots.OURS, "validation": "#E0A030", "test": "#B5483A"}
WHOSE = {"ours": plots.OURS, "paper": plots.PAPER}


def class_sizes(faces):
    """Images by class and part: DataFrame of int, a row for each class and one for all, with a last column ``all``.

    A class with this name is a FergitError.
    """
    if "all" in faces.classes:
        raise FergitError("a class is called 'all', which in tables is the sum of classes; images.classes renames it")
    classes = pd.Categorical.from_codes(faces.labels, list(faces.classes))
    parts = pd.Categorical(faces.split, list(PARTS))
    table = pd.crosstab(classes, parts, dropna=False)
    table.index, table.columns = table.index.astype(str), table.columns.astype(str)
    table["all"] = table.sum(axis=1)
    table.loc["all"] = table.sum()
    return table.rename_axis(index="class", columns=None)


def supports(faces, dataset):
    """The test set's class sizes, and where the paper has them (pp. 82, 85) its own and the ``difference``."""
    ours = class_sizes(faces)["test"].rename("ours").to_frame()
    paper = published.test_supports(dataset)
    if paper is not None:
        ours["paper"] = [*paper, sum(paper)]
        ours["difference"] = ours["ours"] - ours["paper"]
    return ours


def plot_class_sizes(faces):
    """Images of each class, as the paper's Figure 3."""
    numbers = pd.Series(faces.counts())
    figure, axes = plt.subplots(figsize=(8, 3.6))
    sns.barplot(x=numbers.index, y=numbers.to_numpy(), color=plots.OURS, saturation=1, ax=axes)
    axes.bar_label(axes.containers[0], [f"{n:,}\n{100 * n / len(faces):.1f} %" for n in numbers], fontsize=9, padding=2)
    return _bars(figure, axes, f"Images of each class, {len(faces):,} in all", 0.18)


def plot_split(faces, dataset):
    """Images of each part, as the paper's Figure 4, and the share of each class that a part got."""
    sizes = class_sizes(faces)
    paper = {"fergit": published.FERGIT_SPLIT, "ckplus": {"test": published.CKPLUS_TEST}}.get(dataset, {})
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), width_ratios=(1.2, 1.5))
    rows = [("ours", part, int(sizes.loc["all", part])) for part in PARTS]
    rows += [("paper", part, number) for part, number in paper.items()]
    bars = pd.DataFrame(rows, columns=["of", "part", "images"])
    sns.barplot(bars, x="part", y="images", hue="of", palette=WHOSE, saturation=1, ax=left, legend=bool(paper))
    _labelled(left)
    _bars(figure, left, "Images of each part", 0.12)

    shares = sizes[list(PARTS)].div(sizes["all"], axis=0).iloc[::-1]
    shares.plot.barh(stacked=True, color=PART_COLOURS, width=0.75, ax=right)
    right.set(title="How each class is split", xlabel="share of the class", xlim=(0, 1), ylabel="")
    plots.percent_ticks(right.xaxis)
    right.grid(axis="y", visible=False)
    right.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def plot_supports(table):
    """Class sizes of the test set beside the paper's, from `supports`."""
    long = table.drop(index="all")[["ours", "paper"]].melt(ignore_index=False, var_name="of", value_name="images")
    figure, axes = plt.subplots(figsize=(8, 3.6))
    sns.barplot(long.reset_index(), x="class", y="images", hue="of", palette=WHOSE, saturation=1, ax=axes)
    _labelled(axes)
    return _bars(figure, axes, "Test images of each class, the paper's and ours", 0.1)


def _labelled(axes):
    for container in axes.containers:
        axes.bar_label(container, fmt="{:,.0f}", fontsize=8, padding=2)


def _bars(figure, axes, title, margin):
    """The look of bars that count images."""
    axes.set(title=title, xlabel="", ylabel="images")
    axes.margins(y=margin)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(visible=False)  # each bar has its number
    if axes.get_legend():
        axes.legend(title=None)
    return figure


def mean_faces(faces):
    """The mean of each class' training images: float (classes, 48, 48), NaN where they show too few people."""
    train = faces.take(faces.split == "train")
    means = (plots.mean_face(train.take(train.labels == label)) for label in range(len(faces.classes)))
    return np.stack([np.full(faces.images.shape[1:], np.nan) if mean is None else mean for mean in means])


def plot_mean_faces(faces):
    """Each class' mean face, and how it differs from the mean of all classes' means."""
    means = mean_faces(faces)
    shown = means[~np.isnan(means[:, 0, 0])]
    deviations = means - (shown.mean(axis=0) if len(shown) else 0)
    largest = max(1.0, np.nan_to_num(np.abs(deviations)).max())
    darkest, brightest = (shown.min(), shown.max()) if len(shown) else (0, 255)  # one scale for all
    figure, axes = plt.subplots(2, len(means), figsize=(1.6 * len(means), 3.3), subplot_kw={"xticks": [], "yticks": []})
    for (above, below), mean, deviation, name in zip(axes.T, means, deviations, faces.classes, strict=True):
        above.imshow(mean, cmap="gray", vmin=darkest, vmax=brightest)
        drawn = below.imshow(deviation, cmap="RdBu_r", vmin=-largest, vmax=largest)
        above.set_title(name, loc="center", fontsize=11)
    axes[0, 0].set_ylabel("mean")
    axes[1, 0].set_ylabel("minus the mean\nof all classes")
    figure.colorbar(drawn, ax=axes[1, :].tolist(), shrink=0.8, label="gray values")
    return figure


def plot_copies(matrix):
    """How many images of a part have an exact copy in which part, from a matrix of int (3, 3)."""
    figure, axes = plt.subplots(figsize=(5, 3.4))
    sns.heatmap(matrix, annot=True, fmt=",d", cmap="Blues", cbar=False, linewidths=1, ax=axes)
    axes.set_title("Images with an exact copy")
    axes.tick_params(axis="y", rotation=0)
    return figure


def plot_contact_sheet(faces, columns=14):
    """The first images of each class, a row each. For drawn faces only: a real person's face is an error."""
    if (faces.source != "synthetic").any():
        raise FergitError("plots: faces of real people are not shown")
    side = faces.images.shape[1]
    sheet = np.full((side * len(faces.classes), side * columns), 255, np.uint8)
    for label in range(len(faces.classes)):
        row = np.hstack(faces.images[faces.labels == label][:columns])
        sheet[side * label : side * (label + 1), : row.shape[1]] = row
    figure, axes = plt.subplots(figsize=(11, 11 * len(faces.classes) / columns + 0.4))
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], title=f"The first {columns} drawn faces of each class")
    axes.set_yticks(side * (np.arange(len(faces.classes)) + 0.5), faces.classes)
    axes.grid(visible=False)
    return figure
