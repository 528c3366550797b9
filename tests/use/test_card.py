"""The card of the shipped network: measured as it says, and models/README.md says what was measured."""

import json

import matplotlib
import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score
from test_shipped import ABOUT, shaken

from fergit.analysis import metrics
from fergit.analysis.alterations import ALTERATIONS
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.core.files import write_json
from fergit.data.fer2013 import CLASSES
from fergit.data.synthetic import draw_faces
from fergit.pages import plots_card
from fergit.use import card, shipped

matplotlib.use("Agg")

EVALUATE = {"confidence_level": 0.95, "bootstrap_samples": 200}
OF_TRAINING = {"dataset": "fergit", "model": "residual", "seed": 0, "best_epoch": 3}


@pytest.fixture(scope="module")
def faces():
    images, labels, _ = draw_faces(84, seed=1)
    ids = [f"fer2013/{row:05d}" for row in range(len(images))]
    return make_faces(images, labels, CLASSES, "fer2013", ids, split=["test"] * len(images))


def by_brightness(images):
    """A network of a kind: the brighter an image, the later in the classes."""
    guess = np.clip(images.mean(axis=(1, 2)) / 256 * 7, 0, 6).astype(int)
    return np.eye(7)[guess] * 0.7 + 0.3 / 7


@pytest.fixture(scope="module")
def found(faces):
    own = by_brightness(faces.images)
    full = own.copy()
    full[0] = np.roll(full[0], 1)
    altered = card.alter("fergit", faces, by_brightness, 0.95)
    return card.summary(faces, OF_TRAINING | {"files": True}, full, own, own, altered, EVALUATE)


def test_scores_are_scikit_learns_with_intervals_around_them(faces):
    own = by_brightness(faces.images)
    predictions = metrics.predictions_table(faces.classes, faces.sample_id, faces.labels, {0: own})
    table = card.per_class(predictions, EVALUATE)
    guess = own.argmax(axis=1)
    kwargs = {"average": None, "labels": range(7), "zero_division": 0}
    assert np.allclose(table["f1"], f1_score(faces.labels, guess, **kwargs))
    assert np.allclose(table["precision"], precision_score(faces.labels, guess, **kwargs))
    for score in metrics.SCORES:
        assert (table[f"{score}_low"] <= table[score] + 1e-9).all()
        assert (table[score] <= table[f"{score}_high"] + 1e-9).all()
    unnamed = np.bincount(guess, minlength=7) == 0
    assert unnamed.any() and (table["precision_high"][unnamed] == 1).all()  # of no image nothing is known


def test_what_is_said_follows_from_what_was_measured(faces, found):
    own = by_brightness(faces.images)
    accuracy = (own.argmax(axis=1) == faces.labels).mean()
    assert found["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-6)
    assert found["float32"]["named_otherwise"] == 1 and found["float32"]["at_most"] == pytest.approx(0.7)
    assert found["onnx"] == {"named_otherwise": 0, "at_most": 0}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for name, steps in found["altered"].items():
        assert steps[0]["accuracy"] == found["accuracy"]["value"]
        assert [step["strength"] for step in steps] == [ALTERATIONS[name].none, *ALTERATIONS[name].strengths]
    dark = found["altered"]["dark"][-1]
    assert dark["named"] == "angry" and dark["share"] == 1 and dark["recall"]["angry"] == 1
    assert dark["accuracy"] == pytest.approx((faces.labels == 0).mean(), abs=1e-6)
    text = card.block(found)
    for part in ("On the 84 test images of FERGIT", "| angry |", "1 image named otherwise", "angry (100 %)"):
        assert part in text


def test_the_figures_show_every_alteration(found):
    figure = plots_card.altered(found)
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes]
    assert titles == [alteration.title for alteration in ALTERATIONS.values()]
    shown = [ax.lines[-1].get_ydata()[0] for ax in figure.axes]
    assert shown == [found["accuracy"]["value"]] * len(ALTERATIONS)
    examples = plots_card.examples(draw_faces(1, seed=3)[0][0], "synthetic")
    assert sum(len(ax.images) for ax in examples.axes) == 6 * len(ALTERATIONS)
    matplotlib.pyplot.close("all")


def test_failures_name_just_the_steps_that_fail(found):
    def said(*accuracies):
        steps = [{"strength": at, "accuracy": one} for at, one in zip((0, 5, 10, 20), accuracies, strict=True)]
        return card.failures({"altered": {"noise": steps}})

    assert "noise (from 10 on)" in said(0.6, 0.55, 0.4, 0.3)
    assert "noise (at 5)" in said(0.6, 0.45, 0.58, 0.59)
    assert said(0.6, 0.6, 0.55, 0.55) == "At no step are so many lost with: noise."


def test_without_results_the_card_says_so():
    assert "Not here yet" in card.block(None)


def test_numbers_of_a_network_without_files_stay_out(found):
    assert card.block(found | {"files": False}) == card.MISSING


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert card.read("fergit", "residual") is None
    file = card.folder("fergit", "residual") / "metrics.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    with pytest.raises(FergitError, match=r"not the JSON .*; `python src/run.py card fergit residual`"):
        card.read("fergit", "residual")


def test_a_training_without_files_is_rounded_as_its_files_would_be(tmp_path, monkeypatch):
    for name in ("ROOT", "MODELS", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    network = shaken("basic", poolings=5)
    summary = {
        "dataset": "d",
        "model": "basic",
        "seed": 0,
        "best_epoch": 3,
        "best_val_accuracy": 0.5,
        "train": {"device": "cpu"},
    }
    paths.weights("d", "basic", 0).parent.mkdir(parents=True)
    network.save_weights(paths.weights("d", "basic", 0))
    write_json(
        paths.results("d", "basic", 0) / "training.json",
        summary | {"classes": list("abcdefg"), "network": {"poolings": 5}},
    )
    trained, own, about = card.load("d", "basic")
    assert all(np.array_equal(a, b) for a, b in zip(network.weights, trained.weights, strict=True))
    assert not about["files"] and about["best_epoch"] == 3
    assert card.by_opencv("d", "basic", np.zeros((1, 48, 48), np.uint8)) is None
    different = [not np.array_equal(a, b) for a, b in zip(network.weights, own.weights, strict=True)]
    assert [variable.name == "kernel" for variable in network.weights] == different
    pytest.importorskip("onnx", reason="the package onnx, which writes networks, is not installed")
    shipped.ship("d", "basic", 0)
    _, read, about = card.load("d", "basic")
    assert about["files"]
    assert all(np.array_equal(a, b) for a, b in zip(read.weights, own.weights, strict=True))
    other = shaken("basic", seed=5, poolings=5)
    other.save_weights(paths.weights("d", "basic", 0))  # trained anew, and not shipped
    with pytest.raises(FergitError, match="d-basic.npz: not of the training in .*; `python src/run.py ship d basic 0`"):
        card.load("d", "basic")


def test_a_file_says_what_it_is_of(tmp_path):
    pytest.importorskip("onnx", reason="the package onnx, which writes networks, is not installed")
    shipped.save_network(shaken("basic", poolings=2), ABOUT | OF_TRAINING, tmp_path / "x")
    assert shipped.read_about(tmp_path / "x.npz")["best_epoch"] == 3
    with pytest.raises(FergitError, match="no such file"):
        shipped.read_about(tmp_path / "y.npz")


def test_models_readme_says_what_was_measured():
    """If this fails: `make pages`."""
    assert card.text() == card.README.read_text(encoding="utf-8")


def test_the_shipped_network_is_as_good_as_the_trained_one():
    """Within 0.1 points, measured on FERGIT's test part; and OpenCV computes what Keras does."""
    found = card.read(*card.SHIPPED)
    if not found:
        pytest.skip("results/card/fergit-residual/metrics.json is not here; it comes with the FERGIT results")
    assert found["files"] and abs(found["float32"]["difference"]) <= 0.001
    assert found["onnx"]["at_most"] <= 1e-5 and found["onnx"]["named_otherwise"] == 0
    assert found["best_epoch"] == shipped.read_about()["best_epoch"]
