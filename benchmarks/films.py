"""Measure how often a person in a film loses the number: python benchmarks/films.py.

CK+'s persons walk about on known paths, cross, cover each other and go out of sight for a moment; each changes the
expression every second and a half. By default the paths alone are used, as a detector would see them: boxes and crops
tremble, and now and then one is missing. With --drawn each frame is drawn and searched, which takes some ten times as
long. Needs CK+ (data/raw/ckplus/). Writes films.json beside this file.
"""

import argparse
import itertools
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from fergit.core.files import write_json, write_text
from fergit.core.paths import WORK
from fergit.data import datasets
from fergit.data.detection import FaceDetector, crop
from fergit.pages.present import markdown
from fergit.pages.templates import with_block
from fergit.use.recognizer import ExpressionRecognizer, Face
from fergit.use.tracking import Tracker

README, RESULTS = (Path(__file__).with_name(name) for name in ("README.md", "films.json"))
BEGIN, END = "<!-- films:begin -->", "<!-- films:end -->"
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


def persons_of(people, seed):
    """The faces of so many of CK+'s persons, each with three expressions or more: list of uint8 (n, 48, 48)."""
    faces = datasets.load("ckplus")
    several = [faces.images[faces.group == one] for one in np.unique(faces.group) if _expressions(faces, one) > 2]
    return [several[one] for one in np.random.default_rng(seed).permutation(len(several))[:people]]


def _expressions(faces, person):
    return len(np.unique(faces.labels[faces.group == person]))


def now_shown(images, now):
    """One of a person's pictures, another every second and a half."""
    return images[int(now / 1.5) % len(images)]


def trembling(people, seconds, seed):
    """Yield seconds, faces in sight, and whose they are, as a detector would see them."""
    rng, own = np.random.default_rng(seed + 1), persons_of(people, seed)
    for now, seen in paths(people, seconds, seed):
        kept, faces = [person for person in seen if rng.random() > MISSED], []
        for person in kept:
            box = np.array(seen[person] + seen[person][2:]) + rng.normal(0, TREMBLE * seen[person][2], 4)
            matrix = cv2.getRotationMatrix2D((23.5, 23.5), rng.normal(0, 2), 1 + rng.normal(0, TREMBLE))
            matrix[:, 2] += rng.normal(0, TREMBLE * 48, 2)
            shown = cv2.warpAffine(now_shown(own[person], now), matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE)
            faces.append(Face(tuple(box.astype(int).tolist()), {}, 1.0, crop=shown))
        yield now, faces, kept


def frames(people, seconds, seed):
    """Yield the seconds of each drawn frame, itself, uint8 (height, width), and where the persons in sight are."""
    own, mask = persons_of(people, seed), cv2.ellipse(np.zeros((48, 48)), (24, 24), (22, 24), 0, 0, 360, 255, -1)
    for now, seen in paths(people, seconds, seed):
        frame = np.full(SHAPE, 120, np.uint8)
        for person, (x, y, side) in seen.items():
            face = cv2.resize(now_shown(own[person], now), (side, side), interpolation=cv2.INTER_CUBIC)
            np.copyto(frame[y : y + side, x : x + side], face, where=cv2.resize(mask, (side, side)) > 0)
        yield now, frame, seen


def drawn(people, seconds, seed):
    """Yield the same of drawn frames that are searched; a face in no person's middle is nobody's."""
    detect = FaceDetector()
    for now, frame, seen in frames(people, seconds, seed):
        faces, persons = [], []
        for one in detect(frame):
            middle = np.array(one.box[:2]) + np.array(one.box[2:]) / 2
            near = {p: np.abs(middle - (x + side / 2, y + side / 2)).max() / side for p, (x, y, side) in seen.items()}
            faces.append(Face(one.box, {}, one.confidence, crop=crop(frame, one)))
            persons.append(min(near, key=near.get) if near and min(near.values()) < 0.3 else None)
        yield now, faces, persons


def switches(several):
    """How often a person's number is another than before, of how many faces; and milliseconds a frame."""
    tracker, numbers, count, faces_seen, spent, frames_seen = Tracker(), {}, 0, 0, 0.0, 0
    for now, faces, persons in several:
        start = time.process_time()
        found = tracker.follow(faces, now)
        spent += time.process_time() - start
        frames_seen += 1
        for person, number in zip(persons, found, strict=True):
            if person is not None:
                count += numbers.get(person, number) != number
                numbers[person] = number
                faces_seen += 1
    return count, faces_seen, round(1000 * spent / frames_seen, 3)


def speed(people=2, seconds=8, turns=5):
    """Our work on each frame and the package fer's, on the same frames in turn: {name: {what: number}}."""
    sys.path.append(str(WORK / "peers"))
    from fer.fer import FER

    recognizer, tracker, fer = ExpressionRecognizer(), Tracker(), FER()

    def ours(frame):
        found = recognizer.predict(frame, "bgr")
        tracker.follow(found, next(clock) / RATE)
        return found

    clock, contenders = itertools.count(), {"ours, persons followed": ours, "fer 25.10.3": fer.detect_emotions}
    pictures = [cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) for _, frame, _ in frames(people, seconds, people)]
    times, found = {name: [] for name in contenders}, {}
    for turn in range(turns + 1):
        for name, work in contenders.items():
            start = time.perf_counter()
            found[name] = sum(len(work(picture)) for picture in pictures)
            times[name].append(1000 * (time.perf_counter() - start) / len(pictures))
            print(f"{turn}/{turns} {name}: {times[name][-1]:.1f} ms a frame", flush=True)
    results = {  # without the first turn, which gets things ready
        name: {"milliseconds_a_frame": round(float(np.median(several[1:])), 1), "faces_found": found[name]}
        for name, several in times.items()
    }
    in_sight = sum(len(seen) for _, seen in paths(people, seconds, people))
    return results | {"frames": len(pictures), "faces_in_sight": in_sight}


def table(results):
    """What README.md shows of films.json: a Markdown table, and a line on the speed."""
    rows = [
        {"persons": name, "minutes": one["minutes"], "faces": f"{one['faces']:,}"}
        | {"changes of number an hour": f"{one['switches_an_hour']:.0f}"}
        for name, one in results.items()
        if name != "speed"
    ]
    speed = results["speed"]
    ours, fer = (speed[name] for name in ("ours, persons followed", "fer 25.10.3"))
    return (
        f"{markdown(pd.DataFrame(rows))}\n\n"
        f"Of {speed['faces_in_sight']} faces in {speed['frames']} frames of 640x480 pixels, ours found "
        f"{ours['faces_found']} in {ours['milliseconds_a_frame']} ms a frame, fer 25.10.3 {fer['faces_found']} in "
        f"{fer['milliseconds_a_frame']} ms."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drawn", action="store_true", help="draw and search the frames")
    parser.add_argument("--speed", action="store_true", help="milliseconds a frame, beside the package fer")
    parser.add_argument("--minutes", type=float, default=20)
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kind, part = ("drawn and searched", drawn) if arguments.drawn else ("paths", trembling)
    if arguments.speed:
        results["speed"] = speed()
    for people in () if arguments.speed else (4,) if arguments.drawn else (2, 4, 8):
        count, faces, spent = switches(part(people, 60 * arguments.minutes, people))
        results[f"{kind}, {people} persons"] = {
            "minutes": arguments.minutes,
            "faces": faces,
            "switches_an_hour": round(count * 60 / arguments.minutes, 1),
            "milliseconds_a_frame": spent,
        }
    print(json.dumps(results, indent=1))
    write_json(RESULTS, results)
    if "speed" in results:
        write_text(README, with_block(README, BEGIN, END, table(results)))


if __name__ == "__main__":
    main()
