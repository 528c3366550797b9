import hashlib
import itertools
import json
import shutil

import pytest
from analysis.test_report import DAMAGED, write_report, write_results
from ruamel.yaml import YAML

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.pages import replication, summary

REPOSITORY = paths.ROOT  # before the tests here replace paths.ROOT
README = "# A title\n\n<!-- results:begin -->\nold\n<!-- results:end -->\n\nThe rest.\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    for dataset in ("synthetic", "fergit", "ckplus"):
        write_results(dataset, "residual", trained=dataset != "synthetic")
        write_report(dataset, ["residual"])
        cells = [{"cell_type": "markdown", "id": "cell-1", "metadata": {}, "source": "# Evaluate a network\nText."}]
        notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (paths.results(dataset, "residual") / "03-evaluate.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def write_run(root, dataset, seconds):
    file = root / "runs" / dataset / "residual" / "seed-0.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps({"seconds": seconds, "epochs": 100, "device": "A GPU", "cpus": 8, "backend": "tensorflow 2"})
    )


def test_readme_and_index_say_what_the_reports_say(root):
    summary.update()
    text = (root / "README.md").read_text()
    assert text.startswith("# A title\n\n<!-- results:begin -->\n- **FERGIT**") and text.endswith("\n\nThe rest.\n")
    order = [text.index(f"\n| {title}") for title in ("CK+", "FERGIT", "Synthetic faces")]
    assert order == sorted(order)
    assert "| FERGIT | residual | 75 % | 74.6 % (" in text and "training failed" in text and "Run times" not in text
    index = (root / "results" / "README.md").read_text()
    assert "[Evaluate a network: residual](fergit/residual/03-evaluate.ipynb)" in index
    for link in ("fergit/residual/03-evaluate.ipynb", "ckplus/residual/03-evaluate.ipynb"):
        assert (root / "results" / link).exists() and f"results/{link}" in text


def test_updating_twice_changes_nothing(root):
    write_run(root, "fergit", 3000)
    summary.update()
    first = [(root / name).read_bytes() for name in ("README.md", "results/README.md")]
    summary.update()
    assert first == [(root / name).read_bytes() for name in ("README.md", "results/README.md")]


def test_a_report_of_an_older_format_waits_for_its_stage(root, capsys):
    file = paths.report("fergit") / "report.json"
    file.write_text('{"dataset": "fergit", "models": {}}')
    summary.update()
    text = (root / "README.md").read_text()
    assert "FERGIT" not in text and "| CK+" in text
    assert "of an older version, left out of README; `dvc repro report@fergit`" in capsys.readouterr().err
    assert not summary.check()


def test_check_sees_a_result_that_changed(root):
    assert not summary.check()
    summary.update()
    assert summary.check()
    file = paths.report("fergit") / "report.json"
    file.write_text(file.read_text().replace('"n_test": 2465', '"n_test": 2464'))
    assert not summary.check()


def test_run_times_stand_where_something_was_trained(root):
    write_run(root, "fergit", 3000)
    write_run(root, "synthetic", 60)
    summary.update()
    text = (root / "README.md").read_text()
    assert "| FERGIT | residual | 100 | 50.0 | A GPU | 48 min |" in text
    assert "| 1.0 | A GPU |" not in text  # everybody runs synthetic: it would change with each of them


def test_the_recipe_is_argued_from_the_studies_where_fergit_has_it(root):
    for name in ("class-weights", "dropout", "batch-normalization", "poolings"):
        paths.study(name).mkdir(parents=True)
        shutil.copy(REPOSITORY / "results" / "studies" / name / "metrics.json", paths.study(name))
    study = paths.study("dropout") / "metrics.json"
    found = json.loads(study.read_text())
    next(row for row in found["variants"] if row["variant"] == "0.0")["training"] = 0.4321
    study.write_text(json.dumps(found))
    summary.update()
    assert "### The recipe on FERGIT" not in (root / "REPLICATION.md").read_text()  # FERGIT was trained by the paper's

    file = paths.results("fergit", "residual", 0) / "training.json"
    training = json.loads(file.read_text())
    training["train"]["class_weights"] = "none"
    training["network"]["dropout"] = [0.3, 0, 0, 0, 0]
    file.write_text(json.dumps(training))
    summary.update()
    text = (root / "REPLICATION.md").read_text()
    assert "### The recipe on FERGIT" in text and "without that dropout too 43.2 % and" in text
    assert (
        "times with none ([study](results/studies/class-weights/05-study.ipynb)); as FERGIT is trained above: " in text
    )
    assert "3.78 times (residual, [evaluation](results/fergit/residual/03-evaluate.ipynb))" in text  # 140 of 37 images
    assert "before the rate falls (residual 2, fall in 3): the lower rate bettered none." in text
    assert (
        "whole trainings with class weights: `dvc repro` with `datasets: [fergit]` and `class_weights: balanced`"
        in text
    )
    departure = "Trained without the class weights of p. 81 and without a dropout after each pair"
    assert departure in text and departure in (root / "README.md").read_text()
    study.unlink()
    summary.update()
    assert "### The recipe on FERGIT" not in (root / "REPLICATION.md").read_text()


def write_studies(found):
    for name, study in found.items():
        paths.study(name).mkdir(parents=True, exist_ok=True)
        (paths.study(name) / "metrics.json").write_text(json.dumps(study))


def test_readme_says_what_the_studies_of_several_splits_found(root):
    by_frames = json.loads((REPOSITORY / "results" / "studies" / "ckplus-frames" / "metrics.json").read_text())
    draws = by_frames["draws"]["residual"] | {"accuracy": 0.9123, "low": 0.8, "high": 0.95, "draws": 9, "below": 4}
    draws["by_person"] = {"a": [2, 2], "b": [2, 2]}
    by_frames |= {"draws": {"basic": draws, "residual": draws}}
    by_frames["paper"] |= {"basic": None}
    new = draws | {"accuracy": 0.8, "low": 0.7, "high": 0.9, "images": 987, "by_person": {"a": [2, 2], "b": [0, 2]}}
    by_persons = by_frames | {
        "draws": {"basic": new, "residual": new},
        "paper": {"basic": None, "residual": None},
        "vary": "ckplus.split.fold",
        "set": {"ckplus.split.protocol": "subjects"},
        "networks": dict.fromkeys(replication.NETWORKS, 0.02) | {"first": "basic", "second": "residual"},
    }
    by_frames["networks"] = None
    summary.update()
    assert "new persons" not in (root / "README.md").read_text()
    found = {"ckplus-frames": by_frames, "ckplus-subjects": by_persons}
    write_studies(found)
    summary.update()
    text = (root / "README.md").read_text()
    by = (
        "network **80.0 %** (70.0–90.0) over 9 folds of persons never seen, **91.2 %** (80.0–95.0) over 9 random splits"
    )
    assert text.count(by) == 2 and (root / "REPLICATION.md").read_text().count(by) == 2
    assert text.count("by frames: −50.0 points (−100.0 to 0.0)") == 2
    assert "Rounded like the paper's 97 %, the residual network is below it in 4, equal to it in 2" in text
    assert "Residual less basic, on persons never seen: +2.0 points (+2.0 to +2.0)." in text
    assert text.count("| CK+, new persons |") == 2
    assert "| CK+, new persons | residual | – | 80.0 % (70.0–90.0) | 10 | 987 |" in text

    by_persons["draws"]["basic"] = new | {"failed": 1}
    write_studies(found)
    summary.update()
    text = (root / "README.md").read_text()
    assert text.count(by) == 1 and "| CK+, new persons | basic | – | training failed | 10 |" in text


def test_what_holds_is_said_in_short(root):
    write_results("fergit", "basic")
    write_report("fergit", ["basic", "residual"])
    file = paths.report("fergit") / "report.json"
    report = json.loads(file.read_text())
    report["comparison"] = {"difference": 0.0123, "low": -0.01, "high": 0.03, "mcnemar": []}
    file.write_text(json.dumps(report))
    summary.update()
    text = (root / "README.md").read_text()
    assert "- **FERGIT**, test accuracy: basic **74.2 %** (72.4–75.8), the paper 74 %: **reproduced**; resid" in text
    assert "Residual less basic: +1.2 points (−1.0 to +3.0)." in text
    assert "One seed on FERGIT and CK+: another would give other numbers." in text

    report["models"]["residual"]["failed_seeds"] = [0]
    for claim in report["claims"]:
        if claim["network"] == "residual":
            claim |= {"ours": None, "verdict": "not tested here"}
    file.write_text(json.dumps(report))
    summary.update()
    text = (root / "README.md").read_text()
    assert "; residual training failed, the paper 75 %: **not tested here**." in text and "+1.2 points" not in text


def test_people_known_from_training_are_counted(root):
    file = paths.results("ckplus") / "01-preprocess" / "people-across-parts.csv"
    file.parent.mkdir()
    file.write_text("part,images,images of these\ntest,99,98\n")
    summary.update()
    assert "98 of its 99 test images show a person who is in training too." in (root / "README.md").read_text()


def test_fer2013s_own_protocol_stands_beside_what_others_report(root):
    write_results("fer2013", "residual")
    write_report("fer2013", ["residual"])
    summary.update()
    text = (root / "REPLICATION.md").read_text()
    assert "| the paper's residual network, here | **74.6 % (" in text
    assert "| VGGNet | 73.28 % | PublicTest | PrivateTest |" in text
    assert "(REPLICATION.md#fer2013s-official-protocol)" in (root / "README.md").read_text()

    file = paths.results("fer2013", "residual") / "predictions.csv"
    file.write_text(file.read_text().replace("fer2013/0", "fer2013/Test/0"))  # of folders, which do not tell the parts
    summary.update()
    assert "PrivateTest" not in (root / "REPLICATION.md").read_text()
    assert "official protocol" not in (root / "README.md").read_text()


def test_readme_without_its_markers_is_refused(root):
    (root / "README.md").write_text("# A title\n")
    with pytest.raises(FergitError, match="README.md: needs one line <!-- results:begin -->"):
        summary.update()


READ = (  # beside README.md itself
    "results/reports/fergit/report.json",
    "results/fergit/residual/03-evaluate.ipynb",
    "results/fergit/01-preprocess/people-across-parts.csv",
    "results/leaks/fergit/metrics.json",
    "results/gradcam/fergit/metrics.json",
    "results/studies/precision/metrics.json",
    "results/reconstruction/tables/idle-weights.csv",
    "runs/fergit/residual/seed-0.json",
    "runs/studies/precision.json",
)
EMPTY = {  # every key and column, and nothing below
    "results/fergit/01-preprocess/people-across-parts.csv": b"part,images,images of these\n",
    "results/gradcam/fergit/metrics.json": json.dumps(dict.fromkeys(replication.GRADCAM, [])).encode(),
    "results/studies/precision/metrics.json": json.dumps(dict.fromkeys(replication.STUDY, [])).encode(),
    "results/studies/ckplus-frames/metrics.json": json.dumps(  # as it was before some of the keys
        dict.fromkeys(replication.STUDY, []) | {"variants": [{}], "draws": {"residual": {"mean": 0.9}}}
    ).encode(),
    "results/reconstruction/tables/idle-weights.csv": b"poolings,network,only meet padding,parameters,share\n",
}


@pytest.mark.parametrize(("name", "data"), [*itertools.product(READ, DAMAGED), *EMPTY.items()])
def test_a_damaged_file_is_named_and_changes_nothing(root, name, data):
    if (data, name) == (b"{}", "results/reports/fergit/report.json"):
        pytest.skip("a report of the oldest format")
    summary.update()
    before = [(root / page).read_bytes() for page in ("README.md", "REPLICATION.md", "results/README.md")]
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
    with pytest.raises(FergitError) as refused:
        summary.update()
    assert str(refused.value).startswith(f"{name}: ") and "\n" not in str(refused.value)
    assert before == [(root / page).read_bytes() for page in ("README.md", "REPLICATION.md", "results/README.md")]


def test_readme_says_what_the_results_say():
    """If this fails: `python src/run.py summary`."""
    assert summary.check()


def test_results_were_made_by_the_code_beside_them():
    """If this fails: `dvc repro` of the stage, with its data set in params.yaml."""
    locks = [YAML(typ="safe").load(paths.ROOT / name) for name in ("dvc.lock", "studies/dvc.lock")]
    stale = {
        (stage, dep["path"])
        for lock in locks
        for stage, entry in lock["stages"].items()
        for dep in entry.get("deps", [])
        if dep["path"].startswith(("src/", "notebooks/"))
        and hashlib.md5((paths.ROOT / dep["path"]).read_bytes()).hexdigest() != dep["md5"]
    }
    assert not stale
