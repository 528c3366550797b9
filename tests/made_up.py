"""A small made-up tree of results, as preprocess, train and predict leave it: no image, no weights, no Keras."""

import json

import numpy as np
import pandas as pd

from fergit.analysis import metrics
from fergit.core import params, paths
from fergit.core.predictions import predictions_table, read_predictions, write_predictions
from fergit.paper import published

CLASSES = ("angry", "happy", "sad")
EVALUATE = {"confidence_level": 0.95, "bootstrap_samples": 200, "calibration_bins": 10}
VALIDATION = 210  # images of a made-up network's validation part


def predictions(seeds=(0,), n=300, classes=CLASSES, strength=1.5, split="test"):
    """Random predictions that are mostly correct, as a table."""
    labels, values = np.random.default_rng(7).integers(0, len(classes), n), {}
    for seed in seeds:
        logits = np.random.default_rng(seed).normal(0, 1, (n, len(classes))) + strength * np.eye(len(classes))[labels]
        values[seed] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return predictions_table(classes, [f"{split}/{i:05d}" for i in range(n)], labels, values, split)


def training(dataset="fergit", model="residual", trained=True, epochs=100, **changes):
    """A training.json."""
    return {
        "dataset": dataset,
        "model": model,
        "trained": trained,
        "parameters": 9_773_111 if model == "residual" else 4_734_455,
        "trainable_parameters": 9_766_391 if model == "residual" else 4_730_423,
        "epochs_run": min(epochs, 60),
        "best_epoch": 2,
        "best_val_accuracy": 0.7,
        "validation_accuracy": 0.7,
        "prior_val_accuracy": 0.3,
        "train_accuracy": 0.86,
        "n_train": 44_370,
        "classes": list(published.FERGIT_CLASSES),
        "network": {"batch_normalization": "per_conv", "first_kernels": [5, 5], "poolings": 6},
        "train": {"epochs": epochs, "class_weights": "log"},
    } | changes


def recalled(table, recalls, more=0):
    """Labels, and probabilities with just these recalls and so many more: the first images of a class are right."""
    labels = np.repeat(np.arange(7), table["support"])
    place = np.concatenate([np.arange(n) for n in table["support"]])
    hits = place < (np.round(np.array(recalls) * np.array(table["support"])) + more)[labels]
    return labels, np.where(np.eye(7, dtype=bool)[np.where(hits, labels, (labels + 1) % 7)], 0.7, 0.05)


def write_results(dataset, model, seeds=(0,), recalls=None, **changes):
    """Results of a network with just these recalls on the paper's supports: the first images of a class are right."""
    table = published.TABLES.get((dataset, model)) or published.TABLE_3
    labels, values = recalled(table, table["recall"] if recalls is None else recalls)
    ids = np.array([f"{dataset}/{i:05d}" for i in range(labels.size)])
    held = np.arange(VALIDATION) * (labels.size // VALIDATION) if labels.size > VALIDATION else np.arange(labels.size)
    both = np.concatenate([held, np.arange(labels.size)])
    names = np.concatenate([[f"held/{i:05d}" for i in held], ids])
    splits = np.where(np.arange(both.size) < held.size, "validation", "test")
    folder = paths.results(dataset, model)
    of_seeds = dict.fromkeys(seeds, values[both])
    file = folder / "predictions.csv"
    write_predictions(file, predictions_table(table["classes"], names, labels[both], of_seeds, splits))
    about = training(dataset, model, classes=list(table["classes"]), **changes)
    history = pd.DataFrame({"epoch": [1, 2, 3], "val_accuracy": [0.3, 0.7, 0.6], "learning_rate": [1e-3, 1e-3, 5e-4]})
    history[["loss", "accuracy", "val_loss"]] = 0.5
    for seed in seeds:
        own = paths.results(dataset, model, seed)
        own.mkdir(parents=True)
        (own / "training.json").write_text(json.dumps(about | {"seed": seed}))
        history.to_csv(own / "history.csv", index=False)
    parts = (read_predictions(file, split) for split in ("test", "validation"))
    (folder / "metrics.json").write_text(json.dumps(metrics.summarize(*parts, dict.fromkeys(seeds, about), EVALUATE)))


def write_study(name):
    """Results of a study of studies/params.yaml: each variant a little better than the one before, each seed worse."""
    study, rows, tables = params.read(paths.STUDIES)["studies"][name], [], []
    classes = published.CKPLUS_CLASSES if study["dataset"] == "ckplus" else published.FERGIT_CLASSES
    ids = [f"i{i:03d}" for i in range(98)]
    for model in study["models"]:
        for place, variant in enumerate(map(str, study["values"])):
            for seed in study["seeds"]:
                hits = np.arange(98) >= 1 + len(study["values"]) - place + seed
                values = np.eye(7)[np.where(hits, np.arange(98), np.arange(98) + 1) % 7]
                table = predictions_table(classes, ids, np.arange(98) % 7, {seed: values})
                tables.append(table.assign(group=[f"S{i % 20}" for i in range(98)], variant=variant, network=model))
                numbers = dict.fromkeys(("validation_accuracy", "train_accuracy", "accuracy"), hits.mean())
                named = {"variant": variant, "network": model, "seed": seed}
                rows.append(named | {"trained": True, "n_test": 98} | numbers)
    paths.study(name).mkdir(parents=True)
    both = [pd.concat(tables).assign(split=part) for part in ("validation", "test")]
    pd.concat(both).to_csv(paths.study(name) / "predictions.csv", index=False)
    pd.DataFrame(rows).to_csv(paths.study(name) / "trainings.csv", index=False)


def write_copies(dataset, model="residual", votes=True):
    """A copies.csv for the test images of a network of `write_results`: every tenth is an exact copy, and so on."""
    test = read_predictions(paths.results(dataset, model) / "predictions.csv")
    test = test[test["seed"] == test["seed"].iloc[0]]
    n = np.arange(len(test))
    table = pd.DataFrame({"sample_id": test["sample_id"], "label": test["label"]})
    table["source"] = np.where(n % 4 == 0, "muxspace", "fer2013") if dataset == "fergit" else dataset
    table["group"], table["usage"] = "", ""
    table["exact_copy"] = n % 10 == 1
    table["correlation"] = np.where(n % 10 == 1, 1, np.where(n % 10 == 2, 0.96, np.where(n % 10 == 3, 0.92, 0.8)))
    table["copy_id"], table["copy_label"] = "fer2013/00000", "happy"
    answers = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt", "unknown", "no_face")
    for answer in answers:
        own = np.where(table["label"] == answer, 6, np.where(answer == "neutral", 4, 0))
        table[f"votes_{answer}"] = np.where((table["source"] == "fer2013") & votes, own, np.nan)
    folder = paths.results(dataset) / "01-preprocess"
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "copies.csv", index=False)
    return table
