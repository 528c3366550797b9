import errno
import json
import os
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.params import read
from fergit.data import ckplus, copies, datasets, fer2013, ferplus, muxspace, sources, synthetic
from fergit.paper import published

CLASSES = fer2013.CLASSES


@pytest.fixture
def settings():
    return {
        "fetch": {"download": False, "draw": {"images": 200, "seed": 0}},
        "split": {"protocol": "frames", "held_out": 0.4, "validation": 0.3, "folds": 3, "fold": 0, "seed": 0},
    }


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("EXTERNAL", "RAW", "PROCESSED", "WORK"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    paths.EXTERNAL.mkdir()
    return tmp_path


def fetch(dataset, settings, **images):
    """`sources.fetch` with the data set's own section ``images`` of params.yaml."""
    return sources.fetch(dataset, settings | {"images": read(paths.PARAMS)[dataset]["images"] | images})


def png(value):
    return cv2.imencode(".png", np.full((48, 48), value % 256, np.uint8))[1].tobytes()


def write(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def write_fer2013():
    rows = [
        f"{row % 7},{' '.join([str(row % 256)] * 2304)},{('Training', 'PublicTest', 'PrivateTest')[row // 7 % 3]}"
        for row in range(70)
    ]
    (paths.EXTERNAL / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows, ""]))


def muxspace_files():
    legend = ["user.id,image,emotion", *(f"1,{row}.jpg,{'HAPPINESS' if row % 2 else 'sadness'}" for row in range(20))]
    return {
        "data/legend.csv": "\n".join([*legend, ""]).encode(),
        **{f"images/{row}.jpg": png(100 + row) for row in range(20)},
    }


def ckplus_files():
    return {
        f"CK+48/{name}/S{10 + person:03d}_{number:03d}_{frame:08d}.png": png(person * 20 + number * 3 + frame)
        for person in range(6)
        for number, name in enumerate(ckplus.CLASSES)
        for frame in range(2)
    }


def test_fer2013(folders, settings, capsys):
    write_fer2013()
    manifest = fetch("fer2013", settings)
    assert manifest["images"] == 70 and manifest == json.loads((paths.RAW / "fer2013/manifest.json").read_text())
    (entry,) = manifest["sources"]
    assert entry["counts"]["angry"] == 10
    assert entry["file"] == "fer2013.csv" and entry["bytes"] == (paths.EXTERNAL / "fer2013.csv").stat().st_size
    assert "fer2013: 4 images of class angry in train; published: 3,995" in manifest["differences"]
    assert "70 images; published: 35,887. What differs:" in capsys.readouterr().err
    faces = datasets.preprocess("fer2013", {"split": {"seed": 0}})
    assert faces.split[[0, 7, 14]].tolist() == ["train", "validation", "test"]


def test_fergit(folders, settings):
    write_fer2013()
    write(paths.EXTERNAL / "muxspace", muxspace_files())
    manifest = fetch("fergit", settings)
    assert [entry.get("file") for entry in manifest["sources"]] == ["fer2013.csv", None]
    faces = datasets.preprocess("fergit", {"split": {"seed": 0, "held_out": 0.4}})
    assert len(faces) == 80 and faces.source.tolist() == ["fer2013"] * 70 + ["muxspace"] * 10
    assert [(faces.split == part).sum() for part in ("train", "validation", "test")] == [48, 16, 16]


@pytest.mark.parametrize("protocol", ["frames", "subjects"])
def test_ckplus(folders, settings, protocol):
    settings["split"]["protocol"] = protocol
    write(paths.EXTERNAL / "ckplus48", ckplus_files())
    fetch("ckplus", settings)
    faces = datasets.preprocess("ckplus", settings)
    assert len(faces) == 84 and set(faces.split) == {"train", "validation", "test"}
    if protocol == "subjects":
        assert not set(faces.group[faces.split == "test"]) & set(faces.group[faces.split != "test"])


def test_synthetic(folders, settings, capsys):
    settings["fetch"]["draw"]["images"] = 700
    manifest = fetch("synthetic", settings)
    faces = datasets.preprocess("synthetic", settings | {"split": {"seed": 0, "held_out": 0.2}})
    assert len(faces) == manifest["images"] == 700 and faces.classes == CLASSES
    assert faces.sample_id[0] == "synthetic/00000" and (faces.group != "").all()
    assert "synthetic: 700 images, drawn" in capsys.readouterr().out


def test_a_folder_and_its_zip_are_the_same(folders, settings):
    write(folders / "elsewhere", ckplus_files())
    (paths.EXTERNAL / "ckplus48").symlink_to(folders / "elsewhere")
    assert fetch("ckplus", settings) == fetch("ckplus", settings)
    written = (paths.RAW / "ckplus" / sources.FACES).read_bytes()
    (paths.EXTERNAL / "ckplus48").unlink()
    shutil.make_archive(paths.EXTERNAL / "ckplus48", "zip", folders / "elsewhere")
    assert fetch("ckplus", settings)["sources"][0]["file"] == "ckplus48.zip"
    assert (paths.RAW / "ckplus" / sources.FACES).read_bytes() == written


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            "fer2013",
            r"fer2013\.tar\.gz from https://www\.kaggle\.com/c/challenges-in-representation-learning-facial-exp",
        ),
        ("ckplus", r"CK\+48 from https://www\.kaggle\.com/.* as ckplus48\.zip"),
        ("fergit", "kaggle"),
    ],
)
def test_missing_sources_say_what_to_get(folders, settings, dataset, message):
    for name in ("archive.zip", "fer2013.rar", ".DS_Store", "fer2013new.csv"):
        (paths.EXTERNAL / name).write_bytes(b"")
    with pytest.raises(FergitError, match=message) as caught:
        fetch(dataset, settings)
    assert "there is archive.zip, fer2013.rar, but by name and kind" in str(caught.value) and "\n" not in str(
        caught.value
    )
    assert not paths.RAW.exists() or not list(paths.RAW.iterdir())


def test_nothing_half_written_and_the_earlier_kept(folders, settings):
    write(paths.EXTERNAL / "ckplus48", ckplus_files())
    fetch("ckplus", settings)
    before = {path.name: path.read_bytes() for path in (paths.RAW / "ckplus").iterdir()}
    write(paths.EXTERNAL / "ckplus48", {"CK+48/fear/S010_001_00000009.png": b"no image"})
    with pytest.raises(FergitError, match="S010_001_00000009"):
        fetch("ckplus", settings)
    assert {path.name: path.read_bytes() for path in (paths.RAW / "ckplus").iterdir()} == before
    assert [path.name for path in paths.RAW.iterdir()] == ["ckplus"]


@pytest.mark.parametrize("kind", ["a file", "a link to nowhere", "a link to itself", "not there"])
def test_external_is_no_folder(folders, settings, kind):
    paths.EXTERNAL.rmdir()
    if kind == "a file":
        paths.EXTERNAL.write_bytes(b"")
    elif kind != "not there":
        paths.EXTERNAL.symlink_to("nowhere" if "nowhere" in kind else paths.EXTERNAL.name)
    with pytest.raises(FergitError, match="ckplus: not in .*external/; get CK") as refused:
        fetch("ckplus", settings)
    assert "\n" not in str(refused.value) and list(paths.RAW.iterdir()) == []


def test_a_folder_named_like_a_file_is_read_as_the_folder_it_is(folders, settings):
    write_fer2013()
    (paths.EXTERNAL / "fer2013.csv").rename(folders / "table")
    (paths.EXTERNAL / "fer2013.csv").mkdir()  # as macOS unpacks it
    with pytest.raises(FergitError, match=r"fer2013\.csv: holds neither fer2013\.csv nor folders"):
        fetch("fer2013", settings)
    (folders / "table").rename(paths.EXTERNAL / "fer2013.csv" / "fer2013.csv")
    assert fetch("fer2013", settings)["images"] == 70


def test_links_to_nowhere_and_strange_names_are_named(folders, settings):
    (paths.EXTERNAL / "fer2013.csv").symlink_to("nowhere")
    with pytest.raises(FergitError, match=r"fer2013\.csv: a link to nowhere, which is not there"):
        fetch("fer2013", settings)
    named = {f"fer2013/train/angry/{name}.png": png(1) for name in ("a 'b'", "ä\udcff")}
    (paths.EXTERNAL / "fer2013.csv").unlink()
    write(paths.EXTERNAL, named)
    with pytest.raises(FergitError, match="no plain text; rename it"):
        fetch("fer2013", settings)
    assert list(paths.RAW.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_leaves_what_was_there(folders, settings, monkeypatch, code):
    write(paths.EXTERNAL / "ckplus48", ckplus_files())
    fetch("ckplus", settings)
    before = {path.name: path.read_bytes() for path in (paths.RAW / "ckplus").iterdir()}

    def fail(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FergitError, match=os.strerror(code)) as refused:
        fetch("ckplus", settings)
    assert "\n" not in str(refused.value)
    assert {path.name: path.read_bytes() for path in (paths.RAW / "ckplus").iterdir()} == before
    assert [path.name for path in paths.RAW.iterdir()] == ["ckplus"]


def test_a_source_that_cannot_be_read_and_a_folder_that_cannot_be_moved(folders, settings, monkeypatch):
    write(paths.EXTERNAL / "ckplus48", ckplus_files())
    fetch("ckplus", settings)
    before = {path.name: path.read_bytes() for path in (paths.RAW / "ckplus").iterdir()}

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for module, name, said in (
        (sources.ckplus, "read", r"external/ckplus48: cannot be read \(Input/output error\)"),
        (Path, "rename", r"raw/ckplus: cannot be written \(Input/output error\)"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fail)
            with pytest.raises(FergitError, match=said):
                fetch("ckplus", settings)
        assert {path.name: path.read_bytes() for path in (paths.RAW / "ckplus").iterdir()} == before
        assert [path.name for path in paths.RAW.iterdir()] == ["ckplus"]


def test_loading_what_is_not_there_or_damaged(folders, settings):
    with pytest.raises(FergitError, match="ckplus/faces.npz: no such file; `dvc repro -f fetch@ckplus` brings it"):
        datasets.load("ckplus")
    write(paths.RAW / "ckplus", {"faces.npz": b"PK"})
    with pytest.raises(FergitError, match="not what fetch wrote; `dvc repro -f fetch@ckplus` brings it"):
        datasets.load("ckplus")


@pytest.mark.parametrize("array", ["labels", "group", "images"])
def test_drawn_faces_that_do_not_fit_together_are_named(folders, settings, array):
    fetch("synthetic", settings)
    file = paths.RAW / "synthetic" / "faces.npz"
    with np.load(file) as arrays:
        held = dict(arrays)
    np.savez(file, **held | {array: held[array][:-1]})
    with pytest.raises(
        FergitError, match=r"faces\.npz: not what fetch wrote; `dvc repro -f fetch@synthetic` brings it"
    ):
        datasets.load("synthetic")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"held_out": 0.01}, r"params\.yaml: ckplus\.split: .*7 classes need .*{protocol: frames, held_out: 0.01"),
        ({"held_out": 0.99}, r"params\.yaml: ckplus\.split: .*7 classes need "),
        ({"protocol": "subjects", "folds": 90}, r"params\.yaml: ckplus\.split\.folds is 90, there are \d+ persons"),
    ],
)
def test_a_split_that_cannot_be_names_its_key(folders, settings, change, said):
    write(paths.EXTERNAL / "ckplus48", ckplus_files())
    fetch("ckplus", settings)
    with pytest.raises(FergitError, match=f"^{said}"):
        datasets.preprocess("ckplus", {"split": settings["split"] | change})


def test_muxspace_is_downloaded(folders, settings, monkeypatch, capsys):
    write_fer2013()
    settings["fetch"]["download"] = True
    files = muxspace_files()
    asked = []

    def download(urls, target, **_):
        asked.append(urls)
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target, "w") as file:
            for name, data in files.items():
                file.writestr(f"facial_expressions-5fb9c13a/{name}", data)

    monkeypatch.setattr(sources, "download", download)
    with pytest.raises(FergitError, match=r"data/legend\.csv, as downloaded, has sha256"):
        fetch("fergit", settings)
    import hashlib

    monkeypatch.setattr(muxspace, "LEGEND_SHA256", hashlib.sha256(files["data/legend.csv"]).hexdigest())
    fetch("fergit", settings)
    fetch("fergit", settings)
    assert asked == [sources.MUXSPACE_URLS] * 2  # the third time, it was there
    assert len(datasets.load("fergit")) == 80


def test_several_forms_one_is_taken(folders, settings, capsys):
    write_fer2013()
    write(paths.EXTERNAL, {"fer2013.zip": b"damaged", "ferplus_fer2013new.csv": b""})
    fetch("fer2013", settings)
    said = capsys.readouterr()
    assert "fer2013.csv; not used: " in said.out
    assert datasets.votes("fer2013") is None and "ferplus: not taken, " in said.err  # a broken one ends nothing


def test_votes_are_kept_beside_the_images(folders, settings, monkeypatch):
    write_fer2013()
    monkeypatch.setattr(ferplus, "ROWS", 1)
    header = f"Usage,Image name,{','.join(ferplus.COLUMNS)}"
    (paths.EXTERNAL / "fer2013new.csv").write_text(f"{header}\nTraining,x,0,7,3,0,0,0,0,0,0,0\n")
    fetch("fer2013", settings)
    (paths.EXTERNAL / "fer2013new.csv").unlink()
    assert datasets.votes("fer2013").loc["fer2013/00000"].to_dict() == dict.fromkeys(ferplus.VOTES, 0) | {
        "happy": 7,
        "surprise": 3,
    }


def test_usages_are_those_of_the_source(folders, settings):
    write_fer2013()
    write(paths.EXTERNAL / "muxspace", muxspace_files())
    fetch("fergit", settings)
    loaded = datasets.load("fergit")
    own = {"held_out": 0.4, "seed": 42, "rule": "sklearn-0.24", "leave_out_copies": True}
    table = copies.of_test_images(datasets.split("fergit", loaded, own), loaded)
    official = dict(zip(loaded.sample_id, loaded.split, strict=True))
    assert [fer2013.USAGES.get(official[name], "") for name in table["sample_id"]] == table["usage"].tolist()
    assert set(table["usage"][table["source"] == "muxspace"]) == {""} and (table["usage"] == "Training").any()


@pytest.mark.parametrize(
    "name", ["fer2013.csv.zip", "icml_face_data.csv.zip", "fer2013", "FER2013.CSV", "fer-2013.zip"]
)
def test_names_under_which_downloads_come(folders, settings, name):
    write_fer2013()
    table = (paths.EXTERNAL / "fer2013.csv").rename(folders / "icml_face_data.csv")
    if name.endswith("zip"):
        with zipfile.ZipFile(paths.EXTERNAL / name, "w", zipfile.ZIP_DEFLATED) as file:
            file.write(table, table.name)
    else:
        table.rename(paths.EXTERNAL / name)
    assert fetch("fer2013", settings)["images"] == 70
    assert len(datasets.load("fer2013")) == 70


def test_a_download_that_kaggle_calls_archive_is_known_by_its_content(folders, settings, capsys):
    write_fer2013()
    with zipfile.ZipFile(paths.EXTERNAL / "archive (1).zip", "w") as file:
        for name, data in ckplus_files().items():
            file.writestr(name, data)
    table = (paths.EXTERNAL / "fer2013.csv").rename(folders / "fer2013.csv")
    with zipfile.ZipFile(paths.EXTERNAL / "archive.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.write(table, "fer2013/fer2013.csv")
    assert fetch("ckplus", settings)["images"] == 84 and fetch("fer2013", settings)["images"] == 70
    assert datasets.load("ckplus").classes == ckplus.CLASSES and len(datasets.load("fer2013")) == 70


def test_the_competitions_zip(folders, settings):
    write_fer2013()
    table = (paths.EXTERNAL / "fer2013.csv").rename(folders / "icml_face_data.csv")
    name = "challenges-in-representation-learning-facial-expression-recognition-challenge.zip"
    with zipfile.ZipFile(paths.EXTERNAL / name, "w", zipfile.ZIP_DEFLATED) as file:
        for other in ("example_submission.csv", "fer2013.tar.gz", "test.csv", "train.csv"):
            file.writestr(other, b"")
        file.write(table, table.name)
    assert fetch("fer2013", settings)["images"] == 70


def test_a_zip_from_windows(folders, settings):
    with zipfile.ZipFile(paths.EXTERNAL / "ckplus48.zip", "w") as file:
        for name, data in ckplus_files().items():
            info = zipfile.ZipInfo("x")
            info.filename = name.replace("/", "\\")  # ZipInfo itself would mend it on Windows alone
            file.writestr(info, data)
    assert fetch("ckplus", settings)["images"] == 84


def test_what_is_not_read_is_named_and_counted(folders, settings, capsys):
    files = {f"fer2013/{part}/angry/{name}.png": png(1) for part in ("train", "test") for name in "ab"}
    files |= {f"fer2013/extra/angry/{name}.png": png(2) for name in "ab"} | {"fer2013/train/angry/c.svg": b"<svg/>"}
    write(paths.EXTERNAL, files)
    fetch("fer2013", settings)
    said = "fer2013: files in no known folder or of no known kind, not read: 3, such as extra/angry/a.png"
    assert said in capsys.readouterr().err


def test_a_frame_of_another_size_is_named(folders, settings, capsys):
    odd = "CK+48/fear/S010_001_00000009.png"
    large = cv2.imencode(".png", np.zeros((60, 50), np.uint8))[1].tobytes()
    write(paths.EXTERNAL / "ckplus48", ckplus_files() | {odd: large})
    fetch("ckplus", settings)
    assert f"ckplus: images not of 48x48 pixels, resized: 1, such as {odd}" in capsys.readouterr().err


@pytest.mark.parametrize("dataset", ["fer2013", "fer2013_best", "fergit", "fergit_best"])
def test_the_same_sources_by_another_recipe(folders, settings, dataset):
    write_fer2013()
    write(paths.EXTERNAL / "muxspace", muxspace_files())
    fetch(dataset, settings)
    own = {"seed": 42, "leave_out_copies": False}
    own |= {"held_out": 0.4, "rule": "sklearn-0.24"} if "fergit" in dataset else {}
    assert set(datasets.preprocess(dataset, {"split": own}).split) == {"train", "validation", "test"}


def test_numbers_agree():
    assert fer2013.CLASSES == published.FERGIT_CLASSES
    assert ckplus.CLASSES == published.CKPLUS_CLASSES
    assert fer2013.CLASSES == synthetic.CLASSES
    assert sum(sources.EXPECTED["fergit"].values()) == published.FERGIT_IMAGES == sum(published.FERGIT_SPLIT.values())


@pytest.mark.parametrize("dataset", ["ckplus", "fergit"])
def test_the_real_files(tmp_path, settings, monkeypatch, capsys, dataset, real_file):
    for source in sources.SOURCES[dataset]:
        real_file(source)
    monkeypatch.setattr(paths, "RAW", tmp_path)
    manifest = fetch(dataset, settings)
    number = sum(sources.EXPECTED[dataset].values())
    assert manifest["images"] == number and manifest["differences"] == []
    assert f"{dataset}: {number:,} images, numbers as published" in capsys.readouterr().out
    assert datasets.load(dataset).counts() == sources.EXPECTED[dataset]
