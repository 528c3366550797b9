"""Can the probabilities be believed? Reliability by bins, the expected calibration error, and one temperature."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from fergit.analysis.intervals import wilson
from fergit.core.predictions import unpack


def reliability(predictions, bins, level=0.95):
    """Does a probability of 0.8 mean correct in 80 of 100 cases? The first seed's predictions, in bins of equal width.

    For each bin that holds images: low, high, confidence (mean probability of the predicted class), accuracy, images,
    accuracy_low, accuracy_high (Wilson).
    """
    labels, probabilities = unpack(predictions)
    table = _bins(labels, probabilities[0], bins)
    low, high = wilson(table["accuracy"] * table["images"], table["images"], level)
    return table.assign(accuracy_low=low, accuracy_high=high)


def expected_error(predictions, bins, temperature=1.0):
    """Expected calibration error, mean over the seeds: the gap between confidence and accuracy, weighted by images."""
    labels, probabilities = unpack(predictions)
    tables = [_bins(labels, calibrated(values, temperature), bins) for values in probabilities]
    return float(np.mean([np.average(abs(t["confidence"] - t["accuracy"]), weights=t["images"]) for t in tables]))


def calibrated(probabilities, temperature):
    """Probabilities, float (..., classes), with their logits divided by a temperature; no label changes."""
    return softmax(_logits(probabilities) / temperature, axis=-1)


def temperature(validation):
    """The T that gives softmax(logits / T) the least cross-entropy on the validation set (Guo et al. 2017): float.

    Above 1 the network claims too much, below 1 too little. No label changes. All seeds share one.
    """
    labels, probabilities = unpack(validation)
    logits, truth = _logits(probabilities), labels[np.newaxis, :, np.newaxis]

    def loss(log_temperature):
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled, axis=2, keepdims=True) - np.take_along_axis(scaled, truth, axis=2)))

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def _logits(probabilities):
    """Logits up to a constant; a probability may have been written as 0."""
    return np.log(np.maximum(probabilities, 1e-12))


def _bins(labels, probabilities, bins):
    confidence, edges = probabilities.max(axis=1), np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)  # (low, high]
    frame = pd.DataFrame({"confidence": confidence, "accuracy": probabilities.argmax(axis=1) == labels})
    table = frame.groupby(place).mean().assign(images=np.bincount(place)[np.unique(place)])
    table.insert(0, "low", edges[table.index])
    table.insert(1, "high", edges[table.index + 1])
    return table.reset_index(drop=True)
