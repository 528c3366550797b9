"""The drawn faces: the same for ever, in FER2013's proportions, and not solved by a linear classifier."""

import hashlib
import platform

import numpy as np
import pytest

from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.data import drawing, synthetic


@pytest.fixture(scope="module")
def drawn():
    return synthetic.draw_faces(300, seed=0)


def test_arrays_are_what_a_data_set_needs(drawn):
    images, labels, group = drawn
    assert images.shape == (300, 48, 48) and images.dtype == np.uint8
    assert labels.shape == (300,) and labels.dtype == np.uint8
    assert group.shape == (300,) and group.dtype.kind == "U"
    assert labels.max() < len(synthetic.CLASSES)


def test_images_are_neither_flat_nor_clipped(drawn):
    images = drawn[0]
    assert images.std(axis=(1, 2)).min() > 5
    assert np.isin(images, (0, 255)).mean() < 0.05


def test_no_two_images_are_the_same(drawn):
    assert len(np.unique(drawn[0].reshape(300, -1), axis=0)) == 300


def test_a_draw_is_the_same_each_time_and_begins_any_larger_one(drawn):
    for first, again in zip(synthetic.draw_faces(40, seed=0), drawn, strict=True):
        assert np.array_equal(first, again[:40])


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other processors may round differently")
def test_the_bytes_of_the_drawn_faces_do_not_change():
    """The committed results rest on them (`synthetic` is drawn with seed 0)."""
    images, labels, group = synthetic.draw_faces(50, seed=0)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes() + "".join(group).encode()).hexdigest()
    assert digest == "dcba4582f08ea26d3b0c679e6e233af3ded2c355e434e1dbdb9c707c9f907c49"


def test_another_seed_draws_other_faces(drawn):
    images, _, group = synthetic.draw_faces(40, seed=1)
    assert not np.array_equal(group, drawn[2][:40])
    assert all(not np.array_equal(one, other) for one, other in zip(images, drawn[0], strict=False))


@pytest.mark.parametrize("count", [70, 300])
def test_classes_are_as_frequent_as_in_fer2013(drawn, count):
    share = np.bincount(drawn[1][:count], minlength=7) / count
    expected = synthetic.FREQUENCIES / sum(synthetic.FREQUENCIES)
    assert sum(synthetic.FREQUENCIES) == 35_887
    assert np.abs(share - expected).max() < 2.5 / count


def test_people_come_back_with_other_expressions(drawn):
    _, labels, group = drawn
    names, counts = np.unique(group, return_counts=True)
    assert all(name[0] == "P" and name[1:].isdigit() and int(name[1:]) < synthetic.PEOPLE for name in names)
    assert counts.max() > 1
    assert any(len(set(labels[group == name])) > 1 for name in names)


def test_a_person_does_not_change():
    assert vars(synthetic.identity(0, 7)).keys() == vars(synthetic.identity(0, 8)).keys()
    one, again, other, elsewhere = (synthetic.identity(*key).skin for key in ((0, 7), (0, 7), (0, 8), (1, 7)))
    assert one == again and len({one, other, elsewhere}) == 3


def test_expressions_follow_the_classes_and_their_variants_add_up():
    assert tuple(synthetic.EXPRESSIONS) == synthetic.CLASSES
    for variants in synthetic.EXPRESSIONS.values():
        assert sum(share for share, _ in variants) == pytest.approx(1)
        assert all(0 < unit < 28 and 0 < value <= 1 for _, units in variants for unit, value in units.items())


def test_action_units_move_the_features_they_name():
    """A face with one unit at work differs from the resting face where that unit is, and hardly elsewhere."""
    # Rows of the frame where each unit shows most: brows, lids, mouth.
    parts = {"brows": slice(8, 20), "eyes": slice(18, 27), "mouth": slice(32, 48)}

    def face(unit=None):
        rng = np.random.default_rng(3)
        units = [0.0] * 28
        if unit is not None:
            units[unit] = 1.0
        return drawing.photograph(synthetic.identity(0, 5), units, rng).astype(float)

    rest = face()
    for unit, part in ((1, "brows"), (4, "brows"), (12, "mouth"), (15, "mouth"), (27, "mouth")):
        change = {name: np.abs(face(unit) - rest)[rows].sum() for name, rows in parts.items()}
        assert max(change, key=change.get) == part, (unit, change)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (-1, 0), (2.5, 0), (True, 0), (10, -1), (10, "0")])
def test_wrong_numbers_are_one_clear_line(count, seed):
    with pytest.raises(FergitError, match=r"synthetic: (images|seed) is .*; it must be a whole number, at least [01]"):
        synthetic.draw_faces(count, seed)


def test_a_linear_classifier_beats_chance_and_is_far_from_perfect():
    images, labels, _ = synthetic.draw_faces(700, seed=0)
    split = np.where(np.arange(700) >= 500, "test", "train")
    faces = make_faces(images, labels, synthetic.CLASSES, "synthetic", [str(row) for row in range(700)], split=split)
    accuracy = synthetic.linear_baseline(faces)
    assert 0.2 < accuracy < 0.65
