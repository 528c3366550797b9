"""Smoke: every figure of results is drawn, with what it must show, from the largest case to the smallest."""

import made_up
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_up import CLASSES

from fergit.analysis import calibration, leaks, metrics, report
from fergit.core import paths
from fergit.core.predictions import read_predictions
from fergit.pages import plots, plots_leaks, plots_results


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


@pytest.mark.parametrize("paper", [None, dict.fromkeys(("precision", "recall", "f1", "support"), (0.5, 0.9, 0.6))])
def test_f1_per_class_has_a_legend_only_beside_the_paper(paper):
    table = metrics.beside_paper(metrics.per_class(made_up.predictions()), paper and paper | {"classes": CLASSES})
    assert ("paper" in texts(plots_results.f1_per_class(table, "basic"))) == (paper is not None)


def test_roc_and_reliability():
    curves, areas = metrics.roc_curves(made_up.predictions())
    assert any(f"{areas['sad']:.3f}" in text for text in texts(plots_results.roc(curves, areas)))
    assert "images" in texts(
        plots_results.reliability(calibration.reliability(made_up.predictions(), bins=10), "basic")
    )


@pytest.mark.parametrize("seeds", [1, 10])
@pytest.mark.parametrize("epochs", [1, 40])
def test_learning_fills_its_axis_and_has_one_line_a_run_and_their_mean(seeds, epochs):
    rows = [(name, seed, epoch) for name in ("basic", "residual") for seed in range(seeds) for epoch in range(epochs)]
    table = pd.DataFrame(rows, columns=["network", "seed", "epoch"])
    table["accuracy"] = table["val_accuracy"] = 0.5 + 0.2 * table["epoch"] / max(1, epochs - 1) + 0.001 * table["seed"]
    figure = plots_results.learning([table])
    assert {"basic", "residual", "validation"} <= set(texts(figure))
    validation = figure.axes[1]
    assert len(validation.lines) == 2 * (seeds + (seeds > 1)) and np.diff(validation.get_ylim())[0] < 0.3


def test_the_mean_of_runs_ends_with_the_shortest():
    rows = [("basic", seed, epoch, 0.1 * seed + 0.01 * epoch) for seed in range(3) for epoch in range(40 - 10 * seed)]
    table = pd.DataFrame(rows, columns=["network", "seed", "epoch", "val_accuracy"]).assign(accuracy=0.5)
    *runs, mean = plots_results.learning([table]).axes[1].lines
    assert len(runs) == 3 and mean.get_xdata().tolist() == list(range(20))
    assert np.allclose(mean.get_ydata(), 0.1 + 0.01 * np.arange(20)) and mean.get_linewidth() > runs[0].get_linewidth()


def test_figures_of_leaks(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    for model in report.PAIR:
        made_up.write_results("fergit", model)
    made_up.write_copies("fergit")
    tests = leaks.read_copies("fergit")
    outcomes = {name: read_predictions(paths.results("fergit", name) / "predictions.csv") for name in report.PAIR}
    found = leaks.summary("fergit", tests, outcomes, 0.95)
    assert {*leaks.KINDS, "test images"} <= set(texts(plots_leaks.correlations(tests)))
    shown = texts(plots_leaks.accuracies(found))
    assert {"basic", "residual", "from muxspace (617)", "FER+ votes: the label (1,848)"} <= set(shown)
    votes = leaks.votes_of(tests)
    labels = tests.loc[votes.index, "label"]
    assert {"a tie", "no face", "contempt"} <= set(texts(plots_leaks.seen_as(labels, votes)))
    by_majority = labels.where(labels != "sad", "contempt")  # a class that FER2013's own labels have not
    assert f"contempt ({(labels == 'sad').sum():,})" in texts(plots_leaks.seen_as(by_majority, votes))
