"""The tables and notebooks of results, on a made-up tree of results: no image, no weights, no Keras."""

import json
import re
import shutil
import subprocess
import sys

import made_up
import numpy as np
import pytest
from made_up import EVALUATE

from fergit.analysis import claims, leaks, metrics, report
from fergit.core import params, paths
from fergit.core.predictions import read_predictions
from fergit.pages import documents, present, tables_results

RUN = """
import json, sys
from pathlib import Path
import matplotlib
matplotlib.use("Agg")
from fergit.core import params, paths
paths.RESULTS = Path(sys.argv[1])
for notebook, names in json.loads(sys.argv[2]):
    for cell in json.loads((paths.NOTEBOOKS / f"{notebook}.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", []):
            exec("".join(cell["source"]), names)
loaded = {"keras", "tensorflow", "fergit.engine", "fergit.data"} & set(sys.modules)
assert not loaded, loaded
"""
SEEDS = [0, 1, 2]
NETWORKS = {"fergit": ["basic", "residual"], "ckplus": ["residual"], "fer2013": ["residual"]}
STUDIES = {"ckplus-frames": "ckplus", "ckplus-subjects": "ckplus", "fergit-poolings": "fergit"}


def notebooks():
    """Each reading notebook with its parameters, after those that it reads."""
    of = {dataset: {"split": {"protocol": "frames"} if dataset == "ckplus" else {}} for dataset in NETWORKS}
    both = {"evaluate": EVALUATE, "seeds": SEEDS}
    for dataset, models in NETWORKS.items():
        for model in models:
            yield "03-evaluate", {"dataset": dataset, "model": model, "params": both | of[dataset]}
        yield "04-report", {"dataset": dataset, "params": both | of[dataset] | {"models": models}}
    yield "06-leaks", {"dataset": "fergit", "params": {"models": ["residual"], "evaluate": EVALUATE}}
    for name, dataset in STUDIES.items():
        study = {"studies": {name: params.read(paths.STUDIES)["studies"][name]}, "evaluate": EVALUATE}
        yield "05-study", {"name": name, "params": study | of[dataset]}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    for model in report.PAIR:
        made_up.write_results("fergit", model, seeds=SEEDS)
    made_up.write_copies("fergit")
    return tmp_path


def test_notebooks_and_pages_when_all_is_trained(results, monkeypatch):
    """Three seeds, several data sets, studies: notebooks without data, weights and Keras; and the pages."""
    shutil.copytree(paths.ROOT / "results" / "first-reading", results / "first-reading")
    for dataset in ("ckplus", "fer2013"):
        made_up.write_results(dataset, "residual", seeds=SEEDS)
    for name in STUDIES:
        made_up.write_study(name)
    command = [sys.executable, "-c", RUN, str(results), json.dumps(list(notebooks()))]
    env = {"PYTHONPATH": str(paths.ROOT / "src"), "MPLCONFIGDIR": str(results), "HOME": str(results)}
    done = subprocess.run(command, env=env, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((results / "fergit/residual/metrics.json").read_text())
    assert summary["accuracy"]["mean"] == pytest.approx(0.747, abs=1e-3)
    assert (results / "reports/fergit/report.json").exists() and (results / "leaks/fergit/metrics.json").exists()

    whole = documents.texts()
    home, article = whole["README.md"], whole["REPLICATION.md"]
    assert "reaches 74.2 % (95 % CI 72.8–75.9) and our residual network 74.6 % (" in " ".join(home.split())
    assert "the paper's 74 % is reproduced: the difference is +0.2 points (" in " ".join(home.split())
    assert "Its 75 % is reproduced: −0.4 points (" in home
    assert "| FERGIT | residual | 75 % | 74.6 % (" in home
    assert "| CK+, random splits | residual | 97 % | 93.4 % (" in home and "| CK+, random splits | basic | – |" in home
    assert "| CK+, new persons | basic |" in home
    assert "first reading" not in home.lower() and "| FER2013 | residual | – | 74.6 % (" in home
    for said in ("3 runs of each", "Of FERGIT's 2,465 test images 247", "on the ten random splits"):
        assert said in " ".join(article.split()), said
    assert "explain the gap" not in article  # both are reproduced
    assert (
        "| FERGIT, residual, happy | not reproduced; reproduced | 89; 92 | 82.4; 92.0 |" in article
        and "under `datasets`: precision, fergit-class-weights," in article  # the studies that were not run
    )
    assert "**74.6 % (" in whole["docs/fer2013.md"] and "| 93.1, 92.0 |" in whole["docs/contradictions.md"]
    for name, text in whole.items():
        assert not re.search(r"\bnan\b|None|Undefined|{[{%#]", text), name
        assert name == "results/README.md" or "\n\n\n" not in text

    judged = json.loads((results / "reports/fergit/report.json").read_text())
    next(claim for claim in judged["claims"] if claim["id"] == "fergit-residual-accuracy")["verdict"] = "inconclusive"
    (results / "reports/fergit/report.json").write_text(json.dumps(judged))
    gap = documents.texts()["REPLICATION.md"].partition("explain the gap")[2]
    assert "reaches 74.6 %, 74.6 %, 74.6 % with seeds 0, 1, 2." in gap and "of the images from muxspace and" in gap

    failed = json.loads((results / "studies/ckplus-frames/metrics.json").read_text())
    failed["variants"][0]["failed"] = failed["draws"]["basic"]["failed"] = 1
    (results / "studies/ckplus-frames/metrics.json").write_text(json.dumps(failed))
    home, article = (documents.texts()[name] for name in ("README.md", "REPLICATION.md"))
    assert "single split so far" not in article and "precision, ckplus-frames," not in article
    assert (
        "On CK+ the" not in home
        and "(CK+: persons)" in home
        and "| CK+, random splits | basic | – | training failed |" in home
    )

    for folder in ("studies", "leaks", "reports/fer2013"):  # each may be missing
        shutil.rmtree(results / folder)
        some = documents.texts()
        assert "74.6 %" in some["README.md"] and "precision, ckplus-frames," in some["REPLICATION.md"]
    shutil.rmtree(results / "reports")
    none = documents.texts()
    assert "On FERGIT our" not in none["README.md"] and "**FERGIT.**" not in none["REPLICATION.md"]


def test_tables_for_readers_are_whole(results):
    outcomes = report.read_outcomes("fergit", report.PAIR, SEEDS)
    comparison = report.compare(outcomes, EVALUATE)
    checked = claims.check("fergit", outcomes, EVALUATE)
    built = report.build("fergit", outcomes, comparison, checked, EVALUATE)
    text = tables_results.claims_table(checked)
    assert text.count("\n|") == 1 + len(checked) and "nan" not in text
    assert text.count("9,766,391 in all") + text.count("9,766,391 trainable") == 1  # a note stands once, below
    rows = [row.split(" | ") for row in text.splitlines() if row.startswith("| ")]
    place = rows[0].index("margin")
    margins = {claim.quantity: row[place] for claim, row in zip(checked.itertuples(), rows[2:], strict=True)}
    assert (margins["accuracy"], margins["recall"], margins["gain"], margins["minutes"]) == ("3", "6", "1", "–")
    assert "| 67.4 |" in text and "| 75 |" in text  # computed from the table, and as it prints it
    assert tables_results.networks_table(built).loc["residual", "paper"] == "75 %"
    assert list(tables_results.mcnemar_table(comparison).index) == SEEDS
    assert tables_results.trainings_table(outcomes["basic"].trainings).loc[1, "training accuracy"] == "86.0 %"
    paper = claims.paper_table("fergit", "residual")
    scores = tables_results.scores_table(outcomes["residual"].metrics, 0.95, paper)
    assert scores["paper"].tolist() == ["75 %", "67.4 %"] and scores["sd over seeds"].tolist() == ["0.0 points"] * 2
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
    assert [present.points(value) for value in (0.007, -0.022, 0.0)] == ["+0.7", "−2.2", "0.0"]
    assert (present.points(-0.00036), present.points(1e-9)) == ("−0.04", "0.0")  # an interval's end that excludes 0
    assert present.failure_warning({0: {"trained": True}}, "basic") == ""
    assert present.score({"mean": 0.7083, "ci95": [0.69, 0.726]}, "95 % CI ") == "70.8 % (95 % CI 69.0–72.6)"
    one = {"low": 0.001, "high": 0.02}
    assert present.direction(one) == present.direction(one | {"over_seeds": [0.002, 0.01]}) == "higher"
    assert present.direction(one | {"over_seeds": [-0.01, 0.03]}) == "not significant"
    assert present.direction({"low": -0.01, "high": 0.02, "over_seeds": [0.01, 0.01]}) == "not significant"
    assert present.intervals(one | {"over_seeds": [-0.01, 0.03]}) == "+0.1 to +2.0 over images, −1.0 to +3.0 over seeds"
    assert present.gain({"difference": -0.004, "low": -0.02, "high": 0.01}, " points") == "−0.4 points (−2.0 to +1.0)"
    assert "basic network with seeds 0 and 2 never" in present.failure_warning(
        {seed: {"trained": seed == 1} for seed in range(3)}, "basic"
    )
