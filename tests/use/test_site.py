"""The website of the committed pages and notebooks, and what it refuses."""

import posixpath
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from fergit.core import paths
from fergit.core.errors import FergitError
from fergit.use import site


class Page(HTMLParser):
    """All start tags of a page; read here apart from how the build itself reads them."""

    def __init__(self, path):
        super().__init__()
        self.tags = []
        text = path.read_text(encoding="utf-8")
        self.title = re.search("<title>(.*)</title>", text)[1]
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def values(self, name, *tags):
        return [attrs[name] for tag, attrs in self.tags if name in attrs and (not tags or tag in tags)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "site"
    site.build(folder)
    return folder


@pytest.fixture(scope="module")
def pages(folder):
    return {path.relative_to(folder).as_posix(): Page(path) for path in sorted(folder.rglob("*.html"))}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project of a few pages, to break one thing in."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    (tmp_path / "README.md").write_text("# Home\n\n## A part\n\n[more](docs/more.md#how-so), [code](code.py)\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "more.md").write_text("# More\n\n## How so?\n\n[home](../README.md#a-part)\n")
    (tmp_path / "code.py").write_text("x = 1\n")
    return tmp_path


def test_every_page_and_executed_notebook_is_there_and_can_be_reached(folder, pages):
    wanted = {"index.html", "REPLICATION.html", "results/index.html", "data/index.html", "docs/reliability.html"}
    wanted |= {paths.relative(path.with_suffix(".html")) for path in paths.RESULTS.rglob("*.ipynb")}
    listed = set(pages["index.html"].values("href", "a"))
    assert wanted <= set(pages) and wanted <= listed


def test_every_link_and_anchor_leads_somewhere(folder, pages):
    for name, page in pages.items():
        for url in page.values("href") + page.values("src"):
            parts = urlsplit(url)
            if parts.scheme:
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
            target = target if parts.path else name
            assert (folder / target).is_file(), (name, url)
            assert not parts.fragment or parts.fragment in pages[target].values("id"), (name, url)


def test_nothing_is_loaded_from_the_network_and_nothing_is_run(folder, pages):
    assert not re.search(r"url\(|@import|//", (folder / "site.css").read_text())
    for name, page in pages.items():
        tags = {tag for tag, _ in page.tags}
        assert not tags & {"script", "iframe", "object", "embed", "video", "audio", "base", "form"}, name
        loaded = page.values("src") + page.values("srcset") + page.values("href", "link")
        assert not [url for url in loaded if urlsplit(url).scheme or url.startswith("//")], name
        assert not [attrs for _, attrs in page.tags if any(key.startswith("on") for key in attrs)], name


def test_pages_are_accessible(pages):
    assert len({page.title for page in pages.values()}) == len(pages)
    for name, page in pages.items():
        tags = [tag for tag, _ in page.tags]
        assert tags.count("title") == tags.count("main") == tags.count("h1") == 1, name
        assert page.values("lang", "html") == ["en"], name
        ids = page.values("id")
        assert len(set(ids)) == len(ids), name
        assert all(attrs.get("alt", "").startswith("Figure: ") for tag, attrs in page.tags if tag == "img"), name
        assert len(page.values("aria-current")) <= 1, name


def test_the_same_inputs_give_the_same_bytes_and_old_pages_vanish(root):
    folder = root / "built"
    site.build(folder)
    before = {path.name: path.read_bytes() for path in folder.rglob("*.*")}
    (folder / "old.html").write_text("old")
    site.build(folder)
    assert {path.name: path.read_bytes() for path in folder.rglob("*.*")} == before
    assert set(before) == {"index.html", "more.html", "code.py.html", "site.css"}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("README.md", b"# Home \xff", "README.md: cannot be shown ("),
        ("code.py", b"\xff", "code.py: cannot be shown ("),
        ("docs/x.ipynb", b"<<<<<<< HEAD", "docs/x.ipynb: cannot be shown ("),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_and_the_old_site_stays(root, name, data, said):
    site.build(root / "built")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
    if name.startswith("docs/"):
        (root / "README.md").write_text(f"# Home\n\n[x]({name})\n")
    with pytest.raises(FergitError) as refused:
        site.build(root / "built")
    assert str(refused.value).startswith(said) and "\n" not in str(refused.value)
    assert (root / "built" / "code.py.html").exists()


@pytest.mark.parametrize("data", [b"", b"{}", b"<<<<<<< HEAD", b'{"cells": [{}]}', b"\xff"])
@pytest.mark.parametrize("name", ["x/01-x.ipynb", "new/residual/02-train/seed-0/02-train.ipynb", "x.ipynb"])
def test_what_an_experiment_leaves_is_named_and_the_rest_is_built(root, name, data):
    """Damaged notebooks, and links to results that it took away."""
    (root / "results" / name).parent.mkdir(parents=True)
    (root / "results" / name).write_bytes(data)
    links = "[b](results/gone/03.ipynb#x), ![figure](results/gone/a.png)"
    (root / "README.md").write_text(f"# Home\n\n## A part\n\n[a](results/{name}#none), {links}\n")
    notes = site.build(root / "built")
    assert [note.split(" (")[0] for note in notes] == [
        "README.md: links to results/gone/03.ipynb, which is not there",
        "README.md: links to results/gone/a.png, which is not there",
        f"README.md: links to results/{name}#none, which has no such section",
        f"results/{name}: cannot be shown",
    ]
    home = (root / "built" / "index.html").read_text()
    assert "b, figure" in home and "gone" not in home
    assert "cannot be shown" in (root / "built" / "results" / name).with_suffix(".html").read_text()


def test_a_clean_tree_needs_no_notes(root):
    assert site.build(root / "built") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x](docs/none.md)", "README.md: dead link: docs/none.md"),
        ("[x](docs/more.md#none)", "README.md: dead link: docs/more.md#none"),
        ("[x](#none)", "README.md: dead link: #none"),
        ("[x](../elsewhere.md)", "README.md: dead link: ../elsewhere.md"),
        ('<a href="none.html">x</a>', "README.md: dead link: none.html"),
        ("![x](none.png)", "README.md: dead link: none.png"),
        ("![x](https://example.org/x.png)", "README.md: would load https://example.org/x.png from the network"),
        ("[x](https:doi.org/1)", "README.md: no address of a web page: https:doi.org/1"),
        ("[x](http://[)", "README.md: no address of a web page: http://%5B"),
        ("[x](x.png#part)", "README.md: dead link: x.png#part"),
    ],
)
def test_a_dead_link_is_refused_in_one_line_and_the_old_site_stays(root, text, said):
    site.build(root / "built")
    (root / "x.png").write_bytes(b"\x89PNG\0")
    (root / "README.md").write_text(f"# Home\n\n## A part\n\n{text}\n")
    with pytest.raises(FergitError, match=f"^{re.escape(said)}$"):
        site.build(root / "built")
    assert (root / "built" / "code.py.html").exists()
