"""From predictions to metrics, with intervals: what is known of a network, and how well it is known.

Predictions are a table of `fergit.core.predictions`, of the test part unless something else is said. Two kinds of
spread are kept apart: an interval over *images* (what other test images would have given these networks; Wilson for the
accuracy of one seed, else the bootstrap), and an interval over *seeds* (what other trainings would have given;
Student's t). Statistics come from scikit-learn, SciPy and statsmodels.
"""

import math

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import auc, confusion_matrix, precision_recall_fscore_support, roc_curve
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import read_json
from fergit.core.predictions import (  # noqa: F401
    PREFIX,
    classes_of,
    predictions_table,
    read_predictions,
    seeds_of,
    unpack,
    write_predictions,
)

KEYS = ("accuracy", "macro_f1", "n_test", "parameters", "seeds", "trained")  # of metrics.json, that are read
TRAINING = (  # keys of training.json that are read
    *("dataset", "model", "trained", "epochs_run", "best_epoch", "best_val_accuracy", "train_accuracy_at_best"),
    *("highest_train_accuracy", "prior_val_accuracy", "n_train", "parameters", "classes", "network", "train"),
)
BOOTSTRAP_SEED = 0  # the intervals are the same numbers on every run
ROC_GRID = np.linspace(0, 1, 101)  # 101 points a class draw the same curve as thousands
SCORES = ("precision", "recall", "f1")


# Trainings


def read_trainings(dataset, model, seeds):
    """What each training left beside its weights: ``training.json`` by seed.

    Raises
    ------
    FergitError
        A training was not run: names the file and the command that runs it.
    """
    files = {int(seed): paths.results(dataset, model, seed) / "training.json" for seed in seeds}
    return {
        seed: read_json(file, TRAINING, f"`dvc repro train@{dataset}-{model}-{seed}` trains it")
        for seed, file in files.items()
    }


# Metrics


def correct(predictions):
    """Which images were named rightly: bool (seeds, n)."""
    labels, probabilities = unpack(predictions)
    return probabilities.argmax(axis=2) == labels


def confusions(predictions):
    """Confusion matrices, int (seeds, classes, classes): rows are the true classes, columns the predicted ones."""
    labels, probabilities = unpack(predictions)
    names = np.arange(probabilities.shape[2])
    return np.stack([confusion_matrix(labels, p.argmax(axis=1), labels=names) for p in probabilities])


def named_per_image(predictions):
    """How many images get a class's name for each image of it, all seeds together: dict of str to float.

    None for a class that no image is of.
    """
    confusion = confusions(predictions).sum(axis=0)
    counts = zip(classes_of(predictions), confusion.sum(axis=0), confusion.sum(axis=1), strict=True)
    return {name: float(named / images) if images else None for name, named, images in counts}


def confusion_table(predictions):
    """The first seed's true and predicted classes, a row for each image: actual, predicted (DVC draws them)."""
    classes = np.asarray(classes_of(predictions))
    labels, probabilities = unpack(predictions)
    return pd.DataFrame({"actual": classes[labels], "predicted": classes[probabilities[0].argmax(axis=1)]})


def per_class(predictions, level=0.95):
    """Precision, recall and F1 of each class (means over the seeds), with its support and the interval of its recall.

    Returns
    -------
    DataFrame
        Indexed by class: precision, recall, recall_low, recall_high, f1, support. The interval is Wilson's, over
        images; with several seeds, that of their mean recall on that many images.
    """
    classes = classes_of(predictions)
    scores, support = _scores(predictions, average=None)
    table = pd.DataFrame(dict(zip(SCORES, scores, strict=True)), index=pd.Index(classes, name="class"))
    low, high = wilson(table["recall"] * support, support, level)
    table.insert(2, "recall_low", low)
    table.insert(3, "recall_high", high)
    return table.assign(support=support)


def beside_paper(table, paper):
    """The table of `per_class` with the paper's columns, ``paper_precision`` and so on, where `paper` is not None."""
    if paper is None:
        return table
    theirs = pd.DataFrame({f"paper_{name}": paper[name] for name in (*SCORES, "support")}, index=paper["classes"])
    return table.join(theirs)


def averages(predictions):
    """Precision, recall and F1 over all classes, means over the seeds.

    Returns
    -------
    DataFrame
        Rows ``macro`` (each class counts the same) and ``weighted`` (by support), columns precision, recall, f1.
    """
    rows = {kind: _scores(predictions, average=kind)[0] for kind in ("macro", "weighted")}
    return pd.DataFrame.from_dict(rows, orient="index", columns=SCORES)


def _scores(predictions, average):
    """Precision, recall and F1 by scikit-learn, means over seeds; and the support of each class."""
    labels, probabilities = unpack(predictions)
    results = []
    for guess in probabilities.argmax(axis=2):
        # A class that is neither there nor predicted has no score to average.
        names = np.arange(probabilities.shape[2]) if average is None else np.union1d(labels, guess)
        results.append(precision_recall_fscore_support(labels, guess, labels=names, average=average, zero_division=0))
    return np.mean([result[:3] for result in results], axis=0), results[0][3]


def macro_f1(confusion):
    """Macro F1 from confusion matrices, int (..., classes, classes) to float (...).

    As scikit-learn: a class that is neither there nor predicted has no F1 and is left out of the mean.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1 = np.divide(2 * hits, total, out=np.zeros(hits.shape), where=total > 0)
    return f1.sum(axis=-1) / (total > 0).sum(axis=-1)


def roc_curves(predictions):
    """One-vs-rest ROC curves of the first seed, and the area under each.

    Returns
    -------
    curves : DataFrame
        Columns class, fpr, tpr, at 101 false positive rates.
    areas : Series
        By class; NaN where the test part holds none, or nothing else.
    """
    labels, probabilities = unpack(predictions)
    curves, areas = [], _areas(labels, probabilities[0], classes_of(predictions))
    for index, name in enumerate(areas.index):
        if math.isfinite(areas[name]):
            fpr, tpr, _ = roc_curve(labels == index, probabilities[0][:, index], drop_intermediate=False)
            at = np.searchsorted(fpr, ROC_GRID, side="right") - 1  # a step function: the last step taken so far
            curves.append(pd.DataFrame({"class": name, "fpr": ROC_GRID, "tpr": tpr[at]}))
    return pd.concat(curves, ignore_index=True), areas


def _areas(labels, probabilities, classes):
    areas = {}
    for index, name in enumerate(classes):
        here = labels == index
        if here.any() and not here.all():
            fpr, tpr, _ = roc_curve(here, probabilities[:, index])
            areas[name] = auc(fpr, tpr)
        else:
            areas[name] = math.nan
    return pd.Series(areas, name="auc").rename_axis("class")


def calibration(predictions, bins, level=0.95):
    """Does a probability of 0.8 mean right in 80 of 100 cases? The first seed's predictions, in bins of equal width.

    Returns
    -------
    DataFrame
        For each bin that holds images: low, high, confidence (mean probability of the predicted class), accuracy,
        images; accuracy_low, accuracy_high (Wilson's interval).
    """
    labels, probabilities = unpack(predictions)
    table = _calibration(labels, probabilities[0], bins)
    low, high = wilson(table["accuracy"] * table["images"], table["images"], level)
    return table.assign(accuracy_low=low, accuracy_high=high)


def _calibration(labels, probabilities, bins):
    confidence = probabilities.max(axis=1)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)  # (low, high]
    frame = pd.DataFrame({"confidence": confidence, "accuracy": probabilities.argmax(axis=1) == labels})
    table = frame.groupby(place).agg(
        confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), images=("accuracy", "size")
    )
    table.insert(0, "low", edges[table.index])
    table.insert(1, "high", edges[table.index + 1])
    return table.reset_index(drop=True)


def calibration_error(table):
    """Expected calibration error: the mean gap between confidence and accuracy, each bin weighted by its images."""
    return float(np.average(abs(table["confidence"] - table["accuracy"]), weights=table["images"]))


# How sure


def wilson(count, n, level=0.95):
    """Wilson's interval of a share ``count / n``; (0, 1) where n is 0. Arrays give arrays."""
    count, n = np.asarray(count, dtype=float), np.asarray(n, dtype=float)
    low, high = proportion_confint(count, np.maximum(n, 1), alpha=1 - level, method="wilson")
    return np.where(n > 0, low, 0.0), np.where(n > 0, high, 1.0)


def over_seeds(values, level=0.95):
    """Student's t interval of the mean over trainings, or None for fewer than two."""
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return None
    error = stats.sem(values)
    return [float(end) for end in values.mean() + error * np.array(stats.t.interval(level, values.size - 1))]


def bootstrap(values, statistic, samples, level=0.95):
    """Percentile interval over images, by resampling images; every seed sees the same resampled images.

    Parameters
    ----------
    values : array (..., n)
        Something for each image.
    statistic : function
        Takes values (..., batch, n) and returns (batch,).
    samples : int
    """
    values = np.asarray(values)
    result = stats.bootstrap(
        (np.arange(values.shape[-1]),),
        lambda index, axis: statistic(values[..., index]),
        n_resamples=samples,
        batch=max(1, 4_000_000 // values.size),  # keeps each batch near 30 MB
        vectorized=True,
        axis=-1,
        confidence_level=level,
        method="percentile",  # BCa has no answer where nothing varies, such as a test part without a mistake
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    )
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def accuracy_interval(predictions, samples, level=0.95):
    """Interval over images of the accuracy (Wilson), or of its mean over seeds (bootstrap)."""
    right = correct(predictions)
    if len(right) == 1:
        return [float(end) for end in wilson(right.sum(), right.size, level)]
    return bootstrap(right.mean(axis=0), lambda values: values.mean(axis=-1), samples, level)


def macro_f1_interval(predictions, samples, level=0.95):
    """Interval over images of macro F1, or of its mean over seeds (bootstrap)."""
    labels, probabilities = unpack(predictions)
    classes = probabilities.shape[2]
    cells = labels * classes + probabilities.argmax(axis=2)  # each image's cell of the confusion matrix

    def mean_macro_f1(cells):  # (seeds, batch, n)
        tables = cells.shape[0] * cells.shape[1]
        offsets = np.arange(tables).reshape(*cells.shape[:2], 1) * classes**2
        counts = np.bincount((cells + offsets).ravel(), minlength=tables * classes**2)
        return macro_f1(counts.reshape(*cells.shape[:2], classes, classes)).mean(axis=0)

    return bootstrap(cells, lambda values: mean_macro_f1(_with_batch(values)), samples, level)


def _with_batch(values):
    """SciPy asks once without resampling, (seeds, n): make it a batch of one."""
    return values if values.ndim == 3 else values[:, np.newaxis]


def interval_key(level):
    """The name of an interval in metrics.json: ``ci95`` for 0.95."""
    return f"ci{100 * level:g}"


def summarize(predictions, trainings, evaluate):
    """All of metrics.json.

    Parameters
    ----------
    predictions : DataFrame
        As read back from predictions.csv.
    trainings : dict of int to dict
        training.json by seed.
    evaluate : dict
        confidence_level, bootstrap_samples, calibration_bins.

    Returns
    -------
    dict
        accuracy and macro_f1: mean, sd (None for one seed), per_seed, ``ci95`` (over images), ``ci95_over_seeds``
        (None for one seed); further averages; n_test, parameters, seeds, trained by seed.
    """
    level, samples = evaluate["confidence_level"], evaluate["bootstrap_samples"]
    labels, probabilities = unpack(predictions)
    classes, seeds = classes_of(predictions), seeds_of(predictions)
    means = averages(predictions)
    areas = [_areas(labels, p, classes).mean() for p in probabilities]
    errors = [calibration_error(_calibration(labels, p, evaluate["calibration_bins"])) for p in probabilities]

    def entry(values, interval):
        values = [float(value) for value in values]
        return {
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "per_seed": values,
            interval_key(level): interval,
            f"{interval_key(level)}_over_seeds": over_seeds(values, level),
        }

    return rounded(
        {
            "accuracy": entry(correct(predictions).mean(axis=1), accuracy_interval(predictions, samples, level)),
            "macro_f1": entry(macro_f1(confusions(predictions)), macro_f1_interval(predictions, samples, level)),
            "macro_precision": means.loc["macro", "precision"],
            "macro_recall": means.loc["macro", "recall"],
            "weighted_f1": means.loc["weighted", "f1"],
            "macro_roc_auc": float(np.mean(areas)) if np.isfinite(areas).all() else None,
            "calibration_error": float(np.mean(errors)),
            "n_test": int(labels.size),
            "parameters": int(trainings[seeds[0]]["parameters"]),
            "seeds": seeds,
            "trained": {str(seed): bool(trainings[seed]["trained"]) for seed in seeds},
        }
    )


def rounded(value):
    """Six decimals: more than the test part can tell, fewer than the last bits of a sum."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(float(value), 6) if isinstance(value, float) else value


# Comparing


def same_images(first, second):
    """Whether two tables of predictions are of the same test images in the same order."""
    columns = ["sample_id", "label"]
    return np.array_equal(*(t.loc[t["seed"] == t["seed"].iloc[0], columns].to_numpy() for t in (first, second)))


def compare(first, second, evaluate):
    """Two networks on the same test images: how much more accurate is the second?

    Returns
    -------
    dict
        difference (second minus first, of mean accuracies), low and high (bootstrap over images, paired), and
        mcnemar: for each seed that both have, the images that only the first and only the second named rightly, the
        exact p value, and that p value corrected for several seeds (Holm).

    Raises
    ------
    FergitError
        The test images differ.
    """
    if not same_images(first, second):
        raise FergitError("predictions.csv of the two networks hold different test images; run stage evaluate for both")
    right = {"first": correct(first), "second": correct(second)}
    gain = right["second"].mean(axis=0) - right["first"].mean(axis=0)
    low, high = bootstrap(
        gain, lambda values: values.mean(axis=-1), evaluate["bootstrap_samples"], evaluate["confidence_level"]
    )
    tests = []
    for seed in [seed for seed in seeds_of(first) if seed in seeds_of(second)]:
        a, b = right["first"][seeds_of(first).index(seed)], right["second"][seeds_of(second).index(seed)]
        table = [[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]]
        p = float(mcnemar(table, exact=True).pvalue)
        tests.append({"seed": seed, "only_first": int(table[0][1]), "only_second": int(table[1][0]), "p": p})
    if tests:
        for test, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
            test["p_holm"] = p
    return rounded({"difference": float(gain.mean()), "low": low, "high": high, "mcnemar": tests})


def holm(p_values):
    """p values corrected for there being several, by Holm's method: list of float."""
    return multipletests(p_values, method="holm")[1].tolist()


def consistency(paper, paper_n, ours, ours_n, level=0.95, half_unit=0.005):
    """Could our share and the paper's be of equally good networks, both measured on a sample?

    The paper's number is itself a sample of `paper_n` images, and printed with two decimals. So it is not asked
    whether it lies in our interval, but whether the interval (Newcombe's) of the difference of two independent shares
    holds 0, with the paper's taken as the number nearest to ours that rounds to the one printed.

    Parameters
    ----------
    paper, ours : float
        Shares: an accuracy, a recall.
    paper_n, ours_n : int
        The images that each was measured on. For several seeds, ours is their mean on that many images.
    half_unit : float
        Half of the paper's last printed digit.

    Returns
    -------
    dict
        low and high of the difference ours - paper, consistent (bool).
    """
    nearest = float(np.clip(ours, max(0.0, paper - half_unit), min(1.0, paper + half_unit)))
    low, high = confint_proportions_2indep(
        ours * ours_n, ours_n, nearest * paper_n, paper_n, method="newcomb", compare="diff", alpha=1 - level
    )
    return {"low": float(low), "high": float(high), "consistent": bool(low <= 0 <= high)}
