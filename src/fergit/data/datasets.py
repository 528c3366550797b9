"""The data sets, from what the user has to what the networks see.

``fetch`` takes the sources of a data set from ``data/external/`` (or draws, or downloads them), checks them and keeps
them under ``data/raw/<dataset>/``; ``load`` reads them from there; ``preprocess`` splits them.
"""

import contextlib
import hashlib
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import Faces, concatenate, load_processed, make_faces, save_processed
from fergit.core.files import sha256, write_arrays, write_atomically, write_json
from fergit.core.parallel import ordered_map
from fergit.data import anomalies, ckplus, fer2013, muxspace, splits
from fergit.data.archives import SUFFIXES, open_archive, pack, suffix
from fergit.data.download import download

__all__ = ["CLASSES", "EXPECTED", "SOURCES", "Faces", "fetch", "load", "load_processed", "preprocess", "save_processed"]

SOURCES = {
    "synthetic": ("synthetic",),
    "fer2013": ("fer2013",),
    "fergit": ("fer2013", "muxspace"),
    "ckplus": ("ckplus",),
}
CLASSES = {
    "synthetic": fer2013.CLASSES,
    "fer2013": fer2013.CLASSES,
    "fergit": fer2013.CLASSES,
    "ckplus": ckplus.CLASSES,
}
EXPECTED = {  # images by class, as published; synthetic has as many as params.yaml says
    "fer2013": dict(zip(fer2013.CLASSES, map(sum, zip(*fer2013.COUNTS.values(), strict=True)), strict=True)),
    "fergit": dict(zip(fer2013.CLASSES, (5205, 755, 5142, 14685, 6077, 4370, 13066), strict=True)),
    "ckplus": dict(zip(ckplus.CLASSES, ckplus.COUNTS, strict=True)),
}

READERS = {"fer2013": fer2013.read, "muxspace": muxspace.read, "ckplus": ckplus.read}
NAMES = {  # of what lies in data/external/, without suffix, in any case
    "fer2013": r"fer-?2013|icml_face_data|challenges-in-representation-learning-facial-expression.*",
    "muxspace": r"muxspace.*|facial_expressions.*",
    "ckplus": r"(ckplus|ck\+|ck)([-_ ]?48)?",
}
MISSING = {
    "fer2013": "get fer2013.tar.gz from https://www.kaggle.com/c/challenges-in-representation-learning-facial-"
    "expression-recognition-challenge/data, or the folders from https://www.kaggle.com/datasets/msambare/fer2013 "
    "(either needs a Kaggle account), and put it there as fer2013.tar.gz, fer2013.csv, fer2013.csv.xz, fer2013.zip or "
    "a folder fer2013/",
    "muxspace": "get https://github.com/muxspace/facial_expressions/archive/5fb9c13a.zip (Apache-2.0) and put it there "
    "as muxspace.zip or unpacked as a folder muxspace/, or set fetch.download to true",
    "ckplus": "get CK+48 from https://www.kaggle.com/datasets/shawon10/ckplus (needs a Kaggle account) and put it "
    "there as ckplus48.zip or unpacked as a folder ckplus48/",
}

# GitHub makes its archives anew now and then, with other bytes: so what is checked is the table inside, and the counts.
MUXSPACE_URLS = (
    "https://github.com/muxspace/facial_expressions/archive/5fb9c13a.zip",
    "https://codeload.github.com/muxspace/facial_expressions/zip/5fb9c13a",
)
MUXSPACE_BYTES = 600 << 20  # at most; the repository has 246 MB of images
DOWNLOADS = "downloads"  # in the work folder: what lies in data/external/ is the user's


def fetch(dataset, settings):
    """Bring the sources of a data set to ``data/raw/<dataset>/``, checked, with a ``manifest.json``.

    Says plainly what was found, and how it differs from what is published; a difference is a warning, not an error.

    Parameters
    ----------
    dataset : "synthetic", "fer2013", "fergit" or "ckplus"
    settings : dict
        Section ``fetch`` of params.yaml.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    FergitError
        A source is missing (says what to get, from where, and where to put it) or damaged. What was in ``data/raw/``
        before is still there (DVC, though, removes it before it runs the stage).
    """
    if dataset not in SOURCES:
        raise FergitError(f"fetch: no data set {dataset!r}; there are {', '.join(SOURCES)}")
    with _new_folder(paths.RAW / dataset) as folder:
        if dataset == "synthetic":
            entries = [_draw(settings["fetch"]["draw"], folder)]
        else:
            found = {source: _find(source, settings["fetch"]["download"]) for source in SOURCES[dataset]}
            entries = [_take(source, path, folder) for source, path in found.items()]
        manifest = {"dataset": dataset, "images": sum(entry["images"] for entry in entries), "sources": entries}
        manifest["differences"] = [sentence for entry in entries for sentence in entry.pop("differences")]
        write_json(folder / "manifest.json", manifest)
    _say(manifest)
    return manifest


def load(dataset):
    """Read what `fetch` brought to ``data/raw/<dataset>/``.

    Returns
    -------
    Faces
        FERGIT is FER2013 followed by muxspace. ``split`` holds the official split, where there is one.

    Raises
    ------
    FergitError
        Nothing is there, or it is damaged.
    """
    folder = paths.RAW / dataset
    name = paths.relative(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files = [(entry["source"], folder / Path(entry["file"]).name) for entry in manifest["sources"]]
    except FileNotFoundError:
        raise FergitError(f"{name}: nothing there; `dvc repro fetch@{dataset}` brings it") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise FergitError(
            f"{name}/manifest.json: not what fetch wrote; `dvc repro -f fetch@{dataset}` mends it"
        ) from None
    if tuple(source for source, _ in files) != SOURCES[dataset]:
        raise FergitError(f"{name}/manifest.json: has other sources than {', '.join(SOURCES[dataset])}")
    if dataset == "synthetic":
        return _read_drawn(files[0][1])
    # At once: FER2013 mostly waits for one decompressor, which leaves a core to the images of muxspace.
    return concatenate(*ordered_map(lambda file: READERS[file[0]](file[1]), files))


def preprocess(dataset, settings):
    """Load a data set and split it.

    FERGIT and synthetic in two stratified steps, FER2013 as published, CK+ by its protocol; with ``leave_out_copies``
    training images that another part has too are gone.

    Parameters
    ----------
    dataset : str
    settings : dict
        Section ``split``, of the data set, of params.yaml.

    Returns
    -------
    Faces

    Raises
    ------
    FergitError
        As `load`, or a class is too small for the split.
    """
    faces, own = load(dataset), settings["split"]
    try:
        faces = faces.with_split(_split(dataset, faces, own))
    except FergitError as error:
        values = ", ".join(f"{key}: {str(value).lower()}" for key, value in own.items())
        raise FergitError(f"params.yaml: {dataset}.{error} (split is {{{values}}})") from None
    return anomalies.without_leaks(faces) if own.get("leave_out_copies") else faces


def _split(dataset, faces, own):
    """The part of each image: str (n,)."""
    labels, seed, classes = faces.labels, own["seed"], faces.classes
    if dataset == "fer2013":
        return splits.official(faces.split, labels, seed, classes)
    if dataset != "ckplus":
        return splits.stratified_two_step(labels, own["held_out"], seed, classes, own.get("rule", "sklearn"))
    if own["protocol"] == "frames":
        return splits.frames(labels, own["held_out"], own["validation"], seed, classes)
    return splits.subjects(labels, faces.group, own["folds"], own["fold"], seed, classes)


def _find(source, may_download):
    """The file or folder of a source, in data/external/ or among earlier downloads; downloads it, if it may."""
    there, others = [], []
    for folder in (paths.EXTERNAL, *([paths.WORK / DOWNLOADS] if may_download else [])):
        if there:
            break  # what the user put there goes before what was once downloaded
        try:
            entries = sorted(folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            raise FergitError(f"{paths.relative(folder)}: cannot be listed ({error.strerror})") from None
        for path in entries:
            stem = path.name.lower().removesuffix(suffix(path))
            known = path.is_dir() or suffix(path)
            if known and re.fullmatch(NAMES[source], stem):
                there.append(path)
            elif known and not any(re.fullmatch(pattern, stem) for pattern in NAMES.values()):
                others.append(path.name)
    if there:
        # Files before folders, and of them the quickest to read.
        order = (".csv", ".csv.gz", ".csv.xz", *[kind for kind in SUFFIXES if not kind.startswith(".csv")], "")
        there.sort(key=lambda path: ("" if path.is_dir() else suffix(path), path.name))
        there.sort(key=lambda path: order.index("" if path.is_dir() else suffix(path)))
        if there[0].is_symlink() and not there[0].exists():
            raise FergitError(f"{paths.relative(there[0])}: a link to {there[0].readlink()}, which is not there")
        unused = "".join(f"; not used: {paths.relative(path)}" for path in there[1:])
        print(f"{source}: taken from {paths.relative(there[0])}{unused}")
        return there[0]
    if source == "muxspace" and may_download:
        return _download_muxspace()
    seen = f" (there is {', '.join(others[:3])}, but by its name it is no known source)" if others else ""
    raise FergitError(f"{source}: not in {paths.relative(paths.EXTERNAL)}/{seen}; {MISSING[source]}")


def _download_muxspace():
    target = paths.WORK / DOWNLOADS / "muxspace.zip"
    print(f"muxspace: not in {paths.relative(paths.EXTERNAL)}/, downloaded from {MUXSPACE_URLS[0]}")
    try:
        download(MUXSPACE_URLS, target, max_bytes=MUXSPACE_BYTES)
    except FergitError as error:
        raise FergitError(f"muxspace: {error}; {MISSING['muxspace'].split(', or set')[0]}") from None
    try:
        with open_archive(target) as archive:
            found = _legend_sha256(archive)
        if found != muxspace.LEGEND_SHA256:
            raise FergitError(
                f"muxspace: the downloaded data/legend.csv has sha256 {found}; expected {muxspace.LEGEND_SHA256}"
            )
    except FergitError:
        target.unlink(missing_ok=True)  # else the next fetch would take it for the user's own
        raise
    return target


def _legend_sha256(archive):
    table, _ = muxspace.members(archive)
    return hashlib.sha256(dict(archive.read_all([table], muxspace.MAX_LEGEND_BYTES))[table]).hexdigest()


def _take(source, path, folder):
    """Check a source and copy it into the folder of raw data; returns its entry in the manifest."""
    entry = {"source": source} | {"fer2013": _check_fer2013, "muxspace": _check_muxspace, "ckplus": _check_ckplus}[
        source
    ](path)
    target = folder / (f"{source}.zip" if path.is_dir() else path.name)
    try:
        with write_atomically(target) as file:
            if path.is_dir():
                with open_archive(path) as archive:
                    pack(archive, _members(source, archive), file)
            else:
                with open(path, "rb") as original:
                    shutil.copyfileobj(original, file, 1 << 20)
    except OSError as error:
        raise FergitError(f"{paths.relative(path)}: cannot be copied to data/raw ({error.strerror or error})") from None
    return entry | {"file": target.name, "bytes": target.stat().st_size, "sha256": sha256(target)}


def _members(source, archive):
    if source == "muxspace":
        table, files = muxspace.members(archive)
        top = table.removesuffix("data/legend.csv")
        licence = [name for name in archive.names if name in (f"{top}LICENSE", f"{top}README.md")]
        return [table, *files.values(), *licence]
    return fer2013.members(archive)[1] if source == "fer2013" else ckplus.members(archive)


def _check_fer2013(path):
    digest = hashlib.sha256()
    faces = fer2013.read(path, digest)
    with open_archive(path) as archive:
        form, _ = fer2013.members(archive)
    parts = [part for part in ("train", "validation", "test", "") if (faces.split == part).any()]
    counts = {part or "validation and test": faces.take(faces.split == part).counts() for part in parts}
    published = {part: dict(zip(fer2013.CLASSES, numbers, strict=True)) for part, numbers in fer2013.COUNTS.items()}
    if "" in parts:
        held = {name: published["validation"][name] + published["test"][name] for name in fer2013.CLASSES}
        published = {"train": published["train"], "validation and test": held}
    differences = []
    for part in published | counts:
        differences += _compare("fer2013", counts.get(part, {}), published.get(part, {}), f" in {part}")
    if form == "csv" and not differences and digest.hexdigest() != fer2013.CSV_SHA256:
        differences.append("fer2013: the counts are as published, but the CSV is not Kaggle's byte for byte")
    return {"form": form, "images": len(faces), "counts": counts, "differences": differences}


def _check_muxspace(path):
    faces = muxspace.read(path)
    with open_archive(path) as archive:
        emotions = [emotion for _, _, emotion in muxspace.read_legend(archive)]
        same = _legend_sha256(archive) == muxspace.LEGEND_SHA256
    counts = {name: emotions.count(name) for name in muxspace.EMOTIONS}
    differences = _compare("muxspace", counts, muxspace.COUNTS, " in its table")
    if not same and not differences:
        differences.append(
            "muxspace: the counts are as published, but data/legend.csv is not the repository's byte for byte"
        )
    return {"form": "repository", "images": len(faces), "counts": counts, "differences": differences}


def _check_ckplus(path):
    faces = ckplus.read(path)
    differences = _compare("ckplus", faces.counts(), EXPECTED["ckplus"], "")
    people, sequences = (len(np.unique(names)) for names in (faces.group, ckplus.sequences(faces.sample_id)))
    for what, number, published in (("subjects", people, ckplus.SUBJECTS), ("sequences", sequences, ckplus.SEQUENCES)):
        if number != published:
            differences.append(f"ckplus: {number} {what}; published: {published}")
    return {"form": "folders", "images": len(faces), "counts": faces.counts(), "differences": differences}


def _compare(source, counts, published, where):
    """A sentence for each class whose number is not the published one."""
    return [
        f"{source}: {counts.get(name, 0):,} images of class {name}{where}; published: {published.get(name, 0):,}"
        for name in counts | published
        if counts.get(name, 0) != published.get(name, 0)
    ]


def _draw(draw, folder):
    from fergit.data import synthetic  # here: only one data set needs it

    images, labels, group = synthetic.draw_faces(draw["images"], draw["seed"])
    target = folder / "faces.npz"
    write_arrays(target, images=images, labels=labels, group=group)
    entry = {"source": "synthetic", "form": "drawn", "images": len(images), "counts": _read_drawn(target).counts()}
    return entry | {"differences": [], "file": target.name, "bytes": target.stat().st_size, "sha256": sha256(target)}


def _read_drawn(path):
    name = paths.relative(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            images, labels, group = (file[key] for key in ("images", "labels", "group"))
        sample_id = [f"synthetic/{row:05d}" for row in range(len(images))]
        return make_faces(images, labels, CLASSES["synthetic"], "synthetic", sample_id, group=group)
    except (FergitError, OSError, EOFError, ValueError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
        raise FergitError(f"{name}: not what fetch wrote; `dvc repro -f fetch@synthetic` mends it") from None


def _say(manifest):
    """Say what was fetched; the differences go to the error stream."""
    dataset, images, differences = manifest["dataset"], manifest["images"], manifest["differences"]
    if dataset == "synthetic":
        print(f"synthetic: {images:,} images, drawn")
        return
    published = sum(EXPECTED[dataset].values())
    if not differences:
        print(f"{dataset}: {images:,} images, as published")
        return
    print(f"{dataset}: {images:,} images; published: {published:,}. What differs:", file=sys.stderr)
    for sentence in differences:
        print(f"  {sentence}", file=sys.stderr)


@contextlib.contextmanager
def _new_folder(target):
    """A folder that takes the place of another only when all is well."""
    partial = target.with_name(f".{target.name}.partial")
    before = target.with_name(f".{target.name}.before")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a fetch that was killed
        partial.mkdir(parents=True)
        yield partial
        if target.exists():
            target.rename(before)
        partial.rename(target)
    except OSError as error:
        raise FergitError(f"{paths.relative(target)}: cannot be written ({error.strerror or error})") from None
    finally:
        if before.exists() and not target.exists():
            before.rename(target)
        for folder in (partial, before):
            shutil.rmtree(folder, ignore_errors=True)
