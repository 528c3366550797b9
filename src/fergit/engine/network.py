"""The paper's two networks, rebuilt from its text and from its parameter count.

The paper (Bah & Xue 2022, pp. 75-78) describes twelve convolutions in six pairs (blocks), with a residual block after
every second pair; it gives the number of parameters of the residual network, 9,766,391 (p. 84), but no table of
layers. The defaults below are the one regular layout that fits both; ``notebooks/00-reconstruction.ipynb`` derives it.
"""

import itertools

from fergit.core.errors import FergitError
from fergit.engine.backend import is_mirrored, keras, on_tensorflow_cpu

layers = keras.layers

INPUT_SHAPE = (48, 48, 1)  # p. 77

FILTERS = (16, 32, 64, 128, 256, 512)  # of the six pairs: 16 first, doubled, 512 last (p. 77)
RESIDUAL_AFTER = (2, 4, 6)  # pairs: "after every four convolutional layers" (p. 75)

KINDS = ("basic", "residual")
BATCH_NORMALIZATIONS = ("reconstructed", "per_conv", "literal")


class Convolution(layers.Conv2D):
    """A 2-D convolution that leaves out the taps which meet nothing but padding.

    On maps of 1x1 pixel that is all but the kernel's centre (five poolings take the last pair there). Keras multiplies
    by the zeros around the pixel too; the results differ by rounding only.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.sees_one_pixel = self.padding == "same" and tuple(input_shape[1:3]) == (1, 1)

    def convolution_op(self, inputs, kernel):
        if not self.sees_one_pixel:
            return super().convolution_op(inputs, kernel)
        middle = [size // 2 for size in self.kernel_size]
        kernel = keras.ops.convert_to_tensor(kernel)  # JAX slices no Keras variable
        return keras.ops.matmul(inputs, kernel[middle[0], middle[1]])


class BatchNormalization(layers.BatchNormalization):
    """Batch normalization of maps, which TensorFlow computes in one operation where it trains in float32 on a CPU.

    Keras' own is a dozen operations, each of which reads and writes the whole maps; the results differ by rounding
    only. Channels are last, scaled and shifted, as they are by default.
    """

    def call(self, inputs, training=None, mask=None):
        learns = training and self.trainable
        if not learns or inputs.dtype != "float32" or self.synchronized or not on_tensorflow_cpu():
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma, offset=self.beta, mean=[], variance=[], epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs) / inputs.shape[-1], "float32")
        variance *= (count - 1) / count  # TensorFlow's divides by count - 1, Keras' by count
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs


def build_network(
    kind,
    classes=7,
    *,
    batch_normalization="reconstructed",
    first_kernels=(5, 5),
    poolings=5,
    dropout=0.3,
    dropout_last=0.4,
    batch_norm_momentum=0.99,
    seed=0,
):
    """Build one of the paper's networks, with fresh weights.

    The input is ``(n, 48, 48, 1)``, gray values scaled to 0-1; the output ``(n, classes)``, probabilities. Layer names
    say where a layer stands: ``block3_conv2`` is the second convolution of the third pair, ``residual2_bn1`` the first
    batch normalization of the second residual block.

    The paper's order in a pair is convolution, activation, batch normalization; in a residual block convolution, batch
    normalization, activation (p. 78). A residual block stands before its pair's batch normalization (if any), pooling
    and dropout, because its result is added to "the previous convolution" (p. 75).

    Parameters
    ----------
    kind : "basic" or "residual"
        The network of the paper's Table 2, or the one with three residual blocks of Table 3 (p. 82).
    classes : int
        Number of expressions, at least 2.
    batch_normalization : "reconstructed", "per_conv" or "literal"
        Where the convolutional blocks of the residual network normalize. ``reconstructed``: after pairs 1, 3 and 5, the
        others run straight into their residual block (total 9,766,391). ``per_conv``: after each of the twelve
        convolutions (trainable 9,766,391). ``literal``: after each pair, as the text has it (p. 75). The basic network
        has no residual blocks: for it the first two are the same as ``literal`` and ``per_conv``.
    first_kernels : pair of int
        Kernel sizes of the first pair. The text gives 5x5 to "the first layer" (p. 77), the count to both of the pair.
    poolings : int
        How many of the six pairs are followed by 2x2 max pooling, counted from the first; at most 5 fit 48 pixels.
    dropout : float or five of them
        Dropout rate after pairs 1-5, or after each of them (p. 78: 0.3 "in the early layers"; which these are is ours).
    dropout_last : float
        Dropout rate after pair 6 (p. 78: 0.4).
    batch_norm_momentum : float
        Momentum of the moving averages (Keras' default 0.99; the paper is silent).
    seed : int
        Of the weights (He normal, p. 75; biases zero, p. 77) and of the dropout masks.

    Returns
    -------
    keras.Model

    Raises
    ------
    FergitError
        An argument is outside what is said above.
    """
    _check(kind in KINDS, "kind", kind, f"one of {', '.join(KINDS)}")
    _check(classes >= 2, "classes", classes, "at least 2")
    _check(
        batch_normalization in BATCH_NORMALIZATIONS,
        "batch_normalization",
        batch_normalization,
        f"one of {', '.join(BATCH_NORMALIZATIONS)}",
    )
    _check(0 <= poolings <= 5, "poolings", poolings, "0 to 5: a sixth does not fit 48 pixels (48-24-12-6-3-1)")

    _check(
        len(first_kernels) == 2 and all(k in (3, 5, 7) for k in first_kernels),
        "first_kernels",
        first_kernels,
        "two of 3, 5 and 7",
    )
    rates = [*dropout] if isinstance(dropout, (list, tuple)) else [dropout] * 5
    _check(
        len(rates) == 5 and all(0 <= rate < 1 for rate in rates), "dropout", dropout, "0 to below 1, or five of that"
    )
    _check(0 <= dropout_last < 1, "dropout_last", dropout_last, "0 to below 1")
    _check(0 < batch_norm_momentum < 1, "batch_norm_momentum", batch_norm_momentum, "between 0 and 1")
    _check(seed >= 0, "seed", seed, "0 or more")

    rates.append(dropout_last)
    seeds = itertools.count(1000 * seed)  # one for each layer that draws; networks have fewer than 1000

    def conv(x, filters, kernel, name, activation="relu"):
        return Convolution(
            filters,
            kernel,
            padding="same",
            activation=activation,
            kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
            name=name,
        )(x)

    def normalize(x, name):
        # Shared among devices, a batch is still normalized as one.
        return BatchNormalization(momentum=batch_norm_momentum, synchronized=is_mirrored(), name=name)(x)

    inputs = x = keras.Input(INPUT_SHAPE, name="image")
    for block, filters in enumerate(FILTERS, start=1):
        name = f"block{block}"
        residual = kind == "residual" and block in RESIDUAL_AFTER
        for i in (1, 2):
            kernel = first_kernels[i - 1] if block == 1 else 3
            x = conv(x, filters, kernel, f"{name}_conv{i}")
            if batch_normalization == "per_conv":
                x = normalize(x, f"{name}_bn{i}")
        if residual:
            x = _residual_block(x, filters, RESIDUAL_AFTER.index(block) + 1, conv, normalize)
        if batch_normalization == "literal" or (batch_normalization == "reconstructed" and not residual):
            x = normalize(x, f"{name}_bn")
        if block <= poolings:
            x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
        x = layers.Dropout(rates[block - 1], seed=next(seeds), name=f"{name}_dropout")(x)
    x = layers.GlobalAveragePooling2D(name="head_average")(x)
    outputs = layers.Dense(
        classes,
        activation="softmax",
        kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
        name="head_probabilities",
        dtype="float32",
    )(x)
    return keras.Model(inputs, outputs, name=kind)


def trim(network):
    """A copy of a network without the weights that meet nothing but padding, to train in its place.

    On maps of 1x1 pixel a kernel is left with its centre. The other weights never receive a gradient, but an optimizer
    would read and write them in each step all the same: with five poolings, three quarters of the network.

    Parameters
    ----------
    network : keras.Model
        Of `build_network`.

    Returns
    -------
    keras.Model
        It computes the same to the bit, and of a fresh network draws the same dropout masks; `untrim` brings its
        weights back.
    """

    def trimmed(layer):
        config = layer.get_config()
        if isinstance(layer, Convolution) and layer.sees_one_pixel:
            config["kernel_size"] = (1, 1)
        return type(layer).from_config(config)

    copy = keras.models.clone_model(network, clone_function=trimmed)
    copy.set_weights(
        [
            array[_kept(array.shape, variable.shape)]
            for array, variable in zip(network.get_weights(), copy.weights, strict=True)
        ]
    )
    return copy


def untrim(weights, network):
    """Put the weights of a trimmed copy, as a list of arrays, into the network that `trim` was given."""
    arrays = network.get_weights()
    for array, learnt in zip(arrays, weights, strict=True):
        array[_kept(array.shape, learnt.shape)] = learnt
    network.set_weights(arrays)


def _kept(shape, trimmed):
    """Where an array of the shape `trimmed` lies in one of `shape`: all of it, or a kernel's centre."""
    return tuple(slice((n - m) // 2, (n + m) // 2) for n, m in zip(shape, trimmed, strict=True))


def _residual_block(x, filters, number, conv, normalize):
    """Two convolutions, each normalized before its activation, added to their input and activated (pp. 75, 78)."""
    name = f"residual{number}"
    y = conv(x, filters, 3, f"{name}_conv1", activation=None)
    y = normalize(y, f"{name}_bn1")
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = conv(y, filters, 3, f"{name}_conv2", activation=None)
    y = normalize(y, f"{name}_bn2")
    y = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu2")(y)


def _check(holds, name, value, allowed):
    if not holds:
        raise FergitError(f"network: {name} is {value!r}; allowed: {allowed}")
