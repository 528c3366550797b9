"""What is wrong with the images: exact copies, contradicting labels, empty pictures.

Copies are found by a hash of the pixels, so only images that agree in every pixel count as such.
"""

import hashlib

import numpy as np
import pandas as pd

from fergit.core.faces import PARTS


def fingerprints(images):
    """A hash of each image's pixels: str (n,) of 32 hexadecimal digits, for images uint8 (n, 48, 48)."""
    return np.array([hashlib.blake2b(image, digest_size=16).hexdigest() for image in images], dtype="U32")


def copies(faces):
    """All images that have an exact copy.

    Returns
    -------
    DataFrame
        A row for each image: ``copy_group`` (int, from 0, in the order of first appearance), ``sample_id``,
        ``source``, ``class``, ``split``, ``conflicting`` (bool: the group has more than one class), ``across`` (bool:
        it lies in more than one part).
    """
    table = pd.DataFrame(
        {
            "copy_group": pd.factorize(fingerprints(faces.images))[0],
            "sample_id": faces.sample_id,
            "source": faces.source,
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


def summary(faces, table=None):
    """How many copies there are.

    Parameters
    ----------
    faces : Faces
    table : DataFrame, optional
        What `copies` gave for them.

    Returns
    -------
    Series of int
        Indexed by plain words.
    """
    table = copies(faces) if table is None else table
    groups = table.drop_duplicates("copy_group")
    return pd.Series(
        {
            "images": len(faces),
            "distinct images": len(faces) - len(table) + len(groups),
            "groups of exact copies": len(groups),
            "images in these groups": len(table),
            "groups with conflicting labels": int(groups["conflicting"].sum()),
            "groups across parts": int(groups["across"].sum()),
        },
        name="number",
        dtype=int,
    )


def across_parts(faces, table=None):
    """How many images of one part have an exact copy in another, or in the same.

    Returns
    -------
    DataFrame of int (3, 3)
        Rows: the part an image is in; columns: the part that has a copy of it.
    """
    table = copies(faces) if table is None else table
    matrix = pd.DataFrame(0, index=pd.Index(PARTS, name="images of"), columns=pd.Index(PARTS, name="with a copy in"))
    sizes = (
        table.groupby(["copy_group", "split"]).size().unstack(fill_value=0).reindex(columns=list(PARTS), fill_value=0)
    )
    for own in PARTS:
        for other in PARTS:
            has = sizes[other] > (1 if own == other else 0)
            matrix.loc[own, other] = int(sizes[own][has].sum())
    return matrix


def without_leaks(faces):
    """The same faces without the training images of which another part has an exact copy."""
    prints, inside = fingerprints(faces.images), faces.split == "train"
    return faces.take(~(inside & np.isin(prints, prints[~inside])))


def constant(faces):
    """Images of one single gray value; the all-black ones have value 0.

    Returns
    -------
    DataFrame
        ``sample_id``, ``class``, ``split``, ``value`` (int, 0-255).
    """
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


def conflicts(faces, table=None):
    """Which classes contradict each other on the same pixels.

    Returns
    -------
    DataFrame
        A row for each set of classes that a group of copies carries: ``classes`` (joined by " / "), ``groups``,
        ``images``; the most frequent first.
    """
    table = copies(faces) if table is None else table
    groups = table[table["conflicting"]].groupby("copy_group")["class"]
    each = groups.agg(classes=lambda names: " / ".join(sorted(set(names))), images="size")
    counts = each.groupby("classes")["images"].agg(groups="size", images="sum").reset_index()
    return counts.sort_values(["groups", "classes"], ascending=[False, True], ignore_index=True)


def people_across(faces):
    """How many persons of each part, and images of them, are also in the training part; only where persons are known.

    Returns
    -------
    DataFrame of int
        Indexed by part: ``people``, ``images``, ``people also in train``, ``images of these``. Empty where no person is
        known.
    """
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
