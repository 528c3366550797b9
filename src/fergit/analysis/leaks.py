"""How much of an accuracy is owed to copies of test images in training, to easy sources, and to wrong labels.

A *near copy* is an image whose pixels correlate with those of a training image by `NEAR` or more, as they are or
mirrored: the same photograph, brighter, compressed again or moved by a fraction of a pixel, or the next frame of a
film. A photograph that is cut a few pixels otherwise is not found, so that there are more copies than are counted.
"""

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from fergit.analysis import metrics
from fergit.core.errors import FergitError
from fergit.data import anomalies, ferplus
from fergit.pages.present import TITLES, counted, listed, p_value, percent, points, with_interval

NEAR = 0.95
EXACT, ALIKE, NEITHER = KINDS = ("exact copy", "near copy", "no copy")  # in training
BLOCK = 4096  # training images at a time
FEWEST = 20  # images that an accuracy is told of


def nearest(images, others):
    """The highest correlation of each image's pixels with any of other images, as they are or mirrored.

    Parameters
    ----------
    images : uint8 (n, 48, 48)
    others : uint8 (m, 48, 48)

    Returns
    -------
    float64 (n,)
        -1 to 1, to four decimals; 0 for images of one gray value, which correlate with nothing.
    """
    best = np.full(len(images), -1.0)
    both = [_standardized(images), _standardized(images[:, :, ::-1])]
    for start in range(0, len(others), BLOCK):
        block = _standardized(others[start : start + BLOCK]).T
        for own in both:
            np.maximum(best, (own @ block).max(axis=1), out=best)
    return best.round(4)


def _standardized(images):
    flat = images.reshape(len(images), -1).astype(np.float64)  # in float32 the fourth decimal hangs on the machine
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.divide(flat, length, out=np.zeros_like(flat), where=length > 0)


def tested(faces):
    """What the training part knows of each test image.

    Parameters
    ----------
    faces : Faces
        All parts.

    Returns
    -------
    DataFrame
        Indexed by ``sample_id``: ``label``, ``source``, ``correlation`` (`nearest`, with training), ``copy`` (of
        `KINDS`).
    """
    test, train = faces.take(faces.split == "test"), faces.take(faces.split == "train")
    exact = np.isin(anomalies.fingerprints(test.images), anomalies.fingerprints(train.images))
    correlation = nearest(test.images, train.images)
    return pd.DataFrame(
        {
            "label": np.array(faces.classes)[test.labels],
            "source": test.source,
            "correlation": correlation,
            "copy": np.select([exact, correlation >= NEAR], [EXACT, ALIKE], NEITHER),
        },
        index=pd.Index(test.sample_id, name="sample_id"),
    )


def right(predictions, truth=None):
    """The share of seeds that name each image rightly: Series of float, indexed by ``sample_id``.

    Parameters
    ----------
    predictions : DataFrame
        As in predictions.csv.
    truth : Series of str, optional
        Other classes than the data set's own, by ``sample_id``; only their images are kept.
    """
    images = predictions["sample_id"].drop_duplicates()
    if truth is None:
        return pd.Series(metrics.correct(predictions).mean(axis=0), index=pd.Index(images, name="sample_id"))
    guess = predictions.filter(regex=f"^{metrics.PREFIX}").idxmax(axis=1).str.removeprefix(metrics.PREFIX)
    hit = guess.to_numpy() == predictions["sample_id"].map(truth).to_numpy()
    return pd.Series(hit, index=predictions["sample_id"]).groupby(level=0).mean().loc[images[images.isin(truth.index)]]


def by_stratum(hits, stratum, level):
    """Accuracy within each stratum of the test images.

    Parameters
    ----------
    hits : Series of float
        Of `right`.
    stratum : Series of str
        By ``sample_id``, for some or all of them.
    level : float

    Returns
    -------
    list of dict
        The largest stratum first: ``stratum``, ``images``, ``accuracy``, ``low`` and ``high`` (Wilson).
    """
    hits = hits[hits.index.isin(stratum.index)]
    rows = []
    for name, part in hits.groupby(stratum.loc[hits.index]):
        low, high = metrics.wilson(part.sum(), len(part), level)
        row = {"stratum": name, "images": len(part), "accuracy": part.mean(), "low": float(low), "high": float(high)}
        rows.append(row)
    return sorted(rows, key=lambda row: -row["images"])


def contrast(first, second, level):
    """How much better one stratum is named than another, as two independent samples.

    Parameters
    ----------
    first, second : dict
        Rows of `by_stratum`.
    level : float

    Returns
    -------
    dict
        ``difference`` (first less second), ``low`` and ``high`` (Newcombe), ``p`` (Fisher's exact test).
    """
    counts = [(row["accuracy"] * row["images"], row["images"]) for row in (first, second)]
    low, high = confint_proportions_2indep(*counts[0], *counts[1], method="newcomb", compare="diff", alpha=1 - level)
    table = [[round(hit), n - round(hit)] for hit, n in counts]
    p = float(stats.fisher_exact(table).pvalue)
    return {"difference": first["accuracy"] - second["accuracy"], "low": float(low), "high": float(high), "p": p}


def summary(dataset, tests, outcomes, votes, level):
    """All of a data set's metrics.json: whatever is said of it is said from this alone.

    Parameters
    ----------
    dataset : str
    tests : DataFrame
        Of `tested`.
    outcomes : dict of str to DataFrame
        Predictions by network.
    votes : DataFrame or None
        Of `ferplus.read`; None where the file is not there.
    level : float

    Returns
    -------
    dict
    """
    tests = tests.assign(source=tests["source"].replace(TITLES))
    found = {
        "dataset": dataset,
        "confidence_level": level,
        "n_test": len(tests),
        "copies": {kind: int((tests["copy"] == kind).sum()) for kind in KINDS},
        "labels": None,
        "networks": {},
    }
    voted = tests[tests.index.isin(votes.index)] if votes is not None else tests.iloc[:0]
    if len(voted):
        table = ferplus.agreement(voted["label"], votes)
        found["labels"] = table.loc["all"].to_dict() | {"images": len(voted)}
        seen = ferplus.most_voted(votes.loc[voted.index])
        verdict = seen.where(seen.isin(ferplus.NO_EXPRESSION), "another expression")
        verdict = verdict.where(seen != voted["label"], "the same")
    for network, predictions in outcomes.items():
        if set(predictions["sample_id"]) != set(tests.index):
            raise FergitError(f"{dataset}, {network}: predictions.csv is of other test images; `dvc repro` mends it")
        hits = right(predictions)
        copies, source = (by_stratum(hits, tests[column], level) for column in ("copy", "source"))
        entry = {"accuracy": hits.mean(), "copies": copies, "sources": source, "contrasts": {}}
        pairs = [("copies", copies, EXACT, NEITHER), ("sources", source, "muxspace", TITLES["fer2013"])]
        if len(source) > 1:  # most copies are FER2013's, whose images are the harder ones
            of_fer2013 = tests.loc[tests["source"] == TITLES["fer2013"], "copy"]
            pairs.append(("copies_of_fer2013", by_stratum(hits, of_fer2013, level), EXACT, NEITHER))
        for name, rows, one, other in pairs:
            by_name = {row["stratum"]: row for row in rows}
            if one in by_name and other in by_name:
                entry["contrasts"][name] = {"first": one, "second": other}
                entry["contrasts"][name] |= contrast(by_name[one], by_name[other], level)
        if found["labels"]:
            entry["labels"] = by_stratum(hits, verdict, level)
            common = seen[seen.isin(metrics.classes_of(predictions))]
            against = right(predictions, common)
            entry["against_votes"] = {
                "images": len(against),
                "accuracy": against.mean(),
                "against_labels": hits[against.index].mean(),
            }
        found["networks"][network] = entry
    contrasts = [one for entry in found["networks"].values() for one in entry["contrasts"].values()]
    for one, p in zip(contrasts, metrics.holm([one["p"] for one in contrasts]) if contrasts else (), strict=True):
        one["p_holm"] = p
    return metrics.rounded(found)


def strata_table(found, kind, heading):
    """Accuracy within the strata of one kind, for the eye: a row each, a column for each network."""
    columns = {}
    for network, entry in found["networks"].items():
        for row in entry[kind]:
            text = with_interval(row["accuracy"], row["low"], row["high"])
            columns.setdefault(network, {})[row["stratum"]] = text
            columns.setdefault("test images", {})[row["stratum"]] = f"{row['images']:,}"
    return pd.DataFrame(columns).rename_axis(heading).sort_index(axis=1, key=lambda names: names != "test images")


def agreement_table(table):
    """`ferplus.agreement` for the eye."""
    shares = table.columns.drop("images")
    return table.assign(
        images=table["images"].map("{:,}".format), **{name: table[name].map(percent) for name in shares}
    )


def copies_sentence(found):
    """How many test images are in training too."""
    n = found["n_test"]
    exact, near = (
        f"{some:,} ({percent(some / n)})" if some else "none" for some in map(found["copies"].get, (EXACT, ALIKE))
    )
    return f"Of the {n:,} test images {exact} have an exact copy in training and {near} only a near one."


def clean_sentence(found):
    """How good the networks are on the test images that are not in training too; empty where no image is clean."""
    n, rates = found["copies"][NEITHER], []
    if 0 < n < FEWEST:
        return f"Only {n} have neither: too few to tell an accuracy."
    for network, entry in found["networks"].items():
        for row in entry["copies"]:
            if row["stratum"] == NEITHER:
                clean = with_interval(row["accuracy"], row["low"], row["high"])
                rates.append(f"**{clean}** ({network}; on all {percent(entry['accuracy'])})")
    return f"On the {n:,} with neither the accuracy is {listed(rates)}." if rates else ""


def copies_findings(found):
    """What copies do to the accuracy, in sentences."""
    said = [copies_sentence(found), clean_sentence(found)]
    for network, entry in found["networks"].items():
        everywhere, of_fer2013 = (entry["contrasts"].get(name) for name in ("copies", "copies_of_fer2013"))
        if everywhere:
            said.append(
                f"Between images with an exact copy and images with none lie, for the {network} network, "
                f"{_difference(found, everywhere)}."
            )
        if of_fer2013:
            said.append(f"Among FER2013's images alone it is {_difference(found, of_fer2013)}.")
    if len(said) > 2:
        said.append("Images with a copy differ from the others in more than that.")
    if found["dataset"] == "ckplus":
        said.append("CK+ has three frames of each sequence, taken one after the other.")
    return " ".join(filter(None, said))


def sources_findings(found):
    """How the accuracy differs between FER2013's and muxspace's images, in sentences; empty for one source."""
    said = []
    for network, entry in found["networks"].items():
        if len(entry["sources"]) > 1:
            rates = [f"**{percent(row['accuracy'])}** of {row['stratum']}'s" for row in entry["sources"]]
            said.append(f"The {network} network is right in {listed(rates)} images.")
        if "sources" in entry["contrasts"]:
            between = _difference(found, entry["contrasts"]["sources"])
            said.append(f"Between muxspace and {TITLES['fer2013']} lie {between}.")
    return " ".join(filter(None, said))


def labels_findings(found):
    """How far the labels can be trusted, in sentences; empty without votes."""
    labels = found["labels"]
    if not labels:
        return ""
    share = {name: percent(value) for name, value in labels.items()}
    said = [
        f"For {counted(labels['images'], 'test image')} of FER2013 there are FER+'s ten votes. The leading answer "
        f"is the label in **{share[ferplus.SAME]}**, another expression in {share[ferplus.ANOTHER]}, no face in "
        f"{share[ferplus.NOT_A_FACE]}, unknown in {share[ferplus.UNKNOWN]}; in {share[ferplus.TIE]} two lead. A single "
        f"vote is for the label in {share[ferplus.SHARE]}. So whoever named each of these images as most people do, "
        f"where one answer leads, would be counted as right in {share[ferplus.SAME]} of them."
    ]
    for network, entry in found["networks"].items():
        rates = {row["stratum"]: percent(row["accuracy"]) for row in entry["labels"]}
        if {"the same", "another expression"} <= set(rates):
            said.append(
                f"The {network} network agrees with the label in {rates['the same']} where the leading answer is the "
                f"label too, and in {rates['another expression']} where it is another expression."
            )
        against = entry["against_votes"]
        if against["images"]:
            said.append(
                f"On the {against['images']:,} images whose leading answer is one of its classes, it is right by the "
                f"votes in {percent(against['accuracy'])}, by the labels in {percent(against['against_labels'])}."
            )
    return " ".join(said)


def _difference(found, one):
    level = percent(found["confidence_level"], 0)
    return (
        f"{points(one['difference'])} points ({level} interval {points(one['low'])} to {points(one['high'])}; Fisher's "
        f"exact test, corrected by Holm: {p_value(one['p_holm'])})"
    )
