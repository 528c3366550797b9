"""The tables of pages are what was measured; and peers.py measures fairly."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import EXPRESSIONS, make_faces
from fergit.pages import present
from fergit.use import shipped

sys.path.insert(0, str(paths.ROOT / "benchmarks"))

import measure
import peers

PEERS = measure.numbers("peers")


@pytest.mark.parametrize("name", measure.BENCHMARKS)
def test_pages_have_what_was_measured(name):
    """If this fails: `PYTHONPATH=src python benchmarks/measure.py NAME --table`."""
    assert measure.page(name) == measure.BENCHMARKS[name][1].read_text(encoding="utf-8")


def test_the_speed_is_that_of_several_epochs():
    results = measure.numbers("bench")
    assert {"ours", "keras-plain"} <= results["contenders"].keys() and results["repeats"] >= 5
    assert all(len(one["seconds"]) == results["repeats"] for one in results["contenders"].values())


def test_what_was_measured_belongs_to_the_shipped_network():
    about = shipped.read_about()
    ours = {name: about[name] for name in shipped.RUN}
    assert measure.numbers("photographs")["crops"]["network"] == PEERS["network"] == ours
    best = max(measure.numbers("choice"), key=lambda row: row["mean of the four"])
    assert best["network"] == f"{present.title(about['dataset'])}, seed {about['seed']}"


def test_the_measured_peers_are_whole():
    assert {"ours-keras", "ours-onnx", "ours-opencv"} <= set(PEERS["recognizers"])
    assert len([name for name in PEERS["recognizers"] if not name.startswith("ours")]) >= 2
    assert PEERS["agreement"]["images"] == 1000
    assert all(apart <= 1e-5 for apart in PEERS["agreement"]["at_most"].values())


@pytest.fixture
def faces():
    """Ten images: as FERGIT deals them, and as FER2013 does."""
    images = np.random.default_rng(0).integers(0, 256, (10, 48, 48), dtype=np.uint8)
    ours = ["train", "test", "test", "validation", "test", "test", "test", "train", "validation", "test"]
    official = ["train", "train", "validation", "validation", "test", "test", "test", "test", "train", "test"]
    images[5], images[6] = images[0], images[8][:, ::-1]  # in our training; in FER2013's alone, mirrored
    faces = make_faces(images, [0] * 10, EXPRESSIONS, "fer2013", [f"fer2013/{n}" for n in range(10)], split=ours)
    return faces, faces.with_split(official)


def test_only_images_that_we_never_trained_on_are_tried(faces):
    tried, groups, held = peers.choose(*faces)
    assert tried.sample_id.tolist() == ["fer2013/2", "fer2013/4", "fer2013/5", "fer2013/6", "fer2013/9"]
    assert held.sample_id.tolist() == ["fer2013/3"]
    private, alone, both = (groups[name].tolist() for name in peers.GROUPS)
    assert private == [False, True, True, True, True]
    assert alone == [False, True, False, False, True]
    assert both == [True] * 5


def test_folders_that_do_not_tell_the_official_parts_are_refused(faces):
    with pytest.raises(FergitError, match="has no official parts of FER2013; put fer2013.csv into"):
        peers.choose(faces[0], faces[0].with_split([""] * 10))


def test_crops_have_their_margin():
    images = np.arange(2 * 48 * 48, dtype=np.uint32).astype(np.uint8).reshape(2, 48, 48)
    assert np.array_equal(peers.cut(images, 0), images)
    assert np.array_equal(peers.cut(images, -4), images[:, 4:44, 4:44])
    wide = peers.cut(images, 4)
    assert wide.shape == (2, 56, 56) and np.array_equal(wide[:, 4:52, 4:52], images)
    assert (wide[0, 0] == wide[0, 4]).all()


def test_each_call_takes_a_batch_and_is_timed(monkeypatch):
    """By a recognizer that names the class of an image's mean gray."""
    calls = []

    def predict(crops):
        calls.append(len(crops))
        return np.eye(7, dtype=np.float32)[(crops.mean(axis=(1, 2)) // 40).astype(int)]

    monkeypatch.setattr(peers, "network", predict, raising=False)
    crops = np.repeat(np.arange(100, dtype=np.uint8), 36).reshape(100, 6, 6)
    probabilities, seconds = peers.recognize(crops)
    assert calls == [64, 36] and len(seconds) == 2
    assert np.array_equal(probabilities.argmax(axis=1), np.arange(100) // 40)


@pytest.mark.parametrize("name", [name for name in peers.RECOGNIZERS if not name.startswith("ours")])
def test_what_is_not_installed_is_left_out_with_its_reason(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(peers, "PEERS", tmp_path)
    with pytest.raises(FergitError, match="is not installed") as refused:
        peers.load(name)
    assert str(tmp_path) not in str(refused.value)


@pytest.fixture
def here(monkeypatch):
    """Recognizers in threads of this process, which name the first class; one is not installed."""

    def load(name):
        if name == "fer-tflite":
            raise FergitError("the package fer is not installed")
        return {"bytes": 4_900_000, "parameters": 1234567, "versions": {"some-package": "1.0"}}

    def recognize(crops, batch=64):
        return np.eye(7, dtype=np.float32)[[0] * len(crops)], [0.0025 * batch] * (len(crops) // batch)

    monkeypatch.setattr(measure, "ProcessPoolExecutor", lambda number, context: ThreadPoolExecutor(number))
    monkeypatch.setattr(peers, "load", load)
    monkeypatch.setattr(peers, "recognize", recognize)


def test_what_is_measured_is_in_the_table(faces, here, tmp_path, monkeypatch):
    results = peers.compare(*faces, 1, 3)
    assert results["left_out"] == {"fer-tflite": "the package fer is not installed"}
    assert results["calls"] == {"1": 3, "64": 1} and results["agreement"] == {
        "images": 6,
        "at_most": {"ours-onnx": 0, "ours-opencv": 0},
    }
    assert results["recognizers"]["human"]["ours_less_it"][peers.GROUPS[2]] == {"difference": 0, "low": 0, "high": 0}
    monkeypatch.setattr(measure, "numbers", lambda name: json.loads(json.dumps(results)))
    text = measure.page("peers")
    for part in (
        "| ours | Keras, TensorFlow | 4.9 MB | 1,234,567 | 2.50 | 2.50 | 48 | 100.0 % (51.0–100.0) | 100.0 %",
        "| @vladmandic/face-api | TensorFlow.js, WebAssembly | 4.9 MB |",
        "| 0.0 (0.0 to 0.0) |",
        "ONNX Runtime 0, OpenCV's dnn 0",
        "some-package 1.0.",
        "Left out: fer-tflite (the package fer is not installed).",
    ):
        assert part in text


def test_without_the_shipped_network_nothing_is_measured(faces, here, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path / "no.npz")
    monkeypatch.setattr(peers, "load", lambda name: shipped.read_about(shipped.WEIGHTS))
    with pytest.raises(FergitError, match="no.npz: no such file; models/ has "):
        peers.compare(*faces, 1, 1)


def test_tensorflow_computes_on_the_cpu_whatever_the_machine_has(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: None)
    for name in ("load_processed", "compare"):
        monkeypatch.setattr(peers, name, lambda *given: given)
    monkeypatch.setattr(peers.datasets, "load", lambda name: name)
    assert peers.measure(True) == (("fergit",), "fergit", 1, 10)
    assert (os.environ["KERAS_BACKEND"], os.environ["CUDA_VISIBLE_DEVICES"]) == ("tensorflow", "-1")


@pytest.mark.parametrize("arguments", [["--trial"], []])
def test_a_trial_writes_nothing(arguments, tmp_path, monkeypatch, capsys):
    """Else what is measured is written as JSON and into the page; a page without marks is refused."""
    rows, page = measure.numbers("choice"), tmp_path / "README.md"
    page.write_text("<!-- choice:begin -->\n<!-- choice:end -->\n")
    monkeypatch.setitem(measure.BENCHMARKS, "choice", (tmp_path / "choice.json", page))
    monkeypatch.setitem(sys.modules, "choice", SimpleNamespace(measure=lambda trial: rows))
    monkeypatch.setattr(sys, "argv", ["measure.py", "choice", *arguments])
    measure.main()
    assert (tmp_path / "choice.json").exists() == ("| network |" in page.read_text()) == (not arguments)
    if not arguments:
        page.write_text("# No marks\n")
        with pytest.raises(SystemExit, match="README.md: needs one line <!-- choice:begin -->"):
            measure.main()
