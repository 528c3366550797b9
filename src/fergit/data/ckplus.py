"""CK+ (Lucey et al. 2010) in its common form of 48x48 pixels: ``CK+48/<emotion>/S010_004_00000017.png``.

A file name is subject, sequence and frame. The three frames of a sequence are nearly identical, and a subject shows
several expressions: who splits by frames tests on faces that were trained on.
"""

import re

import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.data import images
from fergit.data.archives import open_archive

CLASSES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
COUNTS = (135, 54, 177, 75, 207, 84, 249)  # 981 frames of 327 sequences of 118 subjects
SUBJECTS, SEQUENCES = 118, 327
PIXELS_SHA256 = "2c107499c49aee3ef32276f3caca9ff4e6c69e096de8ffaa4d28de3926241513"  # by sample_id; of the common copy

ALIASES = {"angry": "anger", "happiness": "happy", "sad": "sadness", "surprised": "surprise"}
ALIASES |= {name: name for name in CLASSES}
NAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})\.(?:png|jpg)", re.IGNORECASE)


def members(archive):
    """The images of an archive, sorted; the folder that an image is in is its emotion."""
    names = [name for name in archive.names if images.is_image(name)]
    if not names:
        raise FergitError(f"{archive.name}: no images; expected folders such as CK+48/anger/ with PNG files")
    for name in names:
        *folders, file = ["", *name.split("/")]
        if not NAME.fullmatch(file):
            raise FergitError(
                f"{archive.name}, {name}: expected a name as S010_004_00000017.png: subject, sequence, frame"
            )
        if folders[-1].lower() not in ALIASES:
            raise FergitError(f"{archive.name}, {name}: unknown emotion {folders[-1]!r}; allowed: {', '.join(CLASSES)}")
    return names


def read(path):
    """Read CK+48, a folder or an archive.

    Returns
    -------
    Faces
        ``group`` is the subject, "S010"; ``sample_id`` is "ckplus/S010_004_00000017". No official split.
    """
    with open_archive(path) as archive:
        names = members(archive)
        pixels = images.decode_all(archive, names)
    files = [name.split("/")[-1].rsplit(".", 1)[0].upper() for name in names]
    labels = [CLASSES.index(ALIASES[name.split("/")[-2].lower()]) for name in names]
    people, sample_id = [file[:4] for file in files], [f"ckplus/{file}" for file in files]
    return make_faces(pixels, labels, CLASSES, "ckplus", sample_id, group=people, files=names)


def sequences(sample_id):
    """The sequence that each frame is of: "ckplus/S010_004_00000017" is of "S010_004"; str (n,)."""
    return np.array([name.removeprefix("ckplus/")[:8] for name in sample_id], dtype=np.str_)
