"""README.md, REPLICATION.md, results/README.md and pages of docs/, from docs/templates/: ``make pages`` writes them."""

import json
import re

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_text
from fergit.pages import templates, values
from fergit.pages.present import NOTEBOOKS, TITLES, title


def write():
    """Write all pages that differ from what they should be; returns their names.

    Raises FergitError where a template or a file of results is wrong; no page has changed then.
    """
    changed = stale()
    for name, text in changed.items():
        write_text(paths.ROOT / name, text)
    return list(changed)


def stale():
    """The pages that are not what templates and results make of them: the text that each should have, by its name."""
    return {name: text for name, text in texts().items() if _current(name) != text}


def texts():
    """The text of each page as it should be, by its name."""
    folder = paths.ROOT / "docs" / "templates"
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.md"))]
    if "README.md" not in names:
        raise FergitError("docs/templates/README.md: no such file; `git checkout docs/templates` brings it back")
    known = values.collect()
    kept = sorted(paths.RESULTS.glob("*/README.md"))  # folders with a page of their own
    known["kept"] = {
        path.parent.name: path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for path in kept
    }
    known["folders"] = _folders(["reconstruction", *known["reports"]], known["defined"])
    return {name: re.sub(r"\n{3,}", "\n\n", templates.fill(folder, name, known)) for name in names}


def _current(name):
    path = paths.ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else None


def _folders(first, studies):
    """The executed notebooks by folder of results, those of `first` before the others: title and address of each."""
    names = {path.relative_to(paths.RESULTS).parts[0] for path in _notebooks(paths.RESULTS)} - {"reports"}
    order = sorted(names, key=lambda name: (first.index(name) if name in first else len(first), name))
    found = {name: _notebooks(paths.RESULTS / name) + _notebooks(paths.report(name)) for name in order}
    return {
        name: {path.relative_to(paths.RESULTS).as_posix(): _title(path, studies) for path in several}
        for name, several in found.items()
    }


def _notebooks(folder):
    found = [path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    return sorted(found, key=lambda path: (path.name, path.parts))


def _title(path, studies):
    """The notebook's own title and what of the data set it is about; of a study, its data set and its question."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        titles = ["".join(cell["source"]).partition("\n")[0] for cell in cells if cell["cell_type"] == "markdown"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FergitError(f"{paths.relative(path)}: not a notebook ({type(error).__name__}); `dvc repro` it") from None
    kind, *parts, _ = path.relative_to(paths.RESULTS).parts
    if kind == "studies" and parts and parts[0] in studies:
        return f"{title(studies[parts[0]]['dataset'])}: {studies[parts[0]]['question']}"
    about = [TITLES.get(part, part.replace("-", " ")) for part in parts if part not in NOTEBOOKS]  # not 02-train/
    heading = titles[0].lstrip("# ") if titles else path.stem
    return f"{heading}{'' if heading.endswith('?') else ':'} {', '.join(about)}" if about else heading
