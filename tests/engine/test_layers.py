"""What makes the networks fast, against Keras' own; trimmed networks against whole ones."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from fergit.core import paths
from fergit.engine import backend
from fergit.engine import layers as fast
from fergit.engine import network as network_module
from fergit.engine.layers import BatchNormalization, Convolution, trim, untrim
from fergit.engine.network import build_network


@pytest.fixture(autouse=True)
def on_the_cpu():
    backend.configure(0, "cpu")
    yield
    keras.config.set_dtype_policy("float32")


def outputs_and_gradients(layer, inputs, upstream, training=None):
    """What a layer answers, and the gradients of its inputs and weights: list of float64 arrays."""

    @tf.function
    def both():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=training) if training else layer(inputs)
        return [
            outputs,
            *tape.gradient(outputs, [inputs, *layer.trainable_variables], tf.cast(upstream, outputs.dtype)),
        ]

    return [np.asarray(tf.cast(values, "float64")) for values in both()]


def compare(found, expected, tolerance):
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize(("side", "kernel"), [(1, 3), (2, 3), (3, 3), (6, 3), (7, 3), (2, 5), (7, 5)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.03)])
def test_convolution_is_keras(side, kernel, dtype, tolerance):
    rng = np.random.default_rng(side)
    inputs = tf.constant(rng.normal(size=(5, side, side, 4)), "float32")
    upstream = tf.constant(rng.normal(size=(5, side, side, 6)), "float32")
    settings = {"filters": 6, "kernel_size": kernel, "padding": "same", "activation": "relu"}
    plain = keras.layers.Conv2D(**settings, bias_initializer="ones")
    ours = Convolution(**settings, dtype=dtype)
    plain.build(inputs.shape), ours.build(inputs.shape)
    ours.set_weights(plain.get_weights())
    if dtype != "float32":  # ReLU's edge is where rounding decides
        ours.activation = plain.activation = keras.activations.linear
    found = outputs_and_gradients(ours, tf.cast(inputs, ours.compute_dtype), upstream)
    compare(found, outputs_and_gradients(plain, inputs, upstream), tolerance)
    assert ours.count_params() == plain.count_params()


def test_each_small_map_takes_its_fast_path(monkeypatch):
    taken = []
    for name in ("_convolve_by_taps", "_convolve_with_own_gradient"):
        monkeypatch.setattr(fast, name, lambda inputs, kernel, name=name: taken.append((name, inputs.shape[1])))
    monkeypatch.setattr(keras.layers.Conv2D, "convolution_op", lambda self, inputs, kernel: None)
    for dtype in ("float32", "bfloat16"):
        for side in (1, 2, 3, 6, 12):
            layer = Convolution(4, 3, padding="same", dtype=dtype)
            layer.build((None, side, side, 2))
            layer.convolution_op(tf.zeros((1, side, side, 2), dtype), tf.zeros((3, 3, 2, 4), dtype))
    own = ("_convolve_with_own_gradient", 3), ("_convolve_with_own_gradient", 6)
    assert taken == [("_convolve_by_taps", 2), ("_convolve_by_taps", 2), *own]


def test_other_convolutions_are_keras_own():
    """Strides, dilation, no padding, maps that are not square."""
    for side, settings in (
        ((2, 2), {"strides": 2}),
        ((2, 2), {"dilation_rate": 2}),
        ((2, 4), {}),
        ((2, 2), {"groups": 2}),
    ):
        inputs = np.random.default_rng(0).random((3, *side, 4), dtype=np.float32)
        ours, plain = (kind(4, 3, padding="same", **settings) for kind in (Convolution, keras.layers.Conv2D))
        ours.build(inputs.shape), plain.build(inputs.shape)
        ours.set_weights(plain.get_weights())
        assert ours.side is None
        assert np.array_equal(ours(inputs), plain(inputs))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.03)])
def test_batch_normalization_is_keras(dtype, tolerance, monkeypatch):
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(3, 2, (8, 6, 6, 5)), "float32")
    upstream = tf.constant(rng.normal(size=(8, 6, 6, 5)), "float32")
    found = []
    for layer in (BatchNormalization(momentum=0.9, dtype=dtype), keras.layers.BatchNormalization(momentum=0.9)):
        layer.build(inputs.shape)
        layer.gamma.assign(np.arange(1, 6))
        layer.beta.assign(np.arange(5))
        own = tf.cast(inputs, layer.compute_dtype)
        for _ in range(3):
            values = outputs_and_gradients(layer, own, upstream, training=True)
        found.append([*values, *layer.get_weights(), np.asarray(tf.cast(layer(own, training=False), "float64"))])
    compare(*found, tolerance)
    assert {variable.dtype for variable in layer.weights} == {"float32"}


def test_batch_normalization_is_one_operation_where_it_learns(monkeypatch):
    inputs = tf.ones((2, 3, 3, 4))
    layers = BatchNormalization(), BatchNormalization(dtype="mixed_bfloat16")
    for layer in layers:
        layer.build(inputs.shape)
    monkeypatch.setattr(tf.raw_ops, "FusedBatchNormV3", None)
    for layer in layers:
        with pytest.raises(TypeError):
            layer(inputs, training=True)
        layer(inputs, training=False)
    BatchNormalization(synchronized=True)(inputs, training=True)  # Keras' own: one batch on several devices
    frozen = BatchNormalization()
    frozen.trainable = False
    frozen(inputs, training=True)


def estimate(weights):
    """One call that estimates the statistics of all layers: its answer, the last layer's mean and variance."""
    network = build_network("basic", seed=0)
    network.set_weights(list(weights))
    images = np.random.default_rng(0).random((16, 48, 48, 1), dtype=np.float32)
    normalizations = [layer for layer in network.layers if isinstance(layer, BatchNormalization)]
    for layer in normalizations:
        layer.estimating = True
    answer = keras.ops.convert_to_numpy(network(images, training=False))
    for layer in normalizations:
        layer.estimating = False
    assert np.allclose(answer, keras.ops.convert_to_numpy(network(images, training=False)), atol=1e-6)
    last = normalizations[-1]
    return [answer, *(keras.ops.convert_to_numpy(values) for values in (last.moving_mean, last.moving_variance))]


def test_a_call_estimates_the_statistics_of_its_batch():
    inputs = np.random.default_rng(0).normal(3, 2, (8, 6, 6, 5)).astype(np.float32)
    layer = BatchNormalization()
    layer.build(inputs.shape)
    layer(inputs, training=False)
    assert (layer.moving_mean.numpy() == 0).all() and (layer.moving_variance.numpy() == 1).all()
    layer.estimating = True
    outputs = np.asarray(layer(inputs, training=False))
    np.testing.assert_allclose(layer.moving_mean.numpy(), inputs.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), inputs.var((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(outputs.mean((0, 1, 2)), 0, atol=1e-5)
    layer.estimating = False
    assert np.array_equal(layer(inputs, training=False), outputs)


def test_one_call_estimates_all_layers():
    """What a training step sees of the images, where the momentum forgets all else."""
    images = np.random.default_rng(0).random((16, 48, 48, 1), dtype=np.float32)
    network = build_network("basic", seed=0, dropout=0, dropout_last=0, batch_norm_momentum=0.0)
    trained = keras.ops.convert_to_numpy(network(images, training=True))
    last = network.get_layer("block6_bn2")
    expected = trained, last.moving_mean.numpy(), last.moving_variance.numpy()
    compare(
        estimate(build_network("basic", seed=0).get_weights()), expected, 0.01
    )  # the one operation sums less exactly, in each of twelve layers


@pytest.mark.corners
@pytest.mark.parametrize("name", ["jax", "torch"])
def test_other_backends_estimate_the_same(name, tmp_path):
    pytest.importorskip(name)
    code = "import numpy, test_layers; test_layers.backend.configure(0, 'cpu'); "
    code += "numpy.savez('estimated.npz', *test_layers.estimate(numpy.load('weights.npz').values()))"
    weights = build_network("basic", seed=0).get_weights()
    np.savez(tmp_path / "weights.npz", *weights)
    child = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": name, "PYTHONPATH": os.pathsep.join([str(paths.ROOT / "src"), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    with np.load(tmp_path / "estimated.npz") as found:
        compare(found.values(), estimate(weights), 0.01)


def five(**settings):
    """A network whose last pair is on maps of one pixel."""
    return build_network("residual", poolings=5, batch_normalization="reconstructed", **settings)


def test_a_trimmed_network_computes_the_same_and_comes_back():
    images = np.random.default_rng(0).random((4, 48, 48, 1), dtype="float32")
    whole = five(seed=3)
    trimmed = trim(whole)
    assert whole.count_params() - trimmed.count_params() == 7_340_032
    assert trimmed.get_layer("block6_conv1").kernel.shape == (1, 1, 256, 512)
    assert [layer.name for layer in trimmed.layers] == [layer.name for layer in whole.layers]
    assert np.array_equal(trimmed.predict(images, verbose=0), whole.predict(images, verbose=0))

    before = whole.get_weights()
    untrim([array + 1 for array in trimmed.get_weights()], whole)
    for array, old, variable in zip(whole.get_weights(), before, trimmed.weights, strict=True):
        if variable.shape == array.shape:
            assert np.array_equal(array, old + 1)
        else:  # a kernel on maps of one pixel: its centre has learnt, the rest is what it was
            assert np.array_equal(array[1, 1], old[1, 1] + 1)
            array[1, 1] = old[1, 1]
            assert np.array_equal(array, old)


@pytest.mark.parametrize("poolings", [4, 6])
def test_without_maps_of_one_pixel_there_is_nothing_to_trim(poolings):
    network = build_network("residual", poolings=poolings)
    copy = trim(network)
    assert copy is not network  # or its optimizer would be saved with the network's weights
    for ours, theirs in zip(copy.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["ours", "keras"])
def test_what_is_trimmed_away_would_not_have_learnt(kind, monkeypatch):
    """Against the whole network: to the byte with our convolution, and with Keras' but for rounding in what learns."""
    rng = np.random.default_rng(0)
    images, labels = rng.random((32, 48, 48, 1), dtype=np.float32), np.arange(32) % 7

    def learn(network):
        network.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", jit_compile=False)
        network.train_on_batch(images, labels)
        return network.get_weights()

    fresh, trimmed = five().get_weights(), trim(five())
    learnt = learn(trimmed)
    if kind == "keras":
        monkeypatch.setattr(network_module, "Convolution", keras.layers.Conv2D)
    cut = 0
    for before, after, small in zip(fresh, learn(five()), learnt, strict=True):
        if before.shape != small.shape:
            assert not np.array_equal(before[1, 1], after[1, 1])
            kept, after[1, 1] = after[1:2, 1:2].copy(), before[1, 1]
            assert np.array_equal(before, after)
            cut += before.size - small.size
            after = kept
        if kind == "ours":
            assert np.array_equal(after, small)
    assert cut == 7_340_032
