"""The command src/predict.py and what it writes."""

import csv
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from portraits import Recognizer, long_pictures, portrait

import predict as command
from fergit.core import paths
from fergit.use.recognizer import CLASSES, Face
from fergit.use.predictions import FIELDS, Course


def run(*arguments):
    return command.main([str(argument) for argument in arguments], Recognizer())


@pytest.fixture
def folder(tmp_path):
    """Two photographs, one without a face, and what is not worth reading."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    cv2.imwrite(str(folder / "two.png"), portrait(people=2)[0])
    cv2.imwrite(str(folder / "sub" / "none.jpg"), np.full((300, 300), 128, np.uint8))
    (folder / "notes.txt").write_text("not asked for")
    (folder / ".two.png").write_text("hidden")
    return folder


@pytest.fixture
def film(tmp_path):
    """Six frames with a face, three without."""
    path = tmp_path / "film.avi"
    picture = cv2.cvtColor(portrait()[0], cv2.COLOR_GRAY2BGR)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, picture.shape[1::-1])
    for number in range(9):
        writer.write(picture if number < 6 else np.full_like(picture, 128))
    writer.release()
    return path


def test_a_folder(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(folder, "--csv", out / "a.csv", "--json", out / "a.json", "--annotated", out) == 0
    rows = list(csv.DictReader((out / "a.csv").open()))
    assert tuple(rows[0]) == FIELDS and [row["face"] for row in rows] == ["1", "2"]
    assert all(row["file"] == str(folder / "two.png") and row["frame"] == "" for row in rows)
    assert abs(sum(float(rows[0][name]) for name in CLASSES) - 1) < 0.001
    pictures = json.loads((out / "a.json").read_text())
    assert [(one["file"], len(one["faces"])) for one in pictures] == [
        (str(folder / "sub" / "none.jpg"), 0),
        (str(folder / "two.png"), 2),
    ]
    assert pictures[1]["faces"][0]["box"] == [int(rows[0][name]) for name in ("x", "y", "width", "height")]
    marked = cv2.imread(str(out / "two.png"))
    assert marked.shape == (300, 600, 3) and (marked != cv2.imread(str(folder / "two.png"))).any()
    assert (out / "sub" / "none.jpg").exists()
    said = capsys.readouterr()
    assert said.err == "" and "no face" in said.out and said.out.count("two.png") == 2


def test_broken_files_are_named_and_the_rest_is_done(folder, tmp_path, capfd):
    good = (folder / "two.png").read_bytes()
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "text.jpg").write_text("hello")
    (folder / "text.mp4").write_text("hello")
    assert run(folder, tmp_path / "none.jpg", tmp_path, "--csv", tmp_path / "a.csv") == 1
    errors = capfd.readouterr().err.splitlines()
    assert len(errors) == 7  # the three, twice, for the folder lies in a folder that is read too
    assert all(line.startswith("error: ") for line in errors)
    assert sum("none.jpg: No such file" in line for line in errors) == 1
    assert len(list(csv.DictReader((tmp_path / "a.csv").open()))) == 4


def test_long_thin_pictures_are_no_obstacle(folder, tmp_path, capfd):
    pictures = long_pictures()
    for name, (picture, _) in pictures.items():
        cv2.imwrite(str(folder / name), picture)
    # What one format holds, another may not.
    (folder / "large.webp").write_bytes((folder / "wide.png").read_bytes())
    (folder / "larger.png").write_bytes(cv2.imencode(".png", np.zeros((1, 70000), np.uint8))[1].tobytes())
    assert run(folder, "--json", tmp_path / "a.json", "--annotated", tmp_path / "out") == 1
    found = {one["file"]: len(one["faces"]) for one in json.loads((tmp_path / "a.json").read_text())}
    expected = {name: faces for name, (_, faces) in pictures.items()}
    expected |= {"large.webp": 1, "sub/none.jpg": 0, "two.png": 2}
    assert found == {str(folder / name): faces for name, faces in expected.items()}
    marked = cv2.imread(str(tmp_path / "out" / "wide.png"))
    assert (marked[:, :39700] == 128).all() and (marked[:, 39700:] != 128).any()
    assert capfd.readouterr().err.splitlines() == [
        f"error: {tmp_path}/out/large.webp: 40000x300 pixels are too many for this format",
        f"error: {folder}/larger.png: is 70000x1 pixels; allowed: 65500 a side",
    ]


def test_a_film(film, tmp_path, capsys):
    out = tmp_path / "out"
    files = ("--csv", out / "a.csv", "--json", out / "a.json", "--timeline", out / "a.png", "--annotated", out)
    assert run(film, *files) == 0
    rows = list(csv.DictReader((out / "a.csv").open()))
    assert [row["frame"] for row in rows] == list("012345") and rows[5]["seconds"] == "0.500"
    assert [len(one["faces"]) for one in json.loads((out / "a.json").read_text())] == [1] * 6 + [0] * 3
    assert (out / "a.png").read_bytes().startswith(b"\x89PNG")
    marked = cv2.VideoCapture(str(out / "film.mp4"))
    assert marked.get(cv2.CAP_PROP_FRAME_COUNT) == 9
    assert "film.avi: 9 frames, 6 with a face; the largest face: " in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "a.json", "a.png", "film.mp4"]


def test_a_film_that_was_cut_short(film, tmp_path, capfd):
    data = film.read_bytes()
    film.write_bytes(data[: len(data) // 2])
    assert run(film, "--csv", tmp_path / "a.csv") == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "film.avi: " in error
    assert (tmp_path / "a.csv").exists()


def test_a_camera_runs_until_it_is_interrupted(tmp_path, monkeypatch, capsys):
    class Camera:
        name, camera, frames, rate = "camera 0", True, 0, 25.0

        def __init__(self, source):
            assert source == 0

        def __iter__(self):
            yield from [cv2.cvtColor(portrait()[0], cv2.COLOR_GRAY2BGR)] * 3
            raise KeyboardInterrupt

    monkeypatch.setattr(command.photographs, "Film", Camera)
    assert run("--camera", "0", "--csv", tmp_path / "a.csv", "--annotated", tmp_path) == 0
    said = capsys.readouterr().out
    assert "camera 0: 3 frames, 3 with a face" in said and len(said.splitlines()) == 2
    assert [row["frame"] for row in csv.DictReader((tmp_path / "a.csv").open())] == list("012")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "camera-0.mp4"]


def test_an_interruption_leaves_nothing_half_written(folder, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Recognizer, "predict", interrupted)
    assert run(folder, "--csv", tmp_path / "a.csv") == 130
    assert not list(tmp_path.glob("*.csv*")) and not list(tmp_path.glob(".a*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--timeline", "a.png"], "--timeline: there is no film"),
        (["--annotated", "in"], "none.jpg would overwrite"),
        (["--csv", "in"], "error: "),
        (["--camera", "97"], "camera 97: no such camera"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(folder, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(folder.parent)
    before = sorted(folder.parent.rglob("*"))
    assert run("in", *arguments) == 1
    error = capfd.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(folder.parent.rglob("*")) == before


def test_an_empty_folder(tmp_path, capsys):
    assert run(tmp_path) == 1
    assert "holds no photograph or film" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["a.jpg", "--smallest", "2"], ["a.jpg", "--nonsense"]])
def test_a_wrong_command(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    assert "python src/predict.py photo.jpg\n" in capsys.readouterr().out


def test_a_python_without_the_packages_is_named():
    bare = [sys.executable, "-S", "src/predict.py", "photo.jpg"]
    done = subprocess.run(bare, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "has no package cv2; `make setup` makes" in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_without_the_shipped_network_one_line_says_so(folder, monkeypatch, capsys):
    def missing(smallest):
        from fergit.use.recognizer import ExpressionRecognizer

        return ExpressionRecognizer(folder / "none.onnx", smallest)

    monkeypatch.setattr(command, "ExpressionRecognizer", missing)
    assert command.main([str(folder)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_course_of_a_film_of_any_length_is_of_one_size():
    course, faces = Course("film"), []
    for label in ("happy", "sad"):
        faces.append([Face((0, 0, 9, 9), {name: float(name == label) for name in CLASSES}, 1.0)])
    for number in range(5000):
        course.add(faces[number >= 2500] if number % 5 else [], number / 25)
    assert course.sums.shape == (1024, 7) and course.per_bin == 8
    assert course.sums.sum() == course.counts.sum() == course.with_face == 4000
    happy = course.sums[:, CLASSES.index("happy")]
    assert happy[: 2500 // 8].sum() >= 1990 and happy[2500 // 8 + 1 :].sum() == 0
    assert course.summary() == "film: 5000 frames, 4000 with a face; the largest face: happy 50%, sad 50%"
