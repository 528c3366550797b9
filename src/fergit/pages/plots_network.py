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
    """Draw networks side by side, layer by layer, beside what the paper says of each part: Figure.

    `models` are of `fergit.engine.network.build_network`, the deepest last; `stated` has part (the first part of layer
    names), statement, pages. Equal layers stand at equal height. A box has the layer, and its number of parameters if
    it has any; the size of the maps stands to its left where it changes.
    """
    columns = [_rows(model) for model in models]
    order = _common_order(columns)
    figure, axes = plt.subplots(figsize=(13, 0.26 * (len(order) + 4)))
    top, step, height = len(order), 7.0, {name: len(order) - i for i, name in enumerate(order)}
    _statements(axes, order, height, dict(list(stated.groupby("part"))))
    axes.text(0, top + 1.9, "The paper's words", fontsize=12, weight="bold")
    for i, (model, rows) in enumerate(zip(models, columns, strict=True)):
        left = 8.2 + i * step
        trainable = sum(math.prod(weights.shape) for weights in model.trainable_weights)
        axes.text(left - 1.2, top + 1.9, f"{model.name.capitalize()} network", fontsize=12, weight="bold")
        axes.text(left - 1.2, top + 1.1, f"{model.count_params():,} parameters, {trainable:,} trainable", fontsize=9)
        _column(axes, rows, height, left)
    axes.set(xlim=(-1.1, 8.2 + len(models) * step - 1.2), ylim=(0.2, top + 2.9))
    axes.axis("off")
    return figure


def _statements(axes, order, height, said):
    """A bar and a name for each part, and what the paper says of it, once; a residual block parts its pair."""
    for part, group in itertools.groupby(order, lambda name: name.partition("_")[0]):
        names = list(group)
        first, last = height[names[0]] + HEIGHT / 2, height[names[-1]] - HEIGHT / 2
        colour = OURS if "residual" in part else PAPER
        axes.plot([-0.25, -0.25], [first, last], color=colour, lw=3, solid_capstyle="butt")
        if part in said:
            if len(names) > 1:
                title = re.sub(r"(\d)", r" \1", part)
                axes.text(-0.5, (first + last) / 2, title, rotation=90, va="center", ha="right", fontsize=8)
            text = "\n".join(_sentence(row) for row in said.pop(part).itertuples())
            axes.text(0, first, text, va="top", fontsize=9, linespacing=1.25)


def _sentence(row):
    """A statement with its page, in lines that fit beside the networks and do not part "p." from its number."""
    pages = f"(p{'p' * (',' in row.pages)}. {row.pages})".replace(" ", "\u00a0")
    return textwrap.fill(f"{row.statement} {pages}", 56)


def _rows(model):
    """What is drawn: {name of the row's first layer: [layer, label]}; a ReLU and a dropout join the layer before."""
    rows, last = {}, None
    for layer in model.layers:
        joins = type(layer).__name__ == "ReLU" or (type(layer).__name__ == "Dropout" and last and "_pool" in last)
        if joins:
            rows[last][1] += f", {_label(layer)}"
        else:
            last = layer.name
            rows[last] = [layer, _label(layer)]
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
        for name, following in reversed(list(itertools.pairwise(rows))):
            if name not in order:
                order.insert(order.index(following), name)
    return order


def _column(axes, rows, height, left):
    """One network: a box for each row, the size of the maps, and the shortcuts."""
    middle, right, above, size, entry = left + WIDTH / 2, left + WIDTH, None, None, None
    for name, (layer, label) in rows.items():
        y, shape = height[name], layer.output.shape[1:]
        if above is not None:
            axes.plot([middle, middle], [above - HEIGHT / 2, y + HEIGHT / 2], color=LINE, lw=1, solid_capstyle="butt")
        style = {"facecolor": COLOURS.get(type(layer).__name__, PLAIN), "edgecolor": LINE, "linewidth": 0.7}
        corner = left, y - HEIGHT / 2
        axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.12", **style))
        axes.text(left + 0.12, y, label, va="center", fontsize=8.5)
        if parameters := layer.count_params():
            axes.text(right - 0.1, y, f"{parameters:,}", ha="right", **SMALL)
        if shape != size:
            axes.text(left - 0.1, y, "x".join(map(str, shape)), ha="right", **SMALL)
        if name.endswith("_add"):
            bend = {"arrowstyle": "-|>", "mutation_scale": 11, "connectionstyle": "bar,fraction=-0.12"}
            axes.add_patch(FancyArrowPatch((right, height[entry]), (right, y), color=OURS, linewidth=1.4, **bend))
        if not name.startswith("residual"):
            entry = name  # the last layer before a residual block, where its shortcut starts
        above, size = y, shape
