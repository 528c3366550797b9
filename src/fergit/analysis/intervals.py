"""How sure: intervals of shares and means, tests of differences; by SciPy and statsmodels.

Two kinds of spread are kept apart: an interval over *images* (what other test images would have given these networks)
and an interval over *seeds* (what other trainings would have given).
"""

import math

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

BOOTSTRAP_SEED = 0  # the intervals are the same numbers on every run


def interval_key(level):
    """The name of an interval in metrics.json: ``ci95`` for 0.95."""
    return f"ci{100 * level:g}"


def rounded(value):
    """Numbers of a dict or list to six decimals, which any machine agrees on; None for what is not a number."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(float(value), 6)
    return value


def wilson(count, n, level=0.95):
    """Wilson's interval of a share ``count / n``; (0, 1) where n is 0. Arrays give arrays."""
    count, n = np.asarray(count, dtype=float), np.asarray(n, dtype=float)
    low, high = proportion_confint(count, np.maximum(n, 1), alpha=1 - level, method="wilson")
    return np.where(n > 0, low, 0.0), np.where(n > 0, high, 1.0)


def over_seeds(values, level=0.95):
    """Student's t interval of the mean over trainings, or None for fewer than three: that of two says nothing."""
    values = np.asarray(values, dtype=float)
    if values.size < 3:
        return None
    ends = values.mean() + stats.sem(values) * np.array(stats.t.interval(level, values.size - 1))
    return ends.tolist()


def bootstrap(values, statistic, samples, level=0.95, size=0):
    """Percentile interval over images, by resampling images; every seed sees the same resampled images.

    `values`, (..., n), are something for each image; `statistic` takes such values, (..., batch, n), to (batch,), and
    makes `size` numbers on the way for each of the batch, if these are more than the values.
    """
    values = np.asarray(values)
    result = stats.bootstrap(
        (np.arange(values.shape[-1]),),
        lambda index, axis: statistic(values[..., index]),
        n_resamples=samples,
        batch=max(1, 4_000_000 // max(values.size, size)),  # keeps each batch near 30 MB
        vectorized=True,
        axis=-1,
        confidence_level=level,
        method="percentile",  # BCa has no answer where nothing varies, such as a test set without a mistake
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    )
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def correct_by_holm(tests):
    """Give each of several tests, dicts with ``p``, its ``p_holm``: the p value corrected for there being several."""
    p_values = multipletests([test["p"] for test in tests], method="holm")[1].tolist() if tests else []
    for test, p in zip(tests, p_values, strict=True):
        test["p_holm"] = p


def difference(count, n, other_count, other_n, level=0.95):
    """Newcombe's interval of the difference of two independent shares, the first less the other: (low, high)."""
    low, high = confint_proportions_2indep(count, n, other_count, other_n, method="newcomb", alpha=1 - level)
    return float(low), float(high)
