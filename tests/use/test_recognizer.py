import multiprocessing
import os
import struct
import subprocess
import sys
import typing
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from portraits import Recognizer, portrait

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import sha256
from fergit.data import detection
from fergit.data.synthetic import draw_faces
from fergit.use.recognizer import CLASSES, NETWORK, ExpressionRecognizer, Face


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), portrait()[0])
    return path


def test_a_face_has_a_box_seven_probabilities_a_label_and_a_confidence(recognizer, file):
    (face,) = recognizer.predict(file)
    assert len(face.box) == 4 and all(type(side) is int for side in face.box)
    assert tuple(face.probabilities) == CLASSES and abs(sum(face.probabilities.values()) - 1) < 1e-6
    assert face.label in ("happy", "sad") and face.probability == face.probabilities[face.label] >= 0.5
    assert 0.5 <= face.confidence <= 1


def test_paths_arrays_depths_and_lists_agree(recognizer, file):
    gray = portrait()[0]
    color = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
    (expected,) = recognizer.predict(str(file))
    for image, kind in ((gray, "gray"), (color, "bgr"), (color, "rgb"), (gray.astype(np.uint16) * 257, "gray")):
        assert recognizer.predict(image, kind) == [expected], kind
    assert recognizer.predict([file, str(file)]) == [[expected]] * 2
    assert recognizer.predict([gray[:, ::-1], np.zeros_like(gray)], "gray")[1] == []
    assert recognizer.predict([]) == []


def test_the_order_of_colours_counts(recognizer):
    red = np.zeros((10, 48, 48, 3), np.uint8)
    red[..., 0] = 255
    happy = CLASSES.index("happy")
    assert abs(recognizer.predict_faces(red, "rgb")[0, happy] - 0.299) < 0.01
    assert abs(recognizer.predict_faces(red, "bgr")[0, happy] - 0.114) < 0.01


def test_ready_crops_of_any_size(recognizer):
    faces = [np.full((20, 30), 255, np.uint8), np.zeros((48, 48), np.uint8), np.full((300, 300), 65535, np.uint16)]
    assert recognizer.predict_faces(faces)[:, CLASSES.index("happy")].tolist() == [1, 0, 1]
    assert recognizer.predict_faces([]).shape == (0, 7)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_formats(recognizer, tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    cv2.imwrite(str(path), cv2.cvtColor(portrait()[0], cv2.COLOR_GRAY2BGR))
    assert len(recognizer.predict(path)) == 1


def test_the_cameras_rotation_is_applied(recognizer, tmp_path):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0"  # orientation 3: upside down
    jpeg = cv2.imencode(".jpg", portrait()[0][::-1, ::-1])[1].tobytes()
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    (face,) = recognizer.predict(path)
    x, y, side, _ = portrait()[1][0]
    assert abs(face.box[0] - x) < side / 3 and abs(face.box[1] - y) < side / 3


@pytest.mark.parametrize(
    ("image", "color", "message"),
    [
        (np.zeros((9, 9), np.uint8), None, "color is None; say which of gray, bgr, rgb"),
        (np.zeros((9, 9), np.uint8), "rgb", r"shape \(9, 9\); with color='rgb' it must be \(height, width, 3\)"),
        (np.zeros((9, 9, 3), np.uint8), "gray", r"it must be \(height, width\)"),
        (np.zeros((9, 9, 4), np.uint8), "bgr", r"it must be \(height, width, 3\)"),
        (np.zeros((0, 9), np.uint8), "gray", "shape"),
        (np.zeros((9, 9)), "gray", "is of float64; it must be a NumPy array of uint8 or uint16"),
        (7, "gray", "is a int; it must be"),
    ],
)
def test_what_is_no_picture(recognizer, image, color, message):
    with pytest.raises(FergitError, match=message):
        recognizer.predict(image, color)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"Dear reader", "not a photograph that can be read"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "damaged or cut short"),
        (cv2.imencode(".png", np.eye(99, dtype=np.uint8))[1].tobytes()[:-9], "damaged or cut short"),
        (cv2.imencode(".png", np.zeros((1, 65501), np.uint8))[1].tobytes(), "is 65501x1 pixels; allowed: 65500 a side"),
        (cv2.imencode(".bmp", np.zeros((65501, 1), np.uint8))[1].tobytes(), "is 1x65501 pixels; allowed: 65500 a side"),
    ],
)
def test_what_is_no_photograph(recognizer, tmp_path, data, message):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(FergitError, match=rf"a\.jpg: .*{message}"):
        recognizer.predict(path)
    with pytest.raises(FergitError, match="No such file"):
        recognizer.predict(tmp_path / "none.jpg")


@pytest.mark.parametrize("error", [cv2.error("OpenCV: Insufficient memory"), MemoryError()])
def test_a_picture_beyond_opencv_or_the_memory_is_one_line(monkeypatch, error):
    def detect(*_):
        raise error

    recognizer = Recognizer()
    monkeypatch.setattr(recognizer, "detect", detect)
    with pytest.raises(FergitError, match="^a.png: cannot be searched for faces, 600x300 pixels; .*[mM]emory"):
        recognizer.predict(portrait(2)[0], "gray", name="a.png")


def test_what_is_no_network(tmp_path):
    with pytest.raises(FergitError, match=r"none\.onnx: no such file; models/ has "):
        ExpressionRecognizer(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(FergitError, match=r"text\.onnx: not a network that `python"):
        ExpressionRecognizer(tmp_path / "text.onnx")


def test_no_heavy_package_is_imported():
    heavy = {"tensorflow", "keras", "pandas", "matplotlib", "ruamel"}  # the app has none of them
    code = f"import sys, fergit.use.recognizer; sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT / "src", check=True)


def test_the_shipped_network_predicts_as_keras_does():
    if not NETWORK.exists():
        pytest.skip("models/fergit-residual.onnx is not here")
    from fergit.engine.augmentation import to_input
    from fergit.use.shipped import load_network

    images = draw_faces(50, seed=0)[0]
    expected = load_network().predict(to_input(images), verbose=0)
    recognizer = ExpressionRecognizer()
    assert np.abs(recognizer.predict_faces(images) - expected).max() <= 1e-4
    assert np.abs(recognizer.predict_faces(images[:1]) - expected[:1]).max() <= 1e-4


def test_a_missing_detector_is_named(monkeypatch, tmp_path):
    for name in ("YUNET", "BLAZEFACE"):
        monkeypatch.setattr(detection, name, tmp_path / name)
        with pytest.raises(FergitError, match=f"{name}: missing; `git checkout models` brings it back"):
            ExpressionRecognizer()
        for data in (b"", b"hello"):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(FergitError, match=f"{name}.*: damaged; `git checkout models` brings it back"):
                ExpressionRecognizer()
        monkeypatch.undo()


@pytest.mark.parametrize("file", [detection.YUNET, detection.BLAZEFACE])
def test_the_detectors_files_are_those_that_the_card_names(file):
    assert sha256(file) in (paths.MODELS / "README.md").read_text(encoding="utf-8")


def many():
    """Pictures with one, two and three faces, and none."""
    return [portrait(people)[0] for people in (1, 2, 3)] + [np.full((300, 300), 128, np.uint8)]


def shared():
    """A recognizer that threads and processes share: the shipped network's where it is here."""
    return ExpressionRecognizer() if NETWORK.exists() else Recognizer()


def test_threads_may_share_a_recognizer(recognizer):
    recognizer, pictures = shared(), many()
    expected = [recognizer.predict(picture, "gray") for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda picture: recognizer.predict(picture, "gray"), pictures * 25))
    assert found == expected * 25


def test_threads_that_read_bring_standard_error_back(recognizer, file, capfd):
    with ThreadPoolExecutor(4) as pool:
        assert len({str(found) for found in pool.map(recognizer.predict, [file] * 100)}) == 1
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_may_share_a_recognizer(method):
    """Forked while another thread searches; spawned, so that it is pickled."""
    recognizer, pictures = shared(), many()
    expected = [recognizer.predict(picture, "gray") for picture in pictures]
    with ThreadPoolExecutor(1) as thread:
        busy = thread.submit(lambda: [recognizer.predict(pictures[2], "gray") for _ in range(20)])
        with multiprocessing.get_context(method).Pool(2) as pool:
            work = pool.starmap_async(recognizer.predict, [(picture, "gray") for picture in pictures])
            assert work.get(60) == expected
        busy.result()


def test_types_are_shown(recognizer):
    assert typing.get_type_hints(Face)["probabilities"] == dict[str, float]
    assert typing.get_type_hints(ExpressionRecognizer.predict)["return"] == list[Face]
