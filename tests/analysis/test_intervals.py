import numpy as np
import pytest
from scipy import stats

from fergit.analysis import intervals


def test_wilson_is_the_textbooks():
    low, high = intervals.wilson(96, 99)
    z = stats.norm.ppf(0.975)
    centre = (96 / 99 + z**2 / 198) / (1 + z**2 / 99)
    half = z / (1 + z**2 / 99) * np.sqrt(96 / 99 * 3 / 99 / 99 + z**2 / (4 * 99**2))
    assert (low, high) == pytest.approx((centre - half, centre + half))


def test_bootstrap_agrees_with_the_normal_interval_and_is_the_same_each_time():
    values = np.random.default_rng(0).normal(0.5, 0.1, 2000)
    ends = intervals.bootstrap(values, lambda v: v.mean(axis=-1), samples=2000)
    error = 1.96 * values.std() / np.sqrt(values.size)
    assert ends == pytest.approx([values.mean() - error, values.mean() + error], abs=5e-4)
    assert ends == intervals.bootstrap(values, lambda v: v.mean(axis=-1), samples=2000)


def test_the_size_of_a_batch_changes_nothing():
    values, batches = np.random.default_rng(0).random(400), []

    def mean(values):
        batches.append(values.size // 400)
        return values.mean(axis=-1)

    ends = intervals.bootstrap(values, mean, 2000)
    assert max(batches) == 2000
    batches.clear()
    assert intervals.bootstrap(values, mean, 2000, size=256**2) == ends and max(batches) == 61


def test_interval_over_seeds_needs_three():
    assert intervals.over_seeds([0.7]) is None and intervals.over_seeds([0.7, 0.72]) is None
    low, high = intervals.over_seeds([0.70, 0.71, 0.72])
    assert (low + high) / 2 == pytest.approx(0.71)
    assert high - low == pytest.approx(2 * 4.303 * 0.01 / 3**0.5, rel=1e-3)  # a t table, two degrees of freedom


def test_a_difference_of_two_shares_holds_0_where_they_are_the_same():
    low, high = intervals.difference(50, 100, 50, 100)
    assert low == pytest.approx(-high) and 0.13 < high < 0.14
    assert intervals.difference(90, 100, 50, 100)[0] > 0.25


def test_what_is_no_number_becomes_none():
    assert intervals.rounded({"a": [np.float64("nan"), 1 / 3], "b": 2}) == {"a": [None, 0.333333], "b": 2}
    intervals.correct_by_holm(tests := [{"p": 0.01}, {"p": 0.04}])
    assert [test["p_holm"] for test in tests] == [0.02, 0.04]
