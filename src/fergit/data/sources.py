"""The files that a person has, found in ``data/external/``, read, checked, and written to ``data/raw/<dataset>/``."""

import contextlib
import hashlib
import re
import shutil
import sys

import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.faces import COLUMNS, concatenate, make_faces
from fergit.core.files import sha256, write_arrays, write_json, write_table, write_text
from fergit.data import ckplus, fer2013, ferplus, folders, muxspace
from fergit.data.archives import SUFFIXES, open_archive, suffix
from fergit.data.download import download

SOURCES = {  # of a data set, by the word `source` in its block of params.yaml
    "synthetic": ("synthetic",),
    "fer2013": ("fer2013",),
    "fergit": ("fer2013", "muxspace"),
    "ckplus": ("ckplus",),
}
EXPECTED = {  # images by class, as published; synthetic has as many as params.yaml says
    "fer2013": dict(zip(fer2013.CLASSES, map(sum, zip(*fer2013.COUNTS.values(), strict=True)), strict=True)),
    "fergit": dict(zip(fer2013.CLASSES, (5205, 755, 5142, 14685, 6077, 4370, 13066), strict=True)),
    "ckplus": dict(zip(ckplus.CLASSES, ckplus.COUNTS, strict=True)),
}

MODULES = {"fer2013": fer2013, "muxspace": muxspace, "ckplus": ckplus}
NAMES = {  # of what lies in data/external/, without suffix, in any case
    "fer2013": r"fer-?2013|icml_face_data|challenges-in-representation-learning-facial-expression.*",
    "muxspace": r"muxspace.*|facial_expressions.*",
    "ckplus": r"(ckplus|ck\+|ck)([-_ ]?48)?",
}
ANY = r"archive([ _-]?\(?\d+\)?)?"  # what Kaggle calls a download of any data set: its content decides
MISSING = {
    "fer2013": "get fer2013.tar.gz from https://www.kaggle.com/c/challenges-in-representation-learning-facial-"
    "expression-recognition-challenge/data, or the folders from https://www.kaggle.com/datasets/msambare/fer2013 "
    "(either needs a Kaggle account), and put it there as fer2013.tar.gz, fer2013.csv, fer2013.csv.xz, fer2013.zip or "
    f"a folder fer2013/. {fer2013.NO_LABELS}",
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

FACES, VOTES, LEFT_OUT = "faces.npz", "votes.csv", "left-out.txt"  # in data/raw/<dataset>/


def fetch(dataset, settings):
    """Read the sources of a data set into ``data/raw/<dataset>/``, with a ``manifest.json``, which is returned.

    Says what was found, and how it differs from what is published; a difference is a warning. An error is a source that
    is missing (it says what to get, from where, and where to put it) or damaged; what was in ``data/raw/`` before is
    still there (DVC, though, removes it before it runs the stage). `settings` are those of stage fetch, ``fetch`` and
    the data set's own ``images``.
    """
    own, kind, entries, differences = settings["images"], settings["images"]["source"], [], []
    with _new_folder(paths.RAW / dataset) as folder:
        # All are looked for before one is read, which may take a while.
        there = [(source, find(source, settings["fetch"]["download"])) for source in SOURCES.get(kind, (dataset,))]
        several, lost = [], []
        for source, path in there:
            with _naming(path or source, "read"):
                read = _draw(settings["fetch"]["draw"]) if path is None else _read(source, path, dataset, own)
                faces, differs, *unusable = read
                lost += sum(unusable, [])  # pictures of the user's own
                entry = {"source": source, "images": len(faces), "counts": faces.counts()}
                entries.append(entry | (_of_file(path) if path and path.is_file() else {}))
            differences += [f"{source}: {sentence}" for sentence in differs]
            several.append(faces)
        faces = concatenate(*several)
        if "fer2013" in SOURCES.get(kind, ()):
            faces = _with_votes(faces, own, folder, entries, differences)
        arrays = {name: getattr(faces, name) for name in ("images", *COLUMNS)}
        manifest = {"dataset": dataset, "images": len(faces), "sources": entries, "differences": differences}
        with _naming(paths.RAW / dataset, "written"):
            write_arrays(folder / FACES, **arrays, classes=np.array(faces.classes))
            write_json(folder / "manifest.json", manifest)
            if lost:
                write_text(folder / LEFT_OUT, "".join(f"{name}\n" for name in lost))
    _say(manifest, kind)
    if lost:
        print(
            f"{dataset}: {paths.relative(paths.RAW / dataset / LEFT_OUT)} lists all of these pictures", file=sys.stderr
        )
    return manifest


def find(source, may_download):
    """The file or folder of a source, in data/external/ or among earlier downloads; downloads it, if it may.

    A source that is none of `NAMES` is a data set of one's own; "synthetic" has no file, so None.
    """
    if source == "synthetic":
        return None  # is drawn
    there, others = [], []
    pattern = NAMES.get(source, re.escape(source.lower()))
    for folder in (paths.EXTERNAL, *([paths.WORK / DOWNLOADS] if may_download else [])):
        if there:
            break  # what the user put there goes before what was once downloaded
        try:
            entries = sorted(folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            raise FergitError(f"{paths.relative(folder)}: cannot be listed ({error.strerror})") from None
        for path in entries:
            stem = path.name.lower().removesuffix(suffix(path))
            known = suffix(path) or path.is_dir() or "." not in stem  # some programs drop a download's suffix
            if known and (re.fullmatch(pattern, stem) or re.fullmatch(ANY, stem) and _holds(path, source)):
                there.append(path)
            elif not any(re.fullmatch(pattern, stem) for pattern in (*NAMES.values(), r"\..*|.*fer2013new")):
                others.append(path.name)
    if there:
        # Files before folders, and of them the quickest to read.
        there.sort(key=lambda path: (path.is_dir(), (*SUFFIXES, "").index(suffix(path)), path.name))
        if there[0].is_symlink() and not there[0].exists():
            raise FergitError(f"{paths.relative(there[0])}: a link to {there[0].readlink()}, which is not there")
        unused = "".join(f"; not used: {paths.relative(path)}" for path in there[1:])
        print(f"{source}: taken from {paths.relative(there[0])}{unused}")
        return there[0]
    if source == "muxspace" and may_download:
        return _download_muxspace()
    missing = MISSING.get(source, f"put a folder {source}/ there, or {source}.zip, with a folder for each class")
    seen = f" (there is {', '.join(others[:3])}, but by name and kind it is no known source)" if others else ""
    raise FergitError(f"{source}: not in {paths.relative(paths.EXTERNAL)}/{seen}; {missing}")


def _holds(path, source):
    if source not in MODULES:
        return False
    try:
        with open_archive(path) as archive:
            return bool(MODULES[source].members(archive))
    except FergitError:
        return False


def _download_muxspace():
    target = paths.WORK / DOWNLOADS / "muxspace.zip"
    print(f"muxspace: not in {paths.relative(paths.EXTERNAL)}/, downloaded from {MUXSPACE_URLS[0]}")
    try:
        download(MUXSPACE_URLS, target, max_bytes=MUXSPACE_BYTES)
    except FergitError as error:
        raise FergitError(f"muxspace: {error}; {MISSING['muxspace'].split(', or set')[0]}") from None
    try:
        with open_archive(target) as archive:
            muxspace.read_legend(archive, digest := hashlib.sha256())
        if digest.hexdigest() != muxspace.LEGEND_SHA256:
            raise FergitError(
                f"muxspace: data/legend.csv, as downloaded, has sha256 {digest.hexdigest()}; expected "
                f"{muxspace.LEGEND_SHA256}"
            )
    except FergitError:
        target.unlink(missing_ok=True)  # else the next fetch would take it for the user's own
        raise
    return target


def _of_file(path):
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def _with_votes(faces, own, folder, entries, differences):
    """FER+'s votes beside FER2013, where they are: for the notebook on labels; the faces, by the votes if asked for."""
    path, votes = ferplus.find(), None
    try:
        votes = ferplus.read(path) if path else None
    except FergitError as error:
        differences.append(f"ferplus: not taken, {error}")
    if votes is not None:
        print(f"ferplus: taken from {paths.relative(path)}")
        entries.append({"source": "ferplus"} | _of_file(path))
        write_table(folder / VOTES, votes)
    if own.get("labels") != "majority":
        return faces
    if votes is None:
        why = differences[-1] if path else f"ferplus: not in {paths.relative(paths.EXTERNAL)}/"
        raise FergitError(f"{why}; images.labels: majority needs fer2013new.csv, from {ferplus.SOURCE}")
    agreed = ferplus.by_majority(faces, votes)
    differences.append(f"ferplus: left out, for no majority sees an expression: {len(faces) - len(agreed):,} images")
    return agreed


def _draw(draw):
    from fergit.data import synthetic  # here: only one data set needs it

    images, labels, group = synthetic.draw_faces(draw["images"], draw["seed"])
    names = [f"synthetic/{row:05d}" for row in range(len(images))]
    return make_faces(images, labels, synthetic.CLASSES, "synthetic", names, group=group), []


def _read(source, path, dataset, own):
    if source in ("fer2013", "muxspace"):
        return MODULES[source].read(path)
    return ckplus.read(path, own["neutral"]) if source == "ckplus" else folders.read(path, dataset, own)


def _say(manifest, kind):
    """Say what was fetched; the differences go to the error stream."""
    dataset, number, differences = manifest["dataset"], manifest["images"], manifest["differences"]
    lines = "".join(f"\n  {sentence}" for sentence in differences)
    if kind not in EXPECTED:
        print(f"{dataset}: {number:,} images, {'drawn' if kind == 'synthetic' else 'as they are sorted'}")
        if lines:
            print(f"{dataset}: what was left out:{lines}", file=sys.stderr)
    elif not differences:
        print(f"{dataset}: {number:,} images, numbers as published")
    else:
        published = sum(EXPECTED[kind].values())
        print(f"{dataset}: {number:,} images; published: {published:,}. What differs:{lines}", file=sys.stderr)


@contextlib.contextmanager
def _new_folder(target):
    """A folder that takes the place of another only when all is well."""
    partial, old = (target.with_name(f".{target.name}.{name}") for name in ("partial", "old"))
    try:
        with _naming(target, "written"):
            shutil.rmtree(partial, ignore_errors=True)  # of a fetch that was killed
            partial.mkdir(parents=True)
        yield partial
        with _naming(target, "written"):
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                target.rename(old)  # at once, unlike its deletion
            partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _naming(path, what):
    """Say which path it was that could not be read or written."""
    try:
        yield
    except OSError as error:
        raise FergitError(f"{paths.relative(path)}: cannot be {what} ({error.strerror or error})") from None
