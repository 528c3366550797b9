"""Test images made worse on purpose, step by step: dark, flat, noisy, blurred, small, covered, turned, narrowed.

Each is a stand-in for what happens to photographs, on 48x48 gray faces that are otherwise what they were: it says how
an accuracy falls when one thing gets worse, and little of pictures in which all of it happens at once.
"""

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
    """One way to make an image worse.

    Attributes
    ----------
    title, unit : str
        What it is, and what its strength counts.
    none : float
        The strength that changes nothing.
    strengths : tuple of float
        From mild to strong.
    function : callable
        (images uint8 (n, 48, 48), strength) to uint8 (n, 48, 48); where `row` is given, that is its third argument.
    row : float, optional
        Of FERGIT's mean face (`fergit.analysis.regions`): the middle of what is altered.
    """

    title: str
    unit: str
    none: float
    strengths: tuple
    function: object
    row: float | None = None

    def __call__(self, images, strength, dataset="fergit"):
        """The images of a data set at a strength, uint8 (n, 48, 48): the same each time."""
        if strength == self.none:
            return images.copy()
        where = () if self.row is None else (self.row + LOWER.get(dataset, 0),)
        return self.function(images, strength, *where)


def darken(images, light):
    """Keep a share of the light; what is left is rounded to whole gray values, as a camera does."""
    return _rounded(images * np.float32(light))


def flatten(images, contrast):
    """Keep a share of the distance of each gray value to the image's mean."""
    mean = images.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    return _rounded(mean + (images - mean) * np.float32(contrast))


def add_noise(images, deviation):
    """Add normal noise of so many gray values; the same for the same image, whatever stands beside it."""
    noisy = np.empty_like(images)
    for image, target in zip(images, noisy, strict=True):
        rng = np.random.Generator(np.random.Philox(zlib.crc32(image)))
        target[:] = _rounded(image + np.float32(deviation) * rng.standard_normal(image.shape, np.float32))
    return noisy


def blur(images, deviation):
    """A Gaussian of so many pixels, the border repeated."""
    return _each(images, lambda image: cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE))


def shrink(images, side):
    """Average to so many pixels a side, and enlarge again: a face that is small in its photograph."""

    def small(image):
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)

    return _each(images, small)


def cover(images, height, row):
    """A bar of so many rows about a row, of the image's mean gray value, cut off at the border."""
    top, left = max(0, round(row - height / 2)), (SIDE - BAR) // 2
    covered = images.copy()
    gray = _rounded(images.mean(axis=(1, 2), keepdims=True, dtype=np.float32))
    covered[:, top : round(row + height / 2), left : left + BAR] = gray
    return covered


def rotate(images, degrees):
    """Turn in the plane, every second image the other way; the border is repeated."""
    turned = np.empty_like(images)
    for number, (image, target) in enumerate(zip(images, turned, strict=True)):
        matrix = cv2.getRotationMatrix2D((MIDDLE, MIDDLE), degrees if number % 2 else -degrees, 1)
        target[:] = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return turned


def squeeze(images, width):
    """Make the face so many times as wide, the border repeated: all of a turned head that a flat picture can show."""
    matrix = np.array([[width, 0, MIDDLE * (1 - width)], [0, 1, 0]])
    return _each(images, lambda image: cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE))


ALTERATIONS = {
    "dark": Alteration("darker", "share of the light", 1, (0.5, 0.25, 0.12, 0.06, 0.03), darken),
    "flat": Alteration("less contrast", "share of the contrast", 1, (0.5, 0.25, 0.12, 0.06, 0.03), flatten),
    "noise": Alteration("noise", "standard deviation in gray values", 0, (5, 10, 20, 40, 80), add_noise),
    "blur": Alteration("blur", "standard deviation in pixels", 0, (0.5, 1, 1.5, 2, 3), blur),
    "small": Alteration("fewer pixels", "pixels across the face", SIDE, (32, 24, 16, 12, 8), shrink),
    "eyes": Alteration("eyes covered", "rows covered", 0, (4, 8, 12, 16, 20), cover, EYES),
    "mouth": Alteration("mouth covered", "rows covered", 0, (4, 8, 12, 16, 20), cover, MOUTH),
    "turned": Alteration("head tilted in the plane", "degrees", 0, (10, 20, 30, 45, 90), rotate),
    "narrow": Alteration("face squeezed sideways", "share of its width", 1, (0.9, 0.8, 0.7, 0.6, 0.5), squeeze),
}


def _rounded(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _each(images, function):
    return np.stack([function(image) for image in images]) if len(images) else images.copy()
