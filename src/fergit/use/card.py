"""What is known of a shipped network, for its card in models/README.md: how well it does, and where it fails.

All of it is measured on the test part, with the network as its files hold it (`shipped`), beside the network as
it was trained. What the card says is said from one metrics.json alone.
"""

import json
import math

import numpy as np
import pandas as pd

from fergit.analysis import leaks, metrics
from fergit.analysis.alterations import ALTERATIONS
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import read_json, with_block, write_text
from fergit.pages import present
from fergit.use import shipped

BEGIN, END = "<!-- card:begin -->", "<!-- card:end -->"
README = paths.MODELS / "README.md"
SHIPPED = "fergit", "residual"  # the network that the card is about
KEYS = (  # of metrics.json
    *("dataset", "model", "files", "confidence_level", "n_test", "accuracy", "macro_f1", "sources", "classes"),
    *("confusion", "float32", "onnx", "altered"),
)
NOTABLE = 0.1  # of accuracy, lost: what the card names
MISSING = (
    "**Not here yet:** the network's two files and its numbers come with the FERGIT results. After a training of your "
    "own the commands above make them."
)


def folder(dataset, model):
    """Where the results of a card lie, ``results/card/<dataset>-<model>/``."""
    return paths.RESULTS / "card" / f"{dataset}-{model}"


def load(dataset, model, seed=0):
    """A network as it was trained, and as it is shipped: from its file, or where there is none rounded likewise.

    Parameters
    ----------
    dataset, model : str
    seed : int
        Which training, where there is no file.

    Returns
    -------
    trained, own : keras.Model
    about : dict
        As `fergit.use.shipped.read_about`, and ``files``: whether there is ``models/<dataset>-<model>.npz``.

    Raises
    ------
    FergitError
        The training is not there, or the file is of another one.
    """
    from fergit.engine.training import load_trained

    file = paths.MODELS / f"{dataset}-{model}.npz"
    if file.exists():
        seed = shipped.read_about(file)["seed"]
    trained, training = load_trained(dataset, model, seed)
    own = shipped.rounded(load_trained(dataset, model, seed)[0])
    if file.exists():
        held = shipped.load_network(file).get_weights()
        if len(held) != len(own.weights) or not all(map(np.array_equal, held, own.get_weights())):
            weights = paths.relative(paths.weights(dataset, model, seed))
            raise FergitError(
                f"{paths.relative(file)}: not of the training in {weights}; "
                f"`python src/run.py ship {dataset} {model} {seed}` writes it anew"
            )
    return trained, own, shipped.about(training) | {"files": file.exists()}


def by_opencv(dataset, model, images):
    """Probabilities by way of the ONNX file, as `fergit.use.recognizer` computes them.

    Parameters
    ----------
    dataset, model : str
    images : uint8 (n, 48, 48)

    Returns
    -------
    float32 (n, 7), or None
        None where ``models/<dataset>-<model>.onnx`` is not there.
    """
    from fergit.use.recognizer import ExpressionRecognizer

    file = paths.MODELS / f"{dataset}-{model}.onnx"
    if not file.exists():
        return None
    recognizer = ExpressionRecognizer(file)
    return np.concatenate([recognizer.predict_faces(images[row : row + 256]) for row in range(0, len(images), 256)])


def alter(dataset, faces, predict, level):
    """Accuracy on the images as they are and at each step of each alteration.

    Parameters
    ----------
    dataset : str
    faces : Faces
        Its test part.
    predict : callable
        uint8 (n, 48, 48) to float (n, classes).
    level : float
        Of the intervals.

    Returns
    -------
    dict
        By name of `ALTERATIONS` a list of dict, unaltered first: ``strength``, ``accuracy``, ``low`` and ``high``
        (Wilson), ``recall`` by class, ``named`` (the class named most often) and ``share`` (of images so named).
    """
    as_they_are = predict(faces.images).argmax(axis=1)
    return {
        name: [_step(faces, alteration.none, as_they_are, level)]
        + [
            _step(faces, strength, predict(alteration(faces.images, strength, dataset)).argmax(axis=1), level)
            for strength in alteration.strengths
        ]
        for name, alteration in ALTERATIONS.items()
    }


def _step(faces, strength, guess, level):
    right = guess == faces.labels
    low, high = metrics.wilson(right.sum(), len(right), level)
    counts = np.bincount(guess, minlength=len(faces.classes))
    return {
        "strength": strength,
        "accuracy": right.mean(),
        "low": float(low),
        "high": float(high),
        "recall": {
            name: float(right[faces.labels == label].mean()) if (faces.labels == label).any() else None
            for label, name in enumerate(faces.classes)
        },
        "named": faces.classes[counts.argmax()],
        "share": counts.max() / len(guess),
    }


def summary(faces, about, full, own, onnx, altered, evaluate):
    """All of a card's metrics.json.

    Parameters
    ----------
    faces : Faces
        The test part.
    about : dict
        Of `load`.
    full, own : float (n, classes)
        Probabilities of the network as it was trained, and as it is shipped.
    onnx : float (n, classes) or None
        Of `by_opencv`.
    altered : dict
        Of `alter`.
    evaluate : dict
        confidence_level, bootstrap_samples.

    Returns
    -------
    dict
    """
    level, samples = evaluate["confidence_level"], evaluate["bootstrap_samples"]
    predictions = metrics.predictions_table(faces.classes, faces.sample_id, faces.labels, {about["seed"]: own})
    hits = leaks.right(predictions)
    sources = pd.Series(faces.source, index=hits.index).replace(present.TITLES)
    low, high = metrics.accuracy_interval(predictions, samples, level)
    f1_low, f1_high = metrics.macro_f1_interval(predictions, samples, level)
    confusion = metrics.confusions(predictions)[0]
    float32 = float((full.argmax(axis=1) == faces.labels).mean())
    found = {
        **{name: about[name] for name in ("dataset", "model", "seed", "best_epoch", "files")},
        "confidence_level": level,
        "n_test": len(faces),
        "accuracy": {"value": float(hits.mean()), "low": low, "high": high},
        "macro_f1": {"value": float(metrics.macro_f1(confusion)), "low": f1_low, "high": f1_high},
        "sources": leaks.by_stratum(hits, sources, level),
        "classes": per_class(predictions, evaluate).reset_index().to_dict("records"),
        "confusion": confusion.tolist(),
        "float32": {"accuracy": float32, "difference": float(hits.mean()) - float32} | _apart(full, own),
        "onnx": None if onnx is None else _apart(onnx, own),
        "altered": altered,
    }
    return json.loads(json.dumps(metrics.rounded(found)))


def _apart(first, second):
    """How far two networks' probabilities of the same images are apart."""
    return {
        "named_otherwise": int((first.argmax(axis=1) != second.argmax(axis=1)).sum()),
        "at_most": math.ceil(1e6 * float(np.abs(np.float64(first) - second).max())) / 1e6,
    }


def per_class(predictions, evaluate):
    """Precision, recall and F1 of each class, each with its interval.

    Parameters
    ----------
    predictions : DataFrame
        Of one seed.
    evaluate : dict
        confidence_level, bootstrap_samples.

    Returns
    -------
    DataFrame
        Indexed by class: precision, recall, f1, each with ``_low`` and ``_high`` behind it (Wilson's of the images so
        named, Wilson's of the images of the class, the bootstrap over all images), support.
    """
    level, samples = evaluate["confidence_level"], evaluate["bootstrap_samples"]
    table = metrics.per_class(predictions, level)
    labels, probabilities = metrics.unpack(predictions)
    guess = probabilities[0].argmax(axis=1)
    named = np.bincount(guess, minlength=len(table))
    table["precision_low"], table["precision_high"] = metrics.wilson(table["precision"] * named, named, level)
    cells = labels * len(table) + guess
    for label, name in enumerate(table.index):

        def f1(values, label=label):  # (..., n): every class is counted against all others
            true, said = values // len(table) == label, values % len(table) == label
            total = true.sum(axis=-1) + said.sum(axis=-1)
            return np.divide(2 * (true & said).sum(axis=-1), total, out=np.zeros(total.shape), where=total > 0)

        table.loc[name, ["f1_low", "f1_high"]] = metrics.bootstrap(cells, f1, samples, level)
    ends = [f"{score}{end}" for score in metrics.SCORES for end in ("", "_low", "_high")]
    return table[[*ends, "support"]]


def classes_table(found):
    """The scores of each class for the eye."""
    rows = [
        {"class": row["class"], "images": f"{row['support']:,}"}
        | {
            title: f"{row[name]:.2f} ({row[f'{name}_low']:.2f}–{row[f'{name}_high']:.2f})"
            for title, name in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
        }
        for row in found["classes"]
    ]
    return pd.DataFrame(rows)


def altered_table(found):
    """Accuracy at each step of each alteration for the eye."""
    rows = []
    for name, steps in found["altered"].items():
        alteration = ALTERATIONS[name]
        cells = {"images made worse": f"{alteration.title} ({alteration.unit})"}
        for number, step in enumerate(steps[1:], start=1):
            title = {1: "mildest step", len(steps) - 1: "strongest"}.get(number, f"step {number}")
            cells[title] = f"{present.percent(step['accuracy'])} at {step['strength']:g}"
        rows.append(cells | {"then named most": f"{steps[-1]['named']} ({present.percent(steps[-1]['share'], 0)})"})
    return pd.DataFrame(rows)


def recalls(found):
    """Every step of every alteration, a row each: accuracy with its interval, and the recall of each class."""
    rows = [
        {"alteration": name}
        | {key: step[key] for key in ("strength", "accuracy", "low", "high", "named", "share")}
        | {f"recall_{label}": recall for label, recall in step["recall"].items()}
        for name, steps in found["altered"].items()
        for step in steps
    ]
    return pd.DataFrame(rows)


def strongest_table(found):
    """The recall of each class at the strongest step of each alteration, for the eye."""
    steps = {ALTERATIONS[name].title: rows[-1]["recall"] for name, rows in found["altered"].items()}
    first = next(iter(found["altered"].values()))[0]["recall"]
    table = pd.DataFrame.from_dict({"as they are": first} | steps, orient="index").rename_axis("recall")
    return table.astype(float).map(present.percent, digits=0)


def headline(found):
    """How well the network does, in sentences."""
    level = present.percent(found["confidence_level"], 0)
    accuracy, f1 = found["accuracy"], found["macro_f1"]
    said = [
        f"On the {found['n_test']:,} test images of {present.TITLES[found['dataset']]} the network as shipped names "
        f"**{present.with_interval(accuracy['value'], accuracy['low'], accuracy['high'])}** rightly; its macro F1 is "
        f"{f1['value']:.2f} ({f1['low']:.2f}–{f1['high']:.2f}). In parentheses behind accuracy, precision, recall and "
        f"F1 stands the {level} interval over images."
    ]
    if len(found["sources"]) > 1:
        rates = [
            f"{present.with_interval(row['accuracy'], row['low'], row['high'])} of {row['stratum']}'s {row['images']:,}"
            for row in found["sources"]
        ]
        said.append(f"It is right in {present.listed(rates)} images.")
    return " ".join(said)


def rounding(found):
    """What shipping did to the network, in sentences."""
    full, onnx = found["float32"], found["onnx"]
    changed = round(100 * full["difference"], 2)
    said = [
        f"Before its kernels were rounded to float16 it named {present.percent(full['accuracy'], 2)} rightly: rounding "
        f"changed the accuracy by {f'{changed:+.2f}'.replace('-', '−') if changed else '0.00'} points "
        f"({present.counted(full['named_otherwise'], 'image')} named otherwise, no probability moved by more than "
        f"{full['at_most']:.6f}).",
    ]
    if onnx:
        said.append(
            f"OpenCV with the ONNX file and Keras with the other differ by at most {onnx['at_most']:.6f} on these "
            f"images, and name {present.counted(onnx['named_otherwise'], 'image')} otherwise."
        )
    return " ".join(said)


def failures(found):
    """Which classes and which alterations it fails at, in sentences."""
    weak, strong = [], []
    for name, steps in found["altered"].items():
        lost = [steps[0]["accuracy"] - step["accuracy"] > NOTABLE for step in steps[1:]]
        at = [f"{step['strength']:g}" for step, much in zip(steps[1:], lost, strict=True) if much]
        whole = at and all(lost[lost.index(True) :])
        where = f"from {at[0]} on" if whole else f"at {present.listed(at)}" if at else ""
        (weak if at else strong).append(f"{ALTERATIONS[name].title} ({where})" if at else ALTERATIONS[name].title)
    said = []
    if weak:
        said.append(f"More than {100 * NOTABLE:.0f} points of accuracy are lost with: {', '.join(weak)}.")
    if strong:
        said.append(f"At no step are so many lost with: {', '.join(strong)}.")
    return " ".join(said)


def classes_findings(found):
    """The easiest and hardest class, and what is confused most often, in sentences."""
    table = pd.DataFrame(found["classes"]).set_index("class")
    confusion = np.array(found["confusion"])
    return f"{present.classes_sentence(table)} {present.confusion_sentence(confusion, list(table.index))}"


def read(dataset, model):
    """A card's metrics.json; None where it was not made.

    Raises
    ------
    FergitError
        It is damaged.
    """
    file = folder(dataset, model) / "metrics.json"
    remedy = f"`python src/run.py card {dataset} {model}` writes it again"
    return read_json(file, KEYS, remedy) if file.exists() else None


def block(found):
    """What stands between the card's markers."""
    if not found or not found["files"]:
        return MISSING
    results = f"../results/card/{found['dataset']}-{found['model']}"
    return "\n\n".join(
        [
            headline(found),
            present.markdown(classes_table(found)),
            classes_findings(found),
            rounding(found),
            f"The same test images, made worse in nine ways; as they are, "
            f"{present.percent(found['accuracy']['value'])} are named rightly:",
            present.markdown(altered_table(found)),
            f"![Figure: accuracy against strength for each alteration]({results}/09-card/altered.png)",
            f"{failures(found)} [The notebook]({results}/09-card.ipynb) says how each is made.",
        ]
    )


def text():
    """models/README.md as it should be."""
    return with_block(README, BEGIN, END, block(read(*SHIPPED)))


def write():
    """Write the card's block of models/README.md; its other text stays.

    Raises
    ------
    FergitError
        models/README.md has not both markers, or metrics.json is damaged.
    """
    write_text(README, text())
