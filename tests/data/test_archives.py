import gzip
import io
import lzma
import os
import shutil
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from fergit.core.errors import FergitError
from fergit.data import archives
from fergit.data.archives import open_archive

FILES = {"b/two.txt": b"two", "one.txt": b"one"}


def write_folder(path):
    for name, data in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    (path / ".DS_Store").write_bytes(b"")
    return path


def write_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def write_tar(path, files=FILES, **attributes):
    with tarfile.open(path, "w:" + path.suffix[1:].replace("tgz", "gz").replace("tar", "")) as file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in attributes.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(params=["folder", "a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.xz"])
def archive(request, tmp_path):
    path = tmp_path / request.param
    if request.param == "folder":
        return write_folder(path)
    return write_zip(path) if path.suffix == ".zip" else write_tar(path)


def test_every_kind_reads_alike(archive):
    with open_archive(archive) as opened:
        assert opened.names == ("b/two.txt", "one.txt")
        assert dict(opened.read_all(["one.txt", "b/two.txt"])) == {"one.txt": b"one", "b/two.txt": b"two"}
        with opened.open("b/two.txt") as file:
            assert file.read() == b"two"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_folders_are_known_and_those_of_a_mac_are_not(kind, tmp_path):
    for name in ("empty", "__MACOSX/a", ".hidden", "full"):
        (tmp_path / "a" / name).mkdir(parents=True)
    (tmp_path / "a" / "full" / "one.txt").write_bytes(b"one")
    path = tmp_path / "a"
    if kind != "folder":
        path = Path(shutil.make_archive(tmp_path / "packed", kind, path))
    with open_archive(path) as opened:
        assert opened.folders - {"."} == {"empty", "full"}


@pytest.mark.parametrize(
    ("name", "pack_bytes"), [("t.csv", bytes), ("t.csv.gz", gzip.compress), ("t.csv.xz", lzma.compress)]
)
def test_a_csv_is_an_archive_of_one(tmp_path, name, pack_bytes):
    (tmp_path / name).write_bytes(pack_bytes(b"a,b\n"))
    with open_archive(tmp_path / name) as opened:
        assert list(opened.read_all(opened.names)) == [("t.csv", b"a,b\n")]


@pytest.mark.parametrize(
    "name", ["../out.txt", "/out.txt", "a/../../out.txt", "a\\..\\out.txt", "C:/out.txt", "\\out.txt"]
)
@pytest.mark.parametrize("kind", ["a.zip", "a.tar.gz"])
def test_members_outside_are_refused(tmp_path, kind, name):
    write = write_zip if kind == "a.zip" else write_tar
    with pytest.raises(FergitError, match="outside"), open_archive(write(tmp_path / kind, {name: b"x"})):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == [kind]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused_in_tar(tmp_path, kind):
    path = write_tar(tmp_path / "a.tar", {"link": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(FergitError, match="link"), open_archive(path):
        pass


def test_links_in_a_folder_are_followed_and_loops_end(tmp_path):
    folder = write_folder(tmp_path / "folder")
    (folder / "inside.txt").symlink_to("one.txt")
    (folder / "linked").symlink_to(write_folder(tmp_path / "elsewhere"))
    (folder / ".#lock").symlink_to("nowhere")  # as an editor leaves it
    with open_archive(folder) as opened:
        assert {"inside.txt", "linked/one.txt"} <= set(opened.names)
        assert dict(opened.read_all(["linked/one.txt"])) == {"linked/one.txt": b"one"}
    for target in ("..", ".", "linked", "nowhere", "loop"):
        (folder / "loop").symlink_to(target)
        said = "loop is a link to nothing" if target in ("nowhere", "loop") else "loop.* are the same folder, by a link"
        with pytest.raises(FergitError, match=said), open_archive(folder):
            pass
        (folder / "loop").unlink()


def test_a_ring_of_links_ends(tmp_path):
    folder = write_folder(tmp_path / "folder")
    for one, other in (("a", "c"), ("c", "a")):
        (folder / one).mkdir()
        (folder / one / "next").symlink_to(folder / other)
    with pytest.raises(FergitError, match="a/next/next and a are the same folder, by a link; remove one"):
        with open_archive(folder):
            pass


def test_a_link_to_a_whole_folder_is_fine(tmp_path):
    write_folder(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with open_archive(tmp_path / "link") as opened:
        assert len(opened.names) == 2


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"])
def test_cut_short_or_garbled_is_one_clear_line(tmp_path, kind):
    path = tmp_path / kind
    data = {"x.bin": os.urandom(50_000)}
    whole = (write_zip if kind == "a.zip" else write_tar)(path, data).read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"no archive at all" * 100, whole[:100] + bytes(1000) + whole[1100:]):
        path.write_bytes(broken)
        try:
            with open_archive(path) as opened:
                read = dict(opened.read_all(opened.names))
        except FergitError as error:
            assert "\n" not in str(error) and kind in str(error)
        else:  # plain tar has no checksum of its contents
            assert kind.endswith(("tar", "gz", "xz")) and len(read.get("x.bin", b"")) in (0, 50_000)


def test_too_much_is_refused(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar.gz", {"zeros": bytes(2_000_000)})
    with open_archive(path) as opened, pytest.raises(FergitError, match="more than 1,000 bytes"):
        list(opened.read_all(["zeros"], limit=1000))
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    with pytest.raises(FergitError, match="unpacked"), open_archive(path):
        pass
    zipped = write_zip(tmp_path / "a.zip", {"zeros": bytes(2_000_000)})
    with pytest.raises(FergitError, match="unpacked"), open_archive(zipped):
        pass
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    with pytest.raises(FergitError, match="members"), open_archive(write_zip(tmp_path / "b.zip")):
        pass


def tar_header(name, size, kind=b"0"):
    """One header, as tarfile itself would never write it."""
    number = (
        b"%011o\0" % size
        if 0 <= size < 8**11
        else bytes([128 if size > 0 else 255]) + size.to_bytes(11, "big", signed=True)
    )
    header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    header[124:136], header[156:157], header[148:156] = number, kind, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax_record(**values):
    """An extended header, one line for each value."""
    lines = b""
    for key, value in values.items():
        line = f" {key.replace('_', '.')}={value}\n"
        length = next(n for n in range(1, 10_000) if len(f"{n}{line}") == n)
        lines += f"{length}{line}".encode()
    return tar_header("pax", len(lines), b"x") + lines.ljust(512, b"\0")


SPARSE = pax_record(GNU_sparse_major=1, GNU_sparse_minor=0, GNU_sparse_name="x", GNU_sparse_realsize=10**12)


@pytest.mark.parametrize(
    ("start", "filling"),
    [
        (tar_header("x", 3 << 30, b"L"), b"name"),
        (tar_header("x", 3 << 30, b"x"), b"0000"),
        (tar_header("x", 3 << 30, b"g"), b"0000"),
        (SPARSE + tar_header("x", 3 << 30) + b"999999999\n", b"1\n1\n"),
        (tar_header("x", -512, b"x"), b"0000"),
    ],
    ids=["name", "extended", "global", "sparse", "negative"],
)
def test_a_tar_header_takes_no_memory_that_it_claims(tmp_path, start, filling):
    """Three gigabytes where a name or comment should be: tarfile alone would read them all."""
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(start) + gzip.compress(filling * (1 << 20), 1) * 4)
    with pytest.raises(FergitError, match="a part of more than 64 MiB|damaged"), open_archive(tmp_path / "a.tar.gz"):
        pass


@pytest.mark.parametrize(
    "start",
    [
        tar_header("a", 0) + tar_header("x", -512),
        pax_record(size=-512) + tar_header("x", 0),
        pax_record(size="9" * 40) + tar_header("x", 0),
        tar_header("x", 1 << 60),
        tar_header("x", 2, b"L") * 5000,
        pax_record(path="../x") + tar_header("x", 0),
        SPARSE + tar_header("x", 512) + b"1\n0\n99999999\n",
    ],
    ids=["negative", "negative, extended", "huge, extended", "huge", "a chain of names", "outside", "sparse"],
)
def test_a_tar_that_lies_is_refused_in_one_line(tmp_path, start):
    (tmp_path / "a.tar").write_bytes(start.ljust(20 * 512, b"\0"))
    with pytest.raises(FergitError) as refused, open_archive(tmp_path / "a.tar"):
        pass
    assert "a.tar: " in str(refused.value) and "\n" not in str(refused.value)


def directory(path):
    """Where a zip's list of members begins."""
    return path.read_bytes().index(b"PK\1\2")


@pytest.mark.parametrize("field", [{24: 10}, {24: 0xFFFF_FFF0}, {20: 3}, {20: 0x7FFF_FFFF}, {42: 7}])
def test_a_zip_that_lies_of_sizes_is_refused(tmp_path, field):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.jpg", bytes(1 << 20))
    data = bytearray(path.read_bytes())
    for place, value in field.items():
        struct.pack_into("<I", data, directory(path) + place, value)
    path.write_bytes(data)
    with pytest.raises(FergitError, match="a.zip") as refused, open_archive(path) as opened:
        [(_, read)] = opened.read_all(opened.names, 1 << 19)
    assert "\n" not in str(refused.value)


def test_an_encrypted_zip_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    data = bytearray(write_zip(path).read_bytes())
    data[directory(path) + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(FergitError, match=r"b/two\.txt.*encrypted"), open_archive(path) as opened:
        list(opened.read_all(opened.names))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_there_twice(tmp_path):
    for second in ("a", "./a"):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            file.writestr("a", b"one")
            file.writestr(second, b"two")
        with pytest.raises(FergitError, match="'a' is there twice"), open_archive(tmp_path / "a.zip"):
            pass
    with open_archive(write_zip(tmp_path / "b.zip", {"a": b"one", "A": b"two"})) as opened:  # nothing is unpacked
        assert dict(opened.read_all(opened.names)) == {"A": b"two", "a": b"one"}


def test_an_archive_in_an_archive_stays_packed(tmp_path):
    inner = write_zip(tmp_path / "inner.zip").read_bytes()
    with open_archive(write_zip(tmp_path / "a.zip", {"inner.zip": inner})) as opened:
        assert opened.names == ("inner.zip",)


@pytest.mark.parametrize("name", ["a\nb.jpg", "\x1b[2J.jpg", "gr\udcfcn.jpg"])
def test_names_that_are_no_text_are_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_bytes(b"x")
    with pytest.raises(FergitError, match="no plain text; rename it") as refused, open_archive(tmp_path / "folder"):
        pass
    assert "\n" not in str(refused.value) and "\x1b" not in str(refused.value)


def test_names_of_all_languages_are_read(tmp_path):
    (tmp_path / "folder").mkdir()
    names = ["a 'quoted' \"name\".jpg", "grün.jpg", "пример.jpg", "顔 😀.jpg"]
    for name in [*names, "Icon\r"]:  # the last is macOS's own
        (tmp_path / "folder" / name).write_bytes(name.encode())
    with open_archive(tmp_path / "folder") as opened:
        assert dict(opened.read_all(opened.names)) == {name: name.encode() for name in names}


def test_what_is_no_file_where_a_file_should_be(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.zip").symlink_to("loop.zip")
    (tmp_path / "gone.zip").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "pipe.jpg")
    for name, said in {
        "pipe.csv": "neither a file nor a folder",
        "loop.zip": "no such file",
        "gone.zip": "no such file",
        "folder": "pipe.jpg is no plain file; remove it",
    }.items():
        with pytest.raises(FergitError, match=said), open_archive(tmp_path / name):
            pass


@pytest.fixture
def someone():
    """A folder of somebody whom permissions bind, even where root runs the tests."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        os.seteuid(was)


def test_what_may_not_be_read_is_named(someone):
    folder = write_folder(someone / "folder")
    (folder / "one.txt").chmod(0)
    with pytest.raises(FergitError, match=r"one\.txt: may not be read; check its permissions"):
        with open_archive(folder) as opened:
            list(opened.read_all(opened.names))
    (folder / "b").chmod(0)
    with pytest.raises(FergitError, match="folder/b: may not be read"), open_archive(folder):
        pass
    (folder / "b").chmod(0o700)
    path = write_zip(someone / "a.zip")
    path.chmod(0)
    with pytest.raises(FergitError, match=r"a\.zip: may not be read"), open_archive(path):
        pass
