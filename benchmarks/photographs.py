"""Measure what `fergit.data.detection` is built on: which cascade, its confidence, the second look, the crop's frame.

    python benchmarks/photographs.py FOLDER...

The folders hold photographs without faces, such as those of scikit-image (``skimage/data``) and of Debian's package
opencv-doc (``examples/data``); faces are pasted into them. The faces are those of FERGIT's validation part, from
data/processed/fergit.npz. Writes photographs.json beside this file, numbers only.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import load_processed
from fergit.core.files import write_json
from fergit.data import detection
from fergit.data.detection import CascadeDetector, Detection, crop
from fergit.use import formats, photographs
from fergit.use.recognizer import ExpressionRecognizer

RESULTS = Path(__file__).with_name("photographs.json")
SHAPE = 480, 640
SIZES = (60, 90, 150, 300)  # pixels of a pasted face
SETTINGS = [(name, *setting) for name in ("default", "alt", "alt2") for setting in ((1.15, 3), (1.2, 3), (1.2, 2))]
SECTIONS = ("cascades", "frame", "second_look", "accuracy_by_frame")
FRAMES = (0.85, 0.95, 1.0, 1.05, 1.1, 1.2, 1.35)
# These show a face, a likeness of one, or come twice.
WITH_FACES = "astronaut camera coins lfw multi messi basketball left right baboon Blender chessboard".split()


def scenes(folders):
    """Photographs without faces, gray, cut to 480x640: list of uint8 (480, 640)."""
    found = []
    for file in sorted(file for folder in folders for file in folder.iterdir() if file.suffix in formats.PHOTOGRAPHS):
        if any(file.name.startswith(word) for word in WITH_FACES):
            continue
        try:
            gray = photographs.to_gray(photographs.read(file), "bgr")
        except FergitError:
            continue
        if min(gray.shape) >= 200:
            scale = max(wanted / own for wanted, own in zip(SHAPE, gray.shape, strict=True))
            size = [int(np.ceil(side * scale)) for side in gray.shape[::-1]]
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            found.append(np.ascontiguousarray(cv2.resize(gray, size, interpolation=how)[: SHAPE[0], : SHAPE[1]]))
    return found


def paste(face, size, scene, rng, turn=0):
    """A scene with a face in it, turned by `turn` degrees clockwise, and the middle of the face."""
    middle = rng.integers(size // 2, SHAPE[1] - size // 2 + 1), rng.integers(size // 2, SHAPE[0] - size // 2 + 1)
    matrix = cv2.getRotationMatrix2D((24, 24), -turn, size / 48)
    matrix[:, 2] += np.array(middle) - 24
    return cv2.warpAffine(face, matrix, SHAPE[::-1], scene.copy(), borderMode=cv2.BORDER_TRANSPARENT), middle


def the_face(found, middle, size):
    """That of the found faces which is the pasted one, or None."""
    for one in found:
        x, y, side, _ = one.box
        off = max(abs(x + side / 2 - middle[0]), abs(y + side / 2 - middle[1]))
        if off < size / 4 and 0.5 < side / size < 1.5:
            return one
    return None


def compare_cascades(faces, empty):
    """For each cascade and setting: faces found, false alarms a photograph, processor time; nothing else is changed."""
    rows = []
    for name, step, neighbors in SETTINGS:
        cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_{name}.xml")

        def search(image, cascade=cascade, step=step, neighbors=neighbors):
            smallest = (detection.SOUGHT, detection.SOUGHT)
            boxes, _, weights = cascade.detectMultiScale3(
                image, step, neighbors, minSize=smallest, outputRejectLevels=True
            )
            return [Detection(tuple(box), weight) for box, weight in zip(boxes, np.ravel(weights), strict=True)]

        row = {"cascade": name, "step": step, "neighbors": neighbors}
        clock = time.process_time()
        alarms = [one.confidence for scene in empty for one in search(scene)]
        row["processor_ms"] = round(1000 * (time.process_time() - clock) / len(empty), 1)
        row["false_alarms_a_photograph"] = round(len(alarms) / len(empty), 3)
        weights = []
        for source, images in faces.items():
            rng = np.random.default_rng(0)
            for index, image in enumerate(images):
                size = SIZES[index % len(SIZES)]
                picture, middle = paste(image, size, empty[rng.integers(len(empty))], rng)
                weights.append((source, getattr(the_face(search(picture), middle, size), "confidence", None)))
            row[f"found_{source}"] = share([w is not None for s, w in weights if s == source])
        true = [weight for _, weight in weights if weight is not None]
        row["weights_of_faces"] = np.round(np.percentile(true, [2, 10, 50, 90]), 2).tolist()
        row["weights_of_false_alarms"] = np.round(sorted(alarms, reverse=True)[:8], 2).tolist()
        rows.append(row)
        print(row, flush=True)
    return rows


def look_twice(faces, empty):
    """What the second look finds more: faces pasted upright and turned, faces that fill the picture, false alarms."""
    detect, row = CascadeDetector(), {}
    for thorough in (False, True):
        part = row["thorough" if thorough else "plain"] = {}
        clock = time.process_time()
        part["false_alarms_a_photograph"] = share([len(detect(scene, thorough)) for scene in empty])
        part["processor_ms_without_face"] = round(1000 * (time.process_time() - clock) / len(empty), 1)
        for source, images in faces.items():
            for turn in (0, 15, 30, 45):
                rng, hits = np.random.default_rng(0), []
                for index, image in enumerate(images):
                    size = SIZES[index % len(SIZES)]
                    scene = cv2.blur(empty[rng.integers(len(empty))], (9, 9))
                    picture, middle = paste(image, size, scene, rng, turn)
                    hits.append(the_face(detect(picture, thorough), middle, size) is not None)
                part[f"found_{source}_turned_{turn}"] = share(hits)
            part[f"found_{source}_filling_the_picture"] = share([bool(detect(i, thorough)) for i in images])
        print(part, flush=True)
    return row


def measure_frame(faces, empty):
    """How the box that is found lies in a training image: quantiles 0.1, 0.5 and 0.9, in sides of the image."""
    detect, rows = CascadeDetector(), {}
    for source, images in faces.items():
        rng, found = np.random.default_rng(1), []
        for index, image in enumerate(images):
            size = SIZES[1:][index % 3]
            picture, middle = paste(image, size, empty[rng.integers(len(empty))], rng)
            one = the_face(detect(picture, False), middle, size)
            if one:
                x, y, side, _ = one.box
                found.append((size / side, (x + side / 2 - middle[0]) / size, (y + side / 2 - middle[1]) / size))
        quantiles = np.round(np.percentile(found, [10, 50, 90], axis=0).T, 3).tolist()
        rows[source] = dict(zip(("frame", "right", "down"), quantiles, strict=True)) | {"images": len(found)}
    print(rows, flush=True)
    return rows


def accuracy_by_frame(faces, empty, predict):
    """Accuracy on faces that were pasted, found and cut out again, by the frame; and on the same images as they are.

    Parameters
    ----------
    faces : fergit.core.faces.Faces
    predict : callable
        uint8 (n, 48, 48) to float (n, classes).
    """
    detect, rng = CascadeDetector(), np.random.default_rng(2)
    rows, crops = [], {frame: [] for frame in FRAMES}
    for row, image in enumerate(faces.images):
        size = SIZES[1:][row % 3]
        picture, middle = paste(image, size, empty[rng.integers(len(empty))], rng)
        one = the_face(detect(picture, False), middle, size)
        if one:
            rows.append(row)
            for frame in FRAMES:
                crops[frame].append(crop(picture, one, frame))
    labels = faces.labels[rows]
    accuracy = {"images": len(rows), "as they are": np.mean(predict(faces.images[rows]).argmax(axis=1) == labels)}
    accuracy |= {str(frame): np.mean(predict(np.stack(crops[frame])).argmax(axis=1) == labels) for frame in FRAMES}
    accuracy = {name: round(float(value), 4) for name, value in accuracy.items()}
    print(accuracy, flush=True)
    return accuracy


def share(values):
    """Their mean, to three digits."""
    return round(float(np.mean(values)), 3)


def draw(faces, count):
    """The first `count` of each source, in an order drawn once: {source: uint8 (count, 48, 48)}."""
    order = np.random.default_rng(0).permutation(len(faces))
    return {name: faces.images[order[faces.source[order] == name][:count]] for name in ("fer2013", "muxspace")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="photographs without faces")
    parser.add_argument("--faces", type=int, default=60, help="of each source")
    parser.add_argument("--only", nargs="*", default=SECTIONS, choices=SECTIONS, help="what is measured anew")
    arguments = parser.parse_args()
    empty = scenes(arguments.folders)
    faces = load_processed("fergit", ("validation",))
    some = draw(faces, arguments.faces)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for section in arguments.only:
        if section == "accuracy_by_frame":
            found = accuracy_by_frame(faces, empty, ExpressionRecognizer().predict_faces)
        else:
            found = {"cascades": compare_cascades, "second_look": look_twice, "frame": measure_frame}[section](
                some, empty
            )
        results[section] = found
        results["photographs_without_faces"], results["faces_of_each_source"] = len(empty), arguments.faces
        write_json(RESULTS, results)


if __name__ == "__main__":
    main()
