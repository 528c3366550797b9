"""Test images corrupted on purpose, step by step: dark, flat, noisy, blurred, small, covered, turned, narrowed.

Each stands for something that happens to photographs. It shows how the accuracy falls when one thing gets worse, and
says little about photographs in which several things do.
"""

import math
import zlib
from dataclasses import dataclass

import cv2
import numpy as np

from fergit.analysis.regions import EYES, LOWER, MOUTH
from fergit.core.faces import SIDE

MIDDLE = (SIDE - 1) / 2
BAR = 36  # pixels: the width of what covers them; the eyes of the mean face have 28


@dataclass(frozen=True)
class Alteration:
    """One way to make images worse: ``strengths`` of a ``unit``, from mild to strong, ``none`` changes nothing.

    ``function`` takes images float32 (n, 48, 48), 0 to 255, and a strength, and where ``row`` of FERGIT's mean face is
    given, that.
    """

    title: str
    unit: str
    none: float
    strengths: tuple
    function: object
    row: float | None = None

    def __call__(self, images, strength, source="fergit"):
        """The images of a source at a strength, uint8 (n, 48, 48): the same each time."""
        if strength == self.none:
            return images.copy()
        where = () if self.row is None else (self.row + LOWER.get(source, 0),)
        altered = self.function(images.astype(np.float32), strength, *where)
        return np.clip(np.rint(altered), 0, 255).astype(np.uint8)  # whole gray values, as a camera has


def flatten(images, contrast):
    """Keep a share of the distance of each gray value to the image's mean."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    return mean + (images - mean) * np.float32(contrast)


def add_noise(images, deviation):
    """Add normal noise of so many gray values; the same for the same image, whatever stands beside it."""
    seeds = [zlib.crc32(image.astype(np.uint8)) for image in images]
    noise = [np.random.Generator(np.random.Philox(seed)).standard_normal((SIDE, SIDE), np.float32) for seed in seeds]
    return images + np.float32(deviation) * np.stack(noise)


def blur(images, deviation):
    """A Gaussian of so many pixels, the border repeated."""
    return _each(images, lambda image: cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE))


def shrink(images, side):
    """Average to so many pixels a side, and enlarge again: a face that is small in its photograph."""
    small = _each(images, lambda image: cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA))
    return _each(small, lambda image: cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))


def cover(images, height, row):
    """A bar of so many rows about a row, of the image's mean gray value, cut off at the border."""
    top, bottom = (math.floor(max(0, end) + 0.5) for end in (row - height / 2, row + height / 2))
    left = (SIDE - BAR) // 2
    covered = images.copy()
    covered[:, top:bottom, left : left + BAR] = images.mean(axis=(1, 2), keepdims=True)
    return covered


def rotate(images, degrees):
    """Turn in the plane, every second image the other way; the border is repeated."""
    both = [cv2.getRotationMatrix2D((MIDDLE, MIDDLE), sign * degrees, 1) for sign in (-1, 1)]
    return np.stack([_warp(image, both[number % 2]) for number, image in enumerate(images)])


def squeeze(images, width):
    """Make the face so many times as wide, the border repeated: all of a turned head that a flat picture can show."""
    matrix = np.array([[width, 0, MIDDLE * (1 - width)], [0, 1, 0]])
    return _each(images, lambda image: _warp(image, matrix))


ALTERATIONS = {
    "dark": Alteration("darker", "share of the light", 1, (0.5, 0.25, 0.12, 0.06, 0.03), np.multiply),
    "flat": Alteration("less contrast", "share of the contrast", 1, (0.5, 0.25, 0.12, 0.06, 0.03), flatten),
    "noise": Alteration("noise", "standard deviation of gray values, 0-255", 0, (5, 10, 20, 40, 80), add_noise),
    "blur": Alteration("blur", "standard deviation in pixels", 0, (0.5, 1, 1.5, 2, 3), blur),
    "small": Alteration("fewer pixels", "pixels across the face", SIDE, (32, 24, 16, 12, 8), shrink),
    "eyes": Alteration("eyes covered", "rows covered", 0, (4, 8, 12, 16, 20), cover, EYES),
    "mouth": Alteration("mouth covered", "rows covered", 0, (4, 8, 12, 16, 20), cover, MOUTH),
    "turned": Alteration("head tilted in the plane", "degrees", 0, (10, 20, 30, 45, 90), rotate),
    "narrow": Alteration("face squeezed sideways", "share of its width", 1, (0.9, 0.8, 0.7, 0.6, 0.5), squeeze),
}


def _warp(image, matrix):
    return cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)


def _each(images, function):
    return np.stack([function(image) for image in images])
