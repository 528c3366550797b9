"""What is known of the networks of a data set together: read from their results, and put into one file."""

import json
from dataclasses import dataclass

import pandas as pd

from fergit.analysis import claims, metrics
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import read_json, read_table

FORMAT = 3  # of report.json: an older one is left out of README until its stage has written it anew
HISTORY = {"epoch": int, "loss": float, "accuracy": float, "val_loss": float, "val_accuracy": float}  # of history.csv
PAIR = ("basic", "residual")  # compared as in the paper: what do the residual blocks add?


@dataclass(frozen=True)
class Outcome:
    """What is known of one network on one data set: from its files; two of them by seed."""

    predictions: pd.DataFrame
    metrics: dict
    trainings: dict
    histories: dict


def protocol_of(params):
    """How a data set was split, where params.yaml leaves a choice: ``frames`` or ``subjects`` for CK+, else None."""
    return params["split"].get("protocol")


def read_outcomes(dataset, models, seeds):
    """Read the results of exactly these networks and seeds, whatever else lies beside them.

    Returns
    -------
    dict of str to Outcome

    Raises
    ------
    FergitError
        A file is missing, or holds other seeds: names it, and the command that writes it.
    """
    outcomes = {}
    for model in models:
        folder = paths.results(dataset, model)
        remedy = f"`dvc repro evaluate@{dataset}-{model}` writes it"
        summary = read_json(folder / "metrics.json", metrics.KEYS, remedy)
        predictions = metrics.read_predictions(folder / "predictions.csv")
        if metrics.seeds_of(predictions) != list(seeds):
            found = metrics.seeds_of(predictions)
            where = f"{paths.relative(folder)}/predictions.csv"
            raise FergitError(f"{where}: seeds {found}, expected {list(seeds)}; {remedy}")
        trainings = metrics.read_trainings(dataset, model, seeds)
        files = {seed: paths.results(dataset, model, seed) / "history.csv" for seed in seeds}
        histories = {
            seed: read_table(file, HISTORY, f"`dvc repro train@{dataset}-{model}-{seed}` writes it", dtype=HISTORY)
            for seed, file in files.items()
        }
        outcomes[model] = Outcome(predictions, summary, trainings, histories)
    return outcomes


def histories_table(outcomes):
    """All learning curves in one table: network, seed, then the columns of history.csv."""
    tables = [
        history.assign(network=model, seed=seed)
        for model, outcome in outcomes.items()
        for seed, history in outcome.histories.items()
    ]
    return pd.concat(tables, ignore_index=True)


def read_baseline(dataset):
    """Test accuracy of a linear classifier on the pixels where preprocess measured one (synthetic faces), else None."""
    path = paths.results(dataset) / "01-preprocess" / "baseline.json"
    remedy = f"`dvc repro -f preprocess@{dataset}` writes it again"
    return read_json(path, ("linear_accuracy",), remedy)["linear_accuracy"] if path.exists() else None


def compare(outcomes, evaluate):
    """`metrics.compare` of the basic and the residual network, or None where one of them is missing."""
    if not set(PAIR) <= set(outcomes):
        return None
    return metrics.compare(*(outcomes[model].predictions for model in PAIR), evaluate)


def build(dataset, outcomes, comparison, checked, evaluate, protocol=None):
    """All of report.json: what README and the index of results say about a data set.

    Parameters
    ----------
    dataset : str
    outcomes : dict of str to Outcome
    comparison : dict or None
        `compare`.
    checked : DataFrame
        `claims.check`.
    evaluate : dict
    protocol : str, optional
        How CK+ was split.

    Returns
    -------
    dict
    """
    key = metrics.interval_key(evaluate["confidence_level"])
    models = {}
    for model, outcome in outcomes.items():
        paper = claims.paper_table(dataset, model, protocol)
        models[model] = {
            name: {"mean": entry["mean"], "sd": entry["sd"], "low": entry[key][0], "high": entry[key][1]}
            for name, entry in ((name, outcome.metrics[name]) for name in ("accuracy", "macro_f1"))
        }
        models[model] |= {
            "paper_accuracy": paper and paper["accuracy"],
            "n_test": outcome.metrics["n_test"],
            "parameters": outcome.metrics["parameters"],
            "seeds": outcome.metrics["seeds"],
            "failed_seeds": claims.failed_seeds(outcome.metrics["trained"]),
            "epochs_run": [training["epochs_run"] for training in outcome.trainings.values()],
            "epochs_short": claims.epochs_short(outcome.trainings),
        }
    return {
        "format": FORMAT,
        "dataset": dataset,
        "protocol": protocol,
        "confidence_level": evaluate["confidence_level"],
        "models": models,
        "comparison": comparison,
        "baseline_accuracy": read_baseline(dataset),
        "claims": json.loads(checked.to_json(orient="records", double_precision=6)),
    }
