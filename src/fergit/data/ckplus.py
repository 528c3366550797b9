"""CK+ (Lucey et al. 2010), as 48x48 pixels, ``CK+48/<emotion>/S010_004_00000017.png``, or as its authors send it.

A file name is subject, sequence and frame. The three frames of a sequence are nearly identical, and a subject shows
several expressions: who splits by frames tests on faces that were trained on.

The authors send films from neutral to the expression, ``cohn-kanade-images/S010/004/S010_004_00000017.png``, and the
expression of 327 of these as a number, ``Emotion/S010/004/S010_004_00000019_emotion.txt``. The last three frames of
each of these make CK+48; its first frame is neutral.
"""

import hashlib
import re
from collections import defaultdict

import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import make_faces
from fergit.data import folders, images, notes
from fergit.data.archives import open_archive
from fergit.data.parallel import ordered_map

CLASSES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")  # 1 to 7 of the authors' files
COUNTS = (135, 54, 177, 75, 207, 84, 249)  # 981 frames of 327 sequences of 118 subjects
SUBJECTS, SEQUENCES = 118, 327
PIXELS_SHA256 = "2c107499c49aee3ef32276f3caca9ff4e6c69e096de8ffaa4d28de3926241513"  # by sample_id; of the common copy

ALIASES = {"angry": "anger", "happiness": "happy", "sad": "sadness", "surprised": "surprise"}
ALIASES |= {name: name for name in CLASSES}
NAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})\.(?:png|jpg)", re.IGNORECASE)
EMOTION = re.compile(r"(S\d{3}_\d{3})_\d{8}_emotion\.txt", re.IGNORECASE)


def members(archive):
    """The form of an archive, "folders" or "films", and the class of each of its frames, by name."""
    names = [name for name in archive.names if images.is_image(name)]
    emotions = [name for name in archive.names if EMOTION.fullmatch(name.split("/")[-1])]
    if not names:
        raise FergitError(f"{archive.name}: no images; expected folders such as CK+48/anger/ with PNG files")
    for name in names:
        if not NAME.fullmatch(name.split("/")[-1]):
            raise FergitError(
                f"{archive.name}, {name}: expected a name as S010_004_00000017.png: subject, sequence, frame"
            )
    if emotions:
        return "films", _frames(archive, names, emotions)
    classes = {}
    for name in names:
        *_, folder, _ = ["", *name.split("/")]
        if re.fullmatch(r"\d{3}", folder):
            raise FergitError(f"{archive.name}: films without their expressions; put the folder Emotion/ beside them")
        if folder.lower() not in ALIASES:
            raise FergitError(f"{archive.name}, {name}: unknown emotion {folder!r}; allowed: {', '.join(CLASSES)}")
        classes[name] = ALIASES[folder.lower()]
    return "folders", classes


def _frames(archive, names, emotions):
    """The class of the last three frames of each film that has one, and of its first, which is neutral."""
    films, classes = defaultdict(list), {}
    for name in names:
        films[name.split("/")[-1][:8].upper()].append(name)
    for name, text in archive.read_all(emotions, 1000):
        film = EMOTION.fullmatch(name.split("/")[-1])[1].upper()
        try:
            number = float(text)
            classes |= dict.fromkeys(films[film][-3:], CLASSES[range(1, 8).index(number)])
        except ValueError:
            said = text[:20].decode("ascii", "replace").strip()
            raise FergitError(f"{archive.name}, {name}: holds {said!r}; allowed: 1 to 7") from None
        if not films[film]:
            raise FergitError(f"{archive.name}, {name}: there are no frames of this film")
        classes |= {films[film][0]: "neutral"} if len(films[film]) > 3 else {}
    return dict(sorted(classes.items()))


def read(path, neutral=False):
    """Read CK+, a folder or an archive: Faces, and how it differs from what is published, list of str.

    ``group`` is the subject, "S010"; ``sample_id`` is "ckplus/S010_004_00000017"; there is no official split. With
    `neutral` the films' first frames are an eighth class.
    """
    with open_archive(path) as archive:
        form, classes = members(archive)
        names = [name for name, title in classes.items() if neutral or title != "neutral"]
        if form == "folders":
            if neutral:
                raise FergitError(
                    f"{archive.name}: CK+48 has no neutral faces, the authors' films have; neutral: false"
                )
            pixels, differences = images.decode_all(archive, names)
            differences += notes.not_read(archive, names)
        else:
            cut = ordered_map(lambda file: (file[0], folders.face_of(file[1], file[0])), archive.read_all(names))
            faces = {name: face for name, face in cut if face is not None}
            differences = notes.such_as("no face found, left out", sorted(set(names) - set(faces)))
            names = [name for name in names if name in faces]
            if not names:
                raise FergitError(f"{archive.name}: no face found in any frame")
            pixels = np.stack([faces[name] for name in names])
    files = [name.split("/")[-1].rsplit(".", 1)[0].upper() for name in names]
    titles = (*CLASSES, "neutral") if neutral else CLASSES
    labels = [titles.index(classes[name]) for name in names]
    people, sample_id = [file[:4] for file in files], [f"ckplus/{file}" for file in files]
    faces = make_faces(pixels, labels, titles, "ckplus", sample_id, group=people, files=names)
    return faces, _differences(faces, form) + differences


def _differences(faces, form):
    published = dict(zip((*CLASSES, "neutral"), (*COUNTS, SEQUENCES), strict=True))
    differences = notes.compare(faces.counts(), {name: published[name] for name in faces.classes})
    # The first 15 signs, ckplus/S010_004, name the sequence.
    people, films = (len(np.unique(names)) for names in (faces.group, faces.sample_id.astype("U15")))
    for what, number, there in (("subjects", people, SUBJECTS), ("sequences", films, SEQUENCES)):
        if number != there:
            differences.append(f"{number} {what}; published: {there}")
    pixels = faces.images[np.argsort(faces.sample_id)]
    if form == "folders" and not differences and hashlib.sha256(pixels).hexdigest() != PIXELS_SHA256:
        differences.append("the counts are as published, but the pixels are not those of the common copy")
    return differences
