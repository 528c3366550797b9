"""Templates: names, formats, guards, and what they refuse in one line."""

import pytest

from fergit.core.errors import FergitError
from fergit.pages.templates import fill

VALUES = {"a.share": 0.7083, "a.gain.difference": -0.0123, "a.sd": 0.004, "a.n": 2465, "a.p": 2e-5}
VALUES["table.one"] = "| x |"
VERDICTS = {"a.share": "not reproduced", "study.mine": "not significant"}


def filled(text, required=()):
    return fill(text, "docs/templates/x.md", VALUES, VERDICTS, required)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ours {{a.share}}", "ours 70.8 %"),
        ("{{ a.share|whole }}, {{a.share | decimals}}", "71 %, 0.71"),
        ("{{a.gain.difference}} points, sd {{a.sd}}", "−1.2 points, sd 0.4"),
        ("{{a.n}} images, {{a.p}}", "2,465 images, p < 0.0001"),
        ("{{table.one}}", "| x |"),
        ("It fails.{{verdict a.share: not reproduced}}", "It fails."),
        ("one\n{{verdict a.share: not reproduced}}\n{{! a remark\nof two lines }}\ntwo", "one\ntwo"),
        ("one\n\n{{! alone }}\n\ntwo", "one\n\ntwo"),
        ("```\n{x} {}\n```", "```\n{x} {}\n```"),
    ],
)
def test_what_a_template_becomes(text, said):
    assert filled(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\n{{a.shar}}", "docs/templates/x.md, line 2: no value 'a.shar'; did you mean 'a.share'?"),
        ("{{a.share|long}}", "docs/templates/x.md, line 1: no format 'long'"),
        ("{{verdict b: reproduced}}", "docs/templates/x.md, line 1: no verdict 'b'"),
        (
            "\n\nFine. {{verdict a.share: reproduced}}",
            "docs/templates/x.md, line 3: this text rests on 'a.share' being 'reproduced', but results/ says "
            "'not reproduced'; rewrite the sentence and its guard",
        ),
        ("{{verdict study.mine: higher}}", "being 'higher', but results/ says 'not significant'"),
        ("nothing", "docs/templates/x.md: does not use {{table.one}}, which belongs there"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(FergitError) as refused:
        filled(text, required=("table.one",) if text == "nothing" else ())
    assert said in str(refused.value) and "\n" not in str(refused.value)
