"""The committed pages are what templates and results make of them; and a page is refused rather than made wrong."""

import json
import re
import shutil

import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.pages import documents, tables_pages, values

EVALUATE = {"confidence_level": 0.95, "bootstrap_samples": 200}


def claim(name, paper, ours, difference, low, high, verdict):
    columns = ("id", "paper", "ours", "difference", "low", "high", "verdict")
    values = (f"fergit-residual-{name}", paper, ours, difference, low, high, verdict)
    return dict(zip(columns, values, strict=True))


def variant(name, accuracy):
    ends = {"mean": accuracy, "sd": 0.01, "low": accuracy - 0.01, "high": accuracy + 0.01}
    return {"variant": name, "network": "residual", "trainings": 3, "failed": 0} | ends


CLAIMS = [
    claim("accuracy", 0.75, 0.7083, -0.0417, -0.06, -0.02, "not reproduced"),
    claim("precision-happy", 0.89, 0.9, 0.01, -0.01, 0.03, "reproduced"),
    claim("recall-happy", 0.92, 0.8, -0.12, -0.2, -0.05, "not reproduced"),
    claim("gain", 0.01, -0.004, -0.014, -0.03, 0.01, "inconclusive"),
    claim("minutes", 48, None, None, None, None, "not comparable"),
]
ENTRY = {"accuracy": {"mean": 0.7083, "sd": 0.004, "low": 0.69, "high": 0.726}, "n_test": 2465, "seeds": [0, 1]}
REPORT = {
    "dataset": "fergit",
    "models": {"residual": ENTRY | {"paper_accuracy": 0.75, "failed_seeds": []}},
    "comparison": {"difference": -0.004, "low": -0.02, "high": 0.01},
    "claims": CLAIMS,
}
STUDY = {
    "question": "Six poolings or five?",
    "dataset": "fergit",
    "set": {},
    "vary": "network.poolings",
    "variants": [variant("6", 0.75), variant("5", 0.73)],
    "draws": {},
    "networks": None,
    "against_first": [
        {"network": "residual", "variant": "5", "difference": -0.02, "low": -0.03, "high": -0.01}
        | {"over_seeds": [-0.04, 0.01]}
    ],
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with one report, one study and two templates."""
    for name, folder in {"ROOT": ".", "RESULTS": "results", "RUNS": "runs"}.items():
        monkeypatch.setattr(paths, name, tmp_path / folder)
    monkeypatch.setattr(documents, "REQUIRED", {"README.md": ("table.headline",)})
    training = {"train_accuracy": 0.86, "epochs_run": 60, "trained": True}
    for seed, more in ((0, {}), (1, {"train_accuracy": 0.88, "epochs_run": 70})):
        put(tmp_path, f"results/fergit/residual/02-train/seed-{seed}/training.json", training | more)
        put(tmp_path, f"runs/fergit/residual/seed-{seed}.json", {"seconds": 3600, "device": "A CPU"})
    put(tmp_path, "results/reports/fergit/report.json", REPORT)
    put(tmp_path, "results/studies/fergit-poolings/metrics.json", STUDY)
    cells = [{"cell_type": "markdown", "source": ["# Evaluate a network\n", "Text."]}]
    put(tmp_path, "results/fergit/residual/03-evaluate.ipynb", {"cells": cells})
    folder = tmp_path / "docs" / "templates"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("# Home\n\nOurs: {{fergit.residual.accuracy}}.\n\n{{table.headline}}\n")
    (folder / "MORE.md").write_text(
        "{{fergit.residual.training.train_accuracy}}, {{fergit.residual.training.minutes}}\n"
    )
    return tmp_path


def put(root, name, content):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_pages_say_what_the_results_say(root):
    assert documents.write() == ["results/README.md", "MORE.md", "README.md"]
    assert documents.write() == [] == documents.stale()
    text = (root / "README.md").read_text()
    row = "| FERGIT | residual | 75 % | 70.8 % (69.0–72.6) | 2 | not reproduced | [evaluation](results/fergit/residual/"
    assert "Ours: 70.8 %." in text and row in text
    assert (root / "MORE.md").read_text() == "87.0 %, 60\n"
    index = (root / "results" / "README.md").read_text()
    assert "[Evaluate a network: residual](fergit/residual/03-evaluate.ipynb)" in index
    assert "- residual, accuracy on 2,465 test images: **70.8 % (69.0–72.6); the paper: 75 %**" in index
    put(
        root,
        "results/reports/fergit/report.json",
        REPORT | {"models": {"residual": ENTRY | {"paper_accuracy": None, "failed_seeds": [1]}}},
    )
    assert documents.stale() == ["results/README.md", "README.md"]
    documents.write()
    assert "| – | training failed | 2 |" in (root / "README.md").read_text()


def test_a_sentence_falls_with_its_verdict(root):
    guarded = "{{verdict fergit.residual.accuracy: reproduced}}It holds.\n"
    put(root, "docs/templates/MORE.md", guarded)
    with pytest.raises(FergitError, match="^docs/templates/MORE.md, line 1: this text rests on 'fergit.residual.acc"):
        documents.write()
    assert not (root / "README.md").exists()  # no page is written where one is wrong


@pytest.mark.parametrize(
    "name",
    [
        "results/reports/fergit/report.json",
        "results/fergit/residual/02-train/seed-0/training.json",
        "results/fergit/residual/03-evaluate.ipynb",
        "results/leaks/fergit/metrics.json",
        "results/studies/fergit-poolings/metrics.json",
        "runs/fergit/residual/seed-0.json",
    ],
)
@pytest.mark.parametrize("data", ["", "[1]", "<<<<<<< HEAD"])
def test_a_damaged_file_is_named_and_changes_nothing(root, name, data):
    documents.write()
    before = (root / "README.md").read_bytes()
    put(root, name, data)
    with pytest.raises(FergitError) as refused:
        documents.write()
    assert str(refused.value).startswith(f"{name}: ") and "\n" not in str(refused.value)
    assert (root / "README.md").read_bytes() == before


def test_a_template_that_is_gone_is_named(root):
    shutil.rmtree(root / "docs" / "templates")
    with pytest.raises(FergitError, match="^docs/templates/README.md: no such file; "):
        documents.write()


def test_values_and_verdicts_have_names(root):
    named, verdicts = values.collect({"fergit": REPORT}, {"fergit-poolings": STUDY}, EVALUATE)
    assert named["fergit.residual.accuracy"] == 0.7083 and named["fergit.residual.accuracy.interval"] == "69.0–72.6"
    assert named["fergit.gain.interval"] == "−2.0 to +1.0" and named["fergit.residual.seeds.count"] == 2
    assert named["fergit.residual.training.epochs_run"] == 65
    assert named["study.fergit-poolings.variants.5.residual"] == 0.73
    assert named["study.fergit-poolings.against.5.residual.difference"] == -0.02
    assert verdicts["fergit.residual.recall-happy"] == "not reproduced"
    assert verdicts["study.fergit-poolings.residual.5"] == "not significant"  # over the seeds


def test_precision_and_recall_of_a_class_share_a_row():
    text = tables_pages.claims({"fergit": REPORT})
    both = "89; 92 | 90.0; 80.0 | +1.0 ± 2.0; −12.0 ± 7.5 | reproduced; not reproduced |"
    assert f"| FERGIT, residual, happy | {both}" in text
    assert "| FERGIT, residual, accuracy gain over basic | +1.0 | −0.4 | −1.4 ± 2.0 | inconclusive |" in text
    assert "| FERGIT, residual, minutes of training | 48 | – | – | not comparable |" in text


def test_the_committed_pages_are_fresh():
    """If this fails: `make pages`."""
    assert documents.stale() == []


@pytest.mark.parametrize(("name", "lines", "words"), [("README.md", 120, None), ("REPLICATION.md", 200, 2500)])
def test_the_pages_are_short(name, lines, words):
    text = (paths.ROOT / name).read_text(encoding="utf-8")
    assert text.count("\n") <= lines
    assert not words or len(re.findall(r"\S*\w\S*", text)) <= words
