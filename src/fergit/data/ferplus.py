"""FER+ (Barsoum et al. 2016): what ten people saw on each image of FER2013, row by row beside ``fer2013.csv``."""

import dataclasses
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
# The file's columns, in their order, by the names that FER2013's classes have here.
COLUMNS = {"neutral": "neutral", "happiness": "happy", "surprise": "surprise", "sadness": "sad", "anger": "angry"}
COLUMNS |= {"disgust": "disgust", "fear": "fear", "contempt": "contempt", "unknown": "unknown", "NF": "no_face"}
VOTES = list(COLUMNS.values())
CLASSES = (*fer2013.CLASSES, "contempt")


def find():
    """The file of votes in data/external/, or None."""
    there = sorted(paths.EXTERNAL.iterdir()) if paths.EXTERNAL.is_dir() else []
    return next((path for path in there if re.fullmatch(NAME, path.name.lower()) and path.is_file()), None)


def read(path):
    """Read ``fer2013new.csv``: a DataFrame of int, columns `VOTES`, indexed by ``sample_id`` ("fer2013/00012")."""
    name = paths.relative(path)
    try:
        table = pd.read_csv(path, nrows=ROWS + 1)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise FergitError(f"{name}: not a table in CSV ({str(error).splitlines()[0]}); get it from {SOURCE}") from None
    for column in ("Usage", *COLUMNS):
        if column not in table or f"{column}.1" in table:  # so pandas calls a second one
            often = "twice there" if column in table else "missing"
            raise FergitError(f"{name}: column {column} is {often}; expected: Usage,Image name,{','.join(COLUMNS)}")
    if len(table) != ROWS:
        raise FergitError(f"{name}: {len(table):,} rows; expected: {ROWS:,}, one for each of fer2013.csv")
    votes = table[list(COLUMNS)].apply(pd.to_numeric, errors="coerce")
    wrong = ~(votes.ge(0) & votes.le(VOTERS) & (votes % 1 == 0)).all(axis=1)
    if wrong.any():
        raise FergitError(f"{name}, line {wrong.idxmax() + 2}: votes are not whole numbers from 0 to {VOTERS}")
    index = pd.Index([f"fer2013/{row:05d}" for row in range(len(votes))], name="sample_id")
    return votes.astype(int).set_axis(index).rename(columns=COLUMNS)


def by_majority(faces, votes):
    """FER2013's faces with the expression that most voters saw, of `CLASSES`; those without one are left out.

    As FER+'s own program does it (mode "majority"): a single vote for an answer does not count, and of the others more
    than half must agree, on an expression.
    """
    rows = votes.index.get_indexer(faces.sample_id)
    if (rows < 0).any():
        name = faces.sample_id[rows < 0][0]
        raise FergitError(f"images.labels is majority, but {name} is no row of fer2013.csv; get FER2013 as that table")
    counted = votes.to_numpy()[rows]
    counted = np.where(counted > 1, counted, 0)
    answer = np.array(VOTES)[counted.argmax(axis=1)]
    agreed = (counted.max(axis=1) * 2 > counted.sum(axis=1)) & np.isin(answer, CLASSES)
    kept = faces.take(agreed)
    labels = np.array([CLASSES.index(name) for name in answer[agreed]], np.uint8)
    return dataclasses.replace(kept, labels=labels, classes=CLASSES)
