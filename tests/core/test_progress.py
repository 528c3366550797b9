import subprocess
import sys

from fergit.core import paths, progress


def test_lines_of_a_child_reach_the_terminal(capsys):
    code = "from fergit.core import progress; progress.line('epoch 1/2'); print('into the notebook')"
    with progress.shown_on_terminal():
        child = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT / "src", capture_output=True, text=True)
    assert capsys.readouterr().err == "epoch 1/2\n"
    assert child.stdout == "into the notebook\n"


def test_by_hand_a_line_is_printed(capsys):
    progress.line("epoch 1/2")
    assert capsys.readouterr().out == "epoch 1/2\n"
