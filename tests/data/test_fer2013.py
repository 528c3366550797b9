import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import time
import zipfile

import cv2
import numpy as np
import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.data import fer2013

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 48, 48), np.uint8)
PIXELS[0] = 0
PIXELS[1] = 255
PIXELS[2] = np.arange(48 * 48).reshape(48, 48) % 100  # one digit and two
LABELS = [0, 1, 2, 3, 6, 6]
USAGES = ["Training", "Training", "PublicTest", "PrivateTest", "Training", "PrivateTest"]


def row(index):
    return f"{LABELS[index]},{' '.join(map(str, PIXELS[index].ravel()))},{USAGES[index]}"


def csv_text(rows=None, header="emotion,pixels,Usage", end="\n"):
    return end.join([header, *(rows if rows is not None else map(row, range(6)))]) + end


def read_text(tmp_path, text):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return fer2013.read(path)[0]


def check(faces):
    assert np.array_equal(faces.images, PIXELS)
    assert faces.labels.tolist() == LABELS
    assert faces.split.tolist() == [fer2013.SPLITS[usage] for usage in USAGES]
    assert faces.sample_id.tolist() == [f"fer2013/{index:05d}" for index in range(6)]
    assert set(faces.source) == {"fer2013"} and set(faces.group) == {""}


@pytest.mark.parametrize(
    "text",
    [
        csv_text(),
        csv_text().rstrip("\n"),
        csv_text(end="\r\n"),
        "\ufeff" + csv_text(),
        csv_text() + "\n\n",
        csv_text([f'"{row(index).replace(",", chr(34) + "," + chr(34))}"' for index in range(6)]),
    ],
    ids=["plain", "no last newline", "CRLF", "byte-order mark", "blank lines", "quoted"],
)
def test_csv(tmp_path, text):
    check(read_text(tmp_path, text))


def test_columns_in_another_order(tmp_path):
    rows = [",".join(np.array(row(index).split(","))[[0, 2, 1]]) for index in range(6)]
    check(read_text(tmp_path, csv_text(rows, "emotion, Usage, pixels")))


@pytest.mark.parametrize("name", ["fer2013.csv.gz", "fer2013.csv.xz", "fer2013.zip", "fer2013.tar.gz"])
def test_packed(tmp_path, name):
    data, path = csv_text().encode(), tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("fer2013.csv", data)
    elif name.endswith(".tar.gz"):  # as Kaggle packs it
        with tarfile.open(path, "w:gz") as file:
            for member, content in (("fer2013/README", b"read me"), ("fer2013/fer2013.csv", data)):
                info = tarfile.TarInfo(member)
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    else:
        path.write_bytes((gzip if name.endswith("gz") else lzma).compress(data))
    check(fer2013.read(path)[0])
    whole = path.read_bytes()
    for length in (len(whole) // 2, 20, 0):
        path.write_bytes(whole[:length])
        with pytest.raises(FergitError, match=name):
            fer2013.read(path)


def changed(index, old, new, count=1):
    rows = [row(index) for index in range(6)]
    assert old in rows[index]
    rows[index] = rows[index].replace(old, new, count)
    return csv_text(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column emotion is not in the first line"),
        (csv_text(header="label,pixels,Usage"), "column emotion"),
        (csv_text(header="emotion,pixels"), "column Usage is not in the first line"),
        (csv_text(header="emotion,pixels,Usage,emotion"), "column emotion is twice in the first line"),
        ("not a table at all", "column emotion"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "column emotion"),
        (csv_text([]), "no rows"),
        (changed(3, "3,", "7,"), r"row 4 \(line 5\): emotion is '7'; allowed: 0 to 6"),
        (changed(3, "3,", "happy,"), r"row 4 \(line 5\): emotion is 'happy'"),
        (changed(3, "3,", ","), r"row 4 \(line 5\): emotion is ''"),
        (changed(3, "PrivateTest", "Test"), r"row 4 \(line 5\): Usage is 'Test'"),
        (changed(1, " 255", "", 1), r"row 2 \(line 3\): 2303 pixels; expected 2304"),
        (changed(1, " 255", " 255 9", 1), r"row 2 \(line 3\): 2305 pixels"),
        (changed(1, " 255", " 256", 1), r"row 2 \(line 3\): a pixel is 256; allowed: 0 to 255"),
        (changed(1, " 255", " 1255", 1), r"row 2 \(line 3\): a pixel is 1255"),
        (changed(1, " 255", " 999999999999", 1), r"row 2 \(line 3\): a pixel is 999999999999"),
        (changed(1, " 255", " -25", 1), r"row 2 \(line 3\): pixels hold '-'"),
        (changed(1, " 255", " 2.5", 1), r"row 2 \(line 3\): pixels hold '\.'"),
        (changed(1, " 255", " x", 1), r"row 2 \(line 3\): pixels hold 'x'"),
        (changed(1, " 255", " 255,", 1), r"row 2 \(line 3\): 4 columns; expected 3"),
        (csv_text()[:-3000], r"row 6 \(line 7\): 2 columns; expected 3 \(cut short\?\)"),
        (csv_text([*map(row, range(5)), row(5)[:3000] + ",PrivateTest"]), r"row 6 \(line 7\): \d+ pixels"),
        (csv_text()[:20_000] + "1 " * 40_000, "longer than 65,536 bytes"),
    ],
)
def test_bad_rows_are_named(tmp_path, text, message):
    with pytest.raises(FergitError, match=message) as caught:
        read_text(tmp_path, text)
    assert "fer2013.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_too_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(fer2013, "MAX_LINES", 5)
    with pytest.raises(FergitError, match="more than 5 lines"):
        read_text(tmp_path, csv_text())


def test_a_flood_of_line_ends_is_refused_at_once(tmp_path):
    start = time.monotonic()
    with pytest.raises(FergitError, match="more than 100,000 lines"):
        read_text(tmp_path, csv_text() + "\n" * (100 << 20))
    assert time.monotonic() - start < 10


READ_IN_LITTLE_MEMORY = """
import resource, sys
from fergit.data import fer2013
from fergit.core.errors import FergitError

path, fer2013.MAX_LINE, more = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))
try:
    print(len(fer2013.read(path)[0]), "rows")
except (FergitError, MemoryError) as error:
    print(type(error).__name__, error)
"""


def read_in_little_memory(path, longest=fer2013.MAX_LINE):
    """What comes of reading a file with a gigabyte of memory, in a process of its own."""
    command = [sys.executable, "-c", READ_IN_LITTLE_MEMORY, str(path), str(longest), str(1 << 30)]
    # One arena and one thread of OpenBLAS: each more would count as memory, whether used or not.
    env = os.environ | {"PYTHONPATH": str(paths.ROOT / "src"), "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


HEADER = b"emotion,pixels,Usage\n"
linux = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's account of memory")


@linux
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.xz"])
def test_three_gigabytes_without_a_line_end_take_little_memory(tmp_path, suffix):
    path = tmp_path / f"fer2013{suffix}"
    if suffix == ".csv":
        path.write_bytes(HEADER)
        os.truncate(path, 3 << 30)  # nothing but a hole: it takes no room on the disk
    else:
        compress = gzip.compress if suffix == ".csv.gz" else lzma.compress
        path.write_bytes(compress(HEADER) + compress(bytes(1 << 24)) * 192)
    assert "line 2: longer than 65,536 bytes" in read_in_little_memory(path)
    assert "MemoryError" in read_in_little_memory(path, 1 << 40)  # a line of this would not fit: the test tells


@linux
def test_a_first_line_of_three_gigabytes_takes_little_memory(tmp_path):
    (tmp_path / "fer2013.csv").touch()
    os.truncate(tmp_path / "fer2013.csv", 3 << 30)
    assert "column emotion is not in the first line" in read_in_little_memory(tmp_path / "fer2013.csv")


@linux
@pytest.mark.corners
def test_three_gigabytes_of_rows_are_read_in_little_memory(tmp_path):
    """Rows that are right and wide: with as many blanks between the pixels as a line may have."""
    row = b"6," + (b" " * 25).join([b"255"] * 2304) + b",Training\n"
    rows = 64 * 785
    assert rows * len(row) > 3 << 30
    (tmp_path / "fer2013.csv.gz").write_bytes(gzip.compress(HEADER) + gzip.compress(row * 64) * 785)
    assert read_in_little_memory(tmp_path / "fer2013.csv.gz") == f"{rows} rows\n"


def write_folders(root, names):
    for index, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(cv2.imencode(".png", np.full((48, 48), index, np.uint8))[1].tobytes())
    return root


def test_folders(tmp_path):
    names = ["archive/train/angry/im0.png", "archive/train/Happy/im0.png", "archive/test/surprise/im0.png"]
    faces, _ = fer2013.read(write_folders(tmp_path, names))
    assert dict(zip(faces.sample_id.tolist(), faces.images[:, 0, 0].tolist(), strict=True)) == {
        "fer2013/Training/angry/im0.png": 0,
        "fer2013/Training/happy/im0.png": 1,
        "fer2013/Test/surprise/im0.png": 2,
    }
    split = dict(zip(faces.sample_id.tolist(), faces.split.tolist(), strict=True))
    assert split["fer2013/Test/surprise/im0.png"] == "" and split["fer2013/Training/angry/im0.png"] == "train"


def test_folders_whose_names_tell_the_split(tmp_path):
    faces, _ = fer2013.read(write_folders(tmp_path, ["test/angry/PrivateTest_1.png", "test/angry/PublicTest_1.png"]))
    assert faces.split.tolist() == ["test", "validation"]


@pytest.mark.parametrize("name", ["valid", "val", "validation", "dev", "Valid"])
def test_folders_with_a_validation_part(tmp_path, name):
    files = ["train/angry/a.png", f"{name}/angry/b.png", "test/angry/c.png"]
    faces, _ = fer2013.read(write_folders(tmp_path, files))
    assert sorted(faces.split.tolist()) == ["test", "train", "validation"]


def test_the_competitions_other_tables_are_not_enough(tmp_path):
    (tmp_path / "train.csv").write_text("emotion,pixels\n")
    (tmp_path / "test.csv").write_text("pixels\n")
    with pytest.raises(FergitError, match=r"test\.csv has no labels"):
        fer2013.read(tmp_path)


def test_folders_with_an_unknown_emotion(tmp_path):
    with pytest.raises(FergitError, match="unknown emotion 'bored'; allowed: angry"):
        fer2013.read(write_folders(tmp_path, ["train/bored/a.png"]))


def test_folders_with_any_name_and_the_same_image_under_two_emotions(tmp_path):
    names = ["train/angry/a 'b' \"c\" ä.png", "train/happy/a 'b' \"c\" ä.png", "train/Happy/顔.PNG"]
    write_folders(tmp_path, names)
    (tmp_path / names[1]).write_bytes((tmp_path / names[0]).read_bytes())  # counted as an oddity by anomalies
    assert fer2013.read(tmp_path)[0].sample_id.tolist() == [
        "fer2013/Training/happy/顔.PNG",
        "fer2013/Training/angry/a 'b' \"c\" ä.png",
        "fer2013/Training/happy/a 'b' \"c\" ä.png",
    ]


def test_names_that_differ_in_nothing_that_counts(tmp_path):
    both = r"fer2013/Training/happy/a\.png is there twice \(train/Happy/a\.png and train/happy/a\.png\)"
    with pytest.raises(FergitError, match=both):
        fer2013.read(write_folders(tmp_path, ["train/happy/a.png", "train/Happy/a.png"]))


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(FergitError, match=r"neither fer2013\.csv nor folders"):
        fer2013.read(write_folders(tmp_path, ["holiday/a.png"]))


def test_the_real_file(real_file):
    path = real_file("fer2013")
    faces, differences = fer2013.read(path)
    assert differences == []
    for part, counts in fer2013.COUNTS.items():
        assert tuple(faces.take(faces.split == part).counts().values()) == counts
    assert faces.images[0, 0, :5].tolist() == [70, 80, 82, 72, 58]


def test_a_gigabyte_of_line_ends_is_refused_at_once(tmp_path):
    (tmp_path / "fer2013.csv.gz").write_bytes(gzip.compress(HEADER) + gzip.compress(b"\n" * (1 << 24), 1) * 64)
    with pytest.raises(FergitError, match="more than 100,000 lines; FER2013 has 35,887 rows"):
        begin = time.monotonic()
        fer2013.read(tmp_path / "fer2013.csv.gz")
    assert time.monotonic() - begin < 20  # it was two minutes once
