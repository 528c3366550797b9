"""Measure how fast we train, beside plain Keras and plain PyTorch, in one run: ``make bench``.

Each contender of workers.py has a process of its own. They train one epoch each in turn, so that a slow minute of the
machine hits all of them. Times are medians.
"""

import argparse
import importlib.metadata
import importlib.util
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from workers import CONTENDERS

from fergit.core import files, paths
from fergit.pages.present import markdown
from fergit.pages.templates import with_block

BATCH_SIZE, CLASSES = 64, 7  # p. 81; p. 78
BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
COLUMNS = ("training by", "images a second", "slowest to fastest epoch", "our speed / its")
CPUINFO = Path("/proc/cpuinfo")
AMX = CPUINFO.exists() and "amx_bf16" in CPUINFO.read_text()  # else bfloat16 is computed by AVX-512, at half the speed
BARS = {  # our goals: how many times as fast, fastest epoch against fastest
    ("ours", "keras-plain"): 1.7,
    ("ours", "torch-plain"): 1.3,
    ("ours, mixed_bfloat16", "keras-plain"): 2.5 if AMX else 1.8,
    ("ours, mixed_bfloat16", "torch, bfloat16 autocast"): 1.3,
}
RESULTS = Path(__file__).with_name("results.json")
PAGE = paths.ROOT / "docs" / "speed.md"


def prepare(name, images):
    """In a contender's process: get it ready, and train one epoch to warm up."""
    global epoch
    pixels = np.random.default_rng(0).integers(0, 256, (images, 48, 48), dtype=np.uint8)
    epoch = CONTENDERS[name](pixels, (np.arange(images) % CLASSES).astype(np.uint8), CLASSES, BATCH_SIZE)
    epoch(0)


def train(number):
    """In a contender's process: train an epoch; its seconds."""
    return seconds_of(lambda: epoch(number))


def seconds_of(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def floors():
    """How long a step would take if the machine did nothing but its arithmetic, or nothing but move its bytes.

    Arithmetic: the forward pass, and twice that for the backward pass, at the speed of a large matrix product in
    float32. Bytes, at the speed of copying a large array: each layer's output is written and read once forward and
    twice backward; Nadam reads gradient, weight, momentum and velocity, and writes the last three.
    """
    from fergit.engine.layers import trim
    from fergit.engine.network import build_network

    network = trim(build_network("residual", CLASSES))
    outputs = {layer: np.prod(layer.output.shape[1:]) for layer in network.layers[1:]}
    kernels = {layer: layer.kernel.shape for layer in outputs if hasattr(layer, "kernel")}
    operations = 3 * BATCH_SIZE * sum(2 * np.prod(shape[:-1]) * outputs[layer] for layer, shape in kernels.items())
    moved = 4 * (6 * BATCH_SIZE * sum(outputs.values()) + 7 * network.count_params())
    matrix, block = np.random.default_rng(0).random((2048, 2048), dtype=np.float32), np.zeros(2**26, np.uint8)
    flops = 2 * 2048**3 / min(seconds_of(lambda: matrix @ matrix) for _ in range(7))
    bandwidth = 2 * block.size / min(seconds_of(block.copy) for _ in range(7))
    return {
        "gflop_a_step": round(operations / 1e9, 1),
        "gflops_of_the_machine": round(flops / 1e9),
        "arithmetic_seconds": round(operations / flops, 4),
        "gigabytes_a_step": round(moved / 1e9, 2),
        "gigabytes_a_second_of_the_machine": round(bandwidth / 1e9, 1),
        "bytes_seconds": round(moved / bandwidth, 4),
    }


def measure(images, repeats):
    """All of results.json."""
    from fergit.engine import backend

    torch = importlib.util.find_spec("torch")
    missing = {name: "PyTorch is not installed" for name in CONTENDERS if name.startswith("torch") and not torch}
    pools = {name: ProcessPoolExecutor(1, get_context("spawn")) for name in CONTENDERS if name not in missing}
    for name, pool in pools.items():
        pool.submit(prepare, name, images).result()
    seconds = {name: [] for name in pools}
    for turn in range(1, repeats + 1):
        for name, pool in pools.items():
            seconds[name].append(round(pool.submit(train, turn).result(), 3))
            print(f"{turn}/{repeats} {name}: {seconds[name][-1]} s", flush=True)
    for pool in pools.values():
        pool.shutdown()
    medians, fastest = ({name: of(times) for name, times in seconds.items()} for of in (statistics.median, min))
    bars = {
        f"{ours} against {other}": (fastest[other] / fastest[ours], bar)
        for (ours, other), bar in BARS.items()
        if other in seconds
    }
    packages = ("keras", "tensorflow", "numpy", "opencv-python-headless", *(["torch"] if torch else []))
    return {
        "images": images,
        "batch_size": BATCH_SIZE,
        "repeats": repeats,
        "contenders": {
            name: {
                "images_per_second": round(images / medians[name], 1),
                "seconds": times,
                "ours_is_times_as_fast": round(medians[name] / medians["ours"], 2),
            }
            for name, times in seconds.items()
        },
        "bars": {name: {"times_as_fast": round(times, 2), "wanted": wanted} for name, (times, wanted) in bars.items()},
        "left_out": missing,
        "floors_of_a_step": floors(),
        "seconds_of_our_step": round(medians["ours"] * BATCH_SIZE / images, 4),
        "machine": backend.describe_machine(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def table(results):
    """The results for docs/speed.md: a Markdown table, and a line on the machine."""
    rows = [
        (
            name,
            f"{one['images_per_second']:.0f}",
            f"{results['images'] / max(one['seconds']):.0f} to {results['images'] / min(one['seconds']):.0f}",
            f"{one['ours_is_times_as_fast']:.2f} times",
        )
        for name, one in results["contenders"].items()
    ]
    left_out = "".join(f" Left out: {name} ({why})." for name, why in results["left_out"].items())
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    bars = [f"{name} {bar['times_as_fast']} times (our goal: {bar['wanted']})" for name, bar in results["bars"].items()]
    return (
        f"{markdown(pd.DataFrame(rows, columns=COLUMNS))}\n\n"
        f"Between the fastest epochs of each: {'; '.join(bars)}.\n\n"
        f"Residual network, batches of {results['batch_size']}, "
        f"median of {results['repeats']} epochs of {results['images']:,} images, "
        f"{results['machine']['cpus']} cores of {results['machine']['device']}; {versions}.{left_out}"
    )


def page_with(results):
    """docs/speed.md with the table between its markers."""
    return with_block(PAGE, BEGIN, END, table(results))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="train one short epoch each; write nothing")
    trial = parser.parse_args().trial
    results = measure(128, 1) if trial else measure(2560, 5)
    for name, bar in results["bars"].items():
        print(f"{name}: {bar['times_as_fast']} times as fast, wanted {bar['wanted']}")
    print(f"\n{table(results)}")
    if not trial:
        files.write_json(RESULTS, results)
        files.write_text(PAGE, page_with(results))


if __name__ == "__main__":
    main()
