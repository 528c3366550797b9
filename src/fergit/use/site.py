"""The project's pages as a website: ``make site`` writes it to work/site/, and it needs no network and no JavaScript.

Pages are README.md, REPLICATION.md, what docs/, data/ and benchmarks/ say, and every executed notebook; and whatever
file or folder one of them links to.
"""

import posixpath
import re
import shutil
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from string import Template
from urllib.parse import unquote

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.core.files import write_atomically
from fergit.pages import present
from fergit.use.page import Page, folders

FIRST_PAGES = (
    "README.md",
    "REPLICATION.md",
    "results/README.md",
    "data/README.md",
    "models/README.md",
    "benchmarks/README.md",
)
STYLE = "site.css"


def build(folder):
    """Write the website into a folder, whose index.html is README; what was in the folder before is gone.

    Raises
    ------
    FergitError
        A link leads nowhere, or a page would load something from the network; the folder is as it was.
    """
    site = _Site()
    site.check()
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name, content in site.files.items():
        with write_atomically(partial / name) as file:
            file.write(content)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


class _Site:
    """All files of the website, by their path in it: the pages, and what links led to."""

    def __init__(self):
        self.files = {STYLE: Path(__file__).with_suffix(".css").read_bytes()}
        self.groups = _groups()
        self.notebooks = [source for _, sources in self.groups[1:] for source in sources]
        self.pages = {}
        wanted = [source for _, sources in self.groups for source in sources]
        while wanted:
            if (source := wanted.pop()) not in self.pages:
                try:
                    self.pages[source] = Page(source)
                except (OSError, SyntaxError, ValueError) as error:
                    raise FergitError(f"{source}: cannot be shown ({error})") from None
                wanted += sorted(self.pages[source].links)
        template = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
        for page in self.pages.values():
            self.files |= page.files
            if page.body is not None:
                self.files[page.address] = template.substitute(self._parts(page)).encode()

    def check(self):
        """Refuse a link that leads nowhere, and a page that loads something from elsewhere."""
        sources = {page.address: page.source for page in self.pages.values() if page.body is not None}
        pages = {address: _Links(self.files[address].decode()) for address in sources}
        for address, page in pages.items():
            for url in page.loaded + page.links:
                if re.match(r"//|[\w+.-]+:", url):
                    if url in page.loaded:
                        raise FergitError(f"{sources[address]}: would load {url} from the network")
                    if not re.fullmatch(r"https?://[\w.-]+(:\d+)?([/?#]\S*)?", url):
                        raise FergitError(f"{sources[address]}: no address of a web page: {url}")
                    continue
                path, _, anchor = map(unquote, url.partition("#"))
                target = posixpath.normpath(posixpath.join(posixpath.dirname(address), path)) if path else address
                if target not in self.files or (
                    anchor and (target not in pages or anchor not in pages[target].anchors)
                ):
                    raise FergitError(f"{sources[address]}: dead link: {url}")

    def _parts(self, page):
        """What the template has places for."""
        name = self.pages["README.md"].title
        about = f'<p class="about">{escape(page.about)}</p>' if page.about else ""
        title = " – ".join(dict.fromkeys(filter(None, (page.title, page.about, name))))
        return {
            "title": escape(title),
            "style": page.to(STYLE),
            "home": page.to("index.html"),
            "name": escape(name),
            "pages": self._navigation(page),
            "about": about,
            "body": page.body,
            "beside": self._beside(page),
            "source": escape(page.source),
        }

    def _navigation(self, current):
        """The list of all pages; below the current one, its sections."""
        lines = []
        for title, sources in self.groups:
            lines += [f"<h2>{escape(title)}</h2>" if title else "", "<ul>"]
            for page in map(self.pages.get, sources):
                here = ' aria-current="page"' if page is current else ""
                lines.append(f'<li><a href="{current.to(page.address)}"{here}>{escape(page.label)}</a>')
                if here and page.sections:
                    sections = "".join(
                        f'<li><a href="#{anchor}">{escape(text)}</a></li>' for anchor, text in page.sections
                    )
                    lines.append(f"<ul>{sections}</ul>")
                lines.append("</li>")
            lines.append("</ul>")
        return "\n".join(filter(None, lines))

    def _beside(self, page):
        """Links to the notebooks before and after this one."""
        if page.source not in self.notebooks:
            return ""
        place = self.notebooks.index(page.source)
        neighbours = {"prev": place - 1, "next": place + 1}
        links = []
        for rel, other in neighbours.items():
            if 0 <= other < len(self.notebooks):
                other = self.pages[self.notebooks[other]]
                text = escape(f"{other.group}: {other.label}")
                text = f"← {text}" if rel == "prev" else f"{text} →"
                links.append(f'<a rel="{rel}" href="{page.to(other.address)}">{text}</a>')
        return f'<div class="beside">{"".join(links)}</div>'


def _groups():
    """What the navigation lists: pairs of a heading and the sources below it, the pages of the project first."""
    first = [name for name in FIRST_PAGES if (paths.ROOT / name).exists()]
    groups = {"": first + [paths.relative(path) for path in sorted((paths.ROOT / "docs").glob("*.md"))]}
    found = [paths.relative(path) for path in paths.RESULTS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    order = {"reconstruction": 0, "fergit": 1, "ckplus": 1, "fer2013": 1, "synthetic": 2}  # then whatever else there is
    keys = {source: folders(source)[0] for source in found}
    found.sort(key=lambda source: (order.get(keys[source], 3), keys[source], Path(source).name, source))
    for source in found:
        groups.setdefault(present.heading(keys[source]), []).append(source)
    return list(groups.items())


class _Links(HTMLParser):
    """What a page links to, what it makes a browser load, and the anchors it has."""

    def __init__(self, html):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value)
            elif name == "href" and tag == "a":
                self.links.append(value)
            elif name in ("href", "src", "srcset", "data", "poster"):
                self.loaded.append(value)
