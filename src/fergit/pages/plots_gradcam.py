"""Figures on where a label comes from: maps over mean faces, and what their share in the regions is compared with."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize

from fergit.analysis.regions import ALL, FEWEST_MAPS, REGIONS, upsampled
from fergit.core.faces import SIDE
from fergit.pages import plots
from fergit.pages.present import counted

COLOURS = dict(zip(REGIONS, sns.color_palette("colorblind", 4), strict=True))
EXTENT = (0, SIDE, SIDE, 0)  # pixels, whatever the number of positions
MOST = 3  # times an even map: what is more has the last colour
ABOVE = np.clip((MOST * np.linspace(0, 1, 256) - 1) / (MOST - 1), 0, 1)  # 0 up to the value of an even map
HEAT = ListedColormap([(*plt.get_cmap("YlOrRd")(0.25 + 0.65 * x)[:3], 0.85 * x**0.7) for x in ABOVE])


def regions(face, boxes):
    """The regions on a mean face, float (48, 48), or on nothing where that is None."""
    figure, axes = plt.subplots(figsize=(4.2, 4))
    background(axes, face)
    outline(axes, boxes, 2, COLOURS)
    for name, (top, bottom, left, right) in boxes.items():
        box = {"facecolor": COLOURS[name], "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
        axes.text((left + right) / 2, (top + bottom) / 2, name, ha="center", va="center", fontsize=10, bbox=box)
    axes.set_title("The regions on the mean face", fontsize=11)
    return figure


def maps(means, faces, named, boxes):
    """The mean map of each label over the mean face of the images so named, a row for each size of maps.

    `means` is of `gradcam.measure`, `named`, str (n,), the label that the network gives each test image. Where the
    images show too few people for a mean face of their own, that of all test images lies below, and their number is in
    parentheses. Of fewer maps than `FEWEST_MAPS` the mean is not drawn.
    """
    names = [name for name in faces.classes if name in set(named)]
    sizes = list(dict.fromkeys(means["positions"]))
    size = (1.45 * len(names) + 1, 1.42 * len(sizes) + 0.6)
    figure, axes = plt.subplots(len(sizes), len(names), figsize=size, squeeze=False)
    everyone = plots.mean_face(faces)
    for column, name in enumerate(names):
        own = faces.take(np.asarray(named) == name)
        face = plots.mean_face(own)
        number = f"({counted(len(own), 'image')})" if face is None else counted(len(own), "image")
        axes[0, column].set_title(f"{name}\n{number}", loc="center")
        for ax, side in zip(axes[:, column], sizes, strict=True):
            part = means[(means["positions"] == side) & (means["named"] == name)].sort_values(["row", "column"])
            background(ax, everyone if face is None else face)
            if part["maps"].iloc[0] >= FEWEST_MAPS:
                heat(ax, part["value"].to_numpy().reshape(side, side))
            else:
                note(ax, counted(part["maps"].iloc[0], "map"))
            outline(ax, boxes, 0.7)
    for ax, side in zip(axes[:, 0], sizes, strict=True):
        ax.set_ylabel(f"{side}x{side}")
    colour_bar(figure, axes)
    return figure


def shares(found):
    """The share of the maps in all regions beside what it is compared with, from metrics.json."""
    sizes = found["sizes"]
    figure, axes = plt.subplots(figsize=(8, 1.7 + 0.75 * len(sizes)))
    for at, one in enumerate(sizes):
        fresh = one["untrained"]
        label = f"{fresh['networks']} untrained networks, and their range"
        axes.hlines(at + 0.2, fresh["least"], fresh["most"], color="0.45")
        axes.plot(fresh["share"][ALL], at + 0.2, "s", color="0.45", label=label)
        if one["share"][ALL] is not None:
            axes.plot(one["centre"][ALL], at, "D", color="#B5483A", label="center map, as wide")
            axes.hlines(at - 0.2, one["low"] or one["share"][ALL], one["high"] or one["share"][ALL], color=plots.OURS)
            axes.plot(one["share"][ALL], at - 0.2, "o", color=plots.OURS, label="trained network")
    axes.axvline(found["area"][ALL], color="0.2", linestyle="--", linewidth=1, label="area of the regions")
    axes.set_yticks(range(len(sizes)), [f"{one['positions']}x{one['positions']}" for one in sizes])
    axes.set(xlabel="share of the map in mouth, nose, eyes and brows", ylabel="positions")
    axes.set_xlim(left=0)
    plots.percent_ticks(axes.xaxis)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(len(sizes) - 0.5, -0.5)
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def background(axes, face):
    """A face in gray, or an empty panel of the same size."""
    axes.set(xlim=(0, SIDE), ylim=(SIDE, 0), xticks=[], yticks=[], aspect="equal", facecolor="0.8")
    if face is not None:
        axes.imshow(face, cmap="gray", extent=EXTENT)


def heat(axes, map_):
    """A map (side, side), in multiples of an even one, upsampled as its shares are."""
    large = upsampled(np.nan_to_num(map_)[np.newaxis].astype(np.float32))[0]
    axes.imshow(large, cmap=HEAT, vmin=0, vmax=MOST, extent=EXTENT, interpolation="nearest")


def note(axes, text):
    """Why there is no map."""
    box = {"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 2}
    axes.text(SIDE / 2, 6, text, ha="center", va="center", color="white", fontsize=9, bbox=box)


def colour_bar(figure, axes):
    """The colours of `heat`, over a middle gray as over a face."""
    look = {"shrink": 0.7, "pad": 0.01, "ticks": range(MOST + 1), "label": "relative to an even map (= 1)"}
    bar = figure.colorbar(ScalarMappable(Normalize(0, MOST), HEAT), ax=axes, **look)
    bar.ax.set_yticklabels([*range(MOST), f"{MOST} or more"])
    bar.ax.set_facecolor("0.5")
    bar.solids.set_edgecolor("none")


def outline(axes, boxes, width, colours=None):
    """The boxes of regions."""
    for name, (top, bottom, left, right) in boxes.items():
        look = {"fill": False, "edgecolor": colours[name] if colours else "white", "linewidth": width}
        axes.add_patch(plt.Rectangle((left, top), right - left, bottom - top, **look))
