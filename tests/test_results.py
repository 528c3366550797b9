"""The committed results: all their numbers follow from the committed predictions."""

import json

import pytest
from sklearn.metrics import accuracy_score, f1_score

from fergit.analysis import metrics, report, studies
from fergit.core import paths
from fergit.core.files import read_table
from fergit.runner.schema import load_params, load_studies

DATASETS = ("ckplus", "fer2013", "fergit", "fergit_best", "synthetic")
NETWORKS = [file.parent for dataset in DATASETS for file in sorted(paths.results(dataset).glob("*/metrics.json"))]
STUDIES = [name for name in load_studies() if (paths.study(name) / "metrics.json").exists()]


def read(file):
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", NETWORKS, ids=lambda folder: "-".join(folder.parts[-2:]))
def test_metrics_follow_from_the_predictions(folder):
    found = read(folder / "metrics.json")
    test, validation = (report.read_part(*folder.parts[-2:], found["seeds"], part) for part in ("test", "validation"))
    trainings = report.read_trainings(*folder.parts[-2:], found["seeds"])
    assert metrics.summarize(test, validation, trainings, load_params()["evaluate"]) == found
    for place, (_, one) in enumerate(test.groupby("seed", sort=False)):  # and once more, by nothing of ours
        guess = one.filter(regex="^p_").idxmax(axis=1).str[2:]
        assert accuracy_score(one["label"], guess) == pytest.approx(found["accuracy"]["per_seed"][place], abs=1e-6)
        macro_f1 = f1_score(one["label"], guess, average="macro")
        assert macro_f1 == pytest.approx(found["macro_f1"]["per_seed"][place], abs=1e-6)


def test_what_replication_says_of_copies():
    """Without exact copies in training the network loses about as much on test images without a copy as on the rest."""
    predictions, _ = studies.read(paths.study("fergit-copies"))
    copies = read_table(paths.results("fergit") / "01-preprocess" / "copies.csv", ("sample_id", "exact_copy"), "")
    tested = predictions[predictions["split"] == "test"].set_index("sample_id")
    right = tested.filter(regex="^p_").idxmax(axis=1).str[2:] == tested["label"]
    with_, without = (right[tested["variant"] == name] for name in tested["variant"].unique())
    loss, copied = with_.astype(int) - without, copies.set_index("sample_id")["exact_copy"]
    assert loss.mean() > 0.01 and loss[~copied.reindex(loss.index)].mean() > 0.8 * loss.mean()


@pytest.mark.parametrize("name", STUDIES)
def test_what_a_study_found_follows_from_its_predictions(name):
    predictions, trainings = studies.read(paths.study(name))
    params, study = load_params(), load_studies()[name]
    protocol = params[study["dataset"]]["split"].get("protocol")
    found = studies.summary(name, study, predictions, trainings, params["evaluate"], protocol)
    assert json.loads(json.dumps(found)) == read(paths.study(name) / "metrics.json")
