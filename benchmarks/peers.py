"""Measure how good, large and fast the shipped network is, beside networks that others have published, in one run.

    PYTHONPATH=src python benchmarks/peers.py

Needs FERGIT (``data/processed/fergit.npz``), the shipped files and, in ``work/peers/``, the packages that
benchmarks/README.md lists. What is not installed is left out. Writes peers.json beside this file and the table of
models/README.md. Each recognizer has a process of its own and is timed in turn, so that a slow minute hits all of them.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import recognizers

from fergit.analysis import intervals, leaks
from fergit.core import files, paths
from fergit.core.errors import FergitError
from fergit.core.faces import SIDE, load_processed
from fergit.data import copies, datasets
from fergit.pages import present
from fergit.pages.templates import with_block
from fergit.use import shipped

RESULTS = Path(__file__).with_name("peers.json")
README = paths.MODELS / "README.md"
BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
FOLDER = paths.WORK / "peers"
CORES = 2
CPU = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}  # what the table's times are of, on any machine
BATCHES = {1: 1, 64: 20}  # images at once: what the number of calls is divided by
MARGINS = (0, -2, 2, -4, 4, -6, 8, -8)  # pixels that a crop has more on each side than the image
PRIVATE, ALONE, BOTH = GROUPS = ("PrivateTest", "PrivateTest, no copy in training", "PublicTest and PrivateTest")
LEVEL, SAMPLES = 0.95, 2000  # of the intervals
RECOGNIZERS = {  # whose it is, and what computes it
    "ours-keras": ("ours", "Keras, TensorFlow"),
    "ours-onnx": ("ours", "ONNX Runtime"),
    "ours-opencv": ("ours", "OpenCV's dnn"),
    "fer-keras": ("fer", "Keras, TensorFlow"),
    "fer-tflite": ("fer", "TensorFlow Lite"),
    "face-api": ("@vladmandic/face-api", "TensorFlow.js, WebAssembly"),
    "human": ("@vladmandic/human", "TensorFlow.js, WebAssembly"),
    "what-the-face": ("what-the-face-classification", "PyTorch"),
}


def crops(images, margin):
    """Faces with so many pixels more on each side, the border repeated, or fewer: uint8 (n, side, side)."""
    if margin <= 0:
        return images[:, -margin or None : margin or None, -margin or None : margin or None]
    return np.stack([cv2.copyMakeBorder(image, *[margin] * 4, cv2.BORDER_REPLICATE) for image in images])


def choose(faces, loaded):
    """FERGIT's test images of PublicTest and PrivateTest, masks of `GROUPS` among them, and its validation images.

    `faces` are FERGIT after preprocessing; `loaded` as its sources gave it, with FER2013's official parts.
    """
    official = pd.Series(loaded.split, loaded.sample_id)[faces.sample_id].to_numpy()
    fresh, part = np.isin(official, ("validation", "test")), faces.split
    if not fresh.any():
        raise FergitError(
            "data/raw/fergit: does not tell PublicTest from PrivateTest; put fer2013.csv into data/external/"
        )
    tested = fresh & (part == "test")
    tried, known = faces.take(tested), faces.take(((part == "train") | (official == "train")) & ~tested)
    near = copies.nearest(tried.images, known.images)[0] >= float(leaks.NEAR[0])
    same = np.isin(copies.fingerprints(tried.images), copies.fingerprints(known.images))
    private = official[tested] == "test"
    groups = dict(zip(GROUPS, (private, private & ~near & ~same, np.ones(len(tried), bool)), strict=True))
    return tried, groups, faces.take(fresh & (part == "validation"))


def measure(faces, loaded, folder, repeats, calls):
    """All of peers.json."""
    tried, groups, held = choose(faces, loaded)
    pools = {name: ProcessPoolExecutor(1, get_context("spawn")) for name in RECOGNIZERS}
    found, missing, hits, answers = {}, {}, {}, {}
    for name, pool in pools.items():
        try:
            found[name] = pool.submit(recognizers.load, name, folder).result()
        except (FergitError, ImportError) as error:
            missing[name] = str(error)
            print(f"{name}: left out, {error}", flush=True)
    if "ours-keras" in missing:
        raise FergitError(missing["ours-keras"])

    def recognize(name, *arguments):
        return pools[name].submit(recognizers.recognize, *arguments).result()

    def right(name, faces, margin):
        return recognize(name, crops(faces.images, margin))[0].argmax(axis=1) == faces.labels

    first = faces.images[faces.split == "test"][:1000]
    for name, entry in found.items():
        ours = RECOGNIZERS[name][0] == "ours"
        entry["accuracy_by_margin"] = {
            one: float(right(name, held, one).mean()) for one in MARGINS[: 1 if ours else None]
        }
        entry["margin"] = max(entry["accuracy_by_margin"], key=entry["accuracy_by_margin"].get)
        hits[name] = right(name, tried, entry["margin"])
        entry["accuracy"] = {group: _share(hits[name][rows]) for group, rows in groups.items()}
        if ours:
            answers[name] = recognize(name, first)[0].astype(np.float64)
        else:
            gain = hits["ours-keras"] * 1.0 - hits[name]
            entry["ours_less_it"] = {group: _difference(gain[rows]) for group, rows in groups.items()}
    reference = answers.pop("ours-keras")
    apart = {name: float(np.ceil(1e6 * abs(one - reference).max()) / 1e6) for name, one in answers.items()}
    calls = {batch: max(1, calls // divisor) for batch, divisor in BATCHES.items()}
    seconds = {(name, batch): [] for name in found for batch in BATCHES}
    for turn in range(1, repeats + 1):
        for (name, batch), times in seconds.items():
            images = np.resize(tried.images, ((calls[batch] + 1) * batch, SIDE, SIDE))
            times += recognize(name, images, batch)[1][1:]  # the first call may still have to get something ready
            print(
                f"{turn}/{repeats} {name}, {batch} at once: {1000 * np.median(times) / batch:.2f} ms a face", flush=True
            )
    for name, entry in found.items():
        entry["milliseconds_a_face"] = {str(batch): _spread(seconds[name, batch], batch) for batch in BATCHES}
    for pool in pools.values():
        pool.shutdown()
    from fergit.engine import backend

    about, machine = shipped.read_about(), backend.describe_machine()
    return intervals.rounded(
        {
            "network": {name: about[name] for name in shipped.RUN},
            "confidence_level": LEVEL,
            "images": {group: int(rows.sum()) for group, rows in groups.items()},
            "images_of_the_margin": len(held),
            "recognizers": found,
            "left_out": missing,
            "agreement": {"images": len(first), "at_most": apart},
            "repeats": repeats,
            "calls": {str(batch): n for batch, n in calls.items()},
            "machine": {name: machine[name] for name in ("cpus", "device")},
        }
    )


def _share(right):
    low, high = intervals.wilson(right.sum(), len(right), LEVEL)
    return {"value": float(right.mean()), "low": float(low), "high": float(high)}


def _difference(gain):
    """How much more often ours is correct, with the paired bootstrap's interval over images."""
    low, high = intervals.bootstrap(gain, lambda values: values.mean(axis=-1), SAMPLES, LEVEL)
    return {"difference": float(gain.mean()), "low": low, "high": high}


def _spread(seconds, batch):
    """Median, tenth and ninetieth percentile of all calls, in milliseconds a face."""
    values = 1000 * np.percentile(seconds, (10, 50, 90)) / batch
    return {name: round(float(value), 3) for name, value in zip(("low", "median", "high"), values, strict=True)}


def table(results):
    """The results for models/README.md: a Markdown table, and lines on crops, agreement and machine."""
    rows, versions = [], {}
    for name, entry in results["recognizers"].items():
        versions |= entry["versions"]
        milliseconds, less = entry["milliseconds_a_face"], entry.get("ours_less_it", {}).get(BOTH)
        rows.append(
            {
                "network": RECOGNIZERS[name][0],
                "computed by": RECOGNIZERS[name][1],
                "file": f"{entry['bytes'] / 1e6:.1f} MB",
                "parameters": f"{entry['parameters']:,}",
                "ms a face, alone": f"{milliseconds['1']['median']:.2f}",
                "ms a face, 64 at once": f"{milliseconds['64']['median']:.2f}",
                "side of the crop": SIDE + 2 * entry["margin"],
            }
        )
        for group, n in results["images"].items():
            rows[-1][f"{group} ({n:,} images)"] = present.with_interval(*entry["accuracy"][group].values())
        gain, low, high = map(present.points, less.values()) if less else [""] * 3
        rows[-1]["ours minus the peer's, points"] = f"{gain} ({low} to {high})" if less else "–"
    agreement, machine = results["agreement"], results["machine"]
    apart = ", ".join(f"{RECOGNIZERS[name][1]} {value:.6f}" for name, value in agreement["at_most"].items())
    left_out = "".join(f"\n- Left out: {name} ({why})." for name, why in results["left_out"].items())
    return (
        f"{present.markdown(pd.DataFrame(rows))}\n\n"
        f"- Images on which the side of each peer's crop was chosen: {results['images_of_the_margin']:,}.\n"
        f"- Largest difference from Keras' probabilities on {agreement['images']:,} test images: {apart}.\n"
        f"- Measured on {machine['cpus']} cores of {machine['device']}, with "
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}.{left_out}"
    )


def readme():
    """models/README.md as it should be."""
    block = table(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else "Not measured yet."
    return with_block(README, BEGIN, END, block)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="one turn of few calls; write nothing")
    parser.add_argument("--table", action="store_true", help="only write the table, from the numbers of the last run")
    arguments = parser.parse_args()
    os.environ.update(CPU)  # before Keras is imported, here and in the processes
    if hasattr(os, "sched_setaffinity"):  # the processes inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    try:
        if not arguments.table:
            repeats, calls = (1, 10) if arguments.trial else (5, 100)
            results = measure(load_processed("fergit"), datasets.load("fergit"), FOLDER, repeats, calls)
            if arguments.trial:
                return print(f"\n{table(results)}")
            files.write_json(RESULTS, results)
        files.write_text(README, readme())
    except FergitError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
