"""Why this label? Grad-CAM of the shipped network over the faces of one's own photograph.

    from fergit.use.explaining import explain
    explain("photo.jpg").savefig("why.png")

It needs TensorFlow; `notebooks/08-gradcam.ipynb` says how far to trust such maps.
"""

import matplotlib.pyplot as plt
import numpy as np

from fergit.analysis import gradcam
from fergit.core.errors import FergitError
from fergit.data.detection import FaceDetector, crop
from fergit.pages import plots_gradcam
from fergit.use import photographs, shipped


def explain(photograph, network="fergit-residual"):
    """Each face of a photograph as the network sees it, and its maps for the label that it is given.

    Parameters
    ----------
    photograph : path
    network : str or path
        A network in ``models/`` that `src/run.py ship` wrote, or its .npz file.

    Returns
    -------
    Figure
        A row for each face, the largest first.

    Raises
    ------
    FergitError
        The file cannot be read, no face is found in it, or there is no such network.
    """
    gray = photographs.to_gray(photographs.read(photograph), "bgr")
    found = FaceDetector()(gray)
    if not found:
        raise FergitError(f"{photograph}: no face is found in it")
    weights = shipped.find(network, ".npz")
    images, classes = np.stack([crop(gray, one) for one in found]), shipped.read_about(weights)["classes"]
    return over_faces(shipped.load_network(weights), images, classes)


def over_faces(network, images, classes):
    """Each image, uint8 (n, 48, 48), as it is, and its map at each size of `gradcam.layers` over it: Figure."""
    layers = gradcam.layers(network)
    size = (3 + 2 * len(layers), 2 * len(images) + 0.4)
    figure, axes = plt.subplots(len(images), 1 + len(layers), figsize=size, squeeze=False, layout="constrained")
    for column, (side, layer) in enumerate(layers.items(), start=1):
        maps, probabilities = gradcam.explain(network, images, layer=layer)
        axes[0, column].set_title(f"{side}x{side}", loc="center", fontsize=10)
        for ax, image, one in zip(axes[:, column], images, maps, strict=True):
            plots_gradcam.background(ax, image)
            plots_gradcam.heat(ax, one / one.mean()) if one.any() else plots_gradcam.note(ax, "all zero")
    for ax, image, row in zip(axes[:, 0], images, probabilities, strict=True):
        plots_gradcam.background(ax, image)
        ax.set_ylabel(f"{classes[row.argmax()]} {row.max():.0%}", fontsize=10)
    plots_gradcam.colour_bar(figure, axes)
    return figure
