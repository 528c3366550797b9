"""The notebook of one's own photographs runs anywhere, and says what it saw."""

import json

import cv2
import nbformat
import papermill
import pytest
from portraits import portrait

from fergit.core import paths
from fergit.runner.execute import ENVIRONMENT
from fergit.use.recognizer import NETWORK


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The shipped network, or where it is missing a fresh one, which needs the package onnx."""
    if NETWORK.exists():
        return NETWORK
    pytest.importorskip("onnx", reason="models/fergit-residual.onnx is not here, nor onnx to write a stand-in")
    from fergit.engine.network import build_network
    from fergit.use.shipped import save_network

    stem = tmp_path_factory.mktemp("models") / "fresh"
    save_network(build_network("residual"), {"model": "residual", "network": {}, "classes": list("abcdefg")}, stem)
    return stem.with_suffix(".onnx")


def run(tmp_path, monkeypatch, **parameters):
    """Everything that the executed notebook says."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    executed = tmp_path / "executed.ipynb"
    parameters = {name: value if value is None else str(value) for name, value in parameters.items()}
    papermill.execute_notebook(
        paths.NOTEBOOKS / "07-own-photos.ipynb", executed, parameters, kernel_name="python3", progress_bar=False
    )
    outputs = [one for cell in nbformat.read(executed, 4).cells for one in cell.get("outputs", [])]
    assert not [one for one in outputs if one.get("name") == "stderr"]
    return "".join(one.get("text", "") or str(one.get("data", "")) for one in outputs)


def test_with_drawn_people(network, tmp_path, monkeypatch):
    said = run(tmp_path, monkeypatch, network=network)
    assert "24 pictures" in said and "median probability" in said and "correct" in said


def test_with_a_folder(network, tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "two.png"), portrait(people=2)[0])
    cv2.imwrite(str(folder / "wall.png"), portrait()[0] * 0)
    (folder / "broken.jpg").write_text("hello")
    (folder / "notes.txt").write_text("hello")
    about = json.dumps({"classes": [f"sort {letter}" for letter in "abcdefg"]}).encode()  # names of one's own
    pair = b"\n\x05about\x12" + bytes([len(about)]) + about
    own = tmp_path / "own.onnx"
    own.write_bytes(network.read_bytes() + b"\x72" + bytes([len(pair)]) + pair)
    said = run(tmp_path, monkeypatch, network=own, folder=folder)
    assert "sort g" in said and "surprise" not in said
    assert "2 pictures" in said and "with a face           1" in said and "broken.jpg: not a photo" in said
    assert "not read: {'.txt': 1}" in said


def test_without_any_face(network, tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "wall.png"), portrait()[0] * 0)
    assert "with a face  0" in run(tmp_path, monkeypatch, network=network, folder=tmp_path)
