import numpy as np
import pandas as pd
import pytest

from fergit.analysis import leaks, metrics
from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.data import anomalies, ferplus

CLASSES = ("angry", "happy", "neutral")


@pytest.fixture
def faces():
    """Six training images, and four test images: an exact copy, a brighter mirrored one, a new one, a black one."""
    rng = np.random.default_rng(0)
    train = rng.integers(0, 200, (6, 48, 48), dtype=np.uint8)
    near = train[1, :, ::-1] + 20
    new, black = rng.integers(0, 200, (48, 48), dtype=np.uint8), np.zeros((48, 48), np.uint8)
    images = np.concatenate([train, [train[0], near, new, black]])
    ids = [f"fer2013/{row:05d}" for row in range(10)]
    split = ["train"] * 5 + ["validation"] + ["test"] * 4
    return make_faces(images, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0], CLASSES, "fer2013", ids, split=split)


def predictions(faces, guesses):
    test = faces.take(faces.split == "test")
    return metrics.predictions_table(CLASSES, test.sample_id, test.labels, {0: np.eye(3)[guesses]})


def test_exact_and_near_copies_are_told_apart(faces):
    tests = leaks.tested(faces)
    assert tests["copy"].tolist() == [leaks.EXACT, leaks.ALIKE, leaks.NEITHER, leaks.NEITHER]
    assert tests["correlation"].tolist()[:2] == [1, 1] and tests["correlation"].iloc[3] == 0


def test_what_is_like_but_not_the_same_is_no_copy(faces):
    first = faces.images[:1].astype(np.int16)
    noise = np.random.default_rng(1).integers(-60, 61, (1, 48, 48))
    images = np.concatenate([first + noise // 4, first + noise]).clip(0, 255).astype(np.uint8)
    alike, not_so = leaks.nearest(images, faces.images[:1])
    assert 0.95 < alike < 1 and 0.8 < not_so < 0.95


def test_the_nearest_is_found_across_blocks(faces, monkeypatch):
    whole = leaks.nearest(faces.images, faces.images[:6])
    monkeypatch.setattr(leaks, "BLOCK", 4)
    assert np.array_equal(leaks.nearest(faces.images, faces.images[:6]), whole)


def test_training_images_that_are_held_out_too_can_be_left_out(faces):
    kept = anomalies.without_leaks(faces)
    assert sorted(set(faces.sample_id) - set(kept.sample_id)) == ["fer2013/00000"]
    assert leaks.tested(kept)["copy"].tolist() == [leaks.NEITHER, leaks.ALIKE, leaks.NEITHER, leaks.NEITHER]


def test_accuracy_by_stratum_and_the_difference(faces):
    hits = leaks.right(predictions(faces, [0, 1, 0, 0]))
    rows = leaks.by_stratum(hits, leaks.tested(faces)["copy"], 0.95)
    assert [(row["stratum"], row["images"], row["accuracy"]) for row in rows] == [
        (leaks.NEITHER, 2, 0.5),
        (leaks.EXACT, 1, 1),
        (leaks.ALIKE, 1, 1),
    ]
    one = leaks.contrast(rows[1], rows[0], 0.95)
    assert one["difference"] == 0.5 and one["low"] < 0 < one["high"] <= 1 and one["p"] == 1


def votes_of(*rows):
    """Votes by test image, from {class: votes}."""
    table = pd.DataFrame(rows, columns=list(ferplus.CLASSES.values()), index=[f"fer2013/{i:05d}" for i in range(6, 10)])
    return table.fillna(0).astype(int)


def test_labels_are_held_against_what_most_voters_saw(faces, monkeypatch):
    votes = votes_of({"angry": 10}, {"happy": 5, "sad": 5}, {"happy": 6, "neutral": 4}, {"not a face": 9, "angry": 1})
    assert ferplus.most_voted(votes).tolist() == ["angry", ferplus.TIE, "happy", ferplus.NOT_A_FACE]
    tests = leaks.tested(faces)
    table = ferplus.agreement(tests["label"], votes)
    assert table.loc["all", ["images", ferplus.SAME, ferplus.ANOTHER, ferplus.SHARE]].tolist() == [
        4,
        0.25,
        0.25,
        0.5,
    ]
    outcomes = {"basic": predictions(faces, [0, 1, 1, 0])}
    found = leaks.summary("fergit", tests, outcomes, votes, 0.95)
    assert found["networks"]["basic"]["accuracy"] == 0.75
    assert found["networks"]["basic"]["against_votes"] == {"images": 2, "accuracy": 1, "against_labels": 0.5}
    assert "the label in **25.0 %**, another expression in 25.0 %, no face in 25.0 %" in leaks.labels_findings(found)
    assert "1 (25.0 %) have an exact copy in training and 1 (25.0 %) only a near one." in leaks.copies_findings(found)
    assert "Only 2 have neither: too few to tell an accuracy." in leaks.copies_findings(found)
    monkeypatch.setattr(leaks, "FEWEST", 2)
    clean = "On the 2 with neither the accuracy is **50.0 % (9.5–90.5)** (basic; on all 75.0 %)."
    assert clean in leaks.copies_findings(found)


def test_predictions_of_other_images_are_refused(faces):
    table = predictions(faces, [0, 1, 1, 0]).replace("fer2013/00009", "fer2013/00010")
    with pytest.raises(FergitError, match="fergit, basic: predictions.csv is of other test images"):
        leaks.summary("fergit", leaks.tested(faces), {"basic": table}, None, 0.95)


def test_without_votes_nothing_is_said_of_labels(faces):
    found = leaks.summary("fergit", leaks.tested(faces), {"basic": predictions(faces, [0, 1, 1, 0])}, None, 0.95)
    assert found["labels"] is None and leaks.labels_findings(found) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column Usage"),
        ("", "not a table in CSV"),
        (
            f"Usage,Image name,{','.join(ferplus.CLASSES)}\nTraining,x,10,0,0,0,0,0,0,0,0,0\n",
            "1 rows; expected: 35,887",
        ),
    ],
)
def test_another_file_is_refused(tmp_path, text, message):
    file = tmp_path / "fer2013new.csv"
    file.write_text(text)
    with pytest.raises(FergitError, match=message):
        ferplus.read(file)


def test_votes_that_cannot_be_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(ferplus, "ROWS", 2)
    file = tmp_path / "fer2013new.csv"
    header = f"Usage,Image name,{','.join(ferplus.CLASSES)}\n"
    file.write_text(f"{header}Training,x,10,0,0,0,0,0,0,0,0,0\nTraining,y,11,0,0,0,0,0,0,0,0,0\n")
    with pytest.raises(FergitError, match="line 3: votes are not whole numbers from 0 to 10"):
        ferplus.read(file)


def test_a_file_cut_short_is_refused(tmp_path):
    file = tmp_path / "fer2013new.csv.xz"
    file.write_bytes(b"\xfd7zXZ\x00\x00\x04")
    with pytest.raises(FergitError, match="not a table in CSV"):
        ferplus.read(file)


def test_copies_are_told_apart_from_an_easy_source():
    """Of FER2013's images 8 in 10 copies and 5 in 10 others are right, of muxspace's all are, and none has a copy."""
    kinds = [leaks.EXACT] * 10 + [leaks.NEITHER] * 30
    sources = ["fer2013"] * 20 + ["muxspace"] * 20
    ids = pd.Index([f"{i:02d}" for i in range(40)], name="sample_id")
    tests = pd.DataFrame({"label": "happy", "source": sources, "copy": kinds}, index=ids)
    right = np.array([1] * 8 + [0] * 2 + [1] * 5 + [0] * 5 + [1] * 20)
    table = metrics.predictions_table(
        ["happy", "sad"], ids, np.zeros(40, int), {0: np.stack([right, 1 - right], axis=1)}
    )
    found = leaks.summary("fergit", tests, {"basic": table}, None, 0.95)
    said = leaks.copies_findings(found)
    assert "images with none lie, for the basic network, −3.3 points" in said
    assert "Among FER2013's images alone it is +30.0 points" in said
