"""What a failed notebook says: one line, with the cell and what to do."""

import nbformat
import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.runner import execute, notebooks


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise OSError(28, 'No space left on device', 'a')", "the disk is full: make room, and `dvc repro` goes on"),
        ("import os; os.kill(os.getpid(), 9)", "its Python process was killed, most likely for lack of memory"),
    ],
)
def test_a_failed_notebook_is_kept_up_to_its_cell(tmp_path, monkeypatch, code, said):
    for name in ("NOTEBOOKS", "RESULTS", "WORK"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    parameters = nbformat.v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell("print(seed)"), nbformat.v4.new_code_cell(code)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebooks.write(notebooks.canonical(notebook), paths.NOTEBOOKS / "n.ipynb")
    target = paths.RESULTS / "d" / "n.ipynb"
    with pytest.raises(FergitError) as error:
        execute.execute_notebook("n", target, {"seed": 7})
    [line] = str(error.value).splitlines()
    assert said in line and not target.exists()
    kept = nbformat.read(paths.WORK / "failed" / "d" / "n.ipynb", as_version=4)
    assert kept.cells[2].outputs[0].text == "7\n"
    if "killed" not in said:
        assert f"[n, {kept.cells[3].id}; see " in line and kept.cells[3].source == code


def test_injected_parameters_fit_a_page_and_keep_their_types():
    params = {"train": {"epochs": 3, "precision": "auto", "ema": 0.0, "reduce_lr": {"min_lr": 1e-7, "on": False}}}
    params |= {f"section {i}": {"question": "What do \"\n\" and 'x' do?", "values": [1, None, True]} for i in range(9)}
    text = execute.ParametersCell.codify({"dataset": "synthetic", "params": params})
    found = {}
    exec(text, found)
    assert found["params"] == params and found["dataset"] == "synthetic"
    assert max(map(len, text.splitlines())) <= 110
