"""The command src/predict.py and what it writes."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from portraits import Recognizer, long_pictures, portrait

import predict as command
from fergit.core import paths
from fergit.use.outputs import FIELDS
from fergit.use.recognizer import CLASSES


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
    assert tuple(rows[0]) == (*FIELDS, *CLASSES) and [row["face"] for row in rows] == ["1", "2"]
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
    assert said.err == f"note: {folder} holds files that are not read: 1 .txt\n"
    assert "no face" in said.out and said.out.count("two.png") == 2


def test_broken_files_are_named_and_the_rest_is_done(folder, tmp_path, capfd):
    good = (folder / "two.png").read_bytes()
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "text.jpg").write_text("hello")
    (folder / "text.mp4").write_text("hello")
    assert run(folder, tmp_path / "none.jpg", tmp_path, "--csv", tmp_path / "a.csv") == 1
    errors = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("note: ")]
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
    assert capfd.readouterr().err.splitlines()[1:] == [
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
    assert "film.avi: 0.9 s, 9 frames, 6 with a face; person 1, 0.6 s: " in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "a.json", "a.png", "film.mp4"]


def test_films_of_one_name_have_copies_of_their_own(film, tmp_path):
    (film.parent / "film.mkv").write_bytes(film.read_bytes())
    assert run(film, film.parent / "film.mkv", "--annotated", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["film.mkv.mp4", "film.mp4"]


def test_a_folder_that_cannot_be_opened_is_named_and_the_rest_is_done(folder, monkeypatch, capsys):
    real = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert run(folder) == 1
    said = capsys.readouterr()
    assert f"error: {folder}/sub: Permission denied" in said.err and said.out.count("two.png") == 2


def test_a_film_that_was_cut_short(film, tmp_path, capfd):
    data = film.read_bytes()
    film.write_bytes(data[: len(data) // 2])
    assert run(film, "--csv", tmp_path / "a.csv") == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "film.avi: " in error
    assert (tmp_path / "a.csv").exists()


def test_a_camera_runs_until_it_is_interrupted(tmp_path, monkeypatch, capsys):
    class Camera:
        name, live, frames = "camera 0", True, 0

        def __init__(self, source, every, fps):
            assert (source, every, fps) == (0, 1, 0)

        def __iter__(self):
            picture = cv2.cvtColor(portrait()[0], cv2.COLOR_GRAY2BGR)
            yield from ((number, second, picture) for number, second in enumerate((0.0, 1.0, 5.0)))
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "Film", Camera)
    assert run("--camera", "0", "--csv", tmp_path / "a.csv", "--annotated", tmp_path) == 0
    said = capsys.readouterr().out
    assert "camera 0: 9.0 s, 3 frames, 3 with a face" in said and len(said.splitlines()) == 2
    assert [row["frame"] for row in csv.DictReader((tmp_path / "a.csv").open())] == list("012")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "camera-0.mp4"]


def test_a_path_that_may_not_be_looked_at_ends_nothing(folder, capsys):
    assert run("x" * 300 + ".jpg", folder) == 1
    said = capsys.readouterr()
    assert "File name too long" in said.err and "two.png" in said.out


@pytest.mark.parametrize("ending", ["interruption", "head"])
def test_rows_found_before_the_end_are_kept(folder, film, tmp_path, monkeypatch, capsys, ending):
    def say(self, *cells):
        if cells[0].endswith("two.png"):
            raise KeyboardInterrupt if ending == "interruption" else BrokenPipeError

    monkeypatch.setattr(command.Job, "row", say)
    monkeypatch.setattr(command, "drop_output", lambda: None)
    out = tmp_path / "out"
    files = ("--csv", out / "a.csv", "--json", out / "a.json", "--timeline", out / "a.png")
    later = shutil.copy(film, tmp_path / "later.avi")  # must not be read any more
    assert run(film, folder, later, *files) == {"interruption": 130, "head": 1}[ending]
    assert len(list(csv.DictReader((out / "a.csv").open()))) == 6 + 2
    assert len(json.loads((out / "a.json").read_text())) == 9 + 2  # the video, none.jpg, two.png
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "a.json", "a.png"]


@pytest.mark.parametrize(("ending", "status"), [(OSError(28, "No space left"), 1), (KeyboardInterrupt(), 130)])
def test_a_plot_that_fails_costs_no_table(film, tmp_path, monkeypatch, capsys, ending, status):
    def plot(courses, file):
        raise ending

    monkeypatch.setattr(command, "plot_courses", plot)
    files = ("--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json", "--timeline", tmp_path / "a.png")
    assert run(film, *files) == status
    assert capsys.readouterr().err.count("\n") == 1
    assert len(list(csv.DictReader((tmp_path / "a.csv").open()))) == 6
    assert len(json.loads((tmp_path / "a.json").read_text())) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "film.avi"]


def test_a_copy_for_which_the_disk_is_too_small(film, tmp_path):
    program = "import sys, resource, portraits, predict; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000));"
    program += "sys.exit(predict.main(sys.argv[1:], portraits.Recognizer()))"
    places = os.pathsep.join(str(paths.ROOT / name) for name in ("src", "tests"))
    done = subprocess.run(
        [sys.executable, "-c", program, film, "--annotated", tmp_path / "out"],
        env=os.environ | {"PYTHONPATH": places},
        capture_output=True,
        text=True,
    )
    assert done.stderr == f"error: {tmp_path}/out/film.mp4: could not be written whole; is the disk full?\n"
    assert done.returncode == 1 and not list((tmp_path / "out").iterdir())


def test_a_killed_run_keeps_its_rows(folder, tmp_path):
    """SIGTERM, as of a job's time limit."""
    for number in range(200):
        (folder / f"two-{number}.png").symlink_to(folder / "two.png")
    program = "import sys, signal, portraits, predict; signal.signal(signal.SIGTERM, signal.default_int_handler);"
    program += "sys.exit(predict.main(sys.argv[1:], portraits.Recognizer()))"
    places = os.pathsep.join(str(paths.ROOT / name) for name in ("src", "tests"))
    command = [sys.executable, "-u", "-c", program, str(folder), "--csv", str(tmp_path / "a.csv")]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": places}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while "two-0.png" not in process.stdout.readline():
            pass
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted; tables hold what was found until then" in said
    assert 2 <= len(list(csv.DictReader((tmp_path / "a.csv").open()))) < 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--timeline", "a.png"], "--timeline: needs a video or a camera"),
        (["--annotated", "in"], "--annotated: in/sub/none.jpg would overwrite what is read"),
        (["--csv", "in"], "--csv: in is a folder"),
        (["--csv", "in/two.png"], "--csv: in/two.png would overwrite what is read"),
        (["--csv", "in/sub/../two.png"], "would overwrite what is read"),
        (["--json", "hard.png"], "--json: hard.png would overwrite what is read"),
        (["--json", "soft.png"], "--json: soft.png would overwrite what is read"),
        (["--csv", "a", "--json", "./a"], "--json: a would overwrite --csv a"),
        (["--csv", "out", "--annotated", "out"], "--annotated: out/sub/none.jpg would overwrite --csv out"),
        (["--csv", "out/two.png", "--annotated", "out"], "--annotated: out/two.png would overwrite --csv out/two.png"),
        (["--csv", "b/c/d", "--json", "b/c"], "--json: b/c is to be the folder of --csv b/c/d"),
        (["--json", "mine.txt/a.json"], "mine.txt is no folder"),
        (["--annotated", "mine.txt"], "mine.txt is no folder"),
        (["--csv", "mine.txt"], "--csv: mine.txt exists and was not written by predict.py; --overwrite replaces it"),
        (["--annotated", "marked"], "--annotated: marked/two.png exists and was not written by predict.py"),
        (["--camera", "97"], "camera 97: no such camera"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(folder, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(folder.parent)
    (folder / "notes.txt").unlink()
    os.link("in/two.png", "hard.png")
    os.symlink("in/two.png", "soft.png")
    (folder.parent / "mine.txt").write_text("dear diary")
    (folder.parent / "marked").mkdir()
    cv2.imwrite("marked/two.png", np.zeros((9, 9), np.uint8))
    before = sorted(folder.parent.rglob("*"))
    assert run("in", *arguments) == 1
    error = capfd.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(folder.parent.rglob("*")) == before


@pytest.mark.parametrize("ending", ["no such file", "interruption"])
def test_a_run_that_reads_nothing_leaves_what_an_earlier_one_wrote(folder, tmp_path, monkeypatch, capsys, ending):
    tables = "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json"
    assert run(folder, *tables) == 0
    before = [path.read_bytes() for path in tables[1::2]]
    if ending == "interruption":
        monkeypatch.setattr(command.photographs, "read", lambda path: signal.raise_signal(signal.SIGINT))
    assert run(folder / "nope.png", *tables) == (1 if ending == "no such file" else 130)
    assert [path.read_bytes() for path in tables[1::2]] == before
    assert ("interrupted; nothing was read\n" in capsys.readouterr().err) == (ending == "interruption")


@pytest.mark.parametrize("wrong", ["x" * 300 + ".mp4", "x" * 245 + ".png"])
def test_a_name_that_is_too_long_ends_nothing(folder, tmp_path, wrong):
    """To be read, or for the partial file of its copy."""
    if wrong.endswith(".png"):
        shutil.copy(folder / "two.png", tmp_path / wrong)
    assert run(tmp_path / wrong, folder / "two.png", "--annotated", tmp_path / "marked") == 1
    assert [path.name for path in (tmp_path / "marked").iterdir()] == ["two.png"]


def test_copies_of_two_folders_with_the_same_names(folder, tmp_path):
    for other in ("other", "deeper/in"):
        (tmp_path / other).mkdir(parents=True)
        shutil.copy(folder / "two.png", tmp_path / other)
    assert run(folder, tmp_path / "other", tmp_path / "deeper/in", "--annotated", tmp_path / "marked") == 0
    found = sorted(path.relative_to(tmp_path / "marked").as_posix() for path in (tmp_path / "marked").rglob("*.*"))
    assert found == ["in-2/two.png", "in/sub/none.jpg", "in/two.png", "other/two.png"]


def test_two_files_of_the_same_name_and_one_named_twice(folder, tmp_path):
    (tmp_path / "other").mkdir()
    other = shutil.copy(folder / "two.png", tmp_path / "other")
    (tmp_path / "link.png").symlink_to(folder / "two.png")
    files = ("--annotated", tmp_path / "marked", "--csv", tmp_path / "a.csv")
    assert run(folder / "two.png", other, tmp_path / "link.png", folder / "two.png", *files) == 0
    assert sorted(path.name for path in (tmp_path / "marked").iterdir()) == ["two-2.png", "two.png"]
    files = [row["file"] for row in csv.DictReader((tmp_path / "a.csv").open())]
    assert files == [str(folder / "two.png")] * 2 + [str(other)] * 2


def test_a_file_and_a_folder_that_has_one_of_its_name(folder, tmp_path):
    (tmp_path / "other").mkdir()
    other = shutil.copy(folder / "two.png", tmp_path / "other")
    assert run(other, folder, folder, "--annotated", tmp_path / "marked") == 0
    found = sorted(path.relative_to(tmp_path / "marked").as_posix() for path in (tmp_path / "marked").rglob("*.*"))
    assert found == ["sub/none.jpg", "two-2.png", "two.png"]


def test_a_folder_that_may_not_be_written_to(folder, tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o555)
    if os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("this user may write everywhere")
    assert run(folder, "--annotated", tmp_path / "locked") == 1
    assert run(folder, "--csv", tmp_path / "locked" / "a.csv") == 1
    first, second = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "locked may not be written to; check its permissions" in first
    assert second == f"error: {tmp_path / 'locked' / 'a.csv'}: Permission denied"


def test_what_could_not_be_written_is_named_as_it_was_given():
    options = command.parse(["x.jpg", "--csv", "a.csv", "--json", "b.json"])
    partial = OSError(28, "No space left on device", "out/.a.csv.123.partial")
    assert command.unwritable(partial, options) == "out/a.csv: No space left on device"
    assert command.unwritable(OSError(28, "No space left"), options) == "a.csv or b.json: No space left"


def test_an_empty_folder(tmp_path, capsys):
    assert run(tmp_path) == 1
    assert "holds no photograph or video" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.jpg", "--smallest", "2"],
        ["a.jpg", "--nonsense"],
        ["--url", "ftp://a"],
        ["a.mp4", "--every", "0"],
        ["a.mp4", "--fps", "-1"],
        ["a.jpg", "--smallest", "5%"],
        [""],
        ["a.jpg", "--csv", ""],
        ["a.mp4", "--timeline", "t.jpg"],
    ],
)
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


def test_without_the_network_one_line_says_so(folder, capsys):
    assert command.main([str(folder), "--network", str(folder / "none.onnx")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_run_replaces_what_an_earlier_one_wrote_and_more_if_told(folder, film, tmp_path):
    out = tmp_path / "out"
    files = ("--csv", out / "a.csv", "--json", out / "a.json", "--timeline", out / "a.png", "--annotated", out / "m")
    for _ in range(2):
        assert run(folder, film, *files) == 0
    (out / "a.csv").write_text("my own table\n")
    (out / "link.csv").symlink_to(out / "a.csv")
    assert run(folder, "--csv", out / "link.csv") == 1
    assert run(folder, "--csv", out / "link.csv", "--overwrite") == 0
    assert (out / "link.csv").is_symlink() and (out / "a.csv").read_text().startswith("file,frame,")
    assert run(folder, "--csv", folder / "two.png", "--overwrite") == 1  # never what is read


def test_a_pipe_is_written_to_and_not_replaced(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        assert run(folder, "--csv", tmp_path / "pipe") == 0
        said = reader.communicate(timeout=30)[0]
    assert said.startswith("file,frame,") and said.count("\n") == 3 and (tmp_path / "pipe").is_fifo()
    assert run(folder, "--json", "/dev/null") == 0 and not os.path.isfile("/dev/null")


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no /dev/shm is here")
def test_a_file_in_shared_memory_is_a_file(folder):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        for _ in range(2):
            assert run(folder, "--csv", Path(place) / "a.csv", "--json", Path(place) / "a.json") == 0
            assert (Path(place) / "a.csv").read_text().count("file,frame,") == 1
            assert json.loads((Path(place) / "a.json").read_text())


def test_a_table_on_standard_output_that_is_led_to_a_file(folder, tmp_path):
    program = "import sys, portraits, predict; sys.exit(predict.main(sys.argv[1:], portraits.Recognizer()))"
    places = os.pathsep.join(str(paths.ROOT / name) for name in ("src", "tests"))
    command = [sys.executable, "-c", program, folder, "--csv", "/dev/stdout"]
    with open(tmp_path / "all", "w") as out:
        subprocess.run(command, env=os.environ | {"PYTHONPATH": places}, stdout=out, check=True)
    said = (tmp_path / "all").read_text()
    assert said.count("two.png") == 4 and "file,frame,seconds" in said and "\0" not in said


ODD = [b"\xff\xfe.png", b"=1+2.png", b"@x.png", b"\x1b[31mred.png", b"two\nlines.png", b"\xe2\x80\xaegnp.png"]


def test_odd_names_end_nothing_and_reach_neither_terminal_nor_spreadsheet_raw(tmp_path, monkeypatch, capfd):
    picture, names = cv2.imencode(".png", portrait()[0])[1].tobytes(), [os.fsdecode(name) for name in ODD]
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for name in names:
        (tmp_path / "in" / name).write_bytes(picture)
    assert run(*names, "--csv", "../a.csv", "--json", "../a.json", "--annotated", "../marked") == 0
    rows = list(csv.DictReader(open("../a.csv", encoding="utf-8")))
    assert [row["file"] for row in rows] == [
        *("\\xff\\xfe.png", "./=1+2.png", "./@x.png", "\\x1b[31mred.png", "two\\nlines.png", "\\u202egnp.png")
    ]
    assert [one["file"] for one in json.load(open("../a.json", encoding="utf-8"))] == names
    assert sorted(os.listdir(b"../marked")) == sorted(ODD)
    assert all(sign.isprintable() or sign == "\n" for sign in capfd.readouterr().out)
    (tmp_path / "in" / os.fsdecode(b"\xff.jpg")).write_text("no picture")
    assert run(os.fsdecode(b"\xff.jpg")) == 1
    assert capfd.readouterr().err.startswith("error: \\xff.jpg: not a photograph")


def test_a_terminal_that_cannot_show_a_name(folder, tmp_path):
    (folder / "two.png").rename(folder / "zwei \u2744.png")
    program = "import sys, portraits, predict; sys.exit(predict.main(sys.argv[1:], portraits.Recognizer()))"
    places = os.pathsep.join(str(paths.ROOT / name) for name in ("src", "tests"))
    done = subprocess.run(
        [sys.executable, "-c", program, folder],
        env=os.environ | {"PYTHONPATH": places, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "zwei \\u2744.png" in done.stdout


def test_a_mistake_with_one_file_does_not_end_the_others(folder, tmp_path, monkeypatch, capsys):
    def predict(self, image, *rest, name, **named):
        raise ZeroDivisionError("a mistake") if name.name == "none.jpg" else Stop

    Stop = KeyError("another")
    monkeypatch.setattr(Recognizer, "predict", predict)
    assert run(folder) == 1
    errors = capsys.readouterr().err.splitlines()[1:]
    assert [line.split(": ", 2)[2] for line in errors] == ["ZeroDivisionError: a mistake", "KeyError: 'another'"]


@pytest.mark.parametrize("number", ["-1", "100", "99999999999999999999"])
def test_a_camera_number_that_cannot_be(number, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("--camera", number)
    assert stopped.value.code == 2 and "allowed: 0 to 99" in capsys.readouterr().err


def test_whatever_opencv_reads_is_read_and_what_else_lies_there_is_named(tmp_path, capfd):
    folder, picture = tmp_path / "in", cv2.cvtColor(portrait()[0], cv2.COLOR_GRAY2BGR)
    folder.mkdir()
    suffixes = ".jpg .png .webp .bmp .gif .tif .avif .jp2 .pgm .ppm .pam .ras".split()
    for suffix in suffixes:
        (folder / f"a{suffix}").write_bytes(cv2.imencode(suffix, picture[..., 0] if suffix == ".pgm" else picture)[1])
    for suffix in (".hdr", ".pfm"):
        (folder / f"a{suffix}").write_bytes(cv2.imencode(suffix, picture.astype(np.float32) / 255)[1])
    jpeg = (folder / "a.jpg").read_bytes()
    for name in ("b.jfif", "b.JPE", "b", "b.jpg_large"):
        (folder / name).write_bytes(jpeg)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.jpg").write_bytes(jpeg)
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere")  # the same folder by another name: read once
    (folder / "round").symlink_to(folder)
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "d.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"ispe\0\0\0\0\0\0\0\x99\0\0\0\x99")
    (folder / "e.CR2").write_bytes((folder / "a.tif").read_bytes())
    for name in ("f.txt", "g.txt", "h.pdf", "i"):
        (folder / name).write_text("Good day")
    assert run(folder, "--json", tmp_path / "a.json") == 1
    found = {os.path.relpath(one["file"], folder): len(one["faces"]) for one in json.load(open(tmp_path / "a.json"))}
    expected = [f"a{suffix}" for suffix in (*suffixes, ".hdr", ".pfm")] + ["b", "b.JPE", "b.jfif", "b.jpg_large"]
    assert found == dict.fromkeys([*expected, "again/c.jpg"], 1)
    note, *errors = capfd.readouterr().err.splitlines()
    assert (
        note
        == f"note: {folder} holds files that are not read: 1 .pdf, 2 .txt, 1 broken link, 1 no file, 1 without suffix"
    )
    assert len(errors) == 2 and "e.CR2: such files cannot be read" in errors[1] and "d.heic: " in errors[0]
