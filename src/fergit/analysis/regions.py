"""Where the parts of a face lie in 48x48 images, and how much of a map lies in them.

Measured on the mean of FERGIT's 49,300 images, rows and columns in pixels: its eyes are darkest in rows 17 and 18 at
columns 15 and 32, the brows run into them from above, the nose ends in row 32, the mouth is darkest in row 38.
"""

import cv2
import numpy as np
import pandas as pd

from fergit.core.faces import SIDE

EYES, MOUTH = 17.5, 38  # rows
REGIONS = {"mouth": (35, 44, 13, 35), "nose": (22, 35, 18, 30), "eyes": (16, 22, 8, 40), "brows": (11, 16, 8, 40)}
LOWER = {"synthetic": 3}  # rows by which the faces of a source lie lower than FERGIT's: drawn heads show more hair
ALL = "all"
FEWEST_MAPS = 10  # in a mean that is shown: fewer say little


def regions(source):
    """`REGIONS` where the faces of a source have them: {name: (row from, row to, column from, column to)}."""
    lower = LOWER.get(source, 0)
    return {name: (top + lower, bottom + lower, *columns) for name, (top, bottom, *columns) in REGIONS.items()}


def areas(boxes):
    """Each region's share of the image, and that of ``all``: they do not overlap."""
    each = {name: (bottom - top) * (right - left) / SIDE**2 for name, (top, bottom, left, right) in boxes.items()}
    return each | {ALL: sum(each.values())}


def upsampled(maps):
    """Maps as large as the image, interpolated between the middles of the positions: float32 (n, 48, 48)."""
    return np.stack([cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for one in maps])


def shares(maps, boxes):
    """How much of each map lies in each region of `boxes`, and in ``all``: DataFrame, NaN for a map of zeros.

    A map, float (side, side), is taken as upsampled, so that positions across a region's edge count in part.
    """
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    positions = upsampled(np.eye(flat.shape[1], dtype=np.float32).reshape(-1, *maps.shape[1:])).astype(np.float64)
    total = flat @ positions.sum(axis=(1, 2))
    total[total == 0] = np.nan
    inside = {
        name: flat @ positions[:, top:bottom, left:right].sum(axis=(1, 2)) / total
        for name, (top, bottom, left, right) in boxes.items()
    }
    return pd.DataFrame(inside).assign(**{ALL: sum(inside.values())})
