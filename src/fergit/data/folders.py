"""Faces of one's own: a picture a file, in a folder for each class, or in such folders below train/ and test/."""

import re
from collections import Counter

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
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "publictest"), "validation"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}
FEWEST, MOST = 2, 256  # classes; a label is one byte
NEEDED = 3  # images of a class: one for each part
PICTURES_A_LINE = 500  # of progress while faces are looked for: half a minute to a minute


def part_and_class(name):
    """(part, class folder) of an image's path, or None where it lies in no folder of a part."""
    *_, part, folder, _ = ["", "", *name.split("/")]
    return (PARTS[part.lower()], folder) if part.lower() in PARTS else None


def read(path, dataset, own):
    """Read a folder or an archive of pictures: Faces, and a sentence for each kind of file that is left out.

    A ``sample_id`` is such as "rafdb/train/happy/1.jpg", `dataset` is the ``source``, ``split`` is "" without folders
    of parts. `own` is the section ``images`` of the data set's block: ``crop``, ``classes``, ``person``.
    """
    with open_archive(path) as archive:
        pictures, root = _pictures(archive)
        left_out = notes.not_read(archive, pictures)
        inside = {folder for name in pictures for folder in _above(name)}
        left_out += notes.such_as("folders without a picture", sorted(archive.folders - inside - {"", "."}))
        classes = _classes(archive.name, {name: name.split("/")[-2] for name in pictures}, own.get("classes"))
        unwanted = Counter(name.split("/")[-2] for name in pictures if name not in classes)
        left_out += [f"left out by images.classes: {number:,} of {folder}" for folder, number in unwanted.items()]
        people = _people(archive.name, classes, own.get("person"))
        faces, unread, faceless = {}, [], []
        several = ordered_map(_Reader(own["crop"] == "face"), archive.read_all(classes, MAX_BYTES), ahead=2)
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
    return make_faces(pixels, labels, titles, dataset, ids, group=group, split=split), left_out + lost


class _Reader:
    """Makes of (name, bytes) the name and the face: uint8 (48, 48), None where there is none, or why it is not read."""

    def __init__(self, crop):
        self.crop = crop

    def __call__(self, file):
        name, data = file
        try:
            return name, face_of(data, "") if self.crop else images.decode(data, "")
        except FergitError as error:
            return name, str(error).removeprefix(": ")
        except cv2.error as error:
            return name, f"OpenCV refuses it: {error.err}"


def face_of(data, name):
    """The largest face in a picture's file, cut out as predict.py does: uint8 (48, 48); None where there is none."""
    gray = images.decode_gray(data, name)
    found = detection.find_faces(gray)
    return detection.crop(gray, found[0]) if found else None


def _pictures(archive):
    """The pictures that lie in class folders, sorted, and the path of what these folders lie in."""
    names = [name for name in archive.names if images.is_image(name) and "/" in name]
    within = [name for name in names if part_and_class(name)]
    names, depth = (within, -3) if within else (names, -2)
    if not names:
        expected = "happy/1.jpg or train/happy/1.jpg"
        raise FergitError(f"{archive.name}: no folder of a class with pictures in it; expected such as {expected}")
    roots = {"".join(f"{folder}/" for folder in name.split("/")[:depth]): name for name in reversed(names)}
    if len(roots) > 1:
        places = " and ".join(roots[root] for root in sorted(roots)[:2])
        raise FergitError(f"{archive.name}: folders of classes at {len(roots)} places ({places}); keep those at one")
    return names, next(iter(roots))


def _classes(where, folders, mapping):
    """The class of each picture, by its name; those that the mapping leaves out are not there."""
    mapping = {str(folder): title for folder, title in (mapping or {}).items()}
    there = sorted(set(folders.values()))
    if unknown := sorted(set(mapping) - set(there)):
        raise FergitError(f"{where}: images.classes names {unknown[0]!r}, which is no folder; there are {_some(there)}")
    classes = {name: mapping.get(folder, folder) for name, folder in folders.items()}
    classes = {name: title for name, title in classes.items() if title is not None}
    titles = sorted(set(classes.values()))
    alike = Counter(title.casefold() for title in titles)
    if doubles := [title for title in titles if alike[title.casefold()] > 1]:
        first, second, *_ = sorted(doubles, key=lambda title: (title.casefold(), title))
        raise FergitError(
            f"{where}: classes {first} and {second} differ only in case; to make them one write "
            f"images.classes: {{{first}: {second}}}"
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
        raise FergitError(f"{where}: images.person is {rule!r}, which {said}")
    return {name: match[match.re.groups and 1] for name, match in found.items()}


def _above(name):
    """All folders that a file lies in."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]


def _some(names):
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
