"""The data sets, read from ``data/raw/`` and split: what `sources.fetch` brought, as images with labels and parts."""

import zipfile
from pathlib import Path

import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import EXPRESSIONS, concatenate, make_faces
from fergit.core.files import read_json
from fergit.data import ckplus, copies, ferplus, splits
from fergit.data.parallel import ordered_map
from fergit.data.sources import MODULES, SOURCES

CLASSES = dict.fromkeys(SOURCES, EXPRESSIONS) | {"ckplus": ckplus.CLASSES}


def load(dataset):
    """Read the Faces that `sources.fetch` brought to ``data/raw/<dataset>/``.

    FERGIT is FER2013 followed by muxspace. ``split`` holds the official split, where there is one.
    """
    sources = _manifest(dataset)["sources"]
    try:
        files = [(entry["source"], paths.RAW / dataset / Path(entry["file"]).name) for entry in sources]
    except (KeyError, TypeError):
        files = []
    if tuple(source for source, _ in files) != SOURCES[dataset]:
        name = paths.relative(paths.RAW / dataset / "manifest.json")
        raise FergitError(f"{name}: not what fetch wrote; {_remedy(dataset)}")
    if dataset == "synthetic":
        return _read_drawn(files[0][1])
    # At once: FER2013 mostly waits for one decompressor, which leaves a core to the images of muxspace.
    return concatenate(*ordered_map(lambda file: MODULES[file[0]].read(file[1]), files))


def votes(dataset):
    """FER+'s votes on FER2013's images, by ``sample_id``: a DataFrame, or None where there are none."""
    file = _manifest(dataset)["votes"]
    return ferplus.read(paths.RAW / dataset / Path(file["file"]).name) if file else None


def split(dataset, faces, own):
    """Deal the faces of `load` to the parts, by the data set's section ``split`` of params.yaml.

    FERGIT and synthetic in two stratified steps, FER2013 as published, CK+ by its protocol; with ``leave_out_copies``
    training images that another part has too are gone.
    """
    try:
        faces = faces.with_split(_parts(dataset, faces, own))
    except FergitError as error:
        values = ", ".join(f"{key}: {str(value).lower()}" for key, value in own.items())
        raise FergitError(f"params.yaml: {dataset}.{error} (split is {{{values}}})") from None
    return copies.without_copies(faces) if own.get("leave_out_copies") else faces


def preprocess(dataset, settings):
    """`load` and `split`, with a data set's section of params.yaml."""
    return split(dataset, load(dataset), settings["split"])


def _parts(dataset, faces, own):
    labels, seed, classes = faces.labels, own["seed"], faces.classes
    if SOURCES[dataset] == ("fer2013",):
        return splits.official(faces.split, labels, seed, classes)
    if dataset != "ckplus":
        return splits.stratified_two_step(labels, own["held_out"], seed, classes, own.get("rule", "sklearn"))
    if own["protocol"] == "frames":
        return splits.frames(labels, own["held_out"], own["validation"], seed, classes)
    return splits.subjects(labels, faces.group, own["folds"], own["fold"], seed, classes)


def _manifest(dataset):
    return read_json(paths.RAW / dataset / "manifest.json", ("sources", "votes"), _remedy(dataset))


def _remedy(dataset):
    return f"`dvc repro -f fetch@{dataset}` brings it"


def _read_drawn(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            images, labels, group = (file[key] for key in ("images", "labels", "group"))
        sample_id = [f"synthetic/{row:05d}" for row in range(len(images))]
        return make_faces(images, labels, EXPRESSIONS, "synthetic", sample_id, group=group)
    except (FergitError, OSError, EOFError, ValueError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
        raise FergitError(f"{paths.relative(path)}: not what fetch wrote; {_remedy('synthetic')}") from None
