import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from fergit.analysis import metrics
from fergit.core import files, paths
from fergit.core.errors import FergitError

CLASSES = ("angry", "happy", "sad")
EVALUATE = {"confidence_level": 0.95, "bootstrap_samples": 500, "calibration_bins": 10}


def made_up(seeds=(0,), n=300, classes=CLASSES, strength=1.5):
    rng = np.random.default_rng(7)
    labels = rng.integers(0, len(classes), n)
    probabilities = {}
    for seed in seeds:
        logits = np.random.default_rng(seed).normal(0, 1, (n, len(classes))) + strength * np.eye(len(classes))[labels]
        probabilities[seed] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return metrics.predictions_table(classes, [f"made-up/{i:05d}" for i in range(n)], labels, probabilities)


def trainings(seeds=(0,), trained=True):
    return {seed: {"parameters": 12, "trained": trained} for seed in seeds}


def test_a_missing_training_is_named_with_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    with pytest.raises(FergitError, match=r"02-train/seed-2/training.json.*dvc repro train@fergit-basic-2"):
        metrics.read_trainings("fergit", "basic", [2])


def test_metrics_are_scikit_learns():
    table = made_up(seeds=(0, 1))
    summary = metrics.summarize(table, trainings((0, 1)), EVALUATE)
    labels, probabilities = metrics.unpack(table)
    guesses = probabilities.argmax(axis=2)
    f1 = [f1_score(labels, guess, average="macro") for guess in guesses]
    assert summary["accuracy"]["per_seed"] == pytest.approx([accuracy_score(labels, g) for g in guesses], abs=1e-6)
    assert summary["macro_f1"]["per_seed"] == pytest.approx(f1, abs=1e-6)
    assert summary["macro_f1"]["sd"] == pytest.approx(np.std(f1, ddof=1), abs=1e-6)
    area = np.mean([roc_auc_score(labels, p, multi_class="ovr") for p in probabilities])
    assert summary["macro_roc_auc"] == pytest.approx(area, abs=1e-6)
    per_class = metrics.per_class(table)
    assert list(per_class["support"]) == list(np.bincount(labels))
    assert per_class["f1"].mean() == pytest.approx(np.mean(f1))
    assert metrics.averages(table).loc["macro", "f1"] == pytest.approx(np.mean(f1))
    assert metrics.averages(table).loc["weighted", "recall"] == pytest.approx(summary["accuracy"]["mean"], abs=1e-6)


def test_summary_is_plain_json_with_the_promised_keys():
    summary = metrics.summarize(made_up(), trainings(trained=False), EVALUATE)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    for name in ("accuracy", "macro_f1"):
        entry = summary[name]
        assert entry["sd"] is None and len(entry["per_seed"]) == 1
        assert entry["ci95"][0] < entry["mean"] < entry["ci95"][1]
    assert summary["trained"] == {"0": False}
    assert (summary["n_test"], summary["parameters"], summary["seeds"]) == (300, 12, [0])
    assert metrics.summarize(made_up(), trainings(), EVALUATE | {"confidence_level": 0.9})["accuracy"]["ci90"]


def test_a_class_without_images_has_no_say():
    table = made_up(classes=("angry", "happy", "sad", "contempt"))
    table["label"] = table["label"].replace("contempt", "sad")
    summary = metrics.summarize(table, trainings(), EVALUATE)
    assert summary["macro_f1"]["ci95"][0] <= summary["macro_f1"]["mean"] <= summary["macro_f1"]["ci95"][1]
    curves, areas = metrics.roc_curves(table)
    assert np.isnan(areas["contempt"]) and set(curves["class"]) == {"angry", "happy", "sad"}
    row = metrics.per_class(table).loc["contempt"]
    assert (row["recall_low"], row["recall_high"]) == (0, 1)


def test_wilson_is_the_textbooks():
    low, high = metrics.wilson(96, 99)
    z = stats.norm.ppf(0.975)
    centre = (96 / 99 + z**2 / 198) / (1 + z**2 / 99)
    half = z / (1 + z**2 / 99) * np.sqrt(96 / 99 * 3 / 99 / 99 + z**2 / (4 * 99**2))
    assert (low, high) == pytest.approx((centre - half, centre + half))


def test_bootstrap_agrees_with_the_normal_interval_and_is_the_same_each_time():
    values = np.random.default_rng(0).normal(0.5, 0.1, 2000)
    ends = metrics.bootstrap(values, lambda v: v.mean(axis=-1), samples=2000)
    error = 1.96 * values.std() / np.sqrt(values.size)
    assert ends == pytest.approx([values.mean() - error, values.mean() + error], abs=5e-4)
    assert ends == metrics.bootstrap(values, lambda v: v.mean(axis=-1), samples=2000)


def test_macro_f1_of_a_stack_is_scikit_learns():
    labels, probabilities = metrics.unpack(made_up(seeds=(0, 1)))
    stack = metrics.confusions(made_up(seeds=(0, 1)))
    expected = [f1_score(labels, p.argmax(axis=1), average="macro") for p in probabilities]
    assert metrics.macro_f1(stack) == pytest.approx(expected)


def test_interval_over_seeds_needs_two():
    assert metrics.over_seeds([0.7]) is None
    low, high = metrics.over_seeds([0.70, 0.72])
    assert (low + high) / 2 == pytest.approx(0.71) and high - low == pytest.approx(2 * 12.706 * 0.01, rel=1e-3)


def test_roc_areas_and_curves():
    table = made_up()
    labels, probabilities = metrics.unpack(table)
    curves, areas = metrics.roc_curves(table)
    assert areas["sad"] == pytest.approx(roc_auc_score(labels == 2, probabilities[0][:, 2]))
    sad = curves[curves["class"] == "sad"]
    assert len(sad) == 101 and sad["tpr"].is_monotonic_increasing and sad["tpr"].iloc[-1] == 1
    assert np.trapezoid(sad["tpr"], sad["fpr"]) == pytest.approx(areas["sad"], abs=0.02)


def test_calibration_counts_every_image_once():
    table = metrics.calibration(made_up(), bins=10)
    assert table["images"].sum() == 300
    assert ((table["confidence"] > table["low"]) & (table["confidence"] <= table["high"])).all()
    error = np.average(abs(table["confidence"] - table["accuracy"]), weights=table["images"])
    assert metrics.calibration_error(table) == pytest.approx(error)


def test_a_network_compared_with_itself_and_with_a_better_one():
    same = metrics.compare(made_up(), made_up(), EVALUATE)
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)
    assert same["mcnemar"] == [{"seed": 0, "only_first": 0, "only_second": 0, "p": 1.0, "p_holm": 1.0}]
    better = metrics.compare(made_up(strength=0.5), made_up(strength=3), EVALUATE)
    assert 0 < better["low"] < better["difference"] < better["high"]
    test = better["mcnemar"][0]
    p = stats.binomtest(test["only_first"], test["only_first"] + test["only_second"]).pvalue
    assert test["p"] == pytest.approx(p, abs=1e-6)
    with pytest.raises(FergitError, match="different test images"):
        metrics.compare(made_up(), made_up(n=200), EVALUATE)


@pytest.mark.parametrize(
    ("paper", "n", "ours", "consistent"),
    [
        (0.75, 2465, 0.73, True),
        (0.75, 2465, 0.70, False),
        (0.97, 99, 0.92, True),
        (0.97, 99, 0.80, False),
        (1, 14, 1, True),
    ],
)
def test_consistency_takes_both_samples_into_account(paper, n, ours, consistent):
    assert metrics.consistency(paper, n, ours, n)["consistent"] is consistent


def test_tables_have_unix_line_ends_and_the_first_seed(tmp_path):
    files.write_table(tmp_path / "t.csv", metrics.confusion_table(made_up(seeds=(0, 1))))
    table = pd.read_csv(tmp_path / "t.csv")
    assert list(table.columns) == ["actual", "predicted"] and len(table) == 300
