"""Expressions in your own photographs: find the faces, cut them out as the training images are, name the expression.

    from fergit.use.recognizer import ExpressionRecognizer
    for face in ExpressionRecognizer().predict("photo.jpg"):
        print(face.box, face.label, face.probability)

The counterpart of the paper's Figure 9 (p. 85). OpenCV finds the faces (`detection`) and computes the shipped
network (`shipped`), so that the first result is there before TensorFlow would be imported.
"""

import contextlib
import json
from argparse import ArgumentTypeError
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import EXPRESSIONS, SIDE
from fergit.data.detection import FaceDetector, OneAtATime, crop
from fergit.data.images import resize
from fergit.use.photographs import read, to_gray
from fergit.use.shipped import ONNX as NETWORK
from fergit.use.shipped import find

CLASSES = EXPRESSIONS  # of the shipped network


def add_options(parser):
    """Add --smallest and --network to a command's parser (argparse), as `ExpressionRecognizer` takes them."""
    parser.add_argument(
        "--smallest",
        type=share,
        default=0.05,
        metavar="SHARE",
        help="smallest face sought, as a share of the picture's shorter side (0.05); half of it: four times as long",
    )
    parser.add_argument(
        "--network",
        default="fergit-residual",
        metavar="NAME",
        help="a network in models/ that `src/run.py ship` wrote (fergit-residual), or its ONNX file",
    )


def share(text):
    """A share of 0.01 to 1, for argparse."""
    with contextlib.suppress(ValueError):
        if 0.01 <= float(text) <= 1:
            return float(text)
    raise ArgumentTypeError(f"is {text}; allowed: 0.01 to 1, such as 0.02")


@dataclass(frozen=True)
class Face:
    """A face and its expression.

    Attributes
    ----------
    box : (int, int, int, int)
        x, y, width, height in pixels of the picture as seen, from its upper left corner.
    probabilities : dict
        {expression: float}, in the order of the network's classes; they add up to 1.
    confidence : float
        The detector's, 0.55 to 1, that this is a face (see `fergit.data.detection.Detection`).
    tilt : int
        Degrees by which the head is turned in the picture plane, clockwise.
    person : int or None
        In videos, who it is: numbers from 1 on (see `fergit.use.tracking`).
    crop : uint8 (48, 48) or None
        What the network saw: the face, cut out, upright and framed.
    """

    box: tuple[int, int, int, int]
    probabilities: dict[str, float]
    confidence: float
    tilt: int = 0
    person: int | None = None
    crop: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def label(self) -> str:
        """The most probable expression."""
        return max(self.probabilities, key=self.probabilities.get)

    @property
    def probability(self) -> float:
        """The probability of `label`."""
        return max(self.probabilities.values())


class ExpressionRecognizer:
    """Finds faces and names their expressions.

    Threads may share one: it takes one picture at a time, as fast as a single thread would. For more speed use
    processes, each with its own; it can be pickled, and forked and spawned workers load the network again.

    Parameters
    ----------
    network : path or str
        A network that `src/run.py ship` wrote: its name in ``models/``, as ``fergit-residual``, or its ONNX file.
    smallest : float
        Side of the smallest face sought, as a share of the picture's shorter side; half of it takes four times as long.

    Attributes
    ----------
    classes : tuple of str
        What the network tells apart; the shipped one seven expressions.

    Raises
    ------
    FergitError
        There is no such network, or it is none.
    """

    def __init__(self, network: str | Path = NETWORK, smallest: float = 1 / 20):
        self.detect = FaceDetector(smallest)
        path = find(network)
        self.classes = read_classes(path)
        self.network = OneAtATime(read_network, path)
        with self.network():  # so that a wrong file is known at once
            pass

    def predict(
        self, image: str | Path | np.ndarray | list, color: str | None = None, name: str = "image"
    ) -> list[Face]:
        """Find the faces of a picture, or of each of several, and name their expressions.

        Parameters
        ----------
        image : path, uint8 or uint16 (height, width) or (height, width, 3), or a list of them
        color : "gray", "bgr" or "rgb"
            What arrays hold; files say it themselves.
        name : str
            What messages call an array.

        Returns
        -------
        list of Face, or a list of such lists
            The largest face first; empty where there is none.

        Raises
        ------
        FergitError
            A file cannot be read, an array is no picture, is too large for OpenCV or the memory, or `color` is missing.
        """
        if isinstance(image, (list, tuple)):
            return [self.predict(one, color, name) for one in image]
        if isinstance(image, (str, Path)):
            image, color, name = read(image), "bgr", image
        try:
            gray = to_gray(image, color)
            found = self.detect(gray)
            if not found:
                return []
            crops = [crop(gray, one) for one in found]
            probabilities = self._probabilities(np.stack(crops))
        except (cv2.error, MemoryError) as error:
            why = "memory is short" if isinstance(error, MemoryError) else f"OpenCV says: {str(error).splitlines()[-1]}"
            size = f"{image.shape[1]}x{image.shape[0]} pixels"
            raise FergitError(f"{name}: cannot be searched for faces, {size}; {why}") from None
        return [
            Face(one.box, dict(zip(self.classes, row.tolist(), strict=True)), one.confidence, one.tilt, crop=seen)
            for one, row, seen in zip(found, probabilities, crops, strict=True)
        ]

    def predict_faces(self, faces: np.ndarray | list[np.ndarray], color: str = "gray") -> np.ndarray:
        """Name the expressions of ready crops, each one face framed as in the training images.

        Parameters
        ----------
        faces : uint8 or uint16 (n, height, width) or (n, height, width, 3), or a list of pictures
            Of any size; resized to 48x48.
        color : "gray", "bgr" or "rgb"

        Returns
        -------
        float32 (n, classes)
            Probabilities in the order of `classes`.

        Raises
        ------
        FergitError
            An array is no picture.
        """
        sized = [resize(to_gray(face, color)) for face in faces]
        return self._probabilities(np.stack(sized)) if sized else np.empty((0, len(self.classes)), np.float32)

    def _probabilities(self, faces):
        """float32 (n, classes) of uint8 (n, 48, 48)."""
        with self.network() as network:
            return compute(network, faces)


def read_classes(path):
    """The classes of an ONNX file of `fergit.use.shipped.save_network`, which its end has as JSON: tuple of str."""
    _, _, end = Path(path).read_bytes().rpartition(b"\x05about\x12")  # as ONNX writes a pair's key
    text = end.decode("ascii", "replace")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        names = json.JSONDecoder().raw_decode(text, text.index("{"))[0]["classes"]
        if len(names) > 1 and all(isinstance(name, str) for name in names):
            return tuple(names)
    raise FergitError(f"{paths.relative(path)}: not a network that `python src/run.py ship` wrote")


def read_network(path):
    """OpenCV's network of an ONNX file that takes 48x48 faces and gives the classes that it names."""
    classes = len(read_classes(path))
    try:
        network = cv2.dnn.readNetFromONNX(str(path))
        network.enableWinograd(False)  # a short cut in 3x3 convolutions that loses digits
        outputs = compute(network, np.zeros((1, SIDE, SIDE), np.uint8)).shape[1:]
    except cv2.error:
        outputs = None
    if outputs != (classes,):
        raise FergitError(f"{paths.relative(path)}: not a network of 48x48 faces and {classes} classes")
    return network


def compute(network, faces):
    """Probabilities, float32 (n, classes), of uint8 (n, 48, 48)."""
    network.setInput(faces[:, np.newaxis].astype(np.float32) / np.float32(255))
    return network.forward().copy()  # OpenCV's own memory, which the next call overwrites
