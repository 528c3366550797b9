"""What becomes of predictions: rows of a table, CSV, JSON, annotated copies, the course of a film."""

import csv
import io
import json
from collections import Counter

import cv2
import numpy as np

from fergit.use.predict import CLASSES

FIELDS = ("file", "frame", "seconds", "face", "x", "y", "width", "height", "tilt", "confidence", "label", *CLASSES)
GREEN = (80, 200, 60)  # blue, green, red


class CsvFile:
    """A row for each face (and frame of a film), written as it comes: the columns `FIELDS`."""

    def __init__(self, file):
        """`file`: open for writing bytes."""
        self.file = file
        self._write(FIELDS)

    def add(self, name, faces, frame=None, seconds=None):
        """Write the faces of a picture, or of a film's frame (from 0) at so many seconds."""
        for number, face in enumerate(faces, start=1):
            where = [name, frame, None if seconds is None else f"{seconds:.3f}", number, *face.box, face.tilt]
            probabilities = [f"{value:.4f}" for value in face.probabilities.values()]
            self._write([*where, f"{face.confidence:.3f}", face.label, *probabilities])

    def close(self):
        """Nothing is left to be written."""

    def _write(self, values):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(values)
        self.file.write(text.getvalue().encode())


class JsonFile:
    """An object for each picture (or frame of a film), with a list of its faces, written as it comes."""

    def __init__(self, file):
        """`file`: open for writing bytes."""
        self.file, self.before = file, "[\n"

    def add(self, name, faces, frame=None, seconds=None):
        """Write the faces of a picture, or of a film's frame (from 0) at so many seconds."""
        values = {"file": name}
        if frame is not None:
            values |= {"frame": frame, "seconds": round(seconds, 3)}
        values["faces"] = [
            {
                "box": face.box,
                "tilt": face.tilt,
                "confidence": round(face.confidence, 3),
                "label": face.label,
                "probabilities": {label: round(value, 4) for label, value in face.probabilities.items()},
            }
            for face in faces
        ]
        self.file.write((self.before + json.dumps(values, ensure_ascii=False)).encode())
        self.before = ",\n"

    def close(self):
        """Write the end of the list."""
        self.file.write(b"\n]\n" if self.before == ",\n" else b"[]\n")


def annotate(picture, faces):
    """A copy with a box about each face, and its expression with the probability, as in the paper's Figure 9 (p. 85).

    Parameters
    ----------
    picture : uint8 (height, width, 3)
    faces : list of fergit.use.predict.Face

    Returns
    -------
    uint8 (height, width, 3)
    """
    copy = picture.copy()
    line = max(1, round(min(copy.shape[:2]) / 300))
    for face in faces:
        x, y, width, height = face.box
        cv2.rectangle(copy, (x, y), (x + width, y + height), GREEN, line)
        text = f"{face.label} {face.probability:.0%}"
        size = max(0.35, min(width / 150, min(copy.shape[:2]) / 300))
        pen = max(1, round(1.5 * size))
        (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, pen)
        left = max(0, min(x, copy.shape[1] - wide))
        base = y - below if y - below - high >= 0 else min(copy.shape[0] - below, y + height + high + below)
        cv2.rectangle(copy, (left, base - high - below // 2), (left + wide, base + below), GREEN, cv2.FILLED)
        cv2.putText(copy, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), pen, cv2.LINE_AA)
    return copy


class Course:
    """How the expression of a film's largest face changes, in constant memory.

    Attributes
    ----------
    frames, with_face : int
    labels : Counter
        {expression: frames}
    """

    BINS = 1024  # at most; then each two become one

    def __init__(self, name):
        self.name, self.frames, self.with_face, self.labels = name, 0, 0, Counter()
        self.per_bin, self.seconds = 1, 0.0
        self.sums, self.counts = np.zeros((self.BINS, len(CLASSES))), np.zeros(self.BINS)

    def add(self, faces, seconds):
        """Take in a frame's faces, the largest first."""
        if self.frames == self.BINS * self.per_bin:
            half = self.BINS // 2
            for array in (self.sums, self.counts):
                array[:half] = array[::2] + array[1::2]
                array[half:] = 0
            self.per_bin *= 2
        if faces:
            self.sums[self.frames // self.per_bin] += list(faces[0].probabilities.values())
            self.counts[self.frames // self.per_bin] += 1
            self.labels[faces[0].label] += 1
            self.with_face += 1
        self.frames, self.seconds = self.frames + 1, seconds

    def summary(self):
        """A line that says what was seen."""
        shares = [f"{label} {count / self.with_face:.0%}" for label, count in self.labels.most_common()]
        of_largest = f"; the largest face: {', '.join(shares)}" if shares else ""
        return f"{self.name}: {self.frames} frames, {self.with_face} with a face{of_largest}"

    def draw(self, axes):
        """Draw the probabilities over the seconds; gaps are frames without a face."""
        bins = -(-self.frames // self.per_bin)
        if bins:
            with np.errstate(invalid="ignore"):
                means = self.sums[:bins] / self.counts[:bins, np.newaxis]
            # Evenly spread up to the last frame, whose time is known.
            middles = np.minimum(np.arange(bins) * self.per_bin + (self.per_bin - 1) / 2, self.frames - 1)
            seconds = middles * self.seconds / max(1, self.frames - 1)
            for label, values in zip(CLASSES, means.T, strict=True):
                axes.plot(seconds, values, label=label, marker="." if bins < 50 else None)
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        axes.set(title=self.name, xlabel="seconds", ylabel="probability", ylim=(0, 1))


def plot_courses(courses, file):
    """Write a PNG with a panel for each film, with the probabilities of its largest face's expressions.

    Parameters
    ----------
    courses : list of Course
    file : binary file, open for writing
    """
    from matplotlib.figure import Figure  # without a window system, and only who asks for a plot waits for it

    figure = Figure(figsize=(11, 3.2 * len(courses)), layout="constrained")
    for axes, course in zip(np.ravel(figure.subplots(len(courses), squeeze=False)), courses, strict=True):
        course.draw(axes)
    figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
