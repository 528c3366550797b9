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
from fergit.runner.schema import TRAINING, load_study

KEYS = ("variant", "network", "seed")  # of a training, first in every table


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
        As `load`, `datasets.preprocess` and `training.train`.
    """
    study = load(name)
    tables = {"predictions": [], "trainings": [], "history": []}
    runs = []
    for variant, params in study.variants.items():
        faces = datasets.preprocess(study.dataset, params[study.dataset])
        for model, seed in itertools.product(study.models, study.seeds):
            progress.line(f"study {name} | {study.vary} {variant} | {model} | seed {seed}")
            result, summary, predictions, machine = _train(study.dataset, params, faces, model, seed)
            runs.append({"seconds": round(result.seconds, 1)} | machine)
            found = {"predictions": predictions, "trainings": pd.DataFrame([summary]), "history": result.table()}
            for kind, table in found.items():
                for place, (key, value) in enumerate(zip(KEYS, (variant, model, seed), strict=True)):
                    table.insert(place, key, value)
                tables[kind].append(table)
    folder = paths.study(name)
    for kind, several in tables.items():
        write_table(folder / f"{kind}.csv", pd.concat(several, ignore_index=True))
    write_json(paths.RUNS / "studies" / f"{name}.json", runs)
    for model, seed in itertools.product(study.models, study.seeds):
        keep_newest(paths.checkpoints(study.dataset, model, seed), paths.CHECKPOINTS_KEPT)


def _train(dataset, params, faces, model, seed):
    """One training and its test: the Training, its row of trainings.csv, its rows of predictions.csv, the machine."""
    from fergit.engine import augmentation, backend, training  # not above: it takes seconds to load Keras
    from fergit.engine.network import build_network

    merged = stage_params("studies/dvc.yaml:train", params, dataset=dataset)
    settings = {section: merged[section] for section in TRAINING}
    train, tested = settings["train"], faces.take(faces.split == "test")
    backend.keras.utils.clear_session()
    backend.configure(seed, train["device"], train["precision"], train["distribution"])
    network = build_network(model, len(faces.classes), seed=seed, **settings["network"])
    seen = faces.take(faces.split != "test")
    result = training.train(network, seen, settings, dataset, seed)
    machine = backend.describe_machine()

    backend.configure(seed, train["device"])  # it is tested in float32, as `training.load_trained` does
    in_float32 = build_network(model, len(faces.classes), **settings["network"])
    in_float32.set_weights(network.get_weights())
    probabilities = in_float32.predict(augmentation.to_input(tested.images), batch_size=256, verbose=0)

    names = np.array(faces.classes)[tested.labels]
    predictions = pd.DataFrame({"sample_id": tested.sample_id, "group": tested.group, "label": names})
    predictions[[f"p_{name}" for name in faces.classes]] = probabilities
    held = seen.labels[seen.split == "validation"]
    summary = {
        "epochs_run": len(result.history),
        "best_epoch": result.best_epoch,
        "best_val_accuracy": result.best_val_accuracy,
        "train_accuracy_at_best": result.history[result.best_epoch - 1]["accuracy"],
        "trained": training.left_prior(result, held),
        "accuracy": float((probabilities.argmax(axis=1) == tested.labels).mean()),
        "n_test": len(tested),
    }
    return result, summary, predictions, machine
