"""The trained network that comes with the repository: two small files, written once, read by Keras and by OpenCV.

``models/fergit-residual.npz`` holds the weights for Keras, ``models/fergit-residual.onnx`` the whole network for
everything else. `load_network` makes a Keras model of the first:

    from fergit.use.shipped import load_network
    network = load_network()

Kernels are rounded to float16 (both files hold the same values; in the ONNX file a Cast makes float32 of each before
use), biases and normalizations stay float32. On maps of 1x1 pixel eight ninths of each 3x3 kernel meet
nothing but padding. They never take part in a result and never learn, so only the kernels' centres are written, and
`load_network` puts zeros around them. Five poolings that round down lead to such maps, six that round up do not.

The last layer is divided by one temperature, fitted on the validation part, so that probabilities are calibrated.
"""

import contextlib
import json
import zipfile

import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_arrays, write_atomically

SHIPPED = "fergit", "residual"  # the network that comes with the repository


def file(dataset, model, suffix):
    """The path of one of a network's two files, ``models/<dataset>-<model>.npz`` or ``.onnx``.

    The same for ``fergit_best`` as for ``fergit``: the better recipe's network takes the place of the paper's.
    """
    return paths.MODELS / f"{dataset.removesuffix('_best')}-{model}{suffix}"


WEIGHTS, ONNX = file(*SHIPPED, ".npz"), file(*SHIPPED, ".onnx")
OPSET = 15  # old enough for OpenCV, new enough for all layers


def ship(dataset, model, seed):
    """Write the two files of a finished training; its weights and predictions.csv (validation part) must be there.

    Needs the package onnx (``pip install .[export]``).
    """
    network, about = prepare(dataset, model, seed)
    save_network(network, about, file(dataset, model, ""))


def prepare(dataset, model, seed):
    """A trained network with calibrated probabilities, and what its files are to say of it: (keras.Model, dict)."""
    from fergit.engine.trained import SUMMARY, load_trained

    network, training = load_trained(dataset, model, seed)
    temperature = fit_temperature(dataset, model, seed)
    about = {name: training[name] for name in SUMMARY} | {"temperature": temperature}
    return soften(network, temperature), about


def fit_temperature(dataset, model, seed):
    """The temperature of one training, from its validation images in predictions.csv: float."""
    from fergit.analysis.calibration import temperature

    return round(temperature(predictions_of(dataset, model, seed, "validation")), 4)


def predictions_of(dataset, model, seed, split):
    """One training's rows of predictions.csv, of one part: DataFrame."""
    from fergit.core.predictions import read_predictions

    path = paths.results(dataset, model) / "predictions.csv"
    table = read_predictions(path, split)
    table = table[table["seed"] == seed].reset_index(drop=True)
    if table.empty:
        raise FergitError(f"{paths.relative(path)}: has no seed {seed}; `dvc repro` writes those of params.yaml")
    return table


def soften(network, temperature):
    """Divide a network's logits by a temperature, in place; returns it."""
    for variable in network.layers[-1].weights:
        variable.assign(variable / temperature)
    return network


def rounded(network):
    """Round a network in place to what its files hold, without writing them; returns it."""
    for layer in network.layers:
        for variable in layer.weights:
            variable.assign(_filled(_core(variable, layer), variable.shape))
    return network


def read_about(path=WEIGHTS) -> dict:
    """What a file of `save_network` says of itself: ``model``, ``classes``, ``network``, and of a finished run also
    ``dataset``, ``seed``, ``best_epoch``, ``temperature`` and more.
    """
    with _reading(path), np.load(path, allow_pickle=False) as file:
        return json.loads(str(file["about"]))


def save_network(network, about, stem):
    """Write a network of `build_network` as ``<stem>.npz`` and ``<stem>.onnx``, the same weights in both.

    `about` has at least ``model`` (its kind), ``classes`` and ``network`` (the other arguments of `build_network`).
    """
    arrays = {variable.path: _core(variable, layer) for layer in network.layers for variable in layer.weights}
    model = _onnx_model(network, arrays, about)
    write_arrays(stem.with_suffix(".npz"), about=np.array(json.dumps(about)), **arrays)
    with write_atomically(stem.with_suffix(".onnx")) as file:
        file.write(model.SerializeToString(deterministic=True))


def load_network(path=WEIGHTS):
    """The shipped network as a Keras model: float32 (n, 48, 48, 1), 0 to 1, in; float32 (n, 7) out.

    Parameters
    ----------
    path : path
        Another file of `save_network`.

    Raises
    ------
    FergitError
        There is no such file, or it is no such file.
    """
    from fergit.engine.network import build_network

    with _reading(path), np.load(path, allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        network = build_network(about["model"], len(about["classes"]), **about["network"])
        for variable in network.weights:
            variable.assign(_filled(file[variable.path], variable.shape))
    return network


def missing(path):
    """The error of a file that is not there."""
    return FergitError(
        f"{paths.relative(path)}: no such file; `python src/run.py ship {' '.join(SHIPPED)} 0` writes it"
    )


@contextlib.contextmanager
def _reading(path):
    """Say of a file that cannot be read what is wrong with it."""
    name = paths.relative(path)
    try:
        yield
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        message = (str(error) or type(error).__name__).splitlines()[0]
        raise FergitError(f"{name}: not a file that ship wrote ({message})") from None


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
    values = values.astype(np.float32)
    if values.shape == tuple(shape):
        return values
    borders = [((full - own) // 2,) * 2 for full, own in zip(shape, values.shape, strict=True)]
    return np.pad(values, borders)


def _onnx_model(network, arrays, about):
    """The network as an ONNX graph, channels first: "image" float32 (n, 1, 48, 48) to "probabilities" (n, classes).

    Written node by node: Keras' own exporter (by way of tf2onnx) makes a graph that OpenCV reads without complaint and
    computes wrongly.
    """
    try:
        from onnx import TensorProto, checker, helper, numpy_helper
    except ImportError:
        raise FergitError("the package onnx is missing; `.venv/bin/pip install onnx` brings it") from None

    import keras

    nodes, constants, names = [], [], {}

    def constant(layer, name, change=lambda values: values):
        path = f"{layer.name}/{name}"
        values = np.ascontiguousarray(change(arrays[path]))
        if values.dtype != np.float16:
            constants.append(numpy_helper.from_array(values, path))
            return path
        constants.append(numpy_helper.from_array(values, f"{path}_16"))
        return add("Cast", [f"{path}_16"], path, to=TensorProto.FLOAT)

    def add(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    layers = keras.layers
    for layer in network.layers:
        name = layer.name
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        inputs = [names.get(id(tensor)) for tensor in inputs]
        if isinstance(layer, layers.InputLayer):
            output = "image"
        elif isinstance(layer, layers.Conv2D):
            kernel = constant(layer, "kernel", lambda values: values.transpose(3, 2, 0, 1))
            pads = [size // 2 for size in arrays[kernel].shape[:2]] * 2
            output = add("Conv", [*inputs, kernel, constant(layer, "bias")], name, pads=pads)
            if layer.activation.__name__ == "relu":
                output = add("Relu", [output], f"{name}_relu")
        elif isinstance(layer, layers.BatchNormalization):
            parts = [constant(layer, part) for part in ("gamma", "beta", "moving_mean", "moving_variance")]
            output = add("BatchNormalization", [*inputs, *parts], name, epsilon=layer.epsilon)
        elif isinstance(layer, layers.ReLU):
            output = add("Relu", inputs, name)
        elif isinstance(layer, layers.Add):
            output = add("Add", inputs, name)
        elif isinstance(layer, layers.MaxPooling2D):
            rounds_up = {"ceil_mode": 1} if layer.padding == "same" else {}
            output = add("MaxPool", inputs, name, kernel_shape=[2, 2], strides=[2, 2], **rounds_up)
        elif isinstance(layer, layers.Dropout):
            (output,) = inputs  # at work in training only
        elif isinstance(layer, layers.GlobalAveragePooling2D):
            output = add("Flatten", [add("GlobalAveragePool", inputs, name)], f"{name}_flat")
        elif isinstance(layer, layers.Dense):
            output = add("Gemm", [*inputs, constant(layer, "kernel"), constant(layer, "bias")], f"{name}_logits")
            output = add("Softmax", [output], "probabilities", axis=1)
        else:
            raise FergitError(f"{name}: a layer of kind {type(layer).__name__} cannot be written as ONNX")
        names[id(layer.output)] = output

    graph = helper.make_graph(
        nodes,
        f"{about['model']}",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 48, 48])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(about["classes"])])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="fergit")
    model.ir_version = 8  # of that opset's time, so that older readers take it
    helper.set_model_props(model, {"about": json.dumps(about)})
    checker.check_model(model, full_check=True)
    return model
