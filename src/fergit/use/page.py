"""One page of the website: a Markdown file, a notebook, a folder or any other file, as HTML.

(mistune and pygments are what nbconvert is made of; itself it would bring pages of its own for notebooks alone, with
scripts from elsewhere.)
"""

import ast
import base64
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
from fergit.runner import notebooks


def folders(source):
    """What an executed notebook is about: ``("ckplus", "basic", "seed-0")``."""
    parts = PurePosixPath(source).parts[1:-1]
    return [part for part in parts if part != "reports" and not re.match(r"\d\d-", part)]


class Page:
    """One source as a page: its HTML, its title and sections, the files it brings along and the sources it links to."""

    def __init__(self, source):
        self.source, path = source, paths.ROOT / source
        self.address = _address(source)
        self.folder = source if path.is_dir() else posixpath.dirname(source)
        self.title, self.about, self.group, self.body = source, "", "", None
        self.label = source
        self.sections, self.links, self.files = [], set(), {}
        self._anchors = {"content": 1, "pages": 1}  # the template's own
        if path.is_dir():
            self.body = self._markdown(_listing(path))
        elif path.suffix == ".md":
            self.body = self._markdown(path.read_text(encoding="utf-8"))
            self.label = "Overview" if source == "README.md" else self.title
        elif path.suffix == ".ipynb":
            self._notebook(path)
        elif self.address == source:
            self.files[source] = path.read_bytes()
        else:
            code = _code(path.read_text(encoding="utf-8"), _lexer(path))
            self.body = f"<h1><code>{escape(source)}</code></h1>\n{code}"

    def to(self, address):
        """The link from here to another file of the website."""
        return posixpath.relpath(address, posixpath.dirname(self.address) or ".")

    def _markdown(self, text):
        return mistune.create_markdown(renderer=_Renderer(self), plugins=["table", "strikethrough"])(text)

    def _notebook(self, path):
        notebook = notebooks.read(path)
        executed = path.is_relative_to(paths.RESULTS)
        parts, code = [], []
        for cell in notebook.cells:
            if cell.cell_type == "code":
                code.append(_code(cell.source, PythonLexer()))
            outputs = "".join(self._outputs(cell))
            if code and (outputs or cell.cell_type == "markdown"):
                # What shows nothing by itself is folded together with what follows.
                parts.append(_folded(code, is_open=not executed))
                code = []
            parts.append(self._markdown(cell.source) if cell.cell_type == "markdown" else outputs)
        self.body = "\n".join([*parts, *([_folded(code, is_open=not executed)] if code else [])])
        self.about = "" if executed else f"{self.source}, before it is executed"
        if executed:
            first, *others = folders(self.source)
            self.group = present.heading(first)
            about = [present.TITLES.get(other, other.replace("-", " ")) for other in others]
            self.about = ", ".join([self.group, *about])
            self.label = f"{self.title}: {', '.join(about)}" if about else self.title

    def _outputs(self, cell):
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                yield self._figure(cell, base64.b64decode(data["image/png"]))
            elif "text/html" in data:
                html = data["text/html"]
                yield _dataframe(html) if 'class="dataframe"' in html else html
            elif "text/markdown" in data:
                yield self._markdown(data["text/markdown"])
            elif data.get("text/plain", "").strip():
                yield f'<pre class="output" tabindex="0">{escape(data["text/plain"])}</pre>\n'

    def _figure(self, cell, png):
        """A figure as a file beside the page. It is said to show what its file under results/ is named for."""
        number = sum(name.endswith(".png") for name in self.files) + 1
        address = f"{self.address.removesuffix('.html')}-figure-{number}.png"
        self.files[address] = png
        named = re.search(r'"([\w-]+)\.png"', cell.source)
        shown = [named[1].replace("-", " ")] if named else []
        alt = "Figure: " + ", ".join(shown + [text for _, text in self.sections[-1:]])
        width, height = (int.from_bytes(png[start : start + 4]) for start in (16, 20))
        name = PurePosixPath(address).name
        size = f'width="{width}" height="{height}" style="--width: {width}"'
        image = f'<img src="{name}" alt="{escape(alt)}" {size} loading="lazy">'
        return f'<figure><a href="{name}">{image}</a></figure>\n'

    def heading(self, text, level):
        """The anchor of a new heading, made as GitHub makes it."""
        anchor = re.sub(r"[^\w\- ]", "", _plain(text).lower()).strip().replace(" ", "-") or "section"
        count = self._anchors.get(anchor, 0)
        self._anchors[anchor] = count + 1
        anchor = f"{anchor}-{count}" if count else anchor
        if level == 1 and self.title == self.source:
            self.title = _plain(text)
        if level == 2:
            self.sections.append((anchor, _plain(text)))
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
        return self.to(_address(source)) + "".join(anchor)


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

    def table_cell(self, text, align=None, head=False):
        return _cell("th" if head else "td", "", text)


def _address(source):
    """Where a source is in the website: as a page, or a picture and the like as it is."""
    path = PurePosixPath(source)
    if (paths.ROOT / source).is_dir():
        return f"{source}/index.html"
    if path.name == "README.md":
        return path.with_name("index.html").as_posix()
    if path.suffix in (".md", ".ipynb"):
        return path.with_suffix(".html").as_posix()
    return source if path.suffix == ".svg" or _is_binary(paths.ROOT / source) else f"{source}.html"


def _is_binary(path):
    with open(path, "rb") as file:
        return b"\0" in file.read(8192)


def _listing(folder):
    """A folder as a table: its files, and the first sentence of each module."""
    rows = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.suffix == ".py" else ""
            rows.append(f"| [`{path.name}`]({path.name}) | {(said or '').partition(chr(10))[0]} |")
    return "\n".join([f"# `{paths.relative(folder)}`", "", "| file | what it is |", "| --- | --- |", *rows])


def _lexer(path):
    try:
        return get_lexer_for_filename(path.name)
    except ClassNotFound:
        return TextLexer()


def _code(text, lexer):
    return f'<pre tabindex="0"><code>{highlight(text, lexer, HtmlFormatter(nowrap=True))}</code></pre>\n'


def _folded(code, is_open):
    return f"<details{' open' if is_open else ''}><summary>Code</summary>\n{''.join(code)}</details>\n"


def _dataframe(html):
    """A table of pandas without its own style: the index named in the row of the columns, numbers to the right."""
    rows = re.findall(r"<tr.*?</tr>", html, flags=re.DOTALL)
    rows = [re.findall(r"<(t[hd])( (?:row|col)span=\S+)?[^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in rows]
    head, body = [
        [row for row in rows if (("td" in {cell[0] for cell in row}) is of_body)] for of_body in (False, True)
    ]
    if (
        len(head) > 1
        and len(head[-2]) == len(head[-1])
        and all("" in (a[2], b[2]) for a, b in zip(*head[-2:], strict=True))
    ):
        head[-2:] = [[a if a[2] else b for a, b in zip(*head[-2:], strict=True)]]
    columns = list(zip(*([cell[2] for cell in row if cell[0] == "td"] for row in body), strict=True))
    numbers = [not any(re.match(r"[^\W\d]", text) for text in column) for column in columns]

    def row_html(row):
        kinds = [False] * (len(row) - len(numbers)) + numbers
        return f"<tr>{''.join(_cell(*cell, is_number=kind) for cell, kind in zip(row, kinds, strict=False))}</tr>\n"

    parts = [f"<{tag}>\n{''.join(map(row_html, rows))}</{tag}>\n" for tag, rows in (("thead", head), ("tbody", body))]
    return _scrolling(f"<table>\n{''.join(parts)}</table>")


def _cell(tag, attributes, text, is_number=False):
    """A cell; short ones never wrap and long ones are not squeezed, so that on a phone the table scrolls instead."""
    length = len(_plain(text))
    kinds = ["number"] if is_number else []
    if tag == "td":
        kinds += ["short"] if length <= 24 else ["long"] if length > 48 else []
    named = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<{tag}{attributes}{named}>{text}</{tag}>\n"


def _scrolling(table):
    return f'<div class="table" tabindex="0" role="group" aria-label="Table">{table}</div>\n'


def _plain(html):
    """HTML as plain text."""
    return unescape(re.sub(r"<[^>]+>", "", html))
