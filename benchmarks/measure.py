"""Run a benchmark, ``python benchmarks/measure.py NAME``; and what the benchmarks share.

NAME is a module here. What its `measure` returns is written as JSON, and by templates/ as a table into a page.
"""

import argparse
import contextlib
import importlib
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from fergit.core import errors, files, paths
from fergit.pages import templates

HERE = Path(__file__).parent
PEERS, PHOTOGRAPHS = paths.WORK / "peers", paths.WORK / "photographs"  # README.md says what to put there
NAMES = ("bench", "choice", "films", "loss_curves", "peers", "photographs")
BENCHMARKS = {
    name: (HERE / f"{name}.json", HERE / "README.md") for name in NAMES
}  # its numbers; the page with its table
BENCHMARKS["bench"] = HERE / "results.json", paths.ROOT / "docs" / "speed.md"
BENCHMARKS["peers"] = HERE / "peers.json", paths.MODELS / "README.md"


def numbers(name):
    """What the last run of a benchmark measured."""
    return json.loads(BENCHMARKS[name][0].read_text(encoding="utf-8"))


def page(name):
    """The page of a benchmark as it should be, with the table of the last run's numbers."""
    table = templates.fill(HERE / "templates", f"{name}.md", {"found": numbers(name)}).strip()
    return templates.with_block(BENCHMARKS[name][1], f"<!-- {name}:begin -->", f"<!-- {name}:end -->", table)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--trial", action="store_true", help="a short run that writes nothing")
    parser.add_argument("--table", action="store_true", help="measure nothing; write the table of the last run")
    given = parser.parse_args()
    try:
        if not given.table:
            results = importlib.import_module(given.name).measure(given.trial)
            if given.trial:
                return print(json.dumps(results, indent=1, ensure_ascii=False))
            files.write_json(BENCHMARKS[given.name][0], results)
        files.write_text(BENCHMARKS[given.name][1], page(given.name))
    except errors.FergitError as error:
        raise SystemExit(f"error: {error}") from None


@contextlib.contextmanager
def processes(names):
    """A process of its own for each name: {name: what calls a function in it}."""
    with contextlib.ExitStack() as stack:
        pools = {name: stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"))) for name in names}
        yield {name: lambda *call, pool=pool: pool.submit(*call).result() for name, pool in pools.items()}


def in_turn(contenders, turns):
    """What each function returns so many times, one after the other, so that a slow minute hits all: {name: list}."""
    found = {name: [] for name in contenders}
    for turn in range(1, turns + 1):
        for name, contender in contenders.items():
            print(f"{turn}/{turns} {name}", flush=True)
            found[name].append(contender())
    return found


def timed(function):
    """The seconds that a function takes, and what it returns."""
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


if __name__ == "__main__":
    main()
