"""How good, how large and how fast the shipped network is, beside what others have published, in one run.

    PYTHONPATH=src python benchmarks/peers.py
    PYTHONPATH=src python benchmarks/peers.py --table

It needs FERGIT (``data/processed/fergit.npz``), the shipped files in ``models/`` and, in ``work/peers/``, the packages
that benchmarks/README.md says how to install; what is not there is left out, and why is said. Writes peers.json beside
this file, numbers only, and the table of models/README.md; ``--table`` measures nothing and writes the table anew.

Every recognizer (recognizers.py, recognizers.mjs) lives in a process of its own and is timed when it is its turn, so
that a slow minute of the machine hits all alike.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from recognizers import CLASSES

from fergit.analysis import intervals, leaks
from fergit.core import files, paths
from fergit.core.errors import FergitError
from fergit.core.faces import load_processed
from fergit.data import copies, fer2013
from fergit.pages import present
from fergit.pages.templates import with_block
from fergit.use import shipped

HERE = Path(__file__).parent
RESULTS = HERE / "peers.json"
README = paths.MODELS / "README.md"
BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
MISSING = "The numbers come with the FERGIT results."
FOLDER = paths.WORK / "peers"
CORES = 2
CPU = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}  # what the table's times are of, on any machine
BATCHES = {1: 1, 64: 20}  # images at once: what --calls is divided by
MARGINS = (-8, -6, -4, -2, 0, 2, 4, 8)  # pixels that a crop has more on each side than the image
PRIVATE, ALONE, BOTH = GROUPS = ("PrivateTest", "PrivateTest, no copy in training", "PublicTest and PrivateTest")
LEVEL, SAMPLES = 0.95, 2000  # of the intervals


@dataclass(frozen=True)
class Recognizer:
    """What is compared, and what is known of it.

    Attributes
    ----------
    title, by : str
        For the table: whose it is, and what computes it.
    trained : str
        What its own documents say of its training images; the same for the same network.
    script : str
    """

    title: str
    by: str
    trained: str
    script: str = "recognizers.py"

    @property
    def is_ours(self):
        return self.title == OURS


OURS = "ours"
OUR_TRAINING = "FERGIT's training part; none of these images"
FER = (
    "FER2013's Training; Public- and PrivateTest chose the epoch (`train_emotion_classifier.py` and issue 6 of "
    "oarriaga/face_classification, which it credits)"
)
RECOGNIZERS = {
    "ours-keras": Recognizer(OURS, "Keras, TensorFlow", OUR_TRAINING),
    "ours-onnx": Recognizer(OURS, "ONNX Runtime", OUR_TRAINING),
    "ours-opencv": Recognizer(OURS, "OpenCV's dnn", OUR_TRAINING),
    "fer-keras": Recognizer("fer", "Keras, TensorFlow", FER),
    "fer-tflite": Recognizer("fer", "TensorFlow Lite", FER),
    "face-api": Recognizer(
        "@vladmandic/face-api",
        "TensorFlow.js, WebAssembly",
        "“a variety of images from publicly available datasets as well as images scraped from the web” (README of "
        "face-api.js, which it continues): these images may be among them",
        "recognizers.mjs",
    ),
    "human": Recognizer(
        "@vladmandic/human",
        "TensorFlow.js, WebAssembly",
        "“Oarriaga Emotion” is all that its README says; that project trains on FER2013, but this network has other "
        "weights than fer's: these images may be among its training images",
        "recognizers.mjs",
    ),
    "what-the-face": Recognizer(
        "what-the-face-classification",
        "PyTorch",
        "“FER2013 and CK+ images” (its README), not which: these images may be among them",
    ),
}


class Worker:
    """A recognizer's process.

    Attributes
    ----------
    about : dict
        bytes, parameters, versions; or ``missing``: why it could not be loaded.
    """

    def __init__(self, name, folder):
        script = HERE / RECOGNIZERS[name].script
        command = [sys.executable, script, name, folder]
        if script.suffix == ".mjs":
            command = [shutil.which("node"), script, name, folder, str(CORES)]
        self.process = None
        if not command[0]:
            self.about = {"missing": "Node is not installed"}
            return
        self.said = tempfile.TemporaryFile("w+")
        env = os.environ | CPU | {"PYTHONPATH": str(paths.ROOT / "src")}
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True
        )
        self.about = self._answer(name)

    def _answer(self, what):
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            raise SystemExit(f"error: {what}: {self.said.read()[-2000:]}")
        return json.loads(line)

    def order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._answer(order)

    def predict(self, crops):
        """Probabilities of crops, uint8 (n, side, side): float32 (n, 7)."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "crops", Path(folder) / "probabilities"
            crops.tofile(source)
            self.order(do="predict", file=str(source), side=crops.shape[1], out=str(target))
            return np.fromfile(target, np.float32).reshape(len(crops), len(CLASSES))

    def time(self, crops, batch, calls):
        """Seconds of each call."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "crops"
            crops.tofile(source)
            side = crops.shape[1]
            return self.order(do="time", file=str(source), side=side, batch=batch, calls=calls)["seconds"]

    def end(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def official_part(sample_id):
    """Of which official part of FER2013 an image is: "Training", "PublicTest" or "PrivateTest"; "" if of none.

    Kaggle's CSV has the parts one after the other; folders of images have their names in the sample's.
    """
    source, _, name = sample_id.partition("/")
    if source != "fer2013":
        return ""
    row = re.fullmatch(r"\d{5}", name)
    if not row:
        return name.partition("/")[0] if name.startswith(tuple(fer2013.SPLITS)) else ""
    ends = np.cumsum([sum(fer2013.COUNTS[part]) for part in fer2013.SPLITS.values()])
    place = int(np.searchsorted(ends, int(name), side="right"))
    return [*fer2013.SPLITS, ""][place]


def crops(images, margin):
    """Whole faces with so many pixels more on each side, the border repeated, or fewer: uint8 (n, side, side)."""
    if margin <= 0:
        return np.ascontiguousarray(images[:, -margin or None : margin or None, -margin or None : margin or None])
    sides = [margin] * 4
    return np.stack([cv2.copyMakeBorder(image, *sides, cv2.BORDER_REPLICATE) for image in images])


def choose(faces):
    """The images that all are tried on, and those that the peers' margin is chosen on.

    Parameters
    ----------
    faces : Faces
        FERGIT, all parts.

    Returns
    -------
    tried : Faces
        PublicTest's and PrivateTest's images in FERGIT's test part.
    groups : dict of str to bool (n,)
        Which of them are of each of `GROUPS`.
    held : Faces
        PublicTest's and PrivateTest's images in FERGIT's validation part.

    Raises
    ------
    FergitError
        FERGIT is of folders that do not tell PublicTest from PrivateTest.
    """
    part = np.array([official_part(name) for name in faces.sample_id])
    if not {"PublicTest", "PrivateTest"} <= set(part):
        raise FergitError(
            f"{paths.relative(paths.processed('fergit'))} does not say which images are of PublicTest and PrivateTest; "
            "put fer2013.csv into data/external/, then `dvc repro -f fetch@fergit` and `dvc repro`"
        )
    ours = np.isin(part, ("PublicTest", "PrivateTest"))
    tested = ours & (faces.split == "test")
    known = ((faces.split == "train") | (part == "Training")) & ~tested
    tried, train, private = faces.take(tested), faces.take(known), part[tested] == "PrivateTest"
    near = copies.nearest(tried.images, train.images)[0] >= float(leaks.NEAR[0])
    same = np.isin(copies.fingerprints(tried.images), copies.fingerprints(train.images))
    alone = private & ~near & ~same
    groups = dict(zip(GROUPS, (private, alone, np.ones(len(tried), bool)), strict=True))
    return tried, groups, faces.take(ours & (faces.split == "validation"))


def measure(faces, folder, repeats, calls):
    """All of peers.json."""
    tried, groups, held = choose(faces)
    workers = {name: Worker(name, folder) for name in RECOGNIZERS}
    missing = {name: worker.about["missing"] for name, worker in workers.items() if "missing" in worker.about}
    workers = {name: worker for name, worker in workers.items() if name not in missing}
    for name, reason in missing.items():
        print(f"{name}: left out, {reason}", flush=True)
    first = next((name for name in workers if RECOGNIZERS[name].is_ours), None)
    if not first:
        raise FergitError(f"none of our own can be loaded: {missing['ours-keras']}")
    found, probabilities = {}, {}
    for name, worker in workers.items():
        margins = (0,) if RECOGNIZERS[name].is_ours else MARGINS
        by_margin = {
            margin: float((worker.predict(crops(held.images, margin)).argmax(axis=1) == held.labels).mean())
            for margin in margins
        }
        margin = max(by_margin, key=lambda one: (by_margin[one], -abs(one)))
        probabilities[name] = worker.predict(crops(tried.images, margin))
        found[name] = {**worker.about, "margin": margin, "accuracy_by_margin": by_margin}
        print(f"{name}: margin {margin} of {by_margin}", flush=True)
    for name, entry in found.items():
        entry["accuracy"] = {group: _accuracy(tried, probabilities[name], rows) for group, rows in groups.items()}
        if not RECOGNIZERS[name].is_ours:
            entry["ours_less_it"] = {
                group: _difference(tried, probabilities[first], probabilities[name], rows)
                for group, rows in groups.items()
            }
    times = _times(workers, tried.images, repeats, calls)
    for name, entry in found.items():
        entry["milliseconds_a_face"] = times[name]
    agreement = _agreement({name: workers[name] for name in workers if RECOGNIZERS[name].is_ours}, faces)
    for worker in workers.values():
        worker.end()
    from fergit.engine import backend

    about = shipped.read_about()
    return intervals.rounded(
        {
            "network": {name: about.get(name) for name in ("dataset", "model", "seed", "best_epoch")},
            "confidence_level": LEVEL,
            "images": {group: int(rows.sum()) for group, rows in groups.items()},
            "images_of_the_margin": len(held),
            "recognizers": found,
            "left_out": missing,
            "agreement": agreement,
            "repeats": repeats,
            "calls": {str(batch): _calls(batch, calls) for batch in BATCHES},
            "machine": {
                name: value for name, value in backend.describe_machine().items() if name in ("cpus", "device")
            },
        }
    )


def _accuracy(faces, probabilities, rows):
    right = (probabilities.argmax(axis=1) == faces.labels)[rows]
    low, high = intervals.wilson(right.sum(), len(right), LEVEL)
    return {"value": float(right.mean()), "low": float(low), "high": float(high)}


def _difference(faces, ours, theirs, rows):
    """How much more often ours is right, with the interval of the bootstrap over images, paired."""
    gain = np.subtract(*((one.argmax(axis=1) == faces.labels)[rows].astype(float) for one in (ours, theirs)))
    low, high = intervals.bootstrap(gain, lambda values: values.mean(axis=-1), SAMPLES, LEVEL)
    return {"difference": float(gain.mean()), "low": low, "high": high}


def _calls(batch, calls):
    return max(1, calls // BATCHES[batch])


def _times(workers, images, repeats, calls):
    """Milliseconds a face by name and batch: median, tenth and ninetieth percentile of all calls."""
    seconds = {name: {batch: [] for batch in BATCHES} for name in workers}
    for turn in range(repeats):
        for batch in BATCHES:
            for name, worker in workers.items():
                seconds[name][batch] += worker.time(images, batch, _calls(batch, calls))
                shown = 1000 * np.median(seconds[name][batch]) / batch
                print(f"{turn + 1}/{repeats} {name}, {batch} at once: {shown:.2f} ms a face", flush=True)
    return {
        name: {
            str(batch): dict(
                zip(
                    ("low", "median", "high"),
                    (round(1000 * float(value) / batch, 3) for value in np.percentile(one, (10, 50, 90))),
                    strict=True,
                )
            )
            for batch, one in by_batch.items()
        }
        for name, by_batch in seconds.items()
    }


def _agreement(workers, faces, count=1000):
    """How far the probabilities of our files are from Keras', at most, on the first test images."""
    images = faces.images[faces.split == "test"][:count]
    answers = {name: worker.predict(images).astype(np.float64) for name, worker in workers.items()}
    reference = answers.pop("ours-keras", None)
    apart = {} if reference is None else {name: abs(one - reference).max() for name, one in answers.items()}
    return {"images": len(images), "at_most": {name: float(np.ceil(1e6 * one) / 1e6) for name, one in apart.items()}}


def table(results):
    """The results for models/README.md, in Markdown."""
    n = results["images"]
    rows = []
    for name, entry in results["recognizers"].items():
        one = RECOGNIZERS[name]
        fast, many = (f"{entry['milliseconds_a_face'][str(batch)]['median']:.2f}" for batch in BATCHES)
        gain = entry.get("ours_less_it", {}).get(BOTH)
        rows.append(
            {
                "network": one.title,
                "computed by": one.by,
                "file": f"{entry['bytes'] / 1e6:.1f} MB",
                "numbers in it": f"{entry['parameters']:,}",
                "ms a face, alone": fast,
                "ms a face, 64 at once": many,
            }
            | {
                f"{group} ({n[group]:,} images)": present.with_interval(*(entry["accuracy"][group].values()))
                for group in GROUPS
            }
            | {
                "ours less it, points": f"{present.points(gain['difference'])} "
                f"({present.points(gain['low'])} to {present.points(gain['high'])})"
                if gain
                else "–"
            }
        )
    said = [present.markdown(pd.DataFrame(rows)), _explained(results), _trained(results), _machine(results)]
    return "\n\n".join(filter(None, said))


def _explained(results):
    n, level = results["images"], present.percent(results["confidence_level"], 0)
    margins = sorted({(RECOGNIZERS[name].title, entry["margin"]) for name, entry in results["recognizers"].items()})
    moved = [f"{title} {present.points(margin / 100)[:-2]}" for title, margin in margins if title != OURS]
    said = [
        "Accuracy on the same images for all: those of FER2013's PrivateTest, and of PublicTest beside it, that lie in "
        "FERGIT's **test** part. Nearly all others were in our training, and would tell nothing. Without a copy: "
        "neither our training part nor FER2013's Training has that image, or nearly (correlation of the pixels, "
        f"mirrored or not, below {leaks.NEAR[0]}). In parentheses the {level} intervals over images, wide ones with so "
        f"few images; *ours less it* is paired, on the {n[BOTH]:,}. All name the same seven expressions, so that every "
        "label counts. A time is from a gray 48x48 crop to probabilities, the median of all calls.",
    ]
    if moved:
        said.append(
            f"Peers got the crop that they do best with on {results['images_of_the_margin']:,} other images, of "
            f"FERGIT's validation part (pixels more on each side: {', '.join(moved)})."
        )
    return " ".join(said)


def _trained(results):
    known = {RECOGNIZERS[name].title: RECOGNIZERS[name].trained for name in results["recognizers"]}
    return "What each was trained on:\n\n" + "\n".join(f"- {title}: {text}." for title, text in known.items())


def _machine(results):
    machine, agreement = results["machine"], results["agreement"]
    versions = {}
    for entry in results["recognizers"].values():
        versions |= entry["versions"]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    titles = {name: RECOGNIZERS[name].by for name in agreement["at_most"]}
    apart = [f"{titles[name]} by at most {value:.6f}" for name, value in agreement["at_most"].items()]
    left_out = "".join(f" Left out: {name} ({why})." for name, why in results["left_out"].items())
    return (
        f"{machine['cpus']} cores of {machine['device']}; {listed}. TensorFlow.js has one thread there."
        + (
            f" On {agreement['images']:,} test images our probabilities differ from Keras' by way of "
            f"{' and '.join(apart)}."
            if apart
            else ""
        )
        + left_out
    )


def read():
    """peers.json, or None."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else None


def readme():
    """models/README.md as it should be."""
    results = read()
    return with_block(README, BEGIN, END, table(results) if results else MISSING)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the peers are installed (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=100, help="of one face in a turn (default: %(default)s)")
    parser.add_argument("--trial", action="store_true", help="one turn of few calls; writes nothing")
    parser.add_argument("--table", action="store_true", help="only write the table, from the numbers of the last run")
    arguments = parser.parse_args()
    try:
        if arguments.table:
            files.write_text(README, readme())
        else:
            _run(arguments)
    except FergitError as error:
        raise SystemExit(f"error: {error}") from None


def _run(arguments):
    os.environ.update(CPU)  # before Keras is imported
    if hasattr(os, "sched_setaffinity"):  # what is started inherits it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    repeats, calls = (1, 10) if arguments.trial else (arguments.repeats, arguments.calls)
    results = measure(load_processed("fergit"), arguments.folder.resolve(), repeats, calls)
    if not arguments.trial:
        files.write_json(RESULTS, results)
        files.write_text(README, readme())
    print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
