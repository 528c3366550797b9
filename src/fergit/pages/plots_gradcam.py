"""Figures on where a label comes from: maps over mean faces, and over the faces of one's own photograph."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize

from fergit.analysis import gradcam
from fergit.analysis.regions import REGIONS
from fergit.core.errors import FergitError
from fergit.core.faces import SIDE
from fergit.pages import plots
from fergit.pages.present import counted

COLOURS = dict(zip(REGIONS, sns.color_palette("colorblind", 4), strict=True))
EXTENT = (0, SIDE, SIDE, 0)  # pixels, whatever the number of positions
MOST = 3  # times an even map: what is more has the last colour
HEAT = ListedColormap([(*plt.get_cmap("YlOrRd")(0.25 + 0.65 * x)[:3], 0.85 * x**0.7) for x in np.linspace(0, 1, 256)])


def regions(face, boxes):
    """The regions on a mean face, float (48, 48), or on nothing where that is None."""
    figure, axes = plt.subplots(figsize=(4.2, 4))
    _background(axes, face)
    _boxes(axes, boxes, 2, COLOURS)
    for name, (top, bottom, left, right) in boxes.items():
        axes.text(
            (left + right) / 2, (top + bottom) / 2, name, ha="center", va="center", fontsize=10, color="black",
            bbox={"facecolor": COLOURS[name], "edgecolor": "none", "pad": 1.5, "alpha": 0.9},
        )  # fmt: skip
    axes.set_title("The regions on the mean face", fontsize=11)
    return figure


def maps(means, faces, named, boxes):
    """The mean map of each label over the mean face of the images so named, a row for each size of maps.

    Where the images show too few people for a mean face of their own (`gradcam.mean_face`), that of all test images
    lies below, in parentheses; and where these are too few, nothing. Of fewer maps than `gradcam.FEWEST_MAPS` the mean
    is not drawn.

    Parameters
    ----------
    means : DataFrame
        Of `gradcam.measure`.
    faces : Faces
        The test part.
    named : str (n,)
        The label that the network gives each of them.
    boxes : dict
    """
    names = [name for name in faces.classes if name in set(named)]
    sizes = list(dict.fromkeys(means["positions"]))
    figure, axes = plt.subplots(
        len(sizes), len(names), figsize=(1.45 * len(names) + 1, 1.42 * len(sizes) + 0.6), squeeze=False
    )
    everyone = gradcam.mean_face(faces) if gradcam.has_mean_face(faces) else None
    for column, name in enumerate(names):
        own = faces.take(np.asarray(named) == name)
        alone = gradcam.has_mean_face(own)
        for row, side in enumerate(sizes):
            part = means[(means["positions"] == side) & (means["named"] == name)].sort_values(["row", "column"])
            _background(axes[row, column], gradcam.mean_face(own) if alone else everyone)
            drawn = part["maps"].iloc[0]
            if drawn >= gradcam.FEWEST_MAPS:
                _heat(axes[row, column], part["value"].to_numpy().reshape(side, side))
            else:
                _note(axes[row, column], counted(drawn, "map"))
            _boxes(axes[row, column], boxes, 0.7)
        count = f"{len(own):,}" if alone else f"({len(own):,})"
        axes[0, column].set_title(f"{name}\n{count}", loc="center", fontsize=10)
    for row, side in enumerate(sizes):
        axes[row, 0].set_ylabel(f"{side}x{side}", fontsize=10)
    _bar(figure, axes)
    return figure


def shares(found):
    """The share of the maps in all regions beside what it must be held against, from a metrics.json."""
    sizes = found["sizes"]
    figure, axes = plt.subplots(figsize=(8, 1.1 + 0.75 * len(sizes)))
    for at, one in enumerate(sizes):
        fresh, low, high = one["untrained"], *one["reach"]
        axes.barh(at, high - low, left=low, height=0.5, color="0.92", label="_" if at else "possible")
        spread = [fresh["share"]["all"] - fresh["least"], fresh["most"] - fresh["share"]["all"]]
        label = f"{fresh['networks']} untrained networks"
        axes.errorbar(
            fresh["share"]["all"], at + 0.13, xerr=np.array([spread]).T, fmt="s", color="0.45", capsize=3, markersize=5,
            label="_" if at else label,
        )  # fmt: skip
        mean = one["share"]["all"]
        if mean is not None:
            ends = [0, 0] if one["low"] is None else [mean - one["low"], one["high"] - mean]
            axes.errorbar(
                mean, at - 0.13, xerr=np.abs(np.array([ends]).T), fmt="o", color=plots.OURS, capsize=3,
                label="_" if at else "trained network",
            )  # fmt: skip
    axes.axvline(found["area"]["all"], color="0.2", linestyle="--", linewidth=1, label="their area")
    axes.set_yticks(range(len(sizes)), [f"{one['positions']}x{one['positions']}" for one in sizes])
    axes.set(xlim=(0, 1), xlabel="share of the map in mouth, nose, eyes and brows", ylabel="positions")
    axes.set_title(f"{gradcam.title(found)}", fontsize=11)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return figure


def explain(photograph, weights=None):
    """Why this label? Each face of a photograph as the network sees it, and its maps for the label that it is given.

    Parameters
    ----------
    photograph : path
    weights : path, optional
        Another file of `fergit.use.shipped.save_network` than the shipped one; its classes are to be those of
        `fergit.use.predict.CLASSES`.

    Returns
    -------
    Figure
        A row for each face, the largest first.

    Raises
    ------
    FergitError
        The file cannot be read, shows no face that is found, or there is no such network.
    """
    from fergit.use import photographs, shipped
    from fergit.use.detection import CascadeDetector, crop
    from fergit.use.predict import CLASSES

    gray = photographs.to_gray(photographs.read(photograph), "bgr")
    found = CascadeDetector()(gray)
    if not found:
        raise FergitError(f"{photograph}: no face is found in it")
    network = shipped.load_network(weights or shipped.WEIGHTS)
    return over_faces(network, np.stack([crop(gray, one) for one in found]), CLASSES)


def over_faces(network, images, classes):
    """Each image as it is, and its map at each size of `gradcam.layers` up to `gradcam.FINEST` over it.

    Parameters
    ----------
    network : keras.Model
    images : uint8 (n, 48, 48)
    classes : sequence of str
    """
    sizes = gradcam.shown(network)
    figure, axes = plt.subplots(
        len(images),
        1 + len(sizes),
        figsize=(3 + 2 * len(sizes), 2 * len(images) + 0.4),
        squeeze=False,
        layout="constrained",
    )
    for column, (side, layer) in enumerate(sizes.items(), start=1):
        found, probabilities = gradcam.explain(network, images, layer=layer)
        axes[0, column].set_title(f"{side}x{side}", loc="center", fontsize=10)
        for row, image in enumerate(images):
            _background(axes[row, column], image)
            if found[row].any():
                _heat(axes[row, column], found[row] / found[row].mean())
            else:
                _note(axes[row, column], "all zero")
    for row, image in enumerate(images):
        _background(axes[row, 0], image)
        best = probabilities[row].argmax()
        axes[row, 0].set_ylabel(f"{classes[best]} {probabilities[row][best]:.0%}", fontsize=10)
    _bar(figure, axes)
    return figure


def _background(axes, face):
    """A face in gray, or an empty panel of the same size."""
    axes.set(xlim=(0, SIDE), ylim=(SIDE, 0), xticks=[], yticks=[], aspect="equal", facecolor="0.8")
    if face is not None:
        axes.imshow(face, cmap="gray", extent=EXTENT)


def _heat(axes, map_):
    """A map (side, side), in multiples of an even one, upsampled as its shares are."""
    large = gradcam.upsampled(np.nan_to_num(map_)[np.newaxis].astype(np.float32))[0]
    axes.imshow(large, cmap=HEAT, vmin=0, vmax=MOST, extent=EXTENT, interpolation="nearest")


def _note(axes, text):
    """Why there is no map."""
    box = {"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 2}
    axes.text(SIDE / 2, 6, text, ha="center", va="center", color="white", fontsize=9, bbox=box)


def _bar(figure, axes):
    """The colours of `_heat`, over a middle gray as over a face."""
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, MOST), HEAT),
        ax=axes,
        shrink=0.7,
        pad=0.01,
        ticks=range(MOST + 1),
        label="times an even map",
    )
    bar.ax.set_yticklabels([*range(MOST), f"{MOST} or more"])
    bar.ax.set_facecolor("0.5")
    bar.solids.set_edgecolor("none")


def _boxes(axes, boxes, width, colours=None):
    for name, (top, bottom, left, right) in boxes.items():
        colour = colours[name] if colours else "white"
        axes.add_patch(
            plt.Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=width)
        )
