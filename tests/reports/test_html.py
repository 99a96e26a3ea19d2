"""The HTML report as markup: its structure, its escaped text, and its downloads."""

import base64
import csv
import gzip
import hashlib
import io
import re
from collections.abc import Sequence
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from matplotlib.figure import Figure

from mgaudit.analysis.samples import analyse_study
from mgaudit.analysis.smallest_leaks import with_smallest_leaks
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.document import Chapter, Document, document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.formats.html import LARGE_CSV, breakable, download, render_html, unbroken
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import Result, StudyResult
from mgaudit.reports.section import Facts, Listing, Section, Words
from mgaudit.reports.table import Cell, Table, number
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from tests import fake_study

SETTINGS: dict[str, Any] = {
    "target": "mlp:hidden=16",
    "models": 4,
    "examples": 200,
    "stack": 1,
    "schemes": ["none", "gaussian-mask:kappa=0.3", "dp-sgd:noise_multiplier=1"],
    "training": {"epochs": 3, "batch_size": 32},
}
NASTY = (
    '<script>alert(1)</script> "quoted" \'single\' onload="alert(2)" &amp; --> ]]> {{ 7*7 }} $x$'
)
LONG = "my_package.schemes:VeryLongSchemeNameThatGoesOn (kappa=0.123456789, fixed=true)"
UNBREAKABLE = "AWordWithoutAnyPlaceToBreakItAt" * 6
URL = re.compile(r"url\(#([^)]+)\)")
VOID = {"meta", "link", "wbr", "br", "hr", "img"}


class Page(HTMLParser):
    """The elements of a page in order, with attributes and text; tags must be closed correctly."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[int] = []
        self.parents: list[int | None] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append("")
        self.parents.append(self.open[-1] if self.open else None)
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.texts[index] += data

    def all(self, *tags: str, within: str | None = None) -> list[tuple[dict[str, str], str]]:
        """Returns attributes and text of every element of these tags."""
        return [
            (attributes, " ".join(text.split()))
            for index, ((tag, attributes), text) in enumerate(
                zip(self.elements, self.texts, strict=True)
            )
            if tag in tags and (within is None or within in self._ancestors(index))
        ]

    def _ancestors(self, index: int) -> list[str]:
        parent = self.parents[index]
        return [] if parent is None else [self.elements[parent][0], *self._ancestors(parent)]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@cache
def trained() -> tuple[StudyResult, Arrays]:
    return run_study(plan_study(study_settings(SETTINGS)), 1, Progress())


def result(*studies: StudyResult, title: str = "", note: str = "") -> Result:
    return Result(
        title=title, note=note, command="mgaudit run", settings=SETTINGS, studies=list(studies)
    )


def small_document(study: StudyResult, arrays: Arrays) -> Document:
    """Returns the report with all that a reader can ask for: the PPV at a prior, smallest leaks."""
    whole = with_smallest_leaks(result(study), [arrays])
    return document(whole, [arrays], prior=None if study.arms[0].risk is None else 0.03)


def grid_document(study: StudyResult, arrays: Arrays) -> Document:
    other = study.model_copy(update={"settings": {**study.settings, "seed": 1}})
    grid = document(
        result(study, other, title="Two studies", note="With a note."), [arrays, arrays]
    )
    first, second = (
        [block for section in chapter.sections for block in section.blocks]
        for chapter in grid.chapters
    )
    for block, same in zip(first, second, strict=True):
        if isinstance(block, Drawing):
            vars(same)["figure"] = block.figure  # of the same numbers: drawn once
    return grid


def crowded_document(arms: int = 30) -> Document:
    """Many arms with long names, classes with names that cannot be broken or that are markup."""
    study, study_arrays = trained()
    arrays = {name: values for name, values in study_arrays.items() if not name.startswith("arm")}
    crowd = []
    for index in range(arms):
        source = 0 if index == 0 else 1 + index % 2
        arm = study.arms[source]
        names = [
            UNBREAKABLE,
            "<script>alert(1)</script>",
            *(exposure.label for exposure in arm.by_class[2:]),
        ]
        changes: dict[str, Any] = {
            "by_class": [
                exposure.model_copy(update={"label": name})
                for exposure, name in zip(arm.by_class, names, strict=True)
            ],
            "most_exposed": [
                exposed.model_copy(update={"label": UNBREAKABLE}) for exposed in arm.most_exposed
            ],
        }
        if arm.strength is not None:
            changes |= {
                "key": f"{arm.key},number={index}",
                "label": f"{LONG[:-1]}, number={index})",
                "note": f"{UNBREAKABLE} {index}",
                "strength": arm.strength.model_copy(update={"value": index / arms}),
            }
        crowd.append(arm.model_copy(update=changes))
        arrays |= {
            f"arm{index}/{name.partition('/')[2]}": values
            for name, values in study_arrays.items()
            if name.startswith(f"arm{source}/")
        }
    analysis = analyse_study(crowd, arrays)
    crowded = study.model_copy(update={"arms": crowd, "analysis": analysis})
    return document(result(crowded, title=f"{LONG} {UNBREAKABLE}", note=UNBREAKABLE), [arrays])


def drawing(name: str, text: str = "") -> Drawing:
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.plot([0.0, 1.0], [1.0, 0.0], "o", label=text)
    axes.set_title(text, parse_math=False)
    return Drawing(
        name,
        lambda: figure,
        f"Caption {text}",
        f"Description {text}",
        [{"name": text, "value": 0.1 + 0.2}],
    )


def made_up(sections: Sequence[Section], text: str = "") -> Document:
    chapter = Chapter("study-1", "", f"Question {text}", [f"Verdict {text}"], sections)
    return Document(f"Title {text}", "", f"Note {text}", [], [chapter], [])


def nasty_document() -> Document:
    cell = Cell(f"cell {NASTY}", f"interval {NASTY}", f"mark {NASTY}", 1.0)
    blocks = [
        Table(
            "key",
            f"Caption {NASTY}",
            [f"Column {NASTY}", "B"],
            [[cell, cell]] * 2,
            [f"Remark {NASTY}"],
        ),
        Words([f"Words {NASTY}"]),
        Facts([(f"Name {NASTY}", f"Fact {NASTY}")]),
        Listing(f"Listing {NASTY}"),
        drawing("figure", NASTY),
    ]
    return made_up([Section("anchor", f"Section {NASTY}", blocks)], NASTY)


def plainly_drawn(content: Document) -> Document:
    """The document with simple figures, since those of a report take long."""
    for _, drawn in content.drawings:
        vars(drawn)["figure"] = drawing(drawn.name, drawn.name).figure
    return content


DOCUMENTS = {
    "small": lambda: plainly_drawn(small_document(fake_study.study(), fake_study.arrays())),
    "grid": lambda: grid_document(fake_study.study(), fake_study.arrays()),
    "nasty": nasty_document,
}


@cache
def rendered(name: str) -> tuple[Document, Page]:
    made = DOCUMENTS[name]()
    return made, Page(render_html(made))


@pytest.fixture(params=DOCUMENTS)
def content(request: pytest.FixtureRequest) -> Document:
    return rendered(request.param)[0]


@pytest.fixture
def page(request: pytest.FixtureRequest, content: Document) -> Page:
    return rendered(request.node.callspec.params["content"])[1]


def test_ids_are_unique_and_every_reference_has_its_target(page: Page) -> None:
    assert len(set(page.ids)) == len(page.ids)
    links = {
        attributes["href"][1:]
        for attributes, _ in page.all("a")
        if attributes["href"].startswith("#")
    }
    uses = {attributes["xlink:href"][1:] for attributes, _ in page.all("use")}
    clips = {
        reference
        for _, attributes in page.elements
        for value in attributes.values()
        for reference in URL.findall(value)
    }
    assert links
    assert uses
    assert clips
    assert links | uses | clips <= set(page.ids)


def test_the_contents_name_every_section_in_its_order(content: Document, page: Page) -> None:
    entries = [(attributes["href"], text) for attributes, text in page.all("a", within="nav")]
    expected = [(f"#{section.anchor}", section.title) for section in content.overview]
    for chapter in content.chapters:
        if chapter.title:
            expected.append((f"#{chapter.anchor}", chapter.title))
        if chapter.answer is not None:
            expected.append((f"#{chapter.answer.anchor}", chapter.answer.title))
        expected.append((f"#{chapter.anchor}-verdict", "Verdict"))
        expected += [(f"#{section.anchor}", section.title) for section in chapter.sections]
    expected += [(f"#{section.anchor}", section.title) for section in content.closing]
    assert entries == [(anchor, " ".join(title.split())) for anchor, title in expected]
    untitled = [f"#{chapter.anchor}" for chapter in content.chapters if not chapter.title]
    sections = [f"#{attributes['id']}" for attributes, _ in page.all("section")]
    assert [anchor for anchor in sections if anchor not in untitled] == [
        anchor for anchor, _ in expected
    ]


def test_headings_begin_at_one_and_skip_no_level(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_page_has_landmarks_a_language_and_a_way_past_the_contents(page: Page) -> None:
    assert page.all("html")[0][0] == {"lang": "en"}
    for tag in ("header", "nav", "main"):
        assert len(page.all(tag)) == 1
    assert page.all("nav")[0][0]["aria-label"] == "Contents"
    assert page.all("a")[0][0] == {"class": "skip", "href": f"#{page.all('main')[0][0]['id']}"}


def test_figures_have_alternative_text(content: Document, page: Page) -> None:
    images = [
        attributes["aria-label"]
        for attributes, _ in page.all("div")
        if attributes.get("role") == "img"
    ]
    assert images == [f"{drawing.caption} {drawing.description}" for _, drawing in content.drawings]
    assert len(page.all("svg")) == len(images) > 0


def test_text_of_the_data_is_text_wherever_it_stands() -> None:
    page = Page(render_html(nasty_document()))
    visible_text = " ".join(page.texts[0].replace("\xa0", " ").split())
    for word in (
        *(
            "Title",
            "Note",
            "Question",
            "Verdict",
            "Section",
            "Caption",
            "Column",
            "cell",
            "interval",
            "mark",
        ),
        *("Remark", "Words", "Name", "Fact", "Listing"),
    ):
        assert f"{word} {NASTY}" in visible_text
    assert len(page.all("script")) == 1
    assert not [
        name for _, attributes in page.elements for name in attributes if name.startswith("on")
    ]
    assert all("alert" not in text for _, text in page.all("script", "style"))


def test_the_policy_lets_run_the_script_that_comes_with_the_page_and_load_nothing() -> None:
    html = render_html(nasty_document())
    (script,) = re.findall(r"(?s)<script>(.*?)</script>", html)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (
        attributes["content"]
        for attributes, _ in Page(html).all("meta")
        if "http-equiv" in attributes
    )
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    addresses = [
        value
        for _, attributes in Page(html).elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "data", "action")
    ]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)


def test_cells_carry_the_numbers_that_they_are_sorted_by(content: Document, page: Page) -> None:
    expected = [cell.value for _, table in content.tables for row in table.rows for cell in row]
    values = [
        attributes.get("data-value") for attributes, _ in page.all("th", "td", within="tbody")
    ]
    assert [None if value is None else float(value) for value in values] == expected
    assert any(value is not None for value in expected)


def test_cells_read_as_they_are_printed(content: Document, page: Page) -> None:
    expected = [str(cell) for _, table in content.tables for row in table.rows for cell in row]
    assert [text for _, text in page.all("th", "td", within="tbody")] == [
        " ".join(text.split()) for text in expected
    ]


def saved(page: Page) -> list[tuple[str, str]]:
    """Returns name and content of every file within the page."""
    saved_files = []
    for attributes, _ in page.all("a"):
        if "download" in attributes:
            kind, _, content = attributes["href"].partition(";base64,")
            data = base64.b64decode(content, validate=True)
            assert kind in ("data:text/csv;charset=utf-8", "data:application/gzip")
            saved_files.append(
                (
                    attributes["download"],
                    (gzip.decompress(data) if "gzip" in kind else data).decode(),
                )
            )
    return saved_files


def test_every_table_and_figure_can_be_saved_as_csv(content: Document, page: Page) -> None:
    blocks = [block for section in content.sections for block in section.blocks]
    saved_blocks = [
        block
        for block in blocks
        if (isinstance(block, Table) and block.rows) or isinstance(block, Drawing)
    ]
    files = saved(page)
    assert [text for _, text in files] == [block.csv() for block in saved_blocks]
    names = [name for name, _ in files]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9.-]+\.csv(\.gz)?", name) for name in names)


def test_a_large_file_is_compressed_and_the_same_each_time() -> None:
    text = "fpr,tpr\n" + "0.25,0.5\n" * LARGE_CSV
    link = download("roc", text)
    assert link == download("roc", text)
    assert link.name == "roc.csv.gz"
    assert gzip.decompress(base64.b64decode(link.address.partition(",")[2])).decode() == text
    assert download("roc", text[: LARGE_CSV - 1]).name == "roc.csv"


def test_csv_of_a_table_has_numbers_in_full_beside_their_intervals_and_marks() -> None:
    third = number(Estimate(value=-1 / 3, low=-0.5, high=-1 / 6), mark="†")
    table = Table(
        "key", "Caption", ["Arm", "Gain", "Of"], [[Cell('a, "b"'), third, Cell("3", value=3)]]
    )
    table.rows.append([Cell("c"), Cell("–"), Cell("none")])
    assert third.text == "−0.333"
    assert list(csv.reader(io.StringIO(table.csv()))) == [
        ["Arm", "Gain", "Gain: low", "Gain: high", "Gain: mark", "Of"],
        ['a, "b"', repr(-1 / 3), "-0.5", repr(-1 / 6), "†", "3"],
        ["c", "–", "", "", "", "none"],
    ]
    open_above = Cell("above 8", "(at least 3.1)", limits=(3.1, None))
    words = Table("key", "Caption", ["ε", "At"], [[open_above, Cell("not reached", "(97 %)")]])
    assert list(csv.reader(io.StringIO(words.csv()))) == [
        ["ε", "ε: low", "ε: high", "At", "At: remark"],
        ["above 8", "3.1", "", "not reached", "(97 %)"],
    ]


def test_a_table_without_rows_gives_its_reason_alone() -> None:
    table = Table("key", "Empty", ["A"], [], ["There is nothing to compare."])
    page = Page(render_html(made_up([Section("empty", "Empty", [table])])))
    assert not page.all("table")
    assert not saved(page)
    assert "There is nothing to compare." in page.texts[0]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("gaussian-mask", ["gaussian-mask"]),
        ("my_package.schemes:Scheme", ["my_", "package.", "schemes:", "Scheme"]),
        (
            "(noise_multiplier=0.125,rate=1e-05)",
            ["(noise_", "multiplier=", "0.125,", "rate=", "1e-05)"],
        ),
        ("<script>alert(1)</script>", ["&lt;script&gt;alert(1)", "&lt;/", "script&gt;"]),
    ],
)
def test_long_words_break_at_their_signs_and_never_inside_a_number(
    text: str, pieces: list[str]
) -> None:
    assert str(breakable(text)).split("<wbr>") == pieces


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "0.5 ± 0.1 against 59.0 % ([51.7, 66.0])",
            ["0.5 ± 0.1", "against", "59.0 %", "([51.7, 66.0])"],
        ),
        ("ε ≤ 8.00 at δ = 2.95e-03 is proved", ["ε ≤ 8.00", "at", "δ = 2.95e-03", "is", "proved"]),
        ("−0.014 [−33.1, −21.6] points", ["−0.014", "[−33.1, −21.6]", "points"]),
        ("TPR @ 0.1 % FPR, %", ["TPR", "@", "0.1 %", "FPR, %"]),
        ("class ± of 3, 4 and %", ["class", "±", "of", "3,", "4", "and", "%"]),
    ],
)
def test_no_line_ends_inside_a_number(text: str, lines: list[str]) -> None:
    assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in unbroken(text).split(" ")] == lines
