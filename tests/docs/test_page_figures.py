"""The pages show the recorded numbers, and what they say in words is true of these numbers."""

import csv
import doctest
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mgaudit
from mgaudit.reports.formats.numbers_csv import render_csv
from tests.docs import figures, page_tables, recorded, recorded_tables
from tests.docs import measured as guard
from tests.docs.figures import Table, Tied, differences, joined, written
from tests.docs.measured import CHECKED, NOTEBOOKS, measured, notebook_text, untied
from tests.docs.page_figures import tied
from tests.docs.pages import PAGES, commands
from tests.docs.recorded import facts
from tests.docs.recorded_tables import FixedTable, RecordedTable
from tests.docs.statements import STATEMENTS, Statement
from tests.docs.table_statements import TABLE_STATEMENTS
from tests.fake_study import result, study
from tests.test_benchmarks import benchmark

record_results = benchmark("record_results")

NUMBER = re.compile(r"\d+(?:\.\d+)?")
TIED = tied()


def name(part: Tied | Statement) -> str:
    return part.page.stem


def test_the_examples() -> None:
    for module in (recorded, recorded_tables, page_tables, guard):
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("part", TIED, ids=name)
def test_a_page_shows_the_recorded_numbers(part: Tied) -> None:
    assert differences(part, part.page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("part", TIED, ids=name)
def test_a_figure_that_differs_in_its_last_digit_is_found_and_corrected(part: Tied) -> None:
    page = part.page.read_text(encoding="utf-8")
    changed_pages = list(with_another_digit(part, page))
    assert changed_pages
    for changed in changed_pages:
        assert differences(part, changed)
        assert isinstance(part, figures.Quote) or joined(written(part, changed)) == joined(page)


def with_another_digit(part: Tied, page: str) -> Iterator[str]:
    """Yields the page with one number changed in its last digit, for each number of the part.

    Of printed tables, which have thousands of numbers, it is the last number of each row.
    """
    for place in part.places(page):
        numbers = list(NUMBER.finditer(page, place.start, place.end))
        for number in numbers[-1:] if isinstance(part, RecordedTable) else numbers:
            last = number.end() - 1
            yield page[:last] + str((int(page[last]) + 1) % 10) + page[last + 1 :]


def test_a_row_too_few_is_found() -> None:
    for part in TIED:
        if isinstance(part, Table | RecordedTable | FixedTable):
            page = part.page.read_text(encoding="utf-8")
            last = part.places(page)[-1]
            assert differences(part, page[: last.start] + page[last.end + 1 :])


@pytest.mark.parametrize("statement", [*STATEMENTS, *TABLE_STATEMENTS], ids=name)
def test_what_a_page_says_in_words_is_true(statement: Statement) -> None:
    assert statement.words in joined(statement.page.read_text(encoding="utf-8"))
    assert statement.is_true()


@pytest.mark.parametrize("page", CHECKED, ids=lambda page: page.stem)
def test_no_other_measured_figure_is_on_the_page(page: Path) -> None:
    assert measured(untied(page, without_tied(page))) == []


def test_no_measured_figure_is_in_the_text_of_a_notebook() -> None:
    for path in NOTEBOOKS:
        assert measured(untied(path, notebook_text(path))) == [], path.name


def test_a_further_measured_figure_is_found_on_every_page() -> None:
    for page in CHECKED:
        text = without_tied(page) + "\nIt took 7 min, and the AUC was 0.613.\n"
        assert measured(untied(page, text)) == ["7 min", "0.613"], page


def without_tied(page: Path) -> str:
    """Returns a page without its figures that are tied."""
    text = page.read_text(encoding="utf-8")
    places = [place for part in TIED if part.page == page for place in part.places(text)]
    for place in sorted(places, key=lambda place: place.start, reverse=True):
        text = text[: place.start] + "…" + text[place.end :]
    return text


@pytest.mark.parametrize("recording", record_results.RECORDINGS)
def test_a_page_has_the_command_of_a_recording(recording: str) -> None:
    command = f"mgaudit {record_results.RECORDINGS[recording]}"
    assert any(command in commands(page) for page in PAGES)
    assert facts(recording)["command"] == command


def test_all_numbers_of_a_dataset_are_from_the_same_code_processor_and_versions() -> None:
    """The page of results states them once for the digits, and once for CIFAR-10 images."""
    for of_images in (True, False):
        made = [
            facts(name)
            for name, command in record_results.RECORDINGS.items()
            if ("folder:PATH" in command) == of_images
        ]
        assert len(made) >= 3
        for key in ("processor", "code_sha256", "versions"):
            assert all(one[key] == made[0][key] for one in made), key


def test_a_recording_has_rows_of_the_report_with_six_digits() -> None:
    record = result(study())
    report = list(csv.DictReader(io.StringIO(render_csv(record))))
    kept = record_results.of_study(mgaudit.Result(record, [], Path()))
    written_rows = list(csv.DictReader(io.StringIO(record_results.table(kept))))
    assert 0 < len(written_rows) < len(report)
    for row in written_rows:
        (whole,) = (other for other in report if same_place(other, row))
        assert row["metric"] in record_results.KINDS[row["what"]]
        assert row["value"] == f"{float(whole['value']):.6g}"


def same_place(row: dict[str, str], other: dict[str, str]) -> bool:
    names = set(record_results.COLUMNS) - set(record_results.NUMBERS)
    return all(row[name] == other[name] for name in names)


def test_every_recorded_kind_is_on_a_page() -> None:
    assert set(kinds(TIED)) >= set(record_results.KINDS)


def kinds(parts: list[Tied]) -> Iterator[str]:
    """Yields the kinds of the numbers of recorded runs that pages show."""
    for part in parts:
        shown: list[object] = []
        if isinstance(part, Table):
            shown = list(part.columns.values())
        elif isinstance(part, figures.Sentence):
            shown = list(part.figures)
        for figure in shown:
            if isinstance(figure, figures.Extreme):
                figure = figure.figures[0]
            if isinstance(figure, figures.Figure | figures.Column):
                yield figure.where["what"]
                yield "false positives allowed" if figure.star else figure.where["what"]
