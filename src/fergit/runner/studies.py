"""Studies: many trainings that differ in one value of params.yaml, defined in ``studies/params.yaml``.

A training of a study is the pipeline's own: what params.yaml holds too gives the same predictions. It keeps the
pipeline's checkpoints: a study that was interrupted goes on where it was, and none trains what is trained already.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fergit.core import paths, progress
from fergit.core.files import keep_newest, write_json, write_table
from fergit.core.params import stage_params
from fergit.data import datasets
from fergit.runner.variants import load_study

KEYS = ("variant", "network", "seed")  # of a training, first in every table
SUMMARY = (  # of a training, in trainings.csv
    *("epochs_run", "best_epoch", "best_val_accuracy", "train_accuracy", "validation_accuracy"),
    *("train_accuracy_at_best", "trained"),
)


@dataclass(frozen=True)
class Study:
    """One study of studies/params.yaml.

    ``common`` holds for all trainings, ``vary`` differs; ``variants`` is what DVC tracks of params.yaml, for each
    value, by the value as text.
    """

    name: str
    question: str
    dataset: str
    models: tuple
    seeds: tuple
    common: dict
    vary: str
    variants: dict

    @property
    def are_draws(self):
        """Whether the variants are equals, such as splits drawn at random, so that their mean says something."""
        return self.vary.endswith((".seed", ".fold"))


def load(name):
    """Read a study and check it.

    Raises
    ------
    FergitError
        There is no such study, or a key or value is not one that params.yaml allows.
    """
    entry, variants = load_study(name)
    return Study(
        name,
        entry["question"],
        entry["dataset"],
        tuple(entry["models"]),
        tuple(entry["seeds"]),
        entry["set"],
        entry["vary"],
        variants,
    )


def run(name):
    """Train and test whatever a study asks for.

    Writes predictions.csv (a row for each training and test image), trainings.csv (a row for each training) and
    history.csv (a row for each epoch) to ``results/studies/<name>/``, and what it cost to ``runs/studies/``.

    Raises
    ------
    FergitError
        As `load_study`, `datasets.preprocess` and `train_and_test`.
    """
    from fergit.engine.trained import train_and_test  # not above: it takes seconds to load Keras

    study, variants = load_study(name)
    dataset, runs = study["dataset"], []
    tables = {"predictions": [], "trainings": [], "history": []}
    for variant, tracked in variants.items():
        params = stage_params("studies/dvc.yaml:train", tracked, dataset=dataset)
        faces = datasets.preprocess(dataset, params)
        for model, seed in itertools.product(study["models"], study["seeds"]):
            progress.line(f"study {name} | {study['vary']} {variant} | {model} | seed {seed}")
            outcome = train_and_test(model, faces, params, dataset, seed)
            runs.append({"seconds": round(outcome.training.seconds, 1)} | outcome.training.machine)
            for kind, table in _tables(outcome, faces.take(faces.split == "test")).items():
                for place, (key, value) in enumerate(zip(KEYS, (variant, model, seed), strict=True)):
                    table.insert(place, key, value)
                tables[kind].append(table)
    for kind, several in tables.items():
        write_table(paths.study(name) / f"{kind}.csv", pd.concat(several, ignore_index=True))
    write_json(paths.RUNS / "studies" / f"{name}.json", runs)
    for model, seed in itertools.product(study["models"], study["seeds"]):
        keep_newest(paths.checkpoints(dataset, model, seed), paths.CHECKPOINTS_KEPT)


def _tables(outcome, tested):
    """What one training adds to the three tables, by their names."""
    names, probabilities = np.array(tested.classes)[tested.labels], outcome.probabilities["test"]
    predictions = pd.DataFrame({"sample_id": tested.sample_id, "group": tested.group, "label": names})
    predictions[[f"p_{name}" for name in tested.classes]] = probabilities
    row = {key: outcome.summary[key] for key in SUMMARY}
    row |= {"accuracy": float((probabilities.argmax(axis=1) == tested.labels).mean()), "n_test": len(tested)}
    return {
        "predictions": predictions,
        "trainings": pd.DataFrame([row]),
        "history": outcome.training.table(),
    }
