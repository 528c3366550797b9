"""The real pipeline, end to end: DVC, the runner, Papermill, TensorFlow, on a few drawn faces, in a clone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import nbformat
import pandas as pd
import pytest
from clone import Clone

from fergit.data.synthetic import CLASSES, draw_faces


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    clone = Clone(tmp_path_factory.mktemp("ein Übungsordner"))
    clone.output = clone.run_small_pipeline()
    return clone


def test_every_promised_file_is_there(clone):
    results = clone.root / "results/synthetic"
    for name in (
        "01-preprocess.ipynb",
        "basic/03-evaluate.ipynb",
        "basic/predictions.csv",
        "basic/02-train/seed-0/02-train.ipynb",
        "basic/02-train/seed-0/history.csv",
        "basic/02-train/seed-0/training.json",
    ):
        assert (results / name).is_file(), name
    for name in ("reconstruction/00-reconstruction.ipynb", "reports/synthetic/04-report.ipynb"):
        assert (clone.root / "results" / name).is_file(), name
    metrics = json.loads((results / "basic/metrics.json").read_text())
    for name in ("accuracy", "macro_f1"):
        assert {"mean", "sd", "per_seed", "ci95"} <= set(metrics[name])
    assert metrics["n_test"] == 80 and metrics["seeds"] == [0] and metrics["parameters"] == 4_734_455


def test_progress_is_on_the_terminal_and_not_in_the_notebook(clone):
    assert "train synthetic basic seed 0 | epoch 1/1 | loss" in clone.output
    assert "at most" not in (clone.root / "results/synthetic/basic/02-train/seed-0/02-train.ipynb").read_text()


def test_again_at_once_nothing_runs(clone):
    done = clone.run("dvc", "repro")
    assert "Running stage" not in done.stdout and "up to date" in done.stdout


def test_another_seed_and_parameters_of_evaluate_do_not_train_again(clone):
    file = clone.root / "params.yaml"
    text = file.read_bytes()
    clone.set(seeds=[0, 1], evaluate__calibration_bins=5)
    done = clone.run("dvc", "repro", "--dry")
    file.write_bytes(text)
    assert "Running stage 'evaluate@synthetic-basic'" in done.stdout
    assert "Running stage 'train@synthetic-basic-1'" in done.stdout
    assert "Running stage 'train@synthetic-basic-0'" not in done.stdout


def test_a_wrong_parameter_is_one_line_and_changes_nothing(clone):
    before = clone.sums()
    clone.set(train__learning_rate=-1)
    done = clone.run("dvc", "repro")
    clone.set(train__learning_rate=0.001)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "error: " in line]
    assert done.returncode != 0 and clone.sums() == before
    assert said == ["error: params.yaml: train.learning_rate is -1; allowed: greater than 0"]


def test_a_wrong_study_is_one_line_and_changes_nothing(clone):
    before, file = clone.sums(), clone.root / "studies/params.yaml"
    text = file.read_bytes()
    clone.set("studies/params.yaml", studies__precision__vary="train.precison")
    done = clone.run("dvc", "repro", "studies/dvc.yaml:report@precision")
    file.write_bytes(text)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "error: " in line]
    assert done.returncode != 0 and clone.sums() == before
    assert len(said) == 1 and "studies/params.yaml: precision: unknown key train.precison" in said[0]


def test_missing_data_says_what_to_get_and_where_to_put_it(clone):
    done = clone.run(sys.executable, "src/run.py", "fetch", "ckplus")
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and len(lines) == 1
    assert "kaggle.com" in lines[0] and "data/external" in lines[0]


def test_trained_again_every_byte_is_the_same(clone):
    """All other stages: `make corners`."""
    before = clone.sums()
    clone.forget_checkpoints()
    done = clone.run("dvc", "repro", "--force", "--single-item", "train@synthetic-basic-0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| epoch 1/1 |" in done.stdout + done.stderr
    assert clone.sums() == before


@pytest.mark.corners
def test_a_study_runs_and_the_pipeline_leaves_it_alone(clone):
    clone.set("studies/params.yaml", studies__precision__models=["basic"], studies__precision__seeds=[0])
    done = clone.run("dvc", "repro", "studies/dvc.yaml:report@precision")
    assert done.returncode == 0, done.stdout + done.stderr
    output = done.stdout + done.stderr
    assert output.count("| epoch 1/1 |") == 1  # of mixed_bfloat16; float32 is what the pipeline has trained
    assert output.count("resumed after epoch 1") == 1
    folder = clone.root / "results/studies/precision"
    found = json.loads((folder / "metrics.json").read_text())
    assert [row["variant"] for row in found["variants"]] == ["float32", "mixed_bfloat16"]
    assert (folder / "05-study.ipynb").is_file() and (folder / "05-study/accuracy.png").is_file()
    own = pd.read_csv(clone.root / "results/synthetic/basic/predictions.csv")  # the pipeline's own training, again
    study = pd.read_csv(folder / "predictions.csv").query("variant == 'float32'")[own.columns]
    own, study = (table.sort_values("sample_id", ignore_index=True) for table in (own, study))
    pd.testing.assert_frame_equal(own, study, rtol=1e-4)
    assert "studies" not in clone.run("dvc", "repro").stdout


def test_leaks_are_measured_from_what_is_there(clone):
    done = clone.run("dvc", "repro", "studies/dvc.yaml:leaks@synthetic")
    assert done.returncode == 0 and "Running stage 'train" not in done.stdout, done.stderr
    found = json.loads((clone.root / "results/leaks/synthetic/metrics.json").read_text())
    assert found["n_test"] == 80 and found["networks"]["basic"]["copies"]


@pytest.mark.corners
def test_faces_of_ones_own_run_to_the_report(clone):
    """Three classes of drawn faces, in colour, 100x130 pixels."""
    images, labels, people = draw_faces(600, seed=5)
    for row in (row for row in range(600) if CLASSES[labels[row]] in ("happy", "sad", "surprise")):
        path = clone.root / "data/external/mine" / CLASSES[labels[row]].title() / f"{people[row]}_{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.cvtColor(cv2.resize(images[row], (100, 130)), cv2.COLOR_GRAY2BGR))
    file = clone.root / "params.yaml"
    text = file.read_bytes()
    own = {"images": {"source": "folders", "crop": "none", "classes": {"Sad": "sad"}, "person": "(P.*)_"}}
    own |= {"split": {"held_out": 0.4, "seed": 0}, "overrides": {"train": {"epochs": 1}}}
    clone.set(datasets=["mine"], mine=own)
    done = clone.run("dvc", "repro")
    leaks = clone.run("python", "src/run.py", "leaks", "mine")
    file.write_bytes(text)
    assert done.returncode == 0 and leaks.returncode == 0, done.stdout + done.stderr + leaks.stderr
    results = clone.root / "results"
    report = json.loads((results / "reports/mine/report.json").read_text())
    assert report["models"]["basic"]["paper_accuracy"] is None and report["claims"] == []
    predictions = pd.read_csv(results / "mine/basic/predictions.csv")
    assert list(predictions)[4:] == ["p_Happy", "p_Surprise", "p_sad"]
    for notebook in (results / "mine/basic/03-evaluate.ipynb", results / "reports/mine/04-report.ipynb"):
        tables = [o for cell in nbformat.read(notebook, 4).cells for o in cell.get("outputs", []) if "data" in o]
        assert not any("<th>paper</th>" in o["data"].get("text/html", "") for o in tables)


@pytest.mark.corners
def test_a_card_is_made_of_a_training(clone):
    done = clone.run("python", "src/run.py", "card", "synthetic", "basic")
    assert done.returncode == 0, done.stderr
    found = json.loads((clone.root / "results/card/synthetic-basic/metrics.json").read_text())
    own = json.loads((clone.root / "results/synthetic/basic/metrics.json").read_text())
    assert found["float32"]["accuracy"] == own["accuracy"]["mean"] and not found["files"]
    assert (clone.root / "results/card/synthetic-basic/09-card/altered.png").is_file()


def test_executed_notebooks_say_no_path_and_no_warning(clone):
    for path in (clone.root / "results").rglob("*.ipynb"):
        text = path.read_text()
        assert str(clone.root) not in text and "site-packages" not in text and str(Path.home()) + "/" not in text, path
        for cell in nbformat.reads(text, as_version=4).cells:
            assert not [o for o in cell.get("outputs", []) if o.get("name") == "stderr"], path


@pytest.mark.corners
def test_notebooks_run_by_hand_with_their_defaults(clone):
    """As in JupyterLab: no runner, no injected parameters; in file order, on what the stages left."""
    for stage in (("train", "synthetic", "residual", "0"), ("predict", "synthetic", "residual")):
        assert clone.run("python", "src/run.py", *stage).returncode == 0
    env = os.environ | {"PYTHONPATH": str(clone.root / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    shipped = (clone.root / "models/fergit-residual.onnx").exists()
    unready = [] if shipped else ["--ignore=notebooks/07-own-photos.ipynb"]  # test_own_photos.py runs it
    unready.append("--ignore=notebooks/08-gradcam.ipynb")  # wants the residual network; test_gradcam.py runs it
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "--nbmake-timeout=300", "-q", "notebooks", *unready],
        cwd=clone.root,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
