import sys

import nbformat
import pytest
from ruamel.yaml import YAML

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.params import merge, read, stage_params, tracked_params


def test_a_stage_gets_what_dvc_tracks_and_no_more():
    assert set(tracked_params("evaluate", dataset="ckplus", model="basic")) == {"seeds", "evaluate", "ckplus"}
    assert set(stage_params("preprocess", dataset="fer2013")) == {"split"}
    assert set(stage_params("train", dataset="ckplus", model="basic", seed=0)) == {"network", "augmentation", "train"}


def test_a_stage_of_the_studies_too():
    assert set(stage_params("studies/dvc.yaml:leaks", dataset="fergit")["evaluate"]) == {"confidence_level"}
    card = stage_params("studies/dvc.yaml:card", dataset="fergit", model="residual")
    assert set(card["evaluate"]) == {"confidence_level", "bootstrap_samples", "calibration_bins"}
    report = stage_params("studies/dvc.yaml:report", name="precision")
    assert report["studies"] == {"precision": read(paths.STUDIES)["studies"]["precision"]}
    assert report["split"] == read(paths.PARAMS)["synthetic"]["split"]
    train = tracked_params("studies/dvc.yaml:train", name="precision")
    assert set(train) == {"network", "augmentation", "train", "predict", "synthetic", "studies"}


def test_a_data_sets_overrides_are_merged_in():
    sections = {
        "train": {"epochs": 100, "reduce_lr": {"patience": 15, "factor": 0.1}},
        "ckplus": {"overrides": {"train": {"reduce_lr": {"factor": 0.5}}}},
    }
    merged = stage_params("train", sections, dataset="ckplus")
    assert merged == {"train": {"epochs": 100, "reduce_lr": {"patience": 15, "factor": 0.5}}}
    assert sections["train"]["reduce_lr"]["factor"] == 0.1
    assert merge({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}


def test_a_key_that_is_missing_is_named(tmp_path, monkeypatch):
    values = read(paths.PARAMS)
    del values["evaluate"]["confidence_level"]
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(values, file)
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params.yaml")
    with pytest.raises(FergitError, match="leaks: no 'evaluate.confidence_level' in .*params.yaml$"):
        stage_params("studies/dvc.yaml:leaks", dataset="fergit")


@pytest.mark.parametrize("notebook", sorted(paths.NOTEBOOKS.glob("0[0-689]*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_gets_its_parameters_by_this_one_line(notebook):
    code = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert [source.count("params = stage_params(") for source in code].count(1) == 1
    assert not [source for source in code if "load_params" in source or "read(paths.PARAMS" in source]


def test_a_notebook_run_by_hand_says_where_it_writes(monkeypatch, capsys):
    values = stage_params("evaluate", dataset="synthetic", model="basic")
    assert not capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert stage_params("evaluate", dataset="synthetic", model="basic") == values
    assert "writes into results/" in capsys.readouterr().out
    stage_params("evaluate", values, dataset="synthetic", model="basic")  # as the pipeline does
    assert not capsys.readouterr().out
