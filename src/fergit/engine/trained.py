"""Trained networks: saved, read again, and what they predict."""

import itertools
import json
import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import load_processed
from fergit.core.files import read_json, write_arrays, write_json, write_text
from fergit.core.predictions import predictions_table, write_predictions
from fergit.engine.backend import configure, keras
from fergit.engine.checkpoint import Training, read_arrays, training_key
from fergit.engine.network import build_network
from fergit.engine.prediction import in_float32, predict
from fergit.engine.training import summarize, train

# What training.json must hold to be read again.
SUMMARY = ("dataset", "model", "seed", "classes", "network", "train", "best_epoch", "best_val_accuracy")


def save_training(training, network, faces, params, dataset, seed):
    """Write what a training leaves: weights, history.csv, training.json (all byte-stable), and its cost under runs/.

    Returns
    -------
    dict
        What stands in training.json.
    """
    summary = summarize(training, network, faces, params, dataset, seed)
    folder = paths.results(dataset, network.name, seed)
    write_text(folder / "history.csv", training.table().to_csv(index=False, lineterminator="\n"))
    write_json(folder / "training.json", summary)
    weights = paths.weights(dataset, network.name, seed)
    weights.parent.mkdir(parents=True, exist_ok=True)
    partial = weights.with_name(f".{weights.name.removesuffix('.weights.h5')}.partial.weights.h5")  # on the same disk
    try:
        network.save_weights(partial)
        os.replace(partial, weights)
    finally:
        partial.unlink(missing_ok=True)
    cost = {"seconds": round(training.seconds, 1), "epochs": len(training.history)}
    write_json(paths.run(dataset, network.name, seed), cost | training.machine)
    return summary


def load_trained(dataset, model, seed):
    """A trained network, ready to predict in float32; Keras is set up for it.

    Parameters
    ----------
    dataset, model : str
    seed : int
        Which training; it must have been saved by `save_training`.

    Returns
    -------
    network : keras.Model
    training : dict
        Its training.json.

    Raises
    ------
    FergitError
        That training is not there, or its files are damaged or of another network.
    """
    file, weights = paths.results(dataset, model, seed) / "training.json", paths.weights(dataset, model, seed)
    remedy = f"`dvc repro train@{dataset}-{model}-{seed}` trains it"
    training = read_json(file, SUMMARY, remedy)
    if not weights.exists():
        raise FergitError(f"{paths.relative(weights)}: no such file; {remedy}")
    try:
        device, classes, settings = training["train"]["device"], len(training["classes"]), dict(training["network"])
    except (KeyError, TypeError, ValueError):
        raise FergitError(f"{paths.relative(file)}: not what a training wrote; {remedy}") from None
    configure(seed, "cpu" if device == "cpu" else "auto")  # what was trained on a GPU predicts without one too
    try:
        network = build_network(model, classes, **settings)
    except TypeError:
        raise FergitError(f"{paths.relative(file)}: of an older version of this project; {remedy}") from None
    try:
        network.load_weights(weights)
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        message = str(error).splitlines()[0]
        raise FergitError(f"{paths.relative(weights)}: not weights of this {model} network: {message}") from None
    if not all(np.isfinite(values).all() for values in network.get_weights()):
        raise FergitError(f"{paths.relative(weights)}: holds weights that are not numbers; {remedy}")
    return network, training


def predict_heldout(dataset, model, params):
    """Write predictions.csv: what a network's trainings make of the validation and the test part.

    Parameters
    ----------
    dataset, model : str
    params : dict
        ``seeds`` and the section ``predict``.

    Raises
    ------
    FergitError
        As `load_processed` and `load_trained`.
    """
    faces = load_processed(dataset, ("validation", "test"))
    probabilities = {}
    for seed in params["seeds"]:
        network, _ = load_trained(dataset, model, seed)
        probabilities[seed] = predict(network, faces.images, params["predict"]["mirror"])
    table = predictions_table(faces.classes, faces.sample_id, faces.labels, probabilities, faces.split)
    write_predictions(paths.results(dataset, model) / "predictions.csv", table)


@dataclass
class Outcome:
    """What a training came to, without its weights: ``probabilities`` are of the parts validation and test."""

    training: Training
    summary: dict
    probabilities: dict


def train_and_test(model, faces, params, dataset, seed):
    """Train a network and predict validation and test part; what was done before, here or elsewhere, is read.

    Parameters
    ----------
    model : "basic" or "residual"
    faces : Faces
        All three parts.
    params : dict
        The sections ``network``, ``train``, ``augmentation`` and ``predict``.
    dataset : str
    seed : int

    Returns
    -------
    Outcome
    """
    sections = {name: params[name] for name in ("network", "augmentation", "train")}
    seen, settings = faces.take(faces.split != "test"), params["train"]
    file = paths.outcome(dataset, model, seed, training_key(dataset, model, faces, sections, seed))
    arrays = read_arrays(file)
    if arrays is not None:
        return _outcome(arrays["state"], arrays, params["predict"]["mirror"])
    keras.utils.clear_session()
    configure(seed, settings["device"], settings["precision"], settings["distribution"])
    network = build_network(model, len(faces.classes), seed=seed, **params["network"])
    training = train(network, seen, sections, dataset, seed)
    summary = summarize(training, network, seen, sections, dataset, seed)
    configure(seed, settings["device"])  # it is tested in float32, as `load_trained` does
    plain = in_float32(network, params["network"])
    arrays = {
        f"{part}_{mirror}": predict(plain, faces.images[faces.split == part], mirror)
        for part, mirror in itertools.product(("validation", "test"), (False, True))
    }
    state = {"training": vars(training), "summary": summary}
    write_arrays(file, state=np.array(json.dumps(state)), **arrays)
    return _outcome(state, arrays, params["predict"]["mirror"])


def outcome_tables(outcome, faces):
    """The rows of one training in the tables of a study.

    Parameters
    ----------
    outcome : Outcome
    faces : Faces
        All three parts.

    Returns
    -------
    dict of DataFrame
        ``predictions`` (a row for each image of validation and test), ``trainings`` (one row) and ``history`` (a row
        for each epoch).
    """
    seed, several = outcome.summary["seed"], []
    for part, probabilities in outcome.probabilities.items():
        rows = faces.take(faces.split == part)
        table = predictions_table(faces.classes, rows.sample_id, rows.labels, {seed: probabilities}, part)
        table.insert(2, "group", rows.group)
        several.append(table.drop(columns="seed"))
    tested = faces.labels[faces.split == "test"]
    right = outcome.probabilities["test"].argmax(axis=1) == tested
    kept = ("trained", "epochs_run", "best_epoch", "best_val_accuracy", "train_accuracy", "validation_accuracy")
    row = {key: outcome.summary[key] for key in kept}
    row |= {"accuracy": float(right.mean()), "n_test": len(tested), "device": outcome.training.machine["device"]}
    return {
        "predictions": pd.concat(several, ignore_index=True),
        "trainings": pd.DataFrame([row]),
        "history": outcome.training.table(),
    }


def _outcome(state, arrays, mirror):
    probabilities = {part: arrays[f"{part}_{mirror}"] for part in ("validation", "test")}
    return Outcome(Training(**state["training"]), state["summary"], probabilities)
