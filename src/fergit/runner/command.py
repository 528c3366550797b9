"""What a command says at its end, in one line; for machines too that have few packages."""

import contextlib
import re
import sys

from fergit.core.errors import FergitError


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
    else:
        return
    print(f"error: {said}", file=sys.stderr)
    raise SystemExit(status)
