"""Where results are written: never over what is read, over one another, or over what an earlier run did not write."""

import errno
import os
import re
import stat
from argparse import ArgumentTypeError
from pathlib import Path

from fergit.core.errors import FergitError
from fergit.core.files import write_atomically

MARK = b"\nwritten by fergit's predict.py\n"  # the end of every picture and video of ours
FIELDS = ("file", "frame", "seconds", "face", "person", "x", "y", "width", "height", "tilt", "confidence", "label")
STARTS = (",".join(FIELDS[:4]).encode(), b'[\n{"file": ', b"[]\n")  # of our tables and JSON

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # errors that the next file will meet, too


class NothingRead(Exception):
    """Of all that was named nothing could be read: what an earlier run wrote stays."""


def is_ours(path):
    """Whether an earlier run wrote a file; an empty one is anyone's."""
    with open(path, "rb") as file:
        if file.read(200).startswith(STARTS):
            return True
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - len(MARK)))
        return not end or file.read() == MARK


class Outputs:
    """What a run will write, each path checked before the work; `overwrite` allows what is not ours, never `inputs`."""

    def __init__(self, inputs, overwrite=False):
        self.overwrite, self.taken, self.folders = overwrite, {}, {}
        self.inputs = {os.path.realpath(path) for path in inputs}
        self.files = {(about.st_dev, about.st_ino) for about in map(_about, inputs) if about}

    def claim(self, option: str, path: Path) -> Path:
        """The path to write for an option of the command, links followed; FergitError where it must not be written."""
        about, target = _about(path), Path(os.path.realpath(path))
        if _is_stream(path, about):
            return path
        if about and stat.S_ISDIR(about.st_mode):
            raise FergitError(f"{option}: {path} is a folder")
        if str(target) in self.inputs or (about and (about.st_dev, about.st_ino) in self.files):
            raise FergitError(f"{option}: {path} would overwrite what is read; choose another name")
        for parent in (target, *target.parents):
            if parent in self.taken:
                raise FergitError(f"{option}: {path} would overwrite {self.taken[parent]}; choose another name")
            if parent != target and parent.exists() and not parent.is_dir():
                raise FergitError(f"{option}: {parent} is no folder")
        if target in self.folders:
            raise FergitError(f"{option}: {path} is to be the folder of {self.folders[target]}; choose another name")
        try:
            if about and not self.overwrite and not is_ours(target):
                raise FergitError(f"{option}: {path} exists and was not written by predict.py; --overwrite replaces it")
        except OSError as error:
            raise FergitError(f"{option}: {path}: {error.strerror}") from None
        self.taken[target] = f"{option} {path}"
        self.folders |= dict.fromkeys(target.parents, self.taken[target])
        return target


def some_path(text):
    """A path of the command line; an empty one, as of a variable that is not set, would be the current folder."""
    if not text:
        raise ArgumentTypeError("is empty; name a file or a folder")
    return Path(text)


def once(paths):
    """Paths without those that lead to the same as one before: a file that is named twice is read once."""
    known = {}
    for path in paths:
        known.setdefault(os.path.realpath(path), path)
    return list(known.values())


def unused(name: Path, taken: set) -> Path:
    """The name, numbered if another has it already: ``two-2.png``; it is added to `taken`."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = name.with_stem(f"{name.stem}-{number}")
    taken.add(free)
    return free


def unwritable(error: OSError, options) -> str:
    """A line on an error of the system: the file, not the partial one; where it names none, all that is written."""
    named = (getattr(options, name) for name in ("csv", "json", "timeline", "annotated"))
    several = " or ".join(str(path) for path in named if path) or "standard output"
    name = re.sub(r"\.([^/\\]+)\.\d+\.partial$", r"\1", str(error.filename or several))
    return f"{name}: {error.strerror or error}"


def open_output(path: Path):
    """A file to write bytes into: whole or not there, but a pipe or device is written to as it is."""
    if not _is_stream(path, _about(path)):
        return write_atomically(path)
    opened = {"/dev/stdout": "1", "/dev/stderr": "2"}.get(str(path), str(path).removeprefix("/dev/fd/"))
    # Opened by name once more, a file that is led to would be written from its start.
    return os.fdopen(os.dup(int(opened)), "wb") if opened.isdecimal() else open(path, "ab")


def _about(path):
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _is_stream(path, about):
    """A device, a pipe, or a name for one that is open, such as /dev/stdout, whatever that is led to."""
    other = about and not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode)
    return other or os.path.abspath(path).startswith(("/dev/std", "/dev/fd/", "/proc/"))
