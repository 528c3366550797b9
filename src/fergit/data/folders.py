"""Faces of one's own: a picture a file, in a folder for each class, or in such folders below train/ and test/."""

import functools
import re
import unicodedata
from collections import Counter
from pathlib import PurePosixPath

import cv2
import numpy as np

from fergit.core import progress
from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.data import detection, images, notes
from fergit.data.archives import open_archive
from fergit.data.parallel import ordered_map

MAX_BYTES = 2**27  # of a picture: one of 20 million pixels and three channels of 16 bits, not packed
PARTS = {  # by the name of a folder, in lower case
    **dict.fromkeys(("train", "training", "train_set", "training_set"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "publictest", "val_set", "validation_set"), "validation"),
    **dict.fromkeys(("test", "testing", "privatetest", "test_set", "testing_set"), "test"),
}
FEWEST, MOST = 2, 256  # classes; a label is one byte
NEEDED = 3  # images of a class: one for each part
PICTURES_A_LINE = 500  # of progress while faces are looked for: half a minute to a minute

_detector = functools.cache(detection.FaceDetector)  # read when it is needed first


def part_and_class(name):
    """(part, class folder) of an image's path, or None where it lies in no folder of a part."""
    *_, part, folder, _ = ["", "", *name.split("/")]
    return (PARTS[part.lower()], folder) if part.lower() in PARTS else None


def read(path, dataset, own):
    """Read a folder or an archive of pictures: Faces, a sentence for each kind of file left out, and unusable pictures.

    A ``sample_id`` is such as "rafdb/train/happy/1.jpg", `dataset` is the ``source``, ``split`` is "" without folders
    of parts. `own` is the section ``images`` of the data set's block: ``crop``, ``classes``, ``person``.
    """
    with open_archive(path) as archive:
        pictures, root = _pictures(archive)
        left_out = notes.not_read(archive, pictures)
        seen = filter(images.is_image, archive.names)
        inside = {folder for name in seen for folder in map(str, PurePosixPath(name).parents)}
        left_out += notes.such_as("folders without a picture", sorted(archive.folders - inside - {"", "."}))
        classes = _classes(archive.name, {name: name.split("/")[-2] for name in pictures}, own.get("classes"))
        unwanted = Counter(name.split("/")[-2] for name in pictures if name not in classes)
        left_out += [f"left out by images.classes: {number:,} of {folder}" for folder, number in unwanted.items()]
        people = _people(archive.name, classes, own.get("person"))
        faces, unread, faceless = {}, [], []
        decode = functools.partial(_read, face_of if own["crop"] == "face" else images.decode)
        several = ordered_map(decode, archive.read_all(classes, MAX_BYTES), ahead=2)
        for number, (name, face) in enumerate(several, start=1):
            if own["crop"] == "face" and number % PICTURES_A_LINE == 0:
                progress.line(f"{dataset}: {number:,} of {len(classes):,} pictures read")
            if isinstance(face, np.ndarray):
                faces[name] = face
            else:
                (faceless if face is None else unread).append(name if face is None else f"{name} ({face})")
    lost = notes.such_as("pictures that cannot be read, left out", sorted(unread))
    lost += notes.such_as("pictures without a face, left out", sorted(faceless))
    names, titles = sorted(faces), sorted(set(classes.values()))
    for title in titles:
        number = sum(classes[name] == title for name in names)
        if number < NEEDED:
            why = f" ({'; '.join(lost)})" if lost else ""
            raise FergitError(
                f"{archive.name}: class {title} has {number} {'picture' if number == 1 else 'pictures'}{why}; it needs "
                f"{NEEDED}, one each for train, validation and test: add some, or leave it out by images.classes"
            )
    pixels, labels = np.stack([faces[name] for name in names]), [titles.index(classes[name]) for name in names]
    ids = [f"{dataset}/{name.removeprefix(root)}" for name in names]
    group, split = [people[name] for name in names], [(part_and_class(name) or ("",))[0] for name in names]
    faces = make_faces(pixels, labels, titles, dataset, ids, group=group, split=split)
    return faces, left_out + lost, sorted(unread + [f"{name} (no face)" for name in faceless])


def _read(decode, file):
    """Of (name, bytes) the name and the face: uint8 (48, 48), None where there is none, or why it is not read."""
    name, data = file
    try:
        return name, decode(data, "")
    except FergitError as error:
        return name, str(error).removeprefix(": ")
    except cv2.error as error:
        return name, f"OpenCV refuses it: {error.err}"


def face_of(data, name):
    """The largest face in a picture's file, cut out as predict.py does: uint8 (48, 48); None where there is none."""
    gray = images.decode_gray(data, name)
    found = _detector()(gray)
    return detection.crop(gray, found[0]) if found else None


def _pictures(archive):
    """The pictures that lie in class folders, sorted, and the path of what these folders lie in."""
    pictures = [name for name in archive.names if images.is_image(name) and "/" in name]
    within = [name for name in pictures if part_and_class(name)]
    names, depth = (within, -3) if within else (pictures, -2)
    if not names:
        expected = "in folders of classes, such as happy/1.jpg or train/happy/1.jpg"
        loose = notes.such_as("pictures in no folder", [name for name in archive.names if images.is_image(name)])
        others = [f"{one}; save pictures as JPEG or PNG" for one in notes.such_as("other files", archive.names)]
        found = f" ({(loose or others)[0]})" if archive.names else ""
        raise FergitError(f"{archive.name}: has no picture of a known kind {expected}{found}")
    roots = {"".join(f"{folder}/" for folder in name.split("/")[:depth]): name for name in reversed(names)}
    if len(roots) > 1:
        places = " and ".join(roots[root] for root in sorted(roots)[:2])
        raise FergitError(
            f"{archive.name}: folders of classes at {len(roots)} places ({places}); keep those at one, or name the "
            "folders around them train, validation and test"
        )
    titles = {name.split("/")[-2] for name in names}
    stray = [name for name in pictures if name.split("/")[-2] in titles and not part_and_class(name)] if within else ()
    if stray:
        raise FergitError(
            f"{archive.name}: {stray[0]} lies in no folder train, validation or test; {within[0]} does; rename or "
            "remove its folder"
        )
    return names, next(iter(roots))


def _classes(where, folders, mapping):
    """The class of each picture, by its name; those that the mapping leaves out are not there."""
    plain = functools.partial(unicodedata.normalize, "NFC")  # an accent can be stored in two ways
    folders = {name: plain(folder) for name, folder in folders.items()}
    mapping = {plain(str(folder)): title for folder, title in (mapping or {}).items()}
    there = sorted(set(folders.values()))
    if unknown := sorted(set(mapping) - set(there)):
        raise FergitError(f"{where}: images.classes names {unknown[0]!r}, which is no folder; there are {_some(there)}")
    classes = {name: mapping.get(folder, folder) for name, folder in folders.items()}
    classes = {name: title for name, title in classes.items() if title is not None}
    titles = sorted(set(classes.values()))
    seen = {title: title.casefold().strip() for title in titles}
    alike = Counter(seen.values())
    if doubles := [title for title in titles if alike[seen[title]] > 1]:
        first, second, *_ = sorted(doubles, key=lambda title: (seen[title], title))
        folder = next(folder for folder in there if mapping.get(folder, folder) == first)
        raise FergitError(
            f"{where}: classes {first!r} and {second!r} look the same but for case or spaces; to make them one "
            f"write images.classes: {{{folder!r}: {second!r}}}"
        )
    if not FEWEST <= len(titles) <= MOST:
        said = f"{len(titles)} classes ({_some(titles)})" if len(titles) != 1 else f"1 class ({titles[0]})"
        raise FergitError(f"{where}: {said}; allowed: {FEWEST} to {MOST}")
    return classes


def _people(where, names, rule):
    """Who is on each picture, by its name: what the rule's first group, or all of it, finds in the file's name."""
    if not rule:
        return dict.fromkeys(names, "")
    found = {name: re.search(rule, name.split("/")[-1]) for name in names}
    if without := sorted(name for name, match in found.items() if not (match and match[match.re.groups and 1])):
        said = f"finds no person in {len(without):,} of {len(found):,} file names, such as {without[0]}"
        raise FergitError(f"{where}: images.person is '{rule}', which {said}")
    return {name: match[match.re.groups and 1] for name, match in found.items()}


def _some(names):
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
