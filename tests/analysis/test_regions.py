import numpy as np
import pytest

from fergit.analysis.regions import REGIONS, regions, shares


def test_an_even_map_has_the_area_as_its_share():
    for side in (3, 6, 12):
        found = shares(np.ones((1, side, side), np.float32), REGIONS)
        assert found["all"][0] == pytest.approx(sum((b - t) * (r - lt) for t, b, lt, r in REGIONS.values()) / 2304)
    one = np.zeros((1, 12, 12), np.float32)
    one[0, 9, 6] = 1  # its 4x4 pixels begin at row 36, column 24
    assert shares(one, REGIONS).round(2).iloc[0].to_dict() == pytest.approx(
        {"mouth": 0.98, "nose": 0.02, "eyes": 0, "brows": 0, "all": 1}, abs=0.03
    )


@pytest.mark.parametrize("dataset", ["fergit", "synthetic"])
def test_regions_are_in_the_image_and_apart(dataset):
    times = np.zeros((48, 48), int)
    for top, bottom, left, right in regions(dataset).values():
        assert 0 <= top < bottom <= 48 and 0 <= left < right <= 48
        times[top:bottom, left:right] += 1
    assert times.max() == 1
