"""The data sets, as `sources.fetch` left them in ``data/raw/``, and their splits."""

import zipfile

import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import COLUMNS, Faces
from fergit.core.files import read_json, read_table
from fergit.data import copies, ferplus, splits
from fergit.data.sources import FACES, VOTES


def load(dataset):
    """Read the Faces of ``data/raw/<dataset>/``. ``split`` holds the official split, where there is one, else ""."""
    path = paths.RAW / dataset / FACES
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("images", *COLUMNS, "classes")}
        return Faces(**arrays | {"classes": tuple(arrays["classes"].tolist())})
    except FileNotFoundError:
        raise FergitError(f"{paths.relative(path)}: no such file; {_remedy(dataset)}") from None
    except (FergitError, OSError, EOFError, ValueError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
        raise FergitError(f"{paths.relative(path)}: not what fetch wrote; {_remedy(dataset)}") from None


def differences(dataset):
    """How the sources differ from what is published, and what of them was left out: a list of sentences."""
    return read_json(paths.RAW / dataset / "manifest.json", ["differences"], _remedy(dataset))["differences"]


def votes(dataset):
    """FER+'s votes on FER2013's images, by ``sample_id``: a DataFrame, or None where there are none."""
    path = paths.RAW / dataset / VOTES
    return read_table(path, ferplus.VOTES, _remedy(dataset), index_col="sample_id") if path.exists() else None


def split(dataset, faces, own):
    """Deal the faces of `load` to the parts, by the data set's section ``split`` of params.yaml.

    By a protocol, in two stratified steps, or as the source has it; with ``leave_out_copies`` training images that
    another part has too are gone.
    """
    try:
        faces = faces.with_split(_parts(faces, own))
    except FergitError as error:
        values = ", ".join(f"{key}: {str(value).lower()}" for key, value in own.items())
        raise FergitError(f"params.yaml: {dataset}.{error} (split is {{{values}}})") from None
    return copies.without_copies(faces) if own.get("leave_out_copies") else faces


def preprocess(dataset, settings):
    """`load` and `split`, with a data set's section of params.yaml."""
    return split(dataset, load(dataset), settings["split"])


def _parts(faces, own):
    labels, seed, classes = faces.labels, own["seed"], faces.classes
    if own.get("protocol") == "frames":
        return splits.frames(labels, own["held_out"], own["validation"], seed, classes)
    if own.get("protocol") == "subjects":
        return splits.subjects(labels, faces.group, own["folds"], own["fold"], seed, classes)
    if "held_out" not in own:
        return splits.official(faces.split, labels, seed, classes)
    if (faces.split != "").all():
        return splits.with_validation(faces.split, labels, own["held_out"], seed, classes)
    return splits.stratified_two_step(labels, own["held_out"], seed, classes, own.get("rule", "sklearn"))


def _remedy(dataset):
    return f"`dvc repro -f fetch@{dataset}` brings it"
