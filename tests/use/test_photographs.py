"""What a picture's file may be: every format by its header, before any decoder sees it."""

import os
import struct
import time

import cv2
import numpy as np
import pytest
from portraits import Recognizer, portrait

from fergit.core.errors import FergitError
from fergit.data import headers
from fergit.use import photographs

PICTURE = cv2.cvtColor(portrait(side=60)[0][:, :100], cv2.COLOR_GRAY2BGR)  # 100 wide, 120 high
SUFFIXES = ".jpg .png .webp .bmp .gif .tif .avif .jp2 .pbm .pgm .ppm .pam .ras .hdr .pfm".split()
HUGE = 32000, 32000


def written(suffix, picture=PICTURE):
    picture = picture if suffix not in (".pbm", ".pgm") else picture[..., 0]
    picture = picture.astype(np.float32) / 255 if suffix in (".hdr", ".pfm") else picture
    return cv2.imencode(suffix, picture)[1].tobytes()


def big_endian_tiff(width, height):
    """Of no pixels; the height is a long, the width a short."""
    tags = struct.pack(">HHIHH", 256, 3, 1, width, 0) + struct.pack(">HHII", 257, 4, 1, height)
    return b"MM\0*" + struct.pack(">IH", 8, 2) + tags + bytes(4)


def big_tiff(width, height):
    tags = struct.pack("<HHQHHI", 256, 3, 1, width, 0, 0) + struct.pack("<HHQQ", 257, 16, 1, height)
    return b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2) + tags + bytes(8)


def resized(suffix, width, height):
    """A file of a format whose header says so."""
    data = written(suffix)
    old, new = {
        ".bmp": ("<ii", (width, height)),
        ".gif": ("<HH", (width, height)),
        ".avif": (">II", (width, height)),
        ".jp2": (">II", (width, height)),
        ".ras": (">II", (width, height)),
        ".hdr": (b"-Y 120 +X 100", b"-Y %d +X %d" % (height, width)),
        ".pam": (b"WIDTH 100\nHEIGHT 120", b"WIDTH %d\nHEIGHT %d" % (width, height)),
    }.get(suffix, (b"100 120", b"%d %d" % (width, height)))
    if isinstance(old, str):
        new, old = struct.pack(old, *new), struct.pack(old, *((100, 120)))
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_size_is_in_the_header_and_the_picture_is_what_was_written(suffix):
    data = written(suffix)
    assert headers.size(data) == (100, 120)
    picture = photographs.decode(data, "a")
    assert picture.shape == PICTURE.shape and picture.dtype == np.uint8
    if suffix != ".pbm":
        assert np.abs(picture.astype(int) - PICTURE).mean() < (30 if suffix in (".gif", ".avif") else 3)


@pytest.mark.parametrize("suffix", [*SUFFIXES[3:5], ".avif", ".jp2", ".pbm", ".ppm", ".pam", ".ras", ".hdr", ".pfm"])
def test_a_huge_picture_is_refused_by_its_header_alone(suffix, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(FergitError, match="is 32000x32000 pixels; allowed: 250 million"):
        photographs.decode(resized(suffix, *HUGE), "a")


@pytest.mark.parametrize("make", [big_endian_tiff, big_tiff])
def test_a_huge_tiff_is_refused_by_its_header_alone(make, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(FergitError, match="is 32000x31000 pixels; allowed: 250 million"):
        photographs.decode(make(32000, 31000), "a")
    assert headers.size(make(3200, 3100)) == (3200, 3100)


def test_a_real_tiff_of_a_thousand_megapixels_costs_nothing(tmp_path):
    """As issued: 1 MB, and 80 s and 6 GB where it is decoded."""
    path = tmp_path / "a.tif"
    tags = [(256, 4, 32000), (257, 4, 32000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 200), (278, 4, 32000)]
    tags += [(279, 4, 32000 * 32000)]
    entries = b"".join(struct.pack("<HHII", tag, form, 1, value) for tag, form, value in tags)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4))
    os.truncate(path, 32000 * 32000 + 200)  # sparse
    start = time.process_time()
    with pytest.raises(FergitError, match="32000x32000 pixels; allowed: 250 million"):
        photographs.read(path)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.02, 0.05, 0.2, 0.7, 0.98])
def test_a_file_that_was_cut_short_is_one_line_or_a_picture(suffix, share):
    data = written(suffix)
    try:
        assert photographs.decode(data[: int(share * len(data))], "a").shape == PICTURE.shape
    except FergitError as error:
        assert str(error).startswith("a: ") and "\n" not in str(error)


def test_headers_of_noise_are_one_line():
    rng = np.random.default_rng(0)
    starts = [start for starts in headers.MAGIC.values() for start in starts] + [written(one)[:40] for one in SUFFIXES]
    for start in starts * 20:
        with pytest.raises(FergitError):
            photographs.decode(start + rng.bytes(int(rng.integers(300))), "a")


def test_what_has_no_check_is_refused(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    for data in (b"\x76\x2f\x31\x01" + bytes(99), b"Good day", b"\0" * 600):
        with pytest.raises(FergitError, match="not a photograph that can be read; allowed: JPEG, PNG, "):
            photographs.decode(data, "a")


def test_a_sparse_file_of_thirty_gigabytes_and_a_device(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    os.truncate(tmp_path / "a.jpg", 30 * 2**30)
    with pytest.raises(FergitError, match=r"a\.jpg: has 30\.0 GiB; allowed: 2"):
        photographs.read(tmp_path / "a.jpg")
    with pytest.raises(FergitError, match="/dev/zero: is a device and no file"):
        photographs.read("/dev/zero")
    with pytest.raises(FergitError, match="Is a directory"):
        photographs.read(tmp_path)


def test_memory_that_is_short_is_one_line(tmp_path, monkeypatch):
    def short(*_):
        raise MemoryError

    monkeypatch.setattr(cv2, "imdecode", short)
    with pytest.raises(FergitError, match="a: is too large for the memory"):
        photographs.decode(written(".png"), "a")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jp2", ".ppm"])
def test_sixteen_bits_become_eight(suffix):
    data = cv2.imencode(suffix, PICTURE.astype(np.uint16) * 257)[1].tobytes()
    assert np.abs(photographs.decode(data, "a").astype(int) - PICTURE).max() <= 2


def test_floats_become_eight_bits():
    data = cv2.imencode(".tif", PICTURE.astype(np.float32) / 255)[1].tobytes()
    assert np.abs(photographs.decode(data, "a").astype(int) - PICTURE).max() <= 1


@pytest.mark.parametrize("kind", ["int8", "int16"])
def test_numbers_with_a_sign_are_refused(kind, tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.tif"), np.arange(100).reshape(10, 10).astype(kind))
    with pytest.raises(FergitError, match=f"a.tif: has numbers of {kind}; allowed: 8 or 16 bits"):
        photographs.read(tmp_path / "a.tif")


def test_a_camera_s_own_format_is_no_film(tmp_path):
    (tmp_path / "a.cr3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(500))
    assert not photographs.is_film(tmp_path / "a.cr3")
    with pytest.raises(FergitError, match="such files cannot be read; save the picture as JPEG or PNG"):
        photographs.read(tmp_path / "a.cr3")


def test_heic_is_read_by_an_optional_package_that_a_line_names(tmp_path, monkeypatch):
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"ispe" + struct.pack(">III", 0, 100, 120)
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(FergitError, match="a: is HEIC; `pip install pillow-heif` makes it readable"):
        photographs.decode(data, "a")
    monkeypatch.undo()
    pillow_heif = pytest.importorskip("pillow_heif", reason="the package pillow-heif is not installed")
    with pytest.raises(FergitError, match="a: cannot be decoded"):
        photographs.decode(data, "a")
    pillow_heif.from_bytes("BGR", PICTURE.shape[1::-1], PICTURE.tobytes()).save(tmp_path / "a.heic", quality=95)
    assert np.abs(photographs.read(tmp_path / "a.heic").astype(int) - PICTURE).mean() < 3


def test_one_upright_face_does_not_hide_a_tilted_one():
    data = pytest.importorskip("skimage.data", reason="scikit-image, which has a photograph, is not installed")
    upright = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    tilted = cv2.warpAffine(upright, cv2.getRotationMatrix2D((224, 113), -30, 1), (512, 512))
    found = Recognizer().predict(np.hstack([upright, tilted]), "gray")
    assert sorted(face.tilt for face in found) == [0, 30]
