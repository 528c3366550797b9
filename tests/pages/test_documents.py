"""The committed pages are what templates and results make of them; and a page is refused rather than made wrong."""

import json
import re
import shutil

import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.pages import documents, values
from fergit.paper import published
from fergit.use.page import folders


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
    "confidence_level": 0.95,
}
OURS = "reports.fergit.models.residual.accuracy|score"
TEMPLATES = paths.ROOT / "docs" / "templates"
STUDY = {
    "question": "Six poolings or five?",
    "dataset": "fergit",
    "paper": {},
    "variants": [variant("6", 0.75), variant("5", 0.73)],
    "draws": {},
    "networks": None,
    "confidence_level": 0.95,
    "against_first": [
        {"network": "residual", "variant": "5", "difference": -0.02, "low": -0.03, "high": -0.01}
        | {"over_seeds": [-0.04, 0.01]}
    ],
    "claims": [],
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with one report, one study and three templates."""
    for name, folder in {"ROOT": ".", "RESULTS": "results", "RUNS": "runs"}.items():
        monkeypatch.setattr(paths, name, tmp_path / folder)
    for seed in (0, 1):
        put(tmp_path, f"runs/fergit/residual/seed-{seed}.json", {"seconds": 3600, "device": "A CPU"})
    put(tmp_path, "results/reports/fergit/report.json", REPORT)
    put(tmp_path, "results/studies/fergit-poolings/metrics.json", STUDY)
    cells = [{"cell_type": "markdown", "source": ["# Evaluate a network\n", "Text."]}]
    put(tmp_path, "results/fergit/residual/03-evaluate.ipynb", {"cells": cells})
    put(
        tmp_path,
        "docs/templates/README.md",
        "# Home\n\nOurs: {{ mine }}.\n\n{{ table.headline }}\n".replace("mine", OURS),
    )
    put(tmp_path, "docs/templates/MORE.md", "{{ table.compute }}\n\n{{ table.claims }}\n")
    shutil.copytree(TEMPLATES / "results", tmp_path / "docs" / "templates" / "results")
    return tmp_path


def put(root, name, content):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_pages_say_what_the_results_say(root):
    assert documents.write() == ["MORE.md", "README.md", "results/README.md"]
    assert documents.write() == [] == [*documents.stale()]
    text = (root / "README.md").read_text()
    row = "| FERGIT | residual | 75 % | 70.8 % (69.0–72.6) | 2 | not reproduced | [evaluation](results/fergit/residual/"
    assert "Ours: 70.8 % (69.0–72.6)." in text and row in text
    assert "| FERGIT, residual | 2 | 2.0 | 60 | A CPU |" in (root / "MORE.md").read_text()
    index = (root / "results" / "README.md").read_text()
    assert "[Evaluate a network: residual](fergit/residual/03-evaluate.ipynb)" in index
    assert "- residual, accuracy on 2,465 test images: **70.8 % (69.0–72.6); the paper: 75 %**" in index
    put(
        root,
        "results/reports/fergit/report.json",
        REPORT | {"models": {"residual": ENTRY | {"paper_accuracy": None, "failed_seeds": [1]}}},
    )
    assert [*documents.stale()] == ["README.md", "results/README.md"]
    documents.write()
    assert "| – | training failed | 2 |" in (root / "README.md").read_text()


def test_a_data_set_of_ones_own_may_begin_with_digits(root):
    names = ("reports/2024faces/04-report", "2024faces/01-preprocess", "12-actors/basic/02-train/seed-0/02-train")
    for name in names:
        put(root, f"results/{name}.ipynb", {"cells": [{"cell_type": "markdown", "source": ["# How good?"]}]})
    listed = documents.texts()["results/README.md"]
    assert "[How good? 2024faces](reports/2024faces/04-report.ipynb)" in listed
    assert "## 12-actors" in listed and "[How good? basic, seed 0](12-actors/" in listed
    assert folders("results/12-actors/basic/02-train/seed-0/02-train.ipynb") == ["12-actors", "basic", "seed-0"]


def test_costs_are_without_drawn_faces_and_ones_own(root):
    run = {"seconds": 3600, "device": "A CPU"}
    for name in ("synthetic/basic/seed-0", "pets/basic/seed-0"):
        put(root, f"runs/{name}.json", run)
    for name, seconds in (("precision", 1), ("fergit-splits", 7200), ("of-my-pets", 3)):  # the first is of drawn faces
        put(root, f"runs/studies/{name}.json", [run | {"seconds": seconds}])
    table = documents.texts()["MORE.md"].partition("\n\n")[0]
    assert table.splitlines()[2:] == [
        "| FERGIT, residual | 2 | 2.0 | 60 | A CPU |",
        "| studies, other runs | 1 | 2.0 | 120 | A CPU |",
    ]


def test_a_sentence_falls_with_its_verdict(root):
    claim = 'reports.fergit.claims["fergit-residual-accuracy"]'
    put(root, "docs/templates/MORE.md", f"{{% do rests_on({claim}, 'reproduced') %}}It holds.\n")
    with pytest.raises(
        FergitError, match="^docs/templates/MORE.md, line 1: the text needs 'reproduced', but results/ "
    ):
        documents.write()
    assert not (root / "README.md").exists()  # no page is written where one is wrong


@pytest.mark.parametrize(
    "name",
    [
        "results/reports/fergit/report.json",
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


def test_intervals_of_another_level_are_refused(root):
    put(root, "results/reports/fergit/report.json", REPORT | {"confidence_level": 0.9})
    with pytest.raises(FergitError, match="^results/reports/fergit/report.json: its intervals are of 90 %, "):
        documents.write()
    assert not (root / "README.md").exists()


def test_a_template_that_is_gone_is_named(root):
    shutil.rmtree(root / "docs" / "templates")
    with pytest.raises(FergitError, match="^docs/templates/README.md: no such file; "):
        documents.write()


def test_precision_and_recall_of_a_class_share_a_row(root):
    text = documents.texts()["MORE.md"]
    both = "reproduced; not reproduced | 89; 92 | 90.0; 80.0 | +1.0 (−1.0 to +3.0); −12.0 (−20.0 to −5.0) |"
    assert f"| FERGIT, residual, happy | {both}" in text
    assert "| FERGIT, residual, accuracy gain over basic | inconclusive | +1.0 | −0.4 | −1.4 (−3.0 to +1.0) |" in text
    assert "| FERGIT, residual, minutes of training | not comparable | 48 | – | – |" in text


def test_our_number_of_a_claim_is_a_dash_until_there_is_one(root):
    ours = values.collect()["ours"]
    assert ours("fergit-residual-recall-happy", "fergit-basic-recall-happy") == "80.0"
    assert ours("fergit-basic-recall-happy") == "–"
    with pytest.raises(FergitError, match="the paper has no claim 'fergit-basic-recall-joy'"):
        ours("fergit-basic-recall-joy")


def test_the_pages_quote_the_paper_rightly():
    """What authors typed in docs/contradictions.md and README.md is what the paper's tables have."""
    text = (paths.ROOT / "docs" / "contradictions.md").read_text(encoding="utf-8")
    two, three, four = published.TABLE_2, published.TABLE_3, published.TABLE_4
    f1, recall = ([published.recomputed_mean(table, key) for table in (two, three)] for key in ("f1", "recall"))
    for said in (
        f"Table 3 has {three['recall'][3]:.2f} for",
        f"both have {two['recall'][2]:.2f}" if two["recall"][2] == three["recall"][2] else "",
        f"higher: {three['recall'][6]:.2f} against {two['recall'][6]:.2f}",
        f"{f1[0]:.3f} in Table 2 and {f1[1]:.3f} in Table 3. The mean recall, {recall[0]:.3f} and {recall[1]:.3f},",
        f"the lowest recall, {min(four['recall']):.2f}",
        f"add up to {sum(table['minutes'] for table in published.TABLES.values())} minutes",
    ):
        assert said and said in text
    home = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{two['accuracy']:.0%} (basic) and {three['accuracy']:.0%}".replace("%", " %") in home


@pytest.mark.parametrize(
    ("page", "table"),
    [("README", "headline"), ("REPLICATION", "claims"), ("REPLICATION", "compute"), ("docs/studies", "studies")],
)
def test_the_pages_have_their_tables(page, table):
    assert f"{{{{ table.{table} }}}}" in (TEMPLATES / f"{page}.md").read_text(encoding="utf-8")


def test_the_committed_pages_are_fresh():
    """If this fails: `make pages`."""
    assert not documents.stale()


@pytest.mark.parametrize(("name", "lines", "words"), [("README.md", 120, None), ("REPLICATION.md", 200, 2500)])
def test_the_pages_are_short(name, lines, words):
    text = (paths.ROOT / name).read_text(encoding="utf-8")
    assert text.count("\n") <= lines
    assert not words or len(re.findall(r"\S*\w\S*", text)) <= words
