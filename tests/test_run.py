"""The runner by hand: what it says of its arguments, when it is interrupted and when the disk is full."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest
from clone import Clone

from fergit import paths


def run(root, *arguments, **options):
    """Start ``python src/run.py``, as in a terminal."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "src/run.py", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=root, env=env | {"COLUMNS": "100"}, **pipes, **options)


def said(process):
    """The exit status and the lines on standard error."""
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors.splitlines()


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    clone = Clone(tmp_path_factory.mktemp("run") / "clone")
    clone.set(fetch__draw__images=400, synthetic__split__held_out=0.4)
    return clone


def test_help_says_what_each_stage_takes():
    def words(*arguments):
        return " ".join(run(paths.ROOT, *arguments, "--help").communicate()[0].split())

    for line in (
        "train DATASET MODEL SEED: train one network with one seed",
        "check check params.yaml",
        "DATASET one of synthetic, fer2013, fergit, ckplus",
        "example: python src/run.py train synthetic residual 0",
    ):
        assert line in words()
    assert "SEED a whole number" in words("train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required: stage"),
        (("fetch",), "required: DATASET"),
        (("fetch", "../x"), "argument DATASET: invalid choice: '../x'"),
        (("train", "synthetic", "resnet", "0"), "argument MODEL: invalid choice: 'resnet'"),
        (("train", "synthetic", "basic", "one"), "argument SEED: invalid int value: 'one'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    status, lines = said(run(paths.ROOT, *arguments))
    assert status == 2 and message in lines[-1] and not any("Traceback" in line for line in lines)


def test_ctrl_c_in_fetch_leaves_nothing_half_written(clone):
    status, _ = said(run(clone.root, "fetch", "synthetic"))
    before = files(clone.root / "data/raw")
    assert status == 0 and before == ["synthetic/faces.npz", "synthetic/manifest.json"]
    clone.set(fetch__draw__images=1_000_000)
    process = run(
        clone.root, "fetch", "synthetic", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    )
    end = time.monotonic() + 60
    while not (clone.root / "data/raw/.synthetic.partial").exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    status, lines = said(process)
    clone.set(fetch__draw__images=400)
    assert status == 130 and lines == ["error: interrupted; `dvc repro` goes on where it was"]
    assert files(clone.root / "data/raw") == before


@pytest.mark.parametrize(("stage", "what"), [("fetch", "data/raw/synthetic: cannot be written"), ("preprocess", "")])
def test_a_disk_that_takes_no_more_leaves_nothing_half_written(clone, stage, what):
    """By a limit on a file's size: to fill a real disk needs the right to mount one, which `make torture` does."""
    for before in ("fetch", stage):
        assert said(run(clone.root, before, "synthetic"))[0] == 0
    there = {folder: files(clone.root / "data" / folder) for folder in ("raw", "processed")}
    limit = (500_000, 500_000)  # bytes; the images alone are 921,600
    process = run(clone.root, stage, "synthetic", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    status, lines = said(process)
    assert status == 1 and len(lines) == 1 and what in lines[0] and "File too large" in lines[0]
    assert {folder: files(clone.root / "data" / folder) for folder in there} == there
