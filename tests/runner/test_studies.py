"""Studies: their definitions, their trainings, and what is said of them."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from bars import barred
from ruamel.yaml import YAML
from scipy import stats

from fergit.analysis import study_report
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import keep_newest
from fergit.core.params import stage_params
from fergit.data import datasets
from fergit.engine.checkpoint import find_checkpoint, training_key
from fergit.runner import studies
from fergit.runner.schema import load_params, load_studies

STUDY = {
    "question": "Does it matter?",
    "dataset": "synthetic",
    "models": ["basic"],
    "seeds": [0, 1],
    "set": {"train.epochs": 1},  # goes before the data set's own
    "vary": "train.precision",
    "values": ["float32", "mixed_bfloat16"],
}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    for name in ("WORK", "RESULTS", "RUNS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    return tmp_path


def define(elsewhere, monkeypatch, name="mine", **changes):
    path = elsewhere / "studies.yaml"
    with path.open("w") as file:
        YAML().dump({"studies": {name: STUDY | changes}}, file)
    monkeypatch.setattr(paths, "STUDIES", path)


def test_every_study_can_be_loaded():
    for name in load_studies():
        study = studies.load(name)
        assert study.question.endswith("?") and len(study.variants) >= 2
        sections = {"network", "augmentation", "train", "predict", study.dataset}
        assert all(set(params) == sections for params in study.variants.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vary": "train.precison"}, "unknown key train.precison"),
        ({"vary": "train.epochs.x"}, "unknown key train.epochs.x"),
        ({"vary": "evaluate.confidence_level"}, "allowed: those of network, augmentation, train and synthetic"),
        ({"vary": "train.device"}, "train.device cannot differ within a study"),
        ({"set": {"train.precision": "auto"}}, "mine: train.precision stands in both set and vary"),
        ({"values": ["float16"]}, "train.precision is 'float16'; allowed: 'float32', 'mixed_bfloat16' or 'auto'"),
        ({"set": {"train.epochz": 1}}, "unknown key train.epochz"),
        ({"models": ["resnet"]}, "mine.models.0 is 'resnet'; allowed: 'basic' or 'residual'"),
        ({"values": []}, "mine.values is []"),
        ({"sed": {}}, "unknown key studies.mine.sed; did you mean seeds?"),
        ({"vary": "datasets"}, "unknown key datasets; allowed: "),
        ({"vary": "train"}, "unknown key train; allowed: "),
        ({"vary": "a\nb" * 1000}, "unknown key a\\nb"),
        ({"values": [[[3, 5], [5, 3]]]}, "is nested; allowed: a number, a word or a list of them"),
        ({"set": {"train.reduce_lr": {"patience": 3}}}, "is nested"),
    ],
)
def test_a_wrong_study_is_refused(changes, message, elsewhere, monkeypatch):
    define(elsewhere, monkeypatch, **changes)
    with pytest.raises(FergitError) as refused:
        studies.load("mine")
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a.b", "A", "a b", "a\nb", "ä", "x" * 10_000, ""])
def test_a_study_whose_name_is_no_folders_name_is_refused(name, elsewhere, monkeypatch):
    define(elsewhere, monkeypatch, name)
    with pytest.raises(FergitError, match="no name of a study; allowed: up to 64 of a-z") as refused:
        load_studies()
    assert str(refused.value).isprintable() and len(str(refused.value)) < 400


def test_an_unknown_study_is_refused():
    with pytest.raises(FergitError, match="no 'ckplus'.*there are precision, "):
        studies.load("ckplus")


def test_a_study_trains_and_tests_each_variant(elsewhere, monkeypatch, capsys):
    define(elsewhere, monkeypatch)
    faces = barred()
    split = np.where(np.arange(80) < 48, "train", np.where(np.arange(80) < 64, "validation", "test")).astype("U10")
    monkeypatch.setattr(datasets, "preprocess", lambda dataset, settings: faces.with_split(split))
    studies.run("mine")
    predictions, trainings, history = study_report.read(paths.study("mine"))
    assert trainings[["variant", "seed"]].values.tolist() == [
        [variant, seed] for variant in STUDY["values"] for seed in STUDY["seeds"]
    ]
    assert len(history) == 4 and len(predictions) == 4 * 16
    guess = predictions.filter(regex="^p_").idxmax(axis=1).str.removeprefix("p_")
    shares = (guess == predictions["label"]).groupby([predictions["variant"], predictions["seed"]]).mean()
    assert shares.tolist() == trainings["accuracy"].tolist()
    assert len(list(paths.WORK.glob("checkpoints/*/*.npz"))) == 4
    seen, params = faces.with_split(split).take(split != "test"), stage_params("train", dataset="synthetic")
    params["train"]["epochs"] = 1
    key = training_key("synthetic", "basic", seen, params, 1)
    assert find_checkpoint(paths.checkpoints("synthetic", "basic", 1), key).exists()  # the pipeline's own name for it
    first = [(paths.study("mine") / f"{name}.csv").read_bytes() for name in ("predictions", "trainings", "history")]

    with monkeypatch.context() as killed, pytest.raises(TypeError):
        killed.setattr(studies, "write_table", None)  # after its last training
        studies.run("mine")
    capsys.readouterr()
    studies.run("mine")
    assert "| epoch " not in capsys.readouterr().out  # all four were there
    again = [(paths.study("mine") / f"{name}.csv").read_bytes() for name in ("predictions", "trainings", "history")]
    assert again == first


def test_the_newest_checkpoints_stay(tmp_path):
    for age in range(5):
        (tmp_path / f"{age}.npz").touch()
        os.utime(tmp_path / f"{age}.npz", (1000 - age, 1000 - age))
    keep_newest(tmp_path, 3)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.npz", "1.npz", "2.npz"]
    keep_newest(tmp_path, 30)
    assert len(list(tmp_path.iterdir())) == 3


def made_up(groups):
    """Two variants of three trainings, the second better by a tenth."""
    rows, images = [], []
    for variant, hits in (("a", (5, 6, 7)), ("b", (6, 7, 9))):
        for seed, right in enumerate(hits):
            rows.append((variant, "basic", seed, 0.5, 0.6, True, right / 10, 10))
            for i in range(10):
                images.append((variant, "basic", seed, f"i{i}", groups[i], "x", *((0.9, 0.1) if i < right else (0, 1))))
    columns = ["best_val_accuracy", "train_accuracy_at_best", "trained", "accuracy", "n_test"]
    predictions = pd.DataFrame(images, columns=[*studies.KEYS, "sample_id", "group", "label", "p_x", "p_y"])
    return predictions, pd.DataFrame(rows, columns=[*studies.KEYS, *columns])


def test_variants_are_compared_with_the_first(elsewhere, monkeypatch):
    define(elsewhere, monkeypatch)
    study, (predictions, trainings) = studies.load("mine"), made_up([""] * 10)
    evaluate = load_params()["evaluate"]
    found = study_report.summary(study, predictions, trainings, evaluate)
    json.dumps(found, allow_nan=False)
    assert [row["mean"] for row in found["variants"]] == [0.6, 0.733333] and found["draws"] == {}
    [row] = found["against_first"]
    assert row["difference"] == 0.133333 and row["low"] <= 0.133333 <= row["high"]
    assert row["p"] == pytest.approx(stats.ttest_rel([6, 7, 9], [5, 6, 7]).pvalue, abs=1e-6)
    assert "with b less that with a is **+13.3 points** (3 seeds; " in study_report.findings(found)
    assert study_report.variants_table(found).shape == (2, 10)
    assert found["variants"][0]["named"] == {"x": 0.6, "y": None}  # 18 of 30 images; none is of y
    assert found["variants"][0]["macro_f1"] == pytest.approx(
        np.mean([2 * n / (10 + n) / 2 for n in (5, 6, 7)]), abs=1e-6
    )
    assert study_report.named_table(found)["basic", "b"]["x"] == 0.73
    assert study_report.findings(found).startswith("All with train.epochs 1 (the paper: 100).")

    one = trainings["seed"] == 2  # one seed: McNemar's test, two images that only b names rightly
    found = study_report.summary(study, predictions[predictions["seed"] == 2], trainings[one], evaluate)
    assert found["against_first"][0]["p"] == 0.5 and found["against_first"][0]["over_seeds"] is None
    assert "McNemar's test: p = 0.5" in study_report.findings(found)

    trainings.loc[4, "trained"] = False
    found = study_report.summary(study, predictions, trainings, evaluate)
    assert found["against_first"] == [] and "**Trainings failed with b (basic)" in study_report.findings(found)


def test_the_rarest_class_stands_beside_the_papers(elsewhere, monkeypatch):
    """The paper finds 0.54 of disgust at a precision of 0.71: it names 0.76 for each that there is."""
    weights = {"vary": "train.class_weights", "values": ["balanced", "none"]}
    define(elsewhere, monkeypatch, dataset="fergit", models=["residual"], **weights)
    predictions, trainings = (table.assign(network="residual") for table in made_up([""] * 10))
    predictions["label"] = "disgust"
    predictions = predictions.rename(columns={"p_x": "p_disgust", "p_y": "p_happy"})
    found = study_report.summary(studies.load("mine"), predictions, trainings, load_params()["evaluate"])
    said = study_report.findings(found)
    assert (
        "names an image disgust, the rarest class, 0.60 times with a and 0.73 times with b for each that is; " in said
    )
    assert "in the paper's table it is 0.76 times." in said
    assert study_report.named_table(found)["residual", "paper"]["disgust"] == 0.76
    failed = study_report.summary(
        studies.load("mine"), predictions, trainings.assign(trained=False), load_params()["evaluate"]
    )
    assert "the rarest class" not in study_report.findings(failed)  # whose numbers say nothing


def test_equal_differences(elsewhere):
    assert study_report._paired_t(pd.Series([0.0, 0.0])) == 1
    assert study_report._paired_t(pd.Series([0.1, 0.1])) == 0


def test_draws_are_summed_up_and_not_compared(elsewhere, monkeypatch):
    """Five images each of two persons, one known and one not: the interval is no narrower than that."""
    define(elsewhere, monkeypatch, vary="synthetic.split.seed", values=[0, 1])
    study, (predictions, trainings) = studies.load("mine"), made_up(["known"] * 5 + ["new"] * 5)
    evaluate = load_params()["evaluate"]
    found = study_report.summary(study, predictions, trainings, evaluate)
    json.dumps(found, allow_nan=False)
    draws = found["draws"]["basic"]
    assert found["against_first"] == [] and (draws["people"], draws["images"]) == (2, 10)
    assert draws["mean"] == draws["accuracy"] == 0.666667 and (draws["low"], draws["high"]) == (0.333333, 1)
    assert (draws["draws"], draws["trainings"], draws["tests"], draws["below"]) == (2, 6, 60, None)
    assert draws["recalls"] == {"x": {"tests": 60, "right": 0.666667}}
    said = study_report.findings(found)
    assert "basic network names **66.7 %** of 60 tests of 10 images rightly (95 % interval over 2 persons 33.3" in said
    assert (
        "of the 2 random splits, each counting alike, have mean 66.7 % and standard deviation 9.4 points; they" in said
    )
    assert found["networks"] is None  # there is one


def test_two_networks_are_compared_over_the_draws(elsewhere, monkeypatch):
    """The second is right wherever the first is, and everywhere in the second draw; its rows lie in another order."""
    define(elsewhere, monkeypatch, models=["basic", "residual"], vary="synthetic.split.seed", values=[0, 1])
    predictions, trainings = made_up(["known"] * 5 + ["new"] * 5)
    second, accuracies = (table.assign(network="residual") for table in (predictions, trainings))
    second.loc[second["variant"] == "b", ["p_x", "p_y"]] = 1, 0
    accuracies.loc[accuracies["variant"] == "b", "accuracy"] = 1.0
    tables = (second.sample(frac=1, random_state=0), predictions), (trainings, accuracies)
    both = [pd.concat(pair, ignore_index=True) for pair in tables]
    evaluate = load_params()["evaluate"]
    found = study_report.summary(studies.load("mine"), *both, evaluate)
    first, other = (found["draws"][name]["accuracy"] for name in ("basic", "residual"))
    two = found["networks"]
    assert (two["first"], two["second"]) == ("basic", "residual")
    assert two["difference"] == pytest.approx(other - first, abs=1e-6) == pytest.approx(8 / 60, abs=1e-6)
    assert (two["low"], two["high"]) == (0, 0.266667)  # no narrower than the two persons
    assert (two["higher"], two["equal"], two["lower"]) == (1, 1, 0)
    said = study_report.findings(found)
    assert "is **+13.3 points** (95 % interval over 2 persons 0.0 to +26.7)." in said
    assert "it is better in 1, level in 1 and worse in 0. These trainings do not tell which is better." in said
    table = study_report.variants_table(found)
    assert list(table.columns[:3]) == ["synthetic.split.seed", "test accuracy, basic", "test accuracy, residual"]
    assert table.iloc[1, :3].tolist() == ["b", "73.3 %", "100.0 %"] and len(study_report.named_table(found)) == 4
    assert found["draws"]["basic"]["by_person"] == {"known": [30, 30], "new": [10, 30]}
    less = study_report.between_studies(*found["draws"].values(), evaluate)
    assert less == pytest.approx((8 / 60, 0, 16 / 60))

    other = [both[0].replace({"sample_id": {"i1": "i11"}}).iloc[:60], predictions]
    with pytest.raises(FergitError, match="the basic and the residual network have not the same tests"):
        study_report.summary(studies.load("mine"), pd.concat(other), both[1], evaluate)

    both[1].loc[0, "trained"] = False  # which compares nothing
    found = study_report.summary(studies.load("mine"), *both, evaluate)
    assert found["networks"] is None and study_report.variants_table(found).iloc[0, 1] == "training failed"


def test_draws_stand_beside_the_papers_number(elsewhere, monkeypatch):
    """The paper finds 0.97 of CK+, and contempt least: 0.60."""
    define(elsewhere, monkeypatch, dataset="ckplus", models=["residual"], vary="ckplus.split.seed", values=[0, 1])
    predictions, trainings = (table.assign(network="residual") for table in made_up([""] * 10))
    predictions["label"] = "contempt"
    predictions = predictions.rename(columns={"p_x": "p_contempt", "p_y": "p_happy"})
    trainings["accuracy"] = [0.9649, 0.9651, 0.9749, 0.9751, 0.99, 1]
    for table in (predictions, trainings):  # a training for each variant
        table["variant"], table["seed"] = table["variant"] + table["seed"].astype(str), 0
    found = study_report.summary(studies.load("mine"), predictions, trainings, load_params()["evaluate"])
    said = study_report.findings(found)
    assert "the residual network is below it in 1, equal to it in 2 and above it in 3 of 6 random splits." in said
    assert "Of contempt, which the paper's network finds least (60 %), ours finds 66.7 % in 60 tests." in said
