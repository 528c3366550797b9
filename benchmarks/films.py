"""Measure how often a person in a film loses the number: python benchmarks/films.py.

Films are drawn of persons who walk about on known paths, cross, cover each other and go out of sight for a moment. By
default the paths alone are used, as a detector would see them: boxes that tremble and now and then are missing. With
--drawn each frame is drawn and searched, which takes some twenty times as long. Writes films.json beside this file.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from fergit.core.files import write_json
from fergit.data.detection import FaceDetector
from fergit.data.synthetic import draw_faces
from fergit.use.tracking import Tracker

RESULTS = Path(__file__).with_name("films.json")
SHAPE, RATE = (480, 640), 25
TREMBLE, MISSED = 0.03, 0.03  # of a box, in its sides; of all boxes
AWAY = (0.2, 1.2)  # seconds that a person is out of sight, every ten on average


def paths(people, seconds, seed):
    """Yield the seconds of each frame and {person: (x, y, side)} of those in sight, those in front last."""
    rng = np.random.default_rng(seed)
    sizes = np.sort(rng.integers(60, 130, people))
    frequencies, phases = rng.uniform(0.03, 0.12, (people, 2, 2)), rng.uniform(0, 2 * np.pi, (people, 2, 2))
    away = np.zeros((people, int(seconds * RATE)), bool)
    for row in away:
        place = 0
        while place < len(row):
            start, lasting = rng.uniform(5, 15), rng.uniform(*AWAY)
            row[place + int(start * RATE) : place + int((start + lasting) * RATE)] = True
            place += int((start + lasting) * RATE)
    for number in range(away.shape[1]):
        now, seen = number / RATE, {}
        for person in np.flatnonzero(~away[:, number]):
            side = sizes[person]
            swing = np.sin(2 * np.pi * frequencies[person] * now + phases[person]).mean(axis=1)
            x, y = ((np.array(SHAPE[::-1]) - side) / 2 * (1 + swing)).astype(int)
            for other, (left, top, size) in list(seen.items()):  # whoever is covered by a third is not seen
                across, down = (max(0, min(a + side, b + size) - max(a, b)) for a, b in ((x, left), (y, top)))
                if across * down > 0.35 * size**2:
                    del seen[other]
            seen[person] = int(x), int(y), int(side)
        yield now, seen


def trembling(people, seconds, seed):
    """Yield seconds, boxes of persons in sight, and whose they are, as a detector would see them."""
    rng = np.random.default_rng(seed + 1)
    for now, seen in paths(people, seconds, seed):
        kept = [person for person in seen if rng.random() > MISSED]
        boxes = [np.array(seen[p] + seen[p][2:]) + rng.normal(0, TREMBLE * seen[p][2], 4) for p in kept]
        yield now, [tuple(box.astype(int).tolist()) for box in boxes], kept


def drawn(people, seconds, seed):
    """The same of frames that are drawn and searched; a box in no person's middle is nobody's."""
    images, _, group = draw_faces(400, seed)
    own = [images[group == name] for name in np.unique(group)[:people]]
    detect, mask = FaceDetector(), cv2.ellipse(np.zeros((48, 48), np.uint8), (24, 24), (22, 24), 0, 0, 360, 255, -1)
    for now, seen in paths(people, seconds, seed):
        frame = np.full(SHAPE, 120, np.uint8)
        for person, (x, y, side) in seen.items():
            faces = own[person]
            face = cv2.resize(faces[int(now / 4) % len(faces)], (side, side), interpolation=cv2.INTER_CUBIC)
            np.copyto(frame[y : y + side, x : x + side], face, where=cv2.resize(mask, (side, side)) > 0)
        boxes, persons = [], []
        for one in detect(frame):
            middle = np.array(one.box[:2]) + np.array(one.box[2:]) / 2
            near = {p: np.abs(middle - (x + side / 2, y + side / 2)).max() / side for p, (x, y, side) in seen.items()}
            boxes.append(one.box)
            persons.append(min(near, key=near.get) if near and min(near.values()) < 0.3 else None)
        yield now, boxes, persons


def switches(frames):
    """How often a person's number is another than before, of how many boxes; and milliseconds a frame."""
    tracker, numbers, count, boxes_seen, spent, frames_seen = Tracker(), {}, 0, 0, 0.0, 0
    for now, boxes, persons in frames:
        start = time.process_time()
        found = tracker.follow(boxes, now)
        spent += time.process_time() - start
        frames_seen += 1
        for person, number in zip(persons, found, strict=True):
            if person is not None:
                count += numbers.get(person, number) != number
                numbers[person] = number
                boxes_seen += 1
    return count, boxes_seen, round(1000 * spent / frames_seen, 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drawn", action="store_true", help="draw and search the frames")
    parser.add_argument("--minutes", type=float, default=20)
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kind, part = ("drawn and searched", drawn) if arguments.drawn else ("paths", trembling)
    for people in (2, 4, 8) if kind == "paths" else (4,):
        count, boxes, spent = switches(part(people, 60 * arguments.minutes, people))
        results[f"{kind}, {people} persons"] = {
            "minutes": arguments.minutes,
            "boxes": boxes,
            "switches_an_hour": round(count * 60 / arguments.minutes, 1),
            "milliseconds_a_frame": spent,
        }
    print(json.dumps(results, indent=1))
    write_json(RESULTS, results)


if __name__ == "__main__":
    main()
