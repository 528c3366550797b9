"""The same code on JAX, on PyTorch and on several devices; each in a process of its own, as Keras needs it."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from fergit.core import paths

pytestmark = pytest.mark.corners  # each takes as long as Keras on another backend takes to compile

PREPARE = """
    import json, sys
    from bars import barred
    from fergit.core import paths
    from fergit.engine import augmentation, backend, checkpoint, training
    from fergit.engine.backend import keras
    from fergit.engine.network import build_network
    from fergit.core.params import stage_params

    paths.WORK = paths.ROOT / sys.argv[1]
    faces = barred()
    params = stage_params("train", dataset="fergit", model="basic", seed=0)
    params["train"] |= {"epochs": 1, "batch_size": 64, "precision": "float32"}
    file = lambda: next((paths.WORK / "checkpoints").rglob("*.npz"), None)
    params["network"] |= {"dropout": 0.0, "dropout_last": 0.0}
"""


def run(code, folder, backend="tensorflow"):
    """Run code in a fresh process; returns what it printed last, as JSON."""
    code = textwrap.dedent(PREPARE) + textwrap.dedent(code)
    child = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=os.environ
        | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join([str(paths.ROOT / "src"), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout.splitlines()[-1])


TRAIN = """
    backend.configure(0, "cpu")
    network = build_network("basic", 4, **params["network"])
    weights = paths.WORK / "start.weights.h5"
    network.load_weights(weights) if weights.exists() else network.save_weights(weights)
    before = network.predict(augmentation.to_input(faces.images), verbose=0)
    result = training.train(network, faces, params, "test", 0)
    print(json.dumps([keras.backend.backend(), before.tolist(), result.history[0]["loss"]]))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_compute_the_same(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; `.venv/bin/pip install {backend}` and this test runs")
    _, expected, loss = run(TRAIN, tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")  # or the finished training would be taken up
    name, found, other = run(TRAIN, tmp_path, backend)
    assert name == backend
    assert np.allclose(found, expected, rtol=0, atol=1e-5)
    # Of the first step: same weights, same images. TensorFlow's fused normalization sums variances less exactly.
    assert other == pytest.approx(loss, rel=5e-4)


DISTRIBUTED = """
    import tensorflow as tf

    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    losses, replicas = [], []
    for distribution in ("none", "data_parallel"):
        backend.configure(0, "cpu", distribution=distribution)
        params["train"]["distribution"] = distribution  # or the one would be taken for the other's checkpoint
        network = build_network("basic", 4, seed=0, **params["network"])
        result = training.train(network, faces, params, "test", 0)
        losses.append(result.history[0]["loss"])
        replicas.append(backend.describe_machine()["replicas"])
    print(json.dumps([losses, replicas, file() is not None]))
"""


def test_two_devices_share_a_batch(tmp_path):
    (alone, shared), replicas, saved = run(DISTRIBUTED, tmp_path)
    assert replicas == [1, 2] and saved
    assert shared == pytest.approx(alone, rel=5e-4)  # of the first step; shared, variances are summed otherwise


def test_one_device_cannot_share(tmp_path):
    code = """
        try:
            backend.configure(0, "cpu", distribution="data_parallel")
        except Exception as error:
            print(json.dumps(str(error)))
    """
    assert "tensorflow sees 1 devices to share a batch; allowed here: none" in run(code, tmp_path)


RESUMED = """
    import tensorflow as tf

    if distribution == "data_parallel":
        [cpu] = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    params["train"] |= {"epochs": 3, "batch_size": 4}

    def train():
        backend.configure(0, "cpu", distribution=distribution)
        network = build_network("basic", 4, seed=0, **params["network"])
        return network, training.train(network, faces, params, "test", 0)

    network, whole = train()
    file().unlink()
    say, said = checkpoint.progress.line, []

    def interrupt(line):
        said.append(line)
        if len(said) == 2:
            raise KeyboardInterrupt

    checkpoint.progress.line = interrupt
    try:
        train()
    except KeyboardInterrupt:
        checkpoint.progress.line = say
    _, resumed = train()
    print(json.dumps([[row["loss"] for row in one.history] for one in (whole, resumed)] + [len(said)]))
"""


@pytest.mark.parametrize(("backend", "distribution"), [("jax", "none"), ("tensorflow", "data_parallel")])
def test_batches_are_those_of_their_epoch_after_an_interruption_too(backend, distribution, tmp_path):
    whole, resumed, epochs = run(f'    distribution = "{distribution}"{RESUMED}', tmp_path, backend)
    assert epochs == 2 and len(whole) == 3
    assert resumed == pytest.approx(whole, rel=1e-5)
