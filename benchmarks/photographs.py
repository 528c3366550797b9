"""Measure what `fergit.data.detection` is built on: which detector, and how a face is cut out.

    make faces PHOTOGRAPHS=FOLDER

The folder holds the photographs without faces that `EMPTY` names; faces are pasted into them. The faces are FERGIT's
validation images, from data/processed/fergit.npz. README.md beside this file says where the photographs and the other
detectors come from. Writes photographs.json and the tables of README.md beside this file.
"""

import argparse
import functools
import time
import timeit
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from detectors import DETECTORS

from fergit.core.faces import load_processed
from fergit.core.files import write_json, write_text
from fergit.data.detection import FaceDetector, crop
from fergit.pages.present import markdown, percent
from fergit.pages.templates import with_block
from fergit.use import photographs, shipped
from fergit.use.recognizer import ExpressionRecognizer

README, RESULTS = (Path(__file__).with_name(name) for name in ("README.md", "photographs.json"))
BEGIN, END = "<!-- faces:begin -->", "<!-- faces:end -->"
SHAPE = 480, 640
FACES, CROPS = 100, 600  # of each source, for the comparison; whose crops are compared with the images
SIZES = (24, 32, 48, 96, 192, 384)  # pixels of a pasted face
TILTS = (0, 15, 30, 45, 90)
COLUMNS = {  # of README.md's table, and what they are in photographs.json
    "upright": "tilted by 0",
    "at 30°": "tilted by 30",
    "at 45°": "tilted by 45",
    "24 pixels": "24 pixels",
    "mouth covered": "mouth covered",
    "half covered": "half covered",
}
COVERED = {
    "eyes": (slice(10, 24), slice(None)),
    "mouth": (slice(28, None), slice(None)),
    "half": (slice(None), slice(24)),
}
EMPTY = """
brick.png chelsea.png clock_motion.png coffee.png grass.png gravel.png hubble_deep_field.jpg ihc.png moon.png
motorcycle_left.png page.png retina.jpg rocket.jpg text.png cell.png
000.jpg aero1.jpg aloeL.jpg apple.jpg blox.jpg board.jpg box.png box_in_scene.png building.jpg butterfly.jpg
chicky_512.png fruits.jpg graf1.png home.jpg left.jpg leuvenA.jpg licenseplate_motion.jpg orange.jpg plant.jpg
rubberwhale1.png smarties.png squirrel_cls.jpg starry_night.jpg stuff.jpg text_defocus.jpg
china.jpg flower.jpg Aqua.jpg Blinds.jpg Dune.jpg FreshFlower.jpg Garden.jpg GreenMeadow.jpg LadyBird.jpg
RainDrops.jpg Storm.jpg TwoWings.jpg Wood.jpg YellowFlower.jpg BytheWater.jpg ColdRipple.jpg ColorfulCups.jpg
EveningGlow.jpg FallenLeaf.jpg Grey.jpg OneStandsOut.jpg Path.jpg Bridge_by_Sander_Klootwijk.jpg
Dragonfly_by_Bolly.jpg Infinite-Sea_by_Aury88.jpg Kleiber_by_Lukas_Baubkus.jpg Picture_0B_by_freespace.jpg
Picture_1A_by_freespace.jpg Wine_by_Jakkub_Mede.jpg aitzgorri_by_Aitzol_Berasategi.jpg free_by_Peter_Nerlich.jpg
friends_by_Aitzol_Berasategi.jpg greentock_by_Peter_Nerlich.jpg life_by_Aitzol_Berasategi.jpg
picosdeeuropa_by_Aitzol_Berasategi.jpg seeding_by_Clements_Engelhardt.jpg sunset_by_Aitzol_Berasategi.jpg
""".split()


def scenes(folder):
    """The photographs without faces, gray, cut to 480x640: {name: uint8 (480, 640)}."""
    files = {}
    for file in sorted(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png")):
        # Plasma's wallpapers are NAME/contents/images/WIDTHxHEIGHT.jpg.
        files.setdefault(f"{file.parents[2].name}.jpg" if file.parents[1].name == "contents" else file.name, file)
    missing = set(EMPTY) - set(files)
    if missing:
        raise SystemExit(f"error: {folder}: lacks {', '.join(sorted(missing))}; README.md says where they come from")
    found = {}
    for name in EMPTY:
        gray = photographs.to_gray(photographs.read(files[name]), "bgr")
        scale = max(wanted / own for wanted, own in zip(SHAPE, gray.shape, strict=True))
        size = [int(np.ceil(side * scale)) for side in gray.shape[::-1]]
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        found[name] = np.ascontiguousarray(cv2.resize(gray, size, interpolation=how)[: SHAPE[0], : SHAPE[1]])
    return found


def paste(face, size, scene, rng, tilt=0):
    """A scene with a face in it, turned by `tilt` degrees clockwise; and the map from the face to the scene."""
    middle = [rng.integers(size // 2, length - size // 2 + 1) for length in SHAPE[::-1]]
    matrix = cv2.getRotationMatrix2D((23.5, 23.5), -tilt, size / 48)
    matrix[:, 2] += np.array(middle) - 23.5
    small = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) if size < 48 else face
    own = matrix @ np.diag([48 / len(small), 48 / len(small), 1])
    return cv2.warpAffine(small, own, SHAPE[::-1], scene.copy(), cv2.INTER_CUBIC, cv2.BORDER_TRANSPARENT), matrix


def is_found(boxes, matrix, size):
    """Whether one of the boxes, (x, y, width, height), is that of the pasted face."""
    middle = matrix @ (23.5, 23.5, 1)
    return any(
        np.abs(np.array(box[:2]) + np.array(box[2:]) / 2 - middle).max() < size / 4
        and 0.4 < np.sqrt(box[2] * box[3]) / size < 1.5
        for box in boxes
    )


def recall(detect, images, empty, sizes, tilt=0):
    """The share of these faces that is found, pasted one by one."""
    rng, hits = np.random.default_rng(0), []
    for index, image in enumerate(images):
        size = sizes[index % len(sizes)]
        picture, matrix = paste(image, size, empty[rng.integers(len(empty))], rng, tilt * (-1) ** index)
        hits.append(is_found(detect(picture), matrix, size))
    return round(float(np.mean(hits)), 3)


def milliseconds(detectors, picture):
    """The time of each on one core, the least of seven; in turn, so that a slow minute hits all: {name: float}."""
    times = {name: [] for name in detectors}
    for _ in range(7):
        for name, detect in detectors.items():
            times[name].append(timeit.timeit(functools.partial(detect, picture), timer=time.process_time, number=1))
    return {name: round(1000 * min(several), 1) for name, several in times.items()}


def compare(images, empty):
    """What each detector finds, its false alarms and its time: yield its name and {what: number}."""
    detectors, pictures = {name: make() for name, make in DETECTORS.items()}, list(empty.values())
    small = milliseconds(detectors, empty["coffee.png"])
    large = milliseconds(detectors, cv2.resize(empty["coffee.png"], (4000, 3000)))
    for name, detect in detectors.items():
        alarms = {scene: len(detect(gray)) for scene, gray in empty.items()}
        row = {
            "false_alarms_a_photograph": round(sum(alarms.values()) / len(empty), 3),
            "false_alarms_in": [scene for scene, number in alarms.items() if number],
            "milliseconds, 640x480": small[name],
            "milliseconds, 12 megapixels": large[name],
        }
        for source, faces in images.items():
            for tilt in TILTS:
                row[f"found, {source}, tilted by {tilt}"] = recall(detect, faces, pictures, SIZES[2:], tilt)
            for size in SIZES:
                row[f"found, {source}, {size} pixels"] = recall(detect, faces, pictures, (size,))
            for place, part in COVERED.items():
                covered = faces.copy()
                covered[:, *part] = 128
                row[f"found, {source}, {place} covered"] = recall(detect, covered, pictures, SIZES[2:])
        print(name, row, flush=True)
        yield name, row


def frame_and_accuracy(faces, empty):
    """How a found box lies in the training image, and the shipped network's accuracy on it, cut out, and on the image.

    Quantiles 0.1, 0.5 and 0.9, in the box's longer side: of the image's side, and of how far its middle lies to the
    right of the box's and below it.
    """
    detect, recognizer, rng = FaceDetector(), ExpressionRecognizer(), np.random.default_rng(2)
    places, tilts, rows, crops = [], [], [], []
    for row, image in enumerate(faces.images):
        size, scene = SIZES[2:][row % 4], empty[rng.integers(len(empty))]
        for tilt in (0, 15 * (-1) ** row, 30 * (-1) ** row):
            picture, matrix = paste(image, size, scene, rng, tilt)
            for one in detect(picture):
                if is_found([one.box], matrix, size):
                    x, y, width, height = one.box
                    turn = cv2.getRotationMatrix2D((0, 0), one.tilt, 1 / max(width, height))
                    off = turn[:, :2] @ (matrix @ (23.5, 23.5, 1) - (x + width / 2, y + height / 2))
                    places.append((size / max(width, height), *off))
                    tilts.append(abs(tilt)), rows.append(row), crops.append(crop(picture, one))
    tilts, labels = np.array(tilts), faces.labels[rows]
    quantiles = np.round(np.percentile(np.array(places)[tilts == 0], [10, 50, 90], axis=0).T, 3).tolist()
    result = dict(zip(("frame", "right", "down"), quantiles, strict=True))
    right = {
        "as they are": recognizer.predict_faces(faces.images[rows]).argmax(axis=1) == labels,
        "found and cut out": recognizer.predict_faces(crops).argmax(axis=1) == labels,
    }
    for tilt in (0, 15, 30):
        result[f"tilted by {tilt}"] = {"images": int((tilts == tilt).sum())} | {
            name: round(float(values[tilts == tilt].mean()), 4) for name, values in right.items()
        }
    print(result, flush=True)
    return result


def table(results):
    """What README.md shows of photographs.json, in Markdown."""
    sources, rows, crops = {"fer2013": "FER2013", "muxspace": "muxspace"}, [], []
    for name, one in results["detectors"].items():
        rows.append({"detector": name})
        for column, what in COLUMNS.items():
            rows[-1][column] = " / ".join(f"{100 * one[f'found, {source}, {what}']:.0f}" for source in sources)
        rows[-1]["false alarms a photograph"] = f"{one['false_alarms_a_photograph']:.2f}"
        for size in ("640x480", "12 megapixels"):
            rows[-1][f"ms, {size}"] = f"{one[f'milliseconds, {size}']:.0f}"
    for tilt in (0, 15, 30):
        one = results["crops"][f"tilted by {tilt}"]
        shares = {name: percent(one[name]) for name in ("as they are", "found and cut out")}
        crops.append({"tilt": f"{tilt}°", "faces found": one["images"]} | shares)
    return (
        f"What each finds of {FACES} faces each of "
        f"{' / '.join(sources.values())}, in percent; false alarms in {results['photographs_without_faces']} "
        f"photographs without faces; time on one core:\n\n{markdown(pd.DataFrame(rows))}\n\n"
        f"Accuracy of the shipped network on those of {CROPS} faces that ours finds:\n\n{markdown(pd.DataFrame(crops))}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with the photographs without faces, in it or in folders in it")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    empty, faces = scenes(arguments.folder), load_processed("fergit", ("validation",))
    faces = faces.take(np.random.default_rng(0).permutation(len(faces)))
    images = {name: faces.images[faces.source == name][:FACES] for name in ("fer2013", "muxspace")}
    results = {"photographs_without_faces": len(empty), "detectors": dict(compare(images, empty))}
    results["crops"] = frame_and_accuracy(faces.take(np.arange(CROPS)), list(empty.values()))
    about = shipped.read_about()
    results["crops"]["network"] = {name: about[name] for name in shipped.RUN}
    write_json(RESULTS, results)
    write_text(README, with_block(README, BEGIN, END, table(results)))


if __name__ == "__main__":
    main()
