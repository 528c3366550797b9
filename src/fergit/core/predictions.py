"""The table predictions.csv: what a network's trainings make of the images that they did not learn from.

One row for each seed and each image of the validation and the test part: ``split``, ``seed``, ``sample_id``, ``label``
(the name of the true class), then ``p_<class>`` for each class in class order. All metrics are computed from this file
as written, so that anyone can compute them again. Whoever reads it says which part.
"""

import numpy as np
import pandas as pd

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import read_table, write_table

PREFIX = "p_"
COLUMNS = ("split", "seed", "sample_id", "label")
SPLITS = ("validation", "test")


def predictions_table(classes, sample_ids, labels, probabilities, split="test"):
    """Put the predictions of several seeds for the same images into one table.

    Parameters
    ----------
    classes : sequence of str
    sample_ids : str (n,)
    labels : int (n,)
        Indices into `classes`.
    probabilities : dict of int to float (n, classes)
        By seed.
    split : str, or str (n,)
        The part that each image is in, or all of them.

    Returns
    -------
    DataFrame
        As in predictions.csv, seeds x n rows.
    """
    about = pd.DataFrame({"sample_id": np.asarray(sample_ids), "label": np.asarray(classes)[np.asarray(labels)]})
    about.insert(0, "split", split)
    columns = [f"{PREFIX}{name}" for name in classes]
    tables = []
    for seed, values in probabilities.items():
        table = about.join(pd.DataFrame(np.asarray(values, dtype=np.float64), columns=columns))
        table.insert(1, "seed", int(seed))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def write_predictions(path, predictions):
    """Check a table of predictions and write it as CSV, probabilities with six significant digits."""
    _check(predictions, paths.relative(path))
    write_table(path, predictions)


def read_predictions(path, split="test"):
    """Read one part of predictions.csv: ``"test"`` or ``"validation"``.

    Raises
    ------
    FergitError
        There is no such file, a row or column is wrong, or the seeds differ in their images. The message names the
        file and the line.
    """
    name, remedy = paths.relative(path), "`dvc repro` writes it (stage predict)"
    table = read_table(path, COLUMNS, remedy, dtype={"sample_id": str, "label": str}, keep_default_na=False)
    _check(table, name)
    if not (table["split"] == split).any():
        raise FergitError(f"{name}: no rows of the {split} part; {remedy}")
    return table[table["split"] == split].reset_index(drop=True)


def _check(table, name):
    columns = tuple(table.columns)
    if columns[:4] != COLUMNS or any(not column.startswith(PREFIX) for column in columns[4:]) or len(columns) < 6:
        allowed = f"{','.join(COLUMNS)} and {PREFIX}<class> for each of at least 2 classes"
        raise FergitError(f"{name}: columns are {','.join(columns)}; allowed: {allowed}")
    if not pd.api.types.is_integer_dtype(table["seed"]) or table.empty:
        raise FergitError(f"{name}: no rows, or a seed that is not a whole number")
    classes, numbers = classes_of(table), table.iloc[:, 4:].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    for wrong, what in (
        (~table["split"].isin(SPLITS), f"split is none of {', '.join(SPLITS)}"),
        (~table["label"].isin(classes), f"class is none of {', '.join(classes)}"),
        (~np.all((numbers >= 0) & (numbers <= 1), axis=1), "a probability is not a number from 0 to 1"),
        (abs(numbers.sum(axis=1) - 1) > 1e-3, "the probabilities do not add up to 1"),
        (table.duplicated(["seed", "sample_id"]), "the same seed and sample_id as in an earlier line"),
    ):
        if wrong.any():
            raise FergitError(f"{name}, line {np.flatnonzero(wrong)[0] + 2}: {what}")
    first, *others = (rows[["split", "sample_id", "label"]].to_numpy() for _, rows in table.groupby("seed", sort=False))
    if not all(np.array_equal(first, other) for other in others):
        raise FergitError(f"{name}: the seeds do not have the same images and classes in the same order")


def classes_of(predictions):
    """The names of the classes, in class order."""
    return tuple(column.removeprefix(PREFIX) for column in predictions.columns if column.startswith(PREFIX))


def seeds_of(predictions):
    """The seeds, in the order of the rows."""
    return [int(seed) for seed in predictions["seed"].unique()]


def unpack(predictions):
    """The arrays of a table: labels int (n,), indices of the classes, and probabilities float (seeds, n, classes)."""
    classes, seeds = classes_of(predictions), predictions["seed"].nunique()
    labels = pd.Index(classes).get_indexer(predictions["label"])[: len(predictions) // seeds]
    values = predictions[[f"{PREFIX}{name}" for name in classes]].to_numpy(dtype=np.float64)
    return labels, values.reshape(seeds, labels.size, len(classes))
