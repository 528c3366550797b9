"""What the pages under docs/ say of the project itself."""

import re

import pytest

from fergit.core import paths

ROWS = [
    line
    for line in (paths.ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| tried", "| ---"))
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_every_row_of_reliability_names_tests_that_are_there(row):
    named = re.findall(r"\[(\w+\.py)\]\(\.\./tests/((?:\w+/)?\1)\)([^\[]*)", row)
    assert named or "| by hand: `make " in row
    for _, file, said in named:
        text = (paths.ROOT / "tests" / file).read_text(encoding="utf-8")
        names = re.findall(r"`(test_\w+)`", said)
        assert names or "(all of it)" in said or "(`make " in said, f"which tests of {file}?"
        for name in names:
            assert f"def {name}(" in text, f"{file} has no {name}"
