"""The canonical form of notebooks: the same content is the same bytes, on disk and in Git.

``python -m fergit.runner.notebooks`` rewrites the source notebooks: no outputs, no counts, cell ids that follow
the order. (An nbstripout filter does it at commit only: then the working tree differs from a clone, and DVC takes every
stage for changed.)
"""

import re

import nbformat

from fergit.core import paths
from fergit.core.files import write_text

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def canonical(notebook, keep_outputs=False):
    """Bring a notebook into its form, in place; with its outputs, less what changes from one execution to the next."""
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
        if "text/plain" in (data := output.get("data", {})):
            data["text/plain"] = re.sub(r" at 0x[0-9a-f]+", "", data["text/plain"])
        steady.append(output)
    return steady


def write(notebook, path):
    """Write a notebook as UTF-8 JSON, atomically."""
    write_text(path, nbformat.writes(notebook).rstrip("\n") + "\n")


def main():
    for path in sorted(paths.NOTEBOOKS.glob("*.ipynb")):
        write(canonical(nbformat.read(path, as_version=4)), path)


if __name__ == "__main__":
    main()
