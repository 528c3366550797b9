"""One page of the website: a notebook, a Markdown file, a folder or any other text, as nbconvert shows it."""

import base64
import itertools
import posixpath
import re
from html import escape
from pathlib import PurePosixPath
from urllib.parse import unquote

import nbformat
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.pages import present

EXPORTER = HTMLExporter(
    template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True, exclude_anchor_links=True
)
LOADED = {"src", "srcset", "data", "poster", "href"}  # what makes a browser load something; href outside of <a>


def folders(source):
    """What an executed notebook is about: ``["ckplus", "basic", "seed-0"]``."""
    parts = PurePosixPath(source).parts[1:-1]
    return [part for part in parts if part not in {"reports", *present.NOTEBOOKS}] or ["results"]


class Page:
    """One source as a page: its ``address``, ``title``, ``body`` (HTML or None), and ``about``, the line above it.

    ``files`` {address: bytes} are its figures, or itself if it is copied as it is; ``links`` (source, anchor, address
    as the author wrote it) those within the project; ``notes`` name results that are damaged or not there.
    """

    def __init__(self, source):
        self.source, path = source, paths.ROOT / source
        self.address, self.folder = address(source), source if path.is_dir() else posixpath.dirname(source)
        self.executed = source.startswith("results/") and path.suffix == ".ipynb"
        self.title, self.about, self.body = source, "", None
        self.sections, self.links, self.notes, self.files, self.anchors = [], [], [], {}, {"content", "pages"}
        if self.address == source:
            self.files[source] = path.read_bytes()
            return
        self.body = BeautifulSoup(self._html(path), "html.parser")
        self._name_headings()
        self._lead_links()
        self._dress()
        self.label = "Overview" if source == "README.md" else self.title
        if path.suffix == ".ipynb":
            first, *others = folders(source)
            others = [present.TITLES.get(other, other.replace("-", " ")) for other in others]
            self.label = ": ".join(filter(None, [self.title, ", ".join(others)]))
            self.about = ", ".join([present.title(first), *others]) if self.executed else f"{source}, not executed"

    def to(self, target):
        """The link from here to another file of the website."""
        return posixpath.relpath(target, posixpath.dirname(self.address) or ".")

    def _html(self, path):
        try:
            return EXPORTER.from_notebook_node(_notebook(self.source, path))[0]
        except Exception as error:  # a notebook may hold anything
            why = f"cannot be shown ({(str(error) or type(error).__name__).splitlines()[0]})"
            if not self.source.startswith("results/"):
                raise FergitError(f"{self.source}: {why}") from None
            self.notes.append(why)
            return f"<h1>{escape(self.source)}</h1>\n<p>This {escape(why)}.</p>"

    def _name_headings(self):
        """Give each heading the anchor that GitHub gives it; the first is the page's title."""
        for tag in self.body.select("[id]"):
            del tag["id"]
        for heading in self.body.select("h1, h2, h3, h4, h5, h6"):
            text = heading.get_text()
            name = anchor = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") or "section"
            count = itertools.count(1)
            while anchor in self.anchors:
                anchor = f"{name}-{next(count)}"
            self.anchors.add(anchor)
            heading["id"] = anchor
            if heading.name == "h1" and self.title == self.source:
                self.title = text
            if heading.name == "h2":
                self.sections.append((anchor, text))

    def _lead_links(self):
        """Lead links to pages; what shows or links a result that is not there becomes plain text."""
        for tag in self.body.find_all(True):
            for name in LOADED & tag.attrs.keys():
                if address := self._lead(tag[name], tag.name != "a"):
                    tag[name] = address
                elif tag.name == "a":
                    tag.unwrap()
                else:
                    tag.replace_with(tag.get("alt", ""))

    def _lead(self, url, loaded):
        """Where a link leads in the website; None where it leads to a result that is not there."""
        if re.match(r"//|[\w+.-]+:", url):
            if loaded and not url.startswith("data:"):
                raise FergitError(f"{self.source}: would load {url} from the network")
            if not loaded and not re.fullmatch(r"https?://[\w.-]+(:\d+)?([/?#]\S*)?", url):
                raise FergitError(f"{self.source}: no address of a web page: {url}")
            return url
        path, _, anchor = map(unquote, url.partition("#"))
        source = posixpath.normpath(posixpath.join(self.folder, path)) if path else self.source
        if source.startswith(("..", "/")) or not (paths.ROOT / source).exists():
            if not source.startswith("results/"):
                raise FergitError(f"{self.source}: dead link: {url}")
            self.notes.append(f"links to {source}, which is not there")
            return None
        if (paths.ROOT / source / "README.md").exists():
            source = posixpath.normpath(f"{source}/README.md")
        self.links.append((source, anchor, url))
        return self.to(address(source)) + (f"#{anchor}" if anchor else "")

    def _dress(self):
        """Fold code in, let tables and code scroll, and make each figure of a notebook a file beside the page."""
        for code in self.body.select(".input"):
            details = code.wrap(self.body.new_tag("details", attrs={} if self.executed else {"open": ""}))
            details.insert(0, BeautifulSoup("<summary>Code</summary>", "html.parser"))
        for tag in self.body.select("style"):
            tag.decompose()
        for tag in self.body.select("pre"):
            tag["tabindex"] = "0"
        for table in self.body.select("table"):
            kind = "table frame" if "dataframe" in table.get("class", []) else "table"
            for tag in (table, *table.select("tr")):
                tag.attrs.clear()
            group = {"class": kind, "tabindex": "0", "role": "group", "aria-label": "Table"}
            table.wrap(self.body.new_tag("div", attrs=group))
        for number, image in enumerate(self.body.select("img"), start=1):
            if image["src"].startswith("data:"):
                section = image.find_previous(["h2", "h1"])
                image["alt"] = f"Figure: {section.get_text() if section else self.title}"
                png = base64.b64decode(image["src"].partition(",")[2])
                image["src"] = f"{PurePosixPath(self.address).stem}-figure-{number}.png"
                self.files[posixpath.join(posixpath.dirname(self.address), image["src"])] = png
            else:
                png = (paths.ROOT / posixpath.normpath(posixpath.join(self.folder, image["src"]))).read_bytes()
            if png.startswith(b"\x89PNG"):  # all figures are; whatever else is shown as it is
                width, height = (int.from_bytes(png[start : start + 4]) for start in (16, 20))
                image.attrs |= {"width": width, "height": height, "loading": "lazy"}
                link = image.wrap(self.body.new_tag("a", href=image["src"]))
                link.wrap(self.body.new_tag("figure", style=f"--width: {width}"))


def _notebook(source, path):
    """Any source as a notebook; of one that is a notebook, code cells without output join the next one."""
    if path.is_dir():
        names = [file.name for file in sorted(path.iterdir()) if file.is_file() and file.name[0] not in ".~"]
        text = "\n".join([f"# `{source}`", "", *(f"- [`{name}`]({name})" for name in names)])
    else:
        text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        notebook, cells = nbformat.reads(text, as_version=4), []
        for cell in notebook.cells:
            if cells and cells[-1].cell_type == cell.cell_type == "code" and not cells[-1].outputs:
                cell.source = f"{cells.pop().source}\n\n{cell.source}"
            cells.append(cell)
        notebook.cells = cells
        return notebook
    if path.is_file() and path.suffix != ".md":
        fence = "~" * 40
        text = f"# `{source}`\n\n{fence}\n{text}\n{fence}"
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])


def address(source):
    """Where a source is in the website: as a page, or as it is if it is no text."""
    path = PurePosixPath(source)
    if (paths.ROOT / source).is_dir():
        return f"{source}/index.html"
    if path.name == "README.md":
        return path.with_name("index.html").as_posix()
    if path.suffix in (".md", ".ipynb"):
        return path.with_suffix(".html").as_posix()
    with open(paths.ROOT / source, "rb") as file:
        is_binary = b"\0" in file.read(8192)
    return source if path.suffix == ".svg" or is_binary else f"{source}.html"
