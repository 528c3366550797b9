import json

import cv2
import numpy as np
import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_json, write_text
from fergit.data.synthetic import draw_faces
from fergit.engine import training
from fergit.engine.augmentation import to_input
from fergit.engine.network import build_network
from fergit.use import shipped

ABOUT = {"model": "residual", "network": {}, "classes": list("abcdefg")}


def shaken(kind, **settings):
    """A network whose every weight matters: biases and normalizations are not the fresh ones."""
    network, rng = build_network(kind, **settings), np.random.default_rng(0)
    for variable in network.weights:
        if variable.name != "kernel":
            variable.assign(variable + rng.uniform(0, 0.5, variable.shape))
    return network


@pytest.fixture(scope="module")
def onnx():
    return pytest.importorskip("onnx", reason="the package onnx, which writes networks, is not installed")


@pytest.fixture(scope="module")
def stem(tmp_path_factory, onnx):
    stem = tmp_path_factory.mktemp("models") / "test-residual"
    shipped.save_network(shaken("residual"), ABOUT, stem)
    return stem


def computed_by_opencv(path, images):
    """Its probabilities, as `fergit.use.recognizer` computes them."""
    net = cv2.dnn.readNetFromONNX(str(path))
    net.enableWinograd(False)
    net.setInput(images.reshape(-1, 1, 48, 48))
    return net.forward()


def inputs(count):
    return to_input(draw_faces(count, seed=0)[0])


def test_onnx_computes_what_keras_does(stem):
    images = inputs(100)
    expected = shipped.load_network(stem.with_suffix(".npz")).predict(images, verbose=0)
    assert expected.std(axis=0).max() > 1e-3
    assert np.abs(computed_by_opencv(stem.with_suffix(".onnx"), images) - expected).max() <= 1e-5


def test_onnx_runtime_computes_it_too(stem):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    session = onnxruntime.InferenceSession(stem.with_suffix(".onnx"), providers=["CPUExecutionProvider"])
    images = inputs(100)
    expected = shipped.load_network(stem.with_suffix(".npz")).predict(images, verbose=0)
    [found] = session.run(None, {"image": images.reshape(-1, 1, 48, 48)})
    assert np.abs(found - expected).max() <= 1e-5


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("basic", {"poolings": 2}), ("residual", {"batch_normalization": "per_conv", "first_kernels": (7, 3)})],
)
def test_other_networks_can_be_written_too(kind, settings, tmp_path, onnx):
    network = shaken(kind, classes=4, **settings)
    about = {"model": kind, "network": settings, "classes": list("abcd")}
    shipped.save_network(network, about, tmp_path / "x")
    images = inputs(3)
    expected = shipped.load_network(tmp_path / "x.npz").predict(images, verbose=0)
    assert np.abs(computed_by_opencv(tmp_path / "x.onnx", images) - expected).max() <= 1e-5


def test_rounding_to_float16_is_all_that_changes(stem):
    images = inputs(50)
    exact = shaken("residual").predict(images, verbose=0)
    assert np.abs(shipped.load_network(stem.with_suffix(".npz")).predict(images, verbose=0) - exact).max() < 0.01


def test_the_files_are_small_and_the_same_each_time(stem, tmp_path):
    shipped.save_network(shaken("residual"), ABOUT, tmp_path / "again")
    for suffix, size in ((".npz", 6e6), (".onnx", 11e6)):
        data = stem.with_suffix(suffix).read_bytes()
        assert len(data) < size and data == (tmp_path / "again").with_suffix(suffix).read_bytes()


def test_what_is_no_such_file_is_named(tmp_path):
    with pytest.raises(FergitError, match="no such file; `python src/run.py ship"):
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
    network, weights = build_network("basic", poolings=3), paths.weights("d", "basic", 0)
    weights.parent.mkdir(parents=True)
    network.save_weights(weights)
    told = dict.fromkeys(training.SUMMARY, 0) | {"classes": list("abcdefg"), "network": {"poolings": 3}}
    file = paths.results("d", "basic", 0) / "training.json"
    texts = [(json.dumps({"classes": []}), "has no 'dataset'"), ("<<<<<<< HEAD", "not the JSON")]
    texts += [(json.dumps(told | {"train": train}), "not what a training wrote") for train in (0, {}, [])]
    for text, said in texts:
        write_text(file, text)
        with pytest.raises(FergitError, match=rf"training\.json: {said}.*; `dvc repro train@d-basic-0` trains it"):
            shipped.ship("d", "basic", 0)
    write_json(file, told | {"train": {"device": "gpu"}})  # there need be none to load it
    network.weights[0].assign(network.weights[0] * np.nan)
    network.save_weights(weights)
    with pytest.raises(FergitError, match=r"seed-0\.weights\.h5: holds weights that are not numbers"):
        shipped.ship("d", "basic", 0)
    assert not paths.MODELS.joinpath("d-basic.npz").exists()


def test_a_finished_training_is_shipped(tmp_path, monkeypatch, onnx):
    for name in ("ROOT", "MODELS", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    network = shaken("basic", poolings=3)
    summary = dict.fromkeys(training.SUMMARY, 0) | {"model": "basic", "classes": list("abcdefg")}
    summary |= {"train": {"device": "cpu"}}
    weights = paths.weights("d", "basic", 0)
    weights.parent.mkdir(parents=True)
    network.save_weights(weights)
    write_json(paths.results("d", "basic", 0) / "training.json", summary | {"network": {"poolings": 3}})
    shipped.ship("d", "basic", 0)
    assert (paths.MODELS / "d-basic.onnx").exists()
    for own, loaded in zip(network.weights, shipped.load_network(paths.MODELS / "d-basic.npz").weights, strict=True):
        assert np.allclose(own, loaded, atol=1e-3)
    weights.write_bytes(b"no weights")
    with pytest.raises(FergitError, match="not weights of this basic network"):
        shipped.ship("d", "basic", 0)


def test_the_shipped_files_agree():
    """The promise of models/README.md, on 1,000 images."""
    if not (shipped.WEIGHTS.exists() and shipped.ONNX.exists()):
        pytest.skip("models/fergit-residual.* are not here")
    images = inputs(1000)  # drawn; benchmarks/peers.py asks the same of a thousand test images of FERGIT
    expected = shipped.load_network().predict(images, verbose=0)
    assert np.abs(computed_by_opencv(shipped.ONNX, images) - expected).max() <= 1e-5
