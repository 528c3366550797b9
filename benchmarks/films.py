"""How often a person in a video gets another number, and how fast persons are followed.

CK+'s persons walk about on known paths, cross, cover each other and go out of sight for a moment; every second and a
half each shows another expression. Simulated videos are what a detector would see: boxes and crops tremble, and now and
then one is missing. Drawn ones are drawn and searched.
"""

import contextlib
import importlib.metadata
import itertools
import sys
from functools import partial

import cv2
import numpy as np
import pandas as pd
from measure import PEERS, in_turn, timed

from fergit.core.parallel import cores
from fergit.data import datasets, detection
from fergit.use.recognizer import ExpressionRecognizer, Face
from fergit.use.tracking import GAP, Tracker

SHAPE, RATE = (480, 640), 25
TREMBLE, MISSED = 0.03, 0.03  # of a box, in its sides; of all boxes
AWAY = (0.2, 1.2)  # seconds that a person is out of sight, every ten on average


def walks(people, seconds, seed):
    """Yield the seconds of each frame and {person: (x, y, side)} of those in sight, those in front last."""
    rng = np.random.default_rng(seed)
    sizes = np.sort(rng.integers(60, 130, people))
    frequencies, phases = rng.uniform(0.03, 0.12, (people, 2, 2)), rng.uniform(0, 2 * np.pi, (people, 2, 2))
    away = np.zeros((people, int(seconds * RATE)), bool)
    for row in away:
        end = 0
        while end < len(row):
            start, lasting = rng.uniform(5, 15), rng.uniform(*AWAY)
            begin, end = end + int(start * RATE), end + int((start + lasting) * RATE)
            row[begin:end] = True
    for number in range(away.shape[1]):
        now, seen = number / RATE, {}
        for person in np.flatnonzero(~away[:, number]):
            side = sizes[person]
            swing = np.sin(2 * np.pi * frequencies[person] * now + phases[person]).mean(axis=1)
            x, y = ((np.array(SHAPE[::-1]) - side) / 2 * (1 + swing)).astype(int)
            for other, (left, top, size) in list(seen.items()):  # whoever is covered by 35 % or more is not seen
                across, down = (max(0, min(a + side, b + size) - max(a, b)) for a, b in ((x, left), (y, top)))
                if across * down > 0.35 * size**2:
                    del seen[other]
            seen[person] = int(x), int(y), int(side)
        yield now, seen


def shows(people, seed):
    """So many of CK+'s persons who show three expressions or more: what takes a person and the seconds to a face."""
    faces = datasets.load("ckplus")
    table = pd.DataFrame(
        {"person": faces.group, "expression": faces.labels}
    ).drop_duplicates()  # each one's first frame
    several = [faces.images[rows.index] for _, rows in table.groupby("person") if len(rows) > 2]
    chosen = [several[one] for one in np.random.default_rng(seed).permutation(len(several))[:people]]
    return lambda person, now: chosen[person][int(now / 1.5) % len(chosen[person])]


def simulated(people, seconds, seed):
    """Yield seconds, faces in sight, and whose they are, as a detector would see them."""
    rng, face = np.random.default_rng(seed + 1), shows(people, seed)
    for now, seen in walks(people, seconds, seed):
        kept, faces = [person for person in seen if rng.random() > MISSED], []
        for person in kept:
            box = np.array(seen[person] + seen[person][2:]) + rng.normal(0, TREMBLE * seen[person][2], 4)
            matrix = cv2.getRotationMatrix2D((23.5, 23.5), rng.normal(0, 2), 1 + rng.normal(0, TREMBLE))
            matrix[:, 2] += rng.normal(0, TREMBLE * 48, 2)
            crop = cv2.warpAffine(face(person, now), matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE)
            faces.append(Face(tuple(box.astype(int).tolist()), {}, 1.0, crop=crop))
        yield now, faces, kept


def frames(people, seconds, seed):
    """Yield the seconds of each drawn frame, itself, uint8 (height, width), and where the persons in sight are."""
    face, mask = shows(people, seed), cv2.ellipse(np.zeros((48, 48)), (24, 24), (22, 24), 0, 0, 360, 255, -1)
    background = np.zeros(SHAPE)  # rough at all scales, as a room is
    for size in (4, 8, 16, 32, 64):
        noise = np.random.default_rng(seed).normal(0, size, (SHAPE[0] // size + 1, SHAPE[1] // size + 1))
        background += cv2.resize(noise, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    background = np.clip(120 + background / 2, 0, 255).astype(np.uint8)
    for now, seen in walks(people, seconds, seed):
        frame = background.copy()
        for person, (x, y, side) in seen.items():
            large = cv2.resize(face(person, now), (side, side), interpolation=cv2.INTER_CUBIC)
            np.copyto(frame[y : y + side, x : x + side], large, where=cv2.resize(mask, (side, side)) > 0)
        yield now, frame, seen


def whose(box, seen):
    """The person in whose middle a box lies, or None."""
    middle = np.array(box[:2]) + np.array(box[2:]) / 2
    near = {p: np.abs(middle - (x + side / 2, y + side / 2)).max() / side for p, (x, y, side) in seen.items()}
    return min(near, key=near.get) if near and min(near.values()) < 0.3 else None


def drawn(people, seconds, seed):
    """Yield the same as `simulated`, of drawn frames that are searched."""
    detect = detection.FaceDetector()
    for now, frame, seen in frames(people, seconds, seed):
        faces = [Face(one.box, {}, one.confidence, crop=detection.crop(frame, one)) for one in detect(frame)]
        yield now, faces, [whose(face.box, seen) for face in faces]


def switches(film):
    """How often a person's number changes, of how many faces: (after short gaps, after longer ones than GAP, faces)."""
    tracker, last, counts, total = Tracker(), {}, [0, 0], 0
    for now, faces, persons in film:
        for person, number in zip(persons, tracker.follow(faces, now), strict=True):
            if person is not None:
                before, then = last.get(person, (number, now))
                counts[now - then > GAP] += before != number
                last[person] = number, now
                total += 1
    return *counts, total


def speed(people, seconds, turns):
    """Our work on each frame and the package fer's, on the same frames in turn."""
    recognizer, tracker, clock = ExpressionRecognizer(), Tracker(), itertools.count()
    pictures, persons = [], []
    for _, frame, seen in frames(people, seconds, people):
        pictures.append(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)), persons.append(seen)

    def ours():
        found = []
        for picture in pictures:
            found.append(recognizer.predict(picture, "bgr"))
            tracker.follow(found[-1], next(clock) / RATE)
        return [[face.box for face in faces] for faces in found]

    contenders, rows = {"ours": ours}, {}
    sys.path.append(str(PEERS))
    with contextlib.suppress(ImportError):  # left out where it is not installed
        from fer.fer import FER

        fer = FER()
        contenders[f"fer {importlib.metadata.version('fer')}"] = lambda: [
            [face["box"] for face in fer.detect_emotions(picture)] for picture in pictures
        ]
    found = in_turn({name: partial(timed, work) for name, work in contenders.items()}, turns + 1)
    for name, (_, *several) in found.items():  # the first turn gets things ready
        median = float(np.median([1000 * seconds / len(pictures) for seconds, _ in several]))
        hits = [
            {whose(box, seen) for box in boxes} - {None} for boxes, seen in zip(several[-1][1], persons, strict=True)
        ]
        rows[name] = {"milliseconds_a_frame": round(median, 1), "faces_found": sum(map(len, hits))}
    in_sight = sum(map(len, persons))
    return {"frames": len(pictures), "faces_in_sight": in_sight, "cores": cores(), "contenders": rows}


def measure(trial):
    results = {"speed": speed(2, 1, 1) if trial else speed(2, 8, 5)}
    for film, minutes, several in ((drawn, 10, (2, 4)), (simulated, 20, (2, 4, 8))):
        minutes, several = (1, (2,)) if trial else (minutes, several)
        for people in several:
            short, long, faces = switches(film(people, 60 * minutes, people))
            rates = {"changes_an_hour": short, "changes_an_hour_after_long_gaps": long}
            rates = {name: round(number * 60 / minutes, 1) for name, number in rates.items()}
            results[f"{people}, {film.__name__}"] = {"minutes": minutes, "faces": faces} | rates
    return dict(sorted(results.items()))
