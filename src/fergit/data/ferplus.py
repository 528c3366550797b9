"""FER+ (Barsoum et al. 2016): what ten people saw on each image of FER2013, row by row beside ``fer2013.csv``."""

import lzma
import re
import zlib

import numpy as np
import pandas as pd

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.data import fer2013

NAME = r".*fer2013new\.csv(\.xz|\.gz)?"  # in data/external/, in any case
SOURCE = "https://github.com/microsoft/FERPlus/raw/master/fer2013new.csv"
VOTERS = 10
ROWS = sum(map(sum, fer2013.COUNTS.values()))
NOT_A_FACE, UNKNOWN, TIE = NO_EXPRESSION = ("not a face", "unknown", "a tie")
SAME, ANOTHER, SHARE = "the label", "another expression", "share of votes for the label"  # columns of `agreement`
CLASSES = {  # its columns, in their order, by the names that FER2013's classes have here
    "neutral": "neutral",
    "happiness": "happy",
    "surprise": "surprise",
    "sadness": "sad",
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "contempt": "contempt",
    "unknown": UNKNOWN,
    "NF": NOT_A_FACE,
}


def find():
    """The file of votes in data/external/, or None: nothing but the notebook on labels needs it."""
    there = sorted(paths.EXTERNAL.iterdir()) if paths.EXTERNAL.is_dir() else []
    return next((path for path in there if re.fullmatch(NAME, path.name.lower())), None)


def read(path):
    """Read the votes.

    Parameters
    ----------
    path : path
        ``fer2013new.csv``, plain or packed as ``.xz`` or ``.gz``.

    Returns
    -------
    DataFrame of int
        Indexed by FERGIT's and FER2013's ``sample_id`` ("fer2013/00012"); columns: the values of `CLASSES`.

    Raises
    ------
    FergitError
        Not that file: names the row, or what is missing.
    """
    name = paths.relative(path)
    try:
        table = pd.read_csv(path, nrows=ROWS + 1)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise FergitError(f"{name}: not a table in CSV ({str(error).splitlines()[0]}); get it from {SOURCE}") from None
    missing = [column for column in ("Usage", *CLASSES) if column not in table]
    if missing:
        raise FergitError(f"{name}: no column {missing[0]}; expected: Usage,Image name,{','.join(CLASSES)}")
    if len(table) != ROWS:
        raise FergitError(f"{name}: {len(table):,} rows; expected: {ROWS:,}, one for each of fer2013.csv")
    votes = table[list(CLASSES)].apply(pd.to_numeric, errors="coerce")
    wrong = ~(votes.ge(0) & votes.le(VOTERS) & (votes % 1 == 0)).all(axis=1)
    if wrong.any():
        raise FergitError(f"{name}, line {wrong.idxmax() + 2}: votes are not whole numbers from 0 to {VOTERS}")
    index = pd.Index([f"fer2013/{row:05d}" for row in range(len(votes))], name="sample_id")
    return votes.astype(int).set_axis(index).rename(columns=CLASSES)


def most_voted(votes):
    """What got the most votes: a Series of class names, `NOT_A_FACE`, `UNKNOWN` or, where two lead, `TIE`."""
    leads = votes.eq(votes.max(axis=1), axis=0)
    return votes.idxmax(axis=1).where(leads.sum(axis=1) == 1, TIE)


def agreement(labels, votes):
    """How far FER+ bears out the labels of FER2013.

    Parameters
    ----------
    labels : Series of str
        The class of each image, indexed by ``sample_id``; all of them must have votes.
    votes : DataFrame
        Of `read`.

    Returns
    -------
    DataFrame
        A row for each class, by falling number of images, and one for all: ``images``; the shares of these in which
        most votes are for `SAME`, `ANOTHER`, or one of `NO_EXPRESSION`; and `SHARE`, of an image's votes in the mean.
    """
    votes = votes.loc[labels.index]
    seen = most_voted(votes)
    own = np.array([votes.at[name, label] for name, label in labels.items()]) / votes.sum(axis=1)
    table = pd.DataFrame({SAME: seen == labels, ANOTHER: ~seen.isin(NO_EXPRESSION) & (seen != labels)})
    table = table.assign(**{kind: seen == kind for kind in NO_EXPRESSION}, **{SHARE: own}).astype(float)
    by_class = table.groupby(labels).mean()
    by_class.insert(0, "images", labels.value_counts())
    by_class = by_class.sort_values("images", ascending=False)
    by_class.loc["all"] = {"images": len(labels), **table.mean()}
    return by_class.astype({"images": int}).rename_axis("class")
