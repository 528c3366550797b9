"""Pictures with drawn faces, and a recognizer that does not need the shipped network; for the tests of predictions."""

import cv2
import numpy as np

from fergit.data.detection import FaceDetector
from fergit.data.synthetic import draw_faces
from fergit.use.recognizer import CLASSES, ExpressionRecognizer


class Recognizer(ExpressionRecognizer):
    """The real detector; the "network" says happy for bright faces, sad for dark ones."""

    def __init__(self):
        self.classes = CLASSES
        self.detect = FaceDetector()

    def _probabilities(self, faces):
        share = faces.mean(axis=(1, 2)) / 255
        probabilities = np.zeros((len(faces), len(CLASSES)), np.float32)
        probabilities[:, CLASSES.index("happy")] = share
        probabilities[:, CLASSES.index("sad")] = 1 - share
        return probabilities


def portrait(people=1, side=150):
    """Drawn faces side by side before a gray wall: uint8 (2 side, 2 side * people), and their boxes."""
    faces = draw_faces(people, seed=3)[0]
    wall, boxes = np.full((2 * side, 2 * side * people), 128, np.uint8), []
    for number, face in enumerate(faces):
        x, y = 2 * side * number + side // 2, side // 2
        wall[y : y + side, x : x + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
        boxes.append((x, y, side, side))
    return wall, boxes


def long_pictures():
    """Walls as long and thin as no photograph: {name: (picture, faces)}; the last has its face at the right end."""
    pictures = {"thin.png": np.full((1, 5000), 128, np.uint8), "empty.png": np.full((500, 40000), 128, np.uint8)}
    pictures["wide.png"] = np.hstack([pictures["empty.png"][:300, :39700], portrait()[0]])
    return {name: (picture, int(name == "wide.png")) for name, picture in pictures.items()}
