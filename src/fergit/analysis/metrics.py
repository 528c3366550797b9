"""From predictions to scores: what a network gets right, what it confuses, and how it compares with another.

Predictions are a table of `fergit.core.predictions`, of the test set unless something else is said.
"""

import math

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve
from statsmodels.stats.contingency_tables import mcnemar

from fergit.analysis import calibration
from fergit.analysis.intervals import bootstrap, correct_by_holm, interval_key, over_seeds, rounded, wilson
from fergit.core.errors import FergitError
from fergit.core.predictions import PREFIX, classes_of, seeds_of, unpack

KEYS = ("accuracy", "macro_f1", "train_accuracy", "n_test", "parameters", "seeds")  # read of metrics.json
ROC_GRID = np.linspace(0, 1, 101)  # 101 points a class draw the same curve as thousands
SCORES = ("precision", "recall", "f1")


def named(predictions):
    """The most probable class in each row of a table that has columns ``p_<class>``: Series of str."""
    return predictions.filter(regex=f"^{PREFIX}").idxmax(axis=1).str.removeprefix(PREFIX)


def right(predictions):
    """Whether each row's most probable class is its ``label``: Series of bool."""
    return named(predictions) == predictions["label"]


def correct(predictions):
    """The same as an array: bool (seeds, n)."""
    return right(predictions).to_numpy().reshape(predictions["seed"].nunique(), -1)


def by_image(hits, predictions):
    """The mean over seeds of a value for each row, such as `right`: Series of float, indexed by ``sample_id``."""
    return hits.astype(float).groupby(predictions["sample_id"], sort=False).mean()


def confusions(predictions):
    """Confusion matrices, int (seeds, classes, classes): rows are the true classes, columns the predicted ones."""
    labels, probabilities = unpack(predictions)
    names = np.arange(probabilities.shape[2])
    return np.stack([confusion_matrix(labels, values.argmax(axis=1), labels=names) for values in probabilities])


def named_per_image(predictions):
    """How many images get a class's name for each image of it, by class, all seeds together; None for no image."""
    confusion = confusions(predictions).sum(axis=0)
    counts = zip(classes_of(predictions), confusion.sum(axis=0), confusion.sum(axis=1), strict=True)
    return {name: float(times / images) if images else None for name, times, images in counts}


def scores(confusion):
    """Precision, recall and F1 of each class from confusion matrices, int (..., classes, classes): (3, ..., classes).

    0 where there is nothing to divide by.
    """
    hits, support, predicted = (
        np.diagonal(confusion, axis1=-2, axis2=-1),
        confusion.sum(axis=-1),
        confusion.sum(axis=-2),
    )
    above, below = np.stack([hits, hits, 2 * hits]), np.stack([predicted, support, predicted + support])
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)


def macro(confusion):
    """The means of `scores` over the classes that are there or predicted: (3, ...)."""
    counted = confusion.sum(axis=-1) + confusion.sum(axis=-2) > 0
    return scores(confusion).sum(axis=-1) / counted.sum(axis=-1)


def macro_f1(confusion):
    """Macro F1 from confusion matrices, int (..., classes, classes) to float (...)."""
    return macro(confusion)[2]


def confusion_table(predictions):
    """The first seed's true and predicted classes, a row for each image: actual, predicted (DVC draws them)."""
    first = predictions[predictions["seed"] == predictions["seed"].iloc[0]]
    return pd.DataFrame({"actual": first["label"], "predicted": named(first)})


def most_confused(confusion, classes, most=5):
    """The most frequent confusions by their share of the true class: class, predicted, images, share."""
    true, guess = np.nonzero(confusion * ~np.eye(len(classes), dtype=bool))
    table = pd.DataFrame({"class": np.take(classes, true), "predicted": np.take(classes, guess)})
    table["images"] = confusion[true, guess]
    table["share"] = table["images"] / confusion.sum(axis=1)[true]
    return table.sort_values("share", ascending=False, kind="stable").head(most).reset_index(drop=True)


def per_class(predictions, level=0.95):
    """Precision, recall and F1 of each class, means over the seeds; Wilson's interval of the recall; the support.

    Indexed by class: precision, recall, recall_low, recall_high, f1, support.
    """
    confusion, index = confusions(predictions), pd.Index(classes_of(predictions), name="class")
    table, support = pd.DataFrame(scores(confusion).mean(axis=1).T, index, SCORES), confusion[0].sum(axis=1)
    low, high = wilson(table["recall"] * support, support, level)
    table.insert(2, "recall_low", low)
    table.insert(3, "recall_high", high)
    return table.assign(support=support)


def beside_paper(table, paper):
    """The table of `per_class` with the paper's columns, ``paper_precision`` and so on, where `paper` is not None."""
    if paper is None:
        return table
    return table.join(pd.DataFrame(paper, paper["classes"], [*SCORES, "support"]).add_prefix("paper_"))


def averages(predictions):
    """Means over the seeds of `SCORES`: rows ``macro`` (each class counts alike) and ``weighted`` (each image)."""
    confusion = confusions(predictions)
    weighted = np.average(scores(confusion), axis=-1, weights=confusion[0].sum(axis=1))
    rows = {"macro": macro(confusion).mean(axis=1), "weighted": weighted.mean(axis=1)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=SCORES)


def roc_curves(predictions):
    """One-vs-rest ROC curves of the first seed (class, fpr, tpr, at `ROC_GRID`), and the area under each, by class.

    The area is NaN where the test set holds no image of a class, or no other.
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
    areas = {
        name: roc_auc_score(labels == index, probabilities[:, index]) if 0 < (labels == index).mean() < 1 else math.nan
        for index, name in enumerate(classes)
    }
    return pd.Series(areas, name="auc").rename_axis("class")


def accuracy_interval(predictions, samples, level=0.95):
    """Interval over images of the accuracy (Wilson), or of its mean over seeds (bootstrap)."""
    hits = correct(predictions)
    if len(hits) == 1:
        return [float(end) for end in wilson(hits.sum(), hits.size, level)]
    return bootstrap(hits.mean(axis=0), lambda values: values.mean(axis=-1), samples, level)


def macro_f1_interval(predictions, samples, level=0.95):
    """Interval over images of macro F1, or of its mean over seeds (bootstrap)."""
    labels, probabilities = unpack(predictions)
    classes = probabilities.shape[2]
    cells = labels * classes + probabilities.argmax(axis=2)  # each image's cell of the confusion matrix

    def mean_macro_f1(cells):
        cells = cells if cells.ndim == 3 else cells[:, np.newaxis]  # (seeds, batch, n); SciPy asks once without a batch
        tables = cells.shape[0] * cells.shape[1]
        offsets = np.arange(tables).reshape(*cells.shape[:2], 1) * classes**2
        counts = np.bincount((cells + offsets).ravel(), minlength=tables * classes**2)
        return macro_f1(counts.reshape(*cells.shape[:2], classes, classes)).mean(axis=0)

    return bootstrap(cells, mean_macro_f1, samples, level, len(cells) * classes**2)


def summarize(test, validation, trainings, evaluate):
    """All of metrics.json, from the two parts of predictions.csv and training.json by seed.

    ``accuracy`` and ``macro_f1`` have mean, sd, per_seed, ``ci95`` (over images) and ``ci95_over_seeds`` (None below
    three seeds; sd is None with one); ``train_accuracy`` is of images without augmentation; ``temperature`` is fitted
    on the validation set, ``calibration_error_scaled`` is that of the test set after it.
    """
    level, samples, bins = (evaluate[key] for key in ("confidence_level", "bootstrap_samples", "calibration_bins"))
    labels, probabilities = unpack(test)
    classes, seeds, means = classes_of(test), seeds_of(test), averages(test)
    temperature = calibration.temperature(validation)

    def entry(values, interval):
        return {
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "per_seed": [float(value) for value in values],
            interval_key(level): interval,
            f"{interval_key(level)}_over_seeds": over_seeds(values, level),
        }

    return rounded(
        {
            "accuracy": entry(correct(test).mean(axis=1), accuracy_interval(test, samples, level)),
            "macro_f1": entry(macro_f1(confusions(test)), macro_f1_interval(test, samples, level)),
            "macro_precision": means.loc["macro", "precision"],
            "macro_recall": means.loc["macro", "recall"],
            "weighted_f1": means.loc["weighted", "f1"],
            "macro_roc_auc": float(np.mean([_areas(labels, values, classes).mean() for values in probabilities])),
            "train_accuracy": float(np.mean([trainings[seed]["train_accuracy"] for seed in seeds])),
            "calibration_error": calibration.expected_error(test, bins),
            "temperature": temperature,
            "calibration_error_scaled": calibration.expected_error(test, bins, temperature),
            "n_test": int(labels.size),
            "parameters": int(trainings[seeds[0]]["parameters"]),
            "seeds": seeds,
            "trained": {str(seed): bool(trainings[seed]["trained"]) for seed in seeds},
        }
    )


def compare(first, second, evaluate):
    """Two networks on the same test images: how much more accurate is the second? Other test images are an error.

    A dict: ``difference`` of the mean accuracies, ``low`` and ``high`` (paired bootstrap over images); ``per_seed``,
    the difference with each common seed, and ``over_seeds`` (Student's t interval of these; None below three);
    ``mcnemar``: for each common seed the images that only one of them is correct on, the exact p value, and the same by
    Holm.
    """
    images = [table.loc[table["seed"] == table["seed"].iloc[0], ["sample_id", "label"]] for table in (first, second)]
    if not np.array_equal(*(table.to_numpy() for table in images)):
        raise FergitError("predictions.csv of the two networks hold different test images; run stage predict for both")
    one, other = correct(first), correct(second)
    gain = other.mean(axis=0) - one.mean(axis=0)
    level, samples = evaluate["confidence_level"], evaluate["bootstrap_samples"]
    low, high = bootstrap(gain, lambda values: values.mean(axis=-1), samples, level)
    tests, gains = [], []
    for seed in [seed for seed in seeds_of(first) if seed in seeds_of(second)]:
        a, b = one[seeds_of(first).index(seed)], other[seeds_of(second).index(seed)]
        gains.append(float(b.mean() - a.mean()))
        table = [[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]]
        p = float(mcnemar(table, exact=True).pvalue)
        tests.append({"seed": seed, "only_first": int(table[0][1]), "only_second": int(table[1][0]), "p": p})
    correct_by_holm(tests)
    ends = {"low": low, "high": high, "per_seed": gains, "over_seeds": over_seeds(gains, level)}
    return rounded({"difference": float(gain.mean()), **ends, "mcnemar": tests})
