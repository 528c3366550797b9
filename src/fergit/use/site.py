"""The project's pages as a website: ``make site`` writes it to work/site/; it needs no network and no JavaScript.

Pages are README.md, REPLICATION.md, what docs/, data/, models/ and benchmarks/ say, every executed notebook, and
whatever file or folder one of them links to.
"""

import shutil
from html import escape
from pathlib import Path
from string import Template

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_atomically
from fergit.pages import present
from fergit.use.page import Page, folders

FIRST_PAGES = (
    "README.md",
    "REPLICATION.md",
    *(f"{name}/README.md" for name in ("results", "data", "models", "benchmarks")),
)
ORDER = ["reconstruction", *present.TITLES]  # of the notebooks; then whatever else there is
STYLE = "site.css"


def build(folder):
    """Write the website into a folder, whose index.html is README; what was in the folder before is gone.

    Returns
    -------
    list of str
        What is left out: an experiment may leave notebooks that cannot be shown, or take results away.

    Raises
    ------
    FergitError
        A link leads nowhere, or a page would load something from the network; the folder is as it was.
    """
    groups, pages = _groups(), {}
    wanted = [source for sources in groups.values() for source in sources]
    while wanted:
        if (source := wanted.pop()) not in pages:
            pages[source] = Page(source)
            wanted += sorted({linked for linked, _, _ in pages[source].links})
    notes = [f"{page.source}: {note}" for page in pages.values() for note in page.notes]
    for page in pages.values():
        for source, anchor, url in page.links:
            if anchor and anchor not in pages[source].anchors:
                if not source.startswith("results/"):
                    raise FergitError(f"{page.source}: dead link: {url}")
                notes.append(f"{page.source}: links to {url}, which has no such section")
    files = {STYLE: Path(__file__).with_suffix(".css").read_bytes()}
    template = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    for page in pages.values():
        files |= page.files
        if page.body is not None:
            files[page.address] = template.substitute(_parts(page, pages, groups)).encode()
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name, content in files.items():
        with write_atomically(partial / name) as file:
            file.write(content)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return sorted(notes)


def _groups():
    """What the navigation lists: sources by the heading above them, the pages of the project first."""
    groups = {"": [name for name in FIRST_PAGES if (paths.ROOT / name).exists()]}
    groups[""] += [paths.relative(path) for path in sorted((paths.ROOT / "docs").glob("*.md"))]
    found = [paths.relative(path) for path in paths.RESULTS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    kinds = {source: folders(source)[0] for source in found}
    place = {kind: ORDER.index(kind) if kind in ORDER else len(ORDER) for kind in kinds.values()}
    for source in sorted(found, key=lambda source: (place[kinds[source]], kinds[source], Path(source).name, source)):
        groups.setdefault(present.heading(kinds[source]), []).append(source)
    return groups


def _parts(page, pages, groups):
    """What the template has places for."""
    name = pages["README.md"].title
    return {
        "title": escape(" – ".join(dict.fromkeys(filter(None, (page.title, page.about, name))))),
        "style": page.to(STYLE),
        "home": page.to("index.html"),
        "name": escape(name),
        "pages": _navigation(page, pages, groups),
        "about": f'<p class="about">{escape(page.about)}</p>' if page.about else "",
        "body": page.body,
        "source": escape(page.source),
    }


def _navigation(current, pages, groups):
    """The list of all pages; below the current one, its sections."""
    lines = []
    for title, sources in groups.items():
        lines += [f"<h2>{escape(title)}</h2>" if title else "", "<ul>"]
        for page in map(pages.get, sources):
            here = ' aria-current="page"' if page is current else ""
            lines.append(f'<li><a href="{current.to(page.address)}"{here}>{escape(page.label)}</a>')
            if here and page.sections:
                links = (f'<li><a href="#{anchor}">{escape(text)}</a></li>' for anchor, text in page.sections)
                lines.append(f"<ul>{''.join(links)}</ul>")
            lines.append("</li>")
        lines.append("</ul>")
    return "\n".join(filter(None, lines))
