"""FER2013 (Goodfellow et al. 2013), as Kaggle publishes it: one CSV, or folders of images.

The CSV has a row for each image: ``emotion`` (0-6), ``pixels`` (48x48 gray values, separated by spaces) and
``Usage``, the official split. The folder form, made by others from the CSV, mostly has only ``train/`` and ``test/``:
PublicTest and PrivateTest lie mixed in ``test/``. Where file names still begin with PublicTest or PrivateTest, they
say which is which; where not, the split of these images stays "" and `splits.official` halves them, class by class.
"""

import csv
import hashlib

import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import EXPRESSIONS, SIDE, make_faces
from fergit.data import images, notes
from fergit.data.archives import open_archive
from fergit.data.folders import part_and_class

CLASSES = EXPRESSIONS  # Kaggle's order: the labels 0-6
SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
USAGES = {part: usage for usage, part in SPLITS.items()}
COUNTS = {  # by official split, in class order; measured on Kaggle's file
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "validation": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
}
CSV_SHA256 = "3b8d9617d1017f34733c8f2474d7784c563ce86c40a86ac12c2d37cc968f871b"  # of the unpacked fer2013.csv

COLUMNS = ("emotion", "pixels", "Usage")
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")  # the second is Kaggle's, too: other column order, same rows
ALIASES = {"anger": "angry", "disgusted": "disgust", "fearful": "fear", "happiness": "happy", "sadness": "sad"}
ALIASES |= {"surprised": "surprise"} | {name: name for name in CLASSES}
NO_LABELS = "train.csv and test.csv of Kaggle's competition are not enough: test.csv has no labels"

MAX_LINES = 100_000  # with rows of 2,304 bytes each: what bounds the memory
MAX_LINE = 1 << 16  # bytes; a row has at most 9,230
PIXELS = SIDE * SIDE


def members(archive):
    """Which files of an archive hold the data set: the form, "csv" or "folders", and their names."""
    tables = {name: name.split("/")[-1].lower() for name in archive.names}
    known = [name for name in tables if tables[name] in CSV_NAMES]
    if known:
        return "csv", [min(known, key=lambda name: (CSV_NAMES.index(tables[name]), name))]
    pictures = [name for name in archive.names if images.is_image(name) and part_and_class(name)]
    if pictures:
        return "folders", pictures
    if "train.csv" in tables.values():
        raise FergitError(f"{archive.name}: {NO_LABELS}")
    if len(tables) == 1 and archive.names[0].lower().endswith(".csv"):
        return "csv", list(archive.names)
    raise FergitError(f"{archive.name}: holds neither fer2013.csv nor folders such as train/angry/ with images")


def read(path):
    """Read FER2013 in any of its forms: Faces, and how it differs from what Kaggle publishes, list of str.

    ``sample_id`` is "fer2013/00012" (the row, from 0), or "fer2013/Training/angry/im0.jpg" in the folder form.
    """
    with open_archive(path) as archive:
        form, names = members(archive)
        if form == "folders":
            faces, differences = _read_folders(archive, names)
            return faces, _compare(faces) + differences + notes.not_read(archive, names)
        alone = len(archive.names) == 1 and "/" not in names[0]
        where = archive.name if alone else f"{archive.name}, {names[0]}"
        with archive.open(names[0]) as file:
            faces = _read_csv(file, where, digest := hashlib.sha256())
    differences = _compare(faces)
    if not differences and digest.hexdigest() != CSV_SHA256:
        differences.append("the counts are as published, but the CSV is not Kaggle's byte for byte")
    return faces, differences


def _compare(faces):
    """How the numbers of images differ from the published ones, part by part."""
    published = {part: dict(zip(CLASSES, numbers, strict=True)) for part, numbers in COUNTS.items()}
    if (faces.split == "").any():
        held = {name: published["validation"][name] + published["test"][name] for name in CLASSES}
        published = {"train": published["train"], "": held}
    differences = []
    for part in published | dict.fromkeys(faces.split):
        own = faces.take(faces.split == part).counts()
        differences += notes.compare(own, published.get(part, {}), f" in {part or 'validation and test'}")
    return differences


def _read_csv(file, where, digest):
    place, columns = _header(file, where, digest)
    rows = []
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), start=2):
        digest.update(line)
        if len(line) == MAX_LINE:
            raise FergitError(f"{where}, line {number}: longer than {MAX_LINE:,} bytes")
        if number > MAX_LINES:
            raise FergitError(f"{where}: more than {MAX_LINES:,} lines; FER2013 has 35,887 rows")
        if line.strip():
            rows.append(_parse(line, place, columns, f"{where}, row {number - 1} (line {number})"))
    if not rows:
        raise FergitError(f"{where}: no rows below the header; FER2013 has 35,887")
    labels, split, pixels = zip(*rows, strict=True)
    sample_id = [f"fer2013/{row:05d}" for row in range(len(labels))]
    faces = np.stack(pixels).reshape(-1, SIDE, SIDE)
    return make_faces(faces, labels, CLASSES, "fer2013", sample_id, split=split)


def _header(file, where, digest):
    """At which place each of our columns stands, and how many there are."""
    line = file.readline(MAX_LINE)
    digest.update(line)
    try:
        names = [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]), [])]
    except (UnicodeDecodeError, csv.Error):
        names = []
    for name in COLUMNS:
        if names.count(name) != 1:
            found = line[:60].decode("utf-8", "replace").strip().replace("\0", "")
            often = "twice" if name in names else "not"
            raise FergitError(
                f"{where}: column {name} is {often} in the first line ({found!r}); expected {','.join(COLUMNS)}"
            )
    return [names.index(name) for name in COLUMNS], len(names)


def _parse(line, place, columns, row):
    """Label, part and pixels, uint8 (2304,), of a line; `row` names it."""
    fields = line.rstrip(b"\r\n").replace(b'"', b"").split(b",")
    if len(fields) != columns:
        raise FergitError(f"{row}: {len(fields)} columns; expected {columns} (cut short?)")
    emotion, pixels, usage = (fields[index].strip() for index in place)
    if len(emotion) != 1 or not b"0" <= emotion <= b"6":
        raise FergitError(f"{row}: emotion is {_text(emotion)}; allowed: 0 to 6")
    part = SPLITS.get(usage.decode("ascii", "replace"))
    if part is None:
        raise FergitError(f"{row}: Usage is {_text(usage)}; allowed: {', '.join(SPLITS)}")
    if other := pixels.translate(None, b"0123456789 "):
        raise FergitError(f"{row}: pixels hold {_text(other[:1])}; allowed: whole numbers 0 to 255")
    values = np.fromstring(pixels, np.int64, sep=" ")
    if len(values) != PIXELS:
        raise FergitError(f"{row}: {len(values)} pixels; expected {PIXELS} (48x48)")
    if values.max() > 255:
        raise FergitError(f"{row}: a pixel is {values.max()}; allowed: 0 to 255")
    return int(emotion), part, values.astype(np.uint8)


def _text(field):
    return repr(field[:20].decode("utf-8", "replace"))


def _read_folders(archive, names):
    # Without a validation part, test/ holds both of the official test parts.
    mixed = all(part_and_class(name)[0] != "validation" for name in names)
    labels, split, sample_id = [], [], []
    for name in names:
        part, folder = part_and_class(name)
        if folder.lower() not in ALIASES:
            raise FergitError(f"{archive.name}, {name}: unknown emotion {folder!r}; allowed: {', '.join(CLASSES)}")
        labels.append(CLASSES.index(ALIASES[folder.lower()]))
        file = name.split("/")[-1]
        known = next((official for usage, official in SPLITS.items() if file.startswith(usage)), None)
        part = known or ("" if mixed and part == "test" else part)
        split.append(part)
        sample_id.append(f"fer2013/{USAGES.get(part, 'Test')}/{CLASSES[labels[-1]]}/{file}")
    pixels, resized = images.decode_all(archive, names)
    return make_faces(pixels, labels, CLASSES, "fer2013", sample_id, split=split, files=names), resized
