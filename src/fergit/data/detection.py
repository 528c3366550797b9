"""Faces in photographs: where they are, and how they are cut out so that they look like the training images.

Two small networks that lie in models/ and that OpenCV runs find them. YuNet (Wu, Peng and Yu 2023) proposes faces;
BlazeFace (Bazarevsky and others 2019) looks at each and says how the head is tilted; YuNet looks again at the levelled
face and says where it is. Each alone finds fewer tilted faces and sees more where there are none.
``benchmarks/photographs.py`` compares them with others and measures the constants of this module; photographs.json
beside it has the numbers.
"""

import contextlib
import os
import threading
import weakref
from dataclasses import dataclass

import cv2
import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import SIDE

YUNET, BLAZEFACE = paths.MODELS / "face-yunet.onnx", paths.MODELS / "face-blazeface.tflite"
SOUGHT = 24  # pixels of the smallest face in the searched copy
PROPOSED, LEAST = 0.08, 0.55  # YuNet's first score, and the mean of the three, of what counts as a face
SMALL = 160  # pixels of the shorter side of the copy in which large faces are sought
BORDER = 0.25  # around that copy, as a share of its sides, for faces that fill the picture
PIXELS = 4e6  # of a searched copy at most: more than a photograph's has
LONGEST = 32766  # pixels of a side: what OpenCV can warp
CLOSE, AROUND = 128, 2.0  # pixels of a look at one face, and its side in sides of the proposed box
NEAR = 0.19  # how far from the middle of that look the face may be, in its sides
# The places that BlazeFace's 896 boxes are relative to: two at each of 16x16, six at each of 8x8.
ANCHORS = np.concatenate(
    [
        np.repeat((np.mgrid[:side, :side][::-1].reshape(2, -1).T + 0.5) * CLOSE / side, times, axis=0)
        for side, times in ((16, 2), (8, 6))
    ]
)
# A training image's side, and how far its middle is below that of YuNet's box, in the longer side of the box that is
# found in it: medians over the validation part.
FRAME, DOWN = 1.02, -0.046


@dataclass(frozen=True)
class Detection:
    """A face that was found.

    Attributes
    ----------
    box : (int, int, int, int)
        x, y, width, height in pixels, of the levelled face; x and y may be negative where the border cuts a face off.
    confidence : float
        0.55 to 1: the higher, the surer. The mean score of three looks and no probability.
    tilt : int
        Degrees by which the head is turned in the picture plane, clockwise as seen.
    """

    box: tuple[int, int, int, int]
    confidence: float
    tilt: int = 0


class OneAtATime:
    """A value of OpenCV's that only one thread may use at a time: ``with it() as value``.

    Pickled, or in a forked process, it is made again from the same arguments: threads and locks do not come along.
    """

    everything = weakref.WeakSet()

    def __init__(self, factory, *arguments):
        self.factory, self.arguments = factory, arguments
        self.forget()
        self.everything.add(self)

    def forget(self):
        self.lock, self.value = threading.Lock(), None

    @contextlib.contextmanager
    def __call__(self):
        with self.lock:
            if self.value is None:
                self.value = self.factory(*self.arguments)
            yield self.value

    def __reduce__(self):
        return OneAtATime, (self.factory, *self.arguments)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: [one.forget() for one in OneAtATime.everything])


def read_networks(yunet, blazeface):
    """YuNet for whole pictures, BlazeFace, and YuNet for a look at one face."""
    for file in (yunet, blazeface):
        if not file.is_file():
            raise FergitError(f"{paths.relative(file)}: missing; `git checkout models` brings it back")
    try:
        wide, close = (cv2.FaceDetectorYN.create(str(yunet), "", (CLOSE, CLOSE), PROPOSED) for _ in range(2))
        return wide, cv2.dnn.readNetFromTFLite(str(blazeface)), close
    except cv2.error:
        raise FergitError(
            f"{paths.relative(yunet)}, {blazeface.name}: damaged; `git checkout models` brings it back"
        ) from None


class FaceDetector:
    """Finds faces. Threads may share one; it searches one picture at a time.

    It searches a copy of the picture in which the smallest face sought has 24 pixels, so that the time depends on
    `smallest` and hardly on the picture's size; and a small copy with a border, for large faces.

    Parameters
    ----------
    smallest : float
        Side of the smallest face sought, as a share of the picture's shorter side. Half the share takes four times
        the time.
    """

    def __init__(self, smallest: float = 1 / 20):
        self.smallest = smallest
        self.networks = OneAtATime(read_networks, YUNET, BLAZEFACE)
        with self.networks():  # so that a missing file is known at once
            pass

    def __call__(self, gray: np.ndarray) -> list[Detection]:
        """The faces of a picture, uint8 (height, width), the largest first."""
        found = []
        for side, border in ((SOUGHT / self.smallest, 0), (SMALL, BORDER)):
            for one in sorted(self._search(gray, side, border), key=lambda one: -one.confidence):
                if not any(_same(one.box, other.box) for other in found):
                    found.append(one)
        return sorted(found, key=lambda one: -one.box[2] * one.box[3])

    def _search(self, gray, side, border):
        """Search a copy whose shorter side has so many pixels, with a border as a share of the copy's sides."""
        height, width = gray.shape
        scale = min(side / min(height, width), LONGEST / max(height, width), (PIXELS / (height * width)) ** 0.5)
        size = round(width * scale), round(height * scale)
        if min(size) <= 32:  # a thousand times as long as wide; of such, OpenCV's network makes up faces
            return
        copy = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        across, down = (round(border * length) for length in size)
        copy = cv2.copyMakeBorder(copy, down, down, across, across, cv2.BORDER_REPLICATE)
        with self.networks() as (wide, blazeface, close):
            wide.setInputSize(copy.shape[::-1])
            for box, proposed in _faces(wide, copy):
                middle, reach = box[:2] + box[2:] / 2, AROUND * max(box[2:])
                seen, tilt = _tilt(blazeface, _look(copy, middle, reach, 0)[0])
                if proposed + seen + 1 < 3 * LEAST:
                    continue
                level, back = _look(copy, middle, reach, tilt)
                close_box, looked = max(_faces(close, level, NEAR * CLOSE), key=lambda one: one[1], default=(None, 0.0))
                confidence = (proposed + seen + looked) / 3
                if confidence >= LEAST:
                    if close_box is not None:
                        close_box[1] += DOWN * max(close_box[2:])
                        middle = back @ (*(close_box[:2] + close_box[2:] / 2), 1)
                        box[2:] = close_box[2:] * reach / CLOSE
                    box[:2] = middle - box[2:] / 2 - (across, down)
                    yield Detection(tuple((box / scale).round().astype(int).tolist()), float(confidence), round(tilt))


def _faces(yunet, gray, near=np.inf):
    """Boxes (4,) and scores of YuNet's faces that are so near to an image's middle."""
    rows = yunet.detect(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))[1]
    rows = np.empty((0, 15)) if rows is None else rows.astype(float)
    apart = np.abs(rows[:, :2] + rows[:, 2:4] / 2 - np.array(gray.shape[::-1]) / 2).max(axis=1)
    return [(row[:4], float(row[14])) for row in rows[apart <= near]]


def _look(gray, middle, side, tilt, pixels=CLOSE, flags=cv2.INTER_LINEAR):
    """A square of an image, levelled and so many pixels wide; and the map from it to the image."""
    matrix = cv2.getRotationMatrix2D(middle.tolist(), tilt, pixels / side)
    matrix[:, 2] += pixels / 2 - middle
    look = cv2.warpAffine(gray, matrix, (pixels, pixels), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return look, cv2.invertAffineTransform(matrix)


def _tilt(blazeface, look):
    """BlazeFace's score for a face in the middle of an image of CLOSE pixels, and the tilt of its eyes in degrees."""
    blazeface.setInput(cv2.dnn.blobFromImage(cv2.cvtColor(look, cv2.COLOR_GRAY2BGR), 1 / 127.5, mean=(127.5,) * 3))
    scores, boxes = blazeface.forward(["classificators", "regressors"])
    boxes = boxes.reshape(-1, 8, 2)  # middle, size, two eyes and four more points
    apart = np.abs(boxes[:, 0] + ANCHORS - CLOSE / 2).max(axis=1)
    best = np.where(apart <= NEAR * CLOSE, scores.ravel(), -np.inf).argmax()
    right, down = boxes[best, 3] - boxes[best, 2]
    score = 1 / (1 + np.exp(-np.clip(float(scores.ravel()[best]), -50, 50)))
    return score, float(np.degrees(np.arctan2(down, right)))


def _same(one, other):
    """Whether the middle of one of two boxes lies in the other."""
    apart = [abs(one[axis] + one[axis + 2] / 2 - other[axis] - other[axis + 2] / 2) for axis in (0, 1)]
    return all(apart[axis] < max(one[axis + 2], other[axis + 2]) / 2 for axis in (0, 1))


def crop(gray: np.ndarray, detection: Detection, frame: float = FRAME) -> np.ndarray:
    """A face of a picture, uint8 (height, width), upright and framed as the training images are: uint8 (48, 48).

    `frame` is the side of what is cut out, in the longer side of the box. Beyond the border its last pixels are
    repeated.
    """
    x, y, width, height = detection.box
    center = np.array([x + width / 2, y + height / 2])
    side = frame * max(width, height)
    # Only what a turned square can reach, for OpenCV turns no picture of more than 32,766 pixels a side.
    first = np.clip(np.floor(center - side).astype(int), 0, np.array(gray.shape[::-1]) - 1)
    last = np.maximum(np.ceil(center + side).astype(int) + 1, first + 1)
    gray, center = gray[first[1] : last[1], first[0] : last[0]], center - first
    pixels = max(SIDE, round(side))  # large faces are cut out as they are, and then averaged over areas
    face, _ = _look(gray, center, side, detection.tilt, pixels, cv2.INTER_CUBIC)
    return face if pixels == SIDE else cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
