"""The paper's claims, one by one, beside what this replication measured."""

import numpy as np
import pandas as pd

from fergit import metrics, published

VERDICTS = ("reproduced", "reproduced within intervals", "not reproduced", "not testable", "not tested here")
REPRODUCED, WITHIN, NOT_REPRODUCED, NOT_TESTABLE, NOT_TESTED = VERDICTS
HALF_UNIT = 0.005  # the paper prints two decimals


def failed_seeds(trained):
    """The seeds whose training never left the class prior, from ``trained`` in metrics.json."""
    return [seed for seed, success in trained.items() if not success]


def paper_table(dataset, model, protocol=None):
    """The paper's table that a result may stand beside; None where it has none, or CK+ was split in another way."""
    return published.table(dataset, model) if protocol in (None, "frames") else None


def check(dataset, outcomes, comparison=None, level=0.95, protocol=None):
    """Set each claim of the paper on a data set beside our number.

    *Reproduced* is what rounds to the paper's number. *Reproduced within intervals* is a share of images (accuracy,
    recall) when the interval of the difference between ours and the paper's, two independent samples, holds 0
    (`metrics.consistency`); macro F1 and the gain of the residual blocks when our interval holds a number that rounds
    to the paper's.

    Parameters
    ----------
    dataset : str
    outcomes : dict of str to report.Outcome
        By network.
    comparison : dict, optional
        `metrics.compare` of the basic and the residual network.
    level : float
    protocol : str, optional
        How CK+ was split; the paper's claims are about ``frames``.

    Returns
    -------
    DataFrame
        id, claim, page, network, metric, paper, ours, n (images that ours is a share of), low, high (of ours, where
        there is one), verdict (of `VERDICTS`), note; a row for each claim on this data set, none where the paper has
        none.
    """
    rows = []
    for claim in published.CLAIMS:
        if claim.dataset != dataset:
            continue
        row = {"id": claim.id, "claim": claim.sentence, "page": claim.page, "network": claim.model}
        row |= {
            "metric": " ".join(filter(None, (claim.metric.replace("_", " "), claim.expression))),
            "paper": claim.value,
        }
        rows.append(row | _judge(claim, outcomes, comparison, level, protocol))
    columns = ["id", "claim", "page", "network", "metric", "paper", "ours", "n", "low", "high", "verdict", "note"]
    return pd.DataFrame(rows, columns=columns)


def _judge(claim, outcomes, comparison, level, protocol):
    outcome = outcomes.get(claim.model)
    if claim.metric == "minutes":
        return _not_tested("other hardware: not comparable", NOT_TESTABLE)
    if outcome is None:
        return _not_tested(f"this run has no {claim.model} network")
    if claim.metric == "parameters":
        ours = outcome.metrics["parameters"]
        return _verdict(claim, ours, None, (None, None), ours == claim.value, "")
    if protocol not in (None, "frames"):
        return _not_tested(f"CK+ was split by {protocol}, in the paper by frames")
    involved = ("basic", "residual") if claim.metric == "accuracy_gain" else (claim.model,)
    for model in involved:
        failed = failed_seeds(outcomes[model].metrics["trained"]) if model in outcomes else []
        if failed:
            return _not_tested(f"the training of the {model} network failed (seed {', '.join(failed)})")
    return _MEASURES[claim.metric](claim, outcome, comparison, level)


def _accuracy(claim, outcome, comparison, level):
    entry = outcome.metrics["accuracy"]
    return _share(claim, entry["mean"], entry[metrics.interval_key(level)], outcome.metrics["n_test"], level)


def _recall(claim, outcome, comparison, level):
    row = metrics.per_class(outcome.predictions, level).loc[claim.expression]
    return _share(claim, row["recall"], (row["recall_low"], row["recall_high"]), int(row["support"]), level)


def _share(claim, ours, interval, n, level):
    result = metrics.consistency(claim.value, claim.n, ours, n, level, HALF_UNIT)
    if _holds(interval, claim.value):
        note = "the paper's value lies within our interval"
    elif result["consistent"]:
        note = "outside our interval, within what two samples of these sizes allow"
    else:
        note = f"ours is {'higher' if ours > claim.value else 'lower'} than two samples of these sizes allow"
    return _verdict(claim, ours, n, interval, result["consistent"], note)


def _macro_f1(claim, outcome, comparison, level):
    entry = outcome.metrics["macro_f1"]
    interval = entry[metrics.interval_key(level)]
    note = "of ours only: the paper's interval cannot be computed from its tables"
    n = outcome.metrics["n_test"]
    return _verdict(claim, entry["mean"], n, interval, _holds(interval, claim.value, HALF_UNIT), note)


def _gain(claim, outcome, comparison, level):
    if comparison is None:
        return _not_tested("needs both networks")
    interval = comparison["low"], comparison["high"]
    note = "the interval holds 0: neither network is shown to be better" if _holds(interval, 0) else ""
    # Both of the paper's accuracies are rounded, so their difference is known to a whole unit only.
    held = _holds(interval, claim.value, 2 * HALF_UNIT)
    return _verdict(claim, comparison["difference"], outcome.metrics["n_test"], interval, held, note)


def _training_accuracy(claim, outcome, comparison, level):
    values = [training.get("train_accuracy_at_best") for training in outcome.trainings.values()]
    if None in values:
        return _not_tested("not recorded")
    ours, n = float(np.mean(values)), min(training["n_train"] for training in outcome.trainings.values())
    result = metrics.consistency(claim.value, claim.n, ours, n, level, HALF_UNIT)
    note = "ours is measured while training, with augmentation and dropout; of the paper's this is not said"
    return _verdict(claim, ours, n, (None, None), result["consistent"], note)


_MEASURES = {
    "accuracy": _accuracy,
    "accuracy_gain": _gain,
    "macro_f1": _macro_f1,
    "recall": _recall,
    "training_accuracy": _training_accuracy,
}


def _holds(interval, value, tolerance=0.0):
    return interval[0] - tolerance <= value <= interval[1] + tolerance


def _verdict(claim, ours, n, interval, holds, note):
    low, high = interval
    verdict = NOT_REPRODUCED
    if holds:
        verdict = REPRODUCED if abs(ours - claim.value) <= HALF_UNIT + 1e-9 else WITHIN
    return {"ours": ours, "n": n, "low": low, "high": high, "verdict": verdict, "note": note}


def _not_tested(note, verdict=NOT_TESTED):
    return {"ours": None, "n": None, "low": None, "high": None, "verdict": verdict, "note": note}
