"""The project's pages as a website: ``make site`` writes it to work/site/; it needs no network and no JavaScript.

Pages are README.md, REPLICATION.md, what docs/, data/, models/ and benchmarks/ say, every executed notebook, and
whatever file or folder one of them links to.
"""

import shutil
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.pages import present
from fergit.use.page import Page, folders

FIRST = [f"{name}.md" for name in ("README", "REPLICATION")]
FIRST += [f"{name}/README.md" for name in ("results", "data", "models", "benchmarks")]
ORDER = ["reconstruction", *present.TITLES]  # of the notebooks; then whatever else there is
LOOK = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)


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
    files, template = {"site.css": Path(__file__).with_suffix(".css").read_bytes()}, LOOK.get_template("site.html")
    shown = {title: [pages[source] for source in sources] for title, sources in groups.items()}
    for page in pages.values():
        files |= page.files
        if page.body is not None:
            files[page.address] = template.render(page=page, groups=shown, home=pages["README.md"]).encode()
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name, content in files.items():
        file = partial / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return sorted(set(notes))


def _groups():
    """What the navigation lists: sources by the heading above them, the pages of the project first."""
    found = [paths.relative(path) for path in paths.RESULTS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    place = {name: number for number, name in enumerate(ORDER)}
    docs = [paths.relative(path) for path in sorted((paths.ROOT / "docs").glob("*.md"))]
    groups = {"": [name for name in FIRST if (paths.ROOT / name).exists()] + docs}
    for source in sorted(found, key=lambda one: (place.get(folders(one)[0], 99), folders(one)[0], Path(one).name, one)):
        groups.setdefault(present.title(folders(source)[0]), []).append(source)
    return groups
