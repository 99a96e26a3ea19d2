"""The built site loads nothing from another host, and has what its navigation promises.

The site is built where mkdocs is installed (`make docs`); MGAUDIT_SITE names one that is built.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

OTHER_HOST = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
LOADED_LINKS = {"stylesheet", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch"}
LOADED_LINKS |= {"icon", "apple-touch-icon", "manifest"}
LOADING = ("src", "srcset", "data", "poster", "background")


class Loaded(HTMLParser):
    """Collects the addresses that a browser loads with a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.in_style = tag == "style"
        self.addresses += [values[name] for name in LOADING if name in values]
        self.addresses += css_addresses(values.get("style", ""))
        if tag == "link" and LOADED_LINKS & set(values.get("rel", "").split()):
            self.addresses.append(values.get("href", ""))
        if tag in ("use", "image"):
            self.addresses += [values[name] for name in ("href", "xlink:href") if name in values]

    def handle_data(self, text: str) -> None:
        if self.in_style:
            self.addresses += css_addresses(text)


def css_addresses(text: str) -> list[str]:
    """Returns the addresses that a style sheet loads."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    urls = re.findall(r"url\(\s*['\"]?([^'\")]+)", text)
    return urls + re.findall(r"@import\s+['\"]([^'\"]+)", text)


def script_addresses(text: str) -> list[str]:
    """Returns the addresses in the strings of a script, without names of XML."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = re.findall(r"[\"'`]((?:https?:)?//[\w.-]+\.[a-z]{2,}[^\"'`]*)", text)
    return [address for address in found if not address.startswith("http://www.w3.org/")]


def loaded_by(page: str) -> list[str]:
    parser = Loaded()
    parser.feed(page)
    return [address for address in parser.addresses if OTHER_HOST.match(address)]


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://a.org/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.a.org/css">',
        '<link rel="preconnect" href="https://fonts.a.org" crossorigin>',
        '<style>@import "https://a.org/x.css";</style>',
        "<style>body { background: url(https://a.org/x.png) }</style>",
        "<p style=\"background: url('https://a.org/x.png')\">",
        '<img src="http://a.org/x.png">',
        '<img srcset="https://a.org/x.png 2x">',
        '<iframe src="https://a.org"></iframe>',
    ],
)
def test_the_scan_finds_what_is_loaded(page: str) -> None:
    assert loaded_by(page)


def test_the_scan_accepts_links_and_local_files() -> None:
    page = (
        '<a href="https://a.org">a</a><img src="x.png"><link rel="canonical" href="https://a.org">'
    )
    assert not loaded_by(page)
    assert script_addresses('load("https://a.org/x.js")') == ["https://a.org/x.js"]
    assert not script_addresses('/* https://a.org */ create("http://www.w3.org/2000/svg")')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "MGAUDIT_SITE" in os.environ:
        return ROOT / os.environ["MGAUDIT_SITE"]
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed; make docs installs it")
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(directory)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return directory


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    pages, sheets, scripts = (list(site.rglob(f"*.{kind}")) for kind in ("html", "css", "js"))
    assert len(pages) > 40
    assert sheets
    assert scripts
    for page in pages:
        assert not loaded_by(page.read_text(encoding="utf-8")), page
    for sheet in sheets:
        found = [a for a in css_addresses(sheet.read_text("utf-8")) if OTHER_HOST.match(a)]
        assert not found, sheet
    for script in scripts:
        assert not script_addresses(script.read_text("utf-8")), script


def test_the_site_has_every_page(site: Path) -> None:
    sources = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    sources |= {Path("about") / f"{name}.html" for name in ("readme", "contributing", "changelog")}
    assert all((site / page).is_file() for page in sources)
    assert not list(site.rglob("*.py"))


def test_the_search_finds_commands_and_functions(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {document["location"] for document in index["docs"]}
    assert "reference.html#mgaudit.run" in places
    assert any(place.startswith("commands.html#mgaudit-audit-dp") for place in places)
    assert "about/readme.html" in places
