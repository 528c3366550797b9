import json
import os

import cv2
import numpy as np
import pandas as pd
import pytest

from fergit.analysis.calibration import calibrated, expected_error
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import load_processed
from fergit.core.files import write_json, write_text
from fergit.core.predictions import predictions_table, unpack, write_predictions
from fergit.data.synthetic import draw_faces
from fergit.engine import network, trained
from fergit.engine.augmentation import to_input
from fergit.engine.network import BATCH_NORMALIZATIONS, KINDS, build_network
from fergit.use import shipped

CLASSES = list("abcdefg")
ABOUT = {"model": "residual", "network": {}, "classes": CLASSES}


def shaken(kind, **settings):
    """A network whose every weight matters, biases and normalizations too, and whose probabilities differ by image."""
    model, rng = build_network(kind, **settings), np.random.default_rng(0)
    for variable in model.weights:
        if variable.name != "kernel":
            variable.assign(variable + rng.uniform(0, 0.5, variable.shape))
    features = computed(type(model)(model.input, model.layers[-2].output), inputs(30))
    kernel, bias = model.layers[-1].get_weights()
    logits = features @ kernel + bias
    spread = logits.std(axis=0).mean()
    model.layers[-1].set_weights([kernel / spread, (bias - logits.mean(axis=0)) / spread])
    return model


def test_predictions_of_mirrored_images_are_refused(monkeypatch):
    monkeypatch.setattr("fergit.core.params.read", lambda _: {"predict": {"mirror": True}})
    with pytest.raises(
        FergitError, match="predict.mirror: false in params.yaml, and `dvc repro predict@synthetic-basic`"
    ):
        shipped.predictions_of("synthetic", "basic", 0, "validation")


def computed(model, images):
    """Its outputs, without a graph of its own, which would take longer to make than to run."""
    return np.asarray(model(images, training=False))


def inputs(count):
    return to_input(draw_faces(count, seed=0)[0])


@pytest.fixture(scope="module")
def onnx():
    return pytest.importorskip("onnx", reason="the package onnx, which writes networks, is not installed")


@pytest.fixture(scope="module")
def stem(tmp_path_factory, onnx):
    stem = tmp_path_factory.mktemp("models") / "test-residual"
    shipped.save_network(shaken("residual"), ABOUT | {"temperature": 1.5}, stem)
    return stem


def computed_by_opencv(path, images):
    """Its probabilities, as `recognizer` computes them."""
    net = cv2.dnn.readNetFromONNX(str(path))
    net.enableWinograd(False)
    net.setInput(images.reshape(-1, 1, 48, 48))
    return net.forward()


def test_onnx_computes_what_keras_does(stem):
    images = inputs(100)
    expected = computed(shipped.load_network(stem.with_suffix(".npz")), images)
    assert expected.std(axis=0).max() > 0.01
    assert np.abs(computed_by_opencv(stem.with_suffix(".onnx"), images) - expected).max() <= 1e-4


def test_onnx_runtime_computes_it_too(stem):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    session = onnxruntime.InferenceSession(stem.with_suffix(".onnx"), providers=["CPUExecutionProvider"])
    images = inputs(100)
    expected = computed(shipped.load_network(stem.with_suffix(".npz")), images)
    [found] = session.run(None, {"image": images.reshape(-1, 1, 48, 48)})
    assert np.abs(found - expected).max() <= 1e-4


@pytest.mark.parametrize("normalization", BATCH_NORMALIZATIONS)
@pytest.mark.parametrize("poolings", range(7))
def test_every_layout_can_be_shipped(normalization, poolings, tmp_path, monkeypatch, onnx):
    """Keras from one file and OpenCV from the other: the same labels, and probabilities within 0.0001."""
    monkeypatch.setattr(network, "FILTERS", (3, 4, 5, 6, 7, 8))  # so that it takes no time
    kind = KINDS[(poolings + BATCH_NORMALIZATIONS.index(normalization)) % 2]
    settings = {"poolings": poolings, "batch_normalization": normalization, "first_kernels": (7, 3)}
    shipped.save_network(
        shaken(kind, classes=4, **settings),
        {"model": kind, "network": settings, "classes": list("abcd")},
        tmp_path / "x",
    )
    images = inputs(8)
    expected = computed(shipped.load_network(tmp_path / "x.npz"), images)
    found = computed_by_opencv(tmp_path / "x.onnx", images)
    assert np.abs(found - expected).max() <= 1e-4 and (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert expected.std(axis=0).max() > 0.01


@pytest.mark.parametrize(("poolings", "written"), [(5, 1), (6, 3)])
def test_what_meets_only_padding_is_left_out_and_nothing_else(tmp_path, onnx, poolings, written):
    shipped.save_network(shaken("residual", poolings=poolings), ABOUT, tmp_path / "x")
    with np.load(tmp_path / "x.npz") as file:
        assert file["block6_conv2/kernel"].shape[:2] == (written, written)


def test_rounding_to_float16_is_all_that_changes(stem):
    images = inputs(50)
    exact = calibrated(computed(shaken("residual"), images), 1.5)
    assert np.abs(computed(shipped.load_network(stem.with_suffix(".npz")), images) - exact).max() < 0.01


def test_the_files_are_small_and_the_same_each_time(stem, tmp_path):
    shipped.save_network(shaken("residual"), ABOUT | {"temperature": 1.5}, tmp_path / "again")
    for suffix, size in ((".npz", 20e6), (".onnx", 21e6)):
        data = stem.with_suffix(suffix).read_bytes()
        assert len(data) < size and data == (tmp_path / "again").with_suffix(suffix).read_bytes()


def test_the_better_recipes_network_takes_the_place_of_the_papers():
    assert shipped.file("fergit_best", "residual", ".npz") == shipped.file("fergit", "residual", ".npz")


def test_what_is_no_such_file_is_named(tmp_path):
    with pytest.raises(FergitError, match="no such file; models/ has"):
        shipped.load_network(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(FergitError, match=r"text\.npz: not a file that ship wrote"):
        shipped.load_network(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", about=np.array(json.dumps(ABOUT)))
    with pytest.raises(FergitError, match=r"other\.npz: not a file that ship wrote"):
        shipped.load_network(tmp_path / "other.npz")


def test_without_a_training_there_is_nothing_to_ship():
    with pytest.raises(
        FergitError, match=r"training\.json: no such file; `dvc repro train@synthetic-residual-987654` trains it"
    ):
        shipped.ship("synthetic", "residual", 987654)


def test_a_damaged_training_is_named(tmp_path, monkeypatch):
    for name in ("ROOT", "MODELS", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    model, weights = build_network("basic", poolings=3), paths.weights("d", "basic", 0)
    weights.parent.mkdir(parents=True)
    model.save_weights(weights)
    told = dict.fromkeys(trained.SUMMARY, 0) | {"classes": list("abcdefg"), "network": {"poolings": 3}}
    file = paths.results("d", "basic", 0) / "training.json"
    texts = [(json.dumps({"classes": []}), "has no 'dataset'"), ("<<<<<<< HEAD", "not the JSON")]
    texts += [(json.dumps(told | {"train": train}), "not what a training wrote") for train in (0, {}, [])]
    for text, said in texts:
        write_text(file, text)
        with pytest.raises(FergitError, match=rf"training\.json: {said}.*; `dvc repro train@d-basic-0` trains it"):
            shipped.ship("d", "basic", 0)
    write_json(file, told | {"train": {"device": "gpu"}})  # there need be none to load it
    model.weights[0].assign(model.weights[0] * np.nan)
    model.save_weights(weights)
    with pytest.raises(FergitError, match=r"seed-0\.weights\.h5: holds weights that are not numbers"):
        shipped.ship("d", "basic", 0)
    assert not paths.MODELS.joinpath("d-basic.npz").exists()


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A training of a small network, and what it predicts, three times too sure."""
    for name in ("ROOT", "MODELS", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    model = shaken("basic", poolings=3)
    weights = paths.weights("d", "basic", 0)
    weights.parent.mkdir(parents=True)
    model.save_weights(weights)
    told = dict.fromkeys(trained.SUMMARY, 0) | {"dataset": "d", "model": "basic", "classes": CLASSES}
    told |= {"train": {"device": "cpu"}, "network": {"poolings": 3}}
    write_json(paths.results("d", "basic", 0) / "training.json", told)
    rng = np.random.default_rng(0)
    calm = rng.dirichlet(np.ones(7), 3000)
    labels = (rng.random((3000, 1)) > calm.cumsum(axis=1)).sum(axis=1).clip(0, 6)
    sure = calm**3 / (calm**3).sum(axis=1, keepdims=True)
    names = [f"{number}" for number in range(3000)]
    tables = [
        predictions_table(CLASSES, [f"{split}{name}" for name in names], labels, {seed: values}, split)
        for seed, values in ((0, sure), (1, calm))
        for split in ("validation", "test")
    ]
    write_predictions(paths.results("d", "basic") / "predictions.csv", pd.concat(tables, ignore_index=True))
    return model


def test_a_finished_training_is_shipped(finished, onnx):
    shipped.ship("d", "basic", 0)
    assert shipped.file("d", "basic", ".onnx").exists()
    own = shipped.load_network(shipped.file("d", "basic", ".npz"))
    for before, after in zip(finished.layers[:-1], own.layers[:-1], strict=True):
        assert all(np.allclose(*pair, atol=2e-3) for pair in zip(before.weights, after.weights, strict=True))
    paths.weights("d", "basic", 0).write_bytes(b"no weights")
    with pytest.raises(FergitError, match="not weights of this basic network"):
        shipped.ship("d", "basic", 0)


def test_probabilities_are_shipped_calibrated(finished, onnx):
    shipped.ship("d", "basic", 0)
    file = shipped.file("d", "basic", ".npz")
    temperature = shipped.read_about(file)["temperature"]
    assert temperature == pytest.approx(3, rel=0.05)
    graph = onnx.load(shipped.file("d", "basic", ".onnx"))
    assert json.loads(graph.metadata_props[0].value)["temperature"] == temperature
    test = shipped.predictions_of("d", "basic", 0, "test")
    assert expected_error(test, 10) > 0.1 and expected_error(test, 10, temperature) < 0.02
    images = inputs(20)
    before, after = (computed(model, images) for model in (finished, shipped.load_network(file)))
    assert np.abs(after - calibrated(before, temperature)).max() < 0.01


@pytest.mark.parametrize("temperature", [0.3, 1.7, 9])
def test_a_temperature_changes_probabilities_and_no_label(tmp_path, onnx, temperature):
    """In Keras and OpenCV; a file without one is read with temperature 1."""
    network, images = shaken("basic", poolings=3), inputs(200)
    about = {"model": "basic", "network": {"poolings": 3}, "classes": CLASSES}
    shipped.save_network(network, about, tmp_path / "plain")
    shipped.save_network(network, about | {"temperature": temperature}, tmp_path / "soft")
    plain, soft = (computed(shipped.load_network(tmp_path / f"{name}.npz"), images) for name in ("plain", "soft"))
    assert np.abs(soft - calibrated(plain, temperature)).max() < 1e-4 < np.abs(soft - plain).max()
    found = [computed_by_opencv(tmp_path / f"{name}.onnx", images) for name in ("plain", "soft")]
    assert np.abs(found[1] - soft).max() <= 1e-4
    assert (found[0].argmax(axis=1) == found[1].argmax(axis=1)).all()
    assert (plain.argmax(axis=1) == soft.argmax(axis=1)).all()


def test_a_seed_without_predictions_is_named(finished):
    with pytest.raises(FergitError, match=r"d/basic/predictions\.csv: has no seed 2; `dvc repro`"):
        shipped.predictions_of("d", "basic", 2, "validation")


def test_the_shipped_files_agree():
    """The promise of models/README.md, on 1,000 images."""
    if not (shipped.WEIGHTS.exists() and shipped.ONNX.exists()):
        pytest.skip("models/fergit-residual.* are not here")
    images = inputs(1000)  # drawn; benchmarks/peers.py asks the same of a thousand test images of FERGIT
    expected = shipped.load_network().predict(images, verbose=0)
    assert np.abs(computed_by_opencv(shipped.ONNX, images) - expected).max() <= 1e-4


def test_committed_predictions_are_those_of_the_shipped_network():
    """On the real test images, where they are: the same labels, and probabilities but for rounding and temperature."""
    if not shipped.ONNX.exists():
        pytest.skip("models/fergit-residual.* are not here")
    about = shipped.read_about()
    if not paths.processed(about["dataset"]).exists():
        pytest.skip(f"{paths.processed(about['dataset'])} is not here")
    if not (paths.results(about["dataset"], about["model"]) / "predictions.csv").exists():
        pytest.skip("the results of the shipped network's data set are not here")
    faces = load_processed(about["dataset"], ("test",))
    committed = shipped.predictions_of(about["dataset"], about["model"], about["seed"], "test")
    assert np.array_equal(committed["sample_id"], faces.sample_id)
    softened = calibrated(unpack(committed)[1][0], about.get("temperature", 1))
    found = computed_by_opencv(shipped.ONNX, to_input(faces.images))
    assert np.abs(found - softened).max() < 0.05
    assert (found.argmax(axis=1) != softened.argmax(axis=1)).sum() <= 2


@pytest.mark.parametrize("name", ["fergit-residual", "fergit-residual.npz", "fergit-residual.onnx"])
@pytest.mark.parametrize("folder", ["", str(paths.MODELS)])
def test_a_network_is_found_by_its_name_and_by_either_file(folder, name):
    assert shipped.find(os.path.join(folder, name)) == shipped.ONNX
    assert shipped.find(os.path.join(folder, name), ".npz") == shipped.WEIGHTS
