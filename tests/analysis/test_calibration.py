import made_up
import numpy as np
import pytest
from scipy.special import softmax

from fergit.analysis import calibration
from fergit.core.predictions import predictions_table


def drawn(temperature, seed, n=4000):
    """Labels drawn from softmax(logits), probabilities of softmax(logits x temperature): too sure by that much."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 3))
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    values = softmax(temperature * logits, axis=1)
    return predictions_table(made_up.CLASSES, [f"{i}" for i in range(n)], labels, {0: values})


def test_every_image_is_counted_once():
    table = calibration.reliability(made_up.predictions(), bins=10)
    assert table["images"].sum() == 300
    assert ((table["confidence"] > table["low"]) & (table["confidence"] <= table["high"])).all()
    error = np.average(abs(table["confidence"] - table["accuracy"]), weights=table["images"])
    assert calibration.expected_error(made_up.predictions(), 10) == pytest.approx(error)


@pytest.mark.parametrize("true", [0.5, 1, 2.5])
def test_the_temperature_is_found_and_mends_other_images(true):
    validation, test = drawn(true, 0), drawn(true, 1)
    found = calibration.temperature(validation)
    assert found == pytest.approx(true, rel=0.06)
    assert calibration.expected_error(test, 10, found) < 0.02
    assert (calibration.expected_error(test, 10) > 0.05) == (true != 1)


def test_a_probability_of_0_is_taken():
    table = made_up.predictions(n=50)
    table.loc[0, ["p_angry", "p_happy", "p_sad"]] = [0, 1, 0]
    assert np.isfinite(calibration.temperature(table)) and np.isfinite(calibration.expected_error(table, 10, 2))
