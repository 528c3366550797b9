"""Reports and the verdicts on the paper's claims, from made-up results."""

import json

import numpy as np
import pandas as pd
import pytest

from fergit.analysis import claims, metrics, report
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.pages import present
from fergit.paper import published

EVALUATE = {"confidence_level": 0.95, "bootstrap_samples": 200, "calibration_bins": 10}


def write_results(dataset, model, seeds=(0,), recalls=None, trained=True, epochs=100):
    """Results of a network with just these recalls: of each class the first images are right."""
    table = published.table(dataset, model) or published.TABLE_3
    recalls = table["recall"] if recalls is None else recalls
    labels = np.repeat(np.arange(7), table["support"])
    place = np.concatenate([np.arange(n) for n in table["support"]])
    right = place < np.round(np.array(recalls) * np.array(table["support"]))[labels]
    probabilities = np.where(np.eye(7, dtype=bool)[np.where(right, labels, (labels + 1) % 7)], 0.7, 0.05)
    ids = [f"{dataset}/{i:05d}" for i in range(labels.size)]
    predictions = metrics.predictions_table(table["classes"], ids, labels, dict.fromkeys(seeds, probabilities))
    training = {
        "dataset": dataset,
        "model": model,
        "trained": trained,
        "parameters": 9_766_391 if model == "residual" else 4_730_423,
        "epochs_run": min(epochs, 60),
        "best_epoch": 2,
        "best_val_accuracy": 0.7,
        "prior_val_accuracy": 0.3,
        "train_accuracy_at_best": 0.86,
        "highest_train_accuracy": 0.9,
        "n_train": 44_370,
        "classes": table["classes"],
        "network": {"dropout": 0.3},
        "train": {"epochs": epochs, "class_weights": "balanced"},
    }
    history = pd.DataFrame({"epoch": [1, 2, 3], "val_accuracy": [0.3, 0.7, 0.6], "learning_rate": [1e-3, 1e-3, 1e-4]})
    history[["loss", "accuracy", "val_loss"]] = 0.5
    for seed in seeds:
        folder = paths.results(dataset, model, seed)
        folder.mkdir(parents=True)
        (folder / "training.json").write_text(json.dumps(training))
        history.to_csv(folder / "history.csv", index=False)
    folder = paths.results(dataset, model)
    metrics.write_predictions(folder / "predictions.csv", predictions)
    summary = metrics.summarize(predictions, dict.fromkeys(seeds, training), EVALUATE)
    (folder / "metrics.json").write_text(json.dumps(summary))


def write_report(dataset, models, seeds=(0,), protocol=None):
    outcomes = report.read_outcomes(dataset, models, seeds)
    comparison = report.compare(outcomes, EVALUATE)
    checked = claims.check(dataset, outcomes, comparison, 0.95, protocol)
    built = report.build(dataset, outcomes, comparison, checked, EVALUATE, protocol)
    paths.report(dataset).mkdir(parents=True, exist_ok=True)
    (paths.report(dataset) / "report.json").write_text(json.dumps(built, allow_nan=False))
    return built, checked.set_index("id")


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_the_papers_own_recalls_bear_out_its_table():
    write_results("fergit", "basic")
    write_results("fergit", "residual")
    built, checked = write_report("fergit", ["basic", "residual"])
    verdicts = checked["verdict"]
    for name in ("residual-accuracy", "basic-accuracy", "residual-gain", "residual-happy", "basic-fear"):
        assert verdicts[f"fergit-{name}"] in ("reproduced", "reproduced within our interval"), name
    assert verdicts["fergit-residual-gain"] == "reproduced within our interval"  # which holds 0
    assert verdicts["fergit-residual-parameters"] == "reproduced"
    assert verdicts["fergit-residual-training-accuracy"] in ("reproduced", "not contradicted")
    assert set(verdicts[checked["metric"] == "minutes"]) == {"not testable"}
    assert built["models"]["residual"]["accuracy"]["mean"] == pytest.approx(0.747, abs=1e-3)
    assert set(checked.index) == {claim.id for claim in published.CLAIMS if claim.dataset == "fergit"}


def test_a_worse_network_reproduces_nothing():
    write_results("fergit", "residual", recalls=[0.3] * 7)
    _, checked = write_report("fergit", ["residual"])
    row = checked.loc["fergit-residual-accuracy"]
    assert row["verdict"] == "not reproduced" and "lower" in row["note"]
    assert checked.loc["fergit-basic-accuracy", "verdict"] == "not tested here"
    assert checked.loc["fergit-residual-gain", "note"] == "needs both networks"


def test_a_macro_f1_stands_beside_both_of_the_papers():
    """Beside the 65 % of its text in the claims, beside the mean of its table, 67.4 %, in the figure."""
    write_results("fergit", "residual", recalls=[0.55, 0.2, 0.43, 0.9, 0.56, 0.75, 0.82])
    built, checked = write_report("fergit", ["residual"])
    row = checked.loc["fergit-residual-macro-f1"]
    assert row["high"] < 0.669 and row["note"].endswith("; the mean of its table's is above it")
    drawn = present.networks_plot_table(built).set_index("metric")["paper"]
    assert drawn["accuracy"] == 0.75 and drawn["macro F1"] == pytest.approx(0.674, abs=5e-4)


@pytest.mark.parametrize(("highest", "verdict"), [(0.88, "not contradicted"), (0.8, "not reproduced")])
def test_a_training_accuracy_may_be_of_any_epoch(highest, verdict):
    write_results("fergit", "residual")
    file = paths.results("fergit", "residual", 0) / "training.json"
    changed = {"train_accuracy_at_best": 0.787, "highest_train_accuracy": highest}
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    _, checked = write_report("fergit", ["residual"])
    row = checked.loc["fergit-residual-training-accuracy"]
    assert row["verdict"] == verdict and row["ours"] == 0.787
    assert row["note"].startswith(f"in the epoch that is kept; at most {100 * highest:.1f} %")


def test_fewer_epochs_than_the_papers_contradict_nothing():
    write_results("fergit", "residual", recalls=[0.3] * 6 + [0.84], epochs=50)
    built, checked = write_report("fergit", ["residual"])
    row = checked.loc["fergit-residual-accuracy"]
    assert row["verdict"] == "not tested here" and row["ours"] < 0.5
    assert row["note"].startswith("after 50 of the paper's 100 epochs; ours is lower")
    assert checked.loc["fergit-residual-parameters", "verdict"] == "reproduced"
    assert "results of 50 epochs of the residual network, where the paper has 100: " in present.short_sentence(built)
    trainings = report.read_outcomes("fergit", ["residual"], [0])["residual"].trainings
    assert "given 50 of the paper's 100 epochs" in present.training_sentence(trainings[0])
    assert "given 50 of the paper's 100 epochs" in present.trainings_sentence(trainings)


def test_a_perfect_last_epoch_is_not_cut_short():
    write_results("fergit", "residual", recalls=[0.8] * 7, epochs=50)
    training = report.read_outcomes("fergit", ["residual"], [0])["residual"].trainings[0]
    assert training["epochs_run"] == 50
    perfect = training | {"best_epoch": 50, "best_val_accuracy": 1.0}
    assert "would probably go further" in present.training_sentence(perfect | {"best_val_accuracy": 0.99})
    said = present.training_sentence(perfect)
    assert "It ended there, for no other epoch can be better." in said
    assert "go further" not in said and "given" not in said


@pytest.mark.parametrize(("dataset", "epochs"), [("fergit", 100), ("fergit", 80), ("synthetic", 6)])
def test_trainings_that_are_not_short(dataset, epochs):
    """A whole one, one that early stopping ended after 60, and one whose length the paper does not tell."""
    write_results(dataset, "residual", epochs=epochs)
    built, _ = write_report(dataset, ["residual"])
    assert built["models"]["residual"]["epochs_short"] is None and present.short_sentence(built) == ""


def test_a_failed_training_tests_nothing():
    write_results("ckplus", "residual", trained=False)
    built, checked = write_report("ckplus", ["residual"], protocol="frames")
    assert set(checked["verdict"]) == {"not tested here", "not testable"}
    assert built["models"]["residual"]["failed_seeds"] == ["0"]
    assert "failure" in present.failure_warning({0: {"trained": False}}, "residual")


def test_another_protocol_is_not_the_papers():
    write_results("ckplus", "residual")
    built, checked = write_report("ckplus", ["residual"], protocol="subjects")
    assert set(checked["verdict"]) == {"not tested here", "not testable"}
    assert built["models"]["residual"]["paper_accuracy"] is None


def test_a_data_set_that_the_paper_has_not(results):
    write_results("synthetic", "residual", seeds=(0, 1))
    paths.results("synthetic", "01-preprocess").mkdir()
    (results / "synthetic" / "01-preprocess" / "baseline.json").write_text('{"linear_accuracy": 0.5}')
    built, checked = write_report("synthetic", ["residual"], seeds=(0, 1))
    assert checked.empty and built["claims"] == [] and built["comparison"] is None
    assert "50.0 %" in present.baseline_sentence(built)
    assert "no claim" in present.claims_sentence(checked, "synthetic")


def test_exactly_the_seeds_of_params_are_read():
    write_results("fergit", "residual", seeds=(0, 1))
    with pytest.raises(FergitError, match=r"seeds \[0, 1\], expected \[0\]; `dvc repro evaluate@fergit-residual`"):
        report.read_outcomes("fergit", ["residual"], [0])
    with pytest.raises(FergitError, match=r"basic/metrics.json: no such file; `dvc repro evaluate@fergit-basic`"):
        report.read_outcomes("fergit", ["basic"], [0])


DAMAGED = (b"", b"{", b"null", b"[]", b"{}", b"\xff\xfe", b"<<<<<<< HEAD\n")


@pytest.mark.parametrize("data", DAMAGED)
@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv", "training.json", "history.csv"])
def test_a_damaged_result_is_named(name, data):
    write_results("fergit", "residual")
    (file,) = paths.RESULTS.rglob(name)
    file.write_bytes(data)
    with pytest.raises(FergitError) as refused:
        report.read_outcomes("fergit", ["residual"], [0])
    assert name in str(refused.value) and "\n" not in str(refused.value)


def test_tables_for_readers_are_not_cut():
    write_results("fergit", "residual")
    built, checked = write_report("fergit", ["residual"])
    text = present.markdown(present.claims_table(checked))
    assert all(claim.sentence in text for claim in published.CLAIMS if claim.dataset == "fergit")
    assert "nan" not in text and "9,766,391" in text
    assert "75 %" in present.networks_table(built).to_string()
    paper = published.TABLE_3
    per_class = metrics.per_class(report.read_outcomes("fergit", ["residual"], [0])["residual"].predictions)
    shown = present.per_class_table(metrics.beside_paper(per_class, paper))
    assert shown["ours", "support"].tolist() == shown["paper", "support"].tolist() == list(paper["support"])
