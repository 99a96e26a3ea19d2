"""The PDF: contents, pages, fonts, and tables that stay in their cells whatever the names."""

import io
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import NamedTuple

import pytest
from matplotlib.figure import Figure
from pypdf import PdfReader

from mgaudit.reports.document import document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.formats.pdf import render_pdf
from mgaudit.reports.formats.unbroken import LONGEST_WORD, lines, parts, words
from mgaudit.reports.table import Cell
from tests.fake_study import arm, arrays, pdf_text, result, study
from tests.reports.test_same_numbers import undrawn

LONG = "my_package.schemes:VeryLongSchemeNameThatGoesOn (kappa={}.123456789, fixed=true)"
needs_poppler = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="pdftotext (poppler) is not installed"
)


class Word(NamedTuple):
    page: int
    left: float
    top: float
    right: float
    bottom: float
    text: str


@pytest.fixture(scope="module")
def pdf() -> bytes:
    arms = [arm("none", "no noise", 0.75, None)]
    arms += [
        arm(f"gaussian-mask:kappa={index + 1}", LONG.format(index), 0.7, -0.05)
        for index in range(24)
    ]
    without_loss = (
        [outcome for outcome in arm_result.attacks if outcome.attack == "lira"]
        for arm_result in arms
    )
    arms = [
        arm_result.model_copy(update={"attacks": kept})
        for arm_result, kept in zip(arms, without_loss, strict=True)
    ]
    content = document(result(study(arms=arms), title="A title", note="A note."), [arrays(arms)])
    with pytest.MonkeyPatch.context() as patch:
        if (
            shutil.which("pdftotext") is None
        ):  # then pypdf reads the pages, and figures take it long
            patch.setattr(Drawing, "figure", property(lambda _: Figure(figsize=(1, 1))))
        return render_pdf(content)


@pytest.fixture(scope="module")
def reader(pdf: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(pdf))


@pytest.fixture(scope="module")
def laid_out(
    pdf: bytes, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[tuple[float, float]], list[Word]]:
    """The sizes of the pages, and every word with its box, in points from the upper left corner."""
    path = tmp_path_factory.mktemp("pdf") / "report.pdf"
    path.write_bytes(pdf)
    done = subprocess.run(
        ["pdftotext", "-bbox", str(path), "-"], capture_output=True, text=True, check=True
    )
    # The text may hold signs that XML does not allow.
    root = ET.fromstring(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", done.stdout))
    pages = [page for page in root.iter() if page.tag.endswith("page")]
    sizes = [(float(page.attrib["width"]), float(page.attrib["height"])) for page in pages]
    words = [
        Word(
            index,
            *(float(word.attrib[side]) for side in ("xMin", "yMin", "xMax", "yMax")),
            word.text or "",
        )
        for index, page in enumerate(pages)
        for word in page
    ]
    return sizes, words


@pytest.fixture(scope="module")
def pages(pdf: bytes, reader: PdfReader) -> list[str]:
    """The text of each page, by poppler where it is there: it takes a tenth of pypdf's time."""
    if shutil.which("pdftotext"):
        done = subprocess.run(
            ["pdftotext", "-raw", "-", "-"], input=pdf, capture_output=True, check=True
        )
        texts = done.stdout.decode().split("\f")[:-1]
    else:
        texts = [page.extract_text() for page in reader.pages]
    return [" ".join(page.split()) for page in texts]


@needs_poppler
def test_no_word_leaves_the_page(laid_out: tuple[list[tuple[float, float]], list[Word]]) -> None:
    sizes, words = laid_out
    margin = 50  # points; the margin is 2 cm
    assert len(words) > 2000
    for word in words:
        width, height = sizes[word.page]
        assert word.left > margin, word
        assert word.right < width - margin, word
        assert 0 < word.top < word.bottom < height, word


@needs_poppler
def test_no_two_words_lie_on_one_another(
    laid_out: tuple[list[tuple[float, float]], list[Word]],
) -> None:
    sizes, words = laid_out
    for page in range(len(sizes)):
        ours = sorted((word for word in words if word.page == page), key=lambda word: word.left)
        for index, first in enumerate(ours):
            for other in ours[index + 1 :]:
                if other.left > first.right - 0.5:
                    break
                # Boxes are as high as the line; the letters themselves are lower.
                overlap = min(first.bottom, other.bottom) - max(first.top, other.top)
                assert overlap < 0.4 * min(first.bottom - first.top, other.bottom - other.top), (
                    first,
                    other,
                )


@needs_poppler
def test_numbers_stay_with_their_errors(
    laid_out: tuple[list[tuple[float, float]], list[Word]],
) -> None:
    _, words = laid_out
    signs = [index for index, word in enumerate(words) if word.text == "±"]
    assert len(signs) > 300
    for index in signs:
        value, sign, error = words[index - 1 : index + 2]
        assert re.fullmatch(r"[(\[]?[+−]?[\d.]+[*†!]?", value.text), value
        assert re.match(r"[\d.]+", error.text), error
        assert value.right <= sign.left < sign.right <= error.left
        assert max(abs(other.bottom - sign.bottom) for other in (value, error)) < 3


@needs_poppler
def test_wide_tables_lie_on_turned_pages_and_their_headings_with_them(
    laid_out: tuple[list[tuple[float, float]], list[Word]],
) -> None:
    sizes, words = laid_out
    turned = {page for page, (width, height) in enumerate(sizes) if width > height}
    assert turned
    assert len(turned) < len(sizes)
    first = " ".join(word.text for word in words if word.page == min(turned))
    assert first.startswith("3 Accuracy against privacy Table 2: Accuracy against privacy Arm")


def test_the_head_of_a_table_is_on_each_of_its_pages(pages: list[str]) -> None:
    with_head = [
        page
        for page in pages
        if page.count(" lira ") > 1 and "± 0.012" in page and "ε claimed" in page
    ]
    assert len(with_head) >= 2
    assert all("Train acc., %" in page for page in with_head)


def test_the_contents_say_on_which_page_a_section_is(pages: list[str]) -> None:
    first = next(index for index, page in enumerate(pages) if "Contents" in page)
    listed = "".join(pages[first : first + 2]).partition("Contents")[2]
    contents = dict(re.findall(r"\d+ ([A-Z][^.]*?) [. ]*\W?(\d+)(?= |$)", listed))
    assert len(contents) >= 12
    for title, page in contents.items():
        assert re.search(rf"\d+ {re.escape(title)} ", pages[int(page) - 1]), title


def test_tables_and_figures_are_numbered(pages: list[str]) -> None:
    text = " ".join(pages)
    for kind, least in (("Table", 12), ("Figure", 6)):
        numbers = [int(number) for number in re.findall(rf"{kind} (\d+):", text)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= least


def test_pages_have_numbers_and_fonts_and_the_file_a_title(
    reader: PdfReader, pages: list[str]
) -> None:
    assert reader.metadata is not None
    assert reader.metadata.title == "A title"
    for index, page in enumerate(reader.pages):
        assert f"{index + 1} / {len(reader.pages)}" in pages[index]
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            descendant = (
                font.get_object()["/DescendantFonts"][0]
                .get_object()["/FontDescriptor"]
                .get_object()
            )
            assert any(name.startswith("/FontFile") for name in descendant)


def test_a_long_name_is_copied_as_it_is(pages: list[str]) -> None:
    text = "".join(pages)
    assert "\u200b" not in text
    assert "\u00ad" not in text
    assert "".join(LONG.format(7).split()) in "".join(text.split())


def test_the_title_block_says_when_and_of_what(pages: list[str]) -> None:
    assert pages[0].startswith(
        "A title 2026-01-01 · 1 study · 25 arms · mgaudit of unknown version A note."
    )


@pytest.mark.parametrize("name", [LONG.format(1), "a" * 90, "中" * 40, "a/b-c" * 30, ""])
def test_long_words_come_in_parts_that_a_column_holds(name: str) -> None:
    for word in words(name):
        assert "".join(parts(word)) == word
        assert max(map(len, parts(word))) <= LONGEST_WORD
    assert "".join("".join(lines(Cell(name)).pieces).split()) == "".join(name.split())


def test_what_no_font_has_and_what_cannot_be_seen_is_shown_by_its_number() -> None:
    arms = [arm("none", "中文 \u202eabc\u0007 ε κ ² ⊙ ± Ünï", 0.75, None)]
    whole = document(result(study(arms=arms), title="中 \u202eabc"), [arrays(arms)])
    drawn = replace(
        whole,
        chapters=[
            replace(chapter, sections=undrawn(chapter.sections)) for chapter in whole.chapters
        ],
    )
    text = pdf_text(render_pdf(drawn))
    assert text.startswith("[U+4E2D] [U+202E]abc")
    assert "[U+4E2D][U+6587] [U+202E]abc[U+0007] ε κ ² ⊙ ± Ünï" in text


def test_the_pdf_needs_no_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed while it renders must leave nothing behind."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    rendered = render_pdf(document(result(study()), [arrays()]))
    assert rendered.startswith(b"%PDF")
