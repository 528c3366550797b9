"""One page of the website: a Markdown file, a notebook, a folder or any other text, as HTML by mistune and pygments."""

import base64
import json
import posixpath
import re
from html import escape, unescape
from pathlib import PurePosixPath
from urllib.parse import unquote

import mistune
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from fergit.core import paths
from fergit.pages import present


def folders(source):
    """What an executed notebook is about: ``["ckplus", "basic", "seed-0"]``."""
    parts = PurePosixPath(source).parts[1:-1]
    return [part for part in parts if part != "reports" and not re.match(r"\d\d-", part)]


class Page:
    """One source as a page: its HTML, title and sections, the files that it brings and the sources that it links to."""

    def __init__(self, source):
        self.source, path = source, paths.ROOT / source
        self.address = address(source)
        self.folder = source if path.is_dir() else posixpath.dirname(source)
        self.title, self.about, self.body = source, "", None
        self.sections, self.links, self.files = [], set(), {}
        self._anchors = {"content": 1, "pages": 1}  # the template's own
        if path.is_dir():
            names = [file.name for file in sorted(path.iterdir()) if file.is_file() and file.name[0] not in ".~"]
            self.body = self._markdown("\n".join([f"# `{source}`", "", *(f"- [`{name}`]({name})" for name in names)]))
        elif path.suffix == ".md":
            self.body = self._markdown(path.read_text(encoding="utf-8"))
        elif path.suffix == ".ipynb":
            self._notebook(json.loads(path.read_text(encoding="utf-8"))["cells"])
        elif self.address == source:
            self.files[source] = path.read_bytes()
        else:
            code = _code(path.read_text(encoding="utf-8"), _lexer(path))
            self.body = f"<h1><code>{escape(source)}</code></h1>\n{code}"
        self.label = "Overview" if source == "README.md" else self.title
        if self.about and source.startswith("results/"):
            self.label = ": ".join([self.title, *self.about.split(", ", 1)[1:]])

    def to(self, target):
        """The link from here to another file of the website."""
        return posixpath.relpath(target, posixpath.dirname(self.address) or ".")

    def _markdown(self, text):
        return mistune.create_markdown(renderer=_Renderer(self), plugins=["table", "strikethrough"])(text)

    def _notebook(self, cells):
        executed = self.source.startswith("results/")
        parts = []
        for cell in cells:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(self._markdown(source))
            else:
                summary = f"<details{'' if executed else ' open'}><summary>Code</summary>"
                parts.append(f"{summary}\n{_code(source, PythonLexer())}</details>\n")
                parts += self._outputs(cell)
        self.body = re.sub(r"</details>\s*<details[^>]*><summary>Code</summary>", "", "\n".join(parts))
        self.about = f"{self.source}, before it is executed"
        if executed:
            first, *others = folders(self.source)
            about = [present.TITLES.get(other, other.replace("-", " ")) for other in others]
            self.about = ", ".join([present.heading(first), *about])

    def _outputs(self, cell):
        for output in cell.get("outputs", []):
            data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
            plain = data.get("text/plain", "".join(output.get("text", "")))
            if "image/png" in data:
                yield self._figure(base64.b64decode(data["image/png"]))
            elif "text/html" in data:
                html = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
                yield _scrolling(re.sub(r"<(table|tr)[^>]*>", r"<\1>", html), "frame")
            elif "text/markdown" in data:
                yield self._markdown(data["text/markdown"])
            elif plain.strip():
                yield f'<pre class="output" tabindex="0">{escape(plain)}</pre>\n'

    def _figure(self, png):
        """A figure as a file beside the page, named for the section that it stands in."""
        number = sum(name.endswith(".png") for name in self.files) + 1
        target = f"{self.address.removesuffix('.html')}-figure-{number}.png"
        self.files[target] = png
        section = self.sections[-1][1] if self.sections else self.title
        width, height = (int.from_bytes(png[start : start + 4]) for start in (16, 20))
        size = f'width="{width}" height="{height}" style="--width: {width}"'
        name = PurePosixPath(target).name
        image = f'<img src="{name}" alt="{escape(f"Figure: {section}")}" {size} loading="lazy">'
        return f'<figure><a href="{name}">{image}</a></figure>\n'

    def heading(self, text, level):
        """The anchor of a new heading, made as GitHub makes it."""
        plain = unescape(re.sub(r"<[^>]+>", "", text))
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-") or "section"
        count = self._anchors.get(anchor, 0)
        self._anchors[anchor] = count + 1
        anchor = f"{anchor}-{count}" if count else anchor
        if level == 1 and self.title == self.source:
            self.title = plain
        if level == 2:
            self.sections.append((anchor, plain))
        return anchor

    def link(self, url):
        """Where a link of the source leads in the website; as it stands if that is elsewhere or nowhere."""
        path, *anchor = url.partition("#")
        source = posixpath.normpath(posixpath.join(self.folder, unquote(path)))
        if not path or source.startswith(("..", "/")) or not (paths.ROOT / source).exists():
            return url
        if (paths.ROOT / source / "README.md").exists():
            source = posixpath.normpath(f"{source}/README.md")
        self.links.add(source)
        return self.to(address(source)) + "".join(anchor)


class _Renderer(mistune.HTMLRenderer):
    """Markdown as HTML whose headings have anchors, whose links lead to pages and whose tables scroll."""

    def __init__(self, page):
        super().__init__(escape=False)
        self._page = page

    def heading(self, text, level, **attrs):
        return f'<h{level} id="{self._page.heading(text, level)}">{text}</h{level}>\n'

    def link(self, text, url, title=None):
        return super().link(text, self._page.link(url), title)

    def image(self, text, url, title=None):
        return super().image(text, self._page.link(url), title)

    def block_code(self, code, info=None):
        return _code(code, TextLexer())

    def table(self, text):
        return _scrolling(f"<table>\n{text}</table>")


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


def _lexer(path):
    try:
        return get_lexer_for_filename(path.name)
    except ClassNotFound:
        return TextLexer()


def _code(text, lexer):
    return f'<pre tabindex="0"><code>{highlight(text, lexer, HtmlFormatter(nowrap=True))}</code></pre>\n'


def _scrolling(table, kind=""):
    return f'<div class="table {kind}" tabindex="0" role="group" aria-label="Table">{table}</div>\n'
