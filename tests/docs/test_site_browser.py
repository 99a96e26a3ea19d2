"""The built site in headless Chromium: widths, colour schemes, requests, search, accessibility."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_site import site  # noqa: F401
from tests.reports.test_html_browser import (
    Browser,
    axe,  # noqa: F401
    browser,  # noqa: F401
    violations,
)

pytestmark = pytest.mark.browser
WIDTHS = (360, 390, 768, 1440)
NAMES = (
    "index",
    "first-audit",
    "concepts/low-fpr",
    "howto/training-function",
    "howto/tune-dp",
    "commands",
    "errors",
    "reference",
    "results",
    "papers/gaussian-masking-full/report",
    "data-protection",
    "comparison",
    "about/readme",
)
WIDER_THAN_THE_WINDOW = """
[document.scrollingElement.scrollWidth - innerWidth,
 [...document.querySelectorAll('.md-content img')].filter(
   image => image.getBoundingClientRect().right > innerWidth).length]
"""


class Server(http.server.ThreadingHTTPServer):
    """Serves a directory on a free port of this machine, without a log."""

    def __init__(self, directory: Path) -> None:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(directory)))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Address:
    """An address in the form of a path, which the browser of the reports opens."""

    def __init__(self, address: str) -> None:
        self.address = address

    def as_uri(self) -> str:
        return self.address


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[Server]:  # noqa: F811
    with Server(site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def open_page(
    browser: Browser,  # noqa: F811
    server: Server,
    name: str,
    width: int = 1440,
    scheme: str = "light",
) -> None:
    browser.open(Address(f"{server.address}/{name}.html"), width, scheme)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_without_error_asks_no_other_host_and_is_never_wider_than_its_window(
    browser: Browser,  # noqa: F811
    server: Server,
    name: str,
) -> None:
    open_page(browser, server, name, WIDTHS[-1])
    kinds = {event["method"] for event in browser.events}
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert not kinds & {"Runtime.exceptionThrown", "Log.entryAdded"}
    assert any(address.endswith(".css") for address in asked)
    assert not [address for address in asked if not address.startswith((server.address, "data:"))]
    for width in reversed(WIDTHS):
        browser.resize(width)
        wider, images = browser.run(WIDER_THAN_THE_WINDOW)
        assert browser.run("innerWidth") == width
        assert (wider <= 0, images) == (True, 0), width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_scheme_of_the_reader_is_used(
    browser: Browser,  # noqa: F811
    server: Server,
    scheme: str,
) -> None:
    open_page(browser, server, "index", scheme=scheme)
    colour = browser.run("document.body.getAttribute('data-md-color-scheme')")
    assert colour == {"light": "default", "dark": "slate"}[scheme]


def test_code_can_be_copied(browser: Browser, server: Server) -> None:  # noqa: F811
    open_page(browser, server, "first-audit")
    blocks, buttons = browser.run(
        "[document.querySelectorAll('.highlight pre').length,"
        " document.querySelectorAll('.highlight [data-clipboard-target]').length]"
    )
    assert blocks == buttons > 1


def test_the_search_finds_a_page(browser: Browser, server: Server) -> None:  # noqa: F811
    open_page(browser, server, "index")
    found = browser.run(
        """(async () => {
          const field = document.querySelector('[data-md-component="search-query"]');
          document.querySelector('#__search').checked = true;
          field.focus();
          field.value = 'canaries';
          field.dispatchEvent(new Event('keyup', {bubbles: true}));
          field.dispatchEvent(new Event('input', {bubbles: true}));
          for (let turn = 0; turn < 100; turn++) {
            const links = [...document.querySelectorAll('.md-search-result__link')];
            if (links.length) return links.map(link => link.getAttribute('href'));
            await new Promise(done => setTimeout(done, 100));
          }
          return [];
        })()"""
    )
    assert any("howto/canaries.html" in link for link in found)


@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_serious(
    browser: Browser,  # noqa: F811
    server: Server,
    axe: str,  # noqa: F811
    name: str,
) -> None:
    open_page(browser, server, name, 390)
    browser.run(f"{axe}; true")
    assert serious(browser) == []
    browser.set_scheme("dark")  # changes colours alone
    assert browser.run("document.body.getAttribute('data-md-color-scheme')") == "slate"
    assert serious(browser, "{runOnly: ['color-contrast']}") == []


def serious(browser: Browser, options: str = "{}") -> list[tuple[str, str, list[str]]]:  # noqa: F811
    """Returns the rules that axe finds broken with an impact that is serious or critical."""
    return [one for one in violations(browser, options) if one[1] in ("serious", "critical")]
