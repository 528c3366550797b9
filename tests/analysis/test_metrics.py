import json

import made_up
import numpy as np
import pandas as pd
import pytest
from made_up import CLASSES, EVALUATE
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from fergit.analysis import metrics
from fergit.core import files
from fergit.core.errors import FergitError
from fergit.core.predictions import classes_of, seeds_of, unpack


def summarize(table, trained=True, **evaluate):
    seeds = seeds_of(table)
    held = made_up.predictions(seeds, 200, classes_of(table), split="validation")
    trainings = {seed: made_up.training(trained=trained, train_accuracy=0.8 + 0.1 * seed) for seed in seeds}
    return metrics.summarize(table, held, trainings, EVALUATE | evaluate)


def test_metrics_are_scikit_learns():
    table = made_up.predictions(seeds=(0, 1))
    summary = summarize(table)
    labels, probabilities = unpack(table)
    guesses = probabilities.argmax(axis=2)
    f1 = [f1_score(labels, guess, average="macro") for guess in guesses]
    assert summary["accuracy"]["per_seed"] == pytest.approx([accuracy_score(labels, g) for g in guesses], abs=1e-6)
    assert summary["macro_f1"]["per_seed"] == pytest.approx(f1, abs=1e-6)
    assert summary["macro_f1"]["sd"] == pytest.approx(np.std(f1, ddof=1), abs=1e-6)
    area = np.mean([roc_auc_score(labels, p, multi_class="ovr") for p in probabilities])
    assert summary["macro_roc_auc"] == pytest.approx(area, abs=1e-6)
    assert summary["train_accuracy"] == pytest.approx(0.85)
    per_class = metrics.per_class(table)
    assert list(per_class["support"]) == list(np.bincount(labels))
    assert per_class["f1"].mean() == pytest.approx(np.mean(f1))
    assert metrics.averages(table).loc["macro", "f1"] == pytest.approx(np.mean(f1))
    assert metrics.averages(table).loc["weighted", "recall"] == pytest.approx(summary["accuracy"]["mean"], abs=1e-6)


def test_summary_is_plain_json_with_the_promised_keys():
    summary = summarize(made_up.predictions(), trained=False)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    for name in ("accuracy", "macro_f1"):
        entry = summary[name]
        assert entry["sd"] is None and len(entry["per_seed"]) == 1
        assert entry["ci95"][0] < entry["mean"] < entry["ci95"][1]
    assert summary["trained"] == {"0": False}
    assert (summary["n_test"], summary["parameters"], summary["seeds"]) == (300, 9_773_111, [0])
    assert summarize(made_up.predictions(), confidence_level=0.9)["accuracy"]["ci90"]


def test_a_class_without_images_has_no_say():
    table = made_up.predictions(classes=("angry", "happy", "sad", "contempt"))
    table["label"] = table["label"].replace("contempt", "sad")
    summary = summarize(table)
    assert summary["macro_f1"]["ci95"][0] <= summary["macro_f1"]["mean"] <= summary["macro_f1"]["ci95"][1]
    curves, areas = metrics.roc_curves(table)
    assert np.isnan(areas["contempt"]) and set(curves["class"]) == {"angry", "happy", "sad"}
    row = metrics.per_class(table).loc["contempt"]
    assert (row["recall_low"], row["recall_high"]) == (0, 1)


def test_right_and_named_take_any_table_with_a_column_for_each_class():
    table = made_up.predictions(seeds=(0, 1), n=20)
    hits = metrics.right(table.assign(group="P1"))
    assert np.array_equal(hits.to_numpy().reshape(2, 20), metrics.correct(table))
    assert metrics.named(table).isin(CLASSES).all()
    assert np.allclose(metrics.by_image(hits, table), metrics.correct(table).mean(axis=0))


def test_the_most_frequent_confusions_come_first():
    confusion = np.array([[8, 2, 0], [5, 5, 0], [1, 2, 7]])
    table = metrics.most_confused(confusion, CLASSES, most=2)
    assert table["class"].tolist() == ["happy", "angry"] and table["predicted"].tolist() == ["angry", "happy"]
    assert table["images"].tolist() == [5, 2] and table["share"].tolist() == [0.5, 0.2]
    assert metrics.most_confused(np.eye(3, dtype=int), CLASSES).empty


def test_roc_areas_and_curves():
    table = made_up.predictions()
    labels, probabilities = unpack(table)
    curves, areas = metrics.roc_curves(table)
    assert areas["sad"] == pytest.approx(roc_auc_score(labels == 2, probabilities[0][:, 2]))
    sad = curves[curves["class"] == "sad"]
    assert len(sad) == 101 and sad["tpr"].is_monotonic_increasing and sad["tpr"].iloc[-1] == 1
    assert np.trapezoid(sad["tpr"], sad["fpr"]) == pytest.approx(areas["sad"], abs=0.02)


def test_a_network_compared_with_itself_and_with_a_better_one():
    same = metrics.compare(made_up.predictions(), made_up.predictions(), EVALUATE)
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)
    assert same["mcnemar"] == [{"seed": 0, "only_first": 0, "only_second": 0, "p": 1.0, "p_holm": 1.0}]
    better = metrics.compare(made_up.predictions(strength=0.5), made_up.predictions(strength=3), EVALUATE)
    assert 0 < better["low"] < better["difference"] < better["high"] and better["over_seeds"] is None  # one seed
    test = better["mcnemar"][0]
    p = stats.binomtest(test["only_first"], test["only_first"] + test["only_second"]).pvalue
    assert test["p"] == pytest.approx(p, abs=1e-6)
    with pytest.raises(FergitError, match="different test images"):
        metrics.compare(made_up.predictions(), made_up.predictions(n=200), EVALUATE)


def test_a_difference_of_three_seeds_has_their_interval_too():
    first, second = (made_up.predictions(strength=strength, seeds=(0, 1, 2)) for strength in (1, 1.5))
    by_seed = metrics.correct(second).mean(axis=1) - metrics.correct(first).mean(axis=1)
    low, high = stats.t.interval(0.95, 2, by_seed.mean(), by_seed.std(ddof=1) / 3**0.5)
    found = metrics.compare(first, second, EVALUATE)
    assert found["over_seeds"] == pytest.approx([low, high], abs=1e-6)
    assert found["per_seed"] == pytest.approx(by_seed, abs=1e-6)


def test_tables_have_unix_line_ends_and_the_first_seed(tmp_path):
    files.write_table(tmp_path / "t.csv", metrics.confusion_table(made_up.predictions(seeds=(0, 1))))
    table = pd.read_csv(tmp_path / "t.csv")
    assert list(table.columns) == ["actual", "predicted"] and len(table) == 300
