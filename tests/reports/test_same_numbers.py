"""HTML, PDF, LaTeX and CSV of a real study have all the numbers of its result.json."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.document import Document, document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.formats.latex import render_latex
from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.formats.pdf import render_pdf
from mgaudit.reports.results import Result
from mgaudit.reports.section import Section
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from tests import tex
from tests.fake_study import html_text, pdf_text
from tests.reports.test_csv_report import estimates

SETTINGS = {
    "target": "mlp:hidden=16",
    "models": 6,
    "examples": 200,
    "stack": 1,
    "attacks": ["lira", "loss"],
    "schemes": [
        "none",
        "gaussian-mask:kappa=0.3",
        "gaussian-mask:kappa=1",
        "dp-sgd:noise_multiplier=1",
        "dp-sgd:noise_multiplier=3",
    ],
    "training": {"epochs": 3, "batch_size": 32},
}
NUMBER = r"[+−]?\d+\.\d+"
PRINTED = re.compile(rf"({NUMBER})[*†!]* ?(?:± ?(\d+\.\d+)|\[({NUMBER}), ?({NUMBER})\])")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Arrays]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGAUDIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        study, arrays = run_study(plan_study(study_settings(SETTINGS)), 1, Progress())
    assert not study.analysis.absent  # every part of the report has something to show
    return Result(
        title="", note="", command="mgaudit run", settings=study.settings, studies=[study]
    ), arrays


@pytest.fixture(scope="module")
def content(real: tuple[Result, Arrays]) -> Document:
    """The report without figures, which would take as long as everything else."""
    whole = document(real[0], [real[1]])
    return replace(
        whole,
        chapters=[
            replace(chapter, sections=undrawn(chapter.sections)) for chapter in whole.chapters
        ],
    )


def undrawn(sections: Sequence[Section]) -> list[Section]:
    left = (
        replace(
            section, blocks=[block for block in section.blocks if not isinstance(block, Drawing)]
        )
        for section in sections
    )
    return [section for section in left if section.blocks]


@pytest.fixture(scope="module")
def contents(real: tuple[Result, Arrays]) -> dict[str, Any]:
    """The study as result.json has it."""
    study: dict[str, Any] = json.loads(real[0].model_dump_json())["studies"][0]
    return study


@pytest.fixture(scope="module")
def texts(content: Document) -> dict[str, str]:
    """What a reader sees in each format."""
    return {
        "html": html_text(render_html(content)),
        "pdf": pdf_text(render_pdf(content)),
        "latex": article(render_latex(content)),
    }


@pytest.fixture(scope="module")
def unbroken(texts: dict[str, str]) -> dict[str, str]:
    """The same without the blanks at which lines may end."""
    return {name: squeezed(text) for name, text in texts.items()}


def squeezed(text: str) -> str:
    return "".join(text.split())


def article(files: dict[str, bytes]) -> str:
    """The text of the tables of a LaTeX folder, cells and notes, in the order of the article."""
    whole = files["report.tex"].decode("ascii")
    lines = []
    for name in re.findall(r"\\input\{(tables/[^}]*)\}", whole):
        for line in files[name].decode("ascii").splitlines():
            # A row says itself as "{}cell & cell \tabularnewline" and stands alone on its line.
            if line.startswith("{}") and line.endswith(r"\tabularnewline"):
                lines.append(tex.read(line.removesuffix(r"\tabularnewline").replace(" & ", " ")))
    return "\n".join(lines)


def rounded(value: float, digits: int) -> str:
    """A number as a report prints it: its exact binary value, rounded half to even in decimal."""
    exact = Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
    return str(exact + 0 if exact else abs(exact)).replace("-", "−")


def test_every_row_of_every_table_is_in_every_format(
    content: Document, unbroken: dict[str, str]
) -> None:
    count = 0
    for _, table in content.tables:
        for row in table.rows:
            for name, text in unbroken.items():
                assert squeezed(" ".join(map(str, row))) in text, (name, table.key)
            count += len(row)
    assert count > 500


def test_the_tables_of_the_formats_have_the_numbers_of_the_result(
    contents: dict[str, Any], unbroken: dict[str, str]
) -> None:
    units = {"auc": (1, 3)}
    for arm in contents["arms"]:
        for attack in arm["attacks"]:
            name = attack["attack"] + (", naive" if attack["adversary"] == "naive" else "")
            for metric, estimate in attack["metrics"].items():
                scale, digits = units.get(metric, (100, 2))
                title = "AUC" if metric == "auc" else metric.replace("_", " ") + ", %"
                if metric.startswith("tpr"):
                    parts = (attack["metrics"], attack["differences"])
                    same = [
                        one
                        for one in attack["metrics"]
                        if one.startswith("tpr")
                        and all(part.get(one) == part.get(metric) for part in parts)
                    ]
                    if metric != same[0]:  # the same number, in one row
                        continue
                    levels = [f"{float(one.removeprefix('tpr@')) * 100:g}" for one in same]
                    title = f"TPR @ {' and '.join(levels)} % FPR, %"
                row = squeezed(
                    f"{arm['label']} {name} {title} {rounded(estimate['value'] * scale, digits)}"
                )
                for format_, text in unbroken.items():
                    assert row in text, format_


def test_every_number_with_an_interval_is_one_of_the_result(
    contents: dict[str, Any], texts: dict[str, str]
) -> None:
    known = {form for estimate in estimates(contents) for form in printed(*estimate)}
    for name, text in texts.items():
        intervals = PRINTED.findall(text)
        assert len(intervals) > 300
        for value, half, low, high in intervals:
            interval = (
                (value.lstrip("+"), half)
                if half
                else (value.lstrip("+"), low.lstrip("+"), high.lstrip("+"))
            )
            assert interval in known, (name, interval)


def printed(value: float, low: float, high: float) -> Iterator[tuple[str, ...]]:
    """All ways in which reports print an estimate: as a fraction or in percent."""
    for scale, digits in ((1, 3), (100, 1), (100, 2)):
        middle = rounded(value * scale, digits)
        yield middle, rounded(low * scale, digits), rounded(high * scale, digits)
        for half in ((high - low) / 2, ((high - value) + (value - low)) / 2):
            yield middle, rounded(half * scale, digits)


def test_the_csv_has_every_number_of_the_result_to_the_last_digit(
    real: tuple[Result, Arrays], contents: dict[str, Any]
) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(real[0]), newline="")))
    written = {(row["value"], row["low"], row["high"]) for row in rows}
    assert {tuple(map(repr, interval)) for interval in estimates(contents)} <= written

    values = {
        cell
        for row in rows
        for name in ("value", "low", "high", "p_value", "p_adjusted")
        if (cell := row[name])
    }
    assert values <= {repr(number) for number in numbers(contents)} | {
        "0",
        "inf",
    }  # 0 models diverged: a count of a list

    by_key = {
        tuple(row[name] for name in ("arm", "attack", "adversary", "what", "metric", "model")): row
        for row in rows
    }
    for arm in contents["arms"]:
        for attack in arm["attacks"]:
            who = (arm["key"], attack["attack"], attack["adversary"])
            for metric, estimate in attack["metrics"].items():
                row = by_key[(*who, "attack", metric, "")]
                assert {name: float(row[name]) for name in ("value", "low", "high")} == estimate
            for metric, per_target in attack["per_target"].items():
                for model, value in zip(attack["targets"], per_target, strict=True):
                    assert (
                        float(by_key[(*who, "attack on one model", metric, str(model))]["value"])
                        == value
                    )
    for change in contents["analysis"]["changes"]:
        if change["attack"] is not None:
            who = (change["arm"], change["attack"], change["adversary"])
            row = by_key[(*who, "difference to no noise, tested", change["metric"], "")]
            assert float(row["p_adjusted"]) == change["p_adjusted"]
            assert float(row["value"]) == change["difference"]["value"]


def numbers(part: Any) -> Iterator[int | float]:
    """All numbers of the result, wherever they are."""
    if isinstance(part, bool):
        return
    if isinstance(part, int | float):
        yield part
    elif isinstance(part, dict | list):
        for item in part.values() if isinstance(part, dict) else part:
            yield from numbers(item)


@pytest.mark.parametrize("part", ["changes", "matched", "dp_equivalent", "ignorance", "exposure"])
def test_a_part_without_data_and_without_a_reason_is_an_error(
    real: tuple[Result, Arrays], part: str
) -> None:
    record, arrays = real
    study = record.studies[0]
    emptied = study.model_copy(update={"analysis": study.analysis.model_copy(update={part: []})})
    with pytest.raises(KeyError, match=part):
        document(record.model_copy(update={"studies": [emptied]}), [arrays])


@pytest.mark.parametrize("part", ["power", "most_exposed", "by_class", "attacks"])
def test_an_arm_without_a_part_is_an_error(real: tuple[Result, Arrays], part: str) -> None:
    record, arrays = real
    study = record.studies[0]
    arms = [arm.model_copy(update={part: []}) for arm in study.arms]
    with pytest.raises((ValueError, IndexError), match=f"{part}|index"):
        document(
            record.model_copy(update={"studies": [study.model_copy(update={"arms": arms})]}),
            [arrays],
        )


def test_an_array_that_is_missing_is_an_error(real: tuple[Result, Arrays]) -> None:
    record, arrays = real
    for name in ("arm0/lira/roc_tpr", "roc_fpr", "membership", "arm1/lira/scores"):
        with pytest.raises(KeyError, match=name):
            document(record, [{key: values for key, values in arrays.items() if key != name}])
