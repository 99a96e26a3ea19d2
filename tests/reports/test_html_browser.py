"""The HTML report in headless Chromium, controlled over a pipe by the DevTools protocol."""

import base64
import fcntl
import io
import itertools
import json
import os
import re
import select
import shutil
import signal
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from mgaudit.reports.formats.html import render_html
from mgaudit.reports.section import Section
from mgaudit.reports.table import Cell, Table
from tests.reports.test_html import (
    crowded_document,
    grid_document,
    made_up,
    small_document,
    trained,
)

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
NAMES = ("small", "grid", "crowded")
WIDTHS = (360, 390, 768, 1440)
PHONE = 390
SCREEN = 900  # pixels of height
A4 = 687  # pixels between the margins of the page
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0  # seconds

# Contrast by WCAG 2.2 of every piece of text that is to be seen, with the first background behind
# it that is not clear.
CONTRASTS = """(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    throw new Error("nothing behind the text");
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest(".hidden, script, svg")) continue;
    if (!element.checkVisibility()) continue;
    const text = light(parts(getComputedStyle(element).color));
    const [high, low] = [text, light(behind(element))].sort((a, b) => b - a);
    found.push({text: node.data.trim().slice(0, 40), contrast: (high + 0.05) / (low + 0.05)});
  }
  return found;
})()"""


class Browser:
    """A Chromium with one page, and what it reported since the page was opened."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        # Chromium reads its pipe 3 and writes 4; the ends must not be these already, or one would
        # close the other.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out)]
        quiet = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, quiet, descriptor) for descriptor in (0, 1, 2)]
        actions += [
            (os.POSIX_SPAWN_DUP2, end, descriptor)
            for end, descriptor in zip(high, (3, 4), strict=True)
        ]
        self.process = os.posix_spawn(
            program,
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            dict(os.environ),
            file_actions=actions,
            setpgroup=0,
        )
        for end in (theirs_in, theirs_out, quiet, *high):
            os.close(end)
        self.read, self.write = ours_in, ours_out
        self.numbers = itertools.count(1)
        self.unread = b""
        self.events: list[dict[str, Any]] = []
        self.session: str | None = None
        target = next(
            info for info in self.send("Target.getTargets")["targetInfos"] if info["type"] == "page"
        )
        self.session = self.send(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        """Ends the browser with all its processes."""
        os.close(self.write)
        os.close(self.read)
        os.killpg(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Returns what the browser answers."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self.write, content) :]
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait(self, method: str) -> None:
        """Returns as soon as the page has reported that event."""
        while all(event.get("method") != method for event in self.events):
            self.events.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.unread:
            ready, _, _ = select.select([self.read], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"the browser has said nothing for {PATIENCE:g} seconds"
            piece = os.read(self.read, 1 << 20)
            assert piece, "the browser has ended"
            self.unread += piece
        message, _, self.unread = self.unread.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def open(
        self,
        path: Path,
        width: int = 1440,
        scheme: str = "light",
        media: str = "",
        script: bool = True,
    ) -> None:
        """Opens the file in a window of that width for a reader who prefers that colour scheme."""
        self._set_width(width)
        self._set_media(scheme, media)
        self.send("Emulation.setScriptExecutionDisabled", value=not script)
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri())
        self.wait("Page.loadEventFired")
        if script:
            self.settle()

    def resize(self, width: int) -> None:
        """Gives the window of the page another width."""
        self._set_width(width)
        self.settle()

    def set_scheme(self, scheme: str) -> None:
        """Makes the reader of the page prefer another colour scheme."""
        self._set_media(scheme, "")
        self.settle()

    def _set_width(self, width: int) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=SCREEN,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    def _set_media(self, scheme: str, media: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", media=media, features=features)

    def settle(self) -> None:
        """Waits for two frames: the first lays the page out, the second has seen its observers."""
        self.run(
            "new Promise(done => "
            "requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
        )

    def run(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression, or what it promises."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Presses a key and lets it go."""
        keys = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **keys)
        self.send("Input.dispatchKeyEvent", type="keyUp", **keys)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if program is None:
        pytest.skip("there is no Chromium on the PATH: install Debian's package chromium")
    with tempfile.TemporaryDirectory(prefix="mgaudit-", ignore_cleanup_errors=True) as profile:
        browser = Browser(program, Path(profile))
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports as files: a small study, two studies, thirty long-named arms, a sortable table."""
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
        made = {
            "small": small_document(*trained()),
            "grid": grid_document(*trained()),
            "crowded": crowded_document(),
            "sorting": made_up([Section("sorting", "Sorting", [to_sort()])]),
            "formulas": made_up([Section("formulas", "Formulas", [with_formulas()])]),
        }
    for name, content in made.items():
        (folder / f"{name}.html").write_text(render_html(content), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture(scope="module")
def axe() -> str:
    folder = Path(os.environ.get("MGAUDIT_AXE") or ROOT / "node_modules" / "axe-core")
    path = folder / "axe.min.js"
    if not path.is_file():
        pytest.skip(
            f"there is no axe-core in {folder}: `make browser` installs it, MGAUDIT_AXE "
            "names another folder"
        )
    return path.read_text(encoding="utf-8")


def with_formulas() -> Table:
    rows = [
        [Cell('=HYPERLINK("http://evil")'), Cell("−1.00", value=-1.0)],
        [Cell("@SUM(A1)"), Cell("+2.00", value=2.0)],
        [Cell("a-b"), Cell("none")],
    ]
    return Table("formulas", "Formulas", ["+Name", "Number"], rows)


def to_sort() -> Table:
    rows = [
        ("b", -9.5),
        ("a", 10.0),
        ("e", None),
        ("c", -10.25),
        ("d", 2.0),
        ("f", -9.5),
        ("item 10", 0.0),
    ]
    return Table(
        "sorting",
        "To be sorted",
        ["Arm", "Gain"],
        [
            [
                Cell(name),
                Cell(
                    "none" if gain is None else f"{gain:+.2f}".replace("-", "−"),
                    "± 0.10",
                    value=gain,
                ),
            ]
            for name, gain in [*rows, ("item 9", 1.0)]
        ],
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_without_error_and_asks_the_network_for_nothing(
    browser: Browser, pages: dict[str, Path], name: str, scheme: str
) -> None:
    browser.open(pages[name], scheme=scheme)
    kinds = [event["method"] for event in browser.events]
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert not {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"} & set(
        kinds
    )
    assert [url for url in asked if not url.startswith("data:")] == [pages[name].as_uri()]


@pytest.mark.parametrize("name", NAMES)
def test_no_page_is_wider_than_its_window_and_what_is_wider_can_be_scrolled_by_keyboard(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.open(pages[name])
    for width in reversed(WIDTHS):
        browser.resize(width)
        assert browser.run("document.scrollingElement.scrollWidth") <= width
        assert browser.run("window.innerWidth") == width
        regions = browser.run(
            """[...document.querySelectorAll(".scroll")].map(region => ({
                wide: region.scrollWidth > region.clientWidth,
                focus: region.tabIndex === 0 && region.getAttribute("role") === "region"
                    && !!region.getAttribute("aria-label"),
                plain: !region.hasAttribute("tabindex") && !region.hasAttribute("role")
                    && !region.hasAttribute("aria-label"),
            }))"""
        )
        assert regions
        assert all(region["focus"] if region["wide"] else region["plain"] for region in regions)
        if name == "small" and width == max(WIDTHS):
            assert not any(region["wide"] for region in regions)
        if width == min(WIDTHS):
            assert any(region["wide"] for region in regions)


def test_the_first_screen_holds_question_answer_threat_model_limits_and_figure(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["small"])
    bottoms = browser.run(
        """[".question", ".answer tbody tr:last-child", ".answer p", ".answer svg"].map(one =>
            Math.max(...[...document.querySelectorAll(one)].map(
                element => element.getBoundingClientRect().bottom)))"""
    )
    assert max(bottoms) <= SCREEN
    text = browser.run("document.querySelector('.answer').innerText")
    assert "Threat model:" in text
    assert "Limits:" in text


@pytest.mark.parametrize("width", [360, PHONE])
def test_a_phone_shows_arm_accuracy_auc_and_verdict_at_once(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["small"], width)
    headings = browser.run(
        """[...document.querySelectorAll(".answer thead th")].map(one =>
            [one.textContent.trim(), one.getBoundingClientRect().right])"""
    )
    assert [text.replace("\xa0", " ") for text, _ in headings] == [
        "Arm",
        "Test acc., %",
        "AUC",
        "Verdict",
    ]
    assert max(right for _, right in headings) <= width
    assert not browser.run("document.querySelector('.answer .table .scroll').matches('.wide')")


def test_what_can_be_scrolled_says_so(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["small"], PHONE)
    hints = browser.run(
        """[...document.querySelectorAll(".scroll")].map(one => [
            one.scrollWidth > one.clientWidth,
            getComputedStyle(one, "::before").content.includes("scroll sideways")])"""
    )
    assert any(wide for wide, _ in hints)
    assert all(wide == said for wide, said in hints)


def test_a_figure_shows_the_values_where_one_points(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["small"])
    shown = browser.run(
        """(() => {
            const tip = document.querySelector(".answer svg .tip");
            tip.scrollIntoView({ block: "center" });
            const box = tip.getBoundingClientRect();
            const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
            tip.dispatchEvent(new PointerEvent("pointermove",
                { clientX: x, clientY: y, bubbles: true }));
            const words = document.querySelector(".tip-box");
            return [words.hidden, words.textContent, document.querySelectorAll(".tip").length];
        })()"""
    )
    hidden, text, tips = shown
    assert not hidden
    assert re.search(r"test accuracy [\d.]+ .* %, AUC 0\.\d+ .* of ", text)
    assert tips > 20
    browser.run(
        "document.querySelector('.answer svg').dispatchEvent(new PointerEvent('pointerleave'))"
    )
    assert browser.run("document.querySelector('.tip-box').hidden")


def test_figures_are_light_on_a_dark_page(browser: Browser, pages: dict[str, Path]) -> None:
    for scheme, inverted in (("light", False), ("dark", True)):
        browser.open(pages["small"], scheme=scheme)
        filters = browser.run(
            "[...document.querySelectorAll('figure svg')].map(one => getComputedStyle(one).filter)"
        )
        assert all(("invert" in one) == inverted for one in filters)


def test_a_long_table_is_folded_until_all_rows_are_asked_for(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["crowded"])
    visible = (
        "[...document.querySelector('table.folded, table.unfolded').tBodies[0].rows]"
        ".filter(row => row.checkVisibility()).length"
    )
    browser.run(
        "document.querySelector('.folded').classList.add('unfolded'), "
        "document.querySelector('.more').setAttribute('id', 'first-more')"
    )
    assert browser.run(visible) == 20
    rows = browser.run("document.querySelector('.folded').tBodies[0].rows.length")
    assert rows > 30
    assert browser.run("document.querySelector('#first-more').textContent") == (
        f"Show all {rows} rows"
    )
    browser.run("document.querySelector('#first-more').click()")
    assert browser.run(visible) == rows
    assert browser.run("document.querySelector('#first-more').ariaExpanded") == "true"


@pytest.mark.parametrize("name", NAMES)
def test_on_paper_nothing_is_cut_off(browser: Browser, pages: dict[str, Path], name: str) -> None:
    browser.open(pages[name], A4, scheme="dark", media="print")
    sticking_out = f"""[...document.querySelectorAll("main *")].filter(
        element => element.getBoundingClientRect().right > {A4} + 1
    ).map(element => element.outerHTML.slice(0, 80))"""
    assert browser.run(sticking_out) == []
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_printed_page_holds_every_section_and_no_controls(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["grid"])
    headings = browser.run(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map(one => one.textContent)"
    )
    printed = browser.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
    reader = PdfReader(io.BytesIO(base64.b64decode(printed)))
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842]
    text = "".join(page.extract_text() for page in reader.pages)
    letters = "".join(unicodedata.normalize("NFKC", text).split())
    assert len(headings) > 10
    for heading in headings:
        assert "".join(unicodedata.normalize("NFKC", heading).split()) in letters
    for sign in ("CSV", "Contents", "\N{UP DOWN ARROW}"):
        assert sign not in letters
    # The longest table goes over pages, and each of them repeats its headings.
    assert letters.count("Differencetononoise") > letters.count("Allmetrics")


def column(browser: Browser, number: int) -> list[str]:
    cells = browser.run(
        f"[...document.querySelectorAll('tbody tr')].map(row => row.cells[{number}].textContent)"
    )
    return [text.split("±")[0].strip() for text in cells]


def order(browser: Browser) -> list[str | None]:
    values: list[str | None] = browser.run(
        "[...document.querySelectorAll('thead th')].map(one => one.getAttribute('aria-sort'))"
    )
    return values


def click(browser: Browser, number: int) -> None:
    browser.run(f"document.querySelectorAll('thead th button')[{number}].click()")


def test_numbers_sort_as_numbers_and_the_third_click_gives_the_first_order_back(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["sorting"])
    before = column(browser, 0)
    assert order(browser) == [None, None]
    click(browser, 1)
    assert order(browser) == [None, "ascending"]
    assert column(browser, 1) == [
        "−10.25",
        "−9.50",
        "−9.50",
        "+0.00",
        "+1.00",
        "+2.00",
        "+10.00",
        "none",
    ]
    assert column(browser, 0) == ["c", "b", "f", "item 10", "item 9", "d", "a", "e"]
    click(browser, 1)
    assert order(browser) == [None, "descending"]
    assert column(browser, 1) == [
        "+10.00",
        "+2.00",
        "+1.00",
        "+0.00",
        "−9.50",
        "−9.50",
        "−10.25",
        "none",
    ]
    assert column(browser, 0)[4:6] == ["b", "f"]
    click(browser, 1)
    assert order(browser) == [None, None]
    assert column(browser, 0) == before


def test_words_sort_as_words_from_the_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["sorting"])
    browser.run("document.querySelector('thead th button').focus()")
    browser.press("Enter", 13, "\r")
    assert order(browser) == ["ascending", None]
    assert column(browser, 0) == ["a", "b", "c", "d", "e", "f", "item 9", "item 10"]
    browser.press(" ", 32, " ")
    assert order(browser) == ["descending", None]
    assert browser.run("document.activeElement.textContent") == "Arm"


def test_the_contents_stand_beside_a_wide_page_and_open_on_a_narrow_one(
    browser: Browser, pages: dict[str, Path]
) -> None:
    visible = "document.querySelector('nav a').checkVisibility()"
    browser.open(pages["small"], 1440)
    assert browser.run(visible)
    browser.run("window.scrollTo(0, 3000)")
    box = browser.run("document.querySelector('nav').getBoundingClientRect().toJSON()")
    assert box["top"] >= -10
    assert box["right"] <= browser.run(
        "document.querySelector('main').getBoundingClientRect().left"
    )
    browser.open(pages["small"], 360)
    assert not browser.run(visible)
    browser.run("document.querySelector('nav summary').click()")
    browser.settle()
    assert browser.run(visible)


def test_the_first_tab_leads_past_the_contents(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["small"])
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0
    browser.press("Enter", 13, "\r")
    assert browser.run("document.activeElement.id") == "report"


def test_the_page_reads_without_script(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["small"], script=False)
    assert browser.run("document.querySelectorAll('button').length") == 0
    assert browser.run("document.querySelectorAll('tbody tr').length") > 10
    assert browser.run("document.scrollingElement.scrollWidth") <= 1440


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["small", "grid"])
def test_all_text_stands_out_from_its_background(
    browser: Browser, pages: dict[str, Path], name: str, scheme: str
) -> None:
    browser.open(pages[name], scheme=scheme)
    contrasts = browser.run(CONTRASTS)
    assert len(contrasts) > 300
    assert [text for text in contrasts if text["contrast"] < 4.5] == []
    dark = browser.run("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


@pytest.mark.parametrize(
    ("name", "width"), [*(("small", width) for width in WIDTHS), ("grid", 1440)]
)
def test_axe_finds_nothing(
    browser: Browser, pages: dict[str, Path], axe: str, name: str, width: int
) -> None:
    browser.open(pages[name], width)
    browser.run(f"{axe}; true")
    assert violations(browser) == []
    browser.set_scheme("dark")  # changes colours alone
    assert browser.run("matchMedia('(prefers-color-scheme: dark)').matches")
    assert violations(browser, "{runOnly: ['color-contrast']}") == []


def violations(browser: Browser, options: str = "{}") -> list[tuple[str, str, list[str]]]:
    """Returns the rules that axe finds broken: name, impact, and the first elements."""
    broken_rules = browser.run(
        f"axe.run(document, {{resultTypes: ['violations'], ...{options}}})"
        ".then(one => one.violations)"
    )
    return [
        (one["id"], one["impact"], [node["html"][:120] for node in one["nodes"]][:5])
        for one in broken_rules
    ]


COPY = """
(() => {
  const selected = document.querySelector("SELECTOR");
  getSelection().selectAllChildren(selected);
  const clipboardData = new DataTransfer();
  const copying = new ClipboardEvent("copy", { clipboardData, bubbles: true, cancelable: true });
  document.dispatchEvent(copying);
  const kinds = ["text/plain", "text/html"];
  return JSON.stringify(kinds.map((kind) => clipboardData.getData(kind)));
})()
"""


def copied(browser: Browser, selector: str) -> list[str]:
    """Returns the text and the HTML that the page puts into the clipboard; "" for the browser's."""
    texts: list[str] = json.loads(browser.run(COPY.replace("SELECTOR", selector)))
    return texts


def test_a_copied_table_has_no_formula(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["formulas"])
    text, html = copied(browser, "table")
    assert text.splitlines()[-4:] == [
        "'+Name\tNumber",
        '\'=HYPERLINK("http://evil")\t−1.00',
        "'@SUM(A1)\t+2.00",
        "a-b\tnone",
    ]
    assert re.sub("<[^>]*>", "", html).count("'=HYPERLINK") == 1
    assert copied(browser, "tbody th")[0].startswith("'=HYPERLINK")
    assert copied(browser, "tbody tr:last-child") == ["", ""]  # as the browser copies it
