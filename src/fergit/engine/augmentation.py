"""Augmentation of 48x48 faces, a pure function of (seed, epoch, index); noise, of (seed, epoch, batch).

The paper says that the data set was augmented (p. 79); its operations and ranges are unread. The geometry is that of
Keras' ImageDataGenerator, as in the notebook that the paper probably grew from: rotation, shear, zoom of each axis and
shift about the centre, then a flip, the border repeated outwards. What follows it (blur, contrast, light, noise,
erasing) is ours, and off unless params.yaml asks for it.
"""

import cv2
import numpy as np
from scipy.special import ndtri

ORDER, WARP, PHOTOMETRIC, NOISE = range(4)  # keep the random numbers of one seed and epoch apart by what they are for
INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
NORMAL = ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)  # quantiles; one by a random index is a fast draw


def epoch_order(count, seed, epoch):
    """The order in which an epoch shows its images: a permutation of ``range(count)``, int64 (count,)."""
    return _random(seed, epoch, ORDER).permutation(count)


def epoch_warps(count, seed, epoch, settings):
    """The affine maps of an epoch, one for each index.

    Parameters
    ----------
    count : int
        How many images the epoch shows.
    seed, epoch : int
        Map number i is a function of (seed, epoch, i) alone, not of `count`.
    settings : dict
        ``augmentation`` of params.yaml: ``horizontal_flip`` (bool), ``rotation`` and ``shear`` (degrees, at most),
        ``zoom`` and ``shift`` (share of the side, at most), ``sharp`` (share of the images that are only flipped and
        moved by whole pixels, so that no resampling blurs them).

    Returns
    -------
    float32 (count, 2, 3)
        From output pixels (x, y) to input pixels, as OpenCV's ``WARP_INVERSE_MAP`` wants them.
    """
    draws = _random(seed, epoch, WARP).random((count, 8))
    spread = 2 * draws - 1  # -1 to 1
    sharp = draws[:, 7] < settings["sharp"]
    moving = np.where(sharp, 0, spread.T)
    angle, shear = np.deg2rad(settings["rotation"]) * moving[0], np.deg2rad(settings["shear"]) * moving[1]
    zoom = 1 + settings["zoom"] * moving[2:4]
    shift = 48 * settings["shift"] * spread[:, 4:6]
    shift = np.where(sharp[:, np.newaxis], np.round(shift), shift)
    flip = np.where(settings["horizontal_flip"] & (draws[:, 6] < 0.5), -1.0, 1.0)

    zero = np.zeros(count)
    rotate = _matrices(np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle))
    slant = _matrices(np.cos(shear), zero, -np.sin(shear), zero + 1)
    maps = np.empty((count, 2, 3))
    maps[:, :, :2] = rotate @ slant @ _matrices(zoom[0] * flip, zero, zero, zoom[1])
    centre = 23.5  # of 48 pixels
    maps[:, :, 2] = centre + (rotate @ shift[:, :, np.newaxis])[:, :, 0] - maps[:, :, :2].sum(axis=2) * centre
    return maps.astype(np.float32)


def warp(images, maps, interpolation="linear"):
    """Apply one affine map to each image.

    Parameters
    ----------
    images : uint8 (n, 48, 48)
    maps : float32 (n, 2, 3)
        Of `epoch_warps`.
    interpolation : "linear" or "cubic"

    Returns
    -------
    uint8 (n, 48, 48)
    """
    warped, flags = np.empty_like(images), INTERPOLATIONS[interpolation] | cv2.WARP_INVERSE_MAP
    for image, matrix, target in zip(images, maps, warped, strict=True):
        cv2.warpAffine(image, matrix, (48, 48), dst=target, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return warped


def epoch_photometric(count, seed, epoch, settings):
    """What changes the gray values of an epoch's images, a row for each index: a function of (seed, epoch, index).

    Returns
    -------
    None or dict of arrays (count,)
        None if ``blur``, ``contrast``, ``light``, ``noise`` and ``erasing`` are all 0. Else ``blur`` (sigma in pixels),
        ``contrast`` and ``light`` (factors from 1 - value to 1 / (1 - value)), ``noise`` (standard deviation, of a
        range of 0 to 1), ``erasing`` (int (count, 4): x, y, width, height; width 0 is none) and ``gray`` (0 to 1).
    """
    if not any(settings[name] for name in ("blur", "contrast", "light", "noise", "erasing")):
        return None
    draws = _random(seed, epoch, PHOTOMETRIC).random((count, 10))
    sides = np.round(12 + 12 * draws[:, 5:7]).astype(int)  # a quarter to half of the image's side
    sides[draws[:, 4] >= settings["erasing"]] = 0
    corners = np.floor(draws[:, 7:9] * (49 - sides)).astype(int)
    return {
        "blur": settings["blur"] * draws[:, 0],
        "contrast": (1 - settings["contrast"]) ** (2 * draws[:, 1] - 1),
        "light": (1 - settings["light"]) ** (2 * draws[:, 2] - 1),
        "noise": settings["noise"] * draws[:, 3],
        "erasing": np.concatenate([corners, sides], axis=1),
        "gray": draws[:, 9],
    }


def apply_photometric(inputs, values, generator):
    """Blur, contrast, light, noise and erasing, in this order.

    Parameters
    ----------
    inputs : float32 (n, 48, 48, 1)
        0 to 1; changed in place.
    values : dict of arrays (n,)
        Rows of `epoch_photometric`.
    generator : numpy.random.Generator
        Of the noise.

    Returns
    -------
    float32 (n, 48, 48, 1)
        0 to 1.
    """
    for image, sigma in zip(inputs, values["blur"], strict=True):
        if sigma > 0.3:  # below, the kernel's centre has 99 % of the weight
            cv2.GaussianBlur(image, (0, 0), sigma, dst=image)
    contrast, light, noise, gray = (
        values[name].astype(np.float32)[:, np.newaxis, np.newaxis, np.newaxis]
        for name in ("contrast", "light", "noise", "gray")
    )
    mean = inputs.mean(axis=(1, 2), keepdims=True)
    inputs *= light * contrast
    inputs += light * (1 - contrast) * mean
    if noise.any():
        inputs += noise * NORMAL[generator.integers(0, len(NORMAL), inputs.shape, dtype=np.uint16)]
    for image, (x, y, width, height), level in zip(inputs, values["erasing"], gray, strict=True):
        image[y : y + height, x : x + width] = level
    return np.clip(inputs, 0, 1, out=inputs)


def noise_generator(seed, epoch, batch):
    """Where the noise of one batch comes from."""
    return _random(seed, epoch, NOISE, batch)


def to_input(images):
    """Images as the networks take them: uint8 (n, 48, 48) to float32 (n, 48, 48, 1), 0 to 1 (the template's / 255)."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def _matrices(a, b, c, d):
    """(n, 2, 2), each [[a, b], [c, d]]."""
    return np.stack([a, b, c, d], axis=-1).reshape(-1, 2, 2)


def _random(*key):
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
