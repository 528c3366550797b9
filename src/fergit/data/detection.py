"""Faces in photographs: where they are, and how they are cut out so that they look like the training images.

The detector is OpenCV's cascade ``haarcascade_frontalface_alt`` (Viola & Jones 2001), which comes inside
opencv-python-headless, so nothing is downloaded; MediaPipe's package no longer holds a model. Measured on FERGIT's
faces, pasted into photographs: it finds 97 % of muxspace's and 72 % of FER2013's, many of which are turned away or half
covered, with one false alarm in 68 photographs. Its sibling alt2 does about as well, default has five times the
false alarms and more. The second look finds 85 and 65 % of the heads turned by 30 degrees, of which the first finds
5 and 2 %, and most faces that fill the picture. ``benchmarks/photographs.py`` measures this and every constant of
this module; photographs.json beside it has the numbers.
"""

import functools
import os
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import SIDE

CASCADE = cv2.data.haarcascades + "haarcascade_frontalface_alt.xml"
WINDOW = 24  # pixels: smaller faces are too few pixels for cascade and network
SOUGHT = 48  # pixels of the smallest face in the searched copy: what the network takes
STEP, NEIGHBORS = 1.2, 2  # from one size of the window to the next; windows that must agree
MIDDLE, SPREAD = 106.9, 0.4  # the logistic curve from the cascade's weight to confidence
# The second look: border as a share of the side, degrees, pixels of the shorter side, and by how much a face must be
# larger than at the first (or its three searches of a larger picture would take ten times as long).
BORDER, TILTS, ENLARGED, LARGER = 0.25, (0, 30, -30), 160, 1.5
# The most pixels of a turned copy, or how many times the searched copy's they may be: more than a photograph's are.
PIXELS, GROWTH = 20e6, 5
LONGEST = 32766  # pixels of a side: what OpenCV can turn
FRAME = 1.05  # a training image's side, in sides of the box that the cascade finds in it


@dataclass(frozen=True)
class Detection:
    """A face that was found.

    Attributes
    ----------
    box : (int, int, int, int)
        x, y, width, height in pixels; x and y may be negative where a face is cut off by the picture's border.
    confidence : float
        0.5 to 1: the higher, the surer. A scale of ours for the cascade's weight and no probability: 2 in 100 faces
        come out below 0.5 and are dropped, half above 0.97.
    tilt : int
        Degrees by which the head is turned in the picture plane, clockwise as seen: 0, 30 or -30.
    """

    box: tuple[int, int, int, int]
    confidence: float
    tilt: int = 0


class OneAtATime:
    """Something of OpenCV's that only one thread may use at a time: ``with it as thing``.

    Pickled, or in a forked process, it is made again from the same arguments: threads and locks do not come along.
    """

    everything = weakref.WeakSet()

    def __init__(self, make, *arguments):
        self.make, self.arguments = make, arguments
        self.forget()
        self.everything.add(self)

    def forget(self):
        self.lock, self.thing = threading.Lock(), None

    def __enter__(self):
        self.lock.acquire()
        try:
            if self.thing is None:
                self.thing = self.make(*self.arguments)
        except BaseException:
            self.lock.release()
            raise
        return self.thing

    def __exit__(self, *_):
        self.lock.release()

    def __reduce__(self):
        return OneAtATime, (self.make, *self.arguments)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: [one.forget() for one in OneAtATime.everything])


def read_cascade(file):
    """OpenCV's cascade in a file, which its package brings."""
    try:
        cascade = cv2.CascadeClassifier(str(file) if Path(file).is_file() else "")
    except (cv2.error, SystemError):
        cascade = cv2.CascadeClassifier()
    if cascade.empty():
        raise FergitError(f"{file}: missing or damaged; install opencv-python-headless again")
    return cascade


class CascadeDetector:
    """Finds upright faces that look at the camera. Threads may share one; it searches one picture at a time.

    It searches a copy of the picture in which the smallest face sought has 48 pixels, so that the time depends on
    `smallest` and hardly on the picture's size.

    Parameters
    ----------
    smallest : float
        Side of the smallest face sought, as a share of the picture's shorter side. Half the share takes four times
        the time.
    """

    def __init__(self, smallest: float = 1 / 10):
        self.smallest = smallest
        self.cascade = OneAtATime(read_cascade, CASCADE)
        with self.cascade:  # so that a missing file is known at once
            pass

    def __call__(self, gray: np.ndarray, thorough: bool = True) -> list[Detection]:
        """Find the faces of a picture.

        Parameters
        ----------
        gray : uint8 (height, width)
        thorough : bool
            Look again for somewhat larger faces: beyond the border, enlarged, and with the head turned by 30 degrees
            either way. Takes several times as long; films do without, because they show the face again. Left out where
            the picture is so long and thin that its turned copy would take gigabytes.

        Returns
        -------
        list of Detection
            The largest first.
        """
        height, width = gray.shape
        copy, scale = gray, min(1, SOUGHT / (self.smallest * min(height, width)))
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            copy = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        sought = self.smallest * min(height, width)
        found = self._search(copy, np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]]), 0, sought * scale)
        if thorough:
            scale = max(1, ENLARGED / min(copy.shape)) * scale
            for tilt in TILTS:
                turned, there = _turned(gray if scale >= 1 else copy, gray.shape, scale, tilt)
                if turned is not None:
                    again = self._search(turned, there, tilt, LARGER * sought * scale)
                    found += [one for one in again if not any(_same(one.box, other.box) for other in found)]
        return sorted(found, key=lambda one: -one.box[2])

    def _search(self, image, there, tilt, sought):
        """Search an image which `there`, an affine map (2, 3), makes of the picture's coordinates."""
        sought = max(WINDOW, round(sought))
        with self.cascade as cascade:
            boxes, _, weights = cascade.detectMultiScale3(
                image, STEP, NEIGHBORS, minSize=(sought, sought), outputRejectLevels=True
            )
        back = cv2.invertAffineTransform(there)
        scale = np.hypot(back[0, 0], back[0, 1])
        found = []
        for (x, y, side, _), weight in sorted(zip(boxes, np.ravel(weights), strict=True), key=lambda one: -one[1]):
            confidence = 1 / (1 + np.exp((MIDDLE - weight) / SPREAD))
            cx, cy = back @ (x + side / 2, y + side / 2, 1)
            own = side * scale
            box = round(cx - own / 2), round(cy - own / 2), round(own), round(own)
            # Of boxes about the same place, the one that the cascade is surest of stays.
            if confidence >= 0.5 and not any(_same(box, other.box) for other in found):
                found.append(Detection(box, float(confidence), tilt))
        return found


@functools.cache
def _detector():
    return CascadeDetector()


def find_faces(gray: np.ndarray) -> list[Detection]:
    """The faces of a picture, uint8 (height, width), the largest first: as `CascadeDetector` finds them by itself."""
    return _detector()(gray)


def _same(one, other):
    """Whether the middle of one of two square boxes lies in the other."""
    apart = max(abs(one[axis] + one[2] / 2 - other[axis] - other[2] / 2) for axis in (0, 1))
    return apart < max(one[2], other[2]) / 2


def _turned(image, shape, scale, tilt):
    """A copy in which a head that is turned by `tilt` is upright, with some border; and the map from picture to copy.

    `image` is the picture, of `shape`, in whatever size; `scale` is the copy's. In place of one too large comes None.
    """
    height, width = shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), tilt, scale)
    corners = matrix @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    size = np.ceil((1 + 2 * BORDER) * np.ptp(corners, axis=1)).astype(int)
    if size.max() > LONGEST or np.prod(size, dtype=float) > max(PIXELS, GROWTH * image.size):
        return None, matrix
    matrix[:, 2] += size / 2 - corners.mean(axis=1)
    own = np.diag([width / image.shape[1], height / image.shape[0], 1])
    turned = cv2.warpAffine(image, matrix @ own, size.tolist(), borderMode=cv2.BORDER_REPLICATE)
    return turned, matrix


def crop(gray: np.ndarray, detection: Detection, frame: float = FRAME) -> np.ndarray:
    """Cut out a face, upright and framed as the training images are, and resize it to 48x48.

    Parameters
    ----------
    gray : uint8 (height, width)
    detection : Detection
    frame : float
        Side of what is cut out, in sides of the box. The box's middle is the crop's; beyond the picture's border its
        last pixels are repeated.

    Returns
    -------
    uint8 (48, 48)
    """
    x, y, width, height = detection.box
    center = np.array([x + width / 2, y + height / 2])
    side = frame * max(width, height)
    # Only what a turned square can reach, for OpenCV turns no picture of more than 32,766 pixels a side.
    first = np.clip(np.floor(center - side).astype(int), 0, np.array(gray.shape[::-1]) - 1)
    last = np.maximum(np.ceil(center + side).astype(int) + 1, first + 1)
    gray, center = gray[first[1] : last[1], first[0] : last[0]], center - first
    pixels = max(SIDE, round(side))  # large faces are cut out as they are, and then averaged over areas
    matrix = cv2.getRotationMatrix2D(center, detection.tilt, pixels / side)
    matrix[:, 2] += pixels / 2 - center
    face = cv2.warpAffine(gray, matrix, (pixels, pixels), borderMode=cv2.BORDER_REPLICATE)
    return face if pixels == SIDE else cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
