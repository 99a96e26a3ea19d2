"""Printed tables and claims of papers are recorded as pages show them."""

import csv
import re
import tomllib
from pathlib import Path

import pytest

from mgaudit.reports.reproduction import ClaimResult, FigureResult, PaperResult
from tests.docs.figures import Figure, Sentence, estimate
from tests.docs.page_figures import AUC, DIGITS_CNN, PERCENT, TEST_ACCURACY, arm, by, tied
from tests.docs.page_papers import SCALES, Claim, Count, Most, Part, of_paper, papers_and_scales
from tests.docs.pages import DOCS, PAGES
from tests.docs.recorded import RESULTS, arms, attacks_on, label, rows
from tests.docs.recorded_tables import Cell, Extreme, FixedTable, Form, RecordedTable, Sum
from tests.test_benchmarks import BENCHMARKS, benchmark

record_tables, record_papers = benchmark("record_tables"), benchmark("record_papers")
record_results = benchmark("record_results")
OTHERS = {"dp_search", "papers-claims", "planned-half-widths", "version-0.2"}
BY_HAND = {"planned-half-widths", "version-0.2"}  # no program records them


def facts(file: str) -> dict[str, object]:
    return tomllib.loads((RESULTS / f"{file}.toml").read_text(encoding="utf-8"))


def test_every_result_file_is_of_a_recording() -> None:
    files = {path.stem for path in RESULTS.glob("*.csv")}
    assert files == {*record_results.RECORDINGS, *record_tables.FILES, *OTHERS}
    assert {path.stem for path in RESULTS.glob("*.toml")} == files - {"dp_search"}


def test_every_printed_table_has_the_columns_and_the_command_of_its_recording() -> None:
    for recording in record_tables.RECORDINGS.values():
        for file, columns in recording.files.items():
            with (RESULTS / f"{file}.csv").open(encoding="utf-8", newline="") as opened:
                assert tuple(next(csv.reader(opened))) == tuple(columns), file
            assert facts(file)["command"] == recording.command, file


def test_a_table_is_measured_on_a_named_processor_or_transcribed() -> None:
    for file in (*record_tables.FILES, *BY_HAND):
        assert ("processor" in facts(file)) != ("transcribed" in facts(file)), file
        assert re.fullmatch("[0-9a-f]{40}", str(facts(file)["commit"])), file
    assert all("transcribed" in facts(file) for file in BY_HAND)


def files_of(figure: object) -> set[str]:
    """Returns the result files that a figure reads."""
    if isinstance(figure, Cell | Sum):
        return {figure.file}
    if isinstance(figure, Extreme):
        return set(figure.files)
    if isinstance(figure, Form):
        return {file for part in figure.parts for file in files_of(part)}
    return {"papers-claims"} if isinstance(figure, Claim | Count | Most | Part) else set()


def test_every_recorded_file_is_on_a_page() -> None:
    shown: set[str] = set()
    for part in tied():
        if isinstance(part, RecordedTable):
            shown |= set(part.files)
        elif isinstance(part, FixedTable):
            shown |= {file for row in part.rows for cell in row for file in files_of(cell)}
        elif isinstance(part, Sentence):
            shown |= {file for figure in part.figures for file in files_of(figure)}
    assert {*record_tables.FILES, *BY_HAND, "papers-claims"} <= shown


def test_a_page_names_the_benchmark_of_every_recording() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name, recording in record_tables.RECORDINGS.items():
        script = next(word for word in recording.command.split() if word.endswith(".py"))
        assert script in text or script.startswith("tests/"), name
        assert (BENCHMARKS.parent / script).is_file(), name


PRINTED = """collected 3 items

tests/analysis/test_detectable.py
| a | b |
|---|---|
| x | 1 % |
.
## With a mask

| a | b |
| --- | --- |
| y, z |  |

| c |
|---|
| 3 |
"""


def test_tables_of_an_output_are_found_by_their_columns() -> None:
    assert record_tables.tables(PRINTED, {"one": ("a", "b"), "two": ("section", "c")}) == {
        "one": [["x", "1 %"], ["y, z", ""]],
        "two": [["With a mask", "3"]],
    }
    with pytest.raises(LookupError, match="no table of one has the columns a"):
        record_tables.tables(PRINTED, {"one": ("a",)})


@pytest.fixture
def without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (record_tables, record_papers):
        monkeypatch.setattr(module, "output_of", lambda *command: "c" * 40)


@pytest.mark.usefixtures("without_git")
def test_a_recording_is_written_with_its_provenance(tmp_path: Path) -> None:
    columns = record_tables.FILES["white-box-cost"]
    output = f"| {' | '.join(columns)} |\n|---|---|\n| CNN | 1.25 |\n"
    (path,) = record_tables.record("white-box-cost", output, tmp_path)
    assert list(csv.reader(path.read_text(encoding="utf-8").splitlines())) == [
        list(columns),
        ["CNN", "1.25"],
    ]
    written = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
    assert written["command"] == "python benchmarks/white_box.py cost --audits 21"
    assert set(written) == {"command", "commit", "date", "processor", "versions"}


CLAIM = ClaimResult(
    key="slope",
    statement="It falls.",
    place="Fig. 1",
    verdict="holds",
    quantity="slope",
    value=-1 / 3,
    low=-0.5,
    high=-0.25,
    at_most=0.0,
)
FIGURE = FigureResult(
    key="fig1",
    title="",
    about="",
    description="",
    settings={},
    seconds=1.0,
    data={},
    claims=[CLAIM],
)
PAPER = PaperResult(
    key="toy",
    title="",
    source="",
    about="",
    scale="quick",
    command="mgaudit reproduce toy",
    figures=[FIGURE],
    versions={"mgaudit": "0.3.0"},
    processor="CPU",
    started="2026-12-01T00:00:00+00:00",
    seconds=1.2,
)


@pytest.mark.usefixtures("without_git")
def test_claims_of_a_paper_replace_those_of_the_same_scale(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    record_papers.record(PAPER, path)
    record_papers.record(PAPER.model_copy(update={"scale": "full"}), path)
    record_papers.record(PAPER.model_copy(update={"versions": {"mgaudit": "0.4.0"}}), path)
    read = record_papers.read_rows(path)
    assert [(row["scale"], row["mgaudit"]) for row in read] == [
        ("full", "0.3.0"),
        ("quick", "0.4.0"),
    ]
    numbers = [read[0][name] for name in record_papers.NUMBERS]
    assert numbers == ["-0.333333", "-0.5", "-0.25", "", "0"]
    assert set(tomllib.loads(path.with_suffix(".toml").read_text())) == {"toy full", "toy quick"}


def test_verdicts_follow_from_the_recorded_intervals() -> None:
    for row in rows("papers-claims"):
        low, high = (float(row[name] or row["value"]) for name in ("low", "high"))
        least, most = row["at_least"] or "-inf", row["at_most"] or "inf"
        holds = float(least) <= low <= float(row["value"]) <= high <= float(most)
        assert row["verdict"] == ("holds" if holds else "does not hold"), row["claim"]


def test_reports_on_the_site_have_as_many_claims_as_are_recorded() -> None:
    assert papers_and_scales() >= set(SCALES.items())
    assert set(facts("papers-claims")) == {" ".join(both) for both in papers_and_scales()}
    for paper, scale in SCALES.items():
        report = (DOCS / "papers" / f"{paper}-{scale}" / "report.md").read_text(encoding="utf-8")
        claims = of_paper(paper)
        assert f"Of {len(claims)} claims" in report, paper
        holding = [row for row in claims if row["verdict"] == "holds"]
        assert re.search(rf"Of {len(claims)} claims,? {len(holding)} hold", report), paper


def test_the_figure_of_readme_shows_the_recorded_run() -> None:
    expected = set()
    for key in arms("digits-cnn"):
        accuracy = Figure(DIGITS_CNN | arm(key) | TEST_ACCURACY, PERCENT).text()
        for attack, adversary in attacks_on("digits-cnn", key):
            if attack == "stacked":
                auc = Figure(DIGITS_CNN | arm(key) | AUC | by(attack, adversary), estimate())
                naive = ", naive" if adversary == "naive" else ""
                words = f"test accuracy {accuracy} %, AUC {auc.text()} of {attack}{naive}"
                expected.add(f"{label(key)}: {words}")
    figure = (DOCS / "assets" / "demo.svg").read_text(encoding="utf-8")
    assert set(re.findall("<title>(.*?)</title>", figure)) == expected
