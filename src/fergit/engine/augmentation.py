"""Augmentation of 48x48 faces: one affine warp an image, a pure function of (seed, epoch, index).

The paper says that the data set was augmented (p. 79); its operations and ranges could not be read. Ours are the common
ones: horizontal flip, small rotation, shift and zoom, the border repeated outwards.
"""

import cv2
import numpy as np

PURPOSE_ORDER, PURPOSE_WARP = 0, 1  # keep the random numbers of one seed and epoch apart by what they are for


def epoch_order(count, seed, epoch):
    """The order in which an epoch shows its images: a permutation of ``range(count)``, int64 (count,)."""
    return _random(seed, epoch, PURPOSE_ORDER).permutation(count)


def epoch_warps(count, seed, epoch, settings):
    """The affine maps of an epoch, one for each index.

    Parameters
    ----------
    count : int
        How many images the epoch shows.
    seed, epoch : int
        Map number i is a function of (seed, epoch, i) alone, not of `count`.
    settings : dict
        ``augmentation`` of params.yaml: ``horizontal_flip`` (bool), ``rotation`` (degrees), ``shift`` (share of the
        width), ``zoom`` (share).

    Returns
    -------
    float32 (count, 2, 3)
        From output pixels to input pixels, as OpenCV's ``WARP_INVERSE_MAP`` wants them.
    """
    draws = _random(seed, epoch, PURPOSE_WARP).random((count, 5))
    spread = 2 * draws - 1  # -1 to 1
    angle = np.deg2rad(settings["rotation"]) * spread[:, 0]
    scale = 1 + settings["zoom"] * spread[:, 1]
    flip = np.where(settings["horizontal_flip"] & (draws[:, 2] < 0.5), -1.0, 1.0)
    center = 23.5  # of 48 pixels
    offset = 48 * settings["shift"] * spread[:, 3:5]

    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    maps = np.empty((count, 2, 3))
    maps[:, 0, 0], maps[:, 0, 1] = flip * cos, -flip * sin
    maps[:, 1, 0], maps[:, 1, 1] = sin, cos
    maps[:, :, 2] = center + offset - maps[:, :, :2].sum(axis=2) * center
    return maps.astype(np.float32)


def warp(images, maps):
    """Apply one affine map to each image.

    Parameters
    ----------
    images : uint8 (n, 48, 48)
    maps : float32 (n, 2, 3)
        Of `epoch_warps`.

    Returns
    -------
    uint8 (n, 48, 48)
    """
    warped = np.empty_like(images)
    for image, matrix, target in zip(images, maps, warped, strict=True):
        cv2.warpAffine(
            image,
            matrix,
            (48, 48),
            dst=target,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return warped


def to_input(images):
    """Images as the networks take them: uint8 (n, 48, 48) to float32 (n, 48, 48, 1), 0 to 1 (ours: p. 79 is silent)."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def _random(seed, epoch, purpose):
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch, purpose))))
