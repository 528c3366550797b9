"""Where in an image a network's label comes from: Grad-CAM (Selvaraju et al. 2017), and what it is worth.

    from fergit.analysis import gradcam
    maps, probabilities = gradcam.explain(network, images)

A map is the sum of a layer's feature maps, each weighted by its mean gradient of the label's logit, negative sums cut
off. The layer is the last one that still has more than one position (`layers`): after five poolings of 48 pixels the
network's last pair works on maps of 1x1, which have nothing to show.

The paper says that the main parts to look at are "the mouth, towards the corners of the lips, the nose, the eyebrows,
the crow's feet, the eyelids, and the eyes" (p. 77). `regions` has these parts on FERGIT's mean face. The share
of a map in them means something beside two others only: the regions' share of the area, which a map that prefers
nothing has, and the shares that networks with random weights have (Adebayo et al. 2018).
"""

import cv2
import numpy as np
import pandas as pd

from fergit.analysis import metrics
from fergit.core.errors import FergitError
from fergit.core.faces import SIDE
from fergit.core.files import write_table
from fergit.engine.augmentation import to_input
from fergit.pages.present import TITLES, counted, listed, percent, with_interval

FINEST = 12  # positions a side: with 4 pixels each, the first at which brows and eyes are apart
UNTRAINED = 20  # networks with random weights: a share above all of theirs has one chance in 21
SAMPLE = 300  # test images that those are shown, evenly spaced, or all if there are fewer
FEWEST_MAPS = 10  # in a mean that is shown: of fewer it says little
FEWEST = 50  # persons, or images where persons are unknown, in a mean face that is shown
BATCH = 256


# Maps


def layers(network):
    """The layers that can explain: of each size of maps the last one, the coarsest first.

    Parameters
    ----------
    network : keras.Model
        Of `fergit.engine.network.build_network`.

    Returns
    -------
    dict of int to str
        {positions a side, above 1: name of a layer that ends in a ReLU}; the first is Grad-CAM's "last convolutional
        layer" wherever that has more than one position.
    """
    last = {layer.output.shape[1]: layer.name for layer in network.layers if _is_rectified(layer)}
    return {side: last[side] for side in sorted(last) if side > 1}


def _is_rectified(layer):
    """Whether a layer's output is feature maps after their ReLU."""
    kind = layer.__class__.__name__
    return kind == "ReLU" or (kind == "Convolution" and layer.activation.__name__ == "relu")


def sight(network, layer):
    """The side of the square of pixels that one position of a layer depends on, not cut at the image's border: int."""
    side = step = 1
    for one in network.layers:
        if one.__class__.__name__ == "Convolution":
            side += (one.kernel_size[0] - 1) * step
        elif one.__class__.__name__ == "MaxPooling2D":
            side += step
            step *= 2
        if one.name == layer:
            return side
    raise FergitError(f"gradcam: the {network.name} network has no layer {layer!r}")


def explain(network, images, labels=None, layer=None, batch=BATCH):
    """Grad-CAM of each image.

    Parameters
    ----------
    network : keras.Model
        Of `fergit.engine.network.build_network`.
    images : uint8 (n, 48, 48)
    labels : int (n,), optional
        What is to be explained, as indices of the classes; None: the label that the network itself gives.
    layer : str, optional
        Of `layers`; None: the first of them.
    batch : int
        Images at a time.

    Returns
    -------
    maps : float32 (n, side, side)
        0 and more; all 0 where nothing speaks for the label.
    probabilities : float32 (n, classes)

    Raises
    ------
    FergitError
        Images, labels or layer are not as said above.
    """
    from fergit.engine.backend import keras  # here, not above: what reads metrics.json needs no Keras

    head = network.layers[-1]
    layer = layer or next(iter(layers(network).values()))
    classes, labels = _checked(network, images, labels, layer)
    below = keras.Model(network.input, network.get_layer(layer).output)
    above = keras.Model(network.get_layer(layer).output, head.input)

    def score(features, wanted):
        """Sum of the wanted logits, each of one image alone; and all logits."""
        logits = keras.ops.matmul(above(features, training=False), head.kernel) + head.bias
        wanted = keras.ops.argmax(logits, axis=1) if wanted is None else wanted
        return keras.ops.sum(logits * keras.ops.one_hot(wanted, classes)), logits

    maps, probabilities = [], []
    for start in range(0, len(images), batch):
        rows = slice(start, start + batch)
        features = below(to_input(images[rows]), training=False)
        gradient, logits = _gradient(score, features, None if labels is None else labels[rows])
        weights = keras.ops.mean(gradient, axis=(1, 2), keepdims=True)
        maps.append(keras.ops.convert_to_numpy(keras.ops.relu(keras.ops.sum(weights * features, axis=3))))
        probabilities.append(keras.ops.convert_to_numpy(keras.ops.softmax(logits)))
    return np.concatenate(maps), np.concatenate(probabilities)


def _checked(network, images, labels, layer):
    """The number of classes, and the labels as an array."""
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or not len(images):
        found = f"{images.dtype} {images.shape}"
        raise FergitError(f"gradcam: images are {found}; allowed: uint8 (n, {SIDE}, {SIDE}), at least one")
    if layer not in layers(network).values():
        allowed = ", ".join(layers(network).values())
        raise FergitError(f"gradcam: layer is {layer!r}; allowed for this {network.name} network: {allowed}")
    classes = network.output_shape[1]
    if labels is not None:
        labels = np.asarray(labels)
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            found = f"{labels.dtype} {labels.shape}"
            raise FergitError(f"gradcam: labels are {found}; allowed: whole numbers ({len(images)},)")
        wrong = labels[(labels < 0) | (labels >= classes)]
        if len(wrong):
            raise FergitError(f"gradcam: label {wrong[0]}; allowed: 0 to {classes - 1}")
    return classes, labels


def _gradient(score, features, wanted):
    """The gradient of the score by the features, as the backend has it; and the logits."""
    from fergit.engine.backend import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(features)
            total, logits = score(features, wanted)
        return tape.gradient(total, features), logits
    if backend == "jax":
        import jax

        return jax.grad(score, has_aux=True)(features, wanted)
    features = features.detach().requires_grad_()
    total, logits = score(features, wanted)
    total.backward()
    return features.grad, logits.detach()


def upsampled(maps, side=SIDE):
    """Maps as large as the image, interpolated between the middles of the positions: float32 (n, side, side)."""
    return np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_LINEAR) for one in maps])


def mean_map(maps):
    """The mean of maps that each weigh the same, without maps of zeros: float64 (side, side), of mean 1, or all NaN."""
    sums = maps.mean(axis=(1, 2), dtype=np.float64)
    shown = sums > 0
    if not shown.any():
        return np.full(maps.shape[1:], np.nan)
    return (maps[shown] / sums[shown, None, None]).mean(axis=0)


# Regions


def _areas(boxes):
    """Each region's share of the image, and that of ``all``."""
    each = {name: (bottom - top) * (right - left) / SIDE**2 for name, (top, bottom, left, right) in boxes.items()}
    return each | {"all": sum(each.values())}  # they do not overlap


def shares(maps, boxes):
    """How much of each map lies in each region.

    Parameters
    ----------
    maps : float32 (n, side, side)
    boxes : dict
        Of `fergit.analysis.regions.regions`.

    Returns
    -------
    DataFrame
        A row for each map, a column for each region, and ``all``; NaN for a map of zeros. The map is taken as
        upsampled, so that positions across a region's edge count in part.
    """
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    positions = upsampled(np.eye(flat.shape[1], dtype=np.float32).reshape(-1, *maps.shape[1:])).astype(np.float64)
    total = flat @ positions.sum(axis=(1, 2))
    total[total == 0] = np.nan
    inside = {
        name: flat @ positions[:, top:bottom, left:right].sum(axis=(1, 2)) / total
        for name, (top, bottom, left, right) in boxes.items()
    }
    return pd.DataFrame(inside).assign(all=sum(inside.values()))


def reach(side, boxes):
    """The least and the largest share that any map of so many positions a side can have in all regions."""
    single = np.eye(side**2, dtype=np.float32).reshape(-1, side, side)
    found = shares(single, boxes)["all"]
    return float(found.min()), float(found.max())


# A study


def measure(network, faces, boxes):
    """Shares and mean maps of a network on test images, for the labels that it gives itself.

    Parameters
    ----------
    network : keras.Model
    faces : Faces
        The test part.
    boxes : dict
        Of `fergit.analysis.regions.regions`.

    Returns
    -------
    shares : DataFrame
        A row for each size of maps and image: ``positions`` (a side), ``sample_id``, ``label``, ``named`` (the
        network's), a column for each region and ``all``.
    means : DataFrame
        The mean map of each class that is named: ``positions``, ``named``, ``maps`` (how many, without those of
        zeros), ``row``, ``column``, ``value`` (NaN where there is none).
    """
    tables, means = [], []
    classes = np.array(faces.classes)
    for side, layer in shown(network).items():
        maps, probabilities = explain(network, faces.images, layer=layer)
        named = classes[probabilities.argmax(axis=1)]
        about = {"positions": side, "sample_id": faces.sample_id, "label": classes[faces.labels], "named": named}
        tables.append(pd.concat([pd.DataFrame(about), shares(maps, boxes)], axis=1))
        for name in classes[np.isin(classes, named)]:
            rows, columns = np.indices((side, side)).reshape(2, -1)
            own = maps[named == name]
            about = {"positions": side, "named": name, "maps": int(own.any(axis=(1, 2)).sum())}
            means.append(pd.DataFrame(about | {"row": rows, "column": columns, "value": mean_map(own).ravel()}))
    return pd.concat(tables, ignore_index=True), pd.concat(means, ignore_index=True)


def measure_untrained(build, faces, named, boxes, networks=UNTRAINED):
    """The same shares of networks with random weights, for the same labels.

    Parameters
    ----------
    build : function
        Takes a seed and returns a fresh network.
    faces : Faces
        The test part; of more than `SAMPLE` images, so many are taken.
    named : str (n,)
        The labels to explain: those of the trained network.
    boxes : dict
    networks : int

    Returns
    -------
    DataFrame
        A row for each size of maps and network: ``positions``, ``seed``, ``images``, ``empty`` (maps of zeros), and
        the mean share in each region and in ``all``.
    """
    taken = sample(len(faces))
    labels = pd.Index(faces.classes).get_indexer(np.asarray(named)[taken])
    rows = []
    for seed in range(1, networks + 1):
        network = build(seed)
        for side, layer in shown(network).items():
            found = shares(explain(network, faces.images[taken], labels, layer)[0], boxes)
            counts = {"images": len(found), "empty": int(found["all"].isna().sum())}
            rows.append({"positions": side, "seed": seed} | counts | found.mean().to_dict())
    return pd.DataFrame(rows)


def sample(n):
    """The rows, of n, that untrained networks are shown and the trained one is compared on: int (at most `SAMPLE`,)."""
    return np.linspace(0, n - 1, min(SAMPLE, n)).round().astype(int)


def shown(network):
    """Of `layers`, those of `FINEST` positions or fewer; at least the first."""
    found = layers(network)
    return {side: name for side, name in found.items() if side <= max(FINEST, next(iter(found)))}


def summary(training, network, shared, untrained, boxes, evaluate):
    """All of a study's metrics.json: whatever is said of it is said from this alone.

    Parameters
    ----------
    training : dict
        What stands in training.json.
    network : keras.Model
    shared, untrained : DataFrame
        Of `measure` and `measure_untrained`.
    boxes : dict
    evaluate : dict
        ``confidence_level``, ``bootstrap_samples``.

    Returns
    -------
    dict
    """
    level, samples = evaluate["confidence_level"], evaluate["bootstrap_samples"]
    names = [*boxes, "all"]

    def entry(part):
        """Means of the images' shares; the interval over images (percentile bootstrap) is of ``all``."""
        known = part.dropna(subset="all")
        values = known["all"].to_numpy()
        some = len(values) > 1
        low, high = metrics.bootstrap(values, lambda v: v.mean(axis=-1), samples, level) if some else (None, None)
        share = {name: float(known[name].mean()) if len(known) else None for name in names}
        return {"images": len(part), "empty": len(part) - len(known), "share": share, "low": low, "high": high}

    sizes = []
    for side, layer in shown(network).items():
        own, others = shared[shared["positions"] == side], untrained[untrained["positions"] == side]
        whole, fresh = entry(own), others["all"].dropna()
        same = entry(own.iloc[sample(len(own))])  # the images that the untrained networks were shown
        mean = same["share"]["all"]
        sizes.append(
            {
                "positions": side,
                "layer": layer,
                "sight": sight(network, layer),
                "reach": list(reach(side, boxes)),
                **whole,
                "untrained": {
                    "networks": len(fresh),
                    "images": same["images"],
                    "trained": mean,
                    "as_much": None if mean is None else int((fresh >= mean).sum()),
                    "least": float(fresh.min()) if len(fresh) else None,
                    "most": float(fresh.max()) if len(fresh) else None,
                    "share": {name: float(others[name].mean()) if len(fresh) else None for name in names},
                },
                "classes": {
                    name: entry(own[own["named"] == name])
                    for name in training["classes"]
                    if (own["named"] == name).any()
                },
            }
        )
    return metrics.rounded(
        {
            **{name: training[name] for name in ("dataset", "model", "seed")},
            "n_test": int(shared["sample_id"].nunique()),
            "confidence_level": level,
            "regions": {name: list(box) for name, box in boxes.items()},
            "area": _areas(boxes),
            "sizes": sizes,
        }
    )


def written(path, table):
    """Write a table as CSV and read it back: what is computed from it, anyone can compute again."""
    write_table(path, table)
    texts = {name: str for name in ("sample_id", "label", "named")}
    return pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])


def mean_face(faces):
    """The mean of faces, none of which can be recognised in it: float64 (48, 48).

    Raises
    ------
    FergitError
        They are of fewer than `FEWEST` people; where people are unknown, each image counts as one.
    """
    people = _people(faces)
    if people < FEWEST:
        raise FergitError(f"gradcam: a mean face of {people} people; allowed: {FEWEST} or more, so that it is nobody's")
    return faces.images.mean(axis=0)


def has_mean_face(faces):
    """Whether `mean_face` gives one."""
    return _people(faces) >= FEWEST


def _people(faces):
    return len(np.unique(faces.group[faces.group != ""])) + int((faces.group == "").sum())


# For the eye


def layers_table(network):
    """The layers that are shown: a row for each size of maps."""
    rows = {
        f"{side}x{side}": {
            "layer": layer,
            "pixels a position": f"{SIDE // side}x{SIDE // side}",
            "pixels it depends on": f"{sight(network, layer)}x{sight(network, layer)}",
        }
        for side, layer in shown(network).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("positions")


def table(found):
    """A row for each size of maps, from metrics.json."""
    rows = {}
    for one in found["sizes"]:
        fresh = one["untrained"]
        rows[_size(one)] = {
            "share in the regions": _share(one),
            "their area": percent(found["area"]["all"]),
            "untrained: mean (range)": f"{percent(fresh['share']['all'])} ({_range(fresh['least'], fresh['most'])})",
            "untrained with as much": "–" if one["low"] is None else f"{fresh['as_much']} of {fresh['networks']}",
            "possible": _range(*one["reach"]),
            "maps of zeros": f"{one['empty']:,} of {one['images']:,}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("positions")


def region_table(found):
    """How many times its area each region has of the maps; in parentheses, of the untrained networks' maps."""
    rows = {}
    for one in found["sizes"]:
        ours, fresh = one["share"], one["untrained"]["share"]
        rows[_size(one)] = {
            name: "–" if ours[name] is None else f"{ours[name] / area:.2f} ({fresh[name] / area:.2f})"
            for name, area in found["area"].items()
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("positions")


def class_table(found):
    """The share in the regions by the label given, from `FEWEST_MAPS` maps: a column for each size of maps."""
    columns = {"images": {name: f"{one['images']:,}" for name, one in found["sizes"][0]["classes"].items()}}
    for one in found["sizes"]:
        columns[_size(one)] = {
            name: _share(entry) if entry["images"] - entry["empty"] >= FEWEST_MAPS else "–"
            for name, entry in one["classes"].items()
        }
    return pd.DataFrame(columns).rename_axis("named")


def findings(found):
    """Whether the network looks where the paper says, in sentences."""
    first, area = found["sizes"][0], found["area"]["all"]
    said = [
        f"Mouth, nose, eyes and brows cover {percent(area)} of the image. Of the maps at {_size(first)} positions, for "
        f"the labels that the {found['model']} network gives {counted(found['n_test'], 'test image')}, they hold "
        f"**{_share(first)}**. {_verdict(found, first)}"
    ]
    for one in found["sizes"][1:]:
        said.append(f"At {_size(one)} positions it is {_share(one)}: {_verdict(found, one, short=True)}.")
    ratios = {name: first["share"][name] / area for name, area in found["area"].items() if first["share"][name]}
    ratios.pop("all", None)
    if ratios:
        ordered = sorted(ratios, key=ratios.get, reverse=True)
        each = [f"the {name} {ratios[name]:.1f}" for name in ordered]
        said.append(f"In multiples of the area that each covers, at {_size(first)}: {listed(each)}.")
        below = [f"the {name}" for name in ordered if ratios[name] < 1]
        if below:
            said.append(f"Below 1, so less than the area: {listed(below)}.")
    empty = [f"{percent(one['empty'] / one['images'])} at {_size(one)}" for one in found["sizes"] if one["empty"]]
    if empty:
        said.append(f"Maps of zeros, where nothing speaks for the label, are left out: {listed(empty)}.")
    return " ".join(said)


def _verdict(found, one, short=False):
    """What a share is worth beside the area and the untrained networks."""
    fresh, area = one["untrained"], found["area"]["all"]
    if one["low"] is None or not fresh["networks"]:
        return "too few maps to say more" if short else "These are too few maps to say more."
    more, less = one["low"] > area, one["high"] < area
    side = "more than their area" if more else "less than their area" if less else "not to be told from their area"
    if short:
        return f"{side}, and above {fresh['networks'] - fresh['as_much']} of {fresh['networks']} untrained networks"
    some = ""
    if fresh["images"] < one["images"]:
        some = f" on {fresh['images']:,} of the images, the trained one {percent(fresh['trained'])} there"
    said = (
        f"That is {side}. Of {fresh['networks']} networks with random weights "
        f"({_range(fresh['least'], fresh['most'])}{some}), {fresh['as_much'] or 'none'} "
        f"{'has' if fresh['as_much'] == 1 else 'have'} as much: "
    )
    if not more:
        return said + "by this measure the network does not prefer these parts of the face."
    if fresh["as_much"]:
        return said + "the preference need not come from what the network has learnt."
    chance = f"to be above all of them by chance: 1 in {fresh['networks'] + 1}, at each size by itself"
    return said + f"the network has learnt to prefer these parts ({chance})."


def _size(one):
    return f"{one['positions']}x{one['positions']}"


def _share(entry):
    share = entry["share"]["all"]
    return percent(share) if entry["low"] is None else with_interval(share, entry["low"], entry["high"])


def _range(low, high):
    return f"{100 * low:.1f}–{100 * high:.1f} %"


def title(found):
    """What a figure is of."""
    return f"{TITLES[found['dataset']]}, {found['model']} network"
