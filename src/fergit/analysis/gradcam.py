"""Where in an image a network's label comes from: Grad-CAM (Selvaraju et al. 2017), and what it is worth.

    from fergit.analysis import gradcam
    maps, probabilities = gradcam.explain(network, images)

A map is the sum of a layer's feature maps, each weighted by its mean gradient of the label's logit, negative sums cut
off. The paper says that the main parts to look at are "the mouth, towards the corners of the lips, the nose, the
eyebrows, the crow's feet, the eyelids, and the eyes" (p. 77); `regions` has these parts on FERGIT's mean face. A map's
share in them is compared with three others: the regions' area, a Gaussian about the centre of the image that is spread
as widely as the map, and the maps of networks with random weights (Adebayo et al. 2018).
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from fergit.analysis.intervals import bootstrap, rounded
from fergit.analysis.regions import ALL, areas, shares
from fergit.core.files import write_table
from fergit.engine.augmentation import to_input
from fergit.engine.backend import keras

SIZES = range(3, 13)  # positions a side: 2x2 are quadrants, and more than 12x12 are far from the label
UNTRAINED = 20  # networks with random weights: a share above all of theirs has one chance in 21
SAMPLE = 300  # test images that those are shown, evenly spaced, or all if there are fewer
BATCH = 256


def layers(network):
    """The layers that are explained, {positions a side: name}: of each size of maps the last that ends in a ReLU.

    The coarsest stands first. Where no size is in `SIZES`, it is the only one.
    """
    last = {}
    for layer in network.layers:
        activation = getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__)
        if len(layer.output.shape) == 4 and activation.lower() == "relu":
            last[layer.output.shape[1]] = layer.name
    sides = sorted(side for side in last if side > 1)
    return {side: last[side] for side in ([side for side in sides if side in SIZES] or sides[:1])}


def explain(network, images, labels=None, layer=None):
    """Grad-CAM of each image, uint8 (n, 48, 48): maps float32 (n, side, side), and probabilities float32 (n, classes).

    `labels`, int (n,), are what is to be explained, or None for the label that the network itself gives; `layer` is a
    name, or None for the first of `layers`. Where nothing supports the label, a map is all 0.
    """
    head = network.layers[-1]
    layer = network.get_layer(layer or next(iter(layers(network).values())))
    below = keras.Model(network.input, layer.output)
    above = keras.Model(layer.output, head.input)

    def score(features, wanted):
        """Sum of the wanted logits, each of one image alone; and all logits."""
        logits = keras.ops.matmul(above(features, training=False), head.kernel) + head.bias
        wanted = keras.ops.argmax(logits, axis=1) if wanted is None else wanted
        return keras.ops.sum(logits * keras.ops.one_hot(wanted, logits.shape[1])), logits

    maps, probabilities = [], []
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        features = below(to_input(images[rows]), training=False)
        gradient, logits = _gradient(score, features, None if labels is None else np.asarray(labels)[rows])
        weights = keras.ops.mean(gradient, axis=(1, 2), keepdims=True)
        maps.append(keras.ops.convert_to_numpy(keras.ops.relu(keras.ops.sum(weights * features, axis=3))))
        probabilities.append(keras.ops.convert_to_numpy(keras.ops.softmax(logits)))
    return np.concatenate(maps), np.concatenate(probabilities)


def _gradient(score, features, wanted):
    """The gradient of the score by the features, as the backend has it; and the logits."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(features)
            total, logits = score(features, wanted)
        return tape.gradient(total, features), logits
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(score, has_aux=True)(features, wanted)
    features = features.detach().requires_grad_()
    total, logits = score(features, wanted)
    total.backward()
    return features.grad, logits.detach()


def mean_map(maps):
    """The mean of maps that each weigh the same, without maps of zeros: float64 (side, side), of mean 1, or all NaN."""
    sums = maps.mean(axis=(1, 2), dtype=np.float64)
    if not (sums > 0).any():
        return np.full(maps.shape[1:], np.nan)
    return (maps[sums > 0] / sums[sums > 0, None, None]).mean(axis=0)


def centre_map(like):
    """A Gaussian about the image's centre whose mean squared distance from it is that of another map (side, side)."""
    rows, columns = np.indices(like.shape) - (len(like) - 1) / 2
    distances = rows**2 + columns**2 - (rows**2 + columns**2).min()
    wanted = np.average(distances, weights=like)

    def gaussian(log_width):
        return np.exp(-distances / (2 * np.exp(2 * log_width)))

    def gap(log_width):
        return (np.average(distances, weights=gaussian(log_width)) - wanted) ** 2

    found = gaussian(minimize_scalar(gap, bounds=(-2, 5), method="bounded").x)
    return found / found.mean()


def measure(network, faces, boxes):
    """Shares and mean maps of a network on test images, for the labels that it gives itself: two tables.

    Shares, a row for each size of maps and image: ``positions`` (a side), ``sample_id``, ``named`` (the network's
    label), a column for each region and ``all``. The mean map of each label, and of ``all``: ``positions``, ``named``,
    ``maps`` (how many are not zero), ``row``, ``column``, ``value`` (NaN where there is none).
    """
    tables, means, classes = [], [], np.array(faces.classes)
    for side, layer in layers(network).items():
        maps, probabilities = explain(network, faces.images, layer=layer)
        named = classes[probabilities.argmax(axis=1)]
        about = pd.DataFrame({"positions": side, "sample_id": faces.sample_id, "named": named})
        tables.append(about.join(shares(maps, boxes)))
        rows, columns = np.indices((side, side)).reshape(2, -1)
        for name in (*classes[np.isin(classes, named)], ALL):
            own = maps if name == ALL else maps[named == name]
            about = {"positions": side, "named": name, "maps": int(own.any(axis=(1, 2)).sum())}
            means.append(pd.DataFrame(about | {"row": rows, "column": columns, "value": mean_map(own).ravel()}))
    return pd.concat(tables, ignore_index=True), pd.concat(means, ignore_index=True)


def measure_untrained(build, faces, named, boxes, networks=UNTRAINED):
    """The mean shares of the networks ``build(1)``, ``build(2)`` and so on, for the same labels, on a sample of images.

    A row for each network and size of maps: ``seed``, ``positions``, the share in each region and in ``all``.
    """
    taken, rows = sample(len(faces)), []
    labels = pd.Index(faces.classes).get_indexer(np.asarray(named)[taken])
    for seed in range(1, networks + 1):
        network = build(seed)
        for side, layer in layers(network).items():
            found = shares(explain(network, faces.images[taken], labels, layer)[0], boxes)
            rows.append({"seed": seed, "positions": side} | found.mean().to_dict())
    return pd.DataFrame(rows)


def sample(n):
    """The rows, of n, that untrained networks are shown and the trained one is compared on: int (at most `SAMPLE`,)."""
    return np.linspace(0, n - 1, min(SAMPLE, n)).round().astype(int)


def summary(training, network, shared, means, untrained, boxes, evaluate):
    """All of metrics.json, from training.json, a network and the tables of `measure` and `measure_untrained`."""
    sizes, names = [], [*boxes, ALL]
    for side, layer in layers(network).items():
        own, fresh = (table[table["positions"] == side] for table in (shared, untrained))
        whole = means.query("positions == @side and named == @ALL")["value"].to_numpy().reshape(side, side)
        taken = own.iloc[sample(len(own))]  # the images that the untrained networks were shown
        entry = {"positions": side, "layer": layer} | _mean_shares(own, names, evaluate)
        entry["centre"] = shares(centre_map(whole)[np.newaxis], boxes).iloc[0].to_dict()
        entry["untrained"] = {
            "networks": len(fresh),
            "images": len(taken),
            "trained": taken[ALL].mean(),
            "as_much": int((fresh[ALL] >= taken[ALL].mean()).sum()),
            "least": fresh[ALL].min(),
            "most": fresh[ALL].max(),
            "share": fresh[names].mean().to_dict(),
        }
        entry["classes"] = {k: _mean_shares(part, names, evaluate) for k, part in own.groupby("named", sort=False)}
        sizes.append(entry)
    return rounded(
        {name: training[name] for name in ("dataset", "model", "seed")}
        | {"n_test": shared["sample_id"].nunique(), "confidence_level": evaluate["confidence_level"]}
        | {"regions": {name: [*box] for name, box in boxes.items()}, "area": areas(boxes), "sizes": sizes}
    )


def _mean_shares(part, names, evaluate):
    """Means of the images' shares; the interval over images (percentile bootstrap) is of all regions."""
    known, ends = part.dropna(subset=ALL), (None, None)
    if len(known) > 1:
        samples, level = evaluate["bootstrap_samples"], evaluate["confidence_level"]
        ends = bootstrap(known[ALL], lambda values: values.mean(axis=-1), samples, level)
    counts = {"images": len(part), "empty": len(part) - len(known)}
    return counts | {"share": known[names].mean().to_dict(), "low": ends[0], "high": ends[1]}


def written(path, table):
    """Write a table as CSV and read it back: what is computed from it, anyone can compute again."""
    write_table(path, table)
    return pd.read_csv(path, dtype={"sample_id": str, "named": str}, keep_default_na=False, na_values=[""])
