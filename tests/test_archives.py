import gzip
import io
import lzma
import os
import tarfile
import zipfile

import pytest

from fergit import archives
from fergit.archives import open_archive, pack
from fergit.errors import FergitError

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


@pytest.mark.parametrize(
    ("name", "pack_bytes"), [("t.csv", bytes), ("t.csv.gz", gzip.compress), ("t.csv.xz", lzma.compress)]
)
def test_a_csv_is_an_archive_of_one(tmp_path, name, pack_bytes):
    (tmp_path / name).write_bytes(pack_bytes(b"a,b\n"))
    with open_archive(tmp_path / name) as opened:
        assert list(opened.read_all(opened.names)) == [("t.csv", b"a,b\n")]


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "a\\..\\out.txt", "C:/out.txt"])
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


def test_links_are_refused_in_zip(tmp_path):
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(FergitError, match="link"), open_archive(tmp_path / "a.zip"):
        pass


def test_links_out_of_a_folder_are_refused_and_loops_end(tmp_path):
    folder = write_folder(tmp_path / "folder")
    (folder / "inside.txt").symlink_to("one.txt")
    with open_archive(folder) as opened:
        assert "inside.txt" in opened.names
    for target in ("/etc/passwd", "..", ".", "nowhere", "loop"):
        (folder / "loop").symlink_to(target)
        with pytest.raises(FergitError, match="loop is a link"), open_archive(folder):
            pass
        (folder / "loop").unlink()


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
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(bytes(2_000_000)))
    with open_archive(tmp_path / "a.csv.gz") as opened, pytest.raises(FergitError, match="unpacked"):
        opened.open("a.csv").read()
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    with pytest.raises(FergitError, match="members"), open_archive(write_zip(tmp_path / "b.zip")):
        pass


def test_other_kinds_are_refused(tmp_path):
    (tmp_path / "a.rar").write_bytes(b"x")
    with pytest.raises(FergitError, match="allowed: a folder"), open_archive(tmp_path / "a.rar"):
        pass
    with pytest.raises(FergitError, match="no such file"), open_archive(tmp_path / "none.zip"):
        pass


def test_packing_gives_the_same_bytes(tmp_path):
    packed = []
    for name in ("first", "second"):
        with open_archive(write_folder(tmp_path / name)) as opened:
            pack(opened, reversed(opened.names), buffer := io.BytesIO())
        packed.append(buffer.getvalue())
    assert packed[0] == packed[1]
    (tmp_path / "packed.zip").write_bytes(packed[0])
    with open_archive(tmp_path / "packed.zip") as opened:
        assert dict(opened.read_all(opened.names)) == FILES
