"""Folders, archives and compressed files, read alike and read with suspicion.

Nothing is ever extracted to disk. What could reach outside (absolute paths, ``..``, links, devices) or fill the memory
(members larger than they say, too many of them) is refused, whatever wrote the file.
"""

import contextlib
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from fergit.core import paths
from fergit.core.errors import FergitError

MAX_MEMBERS = 200_000
MAX_BYTES = 4 << 30  # of all members together, unpacked
MAX_IMAGE_BYTES = 32 << 20
MAX_HEADER_BYTES = 1 << 20  # of a member of a tar: long names and comments

TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz")
STREAMS = (".csv.xz", ".csv.gz", ".csv")
SUFFIXES = (".zip", *TARS, *STREAMS)
JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini", "Icon\r")  # and all names with a leading dot
# Control characters would break a message's one line; bytes that are no UTF-8 (lone surrogates), a zip.
NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@contextlib.contextmanager
def open_archive(path):
    """Open a folder, ``.zip``, ``.tar(.gz|.xz)``, ``.csv`` or ``.csv.(gz|xz)`` for reading.

    Gives an object with

    - ``name``: str, what messages call it;
    - ``names``: tuple of str, the members, sorted, as paths with ``/``; hidden files are left out;
    - ``open(name)``: a member as a binary file, buffered;
    - ``read_all(names, limit)``: yields ``(name, bytes)`` in the order that is quick to read.

    A compressed CSV has one member, its own name without ``.xz`` or ``.gz``.

    Raises
    ------
    FergitError
        The file is missing, damaged, cut short or not of these kinds; or a member is refused (see above).
    """
    path = Path(path)
    with _damage(paths.relative(path)):
        archive = _kind(path)(path, paths.relative(path))
    try:
        yield archive
    finally:
        archive.close()


def suffix(path):
    """The part of a file name that says its kind, such as ".tar.gz"; "" for another kind or a folder."""
    name = Path(path).name.lower()
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), "")


def pack(archive, names, file):
    """Write members to an uncompressed zip: the same members give the same bytes.

    Parameters
    ----------
    archive : what `open_archive` gives
    names : sequence of str
    file : binary file, open for writing
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(names):
            info = zipfile.ZipInfo(name)  # with the date 1980-01-01
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.create_system = 3
            with archive.open(name) as source, target.open(info, "w", force_zip64=True) as member:
                while block := source.read(1 << 20):
                    member.write(block)


def _kind(path):
    name = paths.relative(path)
    if path.is_dir():
        return _Folder
    if not path.exists():
        raise FergitError(f"{name}: no such file or folder")
    if not path.is_file():
        raise FergitError(f"{name}: neither a file nor a folder")
    kind = suffix(path)
    if kind == ".zip":
        return _Zip
    if kind in TARS:
        return _Tar
    if kind in STREAMS:
        return _Stream
    raise FergitError(f"{name}: not a kind of file that is known; allowed: a folder, {', '.join(SUFFIXES)}")


@contextlib.contextmanager
def _damage(where):
    """Turn whatever a decompressor says of broken bytes into one clear line."""
    try:
        yield
    except FergitError:
        raise
    except PermissionError as error:
        raise FergitError(f"{error.filename or where}: may not be read; check its permissions") from None
    except Exception as error:  # zipfile, tarfile, gzip and lzma raise a dozen types, struct.error among them
        what = (str(error) or type(error).__name__).splitlines()[0]
        raise FergitError(f"{where}: damaged, cut short or not what its name says ({what})") from None


class _Archive:
    def __init__(self, path, name):
        self.path, self.name = path, name
        self._members = {}  # name: whatever the kind needs to read it
        self._bytes = 0

    def _check(self, name):
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or any(bad in name for bad in ("\\", "\0", ":/")):
            raise FergitError(f"{self.name}: member {name!r} would lie outside of it; refused")

    def _add(self, name, size, member):
        self._check(name)
        name = PurePosixPath(name).as_posix()  # without "./"
        junk = any(part.startswith(".") or part in JUNK for part in name.split("/"))
        if not junk and NO_TEXT.search(name):
            raise FergitError(f"{self.name}: the name of member {name!r} is no plain text; rename it")
        if name in self._members:
            raise FergitError(f"{self.name}: member {name!r} is there twice; refused")
        self._bytes += size
        if len(self._members) >= MAX_MEMBERS:
            raise FergitError(f"{self.name}: more than {MAX_MEMBERS:,} members; refused")
        if self._bytes > MAX_BYTES:
            raise FergitError(f"{self.name}: more than {MAX_BYTES >> 30} GiB unpacked; refused")
        if not junk:
            self._members[name] = member

    @property
    def names(self):
        return tuple(sorted(self._members))

    def open(self, name):
        with _damage(f"{self.name}, {name}"):
            return io.BufferedReader(_Guarded(self._open(self._members[name]), f"{self.name}, {name}"), 1 << 20)

    def read_all(self, names, limit=MAX_IMAGE_BYTES):
        names = set(names)
        for name in self._members:
            if name in names:
                with _damage(f"{self.name}, {name}"), self._open(self._members[name]) as file:
                    data = file.read(limit + 1)
                if len(data) > limit:
                    raise FergitError(f"{self.name}, {name}: more than {limit:,} bytes; refused")
                yield name, data

    def close(self):
        pass


class _Folder(_Archive):
    """Links to folders are refused, and links to files outside; that a loop is met is no danger then."""

    def __init__(self, path, name):
        super().__init__(path, name)
        root = path.resolve()

        def refuse(error):
            raise error

        for folder, folders, files in os.walk(root, onerror=refuse):
            folders.sort()
            for name in sorted(folders + files):
                full = Path(folder, name)
                member = full.relative_to(root).as_posix()
                if name.startswith(".") or name in JUNK:
                    continue
                if full.is_symlink() and not (self._inside(full, root) and full.is_file()):
                    raise FergitError(
                        f"{self.name}: {member} is a link that leads to a folder, outside or nowhere; refused"
                    )
                if name in files:
                    if not full.is_file():
                        raise FergitError(f"{self.name}: {member} is not a plain file; refused")
                    self._add(member, full.stat().st_size, full)

    @staticmethod
    def _inside(link, root):
        try:
            return link.resolve(strict=True).is_relative_to(root)
        except (OSError, RuntimeError):
            return False

    def _open(self, member):
        return open(member, "rb", buffering=0)


class _Zip(_Archive):
    def __init__(self, path, name):
        super().__init__(path, name)
        self._file = zipfile.ZipFile(path)
        with contextlib.ExitStack() as stack:
            stack.callback(self._file.close)
            for info in self._file.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise FergitError(f"{self.name}: member {info.filename!r} is a link or a device; refused")
                if info.flag_bits & 1:
                    raise FergitError(f"{self.name}: member {info.filename!r} is encrypted; unpack it yourself")
                # Of bzip2, zipfile unpacks whatever 4 KiB become, which is gigabytes if they are made for it.
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise FergitError(f"{self.name}: member {info.filename!r} is not packed by deflate; pack it anew")
                if info.is_dir():
                    self._check(info.filename)
                else:
                    self._add(info.filename, info.file_size, info)
            stack.pop_all()

    def _open(self, member):
        return self._file.open(member)

    def close(self):
        self._file.close()


class _Tar(_Archive):
    def __init__(self, path, name):
        super().__init__(path, name)
        with contextlib.ExitStack() as stack:
            openers = {".tar": open, ".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.xz": lzma.open}
            raw = stack.enter_context(openers[suffix(path)](path, "rb"))
            bounded = _Bounded(raw, name, MAX_HEADER_BYTES)
            self._file = stack.enter_context(tarfile.open(fileobj=bounded, mode="r:"))
            for info in self._file:
                bounded.left = MAX_HEADER_BYTES
                if info.isdir():
                    self._check(info.name)
                # The types are named: a sparse member, a kind of regular one, can be larger than the file.
                elif info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and info.sparse is None and info.size >= 0:
                    self._add(info.name, info.size, info)
                else:
                    raise FergitError(f"{self.name}: member {info.name!r} is a link, a device or sparse; refused")
            bounded.left = None
            self._stack = stack.pop_all()

    def _open(self, member):
        return self._file.extractfile(member)

    def close(self):
        self._stack.close()


class _Stream(_Archive):
    def __init__(self, path, name):
        super().__init__(path, name)
        kind = suffix(path)
        self._opener = {".csv": open, ".csv.gz": gzip.open, ".csv.xz": lzma.open}[kind]
        with self._open(None) as file:
            file.read(1)
        self._members[path.name[: len(path.name) - len(kind)] + ".csv"] = None

    def _open(self, _):
        return _Bounded(self._opener(self.path, "rb"), self.name)


class _Guarded(io.RawIOBase):
    """A member as a raw file whose errors are clear."""

    def __init__(self, file, name):
        self._file, self._name = file, name

    def readable(self):
        return True

    def readinto(self, buffer):
        with _damage(self._name):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        self._file.close()
        super().close()


class _Bounded:
    """A decompressed stream that ends with an error before it fills the disk or memory, or takes forever.

    ``left`` is how many bytes may still be read, until it is set anew: tarfile believes a header that tells its length.
    """

    def __init__(self, file, path, left=None):
        self._file, self._path, self.left = file, path, left

    def _check(self, position):
        if position > MAX_BYTES:
            raise FergitError(f"{self._path}: more than {MAX_BYTES >> 30} GiB unpacked; refused")

    def read(self, size=-1):
        if self.left is not None:
            if not 0 <= size <= self.left:
                raise FergitError(f"{self._path}: a header of more than {MAX_HEADER_BYTES >> 20} MiB; refused")
            self.left -= size
        data = self._file.read(size if size >= 0 else MAX_BYTES + 1)
        self._check(self._file.tell())
        return data

    def seek(self, offset, whence=0):
        self._check(offset)
        return self._file.seek(offset, whence)

    def tell(self):
        return self._file.tell()

    def close(self):
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
