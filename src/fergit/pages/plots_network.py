"""Drawings of the networks, made from the networks themselves."""

import itertools
import math
import re
import textwrap

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from fergit.pages.plots import OURS, PAPER

COLOURS = {
    "Convolution": "#CFE0F1",
    "BatchNormalization": "#FBE3C0",
    "MaxPooling2D": "#DCEBD3",
    "Add": "#F3CFD2",
    "Dense": "#DDD3EA",
}
PLAIN, LINE, SMALL = "#F1F1F1", "#8A8A8A", {"va": "center", "fontsize": 8, "color": "#555555"}
LABELS = {
    "InputLayer": "image",
    "BatchNormalization": "batch normalization",
    "MaxPooling2D": "max pooling 2x2",
    "GlobalAveragePooling2D": "global average pooling",
    "Add": "sum",
    "ReLU": "ReLU",
}
WIDTH, HEIGHT = 4.3, 0.78  # of the box of one layer; rows are 1 apart


def networks(models, stated):
    """Draw networks side by side, layer by layer, beside what the paper says of each part.

    Equal layers stand on equal height. A box has the layer, and its number of parameters where it has any; the size of
    the maps stands to the left of the box where it changes.

    Parameters
    ----------
    models : list of keras.Model
        From `fergit.engine.network.build_network`, the deepest last.
    stated : DataFrame
        part (the first part of layer names), statement, pages.

    Returns
    -------
    Figure
    """
    columns = [_rows(model) for model in models]
    order = _common_order(columns)
    figure, axes = plt.subplots(figsize=(13, 0.26 * (len(order) + 4)))
    top, step = len(order), 7.0
    height = {name: top - i for i, name in enumerate(order)}

    said, seen = dict(list(stated.groupby("part"))), set()
    for part, group in itertools.groupby(order, lambda name: name.partition("_")[0]):  # a residual block parts its pair
        names = list(group)
        first, last = height[names[0]] + HEIGHT / 2, height[names[-1]] - HEIGHT / 2
        colour = OURS if "residual" in part else PAPER
        axes.plot([-0.25, -0.25], [first, last], color=colour, lw=3, solid_capstyle="butt")
        if part not in seen and len(names) > 1:
            title = re.sub(r"(\d)", r" \1", part)
            axes.text(-0.5, (first + last) / 2, title, rotation=90, va="center", ha="right", fontsize=8)
        if part not in seen and part in said:
            text = "\n".join(_sentence(row) for row in said[part].itertuples())
            axes.text(0, first, text, va="top", fontsize=9, linespacing=1.25)
        seen.add(part)
    axes.text(0, top + 1.9, "The paper's words", fontsize=12, weight="bold")

    for i, (model, rows) in enumerate(zip(models, columns, strict=True)):
        left = 8.2 + i * step
        trainable = sum(math.prod(weights.shape) for weights in model.trainable_weights)
        axes.text(left - 1.2, top + 1.9, f"{model.name.capitalize()} network", fontsize=12, weight="bold")
        axes.text(left - 1.2, top + 1.1, f"{model.count_params():,} parameters, {trainable:,} trainable", fontsize=9)
        _column(axes, rows, height, left)

    axes.set_xlim(-1.1, 8.2 + len(models) * step - 1.2)
    axes.set_ylim(0.2, top + 2.9)
    axes.axis("off")
    return figure


def _sentence(row):
    """A statement with its page, in lines that fit beside the networks and do not part "p." from its number."""
    pages = f"(p{'p' * (',' in row.pages)}. {row.pages})".replace(" ", "\u00a0")
    return textwrap.fill(f"{row.statement} {pages}", 56)


def _rows(model):
    """What is drawn: {name of the row's first layer: [layer, label, parameters]}; a ReLU joins the layer before it."""
    rows, last = {}, None
    for layer in model.layers:
        label = _label(layer)
        joins = type(layer).__name__ == "ReLU" or (type(layer).__name__ == "Dropout" and last and "_pool" in last)
        if joins:
            rows[last][1] += f", {label}"
        else:
            last = layer.name
            rows[last] = [layer, label, layer.count_params()]
    return rows


def _label(layer):
    kind, config = type(layer).__name__, layer.get_config()
    if kind == "Convolution":
        side, relu = config["kernel_size"][0], ", ReLU" if config["activation"] == "relu" else ""
        return f"convolution {side}x{side}, {config['filters']}{relu}"
    if kind == "Dense":
        return f"dense {config['units']}, {config['activation']}"
    return f"dropout {config['rate']:g}" if kind == "Dropout" else LABELS[kind]


def _common_order(columns):
    """One order of all rows: the last network's, and rows that only others have before the row that follows them."""
    order = list(columns[-1])
    for rows in columns[:-1]:
        names = list(rows)
        for i in range(len(names) - 1, -1, -1):
            if names[i] not in order:
                order.insert(order.index(names[i + 1]), names[i])
    return order


def _column(axes, rows, height, left):
    """One network: a box for each row, the size of the maps, and the shortcuts."""
    middle, right, above, size, entry = left + WIDTH / 2, left + WIDTH, None, None, None
    for name, (layer, label, parameters) in rows.items():
        y, shape = height[name], layer.output.shape[1:]
        if above is not None:
            axes.plot([middle, middle], [above - HEIGHT / 2, y + HEIGHT / 2], color=LINE, lw=1, solid_capstyle="butt")
        style = {"facecolor": COLOURS.get(type(layer).__name__, PLAIN), "edgecolor": LINE, "linewidth": 0.7}
        corner = left, y - HEIGHT / 2
        axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.12", **style))
        axes.text(left + 0.12, y, label, va="center", fontsize=8.5)
        if parameters:
            axes.text(right - 0.1, y, f"{parameters:,}", ha="right", **SMALL)
        if shape != size:
            axes.text(left - 0.1, y, "x".join(map(str, shape)), ha="right", **SMALL)
        if name.endswith("_add"):
            bend = {"arrowstyle": "-|>", "mutation_scale": 11, "connectionstyle": "bar,fraction=-0.12"}
            arrow = FancyArrowPatch((right, height[entry]), (right, y), color=OURS, linewidth=1.4, **bend)
            axes.add_patch(arrow)
        if not name.startswith("residual"):
            entry = name  # the last layer before a residual block, where its shortcut starts
        above, size = y, shape


def poolings(curves):
    """Accuracy by epoch of networks with six and with five poolings.

    Parameters
    ----------
    curves : DataFrame
        network, poolings, seed, epoch, accuracy, val_accuracy.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", sharey=True)
    for (network, count, seed), rows in curves.groupby(["network", "poolings", "seed"]):
        for ax, column in zip(axes, ("accuracy", "val_accuracy"), strict=True):
            label, colour = f"{count} poolings, {network}, seed {seed}", OURS if count == 5 else "#8A8A8A"
            style = "--" if network == "basic" else "-"
            ax.plot(rows["epoch"], rows[column], label=label, color=colour, linestyle=style)
    for ax, title in zip(axes, ("training", "validation"), strict=True):
        ax.set(title=title, xlabel="epoch", ylim=(0.2, 0.7))
    axes[0].set_ylabel("accuracy")
    axes[0].legend(fontsize=8, frameon=False)
    plt.close(figure)
    return figure
