"""The paper's two networks (Bah & Xue 2022, pp. 75-78): twelve convolutions in six pairs, three residual blocks.

The paper gives no table of layers. ``notebooks/00-reconstruction.ipynb`` argues for the defaults, ``layers.py`` has
what makes them fast.
"""

import itertools

from fergit.core.errors import FergitError
from fergit.engine.backend import is_mirrored, keras
from fergit.engine.layers import BatchNormalization, Convolution

layers = keras.layers

INPUT_SHAPE = (48, 48, 1)  # p. 77
FILTERS = (16, 32, 64, 128, 256, 512)  # of the six pairs: 16 first, doubled, 512 last (p. 77)
RESIDUAL_AFTER = (2, 4, 6)  # pairs: "after every four convolutional layers" (p. 75)

KINDS = ("basic", "residual")
BATCH_NORMALIZATIONS = ("per_conv", "reconstructed", "literal")


def build_network(
    kind,
    classes=7,
    *,
    batch_normalization="per_conv",
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

    Parameters
    ----------
    kind : "basic" or "residual"
        The network of the paper's Table 2, or the one of Table 3 with three residual blocks (p. 82).
    classes : int
    batch_normalization : "per_conv", "reconstructed" or "literal"
        Where the pairs normalize. ``per_conv``: after each convolution (p. 78; the residual network then has 9,766,391
        trainable parameters). ``literal``: after each pair (p. 75). ``reconstructed``: after each pair that no residual
        block follows (the residual network then has 9,766,391 in all).
    first_kernels : pair of int
        Kernel sizes of the first pair. The text gives 5x5 to "the first layer" (p. 77); the parameter count fits if
        both layers have it.
    poolings : int
        How many pairs are followed by 2x2 max pooling, counted from the first. With six (p. 75), sizes are rounded up
        (48-24-12-6-3-2-1); with fewer, down.
    dropout, dropout_last : float
        Rates after pairs 1-5 (or a list of five rates) and after pair 6 (p. 78: 0.3 "in the early layers", 0.4).
    batch_norm_momentum : float
        Of the moving averages (the paper is silent).
    seed : int
        Of the weights (He normal, p. 75; biases zero, p. 77) and of the dropout masks.

    Returns
    -------
    keras.Model
    """
    for name, value, allowed in (
        ("kind", kind, KINDS),
        ("batch_normalization", batch_normalization, BATCH_NORMALIZATIONS),
        ("poolings", poolings, range(len(FILTERS) + 1)),
    ):
        if value not in allowed:
            raise FergitError(f"network: {name} is {value!r}; allowed: {', '.join(map(str, allowed))}")
    rates = [*(dropout if isinstance(dropout, (list, tuple)) else [dropout] * 5), dropout_last]
    rounding = "same" if poolings == 6 else "valid"
    seeds = itertools.count(1000 * seed)  # one for each layer that draws; networks have fewer than 1000

    def convolve(x, filters, kernel, name, activation="relu"):
        start = keras.initializers.HeNormal(seed=next(seeds))
        return Convolution(filters, kernel, padding="same", activation=activation, kernel_initializer=start, name=name)(
            x
        )

    def normalize(x, name):
        # Shared among devices, a batch is still normalized as one.
        return BatchNormalization(momentum=batch_norm_momentum, synchronized=is_mirrored(), name=name)(x)

    def residual_block(x, filters, name):
        """Two convolutions, each normalized before its activation, added to their input and activated (pp. 75, 78)."""
        y = convolve(x, filters, 3, f"{name}_conv1", activation=None)
        y = layers.ReLU(name=f"{name}_relu1")(normalize(y, f"{name}_bn1"))
        y = convolve(y, filters, 3, f"{name}_conv2", activation=None)
        y = layers.Add(name=f"{name}_add")([x, normalize(y, f"{name}_bn2")])
        return layers.ReLU(name=f"{name}_relu2")(y)

    inputs = x = keras.Input(INPUT_SHAPE, name="image")
    for block, (filters, rate) in enumerate(zip(FILTERS, rates, strict=True), start=1):
        name = f"block{block}"
        residual = kind == "residual" and block in RESIDUAL_AFTER
        for i, kernel in zip((1, 2), first_kernels if block == 1 else (3, 3), strict=True):
            x = convolve(x, filters, kernel, f"{name}_conv{i}")
            if batch_normalization == "per_conv":
                x = normalize(x, f"{name}_bn{i}")
        if residual:
            x = residual_block(x, filters, f"residual{RESIDUAL_AFTER.index(block) + 1}")
        if batch_normalization == "literal" or (batch_normalization == "reconstructed" and not residual):
            x = normalize(x, f"{name}_bn")
        if block <= poolings:
            x = layers.MaxPooling2D(2, padding=rounding, name=f"{name}_pool")(x)
        x = layers.Dropout(rate, seed=next(seeds), name=f"{name}_dropout")(x)
    x = layers.GlobalAveragePooling2D(name="head_average")(x)
    start = keras.initializers.HeNormal(seed=next(seeds))
    outputs = layers.Dense(
        classes, activation="softmax", kernel_initializer=start, name="head_probabilities", dtype="float32"
    )(x)
    return keras.Model(inputs, outputs, name=kind)
