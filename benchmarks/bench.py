"""How fast we train, measured against plain Keras and plain PyTorch in the same run: ``make bench``.

Every contender (workers.py) lives in a process of its own and trains an epoch when it is its turn; the turns go round
``--repeats`` times, so that a slow minute of the machine hits all alike. Times are medians. PyTorch takes part where it
is installed, in any folder on PYTHONPATH; its build for the CPU is enough::

    pip install --target work/torch torch
    PYTHONPATH=src:work/torch .venv/bin/python benchmarks/bench.py
"""

import argparse
import importlib.metadata
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from workers import CONTENDERS

from fergit.core import files, paths
from fergit.pages.present import markdown
from fergit.pages.templates import with_block

BATCH_SIZE, CLASSES = 64, 7  # p. 81; p. 78
BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
COLUMNS = ("training by", "images a second", "slowest to fastest epoch", "ours against it")
# How often as fast we mean to be: against the fastest epochs of the others, and by ours.
BARS = {
    ("ours", "keras-plain"): 1.7,
    ("ours", "torch-plain"): 1.3,
    ("ours, mixed_bfloat16", "keras-plain"): 2.5,  # with AMX; 1.8 where the processor has but AVX-512's bfloat16
    ("ours, mixed_bfloat16", "torch, bfloat16 autocast"): 1.3,
}
RESULTS = Path(__file__).parent / "results.json"
PAGE = paths.ROOT / "docs" / "speed.md"


def worker(name, images):
    """In the child: make ready, train one epoch to warm up, then one for each line that comes."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 48, 48), dtype=np.uint8)
    epoch = CONTENDERS[name](pixels, (np.arange(images) % CLASSES).astype(np.uint8), CLASSES, BATCH_SIZE)
    epoch(0)
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin, start=1):
        begin = time.perf_counter()
        epoch(number)
        print(time.perf_counter() - begin, flush=True)


class Contender:
    """A worker process, asked for one epoch at a time."""

    def __init__(self, name, images):
        self.name, self.seconds = name, []
        command = [sys.executable, __file__, "--worker", name, "--images", str(images)]
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True
        )
        if self._answer() != "ready":
            self.said.seek(0)
            raise SystemExit(f"error: {name} did not start: {self.said.read()[-2000:]}")

    def _answer(self):
        return self.process.stdout.readline().strip()

    def epoch(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seconds.append(float(self._answer()))

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def floors():
    """What a step would take if the machine did nothing but its arithmetic, or nothing but move its bytes: seconds.

    Arithmetic: forward pass, and twice that backward, at the speed of a large float32 matrix product. Bytes: every
    layer's output written and read once forward and twice backward, and what Nadam reads and writes of each weight that
    can learn (gradient and weight, momentum and velocity in and out), at the speed of copying a large array.
    """
    from fergit.engine.layers import trim
    from fergit.engine.network import build_network

    network = trim(build_network("residual", CLASSES))
    operations = values = 0
    for layer in network.layers[1:]:
        outputs = np.prod(layer.output.shape[1:])
        values += outputs
        if hasattr(layer, "kernel"):
            operations += 2 * np.prod(layer.kernel.shape) * outputs / layer.kernel.shape[-1]
    matrix = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)
    block = np.zeros(2**26, np.uint8)
    flops = 2 * 2048**3 / _best(lambda: matrix @ matrix)
    bandwidth = 2 * block.size / _best(block.copy)
    bytes_moved = 4 * (6 * values * BATCH_SIZE + 7 * network.count_params())
    return {
        "gflop_a_step": round(3 * operations * BATCH_SIZE / 1e9, 1),
        "gflops_of_the_machine": round(flops / 1e9),
        "arithmetic_seconds": round(3 * operations * BATCH_SIZE / flops, 4),
        "gigabytes_a_step": round(bytes_moved / 1e9, 2),
        "gigabytes_a_second_of_the_machine": round(bandwidth / 1e9, 1),
        "bytes_seconds": round(bytes_moved / bandwidth, 4),
    }


def _best(function, repeats=7):
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def measure(images, repeats):
    here = importlib.util.find_spec("torch")
    missing = {} if here else {name: "PyTorch is not installed" for name in CONTENDERS if name.startswith("torch")}
    contenders = [Contender(name, images) for name in CONTENDERS if name not in missing]
    for turn in range(repeats):
        for contender in contenders:
            contender.epoch()
            print(f"{turn + 1}/{repeats} {contender.name}: {contender.seconds[-1]:.2f} s", flush=True)
    for contender in contenders:
        contender.end()
    fastest = {contender.name: min(contender.seconds) for contender in contenders}
    medians = {contender.name: statistics.median(contender.seconds) for contender in contenders}
    from fergit.engine import backend

    return {
        "images": images,
        "batch_size": BATCH_SIZE,
        "repeats": repeats,
        "contenders": {
            contender.name: {
                "images_per_second": round(images / medians[contender.name], 1),
                "seconds": [round(seconds, 3) for seconds in contender.seconds],
                "ours_is_times_as_fast": round(medians[contender.name] / medians["ours"], 2),
            }
            for contender in contenders
        },
        "bars": {
            f"{ours} against {other}": {"times_as_fast": round(fastest[other] / fastest[ours], 2), "wanted": wanted}
            for (ours, other), wanted in BARS.items()
            if other in fastest
        },
        "left_out": missing,
        "floors_of_a_step": floors(),
        "seconds_of_our_step": round(medians["ours"] * BATCH_SIZE / images, 4),
        "machine": backend.describe_machine(),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("keras", "tensorflow", "numpy", "opencv-python-headless", *([] if missing else ["torch"]))
        },
    }


def table(results):
    """The results for docs/speed.md: a Markdown table and a line on the machine."""
    rows = [
        [
            name,
            f"{one['images_per_second']:.0f}",
            " to ".join(f"{results['images'] / end(one['seconds']):.0f}" for end in (max, min)),
            f"{one['ours_is_times_as_fast']:.2f} times",
        ]
        for name, one in results["contenders"].items()
    ]
    left_out = "".join(f" Left out: {name} ({why})." for name, why in results["left_out"].items())
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"{markdown(pd.DataFrame(rows, columns=COLUMNS))}\n\n"
        f"Residual network, batches of {results['batch_size']}, "
        f"median of {results['repeats']} epochs of {results['images']:,} images, "
        f"{machine['cpus']} cores of {machine['device']}; {versions}.{left_out}"
    )


def page_with(results):
    """docs/speed.md with the table between its markers."""
    return with_block(PAGE, BEGIN, END, table(results))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2560, help="an epoch's images (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="epochs of each contender (default: %(default)s)")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.worker, arguments.images)
    results = measure(arguments.images, arguments.repeats)
    for name, bar in results["bars"].items():
        print(f"{name}: {bar['times_as_fast']} times as fast, wanted {bar['wanted']}")
    if arguments.dry:
        return
    files.write_json(RESULTS, results)
    files.write_text(PAGE, page_with(results))
    print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
