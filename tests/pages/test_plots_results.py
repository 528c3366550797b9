"""Smoke: every figure is drawn, with what it must show, from the largest case to the smallest."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from analysis.test_metrics import CLASSES, made_up

from fergit.analysis import metrics
from fergit.pages import plots, plots_results


@pytest.fixture(autouse=True)
def closed():
    plots.theme()
    yield
    plt.close("all")


def texts(figure):
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def test_confusion_matrices_show_counts_and_shares():
    confusion = np.array([[8, 2, 0], [1, 1, 0], [0, 0, 0]])  # the last class has no image
    shown = texts(plots_results.confusion_matrices(confusion, CLASSES))
    assert {"8", "80", "50", *CLASSES, "true", "predicted"} <= set(shown)


@pytest.mark.parametrize("paper", [None, {"classes": CLASSES, "f1": (0.5, 0.9, 0.6)}])
def test_f1_per_class_has_a_legend_only_beside_the_paper(paper):
    shown = texts(plots_results.f1_per_class(metrics.per_class(made_up()), paper))
    assert ("paper" in shown) == (paper is not None)


def test_roc_and_reliability():
    curves, areas = metrics.roc_curves(made_up())
    assert any(f"{areas['sad']:.3f}" in text for text in texts(plots_results.roc(curves, areas)))
    table = metrics.calibration(made_up(), bins=10)
    assert "images" in texts(plots_results.reliability(table, metrics.calibration_error(table)))


@pytest.mark.parametrize("paper", [0.75, np.nan])
def test_networks_with_and_without_the_paper(paper):
    rows = [("basic", "accuracy", 0.73, 0.71, 0.75, paper), ("basic", "macro F1", 1.0, 1.0, 1.0, np.nan)]
    table = pd.DataFrame(rows, columns=["network", "metric", "value", "low", "high", "paper"])
    assert ("paper" in texts(plots_results.networks(table))) == (paper == 0.75)


def test_learning_of_one_epoch():
    table = pd.DataFrame({"network": ["basic"], "seed": [0], "epoch": [1], "val_accuracy": [0.3]})
    assert "basic" in texts(plots_results.learning(table))
