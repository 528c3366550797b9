import numpy as np
import pytest

from fergit.core.errors import FergitError
from fergit.core.faces import concatenate
from fergit.data import ckplus, datasets, sources, splits
from fergit.paper import published


def labels_of(counts, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def sizes(split):
    return [int((split == part).sum()) for part in ("train", "validation", "test")]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_fergit_has_the_papers_sizes(seed):
    labels = labels_of(list(sources.EXPECTED["fergit"].values()))
    split = splits.stratified_two_step(labels, 0.1, seed)
    assert sizes(split) == list(published.FERGIT_SPLIT.values())
    for part in ("validation", "test"):
        supports = np.bincount(labels[split == part])
        assert np.abs(supports - published.TABLE_2["support"]).max() <= 1


def test_the_older_rule_gives_the_papers_supports():
    labels = np.repeat(np.arange(7), list(sources.EXPECTED["fergit"].values()))
    for order in (labels, labels[::-1], labels_of(np.bincount(labels))):  # the numbers hang on the classes' sizes alone
        split = splits.stratified_two_step(order, 0.1, 42, rule="sklearn-0.24")
        assert sizes(split) == list(published.FERGIT_SPLIT.values())
        assert np.bincount(order[split == "test"]).tolist() == [260, 37, 257, 735, 304, 218, 654]
    today = splits.stratified_two_step(labels, 0.1, 42)
    assert np.bincount(labels[today == "test"]).tolist() != [260, 37, 257, 735, 304, 218, 654]


def test_the_papers_supports_need_class_numbers_not_one_hot_labels():
    """scikit-learn sorts one-hot rows as text, which reverses the classes, and with them the ties' lots."""
    labels = np.repeat(np.arange(7), list(sources.EXPECTED["fergit"].values()))
    split = splits.stratified_two_step(6 - labels, 0.1, 42, rule="sklearn-0.24")
    assert np.bincount(labels[split == "test"]).tolist() == [261, 37, 257, 734, 304, 219, 653]


@pytest.mark.parametrize(
    ("sizes", "number", "seed", "expected"),
    [
        ([4, 2], 3, 0, [2, 1]),
        ([5, 2], 4, 0, [3, 1]),
        ([2, 2, 2, 1], 2, 0, [0, 1, 1, 0]),
        ([2, 2, 2, 1], 2, 42, [1, 1, 0, 0]),
    ],
)
def test_shares_are_those_that_scikit_learns_documentation_shows(sizes, number, seed, expected):
    random = np.random.RandomState(seed)
    assert splits._older_shares(np.array(sizes), number, random).tolist() == expected


def test_the_paper_prints_these_supports():
    for table in (published.TABLE_2, published.TABLE_3):
        assert list(table["support"]) == [260, 37, 257, 735, 304, 218, 654]


def test_the_real_fergit_has_the_papers_supports(real_file):
    own = {"held_out": 0.1, "rule": "sklearn-0.24", "seed": 42}
    faces = concatenate(
        *(module.read(real_file(name))[0] for name, module in sources.MODULES.items() if name != "ckplus")
    )
    split = datasets._parts(faces, own)
    for label, support in enumerate(published.TABLE_3["support"]):
        assert (faces.labels[split == "test"] == label).sum() == support


@pytest.mark.parametrize("seed", [0, 42])
def test_the_older_rule_differs_from_todays_in_nothing_but_ties(seed, monkeypatch):
    plain = labels_of([400, 200, 100])  # no class leaves a rest, so nothing is rounded
    older = splits.stratified_two_step(plain, 0.2, seed, rule="sklearn-0.24")
    swapped = {"train": "train", "validation": "test", "test": "validation"}
    assert [swapped[part] for part in older] == splits.stratified_two_step(plain, 0.2, seed).tolist()
    # And with ties, today's scikit-learn gives the same as soon as it shares out as the older one did.
    fergit = labels_of(list(sources.EXPECTED["fergit"].values()))
    older = splits.stratified_two_step(fergit, 0.1, seed, rule="sklearn-0.24")
    shares = lambda sizes, number, rng: splits._older_shares(sizes, number, rng)  # noqa: E731
    monkeypatch.setattr("sklearn.model_selection._split._approximate_mode", shares)
    assert [swapped[part] for part in older] == splits.stratified_two_step(fergit, 0.1, seed).tolist()


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_ckplus_frames_has_the_papers_supports(seed):
    labels = labels_of(ckplus.COUNTS)
    split = splits.frames(labels, 0.1, 0.1, seed)
    assert sizes(split) == [793, 89, 99]
    assert np.abs(np.bincount(labels[split == "test"]) - published.TABLE_4["support"]).max() <= 1


def test_a_split_is_a_function_of_its_seed():
    labels = labels_of([100, 50, 30])
    first, again, other = (splits.stratified_two_step(labels, 0.2, seed) for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def people(number=30, classes=3, frames=3, seed=0):
    rng = np.random.default_rng(seed)
    group = np.repeat([f"S{i:03d}" for i in range(number)], frames * 2)
    return np.repeat(rng.integers(0, classes, number * 2), frames), group


def test_no_person_is_in_two_parts():
    labels, group = people()
    tested = []
    for fold in range(5):
        split = splits.subjects(labels, group, 5, fold, 0)
        parts = [set(group[split == part]) for part in ("train", "validation", "test")]
        assert all(parts) and not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        tested += sorted(parts[2])
    assert sorted(tested) == sorted(set(group))  # over all folds, each person is tested once


def test_official_parts_are_kept_and_open_ones_halved():
    labels = labels_of([40, 40])
    split = np.where(np.arange(80) < 40, "train", "")
    result = splits.official(split, labels, 0)
    assert (result[:40] == "train").all() and sizes(result) == [40, 20, 20]
    complete = np.array(["train", "validation", "test"] * 20)
    assert (splits.official(complete, labels[:60], 0) == complete).all()


@pytest.mark.parametrize("size", [0, 1, 2])
def test_tiny_classes_are_named(size):
    labels = labels_of([50, size, 50])
    for split in (
        lambda: splits.stratified_two_step(labels, 0.1, 0, ("a", "rare", "c")),
        lambda: splits.frames(labels, 0.1, 0.1, 0, ("a", "rare", "c")),
        lambda: splits.subjects(labels, np.arange(len(labels)).astype(str), 3, 0, 0, ("a", "rare", "c")),
    ):
        with pytest.raises(FergitError, match=f"class rare has {size} image"):
            split()


def test_a_part_without_a_class_is_named():
    labels = labels_of([500, 4])
    with pytest.raises(FergitError, match="the (validation|test) part gets no image of class rare, which has 4"):
        splits.stratified_two_step(labels, 0.1, 0, ("many", "rare"))
    with pytest.raises(FergitError, match="class rare has 1 image left for two parts"):
        splits.official(np.array([""] * 11), np.array([0] * 10 + [1]), 0, ("many", "rare"))


def test_too_few_persons():
    labels, group = people(2)
    with pytest.raises(FergitError, match="split.folds is 10, there are 2 persons"):
        splits.subjects(labels, group, 10, 0, 0)
    with pytest.raises(FergitError, match="fold is 5; allowed: 0 to 4"):
        splits.subjects(*people(), 5, 5, 0)
    with pytest.raises(FergitError, match="the person on every image"):
        splits.subjects(labels, np.full(len(labels), ""), 3, 0, 0)


def test_one_class_and_few_images():
    assert sizes(splits.stratified_two_step(np.zeros(100, int), 0.1, 0)) == [90, 5, 5]
    for labels in (np.zeros(0, np.uint8), np.zeros(1, np.uint8), np.zeros(2, np.uint8)):
        with pytest.raises(FergitError):
            splits.stratified_two_step(labels, 0.1, 0, ("only",))
