"""Progress lines that reach the terminal and stay out of the executed notebook.

A notebook's kernel has no terminal: what it prints ends up in the notebook. The runner therefore names a file in the
environment, the kernel appends its lines there, and the runner shows them as they come.
"""

import contextlib
import os
import sys
import tempfile
import threading
from pathlib import Path

VARIABLE = "FERGIT_PROGRESS"


def line(text):
    """Show one line of progress: on the runner's terminal, or here where a notebook is run by hand."""
    file = os.environ.get(VARIABLE)
    if file is None:
        print(text, flush=True)
        return
    with open(file, "a", encoding="utf-8") as lines:
        lines.write(text + "\n")


@contextlib.contextmanager
def shown_on_terminal():
    """While this runs, lines of `line` in child processes appear on standard error."""
    with tempfile.TemporaryDirectory(prefix="fergit-") as folder:
        file = Path(folder) / "progress"
        file.touch()
        done = threading.Event()
        follower = threading.Thread(target=_follow, args=(file, done))
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(file)
        follower.start()
        try:
            yield
        finally:
            done.set()
            follower.join()
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


def _follow(file, done):
    with open(file, encoding="utf-8") as lines:
        while True:
            last_look = done.wait(0.2)
            sys.stderr.write(lines.read())
            sys.stderr.flush()
            if last_look:
                return
