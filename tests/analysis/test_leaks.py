import made_up
import numpy as np
import pandas as pd
import pytest

from fergit.analysis import leaks, metrics
from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_table
from fergit.core.predictions import predictions_table

CLASSES = ("angry", "happy", "neutral")
ANSWERS = ("neutral", "happy", "angry", "sad", "contempt", "unknown", "no_face")
VOTES = [f"votes_{answer}" for answer in ANSWERS]  # blank where there are none
IDS = pd.Index([f"fer2013/{row:05d}" for row in range(4)], name="sample_id")


@pytest.fixture
def tests():
    """An exact copy, a near one, one that is near at the lower threshold alone, and a black image."""
    return pd.DataFrame(
        {
            "label": ["angry", "angry", "happy", "angry"],
            "source": "fer2013",
            "exact_copy": [True, False, False, False],
            "correlation": [1, 0.97, 0.91, 0],
            **dict.fromkeys(VOTES),
        },
        index=IDS,
    )


def predictions(guesses, labels=(0, 0, 1, 0)):
    return predictions_table(CLASSES, IDS, labels, {0: np.eye(3)[guesses]})


def with_votes(tests, *rows):
    """Some of the test images with votes, from {answer: votes}."""
    votes = pd.DataFrame(rows, columns=ANSWERS, index=tests.index[: len(rows)]).fillna(0).add_prefix("votes_")
    return tests.drop(columns=VOTES).join(votes)


def test_near_copies_depend_on_the_threshold(tests):
    assert leaks.kinds(tests).tolist() == [leaks.EXACT, leaks.ALIKE, leaks.NEITHER, leaks.NEITHER]
    assert leaks.kinds(tests, "0.90").tolist() == [leaks.EXACT, leaks.ALIKE, leaks.ALIKE, leaks.NEITHER]
    found = leaks.summary("fergit", tests, {"basic": predictions([0, 1, 1, 0])}, 0.95)
    assert found["copies"]["0.95"] == {leaks.EXACT: 1, leaks.ALIKE: 1, leaks.NEITHER: 2}
    assert found["copies"]["0.90"] == {leaks.EXACT: 1, leaks.ALIKE: 2, leaks.NEITHER: 1}
    rows = {row["stratum"]: row["accuracy"] for row in found["networks"]["basic"]["copies"]["0.90"]}
    assert rows == {leaks.EXACT: 1, leaks.ALIKE: 0.5, leaks.NEITHER: 1}
    assert found["labels"] is None and "labels" not in found["networks"]["basic"]


def test_accuracy_by_stratum_and_the_difference(tests):
    table = predictions([0, 0, 1, 1])
    rows = leaks.by_stratum(metrics.by_image(metrics.right(table), table), leaks.kinds(tests), 0.95)
    assert [(row["stratum"], row["images"], row["accuracy"]) for row in rows] == [
        (leaks.NEITHER, 2, 0.5),
        (leaks.EXACT, 1, 1),
        (leaks.ALIKE, 1, 1),
    ]
    one = leaks.contrast(rows, leaks.EXACT, leaks.NEITHER, 0.95)
    assert one["difference"] == 0.5 and one["low"] < 0 < one["high"] <= 1 and one["p"] == 1
    assert leaks.contrast(rows, leaks.EXACT, "muxspace", 0.95) is None


def test_labels_are_compared_with_what_most_voters_saw(tests):
    votes = ({"angry": 10}, {"happy": 5, "sad": 5}, {"happy": 4, "neutral": 6}, {"no_face": 9, "angry": 1})
    tests = with_votes(tests, *votes)
    assert leaks.most_voted(leaks.votes_of(tests)).tolist() == ["angry", "a tie", "neutral", "no_face"]
    table = leaks.agreement(tests["label"], leaks.votes_of(tests))
    columns = ["images", leaks.SAME, leaks.ANOTHER, leaks.SHARE]
    assert table.loc["all", columns].tolist() == [4, 0.25, 0.25, (1 + 0 + 0.4 + 0.1) / 4]
    found = leaks.summary("fergit", tests, {"basic": predictions([0, 1, 2, 0])}, 0.95)
    assert found["labels"]["images"] == 4 and found["labels"]["no_face"] == 0.25
    assert found["networks"]["basic"]["accuracy"] == 0.5
    assert found["networks"]["basic"]["against_votes"] == {"images": 2, "accuracy": 1, "against_labels": 0.5}


def test_predictions_of_other_images_are_refused(tests):
    table = predictions([0, 1, 1, 0]).replace("fer2013/00003", "fer2013/00010")
    with pytest.raises(FergitError, match="fergit, basic: predictions.csv is of other test images"):
        leaks.summary("fergit", tests, {"basic": table}, 0.95)


def test_copies_are_told_apart_from_an_easy_source():
    """Of FER2013's images 8 in 10 copies and 5 in 10 others are right, of muxspace's all are, and none has a copy."""
    ids = pd.Index([f"{i:02d}" for i in range(40)], name="sample_id")
    tests = pd.DataFrame({"label": "happy", "source": ["fer2013"] * 20 + ["muxspace"] * 20}, index=ids)
    tests["exact_copy"], tests["correlation"] = np.arange(40) < 10, 0.5
    tests[VOTES] = None
    right = np.array([1] * 8 + [0] * 2 + [1] * 5 + [0] * 5 + [1] * 20)
    table = predictions_table(["happy", "sad"], ids, np.zeros(40, int), {0: np.stack([right, 1 - right], axis=1)})
    found = leaks.summary("fergit", tests, {"basic": table}, 0.95)["networks"]["basic"]["contrasts"]
    assert found["copies"]["difference"] == pytest.approx(8 / 10 - 25 / 30, abs=1e-6)
    assert found["copies_of_fer2013"]["difference"] == pytest.approx(0.3)
    assert all(one["p_holm"] >= one["p"] for one in found.values())


def test_classes_may_be_numbers(tests, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    write_table(paths.results("mine") / "01-preprocess" / "copies.csv", tests.assign(label=["1", "1", "2", "None"]))
    read = leaks.read_copies("mine")
    assert read["label"].tolist() == ["1", "1", "2", "None"] and leaks.votes_of(read).empty
    table = predictions_table(("1", "2", "None"), IDS, [0, 0, 1, 2], {0: np.eye(3)[[0, 1, 1, 2]]})
    found = leaks.summary("mine", read, {"basic": table}, 0.95)
    assert found["networks"]["basic"]["accuracy"] == 0.75


def test_a_missing_table_is_named_with_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    with pytest.raises(FergitError, match=r"01-preprocess/copies.csv: no such file; `dvc repro preprocess@fergit`"):
        leaks.read_copies("fergit")
    made_up.write_results("fergit", "residual")
    table = made_up.write_copies("fergit")
    read = leaks.read_copies("fergit")
    assert read.index.tolist() == table["sample_id"].tolist() and read["exact_copy"].dtype == bool
    assert len(leaks.votes_of(read)) == (table["source"] == "fer2013").sum()
