"""`mgaudit reproduce`: results, verdicts, reports and errors."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.papers.claim import Claim, Data, Measured, NotRun
from mgaudit.papers.paper import Coverage, Paper, PaperFigure, Resources
from mgaudit.papers.registry import PAPERS
from mgaudit.papers.reproduction import judge, plan_papers, reproduce
from mgaudit.reports.claims import multiplicity, summary
from mgaudit.reports.figures.panels import panels
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.formats.markdown import render_markdown
from mgaudit.reports.formats.pdf import render_pdf
from mgaudit.reports.paper_document import paper_document
from mgaudit.reports.reproduction import PaperResult
from mgaudit.study.progress import Progress
from tests.fake_study import html_text, pdf_text
from tests.reports.test_same_numbers import squeezed

NASTY = "<b>|x|</b> #strong[y] $z$"


@dataclass(frozen=True)
class Toy:
    dataset: str
    points: int


def measure(settings: Toy, resources: Resources) -> Data:
    resources.shared["made"] = resources.shared.get("made", 0) + 1
    return {
        "line": [{"x": float(x), "y": 2.0 * x} for x in range(1, settings.points)]
        + [{"x": 9.0, "y": math.inf}]
    }


def draw(data: Data) -> Figure:
    figure, (axes,) = panels(1, 2.0)
    rows = data["line"][:-1]
    axes.plot([float(row["x"]) for row in rows], [float(row["y"]) for row in rows], label="line")
    axes.set(xlabel="x", ylabel="y", yscale="log")
    return figure


def slope(data: Data) -> Measured:
    rows = data["line"]
    value = float(rows[1]["y"]) - float(rows[0]["y"])
    return Measured("slope", value, at_least=1.9, at_most=2.1, low=value - 0.05, high=value + 0.05)


def figure(key: str, dataset: str = "digits") -> PaperFigure:
    return PaperFigure(
        key=key,
        title=f"Figure {key}",
        about=f"About {NASTY}",
        quick=Toy(dataset, 3),
        full=Toy("cifar10", 5),
        measure=measure,
        draw=draw,
        description="A line that rises.",
        claims=(
            Claim("slope", f"The slope is two {NASTY}.", "Fig. 1", slope),
            Claim(
                "steep",
                "The slope is ten.",
                "Theorem 2",
                lambda data: Measured("slope", 2.0, at_least=10.0),
                after_looking=True,
            ),
            Claim(
                "huge",
                "It goes on for ever.",
                "open question",
                lambda data: NotRun("for ever is too long"),
            ),
        ),
    )


TOY = Paper(
    "toy",
    "A toy paper",
    "arXiv 0000.00000",
    "It draws a line.",
    (figure("one"), figure("two")),
    (
        Coverage("Fig. 1", "a line", "reproduced", ("one", "two")),
        Coverage("Theorem 2", "a steep line", "partly", ("one",), "its slope is too small"),
        Coverage("Fig. 3", "a plane", "not", why="it has three axes"),
    ),
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAPERS, "toy", TOY)


def reproduced(*names: str, full: bool = False) -> tuple[PaperResult, dict[str, Figure]]:
    (plan,) = plan_papers(names, full, None)
    return reproduce(plan, Resources(1, "cpu", Progress()))


@pytest.mark.usefixtures("toy")
def test_verdicts_numbers_and_counts() -> None:
    result, figures = reproduced("toy/one")
    assert [claim.verdict for claim in result.claims] == ["holds", "does not hold", "not run here"]
    assert (result.claims[0].value, result.claims[0].low, result.claims[0].high) == (
        2.0,
        1.95,
        2.05,
    )
    assert (result.claims[1].at_least, result.claims[1].at_most) == (10.0, None)
    assert result.claims[2].why == "for ever is too long"
    assert list(figures) == ["one"]
    assert summary(result).startswith("Of 3 claims, 1 holds, 1 does not hold, 1 was not run here.")
    assert "steep (Theorem 2)" in summary(result)


@pytest.mark.usefixtures("toy")
def test_claims_with_an_interval_are_counted() -> None:
    result, _ = reproduced("toy")
    assert multiplicity(result).startswith("2 claims have an interval.")
    assert "of 2 false claims up to 0.05 would hold" in multiplicity(result)
    without = replace(TOY.figures[0], claims=TOY.figures[0].claims[1:])
    claims = [judge(claim, {}) for claim in without.claims]
    figures = [result.figures[0].model_copy(update={"claims": claims})]
    assert multiplicity(result.model_copy(update={"figures": figures})) == (
        "No claim has an interval."
    )


@pytest.mark.parametrize(
    ("extent", "figures", "why"),
    [
        ("reproduced", (), ""),
        ("reproduced", ("one",), "something is missing"),
        ("partly", ("one",), ""),
        ("partly", (), "something is missing"),
        ("not", ("one",), "something is missing"),
        ("not", (), ""),
    ],
)
def test_coverage_that_contradicts_itself_is_refused(
    extent: Literal["reproduced", "partly", "not"], figures: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ValueError, match="must be"):
        Coverage("Fig. 1", "a line", extent, figures, why)


@pytest.mark.usefixtures("toy")
def test_what_is_not_finite_is_kept_as_nothing_and_the_result_survives_json() -> None:
    result, _ = reproduced("toy/one")
    assert result.figures[0].data["line"][-1] == {"x": 9.0, "y": None}
    assert PaperResult.model_validate_json(result.model_dump_json()) == result


@pytest.mark.usefixtures("toy")
def test_figures_whose_images_are_not_here_are_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path))
    result, figures = reproduced("toy", full=True)
    assert figures == {}
    assert {claim.verdict for claim in result.claims} == {"not run here"}
    assert all("mgaudit data fetch cifar10" in claim.why for claim in result.claims)
    assert "--dataset folder:PATH" in result.claims[0].why
    assert render_html(paper_document(result, figures))


@pytest.mark.usefixtures("toy")
def test_a_figure_that_fails_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: Toy, resources: Resources) -> Data:
        raise ZeroDivisionError("no number")

    figures = (replace(figure("one"), measure=broken), figure("two"))
    monkeypatch.setitem(PAPERS, "toy", replace(TOY, figures=figures))
    outcome = CliRunner().invoke(app, ["reproduce", "toy", "--out", str(tmp_path / "runs")])
    assert outcome.exit_code == 1
    assert "Traceback" not in outcome.output
    (folder,) = (tmp_path / "runs").iterdir()
    kept = PaperResult.model_validate_json(
        (folder / "reproduction.json").read_text(encoding="utf-8")
    )
    assert [figure.failed for figure in kept.figures] == [
        "the figure failed: ZeroDivisionError: no number",
        "",
    ]
    assert [claim.verdict for claim in kept.claims[:4]] == ["not run here"] * 3 + ["holds"]
    assert 'raise ZeroDivisionError("no number")' in (folder / "log.txt").read_text(
        encoding="utf-8"
    )


def test_an_interrupted_reproduction_goes_on_with_the_figure_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path))
    measured: list[int] = []

    def counted(settings: Toy, resources: Resources) -> Data:
        measured.append(settings.points)
        return measure(settings, resources)

    def interrupted(settings: Toy, resources: Resources) -> Data:
        raise KeyboardInterrupt

    one, two = (replace(figure(key), measure=counted) for key in ("one", "two"))
    stopped = replace(TOY, figures=(one, replace(two, measure=interrupted)))
    monkeypatch.setitem(PAPERS, "toy", stopped)
    with pytest.raises(KeyboardInterrupt):
        reproduced("toy")
    assert measured == [3]
    monkeypatch.setitem(PAPERS, "toy", replace(TOY, figures=(one, two)))
    first, drawings = reproduced("toy")
    assert measured == [3, 3]  # the second figure
    assert list(drawings) == ["one", "two"]
    again, _ = reproduced("toy")
    assert measured == [3, 3]
    assert again.figures == first.figures  # with the seconds that measuring took
    wider = (replace(one, quick=Toy("digits", 4)), two)
    monkeypatch.setitem(PAPERS, "toy", replace(TOY, figures=wider))
    reproduced("toy")
    assert measured == [3, 3, 4]


def test_what_decides_nothing_is_not_run() -> None:
    endless = Claim("key", "statement", "place", lambda data: Measured("q", math.inf, at_most=1.0))
    result = judge(endless, {})
    assert result.verdict == "not run here"
    assert "must be finite" in result.why


@pytest.mark.usefixtures("toy")
def test_reports_tell_every_claim_and_take_no_text_for_markup() -> None:
    result, figures = reproduced("toy")
    document = paper_document(result, figures)
    html, pdf, markdown = render_html(document), render_pdf(document), render_markdown(document)
    assert "<b>|x|" not in html
    for text in (squeezed(html_text(html)), squeezed(pdf_text(pdf))):
        for part in (
            "Theorem 2: a steep line",
            "its slope is too small",
            "it has three axes",
            "≥ 10*",
            "* Changed after looking",
            "2 claims have an interval",
            "does not hold",
            "for ever is too long",
            "The slope is ten.",
            "1.9 to 2.1",
            "≥ 10",
            NASTY,
        ):
            assert squeezed(part) in text
    assert sorted(markdown) == ["one.svg", "report.md", "two.svg"]
    report = markdown["report.md"].decode()
    assert "| does not hold |" in report
    assert "<b>" not in report
    assert "mathdefault" not in html + markdown["one.svg"].decode()


@pytest.mark.usefixtures("toy")
def test_the_command_writes_a_folder_for_each_paper(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(
        app, ["reproduce", "toy/two", "--out", str(tmp_path), "--json", "--format", "markdown"]
    )
    assert outcome.exit_code == 0, outcome.output
    (written,) = json.loads(outcome.stdout)
    folder = Path(written["run"])
    assert sorted(path.name for path in folder.iterdir()) == [
        ".mgaudit-run",
        "checksums.sha256",
        "log.txt",
        "report-markdown",
        "reproduction.json",
    ]
    kept = PaperResult.model_validate_json(
        (folder / "reproduction.json").read_text(encoding="utf-8")
    )
    assert kept.command == "mgaudit reproduce toy/two --quick"
    assert [figure.key for figure in kept.figures] == ["two"]
    (listed,) = json.loads(
        CliRunner().invoke(app, ["runs", "--runs", str(tmp_path), "--json"]).stdout
    )
    assert listed["what"] == "reproduction of toy (quick)"
    summarised = CliRunner().invoke(app, ["runs", "show", str(folder)])
    assert "Of 3 claims, 1 holds, 1 does not hold, 1 was not run here." in " ".join(
        summarised.output.split()
    )
    again = CliRunner().invoke(app, ["report", str(folder)])
    assert again.exit_code == 2
    assert (
        "is that of a reproduced paper; its reports come from: mgaudit reproduce toy/two"
        in " ".join(again.output.split())
    )
    (folder / "reproduction.json").write_text("{}")
    assert (
        "reproduction.json was changed after the run"
        in CliRunner().invoke(app, ["runs", "show", str(folder)]).output
    )
    (folder / "checksums.sha256").unlink()
    assert (
        "cannot be read as the result of a paper"
        in CliRunner().invoke(app, ["runs", "show", str(folder)]).output
    )


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tay"],
            (
                "paper must be one of gaussian-masking, noise-nodes, weight-noise, toy, got "
                "'tay'; did you mean 'toy'?"
            ),
        ),
        (["toy/onne"], "figure of toy must be one of one, two, got 'onne'; did you mean 'one'?"),
        (["toy/"], None),
        (["toy", "--dataset", "folder:/nowhere"], "/nowhere"),
        (["toy", "--dataset", "digit"], "digit"),
        (["toy", "--format", "docx"], "format must be one of html, pdf, markdown, got 'docx'"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(
    arguments: list[str], message: str | None, tmp_path: Path
) -> None:
    outcome = CliRunner().invoke(app, ["reproduce", *arguments, "--out", str(tmp_path), "--quiet"])
    if message is None:
        assert outcome.exit_code == 0
        return
    assert outcome.exit_code == 2
    assert message in outcome.output
    assert "Traceback" not in outcome.output
    assert not list(tmp_path.iterdir())
