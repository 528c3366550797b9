import cv2
import numpy as np
import pytest
from portraits import long_pictures, portrait

from fergit.core.faces import SIDE
from fergit.data.detection import FRAME, Detection, FaceDetector, crop


@pytest.fixture(scope="module")
def detect():
    return FaceDetector()


def is_about(detection, box, part=0.25):
    middle = [detection.box[i] + detection.box[2] / 2 - box[i] - box[2] / 2 for i in (0, 1)]
    return max(map(abs, middle)) < part * box[2] and 0.6 < detection.box[2] / box[2] < 1.4


@pytest.mark.parametrize("side", [60, 150, 800])
def test_faces_of_any_size_are_found(detect, side):
    picture, (box,) = portrait(side=side)
    (found,) = detect(picture)
    assert is_about(found, box) and 0.6 <= found.confidence <= 1 and abs(found.tilt) < 20


def test_several_faces_are_found_each_once(detect):
    picture, boxes = portrait(people=3)
    found = detect(picture)
    assert len(found) == 3
    assert all(any(is_about(one, box) for one in found) for box in boxes)
    assert [one.box[2] * one.box[3] for one in found] == sorted(
        (one.box[2] * one.box[3] for one in found), reverse=True
    )


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (300, 5), (48, 48), (480, 640), (3000, 4000)])
def test_pictures_without_a_face(detect, shape):
    assert detect(np.full(shape, 128, np.uint8)) == []


@pytest.mark.parametrize("name", long_pictures())
def test_long_thin_pictures_are_searched_at_little_cost(detect, monkeypatch, name):
    picture, faces = long_pictures()[name]
    searched, convert = [], cv2.cvtColor
    monkeypatch.setattr(cv2, "cvtColor", lambda image, code: searched.append(image.size) or convert(image, code))
    found = detect(picture)
    assert len(found) == faces and max(searched, default=0) <= 10e6
    for one in found:
        assert is_about(one, (39775, 75, 150, 150))
        x, y, width, height = one.box
        moved = Detection((x - 39700, y, width, height), one.confidence, one.tilt)
        assert (crop(picture, one) == crop(picture[:, 39700:], moved)).all()


@pytest.mark.parametrize("turn", [-30, -15, 15, 30])
def test_a_turned_head_is_found_and_cut_out_upright(detect, turn):
    picture, (box,) = portrait()
    clockwise = cv2.warpAffine(picture, cv2.getRotationMatrix2D((149.5, 149.5), -turn, 1), (300, 300), borderMode=1)
    (before,), (found,) = detect(picture), detect(clockwise)
    assert abs(found.tilt - before.tilt - turn) < 5 and is_about(found, box)
    upright = crop(picture, before).astype(float)
    assert np.corrcoef(upright.ravel(), crop(clockwise, found).ravel())[0, 1] > 0.8


@pytest.mark.parametrize("side", [48, 150, 600])
def test_a_face_that_fills_the_picture_is_found(detect, side):
    picture, (box,) = portrait(side=side)
    x, y, _, _ = box
    (found,) = detect(np.ascontiguousarray(picture[y : y + side, x : x + side]))
    assert is_about(found, (0, 0, side, side))


def test_a_crop_is_framed_as_said():
    picture = np.zeros((300, 400), np.uint8)
    picture[100:180, 200:280] = 255  # exactly what is to be cut out
    side = round(80 / FRAME)
    box = (240 - side // 2, 140 - side // 2, side, side)
    face = crop(picture, Detection(box, 1.0), frame=80 / side)
    assert face.shape == (48, 48) and face.dtype == np.uint8 and face[2:-2, 2:-2].min() == 255
    wider = crop(picture, Detection(box, 1.0), frame=120 / side)
    assert wider[:6].max() == 0 and abs(wider.mean() / 255 - (80 / 120) ** 2) < 0.05


@pytest.mark.parametrize("shape", [(480, 640), (3000, 4000)])
def test_a_crop_is_to_the_byte_that_of_the_whole_picture_turned(shape):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, shape, np.uint8)
    for _ in range(30):
        side = int(rng.integers(20, min(shape)))
        x, y = (int(rng.integers(-side, length)) for length in shape[::-1])  # some are beyond the border
        tilt = int(rng.integers(-90, 90))
        pixels = max(SIDE, round(FRAME * side))
        matrix = cv2.getRotationMatrix2D((x + side / 2, y + side / 2), tilt, pixels / (FRAME * side))
        matrix[:, 2] += pixels / 2 - np.array([x + side / 2, y + side / 2])
        face = cv2.warpAffine(picture, matrix, (pixels, pixels), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        expected = face if pixels == SIDE else cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        assert (crop(picture, Detection((x, y, side, side), 1.0, tilt)) == expected).all()


def test_a_crop_beyond_the_border_repeats_it():
    face = crop(np.full((60, 60), 7, np.uint8), Detection((-20, 30, 50, 50), 1.0))
    assert face.min() == face.max() == 7


def test_a_crop_of_a_turned_head_is_upright():
    rows = np.repeat(np.linspace(0, 255, 48).astype(np.uint8)[:, None], 48, axis=1)
    clockwise = cv2.warpAffine(
        cv2.copyMakeBorder(rows, 30, 30, 30, 30, cv2.BORDER_REPLICATE),
        cv2.getRotationMatrix2D((53.5, 53.5), -30, 1),
        (108, 108),
    )
    upright = crop(clockwise, Detection((30, 30, 48, 48), 1.0, tilt=30), frame=1)
    assert np.abs(upright[8:-8, 8:-8].astype(int) - rows[8:-8, 8:-8]).max() < 16
