"""muxspace/facial_expressions: 13,718 photographs with their emotion in a table, on GitHub under Apache-2.0.

With FER2013 it makes FERGIT: 35,887 images and the 13,413 rows of this table that are neither sadness nor contempt
are 49,300, the paper's number exactly (p. 79). So FERGIT counts *rows*: a file that is listed twice is there twice.
Eight files are; one of them, ``Avinash_30.jpg``, once as surprise and once as sadness: only its surprise is left.
"""

import csv
import hashlib
import io
from collections import Counter

from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.data import images, notes
from fergit.data.archives import open_archive
from fergit.data.fer2013 import CLASSES

# What a row's emotion is called in FERGIT; None: FERGIT leaves it out (it has no contempt, and the count excludes
# sadness).
EMOTIONS = {"anger": "angry", "disgust": "disgust", "fear": "fear", "happiness": "happy", "sadness": None}
EMOTIONS |= {"surprise": "surprise", "neutral": "neutral", "contempt": None}
COUNTS = {"anger": 252, "disgust": 208, "fear": 21, "happiness": 5696, "sadness": 268, "surprise": 368, "neutral": 6868}
COUNTS |= {"contempt": 9}  # rows by emotion; measured on the repository's table
WITHOUT_ROW = 36  # images
LEGEND_SHA256 = "a4be0fc5afa10e44fdc717bf2fe5b3e2c916c07335aec254111c74b40ec75eb0"  # of data/legend.csv

MAX_LEGEND_BYTES = 16 << 20


def members(archive):
    """The table's name, and {file name: member} of the images; a top folder, as in GitHub's archives, is skipped."""
    tables = [name for name in archive.names if f"/{name}".endswith("/data/legend.csv")]
    if len(tables) != 1:
        raise FergitError(
            f"{archive.name}: {len(tables)} tables data/legend.csv; expected one, and images/ beside data/"
        )
    folder = tables[0].removesuffix("data/legend.csv") + "images/"
    files = {name.removeprefix(folder): name for name in archive.names if name.startswith(folder)}
    if not files:
        raise FergitError(f"{archive.name}: no images in {folder}")
    return tables[0], files


def read_legend(archive, digest=None):
    """The rows of ``data/legend.csv``: a list of (line, file name, emotion), the emotion in lower case.

    A hash object, `digest`, is fed with the table.
    """
    table, files = members(archive)
    where = f"{archive.name}, {table}"
    data = dict(archive.read_all([table], MAX_LEGEND_BYTES))[table]
    if digest:
        digest.update(data)
    rows = []
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip().lower() for name in next(reader, [])]
        if header.count("image") != 1 or header.count("emotion") != 1:
            raise FergitError(f"{where}: the first line is not a header with one image and one emotion column")
        for row in filter(None, reader):
            if len(row) != len(header):
                raise FergitError(f"{where}, line {reader.line_num}: {len(row)} columns; expected {len(header)}")
            file, name = row[header.index("image")].strip(), row[header.index("emotion")].strip().lower()
            if name not in EMOTIONS:
                raise FergitError(
                    f"{where}, line {reader.line_num}: unknown emotion {name!r}; allowed: {', '.join(EMOTIONS)}"
                )
            if file not in files:
                raise FergitError(f"{where}, line {reader.line_num}: the file images/{file} is not there")
            rows.append((reader.line_num, file, name))
    except UnicodeDecodeError:
        raise FergitError(f"{where}: not UTF-8 text") from None
    except csv.Error as error:
        raise FergitError(f"{where}, line {reader.line_num}: not CSV ({error})") from None
    return rows


def read(path):
    """Read the rows that FERGIT keeps, from the repository as a folder or an archive.

    Returns
    -------
    faces : Faces
        In the order of the table; ``sample_id`` is "muxspace/Aaron_Eckhart_0001.jpg", and ends with "#2" where a file
        is listed a second time.
    differences : list of str
        How it differs from what is on GitHub. All photographs are resized, so this is not listed.
    """
    with open_archive(path) as archive:
        legend = read_legend(archive, digest := hashlib.sha256())
        rows = [(file, EMOTIONS[emotion]) for _, file, emotion in legend if EMOTIONS[emotion]]
        if not rows:
            raise FergitError(f"{archive.name}: no row of data/legend.csv has an emotion that FERGIT keeps")
        _, files = members(archive)
        pixels, _ = images.decode_all(archive, [files[file] for file, _ in rows])
    differences = notes.compare(Counter(emotion for _, _, emotion in legend), COUNTS, " in its table")
    without = len(files) - len({file for _, file, _ in legend})
    if without != WITHOUT_ROW:
        differences.append(f"{without} images have no row in its table; published: {WITHOUT_ROW}")
    if digest.hexdigest() != LEGEND_SHA256 and not differences:
        differences.append("the counts are as published, but data/legend.csv is not the repository's byte for byte")
    times, sample_id = Counter(), []
    for file, _ in rows:
        times[file] += 1
        sample_id.append(f"muxspace/{file}" + (f"#{times[file]}" if times[file] > 1 else ""))
    return make_faces(pixels, [CLASSES.index(name) for _, name in rows], CLASSES, "muxspace", sample_id), differences
