import zipfile

import cv2
import numpy as np
import pytest

from fergit.core.errors import FergitError
from fergit.data import muxspace

LEGEND = """user.id,image,emotion
1,a.jpg,anger
1,b c'é.jpg,HAPPINESS
2,twice.jpg,neutral
3,twice.jpg,Neutral
1,both.jpg,SURPRISE
2,both.jpg,SADNESS
1,d.jpg,contempt
1,e.jpg,happiness
"""
IMAGES = {"a.jpg": 10, "b c'é.jpg": 20, "twice.jpg": 30, "both.jpg": 40, "d.jpg": 50, "e.jpg": 60, "no row.jpg": 70}


def files(legend=LEGEND, images=IMAGES):
    jpeg = {
        name: cv2.imencode(".jpg", np.full((112, 90), value, np.uint8))[1].tobytes() for name, value in images.items()
    }
    legend = legend if isinstance(legend, bytes) else legend.encode()
    return {"data/legend.csv": legend} | {f"images/{name}": data for name, data in jpeg.items()}


def write_folder(root, content):
    for name, data in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_zip(path, content, top=""):
    with zipfile.ZipFile(path, "w") as file:
        for name, data in content.items():
            file.writestr(top + name, data)
    return path


@pytest.fixture(params=["folder", "zip", "zip as GitHub makes it"])
def source(request, tmp_path):
    if request.param == "folder":
        return write_folder(tmp_path / "muxspace", files())
    top = "facial_expressions-5fb9c13a/" if "GitHub" in request.param else ""
    return write_zip(tmp_path / "muxspace.zip", files(), top)


def test_rows_that_fergit_keeps(source):
    faces, _ = muxspace.read(source)
    assert faces.sample_id.tolist() == [
        "muxspace/a.jpg",
        "muxspace/b c'é.jpg",
        "muxspace/twice.jpg",
        "muxspace/twice.jpg#2",
        "muxspace/both.jpg",
        "muxspace/e.jpg",
    ]
    assert [faces.classes[label] for label in faces.labels] == [
        "angry",
        "happy",
        "neutral",
        "neutral",
        "surprise",
        "happy",
    ]
    assert np.abs(faces.images[:, 24, 24].astype(int) - [10, 20, 30, 30, 40, 60]).max() <= 1
    assert set(faces.source) == {"muxspace"} and set(faces.split) == {""}


@pytest.mark.parametrize(
    ("legend", "message"),
    [
        ("", "not a header"),
        (LEGEND.replace("emotion", "mood"), "not a header with one image and one emotion"),
        ("image,emotion,image\n", "not a header with one image"),
        (LEGEND.replace(",anger", ",bored"), "line 2: unknown emotion 'bored'; allowed: anger"),
        (LEGEND.replace("a.jpg", "z.jpg"), r"line 2: the file images/z\.jpg is not there"),
        (LEGEND.replace("a.jpg", "../a.jpg"), r"line 2: the file images/\.\./a\.jpg is not there"),
        (LEGEND.replace(",anger", ""), "line 2: 2 columns; expected 3"),
        (LEGEND + '1,"a.jpg,anger', "not CSV"),
        (b"user.id,image,emotion\n\xff\xfe,a.jpg,anger\n", "not UTF-8"),
        ("user.id,image,emotion\n1,a.jpg,sadness\n", "no row"),
    ],
)
def test_bad_tables(tmp_path, legend, message):
    with pytest.raises(FergitError, match=message) as caught:
        muxspace.read(write_folder(tmp_path / "muxspace", files(legend)))
    assert "\n" not in str(caught.value)


def test_byte_order_mark_and_crlf(tmp_path):
    legend = b"\xef\xbb\xbf" + LEGEND.replace("\n", "\r\n").encode()
    assert len(muxspace.read(write_folder(tmp_path / "muxspace", files(legend)))[0]) == 6


def test_a_damaged_image_is_named(tmp_path):
    content = files() | {"images/a.jpg": files()["images/a.jpg"][:100]}
    with pytest.raises(FergitError, match=r"muxspace, images/a\.jpg"):
        muxspace.read(write_folder(tmp_path / "muxspace", content))


def test_something_else(tmp_path):
    with pytest.raises(FergitError, match=r"0 tables data/legend\.csv; expected one"):
        muxspace.read(write_zip(tmp_path / "a.zip", {"images/a.jpg": b""}))
    with pytest.raises(FergitError, match="no images"):
        muxspace.read(write_zip(tmp_path / "b.zip", {"data/legend.csv": b""}))


def test_the_real_files(real_file):
    path = real_file("muxspace")
    faces, _ = muxspace.read(path)
    assert faces.counts() == {
        name: muxspace.COUNTS.get(old, 0)
        for old, name in zip(
            ("anger", "disgust", "fear", "happiness", "-", "surprise", "neutral"), faces.classes, strict=True
        )
    }
    assert len(faces) == 13_413 == 49_300 - 35_887
    assert sum(name.endswith("#2") for name in faces.sample_id) == 7
    ambiguous = faces.take(faces.sample_id == "muxspace/Avinash_30.jpg")
    assert [faces.classes[label] for label in ambiguous.labels] == ["surprise"]
