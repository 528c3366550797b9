"""Trainings packed here, trained in another folder, taken up here."""

import json
import multiprocessing
import pickle
import shutil

import numpy as np
import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.runner import elsewhere
from fergit.runner.studies import study_tasks

pytestmark = [
    pytest.mark.usefixtures("quick"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`"),
]


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """A pack of one short training on drawn faces; ``paths.WORK`` is another folder."""
    from fergit.core.params import read
    from fergit.data import sources

    for name in ("WORK", "RESULTS", "RUNS", "RAW"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    sources.fetch(
        "synthetic",
        {"fetch": {"download": False, "draw": {"images": 400, "seed": 0}}, "images": {"source": "synthetic"}},
    )
    study = read(paths.STUDIES)["studies"]["precision"] | {"seeds": [0], "values": ["float32"]}
    study["set"] = {"train.epochs": 1, "synthetic.split.held_out": 0.3}
    file = tmp_path / "studies.yaml"
    file.write_text(json.dumps({"studies": {"precision": study}}))
    monkeypatch.setattr(paths, "STUDIES", file)
    elsewhere.pack(tmp_path / "pack", ["precision"])
    return tmp_path / "pack"


def work(folder):
    """`elsewhere.run` with one worker, in this process."""
    import multiprocessing

    claimed, left = multiprocessing.Value("i", 0), multiprocessing.Value("i", 1)
    elsewhere._work(folder, claimed, left)
    return 1 - left.value


def test_what_was_trained_elsewhere_is_taken_up(packed, tmp_path, monkeypatch, capsys):
    from fergit.data import datasets
    from fergit.engine.trained import train_and_test

    monkeypatch.setattr(paths, "WORK", tmp_path / "there")
    assert work(packed) == 1
    shutil.copytree(tmp_path / "there", tmp_path / "work", dirs_exist_ok=True)
    monkeypatch.setattr(paths, "WORK", tmp_path / "work")
    [task] = study_tasks("precision")
    faces = datasets.preprocess("synthetic", {"split": task.split})
    for folder in ("outcomes", "checkpoints"):  # either will do
        capsys.readouterr()
        outcome = train_and_test(task.model, faces, task.params, "synthetic", 0)
        assert "epoch 1/1" not in capsys.readouterr().out
        assert len(outcome.probabilities["test"]) == (faces.split == "test").sum()
        if folder == "outcomes":
            shutil.rmtree(tmp_path / "work" / folder)


def test_other_code_or_images_are_refused(packed, capsys):
    images, [(task, split, _)] = elsewhere._read(packed)
    (packed / "tasks.pickle").write_bytes(pickle.dumps((images, [(task, split, "0" * 32)])))
    assert work(packed) == 0
    assert "failed: the task was packed by other code than is here" in capsys.readouterr().out


def test_changed_test_images_are_predicted_again(packed, tmp_path):
    from fergit.data import datasets
    from fergit.engine.trained import train_and_test

    [task] = study_tasks("precision")
    faces = datasets.preprocess("synthetic", {"split": task.split})
    before = train_and_test(task.model, faces, task.params, "synthetic", 0)
    images = np.where((faces.split == "test")[:, None, None], 255 - faces.images, faces.images)
    changed = type(faces)(**{**vars(faces), "images": images})
    after = train_and_test(task.model, changed, task.params, "synthetic", 0)
    assert not np.array_equal(before.probabilities["test"], after.probabilities["test"])
    assert np.array_equal(before.probabilities["validation"], after.probabilities["validation"])


def test_an_unknown_study_is_one_line(tmp_path):
    with pytest.raises(FergitError, match="no 'x' in studies/params.yaml"):
        elsewhere.pack(tmp_path, ["x"])


def test_what_a_stopped_process_was_writing_is_gone(packed, monkeypatch):
    class Process:
        pid = 123

        def __init__(self, **_):
            pass

        start = join = kill = lambda *_: None

    context = multiprocessing.get_context("spawn")
    monkeypatch.setattr(elsewhere.multiprocessing, "get_context", lambda _: context)
    monkeypatch.setattr(context, "Process", Process)
    folder = paths.checkpoints("synthetic", "basic", 0)
    folder.mkdir(parents=True)
    for pid in (123, 124):
        (folder / f".a.npz.{pid}.partial").touch()
    assert elsewhere.run(packed, 0, 1) == 1
    assert [path.name for path in folder.iterdir()] == [".a.npz.124.partial"]


def test_a_file_that_was_cut_short_on_its_way_is_one_line(packed):
    file = packed / "tasks.pickle"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(FergitError, match="tasks.pickle: not what `pack` wrote .*; copy it again"):
        elsewhere.run(packed, None, 1)


def test_an_error_is_one_line(tmp_path, monkeypatch, capsys):
    for arguments, said in ((["pack", "x"], "no 'x' in studies/params.yaml"), (["run"], "No such file or directory")):
        monkeypatch.setattr("sys.argv", ["elsewhere", arguments[0], str(tmp_path), *arguments[1:]])
        with pytest.raises(SystemExit) as ended:
            elsewhere.main()
        text = capsys.readouterr().err
        assert ended.value.code == 1 and text.startswith("error: ") and said in text and text.count("\n") == 1
