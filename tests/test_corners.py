"""DVC's corners: queues, interruptions, deleted and edited results, strange surroundings; in one small clone."""

import json
import re
import shutil
import subprocess
import time

import pytest
from clone import Clone

pytestmark = pytest.mark.corners
METRICS = "results/synthetic/basic/metrics.json"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with its results committed."""
    clone = Clone(tmp_path_factory.mktemp("a folder") / "a clone")
    clone.run_small_pipeline()
    clone.commit()
    return clone


@pytest.fixture(autouse=True)
def clean(clone):
    """Each test leaves the clone as it found it."""
    before = clone.sums()
    yield
    clone.git("checkout", "-q", ".")
    assert clone.sums() == before


def ran(done):
    return re.findall(r"Running stage '(.*?)'", done.stdout)


def test_nothing_changed_says_a_clone_without_cache_and_data(clone, tmp_path):
    """Also where Git is told to change line ends."""
    clone.git("clone", "-q", "-c", "core.autocrlf=true", str(clone.root), str(tmp_path / "fresh"))
    fresh = clone.elsewhere(tmp_path / "fresh")
    assert not ran(fresh.run("dvc", "repro", "--allow-missing", "--dry"))
    done = fresh.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert fresh.sums() == clone.sums() and not fresh.git("status", "--porcelain")


def test_a_figure_is_drawn_again_without_data_and_weights(clone, tmp_path):
    clone.git("clone", "-q", str(clone.root), str(tmp_path / "fresh"))
    fresh = clone.elsewhere(tmp_path / "fresh")
    file = fresh.root / "src/fergit/analysis/metrics.py"
    file.write_text(file.read_text(encoding="utf-8") + "# One more sentence.\n", encoding="utf-8")
    done = fresh.run("dvc", "repro", "--allow-missing")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name.split("@")[0] for name in ran(done)} == {"evaluate", "report"}
    assert not (fresh.root / "data/processed").exists() and not (fresh.root / "models/synthetic").exists()


def test_an_experiment_is_undone_as_docs_say(clone):
    done = clone.run("dvc", "exp", "run", "-S", "seeds=[1]")
    assert done.returncode == 0, done.stdout + done.stderr
    assert clone.git("status", "--porcelain")
    for command in ("git restore .", "git clean -fdq results runs", "dvc checkout"):
        assert command in (clone.root / "docs/experiments.md").read_text()
        done = clone.run(*command.split())
        assert done.returncode == 0, done.stdout + done.stderr
    assert not clone.git("status", "--porcelain")
    assert not ran(clone.run("dvc", "repro", "--dry"))


def test_deleted_results_come_back_without_training(clone):
    clone.git("rm", "-rq", "results")
    done = clone.run("dvc", "repro")
    clone.git("reset", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| epoch " not in done.stdout + done.stderr
    assert not clone.git("status", "--porcelain")


def test_an_executed_notebook_that_was_saved_in_jupyter_comes_back(clone):
    notebook = clone.root / "results/synthetic/basic/02-train/seed-0/02-train.ipynb"
    saved = json.loads(notebook.read_text())
    saved["metadata"]["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    notebook.write_text(json.dumps(saved, indent=1))
    done = clone.run("dvc", "repro")
    assert done.returncode == 0 and "| epoch " not in done.stdout + done.stderr
    assert not clone.git("status", "--porcelain")


def test_a_branch_and_back(clone):
    clone.git("switch", "-qc", "other")
    clone.set(evaluate__calibration_bins=5)
    assert clone.run("dvc", "repro").returncode == 0
    clone.commit()
    clone.git("switch", "-q", "-")
    done = clone.run("dvc", "repro")
    assert "| epoch " not in done.stdout + done.stderr and not clone.git("status", "--porcelain")


def test_collecting_garbage_costs_nothing_that_is_named(clone):
    assert clone.run("dvc", "gc", "--workspace", "--force").returncode == 0
    assert not ran(clone.run("dvc", "repro"))


def test_two_at_once(clone):
    """The second waits for nothing and breaks nothing: DVC says that another one runs."""
    clone.set(evaluate__calibration_bins=7)
    first = clone.start("dvc", "repro")
    time.sleep(3)
    second = clone.run("dvc", "repro")
    first.stdout.read()
    assert first.wait() == 0
    if second.returncode:
        assert "Unable to acquire lock" in second.stderr or "is busy" in second.stderr, second.stderr
    assert not ran(clone.run("dvc", "repro", "--dry"))
    assert len((clone.root / METRICS).with_name("calibration.csv").read_text().splitlines()) <= 1 + 7


def test_a_lock_that_dvc_left_half_written(clone):
    """As a kill leaves it: `make repro` says what it does about it, without setting up an environment here."""
    lock = clone.root / ".dvc" / "tmp" / "rwlock"
    lock.write_text("")
    assert clone.run("dvc", "repro").returncode != 0
    recipe = subprocess.run(["make", "-n", "repro", "VENV=nowhere"], cwd=clone.root, capture_output=True, text=True)
    [line] = [line for line in recipe.stdout.splitlines() if "rwlock" in line]
    subprocess.run(line, shell=True, cwd=clone.root, check=True)
    assert clone.run("dvc", "repro").returncode == 0


def test_queued_experiments_run_the_code_and_parameters_of_their_time(clone):
    code = clone.root / "src/fergit/analysis/intervals.py"
    text = code.read_text()
    for name, digits, level in (("one", 3, 0.9), ("two", 4, 0.8)):
        code.write_text(text.replace("round(float(value), 6)", f"round(float(value), {digits})"))
        done = clone.run("dvc", "exp", "run", "--queue", "--name", name, "-S", f"evaluate.confidence_level={level}")
        assert done.returncode == 0, done.stderr
    code.write_text(text.replace("round(float(value), 6)", "1 / 0"))  # what neither of them may see
    assert clone.run("dvc", "queue", "start", "-j", "2").returncode == 0
    wait_for_the_queue(clone)
    for name, digits, key in (("one", 3, "ci90"), ("two", 4, "ci80")):
        found = json.loads(clone.git("show", f"{experiment(clone, name)}:{METRICS}"))
        assert key in found["accuracy"]
        assert all(value == round(value, digits) for value in found["accuracy"][key])
    clone.run("dvc", "exp", "remove", "one", "two")


def test_a_failed_queued_experiment_leaves_its_notebook(clone):
    code = clone.root / "src/fergit/analysis/metrics.py"
    whole = "def summarize(test, validation, trainings, evaluate):"
    assert whole in code.read_text()
    code.write_text(code.read_text().replace(whole, f"{whole}\n    1 / 0"))
    assert clone.run("dvc", "exp", "run", "--queue", "--name", "broken").returncode == 0
    clone.git("checkout", "-q", ".")
    clone.run("dvc", "queue", "start")
    wait_for_the_queue(clone)
    said = clone.run("dvc", "queue", "logs", "broken").stdout
    kept = re.search(r"error: ZeroDivisionError: .* \[03-evaluate, cell-\d+; see (.*)\]", said)
    assert kept, said
    notebook = clone.root / kept[1]
    assert "ZeroDivisionError" in notebook.read_text()
    clone.run("dvc", "queue", "remove", "--all")


def test_a_temporary_experiment_leaves_the_workspace_alone(clone):
    before = clone.sums()
    done = clone.run("dvc", "exp", "run", "--temp", "--name", "aside", "-S", "evaluate.confidence_level=0.7")
    assert done.returncode == 0, done.stderr
    assert clone.sums() == before
    assert "ci70" in clone.git("show", f"{experiment(clone, 'aside')}:{METRICS}")
    clone.run("dvc", "exp", "remove", "aside")


def test_experiments_in_a_folder_with_umlauts_need_a_cache_without(clone, tmp_path):
    """DVC writes the cache's path in ASCII alone; that path is all that must be ASCII."""
    twin = clone.copy(tmp_path / "Übung" / "clone")
    twin.set("params.yaml", evaluate__confidence_level=0.6)
    assert "'ascii' codec" in twin.run("dvc", "exp", "run", "--temp", "--name", "aside").stderr
    shutil.move(twin.root / ".dvc/cache", tmp_path / "cache")
    assert twin.run("dvc", "cache", "dir", "--local", str(tmp_path / "cache")).returncode == 0
    done = twin.run("dvc", "exp", "run", "--temp", "--name", "aside")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ci60" in twin.git("show", f"{experiment(twin, 'aside')}:{METRICS}")


SURROUNDINGS = {
    "no home, no terminal, no language": {"HOME": None, "LANG": "C", "LC_ALL": "C", "TERM": None},
    "a Keras set to another backend": {"HOME": "keras"},
    "another kernel of that name": {"JUPYTER_PATH": "kernels"},
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_strange_surroundings_change_no_byte(clone, tmp_path, surroundings):
    (tmp_path / "keras/.keras").mkdir(parents=True)
    (tmp_path / "keras/.keras/keras.json").write_text(json.dumps({"backend": "torch", "floatx": "float16"}))
    kernel = tmp_path / "kernels/kernels/python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    env = {
        name: str(tmp_path / value) if value in ("keras", "kernels") else value
        for name, value in SURROUNDINGS[surroundings].items()
    }
    before = clone.sums()
    clone.forget_checkpoints()
    done = clone.run("dvc", "repro", "--force", "--single-item", "train@synthetic-basic-0", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| epoch 1/1 |" in done.stdout + done.stderr
    assert clone.sums() == before


def test_data_external_may_be_read_only(clone):
    folder = clone.root / "data/external"
    folder.chmod(0o555)
    try:
        done = clone.run("dvc", "repro", "--force", "--single-item", "fetch@synthetic")
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stdout + done.stderr


def test_forced_again_every_byte_is_the_same_without_a_secret_or_a_name_of_the_machine(clone):
    env = {"KAGGLE_KEY": "0123456789abcdef", "SOME_TOKEN": "fedcba9876543210"}
    before = clone.sums()
    clone.forget_checkpoints()
    done = clone.run("dvc", "repro", "--force", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| epoch 1/1 |" in done.stdout + done.stderr
    assert clone.sums() == before
    for file in (clone.root / "results").rglob("*"):
        if file.is_file():
            text = file.read_bytes()
            for secret in (*env.values(), str(clone.root), *clone.machine()):
                assert secret.encode() not in text, (file, secret)


def experiment(clone, name):
    """The commit of an experiment."""
    [line] = [line for line in clone.git("for-each-ref", "refs/exps").splitlines() if line.endswith(f"/{name}")]
    return line.split()[0]


def wait_for_the_queue(clone):
    end = time.monotonic() + 300
    while time.monotonic() < end:
        status = clone.run("dvc", "queue", "status").stdout
        if "Running" not in status and "Queued" not in status:
            return
        time.sleep(2)
    raise AssertionError(status)
