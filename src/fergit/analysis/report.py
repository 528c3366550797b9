"""What is known of the networks of a data set together: read from their results, and put into one file."""

from dataclasses import dataclass

import pandas as pd

from fergit.analysis import claims, metrics
from fergit.analysis.intervals import interval_key
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import read_json, read_table
from fergit.core.predictions import read_predictions, seeds_of

TRAINING = (  # keys of training.json that are read
    *("trained", "epochs_run", "best_epoch", "train_accuracy", "validation_accuracy", "prior_val_accuracy"),
    *("n_train", "parameters", "trainable_parameters", "network", "train"),
)
HISTORY = {"epoch": int, "accuracy": float, "val_accuracy": float}  # of history.csv
PAIR = ("basic", "residual")  # compared as in the paper: what do the residual blocks add?


@dataclass(frozen=True)
class NetworkResults:
    """What is known of one network on one data set, from its files: training.json by seed, history.csv as one table."""

    predictions: pd.DataFrame
    metrics: dict
    trainings: dict
    history: pd.DataFrame

    @property
    def failed_seeds(self):
        """The seeds whose training never left the class prior."""
        return [seed for seed, training in self.trainings.items() if not training["trained"]]


def read_outcomes(dataset, models, seeds):
    """Read just the results of these networks and seeds, whatever lies beside them: `NetworkResults` by network.

    Raises FergitError where a file is missing or damaged, or holds other seeds: names it, and what writes it.
    """
    outcomes = {}
    for model in models:
        predictions, trainings = (read(dataset, model, seeds) for read in (read_part, read_trainings))
        path, remedy = paths.results(dataset, model) / "metrics.json", f"`dvc repro evaluate@{dataset}-{model}`"
        summary = read_json(path, metrics.KEYS, f"{remedy} writes it")
        if summary["seeds"] != list(map(int, seeds)):
            raise FergitError(f"{paths.relative(path)}: is of seeds {summary['seeds']}, not {list(seeds)}; {remedy}")
        histories = [
            read_table(folder / "history.csv", HISTORY, train, dtype=HISTORY).assign(network=model, seed=seed)
            for seed, folder, train in _trainings(dataset, model, seeds)
        ]
        outcomes[model] = NetworkResults(predictions, summary, trainings, pd.concat(histories, ignore_index=True))
    return outcomes


def read_trainings(dataset, model, seeds):
    """``training.json`` by seed."""
    trainings = _trainings(dataset, model, seeds)
    return {seed: read_json(folder / "training.json", TRAINING, train) for seed, folder, train in trainings}


def _trainings(dataset, model, seeds):
    """For each training its seed, its folder, and the command that runs it."""
    return [(s, paths.results(dataset, model, s), f"`dvc repro train@{dataset}-{model}-{s}`") for s in map(int, seeds)]


def read_part(dataset, model, seeds, split="test"):
    """The predictions of exactly these seeds for one part."""
    path = paths.results(dataset, model) / "predictions.csv"
    predictions = read_predictions(path, split)
    if seeds_of(predictions) != list(seeds):
        found = f"seeds {seeds_of(predictions)}, expected {list(seeds)}"
        raise FergitError(f"{paths.relative(path)}: {found}; `dvc repro predict@{dataset}-{model}` writes it")
    return predictions


def read_baseline(dataset):
    """Test accuracy of a linear classifier on the pixels where preprocess measured one (synthetic faces), else None."""
    path = paths.results(dataset) / "01-preprocess" / "baseline.json"
    if not path.exists():
        return None
    return read_json(path, ("linear_accuracy",), f"`dvc repro -f preprocess@{dataset}`")["linear_accuracy"]


def compare(outcomes, evaluate):
    """`metrics.compare` of the basic and the residual network; None where one is missing or a training of it failed."""
    if not set(PAIR) <= set(outcomes) or any(outcomes[model].failed_seeds for model in PAIR):
        return None
    return metrics.compare(*(outcomes[model].predictions for model in PAIR), evaluate)


def build(dataset, outcomes, comparison, checked, evaluate, protocol=None):
    """All of report.json, what the pages say about a data set: from `read_outcomes`, `compare` and `claims.check`."""
    key, models = interval_key(evaluate["confidence_level"]), {}
    for model, outcome in outcomes.items():
        found, paper = outcome.metrics, claims.paper_table(dataset, model, protocol)
        if key not in found["accuracy"]:
            path = paths.relative(paths.results(dataset, model) / "metrics.json")
            raise FergitError(f"{path}: has no {key}; `dvc repro evaluate@{dataset}-{model}` writes it")
        models[model] = {
            **{
                name: {part: found[name][part] for part in ("mean", "sd", "per_seed")}
                | dict(zip(("low", "high"), found[name][key], strict=True))
                for name in ("accuracy", "macro_f1")
            },
            **{name: found[name] for name in ("train_accuracy", "n_test", "parameters", "seeds")},
            "trainable_parameters": next(iter(outcome.trainings.values()))["trainable_parameters"],
            "paper_accuracy": paper and paper["accuracy"],
            "failed_seeds": outcome.failed_seeds,
            "highest_train_accuracy": round(float(outcome.history["accuracy"].max()), 6),  # of an epoch, as augmented
            "epochs_run": [training["epochs_run"] for training in outcome.trainings.values()],
        }
    return {
        "dataset": dataset,
        "protocol": protocol,
        "confidence_level": evaluate["confidence_level"],
        "models": models,
        "comparison": comparison,
        "baseline_accuracy": read_baseline(dataset),
        "claims": claims.records(checked),
    }
