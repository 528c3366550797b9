"""Whatever bytes come: a parsed result, or one line that says what is wrong; never a traceback, never a hang.

`make fuzz` tries 5,000 examples of each; in `make test` it is a few hundred.
"""

import io
import lzma
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.data import fer2013, images, muxspace
from fergit.data.archives import open_archive
from fergit.runner.schema import load_params

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", 200)),
    deadline=20_000,  # milliseconds an example
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
settings.load_profile("fuzz")


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def edited(valid, tokens):
    """Bytes that were valid, edited here and there; and bytes of no origin at all."""
    pieces = st.one_of(
        st.sampled_from(tokens), st.binary(max_size=6), st.characters().map(lambda c: c.encode("utf-8", "replace"))
    )

    def apply(edits):
        data = bytearray(valid)
        for place, gone, piece in edits:
            start = place % (len(data) + 1)
            data[start : start + gone] = piece
        return bytes(data)

    edit = st.tuples(st.integers(0, 1 << 16), st.sampled_from([0, 0, 1, 2, 5, 40, 1 << 16]), pieces)
    return st.one_of(st.lists(edit, min_size=1, max_size=4).map(apply), st.binary(max_size=200))


def parsed_or_refused(read):
    """`read` gives a result or says in one line why not."""
    try:
        read()
    except FergitError as refused:
        assert str(refused) and "\n" not in str(refused)


ROW = b"%d," + b" ".join(b"%d" % (i % 256) for i in range(48 * 48)) + b",%s\n"
CSV = b"emotion,pixels,Usage\n" + b"".join(ROW % (i % 7, usage) for i, usage in enumerate(
    [b"Training", b"PublicTest", b"PrivateTest"] * 2
))  # fmt: skip
CSV_TOKENS = [
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b'"',
    b" ",
    b"  ",
    b"256",
    b"-1",
    b"7",
    b"1e2",
    b"\xef\xbb\xbf",
    b"\0",
    b"Test",
    b"\t",
]


@given(data=edited(CSV, CSV_TOKENS))
def test_any_csv(folder, data):
    file = folder / "fer2013.csv"
    file.write_bytes(data)
    parsed_or_refused(lambda: fer2013.read(file))


LEGEND = b"user.id,image,emotion\n628,facial-expressions_1.jpg,anger\n628,b c.jpg,HAPPINESS\n9,\xc3\xa4.jpg,surprise\n"
LEGEND_TOKENS = [b",", b"\n", b"\r", b'"', b"emotion", b"image", b"contempt", b"../", b"\0", b"\xef\xbb\xbf", b"\xff"]


@given(data=edited(LEGEND, LEGEND_TOKENS))
def test_any_legend(folder, data):
    file = folder / "muxspace.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data/legend.csv", data)
        for name in ("facial-expressions_1.jpg", "b c.jpg", "ä.jpg"):
            archive.writestr(f"images/{name}", b"")

    def read():
        with open_archive(file) as archive:
            muxspace.read_legend(archive)

    parsed_or_refused(read)


PARAMS = paths.PARAMS.read_bytes()
PARAMS_TOKENS = [
    b": ",
    b"- ",
    b"\n",
    b"\n  ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!python/name:os ",
    b"~",
    b"%",
]
PARAMS_TOKENS += [
    b".inf",
    b".nan",
    b"1e400",
    b"0x",
    b"2026-13-45",
    b"12:61:61",
    b"'",
    b'"',
    b"|",
    b"---\n",
    b"\t",
    b"? ",
]
PARAMS_TOKENS += [b"9" * 30, b"true", b"[" * 500, b"a: " * 200]


@given(data=edited(PARAMS, PARAMS_TOKENS))
def test_any_params(folder, data):
    file = folder / "params.yaml"
    file.write_bytes(data)
    parsed_or_refused(lambda: load_params(file))


def packed(kind):
    """A small archive with a folder, a hidden file and a name that is not ASCII."""
    members = {"data/a.csv": b"x,y\n" * 50, "data/.hidden": b"h", "ä ö/b.jpg": bytes(range(256))}
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    elif kind == "csv.xz":
        buffer.write(lzma.compress(members["data/a.csv"]))
    else:
        with tarfile.open(fileobj=buffer, mode={"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind]) as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


ARCHIVE_TOKENS = [
    b"\0",
    b"\xff",
    b"../",
    b"/",
    b"PK\1\2",
    b"PK\3\4",
    b"PK\5\6",
    b"ustar",
    b"\x1f\x8b\x08",
    b"\xfd7zXZ\0",
    b"2",
    b"S",
    b"L",
]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz", "csv.xz"])
def test_any_archive(folder, kind):
    file = folder / f"fuzz.{kind}"

    @given(data=edited(packed(kind), ARCHIVE_TOKENS))
    def read_all(data):
        file.write_bytes(data)

        def read():
            with open_archive(file) as archive:
                for _ in archive.read_all(archive.names, limit=1 << 20):
                    pass

        parsed_or_refused(read)

    read_all()


def encoded(suffix):
    return cv2.imencode(suffix, np.arange(32 * 32, dtype=np.uint8).reshape(32, 32))[1].tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_any_image(suffix):
    @given(
        data=edited(
            encoded(suffix), [b"\xff\xd8", b"\xff\xd9", b"\xff\xc0", b"IHDR", b"IEND", b"VP8X", b"\0\0", b"\xff\xff"]
        )
    )
    def decode(data):
        parsed_or_refused(lambda: images.decode(data, "an image"))

    decode()
