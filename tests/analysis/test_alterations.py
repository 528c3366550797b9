"""Corrupted test images: each step does what it says, and no more than the next."""

import numpy as np
import pytest

from fergit.analysis.alterations import ALTERATIONS
from fergit.analysis.regions import EYES, LOWER, MOUTH
from fergit.core import paths
from fergit.core.faces import load_processed
from fergit.data.synthetic import draw_faces

IMAGES = draw_faces(6, seed=0)[0]
WHERE = (slice(12, 24), 12), (slice(34, 44), 20)  # rows and first column in which eyes and mouth are looked for


@pytest.mark.parametrize("name", ALTERATIONS)
def test_each_step_is_further_from_the_image_and_the_same_each_time(name):
    alteration, before = ALTERATIONS[name], IMAGES.copy()
    assert np.array_equal(alteration(IMAGES, alteration.none), IMAGES)
    steps = [alteration(IMAGES, strength) for strength in alteration.strengths]
    assert all(one.dtype == np.uint8 and one.shape == IMAGES.shape for one in steps)
    far = [np.abs(one.astype(float) - IMAGES).mean() for one in steps]
    assert 0 < far[0] and far == sorted(far)
    assert np.array_equal(alteration(IMAGES, alteration.strengths[0]), steps[0]) and np.array_equal(IMAGES, before)


def test_light_and_contrast_are_shares():
    dark, flat = (ALTERATIONS[name](IMAGES, 0.25).astype(float) for name in ("dark", "flat"))
    assert np.abs(dark - IMAGES / 4).max() <= 0.5
    assert np.abs(flat.mean(axis=(1, 2)) - IMAGES.mean(axis=(1, 2))).max() < 0.5
    assert np.allclose(flat.std(axis=(1, 2)), IMAGES.std(axis=(1, 2)) / 4, rtol=0.03)


def test_noise_goes_by_the_image_alone():
    noisy = ALTERATIONS["noise"](IMAGES, 10)
    assert np.array_equal(ALTERATIONS["noise"](IMAGES[3:4], 10)[0], noisy[3])
    middle = np.full((1, 48, 48), 128, np.uint8)
    assert 9 < ALTERATIONS["noise"](middle, 10).std() < 11


@pytest.mark.parametrize(("name", "row"), [("eyes", EYES), ("mouth", MOUTH)])
@pytest.mark.parametrize("height", [4, 12, 20])
@pytest.mark.parametrize(("dataset", "lower"), [("fergit", 0), ("synthetic", 3)])
def test_a_bar_covers_so_many_rows_and_nothing_else(name, row, height, dataset, lower):
    changed = np.zeros((48, 48), bool)
    for image in (np.zeros((48, 48), np.uint8), np.eye(48, dtype=np.uint8) * 255):
        changed |= ALTERATIONS[name](image[np.newaxis], height, dataset)[0] != image
    assert changed.any(axis=1).sum() <= height and changed.any(axis=0).sum() <= 36
    rows = np.flatnonzero(changed.any(axis=1))
    assert abs(rows.mean() + 0.5 - row - lower) <= 1 or rows[-1] == 47


def test_bars_and_regions_lie_where_drawn_faces_have_them():
    mean = draw_faces(400, seed=1)[0].mean(axis=0)
    eyes = mean[:, 8:40].mean(axis=1)[14:28].argmin() + 14
    assert abs(eyes - (EYES + LOWER["synthetic"])) <= 1


def test_and_where_fergit_has_them():
    if not paths.processed("fergit").exists():
        pytest.skip("data/processed/fergit.npz is not here; `dvc repro preprocess@fergit` makes it")
    mean = load_processed("fergit").images.mean(axis=0)
    eyes, mouth = (mean[rows, left : left + 8].mean(axis=1).argmin() + rows.start for rows, left in WHERE)
    assert abs(eyes - EYES) <= 1 and abs(mouth - MOUTH) <= 1


def test_a_squeezed_face_keeps_its_middle_and_a_turned_one_turns_both_ways():
    line = np.zeros((2, 48, 48), np.uint8)
    line[:, :, 8:10] = 255
    narrow = ALTERATIONS["narrow"](line, 0.5)[0]
    assert narrow[24].argmax() == round(23.5 - 0.5 * (23.5 - 8.5))
    turned = ALTERATIONS["turned"](line, 90)
    assert (
        turned[0, 8:10].mean() > 200
        and turned[1, 38:40].mean() > 200
        or (turned[1, 8:10].mean() > 200 and turned[0, 38:40].mean() > 200)
    )
