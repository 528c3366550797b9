import nbformat
import pytest

from fergit.core import paths
from fergit.runner import notebooks

SOURCES = sorted(paths.NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source_notebook_is_canonical(path, tmp_path):
    """If this fails: `make format`."""
    notebooks.write(notebooks.canonical(nbformat.read(path, as_version=4)), tmp_path / "canonical.ipynb")
    assert path.read_bytes() == (tmp_path / "canonical.ipynb").read_bytes()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source_notebook_has_one_cell_of_parameters_and_explains_itself(path):
    cells = nbformat.read(path, as_version=4).cells
    assert [c.metadata.get("tags", []) for c in cells if c.metadata.get("tags")] == [["parameters"]]
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert len(cells) - len(code) >= len(code) / 2


def test_executed_notebook_loses_what_changes_from_run_to_run():
    cell = nbformat.v4.new_code_cell("1")
    cell.metadata = {"tags": ["x"], "papermill": {"duration": 1.0}, "execution": {"iopub.execute_input": "2026"}}
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text="a"),
        nbformat.v4.new_output("stream", name="stdout", text="b"),
        nbformat.v4.new_output("execute_result", {"text/plain": "<X at 0x7f12>"}, execution_count=9),
    ]
    book = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"end_time": "2026"}})
    clean = notebooks.canonical(book, keep_outputs=True)
    assert "papermill" not in clean.metadata and dict(clean.cells[0].metadata) == {"tags": ["x"]}
    assert [o.get("text") for o in clean.cells[0].outputs] == ["ab", None]
    assert clean.cells[0].outputs[1].data["text/plain"] == "<X>"
    assert clean.cells[0].id == "cell-1"


def test_no_committed_notebook_has_a_warning():
    for path in sorted(paths.RESULTS.rglob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not [output for output in cell.get("outputs", []) if output.get("name") == "stderr"], path
