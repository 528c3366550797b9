import numpy as np
import pytest

from fergit.engine import augmentation

NONE = {"horizontal_flip": False, "interpolation": "linear"} | dict.fromkeys(
    ("rotation", "shear", "shift", "zoom", "sharp", "erasing", "light", "contrast", "blur", "noise"), 0
)
SETTINGS = NONE | {"horizontal_flip": True, "rotation": 10, "shear": 0.15, "shift": 0.1, "zoom": 0.1}


def face(n=3):
    return np.random.default_rng(0).integers(0, 256, (n, 48, 48), dtype=np.uint8)


def test_no_augmentation_changes_nothing():
    assert np.array_equal(augmentation.warp(face(), augmentation.epoch_warps(3, 0, 1, NONE)), face())


def test_flip_mirrors_exactly_and_half_of_the_images():
    maps = augmentation.epoch_warps(1000, 0, 1, NONE | {"horizontal_flip": True})
    flipped = maps[:, 0, 0] < 0
    assert 400 < flipped.sum() < 600
    images = face(1000)
    warped = augmentation.warp(images, maps)
    assert np.array_equal(warped[flipped], images[flipped, :, ::-1])
    assert np.array_equal(warped[~flipped], images[~flipped])


def test_a_map_depends_on_seed_epoch_and_index_alone():
    maps = augmentation.epoch_warps(10, 1, 2, SETTINGS)
    assert np.array_equal(augmentation.epoch_warps(20, 1, 2, SETTINGS)[:10], maps)
    assert not np.array_equal(augmentation.epoch_warps(10, 1, 3, SETTINGS), maps)
    assert not np.array_equal(augmentation.epoch_warps(10, 2, 2, SETTINGS), maps)
    assert np.array_equal(augmentation.epoch_order(10, 1, 2), augmentation.epoch_order(10, 1, 2))
    assert sorted(augmentation.epoch_order(10, 1, 2)) == list(range(10))


def test_ranges_are_kept():
    """Of each operation alone: the template's ranges are at most these, either way."""
    for name, value in (("rotation", 10), ("shear", 5), ("zoom", 0.1)):
        maps = augmentation.epoch_warps(5000, 0, 1, NONE | {name: value}).astype(float)
        (a, b), (c, d) = maps[:, 0, :2].T, maps[:, 1, :2].T
        for extent in {
            "rotation": [np.degrees(np.arctan2(c, a)), np.degrees(np.arctan2(-b, d))],
            "shear": [np.degrees(np.arcsin(c))],
            "zoom": [a - 1, d - 1],
        }[name]:
            assert 0.98 * value < extent.max() <= 1.0001 * value and -1.0001 * value <= extent.min() < -0.98 * value
        assert np.allclose(maps[:, :, :2].sum(2) * 23.5 + maps[:, :, 2], 23.5, atol=1e-4)  # the centre stays
    zooms = augmentation.epoch_warps(5000, 0, 1, NONE | {"zoom": 0.1})
    assert abs(np.corrcoef(zooms[:, 0, 0], zooms[:, 1, 1])[0, 1]) < 0.05  # each axis has its own
    shifts = augmentation.epoch_warps(5000, 0, 1, NONE | {"shift": 0.1})[:, :, 2]
    assert 4.7 < np.abs(shifts).max() <= 4.801


def test_sharp_images_are_only_mirrored_and_moved_by_whole_pixels():
    maps = augmentation.epoch_warps(2000, 0, 1, SETTINGS | {"sharp": 0.25})
    whole = (np.abs(maps[:, :, :2]) == np.eye(2)).all((1, 2)) & (maps[:, :, 2] == np.round(maps[:, :, 2])).all(1)
    assert 400 < whole.sum() < 600
    [image] = face(1)
    moved = augmentation.warp(image[np.newaxis], np.array([[[1, 0, 2], [0, 1, -3]]], np.float32))[0]
    assert np.array_equal(moved[3:, :-2], image[:-3, 2:])
    assert np.array_equal(moved[:3], np.repeat(moved[3:4], 3, axis=0))  # the border is repeated outwards


def looked(**settings):
    """300 images of a plain gray as they look by these settings alone."""
    looks = augmentation.epoch_photometric(300, 0, 1, NONE | settings)
    return augmentation.apply_photometric(
        np.full((300, 48, 48, 1), 0.4, np.float32), looks, augmentation.noise_generator(0, 1, 0)
    )


def test_looks_are_off_unless_asked_for():
    assert augmentation.epoch_photometric(10, 0, 1, SETTINGS) is None


def test_noise_is_normal():
    """By its moments: uniform noise would have a fourth one of 1.8."""
    assert abs(augmentation.NORMAL.mean()) < 1e-6
    assert [(augmentation.NORMAL.astype(float) ** n).mean() for n in (2, 4)] == pytest.approx([1, 3], rel=2e-3)


def test_light_and_noise_and_erasing_are_within_their_ranges():
    light = looked(light=0.5).mean((1, 2, 3))
    assert 0.2 <= light.min() < 0.21 and 0.78 < light.max() <= 0.8001  # half to double
    noise = looked(noise=0.1).std((1, 2, 3))
    assert noise.min() < 0.005 and 0.09 < noise.max() < 0.103
    erased = (looked(erasing=0.3) != np.float32(0.4)).mean((1, 2, 3))
    assert 0.2 < (erased > 0).mean() < 0.4
    assert 12 * 12 / 48**2 <= erased[erased > 0].min() and erased.max() <= 24 * 24 / 48**2


def test_contrast_keeps_the_mean_and_blur_the_sum():
    image = np.random.default_rng(0).uniform(0.4, 0.6, (1, 48, 48, 1)).astype(np.float32)
    images = np.repeat(image, 300, axis=0)
    looks = augmentation.epoch_photometric(300, 0, 1, NONE | {"contrast": 0.5})
    changed = augmentation.apply_photometric(images.copy(), looks, None)
    assert np.allclose(changed.mean((1, 2, 3)), image.mean(), atol=1e-5)
    ratio = changed.std((1, 2, 3)) / image.std()
    assert 0.5 <= ratio.min() < 0.51 and 1.95 < ratio.max() <= 2.001
    blurred = augmentation.apply_photometric(
        images.copy(), augmentation.epoch_photometric(300, 0, 1, NONE | {"blur": 2}), None
    )
    assert blurred.std((1, 2, 3)).min() < 0.2 * image.std() and np.allclose(blurred.mean(), image.mean(), atol=1e-3)


def test_a_look_depends_on_seed_epoch_and_index_alone():
    settings = NONE | {"light": 0.5, "blur": 1, "erasing": 0.5}
    some, more = (augmentation.epoch_photometric(count, 1, 2, settings) for count in (10, 20))
    assert all(np.array_equal(some[name], more[name][:10]) for name in some)
    assert not np.array_equal(some["light"], augmentation.epoch_photometric(10, 1, 3, settings)["light"])


def test_input_is_scaled_to_one():
    x = augmentation.to_input(np.full((2, 48, 48), 255, np.uint8))
    assert x.shape == (2, 48, 48, 1) and x.dtype == np.float32 and x.max() == 1
