"""The networks against the paper's text and parameter count; tests/paper compares the counts with arithmetic."""

import keras
import numpy as np
import pytest

from fergit.core.errors import FergitError
from fergit.engine.network import build_network
from fergit.paper.published import RESIDUAL_PARAMETERS

BLOCKS = range(1, 7)


@pytest.fixture(scope="module")
def residual():
    return build_network("residual")


@pytest.fixture(scope="module")
def basic():
    return build_network("basic")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((4, 48, 48, 1), dtype="float32")


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.fixture(scope="module")
def reconstructed():
    """This project's first reading: five poolings that round down."""
    return build_network("residual", batch_normalization="reconstructed", poolings=5)


def test_the_default_has_the_published_number_of_trainable_parameters(residual):
    assert residual.count_params() == 9_773_111
    assert trainable(residual) == RESIDUAL_PARAMETERS == 9_766_391


@pytest.mark.parametrize(
    ("poolings", "sides"),
    [
        (6, [24, 12, 6, 3, 2, 1]),  # the sixth fits because the fifth rounds up: p. 75, "each pair"
        (5, [24, 12, 6, 3, 1]),
        (4, [24, 12, 6, 3]),
        (0, []),
    ],
)
def test_poolings_change_the_maps_but_not_the_count(poolings, sides, residual):
    network = build_network("residual", poolings=poolings)
    pools = [layer for layer in network.layers if layer.name.endswith("_pool")]
    assert [layer.output.shape[1:3] for layer in pools] == [(side, side) for side in sides]
    assert network.get_layer("head_average").input.shape == (None, *[sides[-1] if sides else 48] * 2, 512)
    assert network.count_params() == residual.count_params()


def test_taps_on_1x1_maps_change_nothing(reconstructed, images):
    names = ["block6_conv1", "block6_conv2", "residual3_conv1", "residual3_conv2"]
    before = reconstructed.predict(images, verbose=0)
    layer_weights = {name: reconstructed.get_layer(name).get_weights() for name in names}
    for name, (kernel, bias) in layer_weights.items():
        changed = np.full_like(kernel, 1000)
        changed[1, 1] = kernel[1, 1]
        reconstructed.get_layer(name).set_weights([changed, bias])
    after = reconstructed.predict(images, verbose=0)
    for name, weights in layer_weights.items():
        reconstructed.get_layer(name).set_weights(weights)
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_layer_names_tell_the_block(residual, basic):
    parts = {layer.name.partition("_")[0] for layer in residual.layers}
    blocks = {f"block{i}" for i in BLOCKS}
    residuals = {f"residual{i}" for i in range(1, 4)}
    assert parts == {"image", "head"} | blocks | residuals
    assert {layer.name.partition("_")[0] for layer in basic.layers} == {"image", "head"} | blocks


def test_order_of_a_pair_and_of_a_residual_block(residual):
    """Page 78: batch normalization after the activation in a pair, before it in a residual block."""
    names = [layer.name for layer in residual.layers]
    assert [n for n in names if n.startswith("block1")] == [
        "block1_conv1",
        "block1_bn1",
        "block1_conv2",
        "block1_bn2",
        "block1_pool",
        "block1_dropout",
    ]
    assert all(
        residual.get_layer(f"block{i}_conv{j}").activation is keras.activations.relu for i in BLOCKS for j in (1, 2)
    )
    start = names.index("residual1_conv1")
    assert names[start - 2 : start] == ["block2_conv2", "block2_bn2"]
    assert names[start : start + 8] == [
        "residual1_conv1",
        "residual1_bn1",
        "residual1_relu1",
        "residual1_conv2",
        "residual1_bn2",
        "residual1_add",
        "residual1_relu2",
        "block2_pool",
    ]
    assert residual.get_layer("residual1_conv1").activation is keras.activations.linear


def test_residual_block_adds_its_input(residual):
    added = residual.get_layer("residual2_add").input
    assert added[0] is residual.get_layer("block4_bn2").output
    assert added[1] is residual.get_layer("residual2_bn2").output


def test_dropout_rates(residual):
    rates = [residual.get_layer(f"block{i}_dropout").rate for i in range(1, 7)]
    assert rates == [0.3] * 5 + [0.4]
    early = build_network("basic", dropout=[0.3, 0.2, 0, 0, 0])
    assert [early.get_layer(f"block{i}_dropout").rate for i in range(1, 7)] == [0.3, 0.2, 0, 0, 0, 0.4]


def test_initial_weights(residual):
    kernel, bias = residual.get_layer("block5_conv2").get_weights()
    assert not bias.any()
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 256)), rel=0.02)  # He normal, p. 75


def test_output_is_a_probability(residual, images):
    probabilities = residual.predict(images, verbose=0)
    assert probabilities.shape == (4, 7)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_weights_follow_the_seed(basic):
    again, other = build_network("basic"), build_network("basic", seed=1)
    same = [np.array_equal(a, b) for a, b in zip(basic.get_weights(), again.get_weights(), strict=True)]
    assert all(same)
    kernels = [w.name for w in basic.weights if w.name == "kernel"]
    differ = [not np.array_equal(a, b) for a, b in zip(basic.get_weights(), other.get_weights(), strict=True)]
    assert sum(differ) == len(kernels) == 13


@pytest.mark.parametrize(("name", "value"), [("kind", "deep"), ("batch_normalization", "none"), ("poolings", 7)])
def test_what_would_silently_be_another_network_is_an_error(name, value):
    with pytest.raises(FergitError, match=rf"^network: {name} is .*; allowed: .+$"):
        build_network(**{"kind": "residual", name: value})


@pytest.mark.parametrize("wrong", [{"dropout": [0.3] * 4}, {"dropout": [0.3] * 6}, {"first_kernels": (5,)}])
def test_rates_and_kernels_are_as_many_as_pairs_and_convolutions(wrong):
    with pytest.raises(ValueError, match="zip"):
        build_network("residual", **wrong)
