"""FER2013 (Goodfellow et al. 2013), as Kaggle publishes it: one CSV, or folders of images.

The CSV has a row for each image: ``emotion`` (0-6), ``pixels`` (48x48 gray values, separated by spaces) and
``Usage``, the official split. The folder form, made by others from the CSV, has only ``train/`` and ``test/``:
PublicTest and PrivateTest lie mixed in ``test/``. Where file names still begin with PublicTest or PrivateTest, they
say which is which; where not, the split of these images stays "" and `splits.official` halves them, class by
class.
"""

import csv

import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import SIDE, make_faces
from fergit.core.parallel import ordered_map
from fergit.data import images
from fergit.data.archives import open_archive

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # Kaggle's order: the labels 0-6
SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
COUNTS = {  # by official split, in class order; measured on Kaggle's file
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "validation": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
}
CSV_SHA256 = "3b8d9617d1017f34733c8f2474d7784c563ce86c40a86ac12c2d37cc968f871b"  # of the unpacked fer2013.csv

COLUMNS = ("emotion", "pixels", "Usage")
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")  # the second is Kaggle's, too: other column order, same rows
FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "publictest"), "validation"),
    **dict.fromkeys(("test", "privatetest"), "test"),
}
ALIASES = {"anger": "angry", "disgusted": "disgust", "fearful": "fear", "happiness": "happy", "sadness": "sad"}
ALIASES |= {"surprised": "surprise"} | {name: name for name in CLASSES}

MAX_ROWS = 100_000  # of 2,304 bytes each: what bounds the memory
MAX_LINE = 1 << 16  # bytes; a row has at most 9,230
BLOCK = 1 << 19  # bytes that a thread parses at a time: what fits its cache
PIXELS = SIDE * SIDE


def members(archive):
    """Which files of an archive hold the data set, by form.

    Returns
    -------
    form : "csv" or "folders"
    names : list of str

    Raises
    ------
    FergitError
        Neither form is found.
    """
    tables = [name for name in archive.names if name.split("/")[-1].lower() in CSV_NAMES]
    if tables:
        return "csv", [min(tables, key=lambda name: (CSV_NAMES.index(name.split("/")[-1].lower()), name))]
    pictures = [name for name in archive.names if images.is_image(name) and _folders(name)]
    if pictures:
        return "folders", pictures
    if archive.names and len(archive.names) == 1 and archive.names[0].lower().endswith(".csv"):
        return "csv", list(archive.names)
    raise FergitError(f"{archive.name}: holds neither fer2013.csv nor folders such as train/angry/ with images")


def read(path, digest=None):
    """Read FER2013 in any of its forms.

    Parameters
    ----------
    path : path
        A folder, ``.zip``, ``.tar.gz``, ``.csv``, ``.csv.xz`` or ``.csv.gz``.
    digest : hash object, optional
        Is fed with the unpacked CSV, so that checking it costs no second unpacking.

    Returns
    -------
    Faces
        ``sample_id`` is "fer2013/00012" (the row, from 0), or "fer2013/Training/angry/im0.jpg" in the folder form.

    Raises
    ------
    FergitError
        Names the file, the row and what is wrong with it.
    """
    with open_archive(path) as archive:
        form, names = members(archive)
        if form == "folders":
            return _read_folders(archive, names)
        alone = len(archive.names) == 1 and "/" not in names[0]
        where = archive.name if alone else f"{archive.name}, {names[0]}"
        with archive.open(names[0]) as file:
            return _read_csv(file, where, digest)


def _read_csv(file, where, digest):
    columns, order = _header(file, where, digest)
    parsed = []
    rows = 0
    for block in ordered_map(lambda block: _parse(*block, columns, order, where), _blocks(file, where, digest)):
        rows += len(block[0])
        if rows > MAX_ROWS:
            raise FergitError(f"{where}: more than {MAX_ROWS:,} rows; FER2013 has 35,887")
        parsed.append(block)
    if not rows:
        raise FergitError(f"{where}: no rows below the header; FER2013 has 35,887")
    labels, split, pixels = (np.concatenate(column) for column in zip(*parsed, strict=True))
    sample_id = [f"fer2013/{row:05d}" for row in range(rows)]
    return make_faces(pixels.reshape(-1, SIDE, SIDE), labels, CLASSES, "fer2013", sample_id, split=split)


def _header(file, where, digest):
    """The number of columns, and at which place each of ours stands."""
    line = file.readline(MAX_LINE)
    if digest:
        digest.update(line)
    try:
        names = next(csv.reader([line.decode("utf-8-sig")]), [])
    except (UnicodeDecodeError, csv.Error):
        names = []
    names = [name.strip() for name in names]
    missing = [name for name in COLUMNS if names.count(name) != 1]
    if missing:
        found = line[:60].decode("utf-8", "replace").strip().replace("\0", "")
        raise FergitError(
            f"{where}: column {missing[0]} is not in the first line ({found!r}); expected {','.join(COLUMNS)}"
        )
    return len(names), [names.index(name) for name in COLUMNS]


def _blocks(file, where, digest):
    """Whole lines, some MB at a time, with the number of the first of them."""
    number, rest = 1, b""
    while data := file.read(BLOCK):
        if digest:
            digest.update(data)
        data = rest + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if len(rest) > MAX_LINE:
            line = number + data.count(b"\n") + 1
            raise FergitError(f"{where}, line {line}: longer than {MAX_LINE:,} bytes; a row has {PIXELS} pixels")
        lines = data[:end].split(b"\n")[:-1]
        if lines:
            yield number, lines
        number += len(lines)
    if rest.strip():
        yield number, [rest]


def _parse(before, lines, columns, order, where):
    """Labels uint8 (n,), split (n,) and pixels uint8 (n, 2304) of some lines; ``before`` lines came before them."""
    labels, split, texts, numbers = [], [], [], []
    for number, line in enumerate(lines, start=before + 1):
        if not line.strip():
            continue
        fields = line.rstrip(b"\r").replace(b'"', b"").split(b",")
        if len(fields) != columns:
            raise FergitError(f"{_row(where, number)}: {len(fields)} columns; expected {columns} (cut short?)")
        emotion, pixels, usage = (fields[place].strip() for place in order)
        if len(emotion) != 1 or not b"0" <= emotion <= b"6":
            raise FergitError(f"{_row(where, number)}: emotion is {_text(emotion)}; allowed: 0 to 6")
        part = SPLITS.get(usage.decode("ascii", "replace"))
        if part is None:
            raise FergitError(f"{_row(where, number)}: Usage is {_text(usage)}; allowed: {', '.join(SPLITS)}")
        labels.append(emotion[0] - ord("0"))
        split.append(part)
        texts.append(pixels)
        numbers.append(number)
    pixels = _pixels(texts, numbers, where)
    return np.array(labels, np.uint8), np.array(split, "U10"), pixels


def _pixels(texts, numbers, where):
    """Parse rows of numbers, all at once: ten times as fast as number by number.

    A number is known by its last digit, the one with no digit behind it; the digits before it are looked up from there.
    """
    if not texts:
        return np.empty((0, PIXELS), np.uint8)
    # Three blanks in front, so that looking back three places from the first digit stays inside.
    digits = np.frombuffer(b"   " + b" ".join(texts) + b" ", np.uint8) - np.uint8(ord("0"))
    is_digit = digits < 10
    starts = np.cumsum([3] + [len(text) + 1 for text in texts])

    def refuse(position, what):
        row = int(np.searchsorted(starts, position, side="right")) - 1
        raise FergitError(f"{_row(where, numbers[row])}: {what}")

    other = ~(is_digit | (digits == np.uint8(ord(" ") - ord("0") + 256)))
    if other.any():
        position = int(np.argmax(other))
        refuse(position, f"pixels hold {chr((int(digits[position]) + 48) % 256)!r}; allowed: whole numbers 0 to 255")
    last = np.flatnonzero(is_digit[:-1] & ~is_digit[1:])
    counts = np.diff(np.searchsorted(last, starts))
    wrong = np.flatnonzero(counts != PIXELS)
    if len(wrong):
        refuse(starts[wrong[0]], f"{counts[wrong[0]]} pixels; expected {PIXELS} (48x48)")
    tens, hundreds = digits[last - 1], digits[last - 2]
    two = tens < 10
    three = two & (hundreds < 10)
    values = (
        digits[last]
        + 10 * np.where(two, tens, 0).astype(np.uint16)
        + 100 * np.where(three, hundreds, 0).astype(np.uint16)
    )
    wrong = (values > 255) | (three & is_digit[last - 3])
    if wrong.any():
        place = last[np.argmax(wrong)]
        text = bytes(digits[max(place - 19, 0) : place + 1] + np.uint8(ord("0"))).split(b" ")[-1]
        refuse(place, f"a pixel is {text.decode()}; allowed: 0 to 255")
    return values.astype(np.uint8).reshape(-1, PIXELS)


def _row(where, line):
    return f"{where}, row {line - 1} (line {line})"


def _text(field):
    return repr(field[:20].decode("utf-8", "replace"))


def _folders(name):
    """(part, class folder) of an image's path, or None where it lies in no folder of a part."""
    parts = name.split("/")
    if len(parts) < 3 or parts[-3].lower() not in FOLDERS:
        return None
    return FOLDERS[parts[-3].lower()], parts[-2]


def _read_folders(archive, names):
    parts = {name: _folders(name)[0] for name in names}
    mixed = "validation" not in parts.values()  # then test/ holds both of the official test parts
    labels, split, sample_id = [], [], []
    for name in names:
        _, folder = _folders(name)
        if folder.lower() not in ALIASES:
            raise FergitError(f"{archive.name}, {name}: unknown emotion {folder!r}; allowed: {', '.join(CLASSES)}")
        labels.append(CLASSES.index(ALIASES[folder.lower()]))
        file = name.split("/")[-1]
        known = next((part for usage, part in SPLITS.items() if file.startswith(usage)), None)
        part = known or ("" if mixed and parts[name] == "test" else parts[name])
        split.append(part)
        usage = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest", "": "Test"}[part]
        sample_id.append(f"fer2013/{usage}/{CLASSES[labels[-1]]}/{file}")
    decoded = images.decode_all(archive.read_all(names), archive.name)
    pixels = np.stack([decoded[name] for name in names])
    return make_faces(pixels, labels, CLASSES, "fer2013", sample_id, split=split)
