import zipfile

import cv2
import numpy as np
import pytest

from fergit.core.errors import FergitError
from fergit.data import ckplus

NAMES = ("anger/S010_004_00000017.png", "anger/S010_004_00000018.png", "happy/S011_006_00000012.png")


def write(path, names=NAMES):
    with zipfile.ZipFile(path, "w") as file:
        for value, name in enumerate(names):
            file.writestr(f"CK+48/{name}", cv2.imencode(".png", np.full((48, 48), value, np.uint8))[1].tobytes())
    return path


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_subject_and_sequence_from_the_name(tmp_path, kind):
    path = write(tmp_path / "ckplus48.zip")
    if kind == "folder":
        with zipfile.ZipFile(path) as file:
            file.extractall(tmp_path / "folder")
        path = tmp_path / "folder"
    faces, _ = ckplus.read(path)
    assert [faces.classes[label] for label in faces.labels] == ["anger", "anger", "happy"]
    assert faces.group.tolist() == ["S010", "S010", "S011"]
    assert faces.sample_id[0] == "ckplus/S010_004_00000017"
    assert faces.images[:, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no images"),
        (("anger/face1.png",), r"face1\.png: expected a name as S010_004_00000017\.png"),
        (("bored/S010_004_00000017.png",), "unknown emotion 'bored'; allowed: anger"),
        (
            ("anger/S010_004_00000017.png", "fear/S010_004_00000017.png"),
            r"S010_004_00000017 is there twice \(CK\+48/anger/S0.*png and CK\+48/fear/S0.*png\)",
        ),
    ],
)
def test_bad_names(tmp_path, names, message):
    with pytest.raises(FergitError, match=message):
        ckplus.read(write(tmp_path / "ckplus48.zip", names))


def test_the_real_files(real_file):
    path = real_file("ckplus")
    faces, _ = ckplus.read(path)
    assert tuple(faces.counts().values()) == ckplus.COUNTS
    assert len(np.unique(faces.group)) == ckplus.SUBJECTS
    _, frames = np.unique(faces.sample_id.astype("U15"), return_counts=True)  # ckplus/S010_004
    assert len(frames) == ckplus.SEQUENCES and set(frames) == {3}
