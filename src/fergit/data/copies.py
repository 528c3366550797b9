"""Images that are there more than once, and the other oddities of a data set: empty pictures, persons in two parts.

An *exact copy* agrees in every pixel. A *near copy* has pixels that correlate highly, as they are or mirrored: the same
photograph brighter, compressed again or moved by a fraction of a pixel, or the next frame of a film. A photograph that
is cropped some pixels differently is not found, so there are more copies than are counted.
"""

import hashlib

import numpy as np
import pandas as pd

from fergit.core.faces import PARTS
from fergit.data import fer2013, ferplus

BLOCK = 4096  # training images that are correlated at a time


def fingerprints(images):
    """A hash of each image's pixels: str (n,) of 32 hexadecimal digits, for images uint8 (n, 48, 48)."""
    return np.array([hashlib.blake2b(image, digest_size=16).hexdigest() for image in images], dtype="U32")


def exact(faces):
    """All images that have an exact copy: DataFrame, a row each.

    ``copy_group`` (int, from 0, in the order of first appearance), ``sample_id``, ``class``, ``split``,
    ``conflicting`` (bool: the group has more than one class), ``across`` (bool: more than one part).
    """
    table = pd.DataFrame(
        {
            "copy_group": pd.factorize(fingerprints(faces.images))[0],
            "sample_id": faces.sample_id,
            "class": np.array(faces.classes)[faces.labels],
            "split": faces.split,
        }
    )
    table = table[table["copy_group"].duplicated(keep=False)]
    table = table.assign(copy_group=pd.factorize(table["copy_group"])[0])
    groups = table.groupby("copy_group")
    table["conflicting"] = groups["class"].transform("nunique") > 1
    table["across"] = groups["split"].transform("nunique") > 1
    return table.sort_values("copy_group", kind="stable", ignore_index=True)


def summary(faces, table):
    """How many copies there are, for what `exact` gave: Series of int, indexed by plain words."""
    groups = table.drop_duplicates("copy_group")
    numbers = {
        "images": len(faces),
        "distinct images": len(faces) - len(table) + len(groups),
        "groups of exact copies": len(groups),
        "images in these groups": len(table),
        "groups with conflicting labels": int(groups["conflicting"].sum()),
        "groups across parts": int(groups["across"].sum()),
    }
    return pd.Series(numbers, name="number", dtype=int)


def across_parts(table):
    """How many images of one part (rows) have an exact copy in another part, or in the same (columns)."""
    sizes = table.groupby(["copy_group", "split"]).size().unstack(fill_value=0).reindex(columns=PARTS, fill_value=0)
    matrix = [[int(sizes[own][sizes[other] > (own == other)].sum()) for other in PARTS] for own in PARTS]
    return pd.DataFrame(matrix, pd.Index(PARTS, name="images of"), pd.Index(PARTS, name="with a copy in"))


def conflicts(table):
    """Which ``classes`` (joined by " / ") contradict each other in how many ``groups`` of copies and ``images``."""
    groups = table[table["conflicting"]].groupby("copy_group")["class"]
    each = groups.agg(classes=lambda names: " / ".join(sorted(set(names))), images="size")
    counts = each.groupby("classes")["images"].agg(groups="size", images="sum").reset_index()
    return counts.sort_values(["groups", "classes"], ascending=[False, True], ignore_index=True)


def without_copies(faces):
    """The same faces without the training images of which another part has an exact copy."""
    prints, inside = fingerprints(faces.images), faces.split == "train"
    return faces.take(~(inside & np.isin(prints, prints[~inside])))


def nearest(images, others):
    """The other image, uint8 (m, 48, 48), whose pixels correlate best with each of n images', as is or mirrored.

    The correlation, float64 (n,), to four decimals, 0 for images of one gray value, which correlate with nothing; and
    the index of the first that correlates so, int (n,).
    """
    best, index = np.full(len(images), -2.0), np.zeros(len(images), int)
    even, odd = _standardized(images)
    for start in range(0, len(others), BLOCK):
        others_even, others_odd = _standardized(others[start : start + BLOCK])
        # Mirrored, the odd part changes its sign.
        correlations = even @ others_even.T + np.abs(odd @ others_odd.T)
        np.round(correlations, 4, out=correlations)
        first = correlations.argmax(axis=1)
        value = np.take_along_axis(correlations, first[:, np.newaxis], axis=1)[:, 0]
        better = value > best
        best[better], index[better] = value[better], start + first[better]
    return best + 0.0, index  # without a minus before zero


def _standardized(images):
    """Each image with mean 0 and length 1, as its even and its odd part under mirroring: float64 (n, 1152) each."""
    values = images - images.mean(axis=(1, 2), keepdims=True)  # float64: in float32 the fourth decimal is not sure
    length = np.sqrt((values**2).sum(axis=(1, 2), keepdims=True) * 2)
    values = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    half = values.shape[2] // 2
    left, right = values[:, :, :half], values[:, :, : half - 1 : -1]
    return (left + right).reshape(len(images), -1), (left - right).reshape(len(images), -1)


def of_test_images(faces, loaded, votes=None):
    """What is known of each test image: its nearest training image, its official part, FER+'s votes: DataFrame.

    `loaded` are the faces as the sources gave them, with their official parts; `votes` those of `ferplus.read`.
    Columns: ``sample_id``, ``label`` (the class), ``source``, ``group``, ``usage`` (FER2013's official part),
    ``exact_copy`` (bool: a training image agrees in every pixel), ``correlation`` (`nearest` in training), ``copy_id``
    and ``copy_label`` (of that training image, the exact copy where there is one; "" where none comes near), and
    ``votes_neutral`` and so on (whole numbers, missing where there are none).
    """
    train, test = faces.take(faces.split == "train"), faces.take(faces.split == "test")
    correlation, index = nearest(test.images, train.images)
    prints = fingerprints(train.images)
    first = dict(zip(prints[::-1], range(len(train))[::-1], strict=True))  # in training, of several copies
    same = np.array([first.get(name, -1) for name in fingerprints(test.images)], dtype=int)
    index, near = np.where(same >= 0, same, index), (same >= 0) | (correlation > 0)
    parts = np.where(loaded.source == "fer2013", loaded.split, "")
    usage = {name: fer2013.USAGES.get(part, "") for name, part in zip(loaded.sample_id, parts, strict=True)}
    classes = np.array(faces.classes)
    table = pd.DataFrame(
        {
            "sample_id": test.sample_id,
            "label": classes[test.labels],
            "source": test.source,
            "group": test.group,
            "usage": [usage[name] for name in test.sample_id],
            "exact_copy": same >= 0,
            "correlation": correlation,
            "copy_id": np.where(near, train.sample_id[index], ""),
            "copy_label": np.where(near, classes[train.labels[index]], ""),
        }
    )
    votes = pd.DataFrame(columns=ferplus.VOTES) if votes is None else votes
    votes = votes.reindex(test.sample_id).astype("Int64").add_prefix("votes_")
    return pd.concat([table, votes.reset_index(drop=True)], axis=1)


def constant(faces):
    """Images of one single gray value: DataFrame with ``sample_id``, ``class``, ``split``, ``value`` (0 is black)."""
    flat = faces.images.reshape(len(faces), -1)
    rows = np.flatnonzero(flat.min(axis=1) == flat.max(axis=1))
    return pd.DataFrame(
        {
            "sample_id": faces.sample_id[rows],
            "class": np.array(faces.classes)[faces.labels[rows]],
            "split": faces.split[rows],
            "value": flat[rows, 0].astype(int),
        }
    )


def people_across(faces):
    """How many persons of each part, and images of them, are also in training: a DataFrame, empty without persons."""
    known = faces.take(faces.group != "")
    rows = {}
    for part in PARTS if len(known) else ():
        group = known.group[known.split == part]
        shared = np.isin(group, known.group[known.split == "train"])
        rows[part] = {
            "people": len(np.unique(group)),
            "images": len(group),
            "people also in train": len(np.unique(group[shared])),
            "images of these": int(shared.sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("part")
