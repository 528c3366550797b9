"""Reports from made-up results: exactly the networks and seeds of params.yaml, or an error that names a file."""

import json

import made_up
import pytest
from made_up import EVALUATE

from fergit.analysis import claims, report
from fergit.core import paths
from fergit.core.errors import FergitError


def build(dataset, models, seeds=(0,), protocol=None):
    outcomes = report.read_outcomes(dataset, models, seeds)
    checked = claims.check(dataset, outcomes, EVALUATE, protocol)
    return report.build(dataset, outcomes, report.compare(outcomes, EVALUATE), checked, EVALUATE, protocol)


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_a_report_has_the_networks_their_difference_and_the_claims():
    for model in report.PAIR:
        made_up.write_results("fergit", model, seeds=(0, 1))
    built = build("fergit", report.PAIR, seeds=(0, 1))
    assert json.loads(json.dumps(built, allow_nan=False)) == built
    residual = built["models"]["residual"]
    assert residual["accuracy"]["mean"] == pytest.approx(0.747, abs=1e-3) and residual["seeds"] == [0, 1]
    assert residual["paper_accuracy"] == 0.75 and residual["train_accuracy"] == 0.86
    highest = max(report.read_outcomes("fergit", ["residual"], (0, 1))["residual"].history["accuracy"])
    assert residual["highest_train_accuracy"] == pytest.approx(highest, abs=1e-6)
    assert built["comparison"]["difference"] == pytest.approx(0.005, abs=2e-3)
    verdicts = {claim["id"]: claim["verdict"] for claim in built["claims"]}
    assert verdicts["fergit-residual-accuracy"] == "reproduced"
    assert verdicts["fergit-residual-parameters"] == "by construction"


def test_another_protocol_is_not_the_papers():
    made_up.write_results("ckplus", "residual")
    built = build("ckplus", ["residual"], protocol="subjects")
    assert built["models"]["residual"]["paper_accuracy"] is None
    assert {claim["verdict"] for claim in built["claims"]} == {"not comparable"}


def test_a_data_set_that_the_paper_has_not(results):
    made_up.write_results("synthetic", "residual")
    (results / "synthetic" / "01-preprocess").mkdir()
    (results / "synthetic" / "01-preprocess" / "baseline.json").write_text('{"linear_accuracy": 0.5}')
    built = build("synthetic", ["residual"])
    assert built["claims"] == [] and built["comparison"] is None and built["baseline_accuracy"] == 0.5


def test_a_failed_training_is_named():
    made_up.write_results("fergit", "residual", trained=False)
    made_up.write_results("fergit", "basic")
    built = build("fergit", report.PAIR)
    assert built["models"]["residual"]["failed_seeds"] == [0] and built["comparison"] is None


def test_exactly_the_seeds_of_params_are_read():
    made_up.write_results("fergit", "residual", seeds=(0, 1))
    with pytest.raises(FergitError, match=r"seeds \[0, 1\], expected \[0\]; `dvc repro predict@fergit-residual`"):
        report.read_outcomes("fergit", ["residual"], [0])
    with pytest.raises(FergitError, match=r"basic/predictions.csv: no such file; `dvc repro`"):
        report.read_outcomes("fergit", ["basic"], [0])
    with pytest.raises(FergitError, match=r"02-train/seed-2/training.json.*`dvc repro train@fergit-basic-2`"):
        report.read_trainings("fergit", "basic", [2])


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xfe", b"<<<<<<< HEAD\n"])
@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv", "training.json", "history.csv"])
def test_a_damaged_result_is_named(name, data):
    made_up.write_results("fergit", "residual")
    (file,) = paths.RESULTS.rglob(name)
    file.write_bytes(data)
    with pytest.raises(FergitError) as refused:
        report.read_outcomes("fergit", ["residual"], [0])
    assert name in str(refused.value) and "\n" not in str(refused.value)


def test_metrics_of_other_seeds_or_another_level_are_refused():
    made_up.write_results("fergit", "residual", seeds=(0, 1))
    file = paths.results("fergit", "residual") / "metrics.json"
    found = json.loads(file.read_text())
    file.write_text(json.dumps(found | {"seeds": [0]}))
    with pytest.raises(FergitError, match=r"seeds \[0\], not \[0, 1\]; `dvc repro evaluate@fergit-residual`"):
        report.read_outcomes("fergit", ["residual"], [0, 1])
    file.write_text(json.dumps(found))
    outcomes = report.read_outcomes("fergit", ["residual"], [0, 1])
    with pytest.raises(FergitError, match="metrics.json: has no ci90; `dvc repro evaluate@fergit-residual` writes it"):
        report.build("fergit", outcomes, None, [], EVALUATE | {"confidence_level": 0.9})
