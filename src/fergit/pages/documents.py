"""README.md, REPLICATION.md and the pages of docs/ with numbers, from docs/templates/; and the index of results/.

``make pages`` writes them; no stage does. ``python -m fergit.pages.documents`` lists the names that templates may use.
"""

import json

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_text
from fergit.core.params import read
from fergit.pages import tables_pages, tables_studies, values
from fergit.pages.present import TITLES, heading, markdown, mean_with_interval, percent
from fergit.pages.templates import fill, text_of

REQUIRED = {  # by page: the tables that must be in it
    "README.md": ("table.headline",),
    "REPLICATION.md": ("table.claims", "table.studies", "table.compute", "table.not_run"),
    "docs/contradictions.md": ("table.contradictions",),
    "docs/fer2013.md": ("table.fer2013",),
}
INDEX = "results/README.md"


def write():
    """Write all pages that differ from what they should be; returns their names.

    Raises
    ------
    FergitError
        A template or a file of results is wrong; no page has changed then.
    """
    pages = texts()
    changed = [name for name, text in pages.items() if _current(name) != text]
    for name in changed:
        write_text(paths.ROOT / name, pages[name])
    return changed


def stale():
    """The pages that are not what templates and results make of them."""
    return [name for name, text in texts().items() if _current(name) != text]


def texts():
    """The text of each page as it should be, by its name."""
    named, verdicts, reports = names()
    folder = paths.ROOT / "docs" / "templates"
    pages = {INDEX: _index(reports)}
    for path in sorted(folder.rglob("*.md")):
        name = path.relative_to(folder).as_posix()
        text = path.read_text(encoding="utf-8")
        pages[name] = fill(text, paths.relative(path), named, verdicts, REQUIRED.get(name, ()))
    missing = REQUIRED.keys() - pages.keys()
    if missing:
        raise FergitError(f"docs/templates/{min(missing)}: no such file; `git checkout docs/templates`")
    return pages


def names():
    """All values and verdicts that a template may name, and the reports."""
    reports, studies = values.read_reports(), values.read_studies()
    defined = read(paths.STUDIES)["studies"]
    studies = {name: studies[name] for name in [*defined, *sorted(studies)] if name in studies}
    by_splits = studies.get(tables_pages.FRAMES, {}).get("claims")
    if by_splits and "ckplus" in reports:
        reports["ckplus"]["claims"] = by_splits  # ten splits tell more than one
    named, verdicts = values.collect(reports, studies, read(paths.PARAMS)["evaluate"])
    real = {dataset: report for dataset, report in reports.items() if dataset in ("fergit", "ckplus")}
    tables = {
        "headline": tables_pages.headline(reports, studies),
        "claims": tables_pages.claims(real),
        "contradictions": tables_pages.contradictions(real),
        "studies": markdown(tables_studies.overview(studies)),
        "fer2013": tables_pages.fer2013(reports),
        "compute": tables_pages.compute(),
        "not_run": tables_pages.not_run(defined, studies),
    }
    return named | {f"table.{name}": table for name, table in tables.items()}, verdicts, reports


def _current(name):
    path = paths.ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else None


def _index(reports):
    """results/README.md: every executed notebook, by data set, below the accuracies."""
    folders = sorted({path.relative_to(paths.RESULTS).parts[0] for path in _notebooks(paths.RESULTS)} - {"reports"})
    order = ["reconstruction", *reports]
    parts = ["# Results", "Every executed notebook, with its code, numbers and figures."]
    for name in sorted(folders, key=lambda name: (order.index(name) if name in order else len(order), name)):
        accuracies = [
            f"- {model}, accuracy on {entry['n_test']:,} test images: **{_accuracy(entry)}**"
            for model, entry in reports.get(name, {"models": {}})["models"].items()
        ]
        notebooks = [*_notebooks(paths.RESULTS / name), *_notebooks(paths.report(name))]
        parts += [f"## {heading(name)}", "\n".join([*accuracies, *map(_notebook_link, notebooks)])]
    others = [
        f"- [{path.parent.name}]({path.parent.name}/README.md)" for path in sorted(paths.RESULTS.glob("*/README.md"))
    ]
    return "\n\n".join([*parts, "## Kept from earlier", "\n".join(others) or "Nothing."]) + "\n"


def _accuracy(entry):
    accuracy = mean_with_interval(entry["accuracy"])
    paper = "" if entry["paper_accuracy"] is None else f"; the paper: {percent(entry['paper_accuracy'], 0)}"
    return "training failed" if entry["failed_seeds"] else accuracy + paper


def _notebooks(folder):
    found = [path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    return sorted(found, key=lambda path: (path.name, path.parts))


def _notebook_link(path):
    """A link with the notebook's own title, and what of the data set it is about."""
    within = path.relative_to(paths.RESULTS)
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        titles = ["".join(cell["source"]).partition("\n")[0] for cell in cells if cell["cell_type"] == "markdown"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FergitError(f"{paths.relative(path)}: not a notebook ({type(error).__name__}); `dvc repro` it") from None
    parts = [part for part in within.parts[1:-1] if not part[0].isdigit()]  # 02-train/ is no news beside its title
    about = ", ".join(TITLES.get(part, part.replace("-", " ")) for part in parts)
    title = titles[0].lstrip("# ") if titles else path.stem
    return f"- [{title}{f': {about}' if about else ''}]({within.as_posix()})"


def main():
    """Print every name that a template may use."""
    named, verdicts, _ = names()
    for name, value in named.items():
        print(name if name.startswith("table.") else f"{name} = {text_of(name, value)}")
    for name, verdict in verdicts.items():
        print(f"verdict {name}: {verdict}")


if __name__ == "__main__":
    main()
