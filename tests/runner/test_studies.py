"""Studies: their definitions and their trainings."""

import os

import numpy as np
import pandas as pd
import pytest
from bars import barred
from ruamel.yaml import YAML

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import keep_newest
from fergit.core.params import stage_params
from fergit.data import datasets
from fergit.engine.checkpoint import find_checkpoint, training_key
from fergit.runner import studies
from fergit.runner.schema import load_studies
from fergit.runner.variants import load_study

pytestmark = [
    pytest.mark.usefixtures("quick"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`"),
]
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
        study, variants = load_study(name)
        assert study["question"].endswith("?") and len(variants) * len(study["models"]) >= 2
        sections = {"network", "augmentation", "train", "predict", study["dataset"]}
        assert all(set(params) == sections for params in variants.values())


def test_a_variant_may_have_a_name_and_change_several_values(elsewhere, monkeypatch):
    define(elsewhere, monkeypatch, values={"short": {"train.epochs": 2, "network.poolings": 1}, "plain": {}}, set={})
    _, variants = load_study("mine")
    assert variants["short"]["network"]["poolings"] == 1 != variants["plain"]["network"]["poolings"]
    assert variants["short"]["synthetic"]["overrides"]["train"]["epochs"] == 2  # or the data set's own would win


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vary": "train.precison"}, "unknown key train.precison"),
        ({"vary": "train.epochs.x"}, "unknown key train.epochs.x"),
        (
            {"vary": "evaluate.confidence_level"},
            "allowed: those of network, augmentation, train, predict and synthetic",
        ),
        ({"vary": "train.device"}, "train.device cannot be set by a study"),
        ({"vary": "synthetic.images.source"}, "synthetic.images.source cannot be set by a study"),
        ({"vary": "synthetic.split.held_out", "values": [0.1, 0.2]}, "synthetic.split.held_out cannot vary"),
        ({"values": {"a": {"synthetic.split.seed": 1}}, "set": {}}, "would be tested on different images"),
        ({"set": {"train.precision": "auto"}}, "mine: train.precision stands in both set and vary"),
        ({"values": ["float16"]}, "train.precision is 'float16'; allowed: 'float32', 'mixed_bfloat16' or 'auto'"),
        ({"set": {"train.epochz": 1}}, "unknown key train.epochz"),
        ({"models": ["resnet"]}, "mine.models.0 is 'resnet'; allowed: 'basic' or 'residual'"),
        ({"values": []}, "mine.values: []; allowed: 1 to 1000 values"),
        ({"values": {"a": 3}}, "mine.values: {'a': 3}; allowed: 1 to 1000 values, or names of variants"),
        ({"values": {"a": {"train.epochs": [[1]]}}}, "[[1]] is nested"),
        ({"values": [1, 2, 1]}, "1 stands there twice"),
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
        load_study("mine")
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a.b", "A", "a b", "a\nb", "ä", "x" * 10_000, ""])
def test_a_study_whose_name_is_no_folders_name_is_refused(name, elsewhere, monkeypatch):
    define(elsewhere, monkeypatch, name)
    with pytest.raises(FergitError, match="no name of a study; allowed: up to 64 of a-z") as refused:
        load_studies()
    assert str(refused.value).isprintable() and len(str(refused.value)) < 400


def test_an_unknown_study_is_refused():
    with pytest.raises(FergitError, match="no 'ckplus'.*there are precision, "):
        load_study("ckplus")


def test_a_study_trains_and_tests_each_variant(elsewhere, monkeypatch, capsys):
    define(elsewhere, monkeypatch)
    faces = barred()
    split = np.where(np.arange(80) < 48, "train", np.where(np.arange(80) < 64, "validation", "test")).astype("U10")
    monkeypatch.setattr(datasets, "preprocess", lambda dataset, settings: faces.with_split(split))
    studies.run("mine")
    predictions, trainings, history = (
        pd.read_csv(paths.study("mine") / f"{n}.csv") for n in ("predictions", "trainings", "history")
    )
    assert trainings[["variant", "seed"]].values.tolist() == [
        [variant, seed] for variant in STUDY["values"] for seed in STUDY["seeds"]
    ]
    assert len(history) == 4 and len(predictions) == 4 * 32
    predictions = predictions[predictions["split"] == "test"]
    guess = predictions.filter(regex="^p_").idxmax(axis=1).str.removeprefix("p_")
    shares = (guess == predictions["label"]).groupby([predictions["variant"], predictions["seed"]]).mean()
    assert shares.tolist() == trainings["accuracy"].tolist()
    assert len(list(paths.WORK.glob("checkpoints/*/*.npz"))) == 4
    seen, params = faces.with_split(split).take(split != "test"), stage_params("train", dataset="synthetic")
    params["train"]["epochs"] = 1
    key = training_key("synthetic", "basic", seen, params, 1)
    file, _ = find_checkpoint(paths.checkpoints("synthetic", "basic", 1), key)
    assert file.exists()  # the pipeline's own name for it
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
