"""The table of peers in models/README.md is what benchmarks/peers.py measured; and it measures fairly."""

import json
import shutil
import sys

import numpy as np
import pytest

from fergit.analysis import intervals
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.data import fer2013
from fergit.use import shipped

sys.path.insert(0, str(paths.ROOT / "benchmarks"))

import peers
import recognizers


def test_models_readme_has_the_measured_table():
    """If this fails: `PYTHONPATH=src python benchmarks/peers.py --table`."""
    assert peers.readme() == peers.README.read_text(encoding="utf-8")


def test_the_measured_numbers_belong_to_the_shipped_network():
    results = peers.read()
    if not results:
        pytest.skip("benchmarks/peers.json is not here; it comes with the FERGIT results")
    about = shipped.read_about()
    assert results["network"] == {name: about[name] for name in ("dataset", "model", "seed", "best_epoch")}
    assert {"ours-keras", "ours-onnx", "ours-opencv"} <= set(results["recognizers"])
    assert len({peers.RECOGNIZERS[name].title for name in results["recognizers"]} - {peers.OURS}) >= 2
    assert results["agreement"]["images"] == 1000
    assert all(apart <= 1e-5 for apart in results["agreement"]["at_most"].values())


@pytest.mark.parametrize(
    ("sample_id", "part"),
    [
        ("fer2013/00000", "Training"),
        ("fer2013/28708", "Training"),
        ("fer2013/28709", "PublicTest"),
        ("fer2013/32297", "PublicTest"),
        ("fer2013/32298", "PrivateTest"),
        ("fer2013/35886", "PrivateTest"),
        ("fer2013/35887", ""),
        ("fer2013/PrivateTest/angry/PrivateTest_1.jpg", "PrivateTest"),
        ("fer2013/Test/angry/im1.jpg", ""),
        ("muxspace/a.jpg", ""),
    ],
)
def test_official_parts_are_known_by_name(sample_id, part):
    assert peers.official_part(sample_id) == part


def test_official_parts_are_those_of_the_file(real_file):
    faces = fer2013.read(real_file("fer2013"))
    part = [fer2013.SPLITS.get(peers.official_part(name), "") for name in faces.sample_id]
    assert np.array_equal(part, faces.split)


@pytest.fixture
def faces():
    """Nine images, of all official parts and all of ours."""
    images = np.random.default_rng(0).integers(0, 256, (9, 48, 48), dtype=np.uint8)
    rows = [0, 1, 28709, 28710, 32298, 32299, 32300, 32301, 5]
    split = ["train", "test", "test", "validation", "test", "test", "test", "train", "validation"]
    images[5], images[6] = images[0], images[8][:, ::-1]  # in our training; in FER2013's alone, mirrored
    ids = [f"fer2013/{row:05d}" for row in rows]
    return make_faces(images, [0] * 9, fer2013.CLASSES, "fer2013", ids, split=split)


def test_only_images_that_we_never_trained_on_are_tried(faces):
    tried, groups, held = peers.choose(faces)
    assert tried.sample_id.tolist() == ["fer2013/28709", "fer2013/32298", "fer2013/32299", "fer2013/32300"]
    assert held.sample_id.tolist() == ["fer2013/28710"]
    assert {name: rows.tolist() for name, rows in groups.items()} == {
        peers.PRIVATE: [False, True, True, True],
        peers.ALONE: [False, True, False, False],
        peers.BOTH: [True] * 4,
    }


def test_folders_that_do_not_name_the_official_parts_are_refused(faces):
    ids = [f"fer2013/{'Training' if part == 'train' else 'Test'}/angry/{n}.jpg" for n, part in enumerate(faces.split)]
    unknown = make_faces(faces.images, faces.labels, faces.classes, "fer2013", ids, split=faces.split)
    with pytest.raises(FergitError, match="fergit.npz does not say which images are of PublicTest and PrivateTest"):
        peers.choose(unknown)


def test_crops_have_their_margin():
    images = np.arange(2 * 48 * 48, dtype=np.uint32).astype(np.uint8).reshape(2, 48, 48)
    assert np.array_equal(peers.crops(images, 0), images)
    assert np.array_equal(peers.crops(images, -4), images[:, 4:44, 4:44])
    wide = peers.crops(images, 4)
    assert wide.shape == (2, 56, 56) and np.array_equal(wide[:, 4:52, 4:52], images)
    assert (wide[0, 0] == wide[0, 4]).all()


def test_orders_are_carried_out(tmp_path):
    """By a recognizer that names the class of an image's mean gray."""
    calls = []

    def predict(crops):
        calls.append(len(crops))
        return np.eye(7, dtype=np.float32)[(crops.mean(axis=(1, 2)) // 40).astype(int)]

    one = recognizers.Loaded(predict, tmp_path, 0, {})
    crops = np.repeat(np.arange(100, dtype=np.uint8), 36).reshape(100, 6, 6)
    crops.tofile(tmp_path / "in")
    order = {"file": tmp_path / "in", "side": 6}
    said = recognizers.answer(one, order | {"do": "predict", "out": tmp_path / "out"})
    found = np.fromfile(tmp_path / "out", np.float32).reshape(100, 7)
    assert said == {"images": 100} and calls == [64, 36]
    assert np.array_equal(found.argmax(axis=1), np.arange(100) // 40)
    assert len(recognizers.answer(one, order | {"do": "time", "batch": 64, "calls": 3})["seconds"]) == 3
    assert calls[2:] == [64] * 4


@pytest.mark.parametrize("name", ["fer-keras", "fer-tflite", "what-the-face", "face-api", "human"])
def test_what_is_not_installed_is_left_out_with_its_reason(name, tmp_path):
    if peers.RECOGNIZERS[name].script.endswith(".mjs") and not shutil.which("node"):
        pytest.skip("Node is not installed")
    worker = peers.Worker(name, tmp_path)
    worker.end()
    assert set(worker.about) == {"missing"} and str(tmp_path) not in worker.about["missing"]
    assert "not installed" in worker.about["missing"]


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Have workers run some lines in place of recognizers.py."""

    def write(lines):
        (tmp_path / "recognizers.py").write_text(lines)
        monkeypatch.setattr(peers, "HERE", tmp_path)

    return write


OWN_FILES = """\
import pathlib, sys
sys.path.insert(0, {benchmarks!r})
import recognizers
recognizers.{file} = pathlib.Path({path!r})
recognizers.main()
"""


@pytest.mark.parametrize(
    ("name", "file", "held", "said"),
    [
        ("ours-keras", "shipped.WEIGHTS", None, "no such file; `python src/run.py ship fergit residual 0` writes it"),
        ("ours-opencv", "NETWORK", None, "no such file; `python src/run.py ship fergit residual 0` writes it"),
        ("ours-opencv", "NETWORK", b"no network", "not a network"),
    ],
)
def test_our_own_is_left_out_where_its_file_is_missing_or_damaged(name, file, held, said, tmp_path, script):
    path = tmp_path / "file"
    if held:
        path.write_bytes(held)
    script(OWN_FILES.format(benchmarks=str(paths.ROOT / "benchmarks"), file=file, path=str(path)))
    worker = peers.Worker(name, tmp_path)
    worker.end()
    assert set(worker.about) == {"missing"} and said in worker.about["missing"]


def test_without_one_of_our_own_nothing_is_measured(faces, script, tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "RECOGNIZERS", {name: one for name, one in peers.RECOGNIZERS.items() if one.is_ours})
    script('print("{\\"missing\\": \\"it is not there\\"}")')
    with pytest.raises(FergitError, match="none of our own can be loaded: it is not there"):
        peers.measure(faces, tmp_path, 1, 1)


def test_workers_compute_by_tensorflow_on_the_cpu_whatever_the_machine_has(script, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    script("import json, os; print(json.dumps(dict(os.environ)))")
    worker = peers.Worker("ours-keras", tmp_path)
    worker.end()
    assert (worker.about["KERAS_BACKEND"], worker.about["CUDA_VISIBLE_DEVICES"]) == ("tensorflow", "-1")


def test_every_recognizer_has_its_code():
    script = (paths.ROOT / "benchmarks" / "recognizers.mjs").read_text(encoding="utf-8")
    for name, one in peers.RECOGNIZERS.items():
        if one.script.endswith(".py"):
            assert name in recognizers.LOADERS
        else:
            assert f'"{name}": ' in script or f" {name} " in script
    order = json.dumps(list(recognizers.CLASSES))
    assert f"CLASSES = {order}" in script


@pytest.fixture
def results():
    accuracy = {group: {"value": 0.6, "low": 0.5, "high": 0.7} for group in peers.GROUPS}
    entry = {
        "bytes": 4_900_000,
        "parameters": 1234567,
        "versions": {"some-package": "1.0"},
        "margin": 0,
        "accuracy": accuracy,
        "milliseconds_a_face": {str(batch): {"low": 1, "median": 2.5, "high": 3} for batch in peers.BATCHES},
    }
    less = {group: {"difference": -0.05, "low": -0.1, "high": 0.0} for group in peers.GROUPS}
    measured = {
        "recognizers": {"ours-keras": entry, "face-api": entry | {"margin": -2, "ours_less_it": less}},
        "images": dict.fromkeys(peers.GROUPS, 172),
        "images_of_the_margin": 300,
        "confidence_level": 0.95,
        "left_out": {"human": "Node is not installed"},
        "agreement": {"images": 1000, "at_most": {"ours-onnx": 2e-6}},
        "machine": {"cpus": 2, "device": "A processor"},
    }
    return intervals.rounded(measured)


def test_the_table_says_what_the_file_says(results):
    text = peers.table(results)
    for part in (
        "| ours | Keras, TensorFlow | 4.9 MB | 1,234,567 | 2.50 | 2.50 | 60.0 % (50.0–70.0) |",
        "| −5.0 (−10.0 to 0.0) |",
        "@vladmandic/face-api −2)",
        "Left out: human (Node is not installed).",
        "ONNX Runtime by at most 0.000002",
        "2 cores of A processor; some-package 1.0.",
    ):
        assert part in text


def test_the_table_is_written_anew_without_measuring(results, tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "README", tmp_path / "README.md")
    monkeypatch.setattr(peers, "RESULTS", tmp_path / "peers.json")
    monkeypatch.setattr(peers, "load_processed", None)
    monkeypatch.setattr(sys, "argv", ["peers.py", "--table"])
    peers.RESULTS.write_text(json.dumps(results))
    peers.README.write_text(f"# A card\n\n{peers.BEGIN}\nold\n{peers.END}\n\nThe rest.\n")
    peers.main()
    assert peers.README.read_text() == f"# A card\n\n{peers.BEGIN}\n{peers.table(results)}\n{peers.END}\n\nThe rest.\n"
    peers.README.write_text("# A card\n")
    with pytest.raises(SystemExit, match="error: README.md: needs one line <!-- peers:begin -->"):
        peers.main()
