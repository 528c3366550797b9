"""What becomes of predictions: rows of CSV, JSON, annotated copies."""

import codecs
import csv
import json
import os

import cv2

from fergit.use import outputs
from fergit.use.recognizer import CLASSES

GREEN = (80, 200, 60)  # blue, green, red


def shown(name) -> str:
    """A name, or a line with one, as a terminal or a table can take it: one line, and nothing that steers them."""
    text = os.fsencode(str(name)).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _cell(name):
    """A name for a spreadsheet, which would compute what begins with one of these signs; ./ names the same file."""
    name = shown(name)
    return f"./{name}" if name.startswith(("=", "+", "-", "@")) else name


class CsvFile:
    """A row for each face (and frame of a video), written as it comes: `outputs.FIELDS`, then a column a class."""

    def __init__(self, file, classes=CLASSES):
        """`file`: open for writing bytes; `classes`: the network's."""
        self.write = csv.writer(codecs.getwriter("utf-8")(file), lineterminator="\n").writerow
        columns = [f"p_{name}" if name in outputs.FIELDS or _cell(name) != name else name for name in classes]
        self.write([*outputs.FIELDS, *columns])

    def add(self, name, faces, frame=None, seconds=None):
        """Write the faces of a picture, or of a video's frame (from 0) at so many seconds."""
        for number, face in enumerate(faces, start=1):
            where = [_cell(name), frame, None if seconds is None else f"{seconds:.3f}", number, face.person, *face.box]
            probabilities = [f"{value:.4f}" for value in face.probabilities.values()]
            self.write([*where, face.tilt, f"{face.confidence:.3f}", _cell(face.label), *probabilities])


def values(face):
    """What JSON has of a face."""
    person = {} if face.person is None else {"person": face.person}
    return person | {
        "box": face.box,
        "tilt": face.tilt,
        "confidence": round(face.confidence, 3),
        "label": face.label,
        "probabilities": {label: round(value, 4) for label, value in face.probabilities.items()},
    }


class JsonFile:
    """An object for each picture (or frame of a video), with a list of its faces, written as it comes."""

    def __init__(self, file):
        """`file`: open for writing bytes."""
        self.file, self.before = file, "[\n"

    def add(self, name, faces, frame=None, seconds=None):
        """Write the faces of a picture, or of a video's frame (from 0) at so many seconds."""
        picture = {"file": name}
        if frame is not None:
            picture |= {"frame": frame, "seconds": round(seconds, 3)}
        picture["faces"] = [values(face) for face in faces]
        # What of a name is not UTF-8 becomes \udc80 to \udcff, as Python has it, and so is not lost.
        self.file.write((self.before + json.dumps(picture, ensure_ascii=False)).encode("utf-8", "backslashreplace"))
        self.before = ",\n"

    def close(self):
        """Write the end of the list."""
        self.file.write(b"\n]\n" if self.before == ",\n" else b"[]\n")


def annotate(picture, faces):
    """A copy of a picture, uint8 (height, width, 3), with box, label and probability at each face (Figure 9, p. 85)."""
    copy = picture.copy()
    line = max(1, round(min(copy.shape[:2]) / 300))
    for face in faces:
        x, y, width, height = face.box
        cv2.rectangle(copy, (x, y), (x + width, y + height), GREEN, line)
        text = f"{face.label} {face.probability:.0%}"
        text = text if face.person is None else f"{face.person}: {text}"
        size = max(0.35, min(width / 150, min(copy.shape[:2]) / 300))
        pen = max(1, round(1.5 * size))
        (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, pen)
        left = max(0, min(x, copy.shape[1] - wide))
        base = y - below if y - below - high >= 0 else min(copy.shape[0] - below, y + height + high + below)
        cv2.rectangle(copy, (left, base - high - below // 2), (left + wide, base + below), GREEN, cv2.FILLED)
        cv2.putText(copy, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), pen, cv2.LINE_AA)
    return copy
