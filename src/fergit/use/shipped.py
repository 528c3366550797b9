"""Trained networks to be used: two files each in ``models/``, written by `ship`, read by Keras and by OpenCV.

``fergit-residual`` comes with the repository; ``python src/run.py ship <dataset> <model> <seed>`` adds others, with
classes of their own. The .npz holds the weights for Keras, the .onnx the whole network for everything else.

Kernels are rounded to float16; in the ONNX file a Cast makes float32 of each before use. On maps of 1x1 pixel, which
five poolings that round down lead to, eight ninths of each 3x3 kernel meet nothing but padding and never learn: only
the kernels' centres are written, and `load_network` puts zeros around them. Logits are divided by one temperature,
fitted on the validation set, so that probabilities are calibrated; files without one have temperature 1.
"""

import contextlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_arrays, write_atomically

SHIPPED = "fergit", "residual"  # the network that comes with the repository
INSTEAD = {"fergit_best": "fergit", "fer2013_best": "fer2013"}  # by our recipe; it takes the place of the paper's
RUN = ("dataset", "model", "seed", "best_epoch")  # of `read_about`: which run a network is of
OPSET = 15  # old enough for OpenCV, new enough for all layers


def file(dataset, model, suffix):
    """The path of one of a network's two files, ``models/<dataset>-<model>.npz`` or ``.onnx``."""
    return paths.MODELS / f"{INSTEAD.get(dataset, dataset)}-{model}{suffix}"


WEIGHTS, ONNX = file(*SHIPPED, ".npz"), file(*SHIPPED, ".onnx")


def find(network: str | Path, suffix=".onnx") -> Path:
    """The file of a network that is given by its name, as ``fergit-residual``, or by its path; FergitError if none."""
    stem = str(network).removesuffix(".npz").removesuffix(".onnx")
    for path in (Path(network), Path(f"{stem}{suffix}"), paths.MODELS / f"{stem}{suffix}"):
        if os.path.isfile(path) and path.suffix not in {".npz", ".onnx"} - {suffix}:
            return path
    path = Path(network) if os.path.dirname(network) else path
    there = sorted(other.stem for other in paths.MODELS.glob(f"*{suffix}") if not other.stem.startswith("face-"))
    raise FergitError(
        f"{paths.relative(path)}: no such file; models/ has {', '.join(there) or 'none'}; "
        "`python src/run.py ship DATASET NETWORK SEED` writes more"
    )


def ship(dataset, model, seed):
    """Write the two files of a finished training; return their paths without suffix, and its training.json.

    Its weights and predictions.csv must be there, and the package onnx (``pip install onnx``).
    """
    network, training, about = prepare(dataset, model, seed)
    stem = file(dataset, model, "")
    save_network(network, about, stem)
    return stem, training


def prepare(dataset, model, seed):
    """A trained network, its training.json, and what its files are to say of it: (keras.Model, dict, dict)."""
    from fergit.analysis.calibration import temperature
    from fergit.engine.trained import SUMMARY, load_trained

    network, training = load_trained(dataset, model, seed)
    fitted = temperature(predictions_of(dataset, model, seed, "validation"))
    return network, training, {name: training[name] for name in SUMMARY} | {"temperature": round(fitted, 4)}


def predictions_of(dataset, model, seed, split):
    """One training's rows of predictions.csv, of one part of the data: DataFrame."""
    from fergit.core.params import read  # not above: the app has no package for it
    from fergit.core.predictions import read_predictions

    path = paths.results(dataset, model) / "predictions.csv"
    if read(paths.PARAMS)["predict"]["mirror"]:
        raise FergitError(
            f"{paths.relative(path)}: averages each image with its mirror image, which a shipped network does not; set "
            f"predict.mirror: false in params.yaml, and `dvc repro predict@{dataset}-{model}`"
        )
    table = read_predictions(path, split)
    table = table[table["seed"] == seed].reset_index(drop=True)
    if table.empty:
        raise FergitError(f"{paths.relative(path)}: has no seed {seed}; `dvc repro` writes those of params.yaml")
    return table


def as_shipped(network, about):
    """Round a network in place to what its files would hold, with its temperature; returns it."""
    for layer in network.layers:
        for variable in layer.weights:
            variable.assign(_filled(_core(variable, layer), variable.shape))
    return _soften(network, about)


def read_about(path=WEIGHTS) -> dict:
    """What a .npz of `save_network` says of itself: ``model``, ``classes``, ``network``, and of a finished run also
    ``dataset``, ``seed``, ``best_epoch``, ``temperature`` and more.
    """
    with _opened(path) as (about, _):
        return about


def save_network(network, about, stem):
    """Write a network of `build_network` as ``<stem>.npz`` and ``<stem>.onnx``, the same weights in both.

    `about` has at least ``model`` (its kind), ``classes`` and ``network`` (the other arguments of `build_network`), and
    ``temperature`` if it is not 1.
    """
    arrays = {variable.path: _core(variable, layer) for layer in network.layers for variable in layer.weights}
    model = _onnx_model(network, arrays, about)
    with write_atomically(stem.with_name(f"{stem.name}.onnx")) as file:
        file.write(model.SerializeToString(deterministic=True))
        write_arrays(stem.with_name(f"{stem.name}.npz"), about=np.array(json.dumps(about)), **arrays)


def load_network(path=WEIGHTS):
    """A shipped network as a Keras model: float32 (n, 48, 48, 1), 0 to 1, in; float32 (n, classes) out.

    Raises FergitError where the file is missing or not of `save_network`.
    """
    from fergit.engine.network import build_network

    with _opened(path) as (about, arrays):
        network = build_network(about["model"], len(about["classes"]), **about["network"])
        for variable in network.weights:
            variable.assign(_filled(arrays[variable.path], variable.shape))
        return _soften(network, about)


@contextlib.contextmanager
def _opened(path):
    """What a .npz says of itself, and its arrays; errors of the block say what is wrong with the file."""
    try:
        with np.load(find(path, ".npz"), allow_pickle=False) as file:
            yield json.loads(str(file["about"])), file
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        message = (str(error) or type(error).__name__).splitlines()[0]
        raise FergitError(f"{paths.relative(path)}: not a file that ship wrote ({message})") from None


def _soften(network, about):
    """Divide a network's logits by its temperature, in place; returns it."""
    for variable in network.layers[-1].weights:
        variable.assign(variable / about.get("temperature", 1.0))
    return network


def _core(variable, layer):
    """What of a variable is written: kernels as float16, and of those that see one pixel only the centre."""
    values = np.asarray(variable.value)
    if variable.name != "kernel":
        return values
    if values.ndim == 4 and layer.input.shape[1:3] == (1, 1):
        middle = [size // 2 for size in values.shape[:2]]
        values = values[middle[0] : middle[0] + 1, middle[1] : middle[1] + 1]
    return values.astype(np.float16)


def _filled(values, shape):
    """A kernel as large as the network's, zeros around the centre that was written: float32 (shape)."""
    borders = [((full - own) // 2,) * 2 for full, own in zip(shape, values.shape, strict=True)]
    return np.pad(values.astype(np.float32), borders)


def _onnx_model(network, arrays, about):
    """The network as an ONNX graph, channels first: "image" float32 (n, 1, 48, 48) to "probabilities" (n, classes).

    Written node by node: Keras' own exporter (by way of tf2onnx) makes a graph that OpenCV reads without complaint and
    computes wrongly.
    """
    try:
        from onnx import TensorProto, checker, helper, numpy_helper
    except ImportError:
        raise FergitError("the package onnx is missing; `.venv/bin/pip install onnx` brings it") from None

    from keras import layers, tree

    nodes, constants, names = [], [], {}

    def add(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(values, path):
        half = values.dtype == np.float16
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values), f"{path}_16" if half else path))
        return add("Cast", [f"{path}_16"], path, to=TensorProto.FLOAT) if half else path

    def weights(layer, *parts):
        values = {f"{layer.name}/{part}": arrays[f"{layer.name}/{part}"] for part in parts}
        return [constant(v.transpose(3, 2, 0, 1) if v.ndim == 4 else v, path) for path, v in values.items()]

    for layer in network.layers:
        name = layer.name
        inputs = [names.get(id(tensor)) for tensor in tree.flatten(layer.input)]
        match layer:
            case layers.InputLayer():
                output = "image"
            case layers.Conv2D():
                pads = [size // 2 for size in arrays[f"{name}/kernel"].shape[:2]] * 2
                output = add("Conv", inputs + weights(layer, "kernel", "bias"), name, pads=pads)
                if layer.activation.__name__ == "relu":
                    output = add("Relu", [output], f"{name}_relu")
            case layers.BatchNormalization():
                parts = weights(layer, "gamma", "beta", "moving_mean", "moving_variance")
                output = add("BatchNormalization", inputs + parts, name, epsilon=layer.epsilon)
            case layers.ReLU() | layers.Add():
                output = add("Relu" if isinstance(layer, layers.ReLU) else "Add", inputs, name)
            case layers.MaxPooling2D():
                rounds_up = {"ceil_mode": 1} if layer.padding == "same" else {}
                output = add("MaxPool", inputs, name, kernel_shape=[2, 2], strides=[2, 2], **rounds_up)
            case layers.Dropout():
                (output,) = inputs  # at work in training only
            case layers.GlobalAveragePooling2D():
                output = add("Flatten", [add("GlobalAveragePool", inputs, name)], f"{name}_flat")
            case layers.Dense():
                output = add("Gemm", inputs + weights(layer, "kernel", "bias"), f"{name}_logits")
                if "temperature" in about:
                    temperature = constant(np.float32([about["temperature"]]), "temperature")
                    output = add("Div", [output, temperature], "calibrated_logits")
                output = add("Softmax", [output], "probabilities", axis=1)
            case _:
                raise FergitError(f"{name}: a layer of kind {type(layer).__name__} cannot be written as ONNX")
        names[id(layer.output)] = output

    ends = {"image": ["n", 1, 48, 48], "probabilities": ["n", len(about["classes"])]}
    image, probabilities = (helper.make_tensor_value_info(end, TensorProto.FLOAT, ends[end]) for end in ends)
    graph = helper.make_graph(nodes, about["model"], [image], [probabilities], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="fergit")
    model.ir_version = 8  # of that opset's time, so that older readers take it
    helper.set_model_props(model, {"about": json.dumps(about)})
    checker.check_model(model, full_check=True)
    return model
