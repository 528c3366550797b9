"""What peers.py compares, each in a process of its own: our shipped files, and networks that others have published.

``python recognizers.py NAME FOLDER`` loads one and then does what it is told, a line of JSON each on standard input,
with a line of JSON in answer:

    {"do": "predict", "file": IN, "side": 48, "out": OUT}  uint8 (n, side, side) to float32 (n, 7), as raw bytes
    {"do": "time", "file": IN, "side": 48, "batch": 1, "calls": 100}  seconds of each call: gray crop to probabilities

The first line that it prints says what was loaded, or what is missing. recognizers.mjs does the same in JavaScript.
Every peer gets whole crops, and from there on does with them what its own code does: size, range, colour.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import SIDE
from fergit.core.parallel import cores
from fergit.use import shipped
from fergit.use.recognizer import CLASSES, NETWORK

BATCH = 64


class Missing(Exception):
    """A peer cannot be loaded; the text says why."""


@dataclass
class Loaded:
    """A network that is ready.

    Attributes
    ----------
    predict : callable
        uint8 (n, side, side), at most `BATCH`, to float32 (n, 7) in the order of `fergit.use.recognizer.CLASSES`.
    file : Path
        What holds the weights.
    parameters : int
        Numbers in that file.
    versions : dict
        Of the packages that compute.
    """

    predict: object
    file: Path
    parameters: int
    versions: dict


def ours_keras(folder):
    from fergit.engine.augmentation import to_input

    network = shipped.load_network(_there(shipped.WEIGHTS))
    return Loaded(
        lambda crops: network.predict_on_batch(to_input(crops)),
        shipped.WEIGHTS,
        _stored(),
        versions("keras", "tensorflow"),
    )


def ours_onnx(folder):
    onnxruntime = _import("onnxruntime")
    _there(shipped.ONNX)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    session = onnxruntime.InferenceSession(shipped.ONNX, options, providers=["CPUExecutionProvider"])

    def predict(crops):
        return session.run(None, {"image": crops[:, np.newaxis].astype(np.float32) / np.float32(255)})[0]

    return Loaded(predict, shipped.ONNX, _stored(), versions("onnxruntime"))


def ours_opencv(folder):
    from fergit.use.recognizer import ExpressionRecognizer

    recognizer = ExpressionRecognizer(_there(NETWORK))
    return Loaded(recognizer.predict_faces, NETWORK, _stored(), versions("opencv-python-headless"))


def fer_keras(folder):
    """The network of FER(use_tflite=False), fer/fer.py: 64x64 gray, -1 to 1; its labels are in our order."""
    from fergit.engine.backend import keras

    file = _there(folder / "fer" / "data" / "emotion_model.hdf5", "fer")
    network = keras.models.load_model(file, compile=False)
    return Loaded(
        lambda crops: network.predict_on_batch(_fer_input(crops)),
        file,
        network.count_params(),
        versions("fer", "keras", "tensorflow"),
    )


def fer_tflite(folder):
    """The network of FER(), its default: the same, quantized; one face at a time, as its code has it."""
    file = _there(folder / "fer" / "data" / "emotion_model_quantized.tflite", "fer")
    parameters = fer_keras(folder).parameters
    tensorflow = _import("tensorflow")
    interpreter = tensorflow.lite.Interpreter(str(file), num_threads=cores())
    interpreter.allocate_tensors()
    entry, end = (ends[0]["index"] for ends in (interpreter.get_input_details(), interpreter.get_output_details()))

    def predict(crops):
        rows = []
        for crop in _fer_input(crops):
            interpreter.set_tensor(entry, crop[np.newaxis])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(end)[0])
        return np.stack(rows)

    return Loaded(predict, file, parameters, versions("fer", "tensorflow"))


def _fer_input(crops):
    crops = np.stack([cv2.resize(crop, (64, 64)) for crop in crops]).astype(np.float32)
    return ((crops / 255 - 0.5) * 2)[..., np.newaxis]


def what_the_face(folder):
    """The network of inference.py's Image_classifier, with its numbers: 48x48 gray, 0 to 1; labels in our order."""
    file = _there(folder / "what_the_face_classification" / "active_model.pth", "what-the-face-classification")
    torch, model = _import("torch"), _import("what_the_face_classification.model")
    torch.set_num_threads(cores())
    layers = [[1, 28], [28, 56], [56, 112]]
    network = model.SimpleConvolutionalNetwork(3, layers, [3, 3, 3], [0, 0, 0], 304, 4 * 4 * 112)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network.eval()

    def predict(crops):
        sized = [crop if len(crop) == SIDE else cv2.resize(crop, (SIDE, SIDE)) for crop in crops]
        with torch.inference_mode():
            batch = torch.from_numpy(np.stack(sized)[:, np.newaxis]).float() / 255
            return torch.softmax(network(batch), dim=1).numpy()

    parameters = sum(values.numel() for values in network.parameters())
    return Loaded(predict, file, parameters, versions("what-the-face-classification", "torch"))


LOADERS = {
    "ours-keras": ours_keras,
    "ours-onnx": ours_onnx,
    "ours-opencv": ours_opencv,
    "fer-keras": fer_keras,
    "fer-tflite": fer_tflite,
    "what-the-face": what_the_face,
}


def versions(*names):
    """{package: version}."""
    return {name: importlib.metadata.version(name) for name in names}


def _import(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Missing(f"the package {name.split('.')[0]} is not installed ({error})") from None


def _there(file, package=None):
    if not file.exists():
        ours = f"{paths.relative(file)}: no such file; `python src/run.py ship fergit residual 0` writes it"
        raise Missing(f"the package {package} is not installed" if package else ours)
    return file


def _stored():
    """How many numbers the shipped files hold; both hold the same."""
    with np.load(_there(shipped.WEIGHTS), allow_pickle=False) as file:
        return sum(file[name].size for name in file.files if name != "about")


def read(file, side):
    return np.fromfile(file, np.uint8).reshape(-1, side, side)


def answer(recognizer, order):
    """Do what a line of JSON says: a dict."""
    images = read(order["file"], order["side"])
    if order["do"] == "predict":
        parts = [recognizer.predict(images[row : row + BATCH]) for row in range(0, len(images), BATCH)]
        probabilities = np.concatenate(parts).astype(np.float32)
        assert probabilities.shape == (len(images), len(CLASSES))
        probabilities.tofile(order["out"])
        return {"images": len(images)}
    seconds = []
    for call in range(order["calls"] + 1):
        first = call * order["batch"] % (len(images) - order["batch"] + 1)
        begin = time.perf_counter()
        recognizer.predict(images[first : first + order["batch"]])
        seconds.append(time.perf_counter() - begin)
    return {"seconds": seconds[1:]}  # less the first, which may still make something ready


def main():
    name, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no reply

    def say(values):
        print(json.dumps(values), file=replies, flush=True)

    sys.path.append(str(folder))  # behind this environment's own packages
    try:
        recognizer = LOADERS[name](folder)
    except (Missing, FergitError) as reason:
        return say({"missing": str(reason)})
    size = recognizer.file.stat().st_size
    say({"bytes": size, "parameters": int(recognizer.parameters), "versions": recognizer.versions})
    for line in sys.stdin:
        say(answer(recognizer, json.loads(line)))


if __name__ == "__main__":
    main()
