"""The project's pages as a website: ``make site`` writes it to work/site/, and it needs no network and no JavaScript.

Pages are README.md, REPLICATION.md, what docs/, data/ and benchmarks/ say, and every executed notebook; and whatever
file or folder one of them links to. (mistune and pygments are what nbconvert is made of; itself it would bring a page
of its own for each notebook, with scripts from elsewhere, and no way from one to the next.)
"""

import ast
import base64
import posixpath
import re
import shutil
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from string import Template
from urllib.parse import unquote, urlsplit

import mistune
import nbformat
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from fergit import paths, present
from fergit.errors import FergitError
from fergit.files import write_atomically

FIRST_PAGES = ("README.md", "REPLICATION.md", "results/README.md", "data/README.md", "benchmarks/README.md")
STYLE = "site.css"


def build(folder):
    """Write the website into a folder, whose index.html is README; what was in the folder before is gone.

    Raises
    ------
    FergitError
        A link leads nowhere, or a page would load something from the network; the folder is as it was.
    """
    site = _Site()
    files = site.files
    _check(files, {page.address: page.source for page in site.pages.values() if page.body is not None})
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name, content in files.items():
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
        listed = [source for _, sources in self.groups for source in sources]
        self.pages = {source: _Page(source) for source in listed}
        waiting = list(self.pages.values())
        while waiting:
            page = waiting.pop()
            for source in sorted(page.links - set(self.pages)):
                self.pages[source] = _Page(source)
                waiting.append(self.pages[source])
        template = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
        for page in self.pages.values():
            self.files |= page.files
            if page.body is not None:
                self.files[page.address] = template.substitute(self._parts(page)).encode()

    def _parts(self, page):
        """What the template has places for."""
        name = self.pages["README.md"].title
        about = f'<p class="about">{escape(page.about)}</p>' if page.about else ""
        title = " – ".join(dict.fromkeys(filter(None, (page.title, page.about, name))))
        return {
            "title": escape(title),
            "style": _relative(STYLE, page),
            "home": _relative("index.html", page),
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
                lines.append(f'<li><a href="{_relative(page.address, current)}"{here}>{escape(page.label)}</a>')
                if here and page.sections:
                    sections = "".join(f'<li><a href="#{anchor}">{text}</a></li>' for anchor, text in page.sections)
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
                links.append(f'<a rel="{rel}" href="{_relative(other.address, page)}">{text}</a>')
        return f'<div class="beside">{"".join(links)}</div>'


def _groups():
    """What the navigation lists: pairs of a heading and the sources below it, the pages of the project first."""
    first = [name for name in FIRST_PAGES if (paths.ROOT / name).exists()]
    groups = {"": first + [paths.relative(path) for path in sorted((paths.ROOT / "docs").glob("*.md"))]}
    found = [paths.relative(path) for path in paths.RESULTS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    order = {"reconstruction": 0, "synthetic": 2, "studies": 3}  # the data sets of real faces in between
    keys = {source: _folders(source)[0] for source in found}
    found.sort(key=lambda source: (order.get(keys[source], 1), keys[source], Path(source).name, source))
    for source in found:
        groups.setdefault(_heading(keys[source]), []).append(source)
    return list(groups.items())


def _folders(source):
    """What an executed notebook is about: ``("ckplus", "basic", "seed-0")``."""
    parts = PurePosixPath(source).parts[1:-1]
    return [part for part in parts if part != "reports" and not re.match(r"\d\d-", part)]


def _heading(folder):
    return present.TITLES.get(folder, folder.capitalize())


class _Page:
    """One source as a page: its HTML, its title and sections, the files it brings along and the sources it links to."""

    def __init__(self, source):
        self.source, path = source, paths.ROOT / source
        self.address = _address(source)
        self.folder = source if path.is_dir() else posixpath.dirname(source)
        self.title, self.about, self.group, self.body = source, "", "", None
        self.label = source
        self.sections, self.links, self.files, self._anchors = [], set(), {}, {}
        if path.is_dir():
            self.body = self._markdown(_listing(path))
        elif path.suffix == ".md":
            self.body = self._markdown(path.read_text(encoding="utf-8"))
            self.label = "Overview" if source == "README.md" else self.title
        elif path.suffix == ".ipynb":
            self._notebook(path)
        else:
            self._text(path)

    def _markdown(self, text):
        return mistune.create_markdown(renderer=_Renderer(self), plugins=["table", "strikethrough"])(text)

    def _text(self, path):
        """A file as it is, highlighted; one that is no text is taken along."""
        content = path.read_bytes()
        try:
            text = content.decode()
        except UnicodeDecodeError:
            self.files[self.address] = content
            return
        self.body = f"<h1><code>{escape(self.source)}</code></h1>\n{_code(text, _lexer(path))}"

    def _notebook(self, path):
        notebook = nbformat.read(path, as_version=4)
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
        if executed:
            first, *others = _folders(self.source)
            self.group = _heading(first)
            about = [other.replace("-", " ") for other in others]
            self.about = ", ".join([self.group, *about])
            self.label = f"{self.title}: {', '.join(about)}" if about else self.title

    def _outputs(self, cell):
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                yield self._figure(cell, base64.b64decode(data["image/png"]))
            elif "text/html" in data:
                yield _dataframe(data["text/html"])
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
        alt = "Figure: " + ", ".join(shown + [_plain(text) for _, text in self.sections[-1:]])
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
            self.sections.append((anchor, text))
        return anchor

    def link(self, url):
        """Where a link of the source leads in the website; as it stands if that is elsewhere or nowhere."""
        parts = urlsplit(url)
        if parts.scheme or parts.netloc or not parts.path:
            return url
        source = posixpath.normpath(posixpath.join(self.folder, unquote(parts.path)))
        if source.startswith("..") or not (paths.ROOT / source).exists():
            return url
        if (paths.ROOT / source / "README.md").exists():
            source = posixpath.normpath(f"{source}/README.md")
        self.links.add(source)
        return _relative(_address(source), self) + (f"#{parts.fragment}" if parts.fragment else "")


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
    """Where a source's page is in the website."""
    path = PurePosixPath(source)
    if (paths.ROOT / source).is_dir():
        return f"{source}/index.html"
    if path.name == "README.md":
        return path.with_name("index.html").as_posix()
    if path.suffix in (".md", ".ipynb"):
        return path.with_suffix(".html").as_posix()
    return source if path.suffix in (".png", ".svg", ".jpg", ".pdf") else f"{source}.html"


def _relative(address, page):
    return posixpath.relpath(address, posixpath.dirname(page.address) or ".")


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


def _check(files, sources):
    """Refuse a link that leads nowhere, and a page that loads something from elsewhere."""
    pages = {address: _Links(files[address].decode()) for address in sources if address in files}
    for address, page in pages.items():
        for url in page.loaded + page.links:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                if url in page.loaded:
                    raise FergitError(f"{sources[address]}: would load {url} from the network")
                if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", url):
                    raise FergitError(f"{sources[address]}: no address of a web page: {url}")
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(address), unquote(parts.path)))
            target = target if parts.path else address
            if target not in files or (parts.fragment and parts.fragment not in pages[target].anchors):
                raise FergitError(f"{sources[address]}: dead link: {url}")
