import numpy as np

from fergit.engine import augmentation

SETTINGS = {"horizontal_flip": True, "rotation": 10, "shift": 0.1, "zoom": 0.1}
NONE = {"horizontal_flip": False, "rotation": 0, "shift": 0, "zoom": 0}


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
    maps = augmentation.epoch_warps(5000, 0, 1, SETTINGS)
    scale = np.hypot(maps[:, 0, 0], maps[:, 1, 0])
    assert 0.9 <= scale.min() < 0.91 and 1.09 < scale.max() <= 1.1001
    angle = np.degrees(np.arctan2(maps[:, 1, 0], np.abs(maps[:, 0, 0])))
    assert 9.8 < np.abs(angle).max() <= 10.001
    shift = maps[:, :, :2].sum(2) * 23.5 + maps[:, :, 2] - 23.5  # where the centre goes
    assert 4.7 < np.abs(shift).max() <= 4.801


def test_input_is_scaled_to_one():
    x = augmentation.to_input(np.full((2, 48, 48), 255, np.uint8))
    assert x.shape == (2, 48, 48, 1) and x.dtype == np.float32 and x.max() == 1
