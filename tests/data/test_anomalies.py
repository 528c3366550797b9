import numpy as np
import pytest

from fergit.core.faces import make_faces
from fergit.data import anomalies, fer2013


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
    table = anomalies.copies(faces)
    assert table["sample_id"].tolist() == ["x/0", "x/1", "x/2", "x/3", "x/4"]
    assert table["copy_group"].tolist() == [0, 0, 1, 1, 1]
    assert table["conflicting"].tolist() == [False, False, True, True, True]
    assert table["across"].tolist() == [False, False, True, True, True]


def test_summary(faces):
    assert anomalies.summary(faces).tolist() == [9, 6, 2, 5, 1, 1]


def test_across_parts(faces):
    matrix = anomalies.across_parts(faces)
    assert matrix.to_numpy().tolist() == [[4, 0, 2], [0, 0, 0], [1, 0, 0]]


def test_conflicts(faces):
    assert anomalies.conflicts(faces).to_dict("records") == [{"classes": "cross / glad", "groups": 1, "images": 3}]


def test_constant_images(faces):
    table = anomalies.constant(faces)
    assert table["sample_id"].tolist() == ["x/5", "x/6"] and table["value"].tolist() == [0, 7]


def test_people_across(faces):
    table = anomalies.people_across(faces)
    assert table.loc["test"].tolist() == [2, 2, 1, 1] and table.loc["validation"].tolist() == [1, 1, 1, 1]
    unknown = make_faces(faces.images, faces.labels, faces.classes, "synthetic", faces.sample_id)
    assert anomalies.people_across(unknown).empty


def test_nothing_is_wrong_with_different_images(faces):
    good = faces.take([0, 2, 7])
    assert anomalies.summary(good).tolist() == [3, 3, 0, 0, 0, 0]
    assert anomalies.copies(good).empty and anomalies.constant(good).empty and anomalies.conflicts(good).empty
    assert anomalies.across_parts(good).to_numpy().sum() == 0


def test_the_real_file(real_file):
    path = real_file("fer2013")
    faces = fer2013.read(path)
    table = anomalies.copies(faces)
    assert anomalies.summary(faces, table).tolist() == [35_887, 34_034, 1_516, 3_369, 57, 557]
    assert anomalies.across_parts(faces, table).loc["test", "train"] == 288
    assert anomalies.constant(faces)["value"].tolist() == [0] * 12
