"""Files that are whole or not there."""

import contextlib
import hashlib
import io
import json
import os
import zipfile

import numpy as np

from fergit.core import paths
from fergit.core.errors import FergitError


@contextlib.contextmanager
def write_atomically(path):
    """Open a file for writing bytes that takes its place under `path` only when all is written.

    Folders are made. After an error or a kill, what was there before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def keep_newest(folder, number):
    """Delete all ``.npz`` files of a folder but the newest `number`."""
    with contextlib.suppress(FileNotFoundError):  # another process deletes too
        for stale in sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime)[:-number]:
            stale.unlink(missing_ok=True)


def write_text(path, text):
    """Write text as UTF-8, atomically, its line ends as they are."""
    with write_atomically(path) as file:
        file.write(text.encode())


def write_json(path, values):
    """Write values as indented JSON, atomically; the same values give the same bytes."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def write_table(path, table):
    """Write a DataFrame as CSV, with its index if that has a name; numbers with six significant digits."""
    index = table.index.name is not None
    write_text(path, table.to_csv(index=index, float_format="%.6g", lineterminator="\n"))


def write_arrays(path, **arrays):
    """Write arrays to an uncompressed ``.npz``, atomically; the same arrays give the same bytes under every Python.

    (The zip headers that `numpy.savez` asks for differ between releases of Python.)
    """
    with write_atomically(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getbuffer())


def read_json(path, keys, remedy, several=False):
    """Read an object of JSON that the project wrote.

    Parameters
    ----------
    path : Path
    keys : sequence of str
        What it must hold.
    remedy : str
        What writes it again, for the message.
    several : bool
        It is a list of such objects.

    Returns
    -------
    dict, or list of dict

    Raises
    ------
    FergitError
        There is no such file, it is no such JSON, or a key is missing.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, "JSON", error, remedy) from None
    entries = values if several else [values]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FergitError(f"{paths.relative(path)}: holds something else than was written there; {remedy}")
    missing = [key for key in keys if any(key not in entry for entry in entries)]
    if missing:
        raise FergitError(f"{paths.relative(path)}: has no {missing[0]!r}; {remedy}")
    return values


def read_table(path, columns, remedy, **options):
    """Read a CSV that the project wrote, by pandas with `options`: DataFrame; errors and the rest as `read_json`."""
    import pandas as pd  # here, for it takes half a second that who writes files need not wait

    try:
        table = pd.read_csv(path, **options)
    except (OSError, ValueError) as error:
        raise _unreadable(path, "CSV", error, remedy) from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise FergitError(f"{paths.relative(path)}: has no column {missing[0]!r}; {remedy}")
    return table


def _unreadable(path, form, error, remedy):
    if isinstance(error, FileNotFoundError):
        return FergitError(f"{paths.relative(path)}: no such file; {remedy}")
    why = error.strerror if isinstance(error, OSError) else (str(error) or type(error).__name__).splitlines()[0]
    return FergitError(f"{paths.relative(path)}: not the {form} that was written there ({why}); {remedy}")


def sha256(path):
    """The sha256 of a file, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
