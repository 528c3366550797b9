"""Drawings of the networks, made from the networks themselves."""

import itertools
import re
import textwrap

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from fergit.pages.plots import OURS, PAPER

LOOKS = {  # how a layer is called and coloured, by the end of its class's name
    "InputLayer": ("image", "#F1F1F1"),
    "Convolution": ("convolution", "#CFE0F1"),
    "BatchNormalization": ("batch normalization", "#FBE3C0"),
    "GlobalAveragePooling2D": ("global average pooling", "#F1F1F1"),
    "MaxPooling2D": ("max pooling 2x2", "#DCEBD3"),
    "Dropout": ("dropout", "#F1F1F1"),
    "Add": ("sum", "#F3CFD2"),
    "ReLU": ("ReLU", "#F1F1F1"),
    "Dense": ("dense", "#DDD3EA"),
}
WIDTH, HEIGHT, STEP = 4.3, 0.78, 7.0  # of the box of one layer; columns are so far apart, rows 1


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
    """
    columns = [_rows(model) for model in models]
    order = _common_order(columns)
    top, height = len(order), {name: len(order) - i for i, name in enumerate(order)}
    figure, axes = plt.subplots(figsize=(13, 0.26 * (top + 4)))
    _statements(axes, order, height, stated)
    for i, (model, rows) in enumerate(zip(models, columns, strict=True)):
        left = 8.2 + i * STEP
        title = f"{model.name.capitalize()} network: {model.count_params():,} parameters"
        axes.text(left - 1.2, top + 1.6, title, fontsize=12, weight="bold")
        _column(axes, rows, height, left)
    axes.set(xlim=(-1.1, 7 + len(models) * STEP), ylim=(0.2, top + 2.6))
    axes.axis("off")
    return figure


def _statements(axes, order, height, stated):
    """The paper's words with their pages, beside a line for each part of the networks; block2 comes twice."""
    said, seen = dict(list(stated.groupby("part"))), set()
    for part, names in itertools.groupby(order, lambda name: name.partition("_")[0]):
        names = list(names)
        ends = [height[names[0]] + HEIGHT / 2, height[names[-1]] - HEIGHT / 2]
        axes.plot([-0.25, -0.25], ends, color=OURS if "residual" in part else PAPER, lw=3, solid_capstyle="butt")
        if part not in seen and len(names) > 1:
            title = re.sub(r"(\d)", r" \1", part)
            axes.text(-0.5, sum(ends) / 2, title, rotation=90, va="center", ha="right", fontsize=8)
        if part not in seen and part in said:
            rows = said[part].itertuples()
            texts = [f"{row.statement} (p{'p' * (',' in row.pages)}.\u00a0{row.pages})" for row in rows]
            text = "\n".join(textwrap.fill(text, 56) for text in texts)
            axes.text(0, ends[0], text, va="top", fontsize=9, linespacing=1.25)
        seen.add(part)
    axes.text(0, len(order) + 1.6, "The paper's words", fontsize=12, weight="bold")


def _rows(model):
    """What is drawn: {name of the row's first layer: [layers]}; a ReLU, and a pooling's dropout, join the row above."""
    rows = {}
    for layer in model.layers:
        kind, above = type(layer).__name__, next(reversed(rows), "")
        if kind == "ReLU" or (kind == "Dropout" and "_pool" in above):
            rows[above].append(layer)
        else:
            rows[layer.name] = [layer]
    return rows


def _look(layer):
    return next(look for name, look in LOOKS.items() if type(layer).__name__.endswith(name))


def _label(layer):
    title, config = _look(layer)[0], layer.get_config()
    if title == "convolution":
        relu = ", ReLU" if config["activation"] == "relu" else ""
        return f"convolution {config['kernel_size'][0]}x{config['kernel_size'][1]}, {config['filters']}{relu}"
    if title == "dense":
        return f"dense {config['units']}, {config['activation']}"
    return f"dropout {config['rate']:g}" if title == "dropout" else title


def _common_order(columns):
    """One order of all rows: the last network's, and rows that only others have before the row that follows them."""
    order = list(columns[-1])
    for rows in columns[:-1]:
        for name, following in reversed(list(itertools.pairwise(rows))):
            if name not in order:
                order.insert(order.index(following), name)
    return order


def _column(axes, rows, height, left):
    middle, above, size, entry = left + WIDTH / 2, None, None, None
    for name, (layer, *others) in rows.items():
        y = height[name]
        if above is not None:
            axes.plot([middle, middle], [above - HEIGHT / 2, y + HEIGHT / 2], color="#9A9A9A", lw=1)
        look = {"boxstyle": "round,pad=0,rounding_size=0.12", "edgecolor": "#8A8A8A", "linewidth": 0.7}
        axes.add_patch(FancyBboxPatch((left, y - HEIGHT / 2), WIDTH, HEIGHT, facecolor=_look(layer)[1], **look))
        axes.text(left + 0.12, y, ", ".join(map(_label, (layer, *others))), va="center", fontsize=8.5)
        small = {"va": "center", "ha": "right", "fontsize": 8, "color": "#555555"}
        if layer.count_params():
            axes.text(left + WIDTH - 0.1, y, f"{layer.count_params():,}", **small)
        if layer.output.shape[1:] != size:
            axes.text(left - 0.1, y, "x".join(map(str, layer.output.shape[1:])), **small)
        if name.endswith("_add"):
            ends = (left + WIDTH, height[entry]), (left + WIDTH, y)
            look = {"arrowstyle": "-|>", "mutation_scale": 11, "connectionstyle": "bar,fraction=-0.12"}
            axes.add_patch(FancyArrowPatch(*ends, color=OURS, linewidth=1.4, **look))
        if not name.startswith("residual"):
            entry = name  # the last layer before a residual block: its shortcut starts there
        above, size = y, layer.output.shape[1:]
