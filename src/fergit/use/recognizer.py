"""Expressions in your own photographs: find the faces, cut them out as the training images are, name the expression.

    from fergit.use.recognizer import ExpressionRecognizer
    for face in ExpressionRecognizer().predict("photo.jpg"):
        print(face.box, face.label, face.probability)

The counterpart of the paper's Figure 9 (p. 85). OpenCV finds the faces (`detection`) and computes the shipped
network (`shipped`), so that the first result is there before TensorFlow would be imported.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import SIDE
from fergit.use.detection import CascadeDetector, crop
from fergit.use.photographs import read, to_gray

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # FERGIT's order: the network's outputs
NETWORK = paths.MODELS / "fergit-residual.onnx"


@dataclass(frozen=True)
class Face:
    """A face and its expression.

    Attributes
    ----------
    box : (int, int, int, int)
        x, y, width, height in pixels of the picture as seen, from its upper left corner.
    probabilities : dict
        {expression: float}, the seven in the order of `CLASSES`; they add up to 1.
    confidence : float
        The detector's, 0.5 to 1, that this is a face (see `fergit.use.detection.Detection`).
    tilt : int
        Degrees by which the head is turned, clockwise: 0, 30 or -30.
    """

    box: tuple
    probabilities: dict
    confidence: float
    tilt: int = 0

    @property
    def label(self):
        """The most probable expression."""
        return max(self.probabilities, key=self.probabilities.get)

    @property
    def probability(self):
        """The probability of `label`."""
        return max(self.probabilities.values())


class ExpressionRecognizer:
    """Finds faces and names their expressions.

    Parameters
    ----------
    network : path
        An ONNX file of `fergit.use.shipped.save_network` with the seven expressions of `CLASSES`.
    smallest : float
        Side of the smallest face sought, as a share of the picture's shorter side; half of it takes four times as long.

    Raises
    ------
    FergitError
        There is no such network, or it is none.
    """

    def __init__(self, network=NETWORK, smallest=1 / 10):
        self.detect = CascadeDetector(smallest)
        name = paths.relative(network)
        if not Path(network).is_file():
            raise FergitError(f"{name}: no such file; `python src/run.py ship fergit residual 0` writes it")
        try:
            self.network = cv2.dnn.readNetFromONNX(str(network))
            # Winograd's short cut in 3x3 convolutions loses digits.
            self.network.enableWinograd(False)
            outputs = self._probabilities(np.zeros((1, SIDE, SIDE), np.uint8)).shape[1:]
        except cv2.error:
            outputs = None
        if outputs != (len(CLASSES),):
            raise FergitError(f"{name}: not a network of 48x48 faces and {len(CLASSES)} expressions")

    def predict(self, image, color=None, thorough=True, name="image"):
        """Find the faces of a picture, or of each of several, and name their expressions.

        Parameters
        ----------
        image : path, uint8 or uint16 (height, width) or (height, width, 3), or a list of them
        color : "gray", "bgr" or "rgb"
            What arrays hold; files say it themselves.
        thorough : bool
            Look again, more slowly, where no face is found (see `fergit.use.detection.CascadeDetector`).
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
            return [self.predict(one, color, thorough, name) for one in image]
        if isinstance(image, (str, Path)):
            image, color, name = read(image), "bgr", image
        try:
            gray = to_gray(image, color)
            found = self.detect(gray, thorough)
            if not found:
                return []
            probabilities = self._probabilities(np.stack([crop(gray, one) for one in found]))
        except (cv2.error, MemoryError):
            size = f"{image.shape[1]}x{image.shape[0]} pixels"
            raise FergitError(
                f"{name}: cannot be searched for faces; {size} are too many for OpenCV or for the memory"
            ) from None
        return [
            Face(one.box, dict(zip(CLASSES, row.tolist(), strict=True)), one.confidence, one.tilt)
            for one, row in zip(found, probabilities, strict=True)
        ]

    def predict_faces(self, faces, color="gray"):
        """Name the expressions of ready crops, each one face framed as in the training images.

        Parameters
        ----------
        faces : uint8 or uint16 (n, height, width) or (n, height, width, 3), or a list of pictures
            Of any size; resized to 48x48.
        color : "gray", "bgr" or "rgb"

        Returns
        -------
        float32 (n, 7)
            Probabilities in the order of `CLASSES`.

        Raises
        ------
        FergitError
            An array is no picture.
        """
        grays = [to_gray(face, color) for face in faces]
        if not grays:
            return np.empty((0, len(CLASSES)), np.float32)
        sized = [
            gray if gray.shape == (SIDE, SIDE) else cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            for gray in grays
        ]
        return self._probabilities(np.stack(sized))

    def _probabilities(self, faces):
        """float32 (n, 7) of uint8 (n, 48, 48)."""
        self.network.setInput(faces[:, np.newaxis].astype(np.float32) / np.float32(255))
        return self.network.forward().copy()  # OpenCV's own memory, which the next call overwrites
