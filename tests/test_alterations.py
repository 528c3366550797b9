"""Test images made worse: each step does what it says, and no more than the next."""

import numpy as np
import pytest

from fergit.alterations import ALTERATIONS, MOUTH
from fergit.synthetic import draw_faces

IMAGES = draw_faces(6, seed=0)[0]


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


@pytest.mark.parametrize("name", ["eyes", "mouth"])
@pytest.mark.parametrize("height", [4, 12, 20])
def test_a_bar_covers_so_many_rows_and_nothing_else(name, height):
    changed = np.zeros((48, 48), bool)
    for image in (np.zeros((48, 48), np.uint8), np.eye(48, dtype=np.uint8) * 255):
        changed |= ALTERATIONS[name](image[np.newaxis], height)[0] != image
    assert changed.any(axis=1).sum() <= height and changed.any(axis=0).sum() <= 36
    rows = np.flatnonzero(changed.any(axis=1))
    assert (rows.mean() > 24) == (name == "mouth") and (name == "eyes" or abs(rows.mean() + 0.5 - MOUTH) <= 1)


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
