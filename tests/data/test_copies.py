import dataclasses

import numpy as np
import pandas as pd
import pytest

from fergit.core.faces import make_faces
from fergit.core.files import write_table
from fergit.data import copies, fer2013, ferplus


@pytest.fixture
def faces():
    images = np.random.default_rng(0).integers(0, 256, (9, 48, 48), np.uint8)
    images[1] = images[0]  # same class, same part
    images[3] = images[2]  # other class, other part
    images[4] = images[2]
    images[5] = 0
    images[6] = 7
    split = ["train", "train", "train", "test", "train", "train", "validation", "test", "validation"]
    ids = [f"x/{row}" for row in range(9)]
    group = ["A", "A", "B", "A", "C", "C", "B", "D", ""]
    return make_faces(images, [0, 0, 1, 0, 1, 0, 1, 0, 1], ("cross", "glad"), "synthetic", ids, group, split)


def test_copies(faces):
    table = copies.exact(faces)
    assert table["sample_id"].tolist() == ["x/0", "x/1", "x/2", "x/3", "x/4"]
    assert table["copy_group"].tolist() == [0, 0, 1, 1, 1]
    assert table["conflicting"].tolist() == [False, False, True, True, True]
    assert table["across"].tolist() == [False, False, True, True, True]


def test_only_fer2013_has_its_official_parts(faces):
    loaded = dataclasses.replace(faces, source=np.array(["fer2013"] * 4 + ["mine"] * 5))
    usage = copies.of_test_images(faces, loaded)["usage"]
    assert usage.tolist() == [fer2013.USAGES["test"], ""]


def test_summary(faces):
    assert copies.summary(faces, copies.exact(faces)).tolist() == [9, 6, 2, 5, 1, 1]


def test_across_parts(faces):
    matrix = copies.across_parts(copies.exact(faces))
    assert matrix.to_numpy().tolist() == [[4, 0, 2], [0, 0, 0], [1, 0, 0]]


def test_conflicts(faces):
    assert copies.conflicts(copies.exact(faces)).to_dict("records") == [
        {"classes": "cross / glad", "groups": 1, "images": 3}
    ]


def test_constant_images(faces):
    table = copies.constant(faces)
    assert table["sample_id"].tolist() == ["x/5", "x/6"] and table["value"].tolist() == [0, 7]


def test_people_across(faces):
    table = copies.people_across(faces)
    assert table.loc["test"].tolist() == [2, 2, 1, 1] and table.loc["validation"].tolist() == [1, 1, 1, 1]
    unknown = make_faces(faces.images, faces.labels, faces.classes, "synthetic", faces.sample_id)
    assert copies.people_across(unknown).empty


def test_nothing_is_wrong_with_different_images(faces):
    good = faces.take([0, 2, 7])
    assert copies.summary(good, copies.exact(good)).tolist() == [3, 3, 0, 0, 0, 0]
    assert copies.exact(good).empty and copies.constant(good).empty and copies.conflicts(copies.exact(good)).empty
    assert copies.across_parts(copies.exact(good)).to_numpy().sum() == 0


def test_the_real_file(real_file):
    path = real_file("fer2013")
    faces, _ = fer2013.read(path)
    table = copies.exact(faces)
    assert copies.summary(faces, table).tolist() == [35_887, 34_034, 1_516, 3_369, 57, 557]
    assert copies.across_parts(table).loc["test", "train"] == 288
    assert copies.constant(faces)["value"].tolist() == [0] * 12


@pytest.fixture
def known():
    """Six training images, and four test images: an exact copy, a brighter mirrored one, a new one, a black one."""
    rng = np.random.default_rng(0)
    train = rng.integers(0, 200, (6, 48, 48), dtype=np.uint8)
    train[4] = train[0]
    near = train[1, :, ::-1] + 20
    new, black = rng.integers(0, 200, (48, 48), dtype=np.uint8), np.zeros((48, 48), np.uint8)
    images = np.concatenate([train, [train[0], near, new, black]])
    ids = [f"fer2013/{row:05d}" for row in range(10)]
    split = ["train"] * 5 + ["validation"] + ["test"] * 4
    classes = ("angry", "happy", "neutral")
    return make_faces(images, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0], classes, "fer2013", ids, split=split)


def test_what_is_known_of_test_images(known):
    official = known.with_split(["train"] * 7 + ["validation", "test", ""])
    votes = pd.DataFrame(0, index=known.sample_id[:9], columns=ferplus.VOTES).assign(happy=10)
    table = copies.of_test_images(known, official, votes)
    assert table["sample_id"].tolist() == known.sample_id[6:].tolist()
    assert table["label"].tolist() == ["angry", "happy", "neutral", "angry"]
    assert table["usage"].tolist() == ["Training", "PublicTest", "PrivateTest", ""]
    assert table["exact_copy"].tolist() == [True, False, False, False]
    assert table["correlation"].tolist()[:2] == [1, 1] and 0 < table["correlation"][2] < 0.2
    assert table["correlation"][3] == 0 and table["copy_id"][3] == table["copy_label"][3] == ""
    assert table["copy_id"].tolist()[:2] == ["fer2013/00000", "fer2013/00001"]
    assert table["copy_label"].tolist()[:2] == ["angry", "happy"]
    assert table["votes_happy"].tolist() == [10, 10, 10, pd.NA] and table["votes_no_face"].isna().sum() == 1


def test_the_columns_are_the_same_without_votes_and_bear_a_round_trip(known, tmp_path):
    table = copies.of_test_images(known, known)
    assert list(table)[9:] == [f"votes_{name}" for name in ferplus.VOTES]
    write_table(tmp_path / "copies.csv", table)
    read = pd.read_csv(tmp_path / "copies.csv", keep_default_na=False)
    assert read["exact_copy"].tolist() == [True, False, False, False] and set(read["votes_sad"]) == {""}


def test_a_training_part_without_the_copies_has_none(known):
    kept = copies.without_copies(known)
    assert sorted(set(known.sample_id) - set(kept.sample_id)) == ["fer2013/00000", "fer2013/00004"]
    assert not copies.of_test_images(kept, known)["exact_copy"].any()


def test_what_is_like_but_not_the_same_correlates_less(known):
    first = known.images[:1].astype(np.int16)
    noise = np.random.default_rng(1).integers(-60, 61, (1, 48, 48))
    images = np.concatenate([first + noise // 4, first + noise]).clip(0, 255).astype(np.uint8)
    (alike, not_so), _ = copies.nearest(images, known.images[:1])
    assert 0.95 < alike < 1 and 0.8 < not_so < 0.95


def test_the_nearest_is_found_across_blocks(known, monkeypatch):
    correlation, index = copies.nearest(known.images, known.images[:6])
    assert index.tolist()[:7] == [0, 1, 2, 3, 0, 5, 0]
    monkeypatch.setattr(copies, "BLOCK", 4)
    again = copies.nearest(known.images, known.images[:6])
    assert np.array_equal(correlation, again[0]) and np.array_equal(index, again[1])
