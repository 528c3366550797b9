"""README's table of speed is what `make bench` measured."""

import json
import sys

from fergit.core import paths

sys.path.insert(0, str(paths.ROOT / "benchmarks"))

import bench


def test_readme_has_the_measured_table():
    results = json.loads(bench.RESULTS.read_text(encoding="utf-8"))
    assert bench.readme_with(results) == bench.README.read_text(encoding="utf-8")
    ours = results["contenders"]["ours"]
    assert ours["ours_is_times_as_fast"] == 1 and len(ours["seconds"]) == results["repeats"] >= 5
