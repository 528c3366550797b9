"""The card of the shipped network: measured as it says, and models/README.md says what was measured."""

import json

import matplotlib
import numpy as np
import pytest
from made_up import EVALUATE
from sklearn.metrics import f1_score, precision_score
from test_shipped import ABOUT, finished, inputs, shaken  # noqa: F401, a fixture

from fergit.analysis import metrics
from fergit.analysis.alterations import ALTERATIONS
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import EXPRESSIONS as CLASSES
from fergit.core.faces import make_faces
from fergit.core.predictions import predictions_table
from fergit.data.synthetic import draw_faces
from fergit.pages import plots_card, tables_card
from fergit.use import card, shipped

matplotlib.use("Agg")

OF_TRAINING = {"dataset": "fergit", "model": "residual", "seed": 0, "best_epoch": 3, "temperature": 2.0}
OF_TRAINING |= {"network": {"poolings": 6, "batch_normalization": "per_conv"}}


@pytest.fixture(scope="module")
def faces():
    images, labels, _ = draw_faces(84, seed=1)
    ids = [f"fer2013/{row:05d}" for row in range(len(images))]
    return make_faces(images, labels, CLASSES, "fer2013", ids, split=["test"] * len(images))


def by_brightness(images):
    """A network of a kind: the brighter an image, the later in the classes."""
    guess = np.clip(images.mean(axis=(1, 2)) / 256 * 7, 0, 6).astype(int)
    return np.eye(7)[guess] * 0.7 + 0.3 / 7


def predictions(faces, probabilities):
    return predictions_table(faces.classes, faces.sample_id, faces.labels, {0: probabilities})


def as_trained(own):
    """Before they were softened by the temperature."""
    return own**2 / (own**2).sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def found(faces):
    own = by_brightness(faces.images)
    other = own.copy()
    other[0, own[0].argmax()], other[0, -1 + own[0].argmax()] = 0.36, 0.38
    own[0] = 0.3 / 7
    own[0, by_brightness(faces.images)[0].argmax()] = 0.38
    own[0, -1 + by_brightness(faces.images)[0].argmax()] = 0.36
    own, other = (values / values.sum(axis=1, keepdims=True) for values in (own, other))
    altered = card.alter(faces, by_brightness, 0.95)
    trained = predictions(faces, as_trained(other))
    return card.summary(faces, OF_TRAINING | {"files": True}, trained, own, own, altered, EVALUATE)


def test_scores_are_scikit_learns_with_intervals_around_them(faces):
    own = by_brightness(faces.images)
    table = card.per_class(predictions(faces, own), 0.95, 200)
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
    assert found["float32"]["named_otherwise"] == 1 and 0.01 < found["float32"]["at_most"] < 0.1
    calibration = found["calibration"]
    assert calibration["temperature"] == 2 and 0 < calibration["after"] < calibration["before"]
    assert found["onnx"] == {"named_otherwise": 0, "at_most": 0}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for name, steps in found["altered"].items():
        assert steps[0]["accuracy"] == found["accuracy"]["value"]
        assert [step["strength"] for step in steps] == [ALTERATIONS[name].none, *ALTERATIONS[name].strengths]
    dark = found["altered"]["dark"][-1]
    assert dark["named"] == "angry" and dark["share"] == 1 and dark["recall"]["angry"] == 1
    assert dark["accuracy"] == pytest.approx((faces.labels == 0).mean(), abs=1e-6)
    text = tables_card.block(found, "..")
    for part in ("84 test images of FERGIT", "| angry |", "poolings 6, batch_normalization per_conv", "angry (100 %)"):
        assert part in text
    assert "labels that rounding changed | 1 |" in text and "calibration error before" in text


def test_what_is_shipped_of_another_training_is_named(faces):
    own = by_brightness(faces.images)
    for trained in (predictions(faces, np.roll(own, 1, axis=1)), predictions(faces.take(slice(None, None, -1)), own)):
        with pytest.raises(FergitError, match="of two trainings; `python src/run.py ship fergit residual 0` ships it"):
            card.summary(faces, OF_TRAINING | {"files": True}, trained, own, None, {}, EVALUATE)


def test_the_figures_show_every_alteration(found):
    figure = plots_card.altered(found)
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes]
    assert titles == [alteration.title for alteration in ALTERATIONS.values()]
    shown = [ax.lines[0].get_ydata()[0] for ax in figure.axes]
    assert shown == [found["accuracy"]["value"]] * len(ALTERATIONS)
    examples = plots_card.examples(draw_faces(1, seed=3)[0][0], "synthetic")
    assert sum(len(ax.images) for ax in examples.axes) == 6 * len(ALTERATIONS)
    matplotlib.pyplot.close("all")


def test_steps_that_lose_more_than_ten_points_are_bold(found):
    steps = [
        {"strength": at, "accuracy": one, "named": "sad", "share": 0.5} for at, one in ((0, 0.6), (5, 0.52), (10, 0.4))
    ]
    (row,) = tables_card.altered({"altered": {"noise": steps}}).to_dict("records")
    assert row["mildest step"] == "52.0 % at 5" and row["strongest"] == "**40.0 %** at 10"


@pytest.mark.parametrize(("source", "lower"), [("synthetic", 3), ("fer2013", 0)])
def test_what_is_covered_lies_where_the_faces_of_the_source_have_it(source, lower):
    """Whatever the data set is called: drawn eyes are three rows lower."""
    faces, shown = make_faces(np.zeros((1, 48, 48), np.uint8), [0], CLASSES, source, ["a"], split=["test"]), []
    faces.images[:, :, 40] = 255  # so that the bar is not as dark as the rest

    def predict(images):
        shown.append(images[0])
        return by_brightness(images)

    card.alter(faces, predict, 0.95)
    plain, *altered = shown
    first = 1 + sum(len(ALTERATIONS[name].strengths) for name in list(ALTERATIONS)[: list(ALTERATIONS).index("eyes")])
    rows = np.flatnonzero((shown[first] != plain).any(axis=1))
    assert rows.tolist() == [row + lower for row in (16, 17, 18, 19)]


def test_without_results_or_files_the_card_says_so(found, monkeypatch):
    assert "Not measured yet" in tables_card.block(None, "..")
    monkeypatch.setattr(card, "read", lambda *_: found | {"files": False})
    assert tables_card.MISSING in card.text()


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert card.read("fergit", "residual") is None
    file = card.folder("fergit", "residual") / "metrics.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    with pytest.raises(FergitError, match=r"not the JSON .*; `python src/run.py card fergit residual`"):
        card.read("fergit", "residual")


def test_a_training_without_files_is_rounded_as_its_files_would_be(finished, monkeypatch):  # noqa: F811
    network, about = card.load("d", "basic")
    assert not about["files"] and about["temperature"] == pytest.approx(3, rel=0.05)
    assert card.by_opencv("d", "basic", np.zeros((1, 48, 48), np.uint8)) is None
    pytest.importorskip("onnx", reason="the package onnx, which writes networks, is not installed")
    shipped.ship("d", "basic", 0)
    read, about = card.load("d", "basic")
    assert about["files"]
    assert all(np.array_equal(a, b) for a, b in zip(read.weights, network.weights, strict=True))
    monkeypatch.setattr(shipped, "INSTEAD", {"d_best": "d"})
    with pytest.raises(FergitError, match="d-basic.npz: is of d; its card is made under that name"):
        card.load("d_best", "basic")
    keras, opencv = read.predict(inputs(5), verbose=0), card.by_opencv("d", "basic", draw_faces(5, seed=0)[0])
    assert np.abs(keras - opencv).max() <= 1e-5


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
    found = card.read(*shipped.SHIPPED)
    if not found:
        pytest.skip("results/card/fergit-residual/metrics.json is not here; it comes with the FERGIT results")
    assert found["files"] and abs(found["float32"]["difference"]) <= 0.001
    assert found["onnx"]["at_most"] <= 1e-4 and found["onnx"]["named_otherwise"] == 0
    assert found["best_epoch"] == shipped.read_about()["best_epoch"]
