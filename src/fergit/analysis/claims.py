"""The paper's numbers beside ours, one row each, judged by the rule of docs/verdicts.md (symbols as there)."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from fergit.analysis import metrics
from fergit.core.predictions import classes_of
from fergit.paper import published, reconstruction

VERDICTS = ("reproduced", "not reproduced", "inconclusive", "by construction", "not comparable")
REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, BY_CONSTRUCTION, NOT_COMPARABLE = VERDICTS

MARGINS = {  # the difference that would matter. That of the gain is the paper's gain
    "accuracy": 0.03,
    "macro F1": 0.03,
    "training accuracy": 0.03,
    "precision": 0.06,
    "recall": 0.06,
}
COLUMNS = (
    *("id", "dataset", "model", "quantity", "class", "page", "paper", "paper_n", "ours", "n", "seeds"),
    *("difference", "low", "high", "margin", "verdict", "note"),
)
RESAMPLING_SEED = 0


@dataclass(frozen=True)
class Measured:
    """A value in each of our runs, and how sure it is."""

    values: tuple
    n: int  # images that each is measured on
    correlation: float  # between runs on the same images: r
    variance: float | None = None  # over images, of one run; None for a share, whose variance is binomial
    paper_variance: float | None = None  # the same of the paper's value; None: as ours
    splits: bool = False  # whether each run has test images of its own


def paper_table(dataset, model, protocol=None):
    """The paper's table that a result may stand beside; None where it has none, or CK+ was split in another way."""
    return published.TABLES.get((dataset, model)) if protocol in (None, "frames") else None


def interval(paper, paper_n, measured, rounding=published.HALF_UNIT, level=0.95):
    """The difference between our mean and the paper's value, with its interval: difference, low, high."""
    values = np.asarray(measured.values, dtype=float)
    ours, runs = values.mean(), len(values)
    spread = values.var(ddof=1) if runs > 1 else 0.0
    images = [binomial_variance(paper, paper_n), binomial_variance(ours, measured.n)]
    if measured.variance is not None:
        paper_variance = measured.paper_variance
        images = [measured.variance if paper_variance is None else paper_variance, measured.variance]
    if measured.splits:
        spread, images = max(spread, images[0]), [0.0]
    elif not spread:  # few runs on few images agree by chance; one run has r = 1, and so nothing left
        spread = (1 - measured.correlation) * images[1]
    by_run = spread * (1 + 1 / runs)
    variance = measured.correlation * sum(images) + by_run + rounding**2 / 3
    freedom = (runs - 1) * (variance / by_run) ** 2 if by_run and runs > 1 else math.inf
    half = stats.t.ppf((1 + level) / 2, freedom) * math.sqrt(variance)
    return ours - paper, ours - paper - half, ours - paper + half


def verdict(difference, low, high, margin, n, rounding=published.HALF_UNIT):
    """One of the first three `VERDICTS`; `n` is the number of images of the smaller of both samples."""
    if n * margin < 1:  # a single image moves the value by more than the margin
        return INCONCLUSIVE
    if -margin <= low and high <= margin:
        return REPRODUCED
    if (low > 0 or high < 0) and abs(difference) > rounding:
        return NOT_REPRODUCED
    return INCONCLUSIVE


def binomial_variance(share, n):
    """The variance of a share of `n` images, with one success and one failure added."""
    moved = (n * share + 1) / (n + 2)
    return moved * (1 - moved) / (n + 2)


def correlation_of_runs(values):
    """How much of the variance of `values`, (runs, n), two runs on the same images share: 0 to 1, 1 for one run."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return 1.0
    total = values.var(axis=1).mean()
    return float(np.clip(1 - values.var(axis=0, ddof=1).mean() / total, 0, 1)) if total else 1.0


def check(dataset, outcomes, evaluate, protocol=None, splits=None, failed=()):
    """Each number that the paper gives on a data set, beside ours: DataFrame of `COLUMNS`, a row a claim.

    `outcomes` are `report.NetworkResults` by network. `protocol` is how CK+ was split; the claims are about ``frames``.
    `splits` are the predictions of a study of random splits, if there is one: the verdicts then rest on these alone,
    and `failed` names the networks of which one of its trainings failed.
    ``paper_n`` and ``n`` count the images that the paper's value and ours are shares of, ``seeds`` our runs. What is
    unknown is NaN or empty.
    """
    rows = []
    for claim in published.CLAIMS:
        if claim.dataset == dataset:
            row = {"id": claim.id, "dataset": dataset, "model": claim.model, "quantity": claim.quantity}
            row |= {"class": claim.expression or "", "page": claim.page, "paper": claim.value, "paper_n": claim.n}
            rows.append(row | _judge(claim, outcomes, evaluate, protocol, splits, failed))
    return pd.DataFrame(rows, columns=COLUMNS)


def records(checked):
    """The rows of `check` for a file of JSON: list of dict, with None for what is unknown."""
    return json.loads(checked.to_json(orient="records", double_precision=6))


def as_csv(checked):
    """The rows of `check` as the text of a CSV file: six significant digits, but all digits of whole numbers."""

    def text(number):
        return f"{number:.0f}" if number.is_integer() else f"{number:.6g}"

    return checked.to_csv(index=False, float_format=text, lineterminator="\n")


def _judge(claim, outcomes, evaluate, protocol, splits, failed):
    if claim.quantity == "minutes":
        return _not_comparable("other hardware")
    if protocol not in (None, "frames"):
        return _not_comparable(f"CK+ was split by {protocol}, in the paper by frames")
    models = ("basic", "residual") if claim.quantity == "gain" else (claim.model,)
    if splits is not None:
        if not set(models) <= set(splits["network"]):
            return _not_comparable(f"the study has no {' and '.join(models)} network")
        if found := sorted(set(models) & set(failed)):
            return _training_failed(found)
        measured = _over_splits(claim, splits[splits["network"] == claim.model], evaluate)
        return _row(claim, measured, evaluate, f"over {len(measured.values)} random splits")
    missing = [model for model in models if model not in outcomes]
    if missing:
        return _not_comparable(f"no {' and no '.join(missing)} network was trained")
    if claim.quantity == "parameters":
        return _parameters(outcomes[claim.model])
    if found := [model for model in models if outcomes[model].failed_seeds]:
        return _training_failed(found)
    measured = _measured(claim, *(outcomes[model] for model in models), evaluate=evaluate)
    if claim.quantity == "F1 in the text":
        tables = published.recomputed_mean(published.TABLES[claim.dataset, claim.model], "f1")
        row = _not_comparable(f"the paper does not say which mean this is; its table's F1 values average {tables:.3f}")
        return row | {"ours": float(np.mean(measured.values)), "n": measured.n, "seeds": len(measured.values)}
    row = _row(claim, measured, evaluate, "one split" if claim.dataset == "ckplus" else "")
    trainings = [training for model in models for training in outcomes[model].trainings.values()]
    short = [t["epochs_run"] for t in trainings if t["epochs_run"] == t["train"]["epochs"] < published.EPOCHS]
    if short and row["verdict"] == NOT_REPRODUCED:  # they used all of fewer epochs than the paper's
        row |= _not_comparable(_joined(f"{min(short)} of the paper's {published.EPOCHS} epochs", row["note"]))
    return row


def _row(claim, measured, evaluate, note):
    """The numbers and the verdict of a claim that was measured."""
    rounding = published.HALF_UNIT * (2 if claim.quantity == "gain" else 1)  # a gain is of two rounded numbers
    margin = MARGINS.get(claim.quantity, claim.value)
    runs, n = len(measured.values), min(claim.n, measured.n)
    found = interval(claim.value, claim.n, measured, rounding, evaluate["confidence_level"])
    notes = [note, "one run, so the spread over seeds is missing" if runs == 1 else ""]
    notes.append("one image moves it by more than the margin" if n * margin < 1 else "")
    if claim.quantity == "training accuracy":
        notes.append("the paper does not say of which epoch, nor whether on augmented images")
    return {
        **{"ours": float(np.mean(measured.values)), "n": measured.n, "seeds": runs, "margin": margin},
        **dict(zip(("difference", "low", "high"), found, strict=True)),
        "verdict": verdict(*found, margin, n, rounding),
        "note": _joined(*notes),
    }


def _measured(claim, outcome, second=None, *, evaluate):
    """A claim's quantity in each of our runs on one test set; for the gain, of two networks."""
    if claim.quantity == "training accuracy":
        trainings = outcome.trainings.values()
        return Measured(tuple(t["train_accuracy"] for t in trainings), min(t["n_train"] for t in trainings), 1.0)
    right = metrics.correct(outcome.predictions)
    if claim.quantity == "gain":
        gain = metrics.correct(second.predictions).astype(float) - right
        variance = gain.var(axis=1).mean() / gain.shape[1]
        return Measured(tuple(gain.mean(axis=1)), gain.shape[1], correlation_of_runs(gain), variance)
    confusions = metrics.confusions(outcome.predictions)
    return _of_confusions(claim, confusions, classes_of(outcome.predictions), correlation_of_runs(right), evaluate)


def _over_splits(claim, predictions, evaluate):
    """A claim's quantity in each split of a study; a split that was trained several times counts as one run."""
    tables = [table for _, table in predictions.groupby("variant", sort=False)]
    confusions = np.stack([metrics.confusions(table).mean(axis=0) for table in tables])
    return _of_confusions(claim, confusions, classes_of(predictions), 1.0, evaluate, splits=True)


def _of_confusions(claim, confusions, classes, correlation, evaluate, splits=False):
    """Accuracy, precision, recall or macro F1 of each confusion matrix, (runs, classes, classes)."""
    images, variance, paper_variance = confusions.sum(axis=(1, 2)), None, None
    if claim.quantity == "accuracy":
        values = np.trace(confusions, axis1=1, axis2=2) / images
    elif claim.expression:
        place, index = metrics.SCORES.index(claim.quantity), classes.index(claim.expression)
        values = metrics.scores(confusions)[place, :, index]
        images = confusions.sum(axis=1 if claim.quantity == "precision" else 2)[:, index]
    else:  # macro F1
        values = metrics.macro_f1(confusions)
        samples = evaluate["bootstrap_samples"]
        variance = float(np.mean([_variance_of_macro_f1(one, samples) for one in confusions]))
        implied = implied_confusion(published.TABLES[claim.dataset, claim.model])
        paper_variance = float(_variance_of_macro_f1(implied, samples))
    return Measured(tuple(values), round(images.mean()), correlation, variance, paper_variance, splits)


def implied_confusion(table):
    """The confusion matrix that a table of the paper implies, as far as it does: float (classes, classes), of images.

    Recalls and supports give the diagonal and the number of errors in each row. The errors are spread over the columns
    by iterative proportional fitting, so that the precisions fit as nearly as the rounded numbers allow.
    """
    precision, recall, support = (np.array(table[name], dtype=float) for name in ("precision", "recall", "support"))
    hits = np.round(recall * support)
    missed, wrongly_named = support - hits, hits / precision - hits
    errors, tiny = 1 - np.eye(len(hits)), 1e-12  # tiny: a class without errors stays without
    for _ in range(100):
        errors *= wrongly_named / np.maximum(errors.sum(axis=0), tiny)
        errors *= (missed / np.maximum(errors.sum(axis=1), tiny))[:, np.newaxis]
    return np.diag(hits) + errors


def _variance_of_macro_f1(confusion, samples):
    """Over resampled images: their cells of the confusion matrix are drawn."""
    rng, n = np.random.default_rng(RESAMPLING_SEED), round(confusion.sum())
    drawn = rng.multinomial(n, confusion.ravel() / confusion.sum(), size=samples)
    return metrics.macro_f1(drawn.reshape(samples, *confusion.shape)).var(ddof=1)


def _parameters(outcome):
    """The network has the paper's count because its layout was chosen by it."""
    training = next(iter(outcome.trainings.values()))
    layout = reconstruction.layout_of(training["network"])
    fits = published.RESIDUAL_PARAMETERS in (layout.total, layout.trainable)
    note = f"{layout.total:,} in all, {layout.trainable:,} trainable"
    ours = published.RESIDUAL_PARAMETERS if fits else layout.total
    result = BY_CONSTRUCTION if fits else NOT_REPRODUCED
    return {"ours": ours, "difference": ours - published.RESIDUAL_PARAMETERS, "verdict": result, "note": note}


def _training_failed(models):
    return _not_comparable(f"a training of the {' and '.join(models)} network failed")


def _joined(*notes):
    return "; ".join(filter(None, notes))


def _not_comparable(note):
    return {"verdict": NOT_COMPARABLE, "note": note}
