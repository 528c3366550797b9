"""The tables in docs/speed.md and models/README.md are what was measured; and peers.py measures fairly."""

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import EXPRESSIONS, make_faces
from fergit.pages import present
from fergit.pages.templates import with_block
from fergit.use import shipped

sys.path.insert(0, str(paths.ROOT / "benchmarks"))

import bench
import choice
import films
import peers
import photographs
import recognizers

PEERS = json.loads(peers.RESULTS.read_text(encoding="utf-8")) if peers.RESULTS.exists() else None
needs_peers = pytest.mark.skipif(not PEERS, reason="benchmarks/peers.json is not here; FERGIT's results bring it")


def test_docs_have_the_measured_speed():
    results = json.loads(bench.RESULTS.read_text(encoding="utf-8"))
    assert bench.page_with(results) == bench.PAGE.read_text(encoding="utf-8")
    ours = results["contenders"]["ours"]
    assert ours["ours_is_times_as_fast"] == 1 and len(ours["seconds"]) == results["repeats"] >= 5


@pytest.mark.parametrize("module", [films, photographs])
def test_the_readme_has_what_was_measured_of_faces(module):
    table = module.table(json.loads(module.RESULTS.read_text(encoding="utf-8")))
    text = module.README.read_text(encoding="utf-8")
    assert with_block(module.README, module.BEGIN, module.END, table) == text


def test_the_card_has_the_measured_peers():
    """If this fails: `PYTHONPATH=src python benchmarks/peers.py --table`."""
    assert peers.readme() == peers.README.read_text(encoding="utf-8")


def test_what_was_measured_belongs_to_the_shipped_network():
    about = shipped.read_about()
    ours = {name: about[name] for name in shipped.RUN}
    assert json.loads(photographs.RESULTS.read_text(encoding="utf-8"))["crops"]["network"] == ours
    assert not PEERS or PEERS["network"] == ours
    best = max(json.loads(choice.RESULTS.read_text(encoding="utf-8")), key=lambda row: row["mean of the four"])
    assert best["network"] == f"{present.title(about['dataset'])}, seed {about['seed']}"


@needs_peers
def test_the_measured_peers_are_whole():
    assert {"ours-keras", "ours-onnx", "ours-opencv"} <= set(PEERS["recognizers"])
    assert len({peers.RECOGNIZERS[name][0] for name in PEERS["recognizers"]} - {"ours"}) >= 2
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
    assert {name: rows.tolist() for name, rows in groups.items()} == {
        peers.PRIVATE: [False, True, True, True, True],
        peers.ALONE: [False, True, False, False, True],
        peers.BOTH: [True] * 5,
    }


def test_folders_that_do_not_tell_the_official_parts_are_refused(faces):
    with pytest.raises(FergitError, match="does not tell PublicTest from PrivateTest; put fer2013.csv into"):
        peers.choose(faces[0], faces[0].with_split([""] * 10))


def test_crops_have_their_margin():
    images = np.arange(2 * 48 * 48, dtype=np.uint32).astype(np.uint8).reshape(2, 48, 48)
    assert np.array_equal(peers.crops(images, 0), images)
    assert np.array_equal(peers.crops(images, -4), images[:, 4:44, 4:44])
    wide = peers.crops(images, 4)
    assert wide.shape == (2, 56, 56) and np.array_equal(wide[:, 4:52, 4:52], images)
    assert (wide[0, 0] == wide[0, 4]).all()


def test_each_call_takes_a_batch_and_is_timed(monkeypatch):
    """By a recognizer that names the class of an image's mean gray."""
    calls = []

    def predict(crops):
        calls.append(len(crops))
        return np.eye(7, dtype=np.float32)[(crops.mean(axis=(1, 2)) // 40).astype(int)]

    monkeypatch.setattr(recognizers, "network", predict, raising=False)
    crops = np.repeat(np.arange(100, dtype=np.uint8), 36).reshape(100, 6, 6)
    probabilities, seconds = recognizers.recognize(crops)
    assert calls == [64, 36] and len(seconds) == 2
    assert np.array_equal(probabilities.argmax(axis=1), np.arange(100) // 40)


@pytest.mark.parametrize("name", [name for name in peers.RECOGNIZERS if not name.startswith("ours")])
def test_what_is_not_installed_is_left_out_with_its_reason(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    if name not in recognizers.LOADERS and not shutil.which("node"):
        pytest.skip("Node is not installed")
    with pytest.raises(FergitError, match="not installed") as refused:
        recognizers.load(name, tmp_path)
    assert str(tmp_path) not in str(refused.value)


@pytest.fixture
def here(monkeypatch):
    """Recognizers in threads of this process, which name the first class; one is not installed."""

    def load(name, folder):
        if name == "fer-tflite":
            raise FergitError("the package fer is not installed")
        return {"bytes": 4_900_000, "parameters": 1234567, "versions": {"some-package": "1.0"}}

    def recognize(crops, batch=64):
        return np.eye(7, dtype=np.float32)[[0] * len(crops)], [0.0025 * batch] * (len(crops) // batch)

    monkeypatch.setattr(peers, "ProcessPoolExecutor", lambda number, context: ThreadPoolExecutor(number))
    monkeypatch.setattr(recognizers, "load", load)
    monkeypatch.setattr(recognizers, "recognize", recognize)


def test_what_is_measured_is_in_the_table(faces, here, tmp_path):
    results = peers.measure(*faces, tmp_path, 1, 3)
    assert results["left_out"] == {"fer-tflite": "the package fer is not installed"}
    assert results["calls"] == {"1": 3, "64": 1} and results["agreement"] == {
        "images": 6,
        "at_most": {"ours-onnx": 0, "ours-opencv": 0},
    }
    assert results["recognizers"]["human"]["ours_less_it"][peers.BOTH] == {"difference": 0, "low": 0, "high": 0}
    text = peers.table(json.loads(json.dumps(results)))
    for part in (
        "| ours | Keras, TensorFlow | 4.9 MB | 1,234,567 | 2.50 | 2.50 | 48 | 100.0 % (51.0–100.0) | 100.0 %",
        "| @vladmandic/face-api | TensorFlow.js, WebAssembly | 4.9 MB |",
        "| 0.0 (0.0 to 0.0) |",
        "ONNX Runtime 0.000000, OpenCV's dnn 0.000000",
        "some-package 1.0.",
        "Left out: fer-tflite (the package fer is not installed).",
    ):
        assert part in text


def test_without_the_shipped_network_nothing_is_measured(faces, here, tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "RECOGNIZERS", {"ours-keras": ("ours", "Keras, TensorFlow")})
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path / "no.npz")
    monkeypatch.setattr(recognizers, "load", lambda name, folder: shipped.read_about(shipped.WEIGHTS))
    with pytest.raises(FergitError, match="no.npz: no such file; models/ has "):
        peers.measure(*faces, tmp_path, 1, 1)


def test_tensorflow_computes_on_the_cpu_whatever_the_machine_has(tmp_path, monkeypatch):
    """And a table without its markers is refused."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: None)
    monkeypatch.setattr(peers, "README", tmp_path / "README.md")
    monkeypatch.setattr(sys, "argv", ["peers.py", "--table"])
    peers.README.write_text("# A card\n")
    with pytest.raises(SystemExit, match="error: README.md: needs one line <!-- peers:begin -->"):
        peers.main()
    assert (os.environ["KERAS_BACKEND"], os.environ["CUDA_VISIBLE_DEVICES"]) == ("tensorflow", "-1")
