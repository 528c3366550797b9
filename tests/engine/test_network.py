"""The networks against the paper's text and parameter count, and the reconstruction's arithmetic against Keras."""

import keras
import numpy as np
import pytest
from keras import layers

from fergit.core.errors import FergitError
from fergit.engine import network as network_module
from fergit.engine.network import BatchNormalization, Convolution, build_network, trim, untrim
from fergit.pages import plots_network
from fergit.paper import reconstruction
from fergit.paper.published import RESIDUAL_PARAMETERS
from fergit.paper.reconstruction import Layout


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


def test_residual_network_has_the_published_number_of_parameters(residual):
    assert residual.count_params() == RESIDUAL_PARAMETERS == 9_766_391
    assert trainable(residual) == 9_763_031


def test_basic_network_on_the_same_skeleton(basic):
    assert basic.count_params() == 4_730_423


@pytest.mark.parametrize(
    ("batch_normalization", "first_kernels", "total", "trained"),
    [
        ("per_conv", (5, 5), 9_773_111, 9_766_391),
        ("literal", (5, 3), 9_764_983, 9_760_279),
        ("literal", (5, 5), 9_769_079, 9_764_375),
    ],
)
def test_alternatives_by_keras_and_by_arithmetic(batch_normalization, first_kernels, total, trained):
    model = build_network("residual", batch_normalization=batch_normalization, first_kernels=first_kernels)
    assert (model.count_params(), trainable(model)) == (total, trained)
    normalizations = (2 if batch_normalization == "per_conv" else 1,) * 6
    layout = Layout(*first_kernels, normalizations=normalizations)
    assert (layout.total, layout.trainable) == (total, trained)


def test_poolings_change_the_maps_but_not_the_count(residual):
    four = build_network("residual", poolings=4)
    assert four.count_params() == residual.count_params()
    assert residual.get_layer("residual3_add").output.shape == (None, 1, 1, 512)
    assert four.get_layer("residual3_add").output.shape == (None, 3, 3, 512)
    idle = reconstruction.idle_weights({(5, "residual"): residual, (4, "residual"): four})
    assert list(idle["maps of 512 filters"]) == ["1x1", "3x3"]
    assert list(idle["only meet padding"]) == [7_340_032, 0]


def test_taps_on_1x1_maps_change_nothing(residual, images):
    taps = reconstruction.untrained_taps(residual)
    assert list(taps["layer"]) == ["block6_conv1", "block6_conv2", "residual3_conv1", "residual3_conv2"]
    assert taps["untrained"].sum() == 7_340_032
    before = residual.predict(images, verbose=0)
    layer_weights = {name: residual.get_layer(name).get_weights() for name in taps["layer"]}
    for name, (kernel, bias) in layer_weights.items():
        changed = np.full_like(kernel, 1000)
        changed[1, 1] = kernel[1, 1]
        residual.get_layer(name).set_weights([changed, bias])
    after = residual.predict(images, verbose=0)
    for name, weights in layer_weights.items():
        residual.get_layer(name).set_weights(weights)
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_a_trimmed_network_computes_the_same_and_comes_back(images):
    whole = build_network("residual", seed=3)
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


def test_with_four_poolings_there_is_nothing_to_trim():
    four = build_network("residual", poolings=4)
    assert trim(four).count_params() == four.count_params()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the other backends have Keras' own")
def test_batch_normalization_is_keras(monkeypatch):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(3, 2, (8, 6, 6, 5)), "float32")
    upstream = tf.constant(rng.normal(size=(8, 6, 6, 5)), "float32")
    found = []
    for kind in (layers.BatchNormalization, BatchNormalization):
        layer = kind(momentum=0.9)
        layer.build(inputs.shape)
        layer.gamma.assign(np.arange(1, 6))
        for _ in range(3):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = layer(inputs, training=True)
            gradients = tape.gradient(outputs, [inputs, *layer.trainable_variables], upstream)
        found.append([outputs, *gradients, *layer.get_weights(), layer(inputs, training=False)])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(tf.raw_ops, "FusedBatchNormV3", None)
    with pytest.raises(TypeError):  # it is the one operation, and nothing else, that was compared
        layer(inputs, training=True)
    layer(inputs, training=False)
    for settings in ({"dtype": "mixed_bfloat16"}, {"synchronized": True}):  # these are Keras' own
        BatchNormalization(**settings)(inputs, training=True)


def test_layer_names_tell_the_block(residual, basic):
    parts = {layer.name.partition("_")[0] for layer in residual.layers}
    blocks = {f"block{i}" for i in range(1, 7)}
    residuals = {f"residual{i}" for i in range(1, 4)}
    assert parts == {"image", "head"} | blocks | residuals
    assert {layer.name.partition("_")[0] for layer in basic.layers} == {"image", "head"} | blocks


def test_order_of_a_pair_and_of_a_residual_block(residual):
    """Page 78: batch normalization after the activation in a pair, before it in a residual block."""
    names = [layer.name for layer in residual.layers]
    assert [n for n in names if n.startswith("block1")] == [
        "block1_conv1",
        "block1_conv2",
        "block1_bn",
        "block1_pool",
        "block1_dropout",
    ]
    assert residual.get_layer("block1_conv2").activation is keras.activations.relu
    start = names.index("residual1_conv1")
    assert names[start - 1] == "block2_conv2"
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
    assert added[0] is residual.get_layer("block4_conv2").output
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


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"kind": "deep"}, "kind"),
        ({"classes": 1}, "classes"),
        ({"batch_normalization": "none"}, "batch_normalization"),
        ({"first_kernels": (5,)}, "first_kernels"),
        ({"first_kernels": (5, 4)}, "first_kernels"),
        ({"poolings": 6}, "poolings"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": [0.3] * 4}, "dropout"),
        ({"dropout": [0.3, 0.3, 0, 0, 1]}, "dropout"),
        ({"dropout_last": -0.1}, "dropout_last"),
        ({"batch_norm_momentum": 1.0}, "batch_norm_momentum"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(arguments, named):
    with pytest.raises(FergitError, match=rf"^network: {named} is .*; allowed: .+$") as error:
        build_network(**{"kind": "residual"} | arguments)
    assert "\n" not in str(error.value)


def test_ledger_adds_up(residual):
    ledger = reconstruction.ledger(residual)
    assert ledger.groupby("kind")["parameters"].sum().to_dict() == {
        "convolutions": 4_722_800,
        "batch normalization": 1_344,
        "residual blocks": 5_038_656,
        "dense": 3_591,
    }
    assert ledger["parameters"].sum() == RESIDUAL_PARAMETERS
    assert ledger["trainable"].sum() == trainable(residual)


def test_both_modules_have_the_same_filters():
    assert reconstruction.FILTERS == network_module.FILTERS


@pytest.mark.parametrize(
    "layout",
    [
        Layout(residual_after=(), normalizations=(1,) * 6, classes=8),
        Layout(3, 7, biases="nowhere", residual_after=(1, 5), residual_convs=3, shortcut="projection", head=64),
        Layout(
            5,
            3,
            biases="not in residual blocks",
            residual_convs=1,
            residual_kernel=5,
            shortcut="normalized projection",
            head="flatten",
            normalizations=(2, 0, 0, 1, 0, 2),
        ),
        Layout(residual_normalized=False),
    ],
)
def test_arithmetic_is_what_keras_counts(layout):
    model = keras_network(layout)
    assert (layout.total, layout.trainable) == (model.count_params(), trainable(model))


def keras_network(layout):
    """Build any layout plainly, by its fields alone; poolings have no weights and are left out, but for `flatten`."""
    in_pairs, in_residuals = layout.biases != "nowhere", layout.biases == "everywhere"
    inputs = x = keras.Input((3, 3, 1))
    for pair, (filters, n) in enumerate(zip(network_module.FILTERS, layout.normalizations, strict=True), start=1):
        for kernel in (layout.first_kernel, layout.second_kernel) if pair == 1 else (3, 3):
            x = layers.Conv2D(filters, kernel, padding="same", use_bias=in_pairs)(x)
        for _ in range(n):
            x = layers.BatchNormalization()(x)
        if pair in layout.residual_after:
            y = x
            for _ in range(layout.residual_convs):
                y = layers.Conv2D(filters, layout.residual_kernel, padding="same", use_bias=in_residuals)(y)
                y = layers.BatchNormalization()(y) if layout.residual_normalized else y
            if layout.shortcut != "identity":
                x = layers.Conv2D(filters, 1, use_bias=in_residuals)(x)
            if layout.shortcut == "normalized projection":
                x = layers.BatchNormalization()(x)
            x = layers.Add()([x, y])
    x = layers.Flatten()(x) if layout.head == "flatten" else layers.GlobalAveragePooling2D()(x)
    if isinstance(layout.head, int):
        x = layers.Dense(layout.head)(x)
    return keras.Model(inputs, layers.Dense(layout.classes)(x))


def test_search_finds_the_layout_and_only_what_fits():
    found = reconstruction.search(RESIDUAL_PARAMETERS)
    assert Layout() in set(found["layout"])
    assert Layout(normalizations=(2,) * 6) in set(found["layout"])
    for row in found.iloc[::50].itertuples():
        assert getattr(row.layout, row.counted) == RESIDUAL_PARAMETERS


def test_search_misses_nothing():
    """A search over few choices, against counting each layout."""
    target = Layout(second_kernel=3, head=64, normalizations=(0, 1, 2, 0, 1, 2)).total
    found = reconstruction.search(target)
    named = found[(found["counted"] == "total") & (found["biases"] == "everywhere") & found["regular"].eq(False)]
    named = named[(named["second_kernel"] == 3) & (named["residual_after"] == (2, 4, 6)) & (named["head"] == 64)]
    named = named[(named["first_kernel"] == 5) & (named["residual_convs"] == 2) & (named["shortcut"] == "identity")]
    named = named[(named["residual_kernel"] == 3) & named["residual_normalized"]]
    every = [Layout(5, 3, head=64, normalizations=plan) for plan in reconstruction.OPTIONS["normalizations"]]
    assert set(named["layout"]) == {layout for layout in every if layout.total == target and not layout.regular}


def test_the_sentences_leave_two_layouts():
    found = reconstruction.search(RESIDUAL_PARAMETERS)
    table = reconstruction.funnel(found, reconstruction.CONDITIONS)
    assert list(table.iloc[-1][["layouts", "total fits", "trainable fits"]]) == [762, 1, 1]
    assert table["layouts"].iloc[0] == np.prod([len(v) for v in reconstruction.OPTIONS.values()])


def test_drawing_has_every_layer(basic, residual):
    figure = plots_network.networks([basic, residual], reconstruction.STATED)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert sum("convolution" in w and "ReLU" in w for w in words) >= 24
    assert sum(w.startswith("sum") for w in words) == 3
    assert any("9,766,391" in w for w in words)


def test_leaving_out_taps_that_meet_padding_changes_rounding_only():
    x = np.random.default_rng(0).random((5, 1, 1, 8), dtype=np.float32)
    ours = Convolution(4, 3, padding="same", activation="relu", bias_initializer="ones")
    plain = keras.layers.Conv2D(4, 3, padding="same", activation="relu", bias_initializer="ones")
    ours.build(x.shape), plain.build(x.shape)
    plain.set_weights(ours.get_weights())
    assert np.allclose(ours(x), plain(x), atol=1e-6)
    assert ours.count_params() == plain.count_params()
