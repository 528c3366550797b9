"""Folders, archives and compressed tables, read alike. Nothing is ever unpacked to disk.

Refused are members of an archive that are links or lead out of it, and more or larger members than are allowed. Links
in a plain folder are followed: they are the user's own.
"""

import contextlib
import gzip
import lzma
import os
import re
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from fergit.core import paths
from fergit.core.errors import FergitError

MAX_MEMBERS = 200_000
MAX_BYTES = 4 << 30  # of all members together, unpacked
MAX_IMAGE_BYTES = 32 << 20
MAX_READ = 64 << 20  # bytes of a packed tar that are read at once

SUFFIXES = (".csv", ".csv.gz", ".csv.xz", ".csv.zip", ".zip", ".tar.gz", ".tgz", ".tar.xz", ".tar")  # quickest first
JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini", "Icon\r")  # and all names with a leading dot
NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # would break a message's line, or cannot be written as UTF-8
DAMAGE = (OSError, EOFError, ValueError, RuntimeError, IndexError, OverflowError, struct.error)
DAMAGE += (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error)  # what the decompressors raise


@contextlib.contextmanager
def open_archive(path):
    """Open a folder, a zip, a tar or a table in CSV, the last two plain or packed by gzip or xz.

    What a file is, its first bytes say, whatever its name. Gives an `Archive`. An error is a file that is missing,
    damaged or cut short, or a member that is refused (see above).
    """
    path = Path(path)
    name = paths.relative(path)
    if not path.exists():
        raise FergitError(f"{name}: no such file or folder")
    if not (path.is_dir() or path.is_file()):
        raise FergitError(f"{name}: neither a file nor a folder")
    with contextlib.ExitStack() as stack:
        with _damage(name):
            archive = Archive(name)
            _kind(path)(archive, path, stack)
        yield archive


def suffix(path):
    """The part of a file name that says its kind, such as ".tar.gz"; "" for another kind or a folder."""
    name = Path(path).name.lower()
    return max((suffix for suffix in SUFFIXES if name.endswith(suffix)), key=len, default="")


class Archive:
    """Members by name, whatever holds them.

    Attributes
    ----------
    name : str
        What messages call it.
    names : tuple of str
        The members, sorted, as paths with ``/``; hidden files are left out.
    folders : set of str
        The folders that it says it has, the empty ones among them.
    """

    def __init__(self, name):
        self.name, self.folders = name, set()
        self._members, self._bytes = {}, 0  # {name: function that opens it}

    @property
    def names(self):
        return tuple(sorted(self._members))

    def add(self, name, size=0, opener=None):
        """Take in a member or, where nothing opens it, a folder that it says it has."""
        path = name.replace("\\", "/")  # as some programs for Windows write it
        path = PurePosixPath(path.rstrip("/") if opener is None else path)
        if path.is_absolute() or ".." in path.parts or re.match(r"\w:", name):
            raise FergitError(f"{self.name}: member {name!r} would lie outside of it; refused")
        if _is_hidden(path):
            return
        path = path.as_posix()  # without "./"
        if opener is None:
            self.folders |= set() if NO_TEXT.search(path) else {path}
            return
        if NO_TEXT.search(path):
            raise FergitError(f"{self.name}: the name of member {path!r} is no plain text; rename it")
        if path in self._members:
            raise FergitError(f"{self.name}: member {path!r} is there twice; refused")
        self._members[path] = opener
        self._bytes += size or 0  # None: of a plain folder, which may hold what it likes
        if size is not None and (len(self._members) > MAX_MEMBERS or self._bytes > MAX_BYTES):
            raise FergitError(f"{self.name}: over {MAX_MEMBERS:,} members or {MAX_BYTES >> 30} GiB unpacked; refused")

    @contextlib.contextmanager
    def open(self, name):
        """A member as a binary file."""
        with _damage(f"{self.name}, {name}"), self._members[name]() as file:
            yield file

    def read_all(self, names, limit=MAX_IMAGE_BYTES):
        """Yield (name, bytes) of these members, in the order that is quick to read."""
        names = set(names)
        for name in self._members:
            if name in names:
                with self.open(name) as file:
                    data = file.read(limit + 1)
                if len(data) > limit:
                    raise FergitError(f"{self.name}, {name}: more than {limit:,} bytes; refused")
                yield name, data


def _is_hidden(path):
    return any(part.startswith(".") or part in JUNK for part in path.parts)


@contextlib.contextmanager
def _damage(where):
    """Turn whatever a decompressor says of broken bytes into one clear line."""
    try:
        yield
    except PermissionError as error:
        raise FergitError(f"{error.filename or where}: may not be read; check its permissions") from None
    except DAMAGE as error:
        what = (str(error) or type(error).__name__).splitlines()[0]
        raise FergitError(f"{where}: damaged, cut short or not what its name says ({what})") from None


def _kind(path):
    if path.is_dir():
        return _folder
    with _opener(path)(path, "rb") as file:
        start = file.read(262)
    if start[:4] in (b"PK\3\4", b"PK\5\6") or suffix(path).endswith(".zip"):
        return _zip
    return _tar if start[257:] == b"ustar" or suffix(path).startswith((".tar", ".tgz")) else _table


def _opener(path):
    """What opens a file that may be packed by gzip or xz."""
    with open(path, "rb") as file:
        start = file.read(6)
    return gzip.open if start[:2] == b"\x1f\x8b" else lzma.open if start == b"\xfd7zXZ\0" else open


def _folder(archive, path, _):
    root, seen = path.resolve(), {}

    def refuse(error):
        raise error

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder).relative_to(root)
        if (other := seen.setdefault(os.path.realpath(folder), here)) is not here:
            raise FergitError(f"{archive.name}: {here} and {other} are the same folder, by a link; remove one")
        folders[:] = sorted(name for name in folders if not _is_hidden(Path(name)))
        archive.add(here.as_posix())
        for name in sorted(name for name in files if not _is_hidden(Path(name))):
            full = Path(folder, name)
            if not full.is_file():
                what = "a link to nothing" if full.is_symlink() else "no plain file"
                raise FergitError(f"{archive.name}: {here / name} is {what}; remove it")
            archive.add((here / name).as_posix(), None, lambda full=full: open(full, "rb"))


def _zip(archive, path, stack):
    file = stack.enter_context(zipfile.ZipFile(path))
    for info in file.infolist():
        archive.add(info.filename, info.file_size, None if info.is_dir() else lambda info=info: file.open(info))


def _tar(archive, path, stack):
    packed = stack.enter_context(_opener(path)(path, "rb"))
    read = packed.read

    def bounded(size=-1):
        if not 0 <= size <= MAX_READ:
            raise FergitError(f"{archive.name}: claims a part of more than {MAX_READ >> 20} MiB; refused")
        return read(size)

    if _opener(path) is not open:
        packed.read = bounded  # a header that lies of its length could fill the memory
    file = stack.enter_context(tarfile.open(fileobj=packed, mode="r:"))
    for info in file:
        if info.size < 0 or not (info.isdir() or info.isfile()):
            raise FergitError(f"{archive.name}: member {info.name!r} is a link or a device; refused")
        archive.add(info.name, info.size, None if info.isdir() else lambda info=info: file.extractfile(info))


def _table(archive, path, _):
    stem = path.name[: len(path.name) - len(suffix(path))]
    archive.add(f"{stem}.csv", 0, lambda: _opener(path)(path, "rb"))
