import dataclasses
import pickle
import zipfile

import numpy as np
import pytest

from fergit.core.errors import FergitError
from fergit.core.faces import concatenate, load_processed, make_faces

CLASSES = ("cross", "glad")


@pytest.fixture
def faces():
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 48), np.uint8)
    split = ["train", "test", "train", "validation", "train", "test"]
    return make_faces(images, [0, 1, 0, 1, 1, 0], CLASSES, "synthetic", [f"x/ä {i}" for i in range(6)], split=split)


def same(one, other):
    fields = [field.name for field in dataclasses.fields(one)]
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in fields)


def test_what_was_saved_is_loaded(tmp_path, faces):
    faces.save(tmp_path / "a.npz")
    assert same(load_processed("a", path=tmp_path / "a.npz"), faces)


def test_parts(tmp_path, faces):
    faces.save(tmp_path / "a.npz")
    some = load_processed("a", parts=("train", "validation"), path=tmp_path / "a.npz")
    assert some.split.tolist() == ["train", "train", "validation", "train"]
    assert np.array_equal(some.images, faces.images[[0, 2, 3, 4]])
    with pytest.raises(FergitError, match="no part 'dev'"):
        load_processed("a", parts=("dev",), path=tmp_path / "a.npz")


def test_the_same_faces_give_the_same_bytes(tmp_path, faces):
    for name in ("a.npz", "b.npz"):
        faces.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_no_release_of_python_has_headers_of_its_own(tmp_path, faces):
    faces.save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        members = archive.infolist()
    # The version was 45 before Python 3.11.7, and an extra field was there, for what np.savez asks for.
    assert {(m.extract_version, m.create_version, m.extra, m.date_time) for m in members} == {
        (20, 20, b"", (1980, 1, 1, 0, 0, 0))
    }


def test_every_image_needs_a_part_and_a_name(tmp_path, faces):
    with pytest.raises(FergitError, match="x/ä 0 is in none of the parts"):
        faces.with_split(["", *faces.split[1:]]).save(tmp_path / "a.npz")
    with pytest.raises(FergitError, match="x is there twice"):
        make_faces(faces.images[:2], [0, 0], CLASSES, "synthetic", ["x", "x"])
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_earlier_file(tmp_path, faces, monkeypatch):
    faces.save(tmp_path / "a.npz")

    def fail(file, *_, **__):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError):
        faces.take([0]).save(tmp_path / "a.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert same(load_processed("a", path=tmp_path / "a.npz"), faces)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": np.zeros((6, 32, 32), np.uint8)},
            r"images are uint8 \(6, 32, 32\); they must be uint8 \(n, 48, 48\)",
        ),
        ({"images": np.zeros((6, 48, 48))}, "images are float64"),
        ({"labels": np.zeros(5, np.uint8)}, r"labels is uint8 \(5,\); it must be uint8 \(6,\)"),
        ({"labels": np.full(6, 2, np.uint8)}, "label 2 has no class; there are 2"),
        ({"split": np.full(6, "dev")}, "split holds other values than train, validation, test"),
        ({"group": np.zeros(6)}, "group is float64"),
        ({"sample_id": None}, "has no array 'sample_id'"),
        ({"source": np.array([Evil()] * 6, dtype=object)}, "not a file that preprocess wrote"),
        ({"classes": np.array([Evil()], dtype=object)}, "not a file that preprocess wrote"),
    ],
)
def test_files_from_elsewhere(tmp_path, faces, changes, message):
    arrays = {field.name: getattr(faces, field.name) for field in dataclasses.fields(faces)} | changes
    np.savez(tmp_path / "a.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(FergitError, match=message) as caught:
        load_processed("a", path=tmp_path / "a.npz")
    assert "\n" not in str(caught.value) and "a.npz" in str(caught.value)


def test_files_that_are_broken(tmp_path, faces):
    path = tmp_path / "a.npz"
    with pytest.raises(FergitError, match="no such file; `dvc repro preprocess@a`"):
        load_processed("a", path=path)
    faces.save(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("images.npy", b"no array")
    other = (tmp_path / "other.zip").read_bytes()
    for data in (b"", b"text", whole[: len(whole) // 2], other, pickle.dumps([1]), np.zeros(3).tobytes()):
        path.write_bytes(data)
        with pytest.raises(FergitError, match=r"a\.npz"):
            load_processed("a", path=path)


def test_joining(faces):
    both = concatenate(faces, faces)
    assert len(both) == 12 and both.counts() == {"cross": 6, "glad": 6}
    with pytest.raises(FergitError, match="different classes"):
        concatenate(faces, dataclasses.replace(faces, classes=("a", "b")))
