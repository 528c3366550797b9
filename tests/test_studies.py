"""Studies: their definitions, their trainings, and what is said of them."""

import json

import numpy as np
import pandas as pd
import pytest
from bars import barred
from ruamel.yaml import YAML

from fergit import datasets, paths, studies, study_report
from fergit.errors import FergitError
from fergit.params import load_params, load_studies

STUDY = {
    "question": "Does it matter?",
    "dataset": "synthetic",
    "models": ["basic"],
    "seeds": [0, 1],
    "set": {"synthetic.overrides.train.epochs": 1},
    "vary": "train.precision",
    "values": ["float32", "mixed_bfloat16"],
}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    for name in ("WORK", "RESULTS", "RUNS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    return tmp_path


def define(elsewhere, monkeypatch, **changes):
    path = elsewhere / "studies.yaml"
    with path.open("w") as file:
        YAML().dump({"studies": {"mine": STUDY | changes}}, file)
    monkeypatch.setattr(paths, "STUDIES", path)


def test_every_study_can_be_loaded():
    for name in load_studies():
        study = studies.load(name)
        assert study.question.endswith("?") and len(study.variants) >= 2
        assert all(set(params) == set(load_params()) for params in study.variants.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vary": "train.precison"}, "unknown key train.precison"),
        ({"values": ["float16"]}, "train.precision is 'float16'; allowed: 'float32', 'mixed_bfloat16' or 'auto'"),
        ({"set": {"train.epochs": 1}}, "train.epochs does nothing, for synthetic.overrides.train.epochs goes first"),
        ({"models": ["resnet"]}, "mine.models.0 is 'resnet'; Input should be 'basic' or 'residual'"),
        ({"values": []}, "mine.values is []"),
        ({"sed": {}}, "mine.sed is {}; Extra inputs are not permitted"),
    ],
)
def test_a_wrong_study_is_refused(changes, message, elsewhere, monkeypatch):
    define(elsewhere, monkeypatch, **changes)
    with pytest.raises(FergitError) as refused:
        studies.load("mine")
    assert message in str(refused.value) and "\n" not in str(refused.value)


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
    assert not list(paths.WORK.glob("checkpoints/*"))
    first = [(paths.study("mine") / f"{name}.csv").read_bytes() for name in ("predictions", "trainings", "history")]

    monkeypatch.setattr(studies, "write_table", None)  # killed after its last training
    with pytest.raises(TypeError):
        studies.run("mine")
    monkeypatch.undo()
    for name in ("WORK", "RESULTS", "RUNS"):
        monkeypatch.setattr(paths, name, elsewhere / name.lower())
    define(elsewhere, monkeypatch)
    monkeypatch.setattr(datasets, "preprocess", lambda dataset, settings: faces.with_split(split))
    capsys.readouterr()
    studies.run("mine")
    assert "| epoch " not in capsys.readouterr().out  # all four were there
    again = [(paths.study("mine") / f"{name}.csv").read_bytes() for name in ("predictions", "trainings", "history")]
    assert again == first


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


def test_what_is_said_of_a_study(elsewhere, monkeypatch):
    define(elsewhere, monkeypatch)
    study = studies.load("mine")
    predictions, trainings = made_up([""] * 10)
    evaluate = load_params()["evaluate"]
    found = study_report.summary(study, predictions, trainings, evaluate)
    json.dumps(found, allow_nan=False)
    assert [row["mean"] for row in found["variants"]] == [0.6, 0.733333]
    assert found["against_first"][0]["difference"] == 0.133333
    assert found["all_images"]["basic"]["people"] == 0
    assert found["all_images"]["basic"]["accuracy"] == found["all_trainings"]["basic"]["mean"] == 0.666667
    assert "**66.7 %** rightly on the mean, standard deviation 13.7 points" in study_report.spread_sentence(
        study, found
    )
    assert "b +13.3 points (−1.0 to +27.7" in study_report.difference_sentence(study, found)
    assert study_report.variants_table(found).shape == (2, 9)


def test_persons_are_resampled_whole(elsewhere, monkeypatch):
    """Five images each of two persons, one known and one not: the interval can be no narrower than that."""
    define(elsewhere, monkeypatch)
    evaluate = load_params()["evaluate"]
    predictions, _ = made_up(["known"] * 5 + ["new"] * 5)
    alone = predictions.query("variant == 'a' and seed == 0")
    found = study_report.pooled(alone, evaluate)["basic"]
    assert (found["accuracy"], found["low"], found["high"], found["people"]) == (0.5, 0.0, 1.0, 2)
