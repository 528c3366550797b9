"""The runner by hand: what it says of its arguments, when it is interrupted and when the disk is full."""

import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import time

import psutil
import pytest
from clone import Clone

import run as command
from fergit.core import params, paths
from fergit.runner import execute, schema


def run(root, *arguments, **options):
    """Start ``python src/run.py``, as in a terminal."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "src/run.py", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=root, env=env | {"COLUMNS": "100"}, **pipes, **options)


def by_hand():
    """As in a terminal: what runs in the background ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def said(process):
    """The exit status and the lines on standard error."""
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors.splitlines()


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with a few drawn faces, fetched and preprocessed."""
    clone = Clone(tmp_path_factory.mktemp("run") / "clone")
    clone.set(fetch__draw__images=400, synthetic__split__held_out=0.4)
    for stage in ("fetch", "preprocess"):
        assert said(run(clone.root, stage, "synthetic"))[0] == 0
    return clone


def test_help_says_what_each_stage_takes():
    def words(*arguments):
        return " ".join(run(paths.ROOT, *arguments, "--help").communicate()[0].split())

    help = words()
    for line in (
        "train DATASET MODEL SEED: train one network with one seed",
        "check check params.yaml",
        "DATASET one that has a block in params.yaml",
        "example: python src/run.py train synthetic residual 0",
    ):
        assert line in help
    assert "SEED a whole number" in words("train")


def here(monkeypatch, capsys, *arguments):
    """The same in this process: the exit status and the lines on standard error."""
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return ended.value.code, capsys.readouterr().err.splitlines()


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
def test_wrong_arguments_are_named(arguments, message, monkeypatch, capsys):
    status, lines = here(monkeypatch, capsys, *arguments)
    assert status == 2 and message in lines[-1]


@pytest.mark.parametrize("stage", ["study", "study-report"])
def test_a_study_that_there_is_not_is_named(stage, monkeypatch, capsys):
    status, lines = here(monkeypatch, capsys, stage, "nosuch")
    assert status == 1 and len(lines) == 1 and "no 'nosuch' in studies/params.yaml" in lines[0]


@pytest.mark.parametrize("stage", ["train", "evaluate", "studies/dvc.yaml:leaks"])
def test_params_yaml_is_read_once_a_stage(monkeypatch, stage):
    seen, read = [], params.read
    for module in (params, schema):
        monkeypatch.setattr(module, "read", lambda path: seen.append(path) or read(path))
    command.load_params.cache_clear()
    command.known_dataset("synthetic")
    command._params(stage, dataset="synthetic", model="basic", seed=0)
    assert seen.count(paths.PARAMS) == 1


@pytest.mark.parametrize("seed", ["7", "-1"])
def test_a_seed_that_params_yaml_has_not_is_refused(seed, monkeypatch, capsys):
    status, lines = here(monkeypatch, capsys, "train", "synthetic", "basic", "--", seed)
    assert status == 1 and lines == [f"error: seed is {seed}; allowed: those of params.yaml, 0"]


def test_a_remedy_names_what_it_needs_in_params_yaml(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(paths, "MODELS", tmp_path)
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    status, lines = here(monkeypatch, capsys, "ship", "fer2013", "residual", "0")
    remedy = "`dvc repro train@fer2013-residual-0` trains it, once params.yaml names fer2013 under `datasets`"
    assert status == 1 and len(lines) == 1 and lines[0].endswith(f": no such file; {remedy}")


def test_a_python_without_the_packages_is_named():
    """As of a dvc that is installed for itself and called outside the environment."""
    done = subprocess.run([sys.executable, "-S", "src/run.py", "check"], cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "source .venv/bin/activate" in done.stderr and "\n" not in done.stderr.strip()


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("tensorflo", "KERAS_BACKEND is 'tensorflo'; allowed: tensorflow, jax, torch"),
        ("torch", "KERAS_BACKEND is 'torch', which is not installed; `.venv/bin/pip install torch`"),
    ],
)
def test_a_backend_that_is_not_there_is_named(monkeypatch, capsys, backend, message):
    if backend == "torch" and importlib.util.find_spec("torch"):
        pytest.skip("torch is installed")
    monkeypatch.setitem(execute.ENVIRONMENT, "KERAS_BACKEND", backend)
    assert here(monkeypatch, capsys, "reconstruction") == (1, [f"error: {message}"])


def test_ctrl_c_in_fetch_leaves_nothing_half_written(clone):
    before = files(clone.root / "data/raw")
    assert before == ["synthetic/faces.npz", "synthetic/manifest.json"]
    clone.set(fetch__draw__images=1_000_000)
    process = run(clone.root, "fetch", "synthetic", preexec_fn=by_hand)
    wait_for((clone.root / "data/raw/.synthetic.partial").exists)
    process.send_signal(signal.SIGINT)
    status, lines = said(process)
    clone.set(fetch__draw__images=400)
    assert status == 130 and lines == ["error: interrupted; `dvc repro` goes on where it was"]
    assert files(clone.root / "data/raw") == before


@pytest.fixture
def slow(clone):
    """The clone while its 01-preprocess takes a minute, on however fast a machine."""
    path = clone.root / "notebooks/01-preprocess.ipynb"
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    sleep = {"cell_type": "code", "id": "sleep", "metadata": {}, "source": "import time; time.sleep(60)"}
    notebook["cells"].insert(0, sleep | {"execution_count": None, "outputs": []})
    path.write_text(json.dumps(notebook), encoding="utf-8")
    yield clone
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("seconds", [0.2, *(pytest.param(later, marks=pytest.mark.corners) for later in (1, 2, 4))])
def test_ctrl_c_while_a_notebooks_process_starts_is_one_line(slow, seconds):
    process = run(slow.root, "preprocess", "synthetic", preexec_fn=by_hand)
    wait_for(lambda: psutil.Process(process.pid).children())
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    assert said(process) == (130, ["error: interrupted; `dvc repro` goes on where it was"])


@pytest.mark.parametrize(
    ("stage", "what"), [("fetch", "data/raw/synthetic: cannot be written"), ("preprocess", "[01-preprocess, cell-")]
)
def test_a_disk_that_takes_no_more_leaves_nothing_half_written(clone, stage, what):
    """By a limit on a file's size: to fill a real disk needs the right to mount one, which `make torture` does."""
    there = {folder: files(clone.root / "data" / folder) for folder in ("raw", "processed")}
    limit = (500_000, 500_000)  # bytes; the images alone are 921,600
    process = run(clone.root, stage, "synthetic", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    status, lines = said(process)
    assert status == 1 and len(lines) == 1 and what in lines[0] and "File too large" in lines[0]
    assert {folder: files(clone.root / "data" / folder) for folder in there} == there


def test_dvcs_page_of_plots_says_what_it_lacks_without_a_network(clone):
    (clone.root / "history.csv").write_text("epoch,accuracy\n1,0.5\n2,0.75\n")
    done = clone.run("dvc", "plots", "show", "history.csv", "-o", "work/plots")
    assert done.returncode == 0, done.stderr
    page = (clone.root / "work/plots/index.html").read_text(encoding="utf-8")
    assert "if (!window.vegaEmbed)" in page and "make site" in page and "0.75" in page and "<script src=" in page


def test_check_says_what_a_data_set_replaces(monkeypatch, tmp_path, capsys):
    values = schema.load_params()
    own = {"mine": values["synthetic"] | {"overrides": {"train": {"epochs": 3}}}}
    own |= {"plain": values["synthetic"] | {"overrides": {}}}
    monkeypatch.setattr(command, "load_params", lambda: values | own | {"datasets": ["mine", "plain"]})
    monkeypatch.setattr(paths, "WORK", tmp_path)
    command.check()
    assert capsys.readouterr().out.splitlines() == [
        "note: mine has its own train.epochs; change these in its block of params.yaml"
    ]


def test_check_names_what_is_left_from_other_models_and_seeds(monkeypatch, tmp_path, capsys):
    values = schema.load_params()
    values["synthetic"]["overrides"] = {}
    monkeypatch.setattr(command, "load_params", lambda: values | {"models": ["basic"], "seeds": [0, 2]})
    for place in ("WORK", "RESULTS", "ROOT"):
        monkeypatch.setattr(paths, place, tmp_path)
    for left in ("basic/02-train/seed-0", "basic/02-train/seed-1", "residual/02-train/seed-2"):
        (tmp_path / "synthetic" / left).mkdir(parents=True)
    command.check()
    assert capsys.readouterr().out.splitlines() == [
        "note: results of models or seeds that params.yaml does not name, left out of the report: "
        "synthetic/basic/02-train/seed-1, synthetic/residual/02-train/seed-2"
    ]
