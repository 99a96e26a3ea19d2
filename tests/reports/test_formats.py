"""All formats of a report: written completely or not at all, with all text escaped."""

import csv
import io
import os
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.reports.document import Document, document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.formats.latex import render_latex
from mgaudit.reports.formats.notebook import show
from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.formats.pdf import render_pdf
from mgaudit.reports.formats.render import DEFAULT_FORMATS, FORMATS, Format
from mgaudit.reports.results import ClassExposure
from mgaudit.storage.atomic import write_folder_atomically
from mgaudit.storage.run_folder import RunFolder
from tests import tex
from tests.fake_study import arrays, html_text, pdf_text, result, study, write
from tests.reports.test_same_numbers import squeezed, undrawn

SCRIPT = "<script>alert(1)</script>"
MARKUP = r"#strong[x] $y$ *z* \textbf{a} \input{/etc/passwd} % & _ ^ ~ {} //c @d"


@pytest.fixture(scope="module")
def hostile() -> Document:
    record = study()
    classes = [ClassExposure(label=SCRIPT, examples=40, auc=None)]
    arms = [arm.model_copy(update={"by_class": classes, "note": MARKUP}) for arm in record.arms]
    whole = document(
        result(record.model_copy(update={"arms": arms}), title=MARKUP, note=SCRIPT), [arrays()]
    )
    return replace(
        whole,
        chapters=[
            replace(chapter, sections=undrawn(chapter.sections)) for chapter in whole.chapters
        ],
    )


def test_markup_is_text_in_html(hostile: Document) -> None:
    page = render_html(hostile)
    assert "alert(1)</script>" not in page
    for text in (SCRIPT, MARKUP):
        assert squeezed(text) in squeezed(html_text(page))


def test_markup_is_text_in_pdf(hostile: Document) -> None:
    text = squeezed(pdf_text(render_pdf(hostile)))
    assert text.startswith(squeezed(MARKUP))
    assert text.count(squeezed(MARKUP)) >= 4  # the title and three notes
    assert text.count(squeezed(SCRIPT)) >= 2


def test_markup_is_text_in_latex(hostile: Document) -> None:
    files = {
        name: content.decode()
        for name, content in render_latex(hostile).items()
        if name.endswith(".tex")
    }
    for text, name in (
        (SCRIPT, "exposed-examples-by-class"),
        (MARKUP, "accuracy-against-privacy-accuracy-vs-privacy"),
    ):
        lines = [
            line
            for line in files[f"tables/{name}.tex"].splitlines()
            if "alert" in line or "strong" in line
        ]
        assert lines
        for line in lines:
            line = line.removeprefix(r"\par\smallskip {\footnotesize ").removesuffix(r"\par}")
            assert squeezed(text) in squeezed(
                tex.read(line.removesuffix(r"\tabularnewline").replace(" & ", " "))
            )
    title = next(line for line in files["report.tex"].splitlines() if line.startswith(r"\title{"))
    assert tex.read(title.removeprefix(r"\title{")) == MARKUP


def test_markup_is_text_in_csv(hostile: Document) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(hostile.result), newline="")))
    assert SCRIPT in {row["class"] for row in rows}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    write(tmp_path / "run", result(study()), [arrays()])
    return RunFolder(tmp_path / "run")


def test_formats_are_files_and_folders_beside_the_result(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Format("report-latex", lambda _: {"report.tex": b"a", "tables/b.tex": b"b"})
    monkeypatch.setitem(FORMATS, "latex", short)
    before = {path.name for path in folder.path.iterdir()}
    (folder.path / "report-latex").mkdir()
    (folder.path / "report-latex" / "old.tex").write_text("of an earlier report")
    paths = folder.write_reports(["csv", "latex"])
    assert [path.name for path in paths] == ["report.csv", "report-latex"]
    assert {path.name for path in folder.path.iterdir()} == before | {path.name for path in paths}
    assert not (folder.path / "report-latex" / "old.tex").exists()
    assert (folder.path / "report-latex" / "report.tex").stat().st_mode & 0o777 == 0o644
    assert (folder.path / "report-latex").stat().st_mode & 0o700 == 0o700
    done = CliRunner().invoke(
        app, ["report", str(folder.path), "--format", "csv", "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.csv"]


def test_a_run_writes_a_page_and_a_pdf(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DEFAULT_FORMATS == ("html", "pdf")
    written: list[Any] = []
    monkeypatch.setattr(
        RunFolder, "write_reports", lambda self, formats, *_: written.extend(formats) or []
    )
    assert CliRunner().invoke(app, ["report", str(folder.path)]).exit_code == 0
    assert written == ["html", "pdf"]
    refused = CliRunner().invoke(app, ["report", str(folder.path), "--format", "docx"])
    assert refused.exit_code == 2
    assert "html, pdf, latex, csv" in " ".join(refused.output.split())


def test_nothing_is_written_where_one_format_fails(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Document) -> bytes:
        raise ZeroDivisionError

    before = set(folder.path.iterdir())
    monkeypatch.setitem(FORMATS, "latex", Format("report-latex", broken))
    with pytest.raises(ZeroDivisionError):
        folder.write_reports(["csv", "latex"])
    assert set(folder.path.iterdir()) == before


@pytest.mark.parametrize("there", ["nothing", "folder", "file"])
def test_a_folder_is_there_whole_or_as_it_was(tmp_path: Path, there: str) -> None:
    path = tmp_path / "found"
    if there == "folder":
        path.mkdir()
        (path / "old").write_text("old")
    elif there == "file":
        path.write_text("old")
    kept = {file: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(TypeError):
        write_folder_atomically(path, {"a/b": b"1", "c": "no bytes"})  # type: ignore[dict-item]
    assert {file: file.read_text() for file in tmp_path.rglob("*") if file.is_file()} == kept
    assert len([*tmp_path.iterdir()]) == (there != "nothing")

    write_folder_atomically(path, {"a/b": b"1", "c": b"2"})
    assert {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} == {
        "a/b",
        "c",
    }
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_that_cannot_be_renamed_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "found"
    write_folder_atomically(path, {"old": b"1"})
    rename = os.replace

    def refused(here: Path, there: Path) -> None:
        if Path(here).name == "new":
            raise PermissionError("refused")
        rename(here, there)

    monkeypatch.setattr("mgaudit.storage.atomic.os.replace", refused)
    with pytest.raises(PermissionError):
        write_folder_atomically(path, {"new.txt": b"2"})
    assert [file.name for file in path.iterdir()] == ["old"]
    assert [*tmp_path.iterdir()] == [path]


def test_a_notebook_shows_escaped_tables_and_frames_the_page(hostile: Document) -> None:
    (table,) = (one for _, one in hostile.tables if one.key == "accuracy-vs-privacy")
    (record,) = hostile.result.studies
    for html in (table._repr_html_(), show(record).html, show(hostile.result)._repr_html_()):
        assert "<script" not in html
        assert "<style" not in html
        assert squeezed("#strong[x] $y$ *z*") in squeezed(unescape(html))
        for row in table.rows:
            for cell in row:
                assert cell.text in unescape(html)
    page = show(hostile)._repr_html_()
    assert page.startswith('<iframe sandbox="')
    assert page.count("<") == 2  # the frame and its end: all else is in its attribute
    (framed,) = re.findall(r'srcdoc="([^"]*)"', page)
    assert html_text(unescape(framed)) == html_text(render_html(hostile))
