"""The tables and notebooks of results, on a made-up tree of results: no image, no weights, no Keras."""

import json
import subprocess
import sys

import made_up
import numpy as np
import pytest
from made_up import EVALUATE

from fergit.analysis import claims, leaks, metrics, report
from fergit.core import paths
from fergit.core.predictions import read_predictions
from fergit.pages import present, tables_results

NOTEBOOKS = {  # each after those that it reads
    "03-evaluate": {"seeds": [0, 1], "evaluate": EVALUATE, "split": {}},
    "04-report": {"seeds": [0, 1], "models": ["residual"], "evaluate": EVALUATE, "split": {}},
    "06-leaks": {"models": ["residual"], "evaluate": EVALUATE},
}
RUN = """
import json, sys
from pathlib import Path
import matplotlib
matplotlib.use("Agg")
from fergit.core import paths
paths.RESULTS = Path(sys.argv[1])
for notebook, params in json.loads(sys.argv[2]).items():
    names = {"dataset": "fergit", "model": "residual", "params": params}
    for cell in json.loads((paths.NOTEBOOKS / f"{notebook}.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", []):
            exec("".join(cell["source"]), names)
loaded = {"keras", "tensorflow", "fergit.engine", "fergit.data"} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    for model in report.PAIR:
        made_up.write_results("fergit", model, seeds=(0, 1))
    made_up.write_copies("fergit")
    return tmp_path


def test_the_notebooks_need_neither_data_nor_weights_nor_keras(results):
    command = [sys.executable, "-c", RUN, str(results), json.dumps(NOTEBOOKS)]
    env = {"PYTHONPATH": str(paths.ROOT / "src"), "MPLCONFIGDIR": str(results), "HOME": str(results)}
    done = subprocess.run(command, env=env, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((results / "fergit/residual/metrics.json").read_text())
    assert summary["accuracy"]["mean"] == pytest.approx(0.747, abs=1e-3)
    assert (results / "reports/fergit/report.json").exists() and (results / "leaks/fergit/metrics.json").exists()


def test_tables_for_readers_are_whole(results):
    outcomes = report.read_outcomes("fergit", report.PAIR, [0, 1])
    comparison = report.compare(outcomes, EVALUATE)
    checked = claims.check("fergit", outcomes, EVALUATE)
    built = report.build("fergit", outcomes, comparison, checked, EVALUATE)
    text = present.markdown(tables_results.claims_table(checked))
    assert text.count("\n") == 1 + len(checked) and "nan" not in text and "9,766,391" in text
    assert tables_results.networks_table(built).loc["residual", "paper"] == "75 %"
    assert list(tables_results.mcnemar_table(comparison).index) == [0, 1]
    assert tables_results.trainings_table(outcomes["basic"].trainings).loc[1, "training accuracy"] == "86.0 %"
    paper = claims.paper_table("fergit", "residual")
    scores = tables_results.scores_table(outcomes["residual"].metrics, 0.95, paper)
    assert scores["paper"].tolist() == ["75 %", "67 %"] and scores["sd over seeds"].tolist() == ["0.0 points"] * 2
    shown = tables_results.per_class_table(
        metrics.beside_paper(metrics.per_class(outcomes["residual"].predictions), paper)
    )
    assert shown["ours", "support"].tolist() == shown["paper", "support"].tolist() == list(paper["support"])


def test_tables_of_leaks(results):
    outcomes = {model: read_predictions(paths.results("fergit", model) / "predictions.csv") for model in report.PAIR}
    tests = leaks.read_copies("fergit")
    found = leaks.summary("fergit", tests, outcomes, 0.95)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    copies = tables_results.copies_table(found)
    assert copies["test images"].loc[(slice(None), leaks.ALIKE)].tolist() == ["247", "494"]
    contrasts = tables_results.contrasts_table(found, "copies", "copies_of_fer2013")
    assert contrasts.index.tolist() == ["basic", "basic", "residual", "residual"]
    assert set(contrasts["among"]) == {"all test images", "FER2013's images"}
    assert tables_results.contrasts_table(found, "no such") is None
    votes = leaks.votes_of(tests)
    assert "no face" in tables_results.agreement_table(leaks.agreement(tests.loc[votes.index, "label"], votes))


def test_numbers_as_texts():
    assert present.percent(None) == present.percent(np.nan) == "–" and present.percent(0.734) == "73.4 %"
    assert present.with_interval(0.734, 0.716, 0.751) == "73.4 % (71.6–75.1)"
    assert present.with_interval(0.734, None, None) == "73.4 %"
    assert [present.points(value) for value in (0.007, -0.022, -0.0001)] == ["+0.7", "−2.2", "0.0"]
    assert present.failure_warning({0: {"trained": True}}, "basic") == ""
    assert "basic network with seed 0, 2 never" in present.failure_warning(
        {seed: {"trained": seed == 1} for seed in range(3)}, "basic"
    )
