"""The canonical form of notebooks: the same content is the same bytes, on disk and in Git.

``python -m fergit.runner.notebooks`` rewrites the source notebooks: no outputs, no counts, cell ids that follow
the order. (An nbstripout filter does it at commit only: then the working tree differs from a clone, and DVC takes every
stage for changed.)
"""

import re

import nbformat

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_text

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def canonical(notebook, keep_outputs=False):
    """Rewrite a notebook in place, in its canonical form.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    keep_outputs : bool
        True for an executed notebook: outputs stay, less whatever changes from one execution to the next.
    """
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = _steady_outputs(cell.outputs) if keep_outputs else []
            cell.execution_count = number if keep_outputs else None
    return notebook


def _steady_outputs(outputs):
    """Outputs without what changes from run to run: how a stream was cut into pieces, counts, memory addresses."""
    steady = []
    for output in outputs:
        if output.output_type == "stream" and steady and steady[-1].get("name") == output.name:
            steady[-1].text += output.text
            continue
        if "execution_count" in output:
            output.execution_count = None
        for kind, text in output.get("data", {}).items():
            if kind == "text/plain":
                output.data[kind] = re.sub(r" at 0x[0-9a-f]+", "", text)
        steady.append(output)
    return steady


def read(path):
    """Read a notebook.

    Raises
    ------
    FergitError
        There is no such file, or it is no notebook.
    """
    name = paths.relative(path)
    remedy = "`dvc repro` writes it again" if path.is_relative_to(paths.RESULTS) else f"`git checkout {name}`"
    try:
        notebook = nbformat.v4.reads(path.read_text(encoding="utf-8"))
        nbformat.validate(notebook)  # nbformat.read would only log what it finds
    except FileNotFoundError:
        raise FergitError(f"{name}: no such file; {remedy}") from None
    except Exception as error:  # whatever nbformat's schemas trip over
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise FergitError(f"{name}: not a notebook ({why}); {remedy}") from None
    return notebook


def write(notebook, path):
    """Write a notebook as UTF-8 JSON, atomically."""
    write_text(path, nbformat.writes(notebook).rstrip("\n") + "\n")


def main():
    for path in sorted(paths.NOTEBOOKS.glob("*.ipynb")):
        write(canonical(read(path)), path)


if __name__ == "__main__":
    main()
