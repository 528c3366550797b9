"""How much of an accuracy is owed to copies of test images in training, to easy sources, and to doubtful labels.

All of it is read from what preprocess and predict left: copies.csv and predictions.csv. A *near copy* is an image whose
pixels correlate with those of a training image by a threshold or more, as they are or mirrored: the same photograph,
brighter, compressed again or moved by a fraction of a pixel, or the next frame of a video. A photograph that is cropped
differently by a few pixels is not found, so there are more copies than we count.
"""

import numpy as np
import pandas as pd
from scipy import stats

from fergit.analysis import metrics
from fergit.analysis.intervals import correct_by_holm, difference, rounded, wilson
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import read_table
from fergit.core.predictions import classes_of

NEAR = ("0.95", "0.90")  # two thresholds of the correlation: neither is the right one
EXACT, ALIKE, NEITHER = KINDS = ("exact copy", "near copy", "no copy")  # in training
COLUMNS = ("sample_id", "label", "source", "exact_copy", "correlation")  # of copies.csv, that are read
VOTES = "votes_"  # what FER+'s ten people saw: votes_happy and so on
NO_EXPRESSION = ("no_face", "unknown", "a tie")
SAME, ANOTHER, SHARE = "the label", "another expression", "share of votes for the label"


def read_copies(dataset):
    """What the training set knows of each test image, and FER+'s votes: copies.csv, indexed by ``sample_id``."""
    path = paths.results(dataset) / "01-preprocess" / "copies.csv"
    texts = {"dtype": {"sample_id": str, "label": str}, "keep_default_na": False, "na_values": [""]}  # a class may be 1
    table = read_table(path, COLUMNS, f"`dvc repro preprocess@{dataset}` writes it", **texts)
    return table.set_index("sample_id")


def kinds(tests, near=NEAR[0]):
    """The kind of copy that training has of each test image, of `KINDS`: Series."""
    kind = np.select([tests["exact_copy"], tests["correlation"] >= float(near)], [EXACT, ALIKE], NEITHER)
    return pd.Series(kind, index=tests.index, name="copy")


def by_stratum(hits, stratum, level):
    """Accuracy within each stratum of the test images, the largest first: a list of dict.

    `hits` are of `metrics.by_image`, `stratum` is a Series of str for some or all of them, both by ``sample_id``. Each
    dict: ``stratum``, ``images``, ``accuracy``, ``low``, ``high`` (Wilson).
    """
    table = hits.groupby(stratum.rename("stratum")).agg(images="size", accuracy="mean")  # without what has no stratum
    table["low"], table["high"] = wilson(table["accuracy"] * table["images"], table["images"], level)
    return table.sort_values("images", ascending=False, kind="stable").reset_index().to_dict("records")


def contrast(rows, first, second, level):
    """How much better one stratum of `by_stratum` does than another, as independent samples; None if one is missing.

    A dict: ``first``, ``second``, ``difference``, ``low`` and ``high`` (Newcombe), ``p`` (Fisher's exact test).
    """
    found = {row["stratum"]: row for row in rows}
    if not {first, second} <= set(found):
        return None
    counts = [(row["accuracy"] * row["images"], row["images"]) for row in (found[first], found[second])]
    low, high = difference(*counts[0], *counts[1], level)
    gap = found[first]["accuracy"] - found[second]["accuracy"]
    p = float(stats.fisher_exact([[round(hits), n - round(hits)] for hits, n in counts]).pvalue)
    return {"first": first, "second": second, "difference": gap, "low": low, "high": high, "p": p}


def votes_of(tests):
    """FER+'s votes on those test images that have any: DataFrame of int, a column for each answer."""
    return tests.filter(regex=f"^{VOTES}").rename(columns=lambda name: name.removeprefix(VOTES)).dropna().astype(int)


def most_voted(votes):
    """What got the most votes: a Series of classes, or of `NO_EXPRESSION`: no face, unknown, or two that lead."""
    leads = votes.eq(votes.max(axis=1), axis=0)
    return votes.idxmax(axis=1).where(leads.sum(axis=1) == 1, NO_EXPRESSION[-1])


def agreement(labels, votes):
    """How far FER+ agrees with the labels of FER2013: a row for each class, and ``all``.

    Columns: ``images``; the shares of these in which most votes are for `SAME`, `ANOTHER`, or one of `NO_EXPRESSION`;
    and `SHARE`, of an image's votes in the mean.
    """
    seen = most_voted(votes)
    own = votes.to_numpy()[np.arange(len(votes)), votes.columns.get_indexer(labels)] / votes.sum(axis=1)
    table = pd.DataFrame({SAME: seen == labels, ANOTHER: ~seen.isin(NO_EXPRESSION) & (seen != labels)})
    table = table.assign(**{kind: seen == kind for kind in NO_EXPRESSION}, **{SHARE: own}).astype(float)
    by_class = table.groupby(labels).mean()
    by_class.insert(0, "images", labels.value_counts())
    by_class = by_class.sort_values("images", ascending=False)
    by_class.loc["all"] = {"images": len(labels), **table.mean()}
    return by_class.astype({"images": int}).rename_axis("class")


def summary(dataset, tests, outcomes, level):
    """All of a data set's metrics.json, from `read_copies` and the predictions of the test set by network."""
    copies, votes = {near: kinds(tests, near) for near in NEAR}, votes_of(tests)
    labels = tests.loc[votes.index, "label"]
    found = {
        "dataset": dataset,
        "confidence_level": level,
        "n_test": len(tests),
        "copies": {near: {kind: int((known == kind).sum()) for kind in KINDS} for near, known in copies.items()},
        "labels": agreement(labels, votes).loc["all"].to_dict() | {"images": len(votes)} if len(votes) else None,
        "networks": {},
    }
    for network, predictions in outcomes.items():
        hits = metrics.by_image(metrics.right(predictions), predictions)
        if set(hits.index) != set(tests.index):
            raise FergitError(f"{dataset}, {network}: predictions.csv is of other test images; `dvc repro` mends it")
        entry = {
            "accuracy": hits.mean(),
            "copies": {near: by_stratum(hits, known, level) for near, known in copies.items()},
            "sources": by_stratum(hits, tests["source"], level),
        }
        of_fer2013 = by_stratum(hits, kinds(tests[tests["source"] == "fer2013"]), level)  # the source of most copies
        entry["contrasts"] = {
            "copies": contrast(entry["copies"][NEAR[0]], EXACT, NEITHER, level),
            "sources": contrast(entry["sources"], "muxspace", "fer2013", level),
            "copies_of_fer2013": contrast(of_fer2013, EXACT, NEITHER, level) if len(entry["sources"]) > 1 else None,
        }
        if len(votes):
            entry |= _by_votes(predictions, hits, labels, most_voted(votes), level)
        found["networks"][network] = entry
    correct_by_holm([one for entry in found["networks"].values() for one in entry["contrasts"].values() if one])
    return rounded(found)


def _by_votes(predictions, hits, labels, seen, level):
    """Accuracy by what most voters saw; and with that in place of the labels, where it is one of the classes."""
    verdict = seen.where(seen.isin(NO_EXPRESSION), ANOTHER).where(seen != labels, SAME)
    common = seen[seen.isin(classes_of(predictions))]
    rows = predictions[predictions["sample_id"].isin(common.index)]
    by_votes = metrics.by_image(metrics.named(rows) == rows["sample_id"].map(common), rows)
    against = {"images": len(common), "accuracy": by_votes.mean(), "against_labels": hits[by_votes.index].mean()}
    return {"labels": by_stratum(hits, verdict, level), "against_votes": against}
