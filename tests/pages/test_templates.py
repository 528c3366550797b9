"""Templates: names, filters, guards, and what they refuse in one line."""

import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.pages.templates import fill

ENTRY = {"mean": 0.7083, "low": 0.69, "high": 0.726}
GAIN = {"difference": -0.0123, "low": -0.02, "high": 0.01}
VALUES = {"a": {"score": ENTRY, "gain": GAIN, "sd": 0.004, "n": 2465, "p": 2e-5, "claim": {"verdict": "reproduced"}}}
VALUES |= {"table": {"one": "| x |"}, "rows": [{"variant": "with", "mean": 0.7}, {"variant": "without", "mean": 0.6}]}


@pytest.fixture
def filled(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)

    def fills(text):
        (tmp_path / "x.md").write_text(text, encoding="utf-8")
        return fill(tmp_path, "x.md", VALUES | {"claim": VALUES["a"]["claim"] | {"low": None, "high": None}})

    return fills


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ours {{ a.score|score }}", "ours 70.8 % (69.0–72.6)"),
        ("{{ a.score.mean|percent }}, {{ a.score.mean|percent(0) }}", "70.8 %, 71 %"),
        (
            "{{ a.gain|gain(' points') }} or {{ a.gain|intervals }}",
            "−1.2 points (−2.0 to +1.0) or −2.0 to +1.0 over images",
        ),
        ("{{ (rows|where(variant='without')).mean|percent }}", "60.0 %"),
        ("{{ a.n }} images, {{ a.p|p_value }}", "2,465 images, p < 0.0001"),
        ("{{ table.one }}\n", "| x |\n"),
        ("{% do rests_on(a.sd < 0.01) %}It is small.", "It is small."),
        ("one\n{% do rests_on(claim, 'reproduced') %}\n{# a remark\nof two lines #}\ntwo", "one\ntwo"),
        ("{% if b is defined %}b{% else %}none, {{ verdict(a.gain) }}{% endif %}", "none, not significant"),
        ("```\n{x} {}\n```", "```\n{x} {}\n```"),
    ],
)
def test_what_a_template_becomes(filled, text, said):
    assert filled(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\n{{ a.scor|score }}", "x.md, line 2: 'dict object' has no attribute 'scor'"),
        ("{{ a.n|long }}", "x.md, line 1: No filter named 'long'."),
        ("\n{% if a %}", "x.md, line 2: Unexpected end of template."),
        ("one\n\n{{ a.sd }}", "x.md, line 3: the number 0.004 has no filter, such as {{ ...|percent }}"),
        ("\n{{ claim.low }}", "x.md, line 2: None is no text; a sentence for each case needs {% if ... %}"),
        (
            "\n{{ rows|where(variant='without', mean=0.7)|score }}",
            "x.md, line 2: 0 rows have {'variant': 'without', 'mean': 0.7}; needed: one",
        ),
        ("{{ a.n > 1 }}", "x.md, line 1: True is no text"),
        ("{{ a.gain|score }}", "x.md, line 1: this filter is for other values"),
        ("\n{{ a.n|score }}", "x.md, line 2: this filter is for other values"),
        (
            "\n\nFine. {% do rests_on(claim, 'inconclusive') %}",
            "line 3: the text needs 'inconclusive', but results/ says 'reproduced'; rewrite the sentence and its guard",
        ),
        ("\n{% do rests_on(a.sd > 0.01) %}", "x.md, line 2: the text needs True, but results/ says False; rewrite"),
        ("{% do rests_on(a.gain, 'higher') %}", "needs 'higher', but results/ says 'not significant'"),
    ],
)
def test_what_is_refused(filled, text, said):
    with pytest.raises(FergitError) as refused:
        filled(text)
    assert said in str(refused.value) and "\n" not in str(refused.value)
