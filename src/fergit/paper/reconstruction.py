"""The arithmetic behind the reconstruction: how many parameters a layout has, and which layouts have a given number.

The paper describes its network in words (pp. 75-78) and gives its size, 9,766,391 parameters (p. 84). Here a layout is
a few named choices, its size is plain arithmetic, and all combinations of the choices are searched in about a second.
Nothing here needs Keras; the tests compare the arithmetic with Keras' own counts.
"""

import itertools
from collections import defaultdict
from dataclasses import dataclass
from math import prod

import pandas as pd

FILTERS = (16, 32, 64, 128, 256, 512)  # of the six pairs: 16 first, doubled, 512 last (p. 77)
INPUTS = (1, *FILTERS[:-1])  # channels that enter each pair; the image is gray (p. 77)
CLASSES = 7
PAIRS = tuple(range(1, 7))

# What the paper says of the network, and where: the part of the drawing it stands beside, the statement, the pages.
STATED = pd.DataFrame(
    [
        ("image", "Input 48x48x1, gray", "77, 85"),
        ("block1", "First layer 5x5, stride 1, zero padding 2; 16 filters", "77"),
        ("block1", "Kernels start He normal, biases at zero", "75, 77"),
        ("block2", "Twelve convolutions with ReLU; filters: 'increased it by 2 at each block'", "75, 77"),
        ("residual1", "After every four convolutions a residual block: two convolutions, each normalized", "75"),
        ("residual1", "Identity shortcut; the sum is activated", "75, 78"),
        ("block3", "Each pair: batch normalization, max pooling, dropout (basic network)", "75"),
        ("block4", "Batch normalization after the activation ...", "78"),
        ("residual2", "... but before it in residual blocks", "78"),
        ("block5", "Max pooling 2x2, stride 2, no padding; dropout 0.3", "78"),
        ("block5", "'The more we moved deeper, the more the convolution kernels get bigger'", "77"),
        ("block6", "The last convolution has 512 filters; dropout 0.4 in the last block", "77, 78"),
        ("residual3", "Seven blocks: three convolutional, three residual, one for classification", "75"),
        ("head", "Global average pooling, dense softmax layer of 7", "75"),
        ("head", "The residual network has 9,766,391 parameters", "84"),
    ],
    columns=["part", "statement", "pages"],
)

# What a layout may choose. The first value of each is what the sentences of the paper say, or say most plainly.
OPTIONS = {
    "first_kernel": (5, 3, 7),
    "second_kernel": (5, 3, 7),
    "biases": ("everywhere", "not in residual blocks", "nowhere"),
    "residual_after": ((2, 4, 6), *(s for r in PAIRS for s in itertools.combinations(PAIRS, r) if s != (2, 4, 6))),
    "residual_convs": (2, 1, 3),
    "residual_kernel": (3, 5),
    "residual_normalized": (True, False),
    "shortcut": ("identity", "projection", "normalized projection"),
    "head": ("average", "flatten", 64, 128, 256, 512, 1024),
    "normalizations": tuple(itertools.product((0, 1, 2), repeat=6)),
}

# The paper's sentences as choices, the weightiest first; the last is this project's reading, not a sentence.
CONDITIONS = [
    ("a residual block after every four convolutions (p. 75)", {"residual_after": (2, 4, 6)}),
    ("with two convolutions, each normalized (p. 75)", {"residual_convs": 2, "residual_normalized": True}),
    ("identity shortcuts (pp. 75, 78)", {"shortcut": "identity"}),
    ("global average pooling, then the dense layer of 7 (p. 75)", {"head": "average"}),
    ("first layer 5x5 (p. 77)", {"first_kernel": 5}),
    ("biases, in all convolutions (p. 77: 'start at zero')", {"biases": "everywhere"}),
    ("one rule of normalization for all pairs that have it (our reading)", {"regular": True}),
]


@dataclass(frozen=True)
class Layout:
    """One way to build the residual network; the defaults are the layout that this project uses.

    Attributes
    ----------
    first_kernel, second_kernel : int
        Kernel sizes of the first pair of convolutions; the other ten are 3x3.
    biases : "everywhere", "not in residual blocks" or "nowhere"
        Which convolutions have one.
    residual_after : tuple of int
        Pairs (1-6) that a residual block follows; empty for the basic network.
    residual_convs, residual_kernel, residual_normalized, shortcut
        What a residual block holds: its convolutions, whether each is normalized, and what its input passes through
        before the addition ("identity", a 1x1 "projection", or a "normalized projection").
    head : "average", "flatten" or int
        Global average pooling; flattening of 3x3 maps; or averaging and one hidden dense layer of that many units.
    normalizations : tuple of six int
        Batch normalizations of each pair: none, one after the pair, or one after each of its two convolutions.
    classes : int
        Units of the last dense layer.
    """

    first_kernel: int = 5
    second_kernel: int = 5
    biases: str = "everywhere"
    residual_after: tuple = (2, 4, 6)
    residual_convs: int = 2
    residual_kernel: int = 3
    residual_normalized: bool = True
    shortcut: str = "identity"
    head: str | int = "average"
    normalizations: tuple = (1, 0, 1, 0, 1, 0)
    classes: int = CLASSES

    @property
    def regular(self):
        """Whether the pairs that are normalized are all normalized in the same way."""
        return len(set(self.normalizations) - {0}) <= 1

    @property
    def channels(self):
        """Channels of all batch normalizations together: each has four parameters, two of them trainable."""
        return self._residual()[1] + _pair_channels(self.normalizations)

    @property
    def total(self):
        """All parameters, as ``count_params()`` gives them."""
        weights = _pair_weights(self.first_kernel, self.second_kernel, self.biases) + self._residual()[0]
        return weights + _head_weights(self.head, self.classes) + 4 * self.channels

    @property
    def trainable(self):
        """Parameters that are trained: without the moving means and variances of batch normalization."""
        return self.total - 2 * self.channels

    def _residual(self):
        return _residual_weights(
            self.residual_after,
            self.residual_convs,
            self.residual_kernel,
            self.residual_normalized,
            self.shortcut,
            self.biases,
        )


def size_of_search(**fixed):
    """How many layouts OPTIONS spans, with the named choices fixed."""
    return prod(len(values) for name, values in OPTIONS.items() if name not in fixed)


def search(target):
    """Find every layout of OPTIONS whose total or trainable number of parameters is the target.

    Instead of counting each layout (some 300 million), the count of everything but the pairs' batch normalizations is
    taken from the target; what is left must be the count of one of their 729 plans.

    Parameters
    ----------
    target : int
        The published number of parameters.

    Returns
    -------
    DataFrame
        A row for each match: ``counted`` ("total" or "trainable"), the choices of the layout, ``regular`` and
        ``layout`` (the Layout itself).
    """
    plans = defaultdict(list)
    for plan in OPTIONS["normalizations"]:
        plans[_pair_channels(plan)].append(plan)
    pair_names = ("first_kernel", "second_kernel")
    residual_names = ("residual_after", "residual_convs", "residual_kernel", "residual_normalized", "shortcut")
    heads = [(head, _head_weights(head, CLASSES)) for head in OPTIONS["head"]]
    found = []
    for biases in OPTIONS["biases"]:
        pairs = [(c, _pair_weights(*c, biases)) for c in _combinations(pair_names)]
        residuals = [(c, *_residual_weights(*c, biases)) for c in _combinations(residual_names)]
        for (pair, w1), (residual, w2, channels), (head, w3) in itertools.product(pairs, residuals, heads):
            for counted, each in (("total", 4), ("trainable", 2)):
                left, odd = divmod(target - w1 - w2 - w3 - each * channels, each)
                for plan in () if odd else plans.get(left, ()):
                    choices = dict(zip(pair_names + residual_names, pair + residual, strict=True))
                    layout = Layout(**choices, biases=biases, head=head, normalizations=plan)
                    found.append({"counted": counted, **{n: getattr(layout, n) for n in OPTIONS}, "layout": layout})
    table = pd.DataFrame(found, columns=["counted", *OPTIONS, "layout"])
    return table.assign(regular=[layout.regular for layout in table["layout"]])


def select(found, choices):
    """The rows of a `search` that have made these choices, such as ``{"head": "average"}``."""
    for name, value in choices.items():
        found = found[[entry == value for entry in found[name]]]
    return found


def funnel(found, conditions):
    """Impose what the paper says, one sentence after the other, on the layouts that were found.

    Parameters
    ----------
    found : DataFrame
        From `search`.
    conditions : list of (str, dict)
        A sentence, and the choices that it fixes; ``{"regular": True}`` keeps one rule of batch normalization.

    Returns
    -------
    DataFrame
        A row for no condition and for each one added: the layouts it leaves, and how many of them have the target as
        their total and as their trainable number.
    """
    rows, fixed = [], {}
    for sentence, choices in [("(everything that was searched)", {}), *conditions]:
        fixed |= choices
        spanned = size_of_search(**fixed)
        if fixed.get("regular"):  # 63 subsets of pairs, each normalized once or twice, and no pair at all
            spanned = spanned * 127 // 729
        found = select(found, choices)
        matches = [int((found["counted"] == counted).sum()) for counted in ("total", "trainable")]
        rows.append((sentence, spanned, *matches))
    return pd.DataFrame(rows, columns=["condition, added to those above", "layouts", "total fits", "trainable fits"])


# Batch normalizations of the six pairs of the residual network, by the name they have in params.yaml.
NORMALIZATIONS = {
    "reconstructed": (1, 0, 1, 0, 1, 0),  # the other pairs run straight into their residual block
    "per_conv": (2, 2, 2, 2, 2, 2),
    "literal": (1, 1, 1, 1, 1, 1),
}

# Layouts worth a look: each is what some reading of the text would give.
CANDIDATES = {
    "the text to the letter: 5x5 in the first layer, every pair normalized": Layout(5, 3, normalizations=(1,) * 6),
    "5x5 in the first pair, every pair normalized": Layout(normalizations=(1,) * 6),
    "5x5 in the first pair, pairs 1, 3, 5 normalized": Layout(),
    "5x5 in the first layer, pairs 1, 3, 5 normalized": Layout(5, 3),
    "5x5 in the first pair, pairs 2, 4, 6 normalized": Layout(normalizations=(0, 1) * 3),
    "5x5 in the first pair, no pair normalized": Layout(normalizations=(0,) * 6),
    "5x5 in the first pair, every convolution normalized": Layout(normalizations=(2,) * 6),
    "5x5 in the first layer, every convolution normalized": Layout(5, 3, normalizations=(2,) * 6),
    "3x3 everywhere, every pair normalized": Layout(3, 3, normalizations=(1,) * 6),
    "as the third, without any bias": Layout(biases="nowhere"),
    "as the third, with 1x1 projections": Layout(shortcut="projection"),
    "as the third, 3x3 maps flattened": Layout(head="flatten"),
}


def layout_of(network):
    """The Layout of the residual network that the section ``network`` of params.yaml describes."""
    return Layout(*network["first_kernels"], normalizations=NORMALIZATIONS[network["batch_normalization"]])


def readable(table):
    """A copy of a table to look at: whole numbers with thousands separators."""
    return table.map(lambda x: f"{x:,}" if isinstance(x, int) and not isinstance(x, bool) else x)


def candidates(layouts, target):
    """The counts of some layouts, and how far each is from the target.

    Parameters
    ----------
    layouts : dict of str to Layout
    target : int

    Returns
    -------
    DataFrame
        Indexed by the layouts' names: total, trainable, their differences to the target, and which of them fits.
    """
    table = pd.DataFrame(
        {"total": [x.total for x in layouts.values()], "trainable": [x.trainable for x in layouts.values()]},
        index=pd.Index(layouts, name="layout"),
    )
    table["total - published"] = table["total"] - target
    table["trainable - published"] = table["trainable"] - target
    table["fits"] = ""
    for counted in ("total", "trainable"):
        table.loc[table[counted] == target, "fits"] = counted
    return table


def ledger(network):
    """List the layers of a Keras network that have parameters.

    Parameters
    ----------
    network : keras.Model
        From `fergit.engine.network.build_network`: the first part of a layer's name is its block.

    Returns
    -------
    DataFrame
        block, layer, kind ("convolutions", "batch normalization", "residual blocks" or "dense"), output ("48x48x16"),
        parameters, trainable.
    """
    rows = []
    for layer in network.layers:
        if not layer.count_params():
            continue
        block, _, rest = layer.name.partition("_")
        kind = "residual blocks" if block.startswith("residual") else _KINDS[rest.rstrip("12")]
        trainable = sum(prod(w.shape) for w in layer.trainable_weights)
        output = "x".join(str(n) for n in layer.output.shape[1:])
        rows.append((block, layer.name, kind, output, layer.count_params(), trainable))
    return pd.DataFrame(rows, columns=["block", "layer", "kind", "output", "parameters", "trainable"])


_KINDS = {"conv": "convolutions", "bn": "batch normalization", "probabilities": "dense"}


def untrained_taps(network):
    """Count the weights of a network that only ever meet the padding, and so never receive a gradient.

    With zero padding, the tap of a kernel that looks d pixels to the side meets the map only if the map is more than d
    pixels wide: on a 1x1 map nothing but the centre of each 3x3 kernel does.

    Parameters
    ----------
    network : keras.Model
        From `fergit.engine.network.build_network`.

    Returns
    -------
    DataFrame
        One row per convolution with such weights: layer, map ("1x1"), weights (all of its kernel), untrained.
    """
    rows = []
    for layer in network.layers:
        shape = getattr(getattr(layer, "kernel", None), "shape", ())
        if len(shape) != 4:
            continue
        size, _, inputs, outputs = shape
        side = layer.output.shape[1]  # maps and kernels are square, strides are 1
        reached = min(size, 2 * side - 1)
        if reached < size:
            rows.append((layer.name, f"{side}x{side}", prod(shape), (size**2 - reached**2) * inputs * outputs))
    return pd.DataFrame(rows, columns=["layer", "map", "weights", "untrained"])


def idle_weights(networks):
    """Sum up `untrained_taps` over whole networks.

    Parameters
    ----------
    networks : dict of (int, str) to keras.Model
        By their number of poolings and their kind.

    Returns
    -------
    DataFrame
        Indexed like the networks: the maps of 512 filters ("3x3"), parameters, how many of them only ever meet padding,
        their share, and the rest.
    """
    rows = []
    for network in networks.values():
        side, parameters = network.get_layer("block6_conv2").output.shape[1], network.count_params()
        idle = int(untrained_taps(network)["untrained"].sum())
        rows.append((f"{side}x{side}", parameters, idle, f"{100 * idle / parameters:.1f} %", parameters - idle))
    columns = ["maps of 512 filters", "parameters", "only meet padding", "share", "rest"]
    return pd.DataFrame(rows, columns=columns, index=pd.MultiIndex.from_tuples(networks, names=["poolings", "network"]))


def _combinations(names):
    return list(itertools.product(*(OPTIONS[name] for name in names)))


def _conv(kernel, inputs, outputs, bias=True):
    return kernel**2 * inputs * outputs + bias * outputs


def _pair_weights(first_kernel, second_kernel, biases):
    """Parameters of the twelve convolutions."""
    kernels = [(first_kernel, second_kernel)] + 5 * [(3, 3)]
    bias = biases != "nowhere"
    return sum(
        _conv(first, inputs, filters, bias) + _conv(second, filters, filters, bias)
        for (first, second), inputs, filters in zip(kernels, INPUTS, FILTERS, strict=True)
    )


def _pair_channels(normalizations):
    """Channels of the batch normalizations of the pairs."""
    return sum(n * filters for n, filters in zip(normalizations, FILTERS, strict=True))


def _residual_weights(after, convs, kernel, normalized, shortcut, biases):
    """Parameters of the residual blocks without batch normalization, and channels of their batch normalizations."""
    bias = biases == "everywhere"
    weights = channels = 0
    for pair in after:
        filters = FILTERS[pair - 1]
        weights += convs * _conv(kernel, filters, filters, bias)
        weights += (shortcut != "identity") * _conv(1, filters, filters, bias)
        channels += filters * (convs * normalized + (shortcut == "normalized projection"))
    return weights, channels


def _head_weights(head, classes):
    """Parameters of the dense layers."""
    if head == "average":
        return (FILTERS[-1] + 1) * classes
    if head == "flatten":
        return (9 * FILTERS[-1] + 1) * classes
    return (FILTERS[-1] + 1) * head + (head + 1) * classes
