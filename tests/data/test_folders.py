"""Faces of one's own, sorted into folders: read, split, and what of them is left out."""

import shutil
import unicodedata
import zipfile

import cv2
import numpy as np
import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.data import ckplus, datasets, folders, images, sources
from fergit.data.synthetic import draw_faces

OWN = {"source": "folders", "crop": "none"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    for name in ("EXTERNAL", "RAW"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    paths.EXTERNAL.mkdir()


def fetch(name="mine", **own):
    return sources.fetch(name, {"fetch": {"download": False}, "images": OWN | own})


def split(name="mine", **own):
    return datasets.preprocess(name, {"split": {"seed": 0} | own})


def picture(value, size=(130, 100), suffix=".png"):
    """A picture of one gray value, in three channels."""
    return cv2.imencode(suffix, np.full((*size, 3), value % 256, np.uint8))[1].tobytes()


def write(names, root="mine", make=picture):
    for value, name in enumerate(names):
        path = paths.EXTERNAL / root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make(value))


def several(*folders, number=5, suffix=".png"):
    return [f"{folder}/{row}{suffix}" for folder in folders for row in range(number)]


def refused(match, **own):
    with pytest.raises(FergitError, match=match) as error:
        fetch(**own)
    assert "\n" not in str(error.value) and not list(paths.RAW.iterdir())


def test_classes_are_the_folders_sorted():
    write(several("sad", "Very happy", "b"))
    manifest = fetch()
    assert manifest["sources"][0]["counts"] == {"Very happy": 5, "b": 5, "sad": 5} and manifest["differences"] == []
    faces = datasets.load("mine")
    assert faces.classes == ("Very happy", "b", "sad") and set(faces.source) == {"mine"} and set(faces.split) == {""}
    assert faces.sample_id[0] == "mine/Very happy/0.png" and faces.images[faces.labels == 2][:, 0, 0].tolist() == [
        *range(5)
    ]
    assert set(split(held_out=0.4).split) == {"train", "validation", "test"}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "gztar", "xztar"])
def test_a_folder_and_an_archive_of_it_are_the_same(kind, tmp_path):
    write(several("a/b/happy", "a/b/sad"), root="Mine")
    if kind != "folder":
        folder = shutil.move(paths.EXTERNAL / "Mine", tmp_path / "there")
        shutil.make_archive(paths.EXTERNAL / "mine", kind, folder)
    fetch()
    faces = datasets.load("mine")
    assert faces.sample_id[[0, -1]].tolist() == ["mine/happy/0.png", "mine/sad/4.png"]
    assert faces.images[:, 5, 5].tolist() == list(range(10))


FORMATS = [".jpg", ".png", ".webp", ".bmp", ".tiff", ".jp2", ".avif"]


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [*((suffix, channels) for suffix in FORMATS for channels in (1, 3)), (".pgm", 1), (".ppm", 3), (".gif", 3)],
)
def test_every_format_that_opencv_reads(suffix, channels):
    ramp = np.repeat(np.tile(np.linspace(20, 220, 96), (130, 1)).astype(np.uint8)[..., None], channels, axis=2)
    data = cv2.imencode(suffix, ramp)[1].tobytes()
    write(several("a", "b", number=3, suffix=suffix), make=lambda _: data)
    assert fetch()["differences"] == []
    expected = cv2.resize(ramp if channels == 1 else ramp[..., 0], (48, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(datasets.load("mine").images[0].astype(int) - expected.reshape(48, 48)).max() <= 8


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (("train", "valid", "test"), (20, 6, 6)),
        (("Training", "Validation", "Testing"), (20, 6, 6)),
        (("train", "test"), (16, 4, 6)),  # a fifth of train
        (("train", "val"), (16, 4, 6)),  # AffectNet's form: its validation part is the test
        (("train",), (16, 2, 2)),
    ],
)
def test_parts_are_kept_and_a_missing_validation_part_is_held_out(folders, parts):
    for folder in folders:
        write(several(*(f"{folder}/{name}" for name in "ab"), number=10 if folder.lower().startswith("train") else 3))
    fetch()
    faces = split(held_out=0.2)
    assert tuple((faces.split == part).sum() for part in ("train", "validation", "test")) == parts
    where = {name.split("/")[1].lower()[:3]: part for name, part in zip(faces.sample_id, faces.split, strict=True)}
    assert len(folders) == 1 or where[folders[-1].lower()[:3]] == "test"


def test_persons_by_a_rule():
    write([f"{name}/S{person:03d}_{row}.png" for name in ("a", "b") for person in range(9) for row in range(2)])
    fetch(person=r"(S\d+)_")
    faces = split(protocol="subjects", folds=3, fold=0)
    assert len(set(faces.group)) == 9 and faces.group[0] == "S000"
    parts = [set(faces.group[faces.split == part]) for part in ("train", "validation", "test")]
    assert sum(map(len, parts)) == 9 and all(parts)
    paths.RAW.joinpath("mine").rename(paths.RAW.parent / "away")
    refused(
        r"images\.person is 'T\\d', which finds no person in 36 of 36 file names, such as a/S000_0\.png",
        person="T\\d",
    )
    fetch(person=r"S\d+")
    assert set(datasets.load("mine").group) == set(faces.group)


def test_a_mapping_renames_merges_and_leaves_out():
    write(several("1", "2", "3", "4"))
    manifest = fetch(classes={1: "surprise", "2": "joy", "3": "joy", 4: None})
    assert manifest["sources"][0]["counts"] == {"joy": 10, "surprise": 5}
    assert manifest["differences"] == ["mine: left out by images.classes: 5 of 4"]
    shutil.rmtree(paths.RAW / "mine")
    refused("images.classes names '7', which is no folder; there are 1, 2, 3, 4", classes={7: "joy"})


def test_what_is_left_out_is_counted_and_named(capsys):
    write(several("a", "b"))
    for name, data in {
        "a/broken.jpg": b"\xff\xd8\xff",
        "b/cut.png": picture(1)[:-9],
        "b/tiny.png": picture(1, (4, 4)),
        "a/notes.txt": b"x",
        "logo.png": picture(1),
        "b/heic.heic": b"x",
    }.items():
        (paths.EXTERNAL / "mine" / name).write_bytes(data)
    (paths.EXTERNAL / "mine" / "empty").mkdir()
    assert fetch()["images"] == 10
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == [
        "  mine: files in no known folder or of no known kind, not read: 3, such as a/notes.txt",
        "  mine: folders without a picture: 1, such as empty",
        "  mine: pictures that cannot be read, left out: 3, such as a/broken.jpg (not an image of a known format, or "
        "cut short or damaged)",
        f"mine: {paths.RAW}/mine/left-out.txt lists all of these pictures",
    ]
    assert datasets.differences("mine") == [line.strip() for line in said[1:-1]]


def test_a_large_picture_that_is_not_packed_is_read():
    tiff = cv2.imencode(".tiff", np.full((4000, 3000, 3), 9000, np.uint16), [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1]
    large = tiff.tobytes()
    write(several("a", "b"), make=lambda number: large if number == 0 else picture(number))
    assert len(large) > 2**26 and fetch()["images"] == 10


def test_a_header_without_its_numbers_ends_nothing():
    write(several("a", "b"))
    (paths.EXTERNAL / "mine" / "a" / "x.pam").write_bytes(b"P7\nHEIGHT 10\nENDHDR\n")
    (paths.EXTERNAL / "mine" / "a" / "y.png").write_bytes(b"P7\nHEIGHT 10\nENDHDR\n")
    assert fetch()["images"] == 10


def test_a_picture_that_opencv_refuses_ends_nothing(monkeypatch):
    """Whatever it is: the others are read."""
    write(several("a", "b"))
    decode = images.decode

    def refuses_one(data, name):
        if data == picture(3):
            cv2.resize(np.zeros((0, 0), np.uint8), (48, 48))
        return decode(data, name)

    monkeypatch.setattr(images, "decode", refuses_one)
    manifest = fetch()
    assert (
        manifest["images"] == 9 and "such as a/3.png (OpenCV refuses it: !ssize.empty())" in manifest["differences"][0]
    )


def test_bad_input_is_one_line(capsys):
    refused(r"mine: not in .*external/; put a folder mine/ there, or mine\.zip, with a folder for each class")
    (paths.EXTERNAL / "mine").mkdir()
    refused("mine: has no picture of a known kind in folders of classes, such as happy/1.jpg or train/happy/1.jpg$")
    write(["a.png", "b.png"])
    refused(r"in folders of classes, .* \(pictures in no folder: 2, such as a\.png\)")
    shutil.rmtree(paths.EXTERNAL / "mine")
    write(["a.heic", "b.heic"])
    refused(r"in folders of classes, .* \(other files: 2, such as a\.heic; save pictures as JPEG or PNG\)")
    write(several("happy"))
    refused(r"1 class \(happy\); allowed: 2 to 256")
    write([*several("sad", number=1), "fear/1.png", "fear/2.png", "fear/3.png"])
    refused("class sad has 1 picture; it needs 3, one each for train, validation and test: add some, or leave it out")
    (paths.EXTERNAL / "mine" / "sad" / "x.png").write_bytes(b"")
    refused(r"class sad has 1 picture \(pictures that cannot be read, left out: 1, such as sad/x\.png ")
    assert fetch(classes={"sad": None})["images"] == 8


@pytest.mark.parametrize("other", ["Happy", "happy "])
def test_classes_that_look_the_same(other):
    write(several(other, "happy", "sad"))
    first, second = sorted([other, "happy"])
    refused(
        f"classes '{first}' and '{second}' look the same but for case or spaces; to make them one write "
        f"images.classes: {{'{first}': '{second}'}}"
    )
    assert fetch(classes={first: second})["sources"][0]["counts"] == {second: 10, "sad": 5}


def test_accents_stored_in_two_ways_are_the_same():
    both = [unicodedata.normalize(form, "gêné") for form in ("NFC", "NFD")]
    write(several(*both, "sad"))
    assert fetch()["sources"][0]["counts"] == {both[0]: 10, "sad": 5}
    assert fetch(classes={both[1]: "other"})["sources"][0]["counts"] == {"other": 10, "sad": 5}


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
def test_a_part_without_a_class_is_named(missing):
    parts = ("train", "validation", "test")
    write([f"{part}/{name}" for part in parts for name in several(*("sad", "happy")[part == missing :])])
    fetch()
    wrong = f"mine.split: the folder {missing} has no image of class sad, and others have 10; add some"
    with pytest.raises(FergitError, match=wrong):
        split(held_out=0.2)
    assert len(split(protocol="frames", held_out=0.2, validation=0.2)) == 25


@pytest.mark.parametrize("name", ["eval", "Set 3"])
def test_pictures_of_a_class_beside_the_parts_are_refused(name):
    write([f"{part}/{file}" for part in ("train", "test", name) for file in several("happy", "sad")])
    refused(
        rf"{name}/happy/0\.png lies in no folder train, validation or test; t.*/happy/0\.png does; rename or remove"
    )


def test_what_is_left_out_is_listed(capsys):
    write(several("a", "b"))
    for name in ("a/x.png", "b/y.png"):
        (paths.EXTERNAL / "mine" / name).write_bytes(b"")
    fetch()
    lines = (paths.RAW / "mine" / "left-out.txt").read_text().splitlines()
    assert [line.partition(" (")[0] for line in lines] == ["a/x.png", "b/y.png"]
    assert "mine/left-out.txt lists all of these pictures\n" in capsys.readouterr().err


@pytest.mark.parametrize("nested", ["mine/", "copy/of/mine/"])
def test_copies_of_the_same_tree_are_refused(nested):
    tree = several("happy", "sad")
    write([*tree, *(nested + name for name in tree)])
    refused(rf"folders of classes at 2 places \(happy/\d\.png and {nested}happy/\d\.png\); keep those at one")
    shutil.rmtree(paths.EXTERNAL / "mine")
    write([f"{root}{part}/{name}" for root in ("", nested) for part in ("train", "test") for name in tree])
    refused(rf"at 2 places \({nested}test/happy/\d\.png and test/happy/\d\.png\)|at 2 places \(test/")


def test_three_hundred_classes():
    write(several(*map(str, range(300)), number=3))
    refused(r"mine: 300 classes \(0, 1, 10, 100, 101, \.\.\.\); allowed: 2 to 256")


def test_a_zip_with_a_class_too_small_for_the_split():
    write([*several("a", number=50), *several("b", number=3)])
    with zipfile.ZipFile(paths.EXTERNAL / "mine.zip", "w") as file:
        for path in sorted((paths.EXTERNAL / "mine").rglob("*.png")):
            file.write(path, path.relative_to(paths.EXTERNAL))
    fetch()
    with pytest.raises(
        FergitError, match=r"params\.yaml: mine\.split: .* class b, which has 3; .*held_out: 0.1"
    ) as error:
        split(held_out=0.1)
    assert "\n" not in str(error.value)


def photograph(face, people=1):
    """A picture in colour with a large drawn face and a small one, or a wall."""
    wall = np.full((200, 320, 3), 128, np.uint8)
    for (x, y, side), shown in zip(((20, 30, 150), (230, 60, 70)), (face, face[:, ::-1])[:people], strict=False):
        large = cv2.resize(shown, (side, side), interpolation=cv2.INTER_CUBIC)
        wall[y : y + side, x : x + side] = large[..., None]
    return cv2.imencode(".png", wall)[1].tobytes()


def test_the_largest_face_is_cut_out_and_pictures_without_one_are_counted():
    faces = draw_faces(8, seed=3)[0]
    write([f"{name}/{row}.png" for name in ("a", "b") for row in range(4)], make=lambda row: photograph(faces[row], 2))
    (paths.EXTERNAL / "mine/a/wall.png").write_bytes(photograph(faces[0], 0))
    manifest = fetch(crop="face")
    assert manifest["differences"] == ["mine: pictures without a face, left out: 1, such as a/wall.png"]
    found = datasets.load("mine").images
    assert len(found) == 8
    like = [  # the smaller one is mirrored
        np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(found, others, strict=True)])
        for others in (faces, faces[:, :, ::-1])
    ]
    assert like[0] > like[1] + 0.1


def films(persons=9):
    """CK+ as its authors send it, with drawn faces: {path: bytes}."""
    faces, files = draw_faces(persons, seed=3)[0], {}
    for person, face in enumerate(faces):
        for film in range(2):
            name, folder = f"S{person:03d}_{film:03d}", f"S{person:03d}/{film:03d}"
            for frame in range(1, 6):
                files[f"cohn-kanade-images/{folder}/{name}_{frame:08d}.png"] = photograph(face)
            label = b"   %d.0000000e+00\n" % (1 + (person * 2 + film) % 7)
            files[f"Emotion/{folder}/{name}_00000005_emotion.txt"] = label
    del files["Emotion/S000/000/S000_000_00000005_emotion.txt"]  # most films have none
    return files


def test_ckplus_as_its_authors_send_it(capsys):
    files = films()
    write(files, "ckplus", lambda place: list(files.values())[place])
    for neutral, number in ((False, 17 * 3), (True, 17 * 4)):
        own = {"source": "ckplus", "neutral": neutral}
        manifest = sources.fetch("ckplus", {"fetch": {"download": False}, "images": own})
        faces = datasets.load("ckplus")
        assert manifest["images"] == len(faces) == number
        assert faces.classes == (*ckplus.CLASSES, "neutral")[: 7 + neutral]
    frames = [(name[7:], faces.classes[label]) for name, label in zip(faces.sample_id, faces.labels, strict=True)]
    assert frames[:4] == [
        ("S000_001_00000001", "neutral"),
        *((f"S000_001_{frame:08d}", "contempt") for frame in (3, 4, 5)),
    ]
    assert "51 images" not in capsys.readouterr().out  # "as published" is not said of other numbers


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Emotion/S001/000/S001_000_00000005_emotion.txt": b"8.0"}, "holds '8.0'; allowed: 1 to 7"),
        ({"Emotion/S001/000/S001_000_00000005_emotion.txt": b""}, "holds ''; allowed: 1 to 7"),
        ({"Emotion/S099/000/S099_000_00000005_emotion.txt": b"3.0"}, "there are no frames of this film"),
        ({"cohn-kanade-images/S001/000/x.png": b""}, "expected a name as S010_004_00000017.png"),
    ],
)
def test_damaged_films_are_named(change, said):
    files = films(3) | change
    write(files, "ckplus", lambda place: list(files.values())[place])
    with pytest.raises(FergitError, match=said):
        sources.fetch("ckplus", {"fetch": {"download": False}, "images": {"source": "ckplus", "neutral": False}})


def test_films_without_any_face_are_refused():
    files = {name: picture(9) if name.endswith("png") else data for name, data in films(2).items()}
    write(files, "ckplus", lambda place: list(files.values())[place])
    with pytest.raises(FergitError, match="ckplus: no face found in any frame$"):
        sources.fetch("ckplus", {"fetch": {"download": False}, "images": {"source": "ckplus", "neutral": False}})


def test_films_need_their_labels_and_ck48_has_no_neutral_faces():
    files = {name: data for name, data in films(1).items() if "Emotion" not in name}
    write(files, "ckplus", lambda place: list(files.values())[place])
    for neutral, said in ((False, "films without their expressions; put the folder Emotion/ beside them"),):
        with pytest.raises(FergitError, match=said):
            sources.fetch("ckplus", {"fetch": {"download": False}, "images": {"source": "ckplus", "neutral": neutral}})
    shutil.rmtree(paths.EXTERNAL / "ckplus")
    write(["anger/S010_004_00000017.png"], "ckplus")
    with pytest.raises(FergitError, match="CK.48 has no neutral faces, the authors' films have; neutral: false"):
        sources.fetch("ckplus", {"fetch": {"download": False}, "images": {"source": "ckplus", "neutral": True}})


def test_ck48_taken_as_folders_gives_the_same_images_and_splits(real_file, monkeypatch):
    monkeypatch.undo()
    file = real_file("ckplus")
    faces, left_out, _ = folders.read(file, "ck48", OWN | {"person": r"(S\d+)_"})
    theirs, _ = ckplus.read(file)
    assert left_out == [] and faces.classes == theirs.classes
    for name in ("images", "labels", "group"):
        assert np.array_equal(getattr(faces, name), getattr(theirs, name))
    own = {"held_out": 0.1, "validation": 0.1, "folds": 10, "fold": 0, "seed": 0}
    for protocol in ("frames", "subjects"):
        dealt = [datasets.split("x", one, own | {"protocol": protocol}).split for one in (faces, theirs)]
        assert np.array_equal(*dealt)
