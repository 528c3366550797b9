"""The paper's claims, one by one, beside what this replication measured."""

import numpy as np
import pandas as pd

from fergit.analysis import metrics
from fergit.paper import published

VERDICTS = (
    "reproduced",
    "reproduced within our interval",
    "not contradicted",
    "not reproduced",
    "not testable",
    "not tested here",
)
REPRODUCED, WITHIN, NOT_CONTRADICTED, NOT_REPRODUCED, NOT_TESTABLE, NOT_TESTED = VERDICTS
HALF_UNIT = 0.005  # the paper prints two decimals


def failed_seeds(trained):
    """The seeds whose training never left the class prior, from ``trained`` in metrics.json."""
    return [seed for seed, success in trained.items() if not success]


def epochs_short(trainings):
    """How many epochs trainings on the paper's data were given, if fewer than its 100, and if all were used up.

    Parameters
    ----------
    trainings : dict of int to dict
        training.json by seed.

    Returns
    -------
    int, or None
        None too where all ended by early stopping or with every validation image named rightly: more epochs would have
        changed nothing.
    """
    cut = {
        training["train"]["epochs"]
        for training in trainings.values()
        if training["dataset"] in published.DATASETS
        and training["epochs_run"] == training["train"]["epochs"]
        and training["best_val_accuracy"] < 1
    }
    return min(cut) if cut and min(cut) < published.RECIPE["train.epochs"] else None


def paper_table(dataset, model, protocol=None):
    """The paper's table that a result may stand beside; None where it has none, or CK+ was split in another way."""
    return published.table(dataset, model) if protocol in (None, "frames") else None


def check(dataset, outcomes, comparison=None, level=0.95, protocol=None):
    """Set each claim of the paper on a data set beside our number.

    *Reproduced* is what rounds to the paper's number, of parameters what equals it. *Reproduced within our interval* is
    what rounds to a number in our interval, and at most this a gain whose interval holds 0. The paper's number is a
    sample too: where it lies outside our interval, but the interval of the difference of two independent shares of
    images (accuracy, recall) holds 0 (`metrics.consistency`), the claim is *not contradicted*; nor is a training
    accuracy between that of the epoch that is kept and the highest. *Not testable* is what no run here could tell, *not
    tested here* what this run has no network or split for, and what it did not reach in fewer epochs than the paper's
    100.

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
        return _no_verdict(NOT_TESTABLE, "other hardware: not comparable")
    if outcome is None:
        return _no_verdict(NOT_TESTED, f"this run has no {claim.model} network")
    if claim.metric == "parameters":
        ours = outcome.metrics["parameters"]
        return _verdict(claim, ours, None, (None, None), REPRODUCED if ours == claim.value else NOT_REPRODUCED, "")
    if protocol not in (None, "frames"):
        return _no_verdict(NOT_TESTED, f"CK+ was split by {protocol}, in the paper by frames")
    involved = ("basic", "residual") if claim.metric == "accuracy_gain" else (claim.model,)
    for model in involved:
        failed = failed_seeds(outcomes[model].metrics["trained"]) if model in outcomes else []
        if failed:
            return _no_verdict(NOT_TESTED, f"the training of the {model} network failed (seed {', '.join(failed)})")
    row = _MEASURES[claim.metric](claim, outcome, comparison, level)
    short = [epochs for model in involved if model in outcomes and (epochs := epochs_short(outcomes[model].trainings))]
    if short and row["verdict"] == NOT_REPRODUCED:
        note = f"after {max(short)} of the paper's {published.RECIPE['train.epochs']} epochs"
        row |= {"verdict": NOT_TESTED, "note": f"{note}; {row['note']}" if row["note"] else note}
    return row


def _accuracy(claim, outcome, comparison, level):
    entry = outcome.metrics["accuracy"]
    return _share(claim, entry["mean"], entry[metrics.interval_key(level)], outcome.metrics["n_test"], level)


def _recall(claim, outcome, comparison, level):
    row = metrics.per_class(outcome.predictions, level).loc[claim.expression]
    return _share(claim, row["recall"], (row["recall_low"], row["recall_high"]), int(row["support"]), level)


def _share(claim, ours, interval, n, level):
    consistent = metrics.consistency(claim.value, claim.n, ours, n, level, HALF_UNIT)["consistent"]
    if _holds(interval, claim.value, HALF_UNIT):
        return _verdict(claim, ours, n, interval, WITHIN, "")
    if consistent:
        note = "outside our interval, within what two samples of these sizes allow"
        return _verdict(claim, ours, n, interval, NOT_CONTRADICTED, note)
    note = f"ours is {'higher' if ours > claim.value else 'lower'} than two samples of these sizes allow"
    return _verdict(claim, ours, n, interval, NOT_REPRODUCED, note)


def _macro_f1(claim, outcome, comparison, level):
    entry = outcome.metrics["macro_f1"]
    interval = entry[metrics.interval_key(level)]
    verdict = WITHIN if _holds(interval, claim.value, HALF_UNIT) else NOT_REPRODUCED
    note = "judged by our interval alone: the paper's cannot be computed from its tables"
    printed = published.recomputed_mean(published.table(claim.dataset, claim.model), "f1")
    if not _holds(interval, printed, HALF_UNIT):
        note += f"; the mean of its table's is {'above' if printed > entry['mean'] else 'below'} it"
    return _verdict(claim, entry["mean"], outcome.metrics["n_test"], interval, verdict, note)


def _gain(claim, outcome, comparison, level):
    if comparison is None:
        return _no_verdict(NOT_TESTED, "needs both networks")
    interval = comparison["low"], comparison["high"]
    # Both of the paper's accuracies are rounded, so their difference is known to a whole unit only.
    verdict = WITHIN if _holds(interval, claim.value, 2 * HALF_UNIT) else NOT_REPRODUCED
    row = _verdict(claim, comparison["difference"], outcome.metrics["n_test"], interval, verdict, "")
    if _holds(interval, 0):
        row["note"] = "the interval holds 0: neither network is shown to be better"
        row["verdict"] = WITHIN if row["verdict"] == REPRODUCED else row["verdict"]
    return row


def _training_accuracy(claim, outcome, comparison, level):
    trainings = outcome.trainings.values()
    kept, highest = (
        float(np.mean([training[name] for training in trainings]))
        for name in ("train_accuracy_at_best", "highest_train_accuracy")
    )
    verdict = NOT_CONTRADICTED if _holds((kept, highest), claim.value, HALF_UNIT) else NOT_REPRODUCED
    note = (
        f"in the epoch that is kept; at most {100 * highest:.1f} %, while training, with augmentation and dropout: the "
        "paper says neither of which epoch nor how"
    )
    return _verdict(claim, kept, min(training["n_train"] for training in trainings), (None, None), verdict, note)


_MEASURES = {
    "accuracy": _accuracy,
    "accuracy_gain": _gain,
    "macro_f1": _macro_f1,
    "recall": _recall,
    "training_accuracy": _training_accuracy,
}


def _holds(interval, value, tolerance=0.0):
    return interval[0] - tolerance <= value <= interval[1] + tolerance


def _verdict(claim, ours, n, interval, verdict, note):
    low, high = interval
    same = verdict != NOT_REPRODUCED and abs(ours - claim.value) <= HALF_UNIT + 1e-9
    return {"ours": ours, "n": n, "low": low, "high": high, "verdict": REPRODUCED if same else verdict, "note": note}


def _no_verdict(verdict, note):
    return {"ours": None, "n": None, "low": None, "high": None, "verdict": verdict, "note": note}
