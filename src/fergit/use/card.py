"""The numbers of a shipped network's card, models/README.md: how good it is, and where it fails.

All of it is measured on the test images, with the network as its files hold it (`shipped`), beside the network as it
was trained, whose probabilities predictions.csv has.
"""

import json
import math

import numpy as np
import pandas as pd

from fergit.analysis import leaks, metrics
from fergit.analysis.alterations import ALTERATIONS
from fergit.analysis.calibration import calibrated, expected_error
from fergit.analysis.intervals import bootstrap, rounded, wilson
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import read_json
from fergit.core.predictions import predictions_table, read_predictions, seeds_of, unpack
from fergit.pages import present, tables_card
from fergit.pages.templates import with_block
from fergit.use import shipped

BEGIN, END = "<!-- card:begin -->", "<!-- card:end -->"
README = paths.MODELS / "README.md"
KEYS = (  # of metrics.json
    *(*shipped.RUN, "network", "files", "confidence_level", "n_test", "accuracy", "macro_f1", "sources"),
    *("calibration", "classes", "float32", "onnx", "altered"),
)
ANOTHER = 0.1  # a probability that rounding does not move so far: the file is of another training


def folder(dataset, model):
    """Where the results of a card lie: ``results/card/``, then the name of the network's files."""
    return paths.RESULTS / "card" / shipped.file(dataset, model, "").name


def load(dataset, model):
    """A network as it is shipped, from its file or, where there is none, made of the first seed as `ship` would; and
    what is said of it.

    The second is `fergit.use.shipped.read_about`'s dict, with ``files``: whether there are files.
    """
    file = shipped.file(dataset, model, ".npz")
    if not file.exists():
        seed = seeds_of(read_predictions(paths.results(dataset, model) / "predictions.csv"))[0]
        network, _, about = shipped.prepare(dataset, model, seed)
        return shipped.as_shipped(network, about), about | {"files": False}
    about = shipped.read_about(file)
    if about["dataset"] != dataset:
        raise FergitError(f"{paths.relative(file)}: is of {about['dataset']}; its card is made under that name")
    return shipped.load_network(file), about | {"files": True}


def by_opencv(dataset, model, images):
    """Probabilities by way of the ONNX file, as `recognizer` computes them; None where there is no such file."""
    from fergit.use.recognizer import ExpressionRecognizer

    file = shipped.file(dataset, model, ".onnx")
    if not file.exists():
        return None
    recognizer = ExpressionRecognizer(file)
    return np.concatenate([recognizer.predict_faces(images[row : row + 256]) for row in range(0, len(images), 256)])


def alter(faces, predict, level):
    """Accuracy on test images as they are and at each step of each alteration.

    Returns
    -------
    dict
        By name of `ALTERATIONS` a list of dict, unaltered first: ``strength``, ``accuracy``, ``low`` and ``high``
        (Wilson), ``recall`` by class, ``named`` (the class predicted most often) and ``share`` (of images).
    """

    def step(strength, guess):
        right, most = guess == faces.labels, np.bincount(guess).argmax()
        low, high = map(float, wilson(right.sum(), len(right), level))
        parts = {name: right[faces.labels == label] for label, name in enumerate(faces.classes)}
        recall = {name: float(part.mean()) if len(part) else None for name, part in parts.items()}
        values = {"strength": strength, "accuracy": right.mean(), "low": low, "high": high, "recall": recall}
        return values | {"named": faces.classes[most], "share": (guess == most).mean()}

    plain = predict(faces.images).argmax(axis=1)
    return {
        name: [step(alteration.none, plain)]
        + [
            step(at, predict(alteration(faces.images, at, faces.source[0])).argmax(axis=1))
            for at in alteration.strengths
        ]
        for name, alteration in ALTERATIONS.items()
    }


def summary(faces, about, trained, own, onnx, altered, evaluate):
    """All of a card's metrics.json.

    `faces` are the test images; `about` is of `load`, `trained` the same run's test rows of predictions.csv, `own` and
    `onnx` (float (n, classes), or None) are the shipped network's probabilities by Keras and by OpenCV, `altered` is of
    `alter`. Raises FergitError where predictions.csv and the shipped network are of two runs.
    """
    level, samples, bins = (evaluate[key] for key in ("confidence_level", "bootstrap_samples", "calibration_bins"))
    predictions = predictions_table(faces.classes, faces.sample_id, faces.labels, {about["seed"]: own})
    temperature = about.get("temperature", 1.0)
    full = calibrated(unpack(trained)[1][0], temperature)
    if not np.array_equal(trained["sample_id"], faces.sample_id) or _apart(full, own)["at_most"] > ANOTHER:
        where = f"{about['dataset']} {about['model']} {about['seed']}"
        raise FergitError(
            f"models/ and predictions.csv are of two trainings; `python src/run.py ship {where}` ships it"
        )
    hits = metrics.by_image(metrics.right(predictions), predictions)
    sources = pd.Series(faces.source, index=faces.sample_id).replace(present.TITLES)
    confusion = metrics.confusions(predictions)[0]
    float32 = float((full.argmax(axis=1) == faces.labels).mean())
    found = {
        **{name: about[name] for name in (*shipped.RUN, "network", "files")},
        "confidence_level": level,
        "n_test": len(faces),
        "accuracy": _entry(hits.mean(), metrics.accuracy_interval(predictions, samples, level)),
        "macro_f1": _entry(metrics.macro_f1(confusion), metrics.macro_f1_interval(predictions, samples, level)),
        "sources": leaks.by_stratum(hits, sources, level),
        "calibration": {
            "temperature": temperature,
            "before": expected_error(trained, bins),
            "after": expected_error(predictions, bins),
        },
        "classes": per_class(predictions, level, samples).reset_index().to_dict("records"),
        "confusion": confusion.tolist(),
        "float32": {"accuracy": float32, "difference": float(hits.mean()) - float32} | _apart(full, own),
        "onnx": None if onnx is None else _apart(onnx, own),
        "altered": altered,
    }
    return json.loads(json.dumps(rounded(found)))


def _entry(value, interval):
    return {"value": float(value), "low": interval[0], "high": interval[1]}


def _apart(first, second):
    """How far two networks' probabilities of the same images are apart."""
    return {
        "named_otherwise": int((first.argmax(axis=1) != second.argmax(axis=1)).sum()),
        "at_most": math.ceil(1e6 * float(np.abs(np.float64(first) - second).max())) / 1e6,
    }


def per_class(predictions, level, samples):
    """Precision, recall and F1 of each class, each with ``_low`` and ``_high`` (the last by bootstrap)."""
    table = metrics.per_class(predictions, level)
    labels, probabilities = unpack(predictions)
    guess = probabilities[0].argmax(axis=1)
    predicted = np.bincount(guess, minlength=len(table))
    table["precision_low"], table["precision_high"] = wilson(table["precision"] * predicted, predicted, level)
    for label, name in enumerate(table.index):
        counts = np.stack([(labels == label) & (guess == label), labels == label, guess == label]).astype(np.uint8)
        table.loc[name, ["f1_low", "f1_high"]] = bootstrap(counts, _f1, samples, level)
    return table[[f"{score}{end}" for score in metrics.SCORES for end in ("", "_low", "_high")] + ["support"]]


def _f1(counts):
    """F1 from hits, images and predictions of a class, each (..., n)."""
    hits, images, predicted = counts.sum(axis=-1, dtype=float)
    return np.divide(2 * hits, images + predicted, out=np.zeros_like(hits), where=images + predicted > 0)


def read(dataset, model):
    """A card's metrics.json; None where it was not made."""
    file = folder(dataset, model) / "metrics.json"
    remedy = f"`python src/run.py card {dataset} {model}` writes it again"
    return read_json(file, KEYS, remedy) if file.exists() else None


def text():
    """models/README.md as it should be: written by hand, with the shipped network's tables between the markers."""
    found = read(*shipped.SHIPPED)
    results = f"../results/card/{'-'.join(shipped.SHIPPED)}"
    return with_block(README, BEGIN, END, tables_card.block(found if found and found["files"] else None, results))
