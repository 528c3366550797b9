"""What a command says at its end, in one line; for machines too that have few packages."""

import contextlib
import errno
import re
import sys

from fergit.core.errors import FergitError

MEMORY = "out of memory: close other programs or lower train.batch_size"
DISK = "the disk is full: make room, and `dvc repro` goes on where it was"


@contextlib.contextmanager
def one_line(interrupted):
    """End the program with one line and status 1 on what a user can mend; with `interrupted` and 130 on Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        said, status = interrupted, 130  # as a shell says it of SIGINT
    except FergitError as error:
        said, status = error, 1
    except OSError as error:
        name = re.sub(r"\.([^/\\]+)\.\d+\.partial$", r"\1", str(error.filename or "a file"))  # that was to be written
        said, status = f"{name}: {error.strerror or error}", 1
    except Exception as error:
        if (said := reason(type(error).__name__, str(error))) not in (MEMORY, DISK):
            raise  # a fault of ours: its traceback says where
        status = 1
    else:
        return
    print(f"error: {said}", file=sys.stderr)
    raise SystemExit(status)


def reason(kind, said):
    """What an exception says, by the name of its class and its text: one line, and what to do where that is known."""
    said = said.strip()
    if "Graph execution error" in said:  # TensorFlow's, around what a thread of ours raised while it made a batch
        inner = re.search(r"^(?:[\w.]+\.)?(\w+(?:Error|Exception)): (.+)$", said, re.M)
        kind, said = inner.groups() if inner else (kind, said)
    if kind == "FergitError":
        return said
    if kind in ("MemoryError", "OutOfMemoryError") or re.search(
        r"RESOURCE_?EXHAUSTED|\bOOM when", f"{kind} {said}", re.I
    ):
        return MEMORY
    if f"[Errno {errno.ENOSPC}]" in said or f"[Errno {errno.EDQUOT}]" in said:
        return DISK
    return f"{kind}: {said}".splitlines()[0]
