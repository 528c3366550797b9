"""What a command says at its end: one line where a user can mend it, a traceback where only we can."""

import pytest

from fergit.core.errors import FergitError
from fergit.runner import command


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("ValueError", "first line\nsecond line", "ValueError: first line"),
        ("ValueError", "\nInput 0 is wrong", "ValueError: Input 0 is wrong"),
        ("ValueError", "augmentation.zoom when 3", "ValueError: augmentation.zoom when 3"),
        ("FergitError", "images are missing", "images are missing"),
        (
            "UnknownError",
            "Graph execution error:\n\nTraceback:\nfergit.core.errors.FergitError: image 7 is bad\n\t [[node]]",
            "image 7 is bad",
        ),
        ("MemoryError", "", "out of memory: close other programs or lower train.batch_size"),
        (
            "ResourceExhaustedError",
            "OOM when allocating",
            "out of memory: close other programs or lower train.batch_size",
        ),
        ("OSError", "[Errno 28] No space left on device: 'a'", "the disk is full: make room, and `dvc repro` goes on"),
    ],
)
def test_the_reason_is_one_line(kind, text, said):
    reason = command.reason(kind, text)
    assert reason.startswith(said) and "\n" not in reason


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (FergitError("row 3: no label"), 1, "error: row 3: no label\n"),
        (OSError(13, "Permission denied", "out/.a.csv.77.partial"), 1, "error: out/a.csv: Permission denied\n"),
        (MemoryError(), 1, f"error: {command.MEMORY}\n"),
        (RuntimeError("RESOURCE_EXHAUSTED: 4 GiB"), 1, f"error: {command.MEMORY}\n"),
        (KeyboardInterrupt(), 130, "error: stopped\n"),
    ],
)
def test_what_a_user_can_mend_is_one_line_with_a_status(capsys, error, status, said):
    with pytest.raises(SystemExit) as end, command.one_line("stopped"):
        raise error
    assert end.value.code == status and capsys.readouterr().err.endswith(said)


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(KeyError), command.one_line("stopped"):
        raise KeyError("a")
