"""What peers.py compares, each in a process of its own: our shipped files, and networks that others have published.

A loader takes the folder with the peers' packages. It returns a function, the file with the weights, how many numbers
that holds, and the packages that compute. The function takes whole crops, uint8 (n, side, side), does with them what
the peer's own code does (size, range, colour), and returns probabilities (n, 7) in the order of `EXPRESSIONS`.
"""

import base64
import importlib.metadata
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import EXPRESSIONS, SIDE
from fergit.core.parallel import cores
from fergit.use import shipped

BATCH = 64


def ours_keras(folder):
    from fergit.engine.augmentation import to_input

    network = shipped.load_network()
    return lambda crops: network.predict_on_batch(to_input(crops)), shipped.WEIGHTS, _stored(), ("keras", "tensorflow")


def ours_onnx(folder):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    session = onnxruntime.InferenceSession(shipped.ONNX, options, providers=["CPUExecutionProvider"])

    def predict(crops):
        return session.run(None, {"image": crops[:, np.newaxis].astype(np.float32) / np.float32(255)})[0]

    return predict, shipped.ONNX, _stored(), ("onnxruntime",)


def ours_opencv(folder):
    from fergit.use.recognizer import ExpressionRecognizer

    return ExpressionRecognizer(shipped.ONNX).predict_faces, shipped.ONNX, _stored(), ("opencv-python-headless",)


def fer_keras(folder):
    """FER(use_tflite=False) of fer/fer.py: 64x64 gray, -1 to 1; its labels are in our order."""
    file = _of_package(folder, "fer", "data/emotion_model.hdf5")
    from fergit.engine.backend import keras

    network = keras.models.load_model(file, compile=False)
    predict = network.predict_on_batch
    return lambda crops: predict(_fer_input(crops)), file, network.count_params(), ("fer", "keras", "tensorflow")


def fer_tflite(folder):
    """FER(), the package's default: the same network, quantized; one face at a time, as its code does it."""
    file = _of_package(folder, "fer", "data/emotion_model_quantized.tflite")
    import tensorflow

    network = tensorflow.lite.Interpreter(str(file), num_threads=cores())
    network.allocate_tensors()
    entry, end = (ends[0]["index"] for ends in (network.get_input_details(), network.get_output_details()))

    def predict(crops):
        rows = []
        for crop in _fer_input(crops):
            network.set_tensor(entry, crop[np.newaxis])
            network.invoke()
            rows.append(network.get_tensor(end)[0])
        return np.stack(rows)

    return predict, file, fer_keras(folder)[2], ("fer", "tensorflow")


def _fer_input(crops):
    crops = np.stack([cv2.resize(crop, (64, 64)) for crop in crops]).astype(np.float32)
    return ((crops / 255 - 0.5) * 2)[..., np.newaxis]


def what_the_face(folder):
    """Image_classifier of inference.py, with its numbers: 48x48 gray, 0 to 1; its labels are in our order."""
    file = _of_package(folder, "what_the_face_classification", "active_model.pth")
    import torch
    from what_the_face_classification.model import SimpleConvolutionalNetwork

    torch.set_num_threads(cores())
    layers = [[1, 28], [28, 56], [56, 112]]
    network = SimpleConvolutionalNetwork(3, layers, [3, 3, 3], [0, 0, 0], 304, 4 * 4 * 112)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network.eval()

    def predict(crops):
        sized = np.stack([crop if len(crop) == SIDE else cv2.resize(crop, (SIDE, SIDE)) for crop in crops])
        with torch.inference_mode():
            return torch.softmax(network(torch.from_numpy(sized[:, np.newaxis]).float() / 255), dim=1).numpy()

    numbers = sum(values.numel() for values in network.parameters())
    return predict, file, numbers, ("what-the-face-classification", "torch")


LOADERS = {  # the others are in recognizers.mjs
    "ours-keras": ours_keras,
    "ours-onnx": ours_onnx,
    "ours-opencv": ours_opencv,
    "fer-keras": fer_keras,
    "fer-tflite": fer_tflite,
    "what-the-face": what_the_face,
}


def _of_package(folder, package, name):
    if not (folder / package / name).exists():
        raise FergitError(f"the package {package.replace('_', '-')} is not installed")
    return folder / package / name


def _stored():
    """How many numbers our shipped files hold; both hold the same."""
    with np.load(shipped.WEIGHTS, allow_pickle=False) as file:
        return sum(file[name].size for name in file.files if name != "about")


def load(name, folder):
    """In a recognizer's process: get it ready; its bytes, parameters and versions.

    Raises
    ------
    FergitError, ImportError
        What is not installed.
    """
    global network
    if name in LOADERS:
        sys.path.append(str(folder))  # behind this environment's own packages
        network, file, numbers, packages = LOADERS[name](folder)
        versions = {package: importlib.metadata.version(package) for package in packages}
        return {"bytes": file.stat().st_size, "parameters": int(numbers), "versions": versions}
    if not shutil.which("node"):
        raise FergitError("Node is not installed")
    command = ["node", Path(__file__).with_suffix(".mjs"), name, folder, str(cores())]
    network = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    about = json.loads(network.stdout.readline())
    if "missing" in about:
        raise FergitError(about["missing"])
    return about


def recognize(crops, batch=BATCH):
    """In a recognizer's process: probabilities, float32 (n, 7), of crops, uint8 (n, side, side), so many at once.

    Also the seconds of each call, from gray crops to probabilities.
    """
    if isinstance(network, subprocess.Popen):
        order = {
            "crops": base64.b64encode(np.ascontiguousarray(crops)).decode(),
            "side": crops.shape[1],
            "batch": batch,
        }
        print(json.dumps(order), file=network.stdin, flush=True)
        answer = json.loads(network.stdout.readline())
        return np.array(answer["probabilities"], np.float32).reshape(-1, len(EXPRESSIONS)), answer["seconds"]
    probabilities, seconds = [], []
    for row in range(0, len(crops), batch):
        begin = time.perf_counter()
        probabilities.append(network(crops[row : row + batch]))
        seconds.append(time.perf_counter() - begin)
    return np.concatenate(probabilities).astype(np.float32), seconds
