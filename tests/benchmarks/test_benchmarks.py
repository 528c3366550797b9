"""The table in docs/speed.md is what `make bench` measured."""

import json
import sys

from fergit.core import paths

sys.path.insert(0, str(paths.ROOT / "benchmarks"))

import bench


def test_docs_have_the_measured_table():
    results = json.loads(bench.RESULTS.read_text(encoding="utf-8"))
    assert bench.page_with(results) == bench.PAGE.read_text(encoding="utf-8")
    ours = results["contenders"]["ours"]
    assert ours["ours_is_times_as_fast"] == 1 and len(ours["seconds"]) == results["repeats"] >= 5
