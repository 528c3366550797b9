"""Measure how often a person in a film loses the number: python benchmarks/films.py.

CK+'s persons walk about on known paths, cross, cover each other and go out of sight for a moment; every second and a
half each shows another expression. By default the paths alone are used, as a detector would see them: boxes and crops
tremble, and now and then one is missing. With --drawn each frame is drawn and searched, with --speed the package fer
searches the same frames. Needs CK+ (data/raw/ckplus/). Writes films.json and the table of README.md beside this file.
"""

import argparse
import importlib.metadata
import itertools
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from peers import FOLDER

from fergit.core.files import write_json, write_text
from fergit.core.parallel import cores
from fergit.data import datasets
from fergit.data.detection import FaceDetector, crop
from fergit.pages.present import markdown
from fergit.pages.templates import with_block
from fergit.use.recognizer import ExpressionRecognizer, Face
from fergit.use.tracking import GAP, Tracker

README, RESULTS = (Path(__file__).with_name(name) for name in ("README.md", "films.json"))
BEGIN, END = "<!-- films:begin -->", "<!-- films:end -->"
SHAPE, RATE = (480, 640), 25
TREMBLE, MISSED = 0.03, 0.03  # of a box, in its sides; of all boxes
COLUMNS = {
    "wrong changes of number an hour": "changes_an_hour",
    "due changes, after two seconds out of sight": "changes_an_hour_after_long_gaps",
}
AWAY = (0.2, 1.2)  # seconds that a person is out of sight, every ten on average


def walks(people, seconds, seed):
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
            for other, (left, top, size) in list(seen.items()):  # whoever is covered by 35 % or more is not seen
                across, down = (max(0, min(a + side, b + size) - max(a, b)) for a, b in ((x, left), (y, top)))
                if across * down > 0.35 * size**2:
                    del seen[other]
            seen[person] = int(x), int(y), int(side)
        yield now, seen


def persons_of(people, seed):
    """A face of each expression of so many of CK+'s persons who show three or more: list of uint8 (n, 48, 48)."""
    faces = datasets.load("ckplus")
    table = pd.DataFrame({"person": faces.group, "expression": faces.labels})
    table = table.drop_duplicates()  # the first frame of each
    several = [faces.images[rows.index] for _, rows in table.groupby("person") if len(rows) > 2]
    return [several[one] for one in np.random.default_rng(seed).permutation(len(several))[:people]]


def now_shown(images, now):
    """The face that a person shows at so many seconds."""
    return images[int(now / 1.5) % len(images)]


def trembling(people, seconds, seed):
    """Yield seconds, faces in sight, and whose they are, as a detector would see them."""
    rng, own = np.random.default_rng(seed + 1), persons_of(people, seed)
    for now, seen in walks(people, seconds, seed):
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
    background = np.zeros(SHAPE)  # rough at all scales, as a room is
    for size in (4, 8, 16, 32, 64):
        noise = np.random.default_rng(seed).normal(0, size, (SHAPE[0] // size + 1, SHAPE[1] // size + 1))
        background += cv2.resize(noise, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    background = np.clip(120 + background / 2, 0, 255).astype(np.uint8)
    for now, seen in walks(people, seconds, seed):
        frame = background.copy()
        for person, (x, y, side) in seen.items():
            face = cv2.resize(now_shown(own[person], now), (side, side), interpolation=cv2.INTER_CUBIC)
            np.copyto(frame[y : y + side, x : x + side], face, where=cv2.resize(mask, (side, side)) > 0)
        yield now, frame, seen


def whose(box, seen):
    """The person in whose middle a box lies, or None."""
    middle = np.array(box[:2]) + np.array(box[2:]) / 2
    near = {p: np.abs(middle - (x + side / 2, y + side / 2)).max() / side for p, (x, y, side) in seen.items()}
    return min(near, key=near.get) if near and min(near.values()) < 0.3 else None


def drawn(people, seconds, seed):
    """Yield the same of drawn frames that are searched; a face in no person's middle is nobody's."""
    detect = FaceDetector()
    for now, frame, seen in frames(people, seconds, seed):
        faces = [Face(one.box, {}, one.confidence, crop=crop(frame, one)) for one in detect(frame)]
        yield now, faces, [whose(face.box, seen) for face in faces]


def switches(several):
    """How often a person's number changes, of how many faces: (after short gaps, after longer ones than GAP, faces)."""
    tracker, last, counts, total = Tracker(), {}, [0, 0], 0
    for now, faces, persons in several:
        for person, number in zip(persons, tracker.follow(faces, now), strict=True):
            if person is not None:
                before, then = last.get(person, (number, now))
                counts[now - then > GAP] += before != number
                last[person] = number, now
                total += 1
    return *counts, total


def speed(people=2, seconds=8, turns=5):
    """Our work on each frame and the package fer's, on the same frames in turn: {name: {what: number}}."""
    sys.path.append(str(FOLDER))
    from fer.fer import FER

    recognizer, tracker, fer = ExpressionRecognizer(), Tracker(), FER()

    def ours(frame):
        found = recognizer.predict(frame, "bgr")
        tracker.follow(found, next(clock) / RATE)
        return [face.box for face in found]

    clock, fer_name = itertools.count(), f"fer {importlib.metadata.version('fer')}"
    contenders = {"ours": ours, fer_name: lambda frame: [one["box"] for one in fer.detect_emotions(frame)]}
    several = [(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR), seen) for _, frame, seen in frames(people, seconds, people)]
    times, found = {name: [] for name in contenders}, {}
    for turn in range(turns + 1):
        for name, work in contenders.items():
            start = time.perf_counter()
            boxes = [work(picture) for picture, _ in several]
            times[name].append(1000 * (time.perf_counter() - start) / len(several))
            print(f"{turn}/{turns} {name}: {times[name][-1]:.1f} ms a frame", flush=True)
            hits = [[whose(box, seen) for box in one] for one, (_, seen) in zip(boxes, several, strict=True)]
            found[name] = sum(len({person for person in one if person is not None}) for one in hits)
    results = {  # without the first turn, which gets things ready
        name: {"milliseconds_a_frame": round(float(np.median(all_turns[1:])), 1), "faces_found": found[name]}
        for name, all_turns in times.items()
    }
    about = {"frames": len(several), "faces_in_sight": sum(len(seen) for _, seen in several), "cores": cores()}
    return about | {"contenders": results}


def table(results):
    """What README.md shows of films.json: a Markdown table, and a line on the speed."""
    rows = [
        {"persons": name, "minutes": one["minutes"], "faces": f"{one['faces']:,}"}
        | {column: f"{one[key]:.0f}" for column, key in COLUMNS.items()}
        for name, one in results.items()
        if name != "speed"
    ]
    speed = results["speed"]
    times = ", ".join(
        f"{name} found {one['faces_found']} in {one['milliseconds_a_frame']} ms a frame"
        for name, one in speed["contenders"].items()
    )
    return (
        f"{markdown(pd.DataFrame(rows))}\n\n"
        f"Of {speed['faces_in_sight']} faces in {speed['frames']} drawn frames of 640x480 pixels, on {speed['cores']} "
        f"cores: {times}. Both name the expressions; ours follows the persons, too."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drawn", action="store_true", help="draw and search the frames")
    parser.add_argument("--speed", action="store_true", help="milliseconds a frame, beside the package fer")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kind, part, minutes = ("drawn", drawn, 10) if arguments.drawn else ("simulated", trembling, 20)
    if arguments.speed:
        results["speed"] = speed()
    for people in () if arguments.speed else (2, 4) if arguments.drawn else (2, 4, 8):
        short, long, faces = switches(part(people, 60 * minutes, people))
        rates = {name: round(n * 60 / minutes, 1) for name, n in zip(COLUMNS.values(), (short, long), strict=True)}
        results[f"{people}, {kind}"] = {"minutes": minutes, "faces": faces} | rates
        print(people, kind, results[f"{people}, {kind}"], flush=True)
    write_json(RESULTS, dict(sorted(results.items())))
    if "speed" in results:
        write_text(README, with_block(README, BEGIN, END, table(results)))


if __name__ == "__main__":
    main()
