"""How good, large and fast the shipped network is, beside networks that others have published, in one run.

Each recognizer has a process of its own. A function gets it ready; it returns what makes probabilities (n, 7), in the
order of EXPRESSIONS, of crops, uint8 (n, side, side), as the peer's own code does (size, range, colour); the file with
the weights; and how many these are.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from functools import partial

import cv2
import numpy as np
import pandas as pd
from measure import HERE, PEERS, in_turn, processes, timed

from fergit.analysis import intervals, leaks
from fergit.core.errors import FergitError
from fergit.core.faces import EXPRESSIONS, SIDE, load_processed
from fergit.core.parallel import cores
from fergit.data import copies, datasets
from fergit.use import shipped
from fergit.use.recognizer import ExpressionRecognizer

BATCHES = {1: 1, 64: 20}  # images at once: what the number of calls is divided by
MARGINS = (0, -2, 2, -4, 4, -6, 8, -8)  # pixels that a crop has more on each side than the image
GROUPS = ("PrivateTest", "PrivateTest, no copy in training", "PublicTest and PrivateTest")
LEVEL, SAMPLES = 0.95, 2000  # of the intervals


def ours(kind):
    """The shipped files, by Keras, ONNX Runtime or OpenCV."""
    with np.load(shipped.WEIGHTS, allow_pickle=False) as file:  # the ONNX file holds the same
        stored = sum(file[name].size for name in file.files if name != "about")
    if kind == "opencv":
        return ExpressionRecognizer(shipped.ONNX).predict_faces, shipped.ONNX, stored
    if kind == "keras":
        from fergit.engine.augmentation import to_input

        network = shipped.load_network()
        return lambda crops: network.predict_on_batch(to_input(crops)), shipped.WEIGHTS, stored
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    run = onnxruntime.InferenceSession(shipped.ONNX, options, providers=["CPUExecutionProvider"]).run
    scale = np.float32(255)
    return lambda crops: run(None, {"image": crops[:, np.newaxis].astype(np.float32) / scale})[0], shipped.ONNX, stored


def fer(kind):
    """FER of fer/fer.py, whose labels are in our order: 64x64 gray, -1 to 1; "tflite" one face at a time."""
    import tensorflow

    from fergit.engine.backend import keras

    def to_input(crops):
        crops = np.stack([cv2.resize(crop, (64, 64)) for crop in crops]).astype(np.float32)
        return ((crops / 255 - 0.5) * 2)[..., np.newaxis]

    def one_by_one(crops):
        rows = []
        for crop in to_input(crops):
            quantized.set_tensor(entry, crop[np.newaxis])
            quantized.invoke()
            rows.append(quantized.get_tensor(end)[0])
        return np.stack(rows)

    file = PEERS / "fer" / "data" / "emotion_model.hdf5"
    network = keras.models.load_model(file, compile=False)
    if kind == "keras":
        return lambda crops: network.predict_on_batch(to_input(crops)), file, network.count_params()
    file = file.with_name("emotion_model_quantized.tflite")
    quantized = tensorflow.lite.Interpreter(str(file), num_threads=cores())
    quantized.allocate_tensors()
    entry, end = (ends[0]["index"] for ends in (quantized.get_input_details(), quantized.get_output_details()))
    return one_by_one, file, network.count_params()


def what_the_face():
    """Image_classifier of inference.py, with its numbers: 48x48 gray, 0 to 1; its labels are in our order."""
    import torch
    from what_the_face_classification.model import SimpleConvolutionalNetwork

    torch.set_num_threads(cores())
    file = PEERS / "what_the_face_classification" / "active_model.pth"
    layers = [[1, 28], [28, 56], [56, 112]]
    network = SimpleConvolutionalNetwork(3, layers, [3, 3, 3], [0, 0, 0], 304, 4 * 4 * 112)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network.eval()

    @torch.inference_mode()
    def predict(crops):
        sized = np.stack([crop if len(crop) == SIDE else cv2.resize(crop, (SIDE, SIDE)) for crop in crops])
        return torch.softmax(network(torch.from_numpy(sized[:, np.newaxis]).float() / 255), dim=1).numpy()

    return predict, file, sum(values.numel() for values in network.parameters())


RECOGNIZERS = {  # what gets it ready, and the packages that compute it
    "ours-keras": (partial(ours, "keras"), "keras", "tensorflow"),
    "ours-onnx": (partial(ours, "onnx"), "onnxruntime"),
    "ours-opencv": (partial(ours, "opencv"), "opencv-python-headless"),
    "fer-keras": (partial(fer, "keras"), "fer", "keras", "tensorflow"),
    "fer-tflite": (partial(fer, "tflite"), "fer", "tensorflow"),
    "face-api": None,  # in peers.mjs
    "human": None,
    "what-the-face": (what_the_face, "what-the-face-classification", "torch"),
}


def load(name):
    """In a recognizer's process: get it ready; its bytes, parameters and versions."""
    global network
    if RECOGNIZERS[name]:
        sys.path.append(str(PEERS))  # behind this environment's own packages
        prepare, *packages = RECOGNIZERS[name]
        try:
            versions = {package: importlib.metadata.version(package) for package in packages}
        except importlib.metadata.PackageNotFoundError as error:
            raise FergitError(f"the package {error.name} is not installed") from None
        network, file, parameters = prepare()
        return {"bytes": file.stat().st_size, "parameters": int(parameters), "versions": versions}
    if not shutil.which("node"):
        raise FergitError("Node is not installed")
    command = ["node", HERE / "peers.mjs", name, PEERS, str(cores())]
    network = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if not (line := network.stdout.readline()):
        raise FergitError("peers.mjs ended without an answer")
    about = json.loads(line)
    if "missing" in about:
        raise FergitError(about["missing"])
    return about


def recognize(crops, batch=64):
    """In a recognizer's process: probabilities, float32 (n, 7), of crops, so many at once, and each call's seconds."""
    if isinstance(network, subprocess.Popen):
        order = {"crops": crops.ravel().tolist(), "side": crops.shape[1], "batch": batch}
        print(json.dumps(order), file=network.stdin, flush=True)
        answer = json.loads(network.stdout.readline())
        return np.array(answer["probabilities"], np.float32).reshape(-1, len(EXPRESSIONS)), answer["seconds"]
    calls = [timed(partial(network, crops[row : row + batch])) for row in range(0, len(crops), batch)]
    return np.concatenate([found for _, found in calls]).astype(np.float32), [seconds for seconds, _ in calls]


def cut(images, margin):
    """Faces with so many pixels more on each side, the border repeated, or fewer: uint8 (n, side, side)."""
    most = max(MARGINS)
    part = slice(most - margin, SIDE + most + margin)
    return np.pad(images, ((0, 0), (most, most), (most, most)), "edge")[:, part, part]


def choose(faces, loaded):
    """FERGIT's test images of PublicTest and PrivateTest, masks of `GROUPS` among them, and its validation images.

    `faces` are FERGIT after preprocessing; `loaded` as its sources gave it, with FER2013's official parts.
    """
    official = pd.Series(loaded.split, loaded.sample_id)[faces.sample_id].to_numpy()
    fresh = np.isin(official, ("validation", "test"))
    if not fresh.any():
        raise FergitError("data/raw/fergit: has no official parts of FER2013; put fer2013.csv into data/external/")
    tested = fresh & (faces.split == "test")
    tried, known = faces.take(tested), faces.take(((faces.split == "train") | (official == "train")) & ~tested)
    near = copies.nearest(tried.images, known.images)[0] >= float(leaks.NEAR[0])
    same = np.isin(copies.fingerprints(tried.images), copies.fingerprints(known.images))
    private = official[tested] == "test"
    groups = dict(zip(GROUPS, (private, private & ~near & ~same, np.ones(len(tried), bool)), strict=True))
    return tried, groups, faces.take(fresh & (faces.split == "validation"))


def accuracy(hits):
    low, high = intervals.wilson(hits.sum(), len(hits), LEVEL)
    return {"value": float(hits.mean()), "low": float(low), "high": float(high)}


def lead(gain):
    """How much more often ours is correct, with the paired bootstrap's interval over images."""
    low, high = intervals.bootstrap(gain, lambda values: values.mean(axis=-1), SAMPLES, LEVEL)
    return {"difference": float(gain.mean()), "low": low, "high": high}


def compare(faces, loaded, repeats, calls):
    """All of peers.json."""
    tried, groups, held = choose(faces, loaded)
    first = faces.images[faces.split == "test"][:1000]
    calls = {batch: max(1, calls // divisor) for batch, divisor in BATCHES.items()}
    timings = {batch: np.resize(tried.images, ((n + 1) * batch, SIDE, SIDE)) for batch, n in calls.items()}
    found, missing, answers, timers = {}, {}, {}, {}
    with processes(RECOGNIZERS) as call:
        for name, run in call.items():
            try:
                entry = run(load, name)
            except (FergitError, ImportError, OSError) as error:
                if name == "ours-keras":
                    raise
                missing[name] = str(error)
                continue
            by_margin = {}
            for margin in (0,) if name.startswith("ours") else MARGINS:
                by_margin[margin] = float((run(recognize, cut(held.images, margin))[0].argmax(1) == held.labels).mean())
            best = max(by_margin, key=by_margin.get)
            hits = run(recognize, cut(tried.images, best))[0].argmax(axis=1) == tried.labels
            entry |= {"accuracy_by_margin": by_margin, "margin": best}
            entry["accuracy"] = {group: accuracy(hits[rows]) for group, rows in groups.items()}
            if name == "ours-keras":
                reference = hits
            if name.startswith("ours"):
                answers[name] = run(recognize, first)[0].astype(np.float64)
            else:
                entry["ours_less_it"] = {group: lead((reference * 1.0 - hits)[rows]) for group, rows in groups.items()}
            found[name] = entry
            timers |= {(name, batch): partial(run, recognize, images, batch) for batch, images in timings.items()}
        turns = in_turn(timers, repeats)
    for (name, batch), several in turns.items():  # without the first call, which may still have to get something ready
        spread = np.percentile(np.concatenate([seconds[1:] for _, seconds in several]), (10, 50, 90)) * 1000 / batch
        spread = dict(zip(("low", "median", "high"), spread.round(3).tolist(), strict=True))
        found[name].setdefault("milliseconds_a_face", {})[str(batch)] = spread
    keras = answers.pop("ours-keras")
    apart = {name: float(np.ceil(1e6 * abs(one - keras).max()) / 1e6) for name, one in answers.items()}
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


def measure(trial):
    os.environ |= {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}  # of the processes, too
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    return compare(load_processed("fergit"), datasets.load("fergit"), *(1, 10) if trial else (5, 100))
