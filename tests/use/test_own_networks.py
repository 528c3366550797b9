"""A network of one's own, with three classes: shipped, and used by predict.py and by the app."""

import csv
import json

import cv2
import numpy as np
import pytest
from portraits import portrait

import predict
import run
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_json
from fergit.core.predictions import predictions_table, write_predictions
from fergit.engine import trained
from fergit.engine.network import build_network
from fergit.use import explaining, shipped
from fergit.use.recognizer import ExpressionRecognizer

CLASSES = ("=wütend", "calm and friendly", "x")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder of a project in which ``run.py ship smiles basic 4`` was typed."""
    pytest.importorskip("onnx", reason="the package onnx, which writes networks, is not installed")
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        use(root, patch)
        network = build_network("basic", len(CLASSES), poolings=3, seed=1)
        weights = paths.weights("smiles", "basic", 4)
        weights.parent.mkdir(parents=True)
        network.save_weights(weights)
        about = dict.fromkeys(trained.SUMMARY, 0) | {"dataset": "smiles", "model": "basic", "seed": 4}
        about |= {"classes": CLASSES, "train": {"device": "cpu"}, "network": {"poolings": 3}, "trained": True}
        write_json(paths.results("smiles", "basic", 4) / "training.json", about)
        values = np.random.default_rng(0).dirichlet(np.ones(3), 60)
        names = [str(number) for number in range(60)]
        table = predictions_table(CLASSES, names, np.arange(60) % 3, {4: values}, "validation")
        write_predictions(paths.results("smiles", "basic") / "predictions.csv", table)
        run.ship("smiles", "basic", 4)
    return root


@pytest.fixture
def root(own, monkeypatch):
    use(own, monkeypatch)
    cv2.imwrite(str(own / "two.png"), portrait(2)[0])
    return own


def use(root, patch):
    for name in ("MODELS", "RESULTS"):
        patch.setattr(paths, name, root / name.lower())


def test_its_own_classes_and_what_keras_computes(root):
    recognizer = ExpressionRecognizer("smiles-basic")
    assert recognizer.classes == CLASSES
    assert recognizer.classes == ExpressionRecognizer(root / "models" / "smiles-basic.onnx").classes
    first, second = recognizer.predict(root / "two.png")
    assert tuple(first.probabilities) == CLASSES and first.label in CLASSES
    faces = np.random.default_rng(1).integers(0, 256, (5, 48, 48), np.uint8)
    keras = shipped.load_network(shipped.find("smiles-basic", ".npz")).predict(faces[..., None] / 255, verbose=0)
    assert keras.shape == (5, 3) and np.abs(recognizer.predict_faces(faces) - keras).max() <= 1e-4
    assert recognizer.predict_faces([]).shape == (0, 3)


def test_predict_writes_its_classes(root, tmp_path, capsys):
    arguments = [str(root / "two.png"), "--network", "smiles-basic", "--csv", str(tmp_path / "a.csv")]
    arguments += ["--json", str(tmp_path / "a.json"), "--annotated", str(tmp_path / "marked")]
    assert predict.main(arguments) == 0
    rows = list(csv.DictReader(open(tmp_path / "a.csv", encoding="utf-8")))
    # No formula for a spreadsheet, and no second column x.
    assert len(rows) == 2 and list(rows[0])[-3:] == ["p_=wütend", "calm and friendly", "p_x"]
    (picture,) = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert list(picture["faces"][0]["probabilities"]) == list(CLASSES)
    assert (tmp_path / "marked" / "two.png").exists()
    head, *lines = capsys.readouterr().out.splitlines()
    assert all(line[head.index("expression") :].startswith(CLASSES) for line in lines)


@pytest.mark.parametrize("classes", [2, 3, 30])
def test_a_films_course_has_a_colour_for_each_class(classes, tmp_path):
    from matplotlib.figure import Figure

    from fergit.use.course import Course
    from fergit.use.recognizer import Face

    names = tuple(f"class {number}" for number in range(classes))
    course = Course("a.mp4", names)
    for number in range(5):
        course.add([Face((0, 0, 9, 9), dict.fromkeys(names, 1 / classes), 1.0, person=1)], number / 25)
    course.close()
    axes = Figure().subplots()
    course.draw(axes, 1, course.persons[1])
    colors = {tuple(np.ravel(line.get_color())) for line in axes.lines}
    assert [line.get_label() for line in axes.lines] == list(names) and len(colors) == classes


def test_explaining_takes_it_too(root):
    figure = explaining.explain(root / "two.png", "smiles-basic")
    labels = {axes.get_ylabel().rpartition(" ")[0] for axes in figure.axes if axes.get_ylabel().endswith("%")}
    assert labels and labels <= set(CLASSES)


@pytest.mark.parametrize("program", ["predict", "app"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("frowns-basic", "models/frowns-basic.onnx: no such file; "),
        ("nonsense", "models/nonsense.onnx: no such file; "),
        ("", "models/.onnx: no such file; "),
        ("text.onnx", "text.onnx: not a network that `python src/run.py ship` wrote"),
        ("other.onnx", "other.onnx: not a network of 48x48 faces and 2 classes"),
        ("cut.onnx", "cut.onnx: not a network that `python src/run.py ship` wrote"),
    ],
)
def test_a_wrong_network_is_one_line(root, tmp_path, monkeypatch, capsys, program, name, said):
    monkeypatch.chdir(tmp_path)
    data = (root / "models" / "smiles-basic.onnx").read_bytes()
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "cut.onnx").write_bytes(data[: len(data) // 2])
    two = json.dumps({"classes": ["a", "b"]}).encode()
    (tmp_path / "other.onnx").write_bytes(
        data + b"\x72" + bytes([len(two) + 9]) + b"\n\x05about\x12" + bytes([len(two)]) + two
    )
    command = pytest.importorskip(program)
    assert command.main(["--network", name, *(["two.png"] if program == "predict" else [])]) == 1
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: ") and error.count("\n") == 1
    if "no such file" in said:
        assert "; models/ has smiles-basic; `python src/run.py ship DATASET NETWORK SEED` writes more" in error


def test_a_missing_file_of_keras_is_one_line(root):
    with pytest.raises(FergitError, match="models/frowns-basic.npz: no such file"):
        shipped.load_network(paths.MODELS / "frowns-basic.npz")
