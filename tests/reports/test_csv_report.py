"""The result as one table: a row a number, to the last digit, and nothing in it is a formula."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from mgaudit.reports.csv_text import FORMULA
from mgaudit.reports.formats.numbers_csv import COLUMNS, render_csv
from mgaudit.reports.record import ChoiceRecord
from mgaudit.reports.results import LostArm, Result
from tests.fake_study import many, result, study

MEASURED = ("value", "low", "high", "p_value", "p_adjusted", "note")


def rows_of(record: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(record))))


def estimates(part: Any) -> Iterator[tuple[float, float, float]]:
    """All numbers with an interval, wherever they are in the result."""
    if isinstance(part, dict):
        if set(part) == {"value", "low", "high"}:
            yield part["value"], part["low"], part["high"]
            return
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from estimates(item)


def test_every_estimate_of_the_result_is_there_to_the_last_digit() -> None:
    for record in (result(study()), result(many()[0], study())):
        written = {(row["value"], row["low"], row["high"]) for row in rows_of(record)}
        expected = set(estimates(json.loads(record.model_dump_json())))
        assert len(expected) > 50
        assert {tuple(map(repr, interval)) for interval in expected} <= written


def test_a_row_is_found_by_what_it_is_of() -> None:
    seen = Counter(
        tuple(row[name] for name in COLUMNS if name not in MEASURED)
        for row in rows_of(result(many()[0]))
    )
    assert max(seen.values()) == 1


def test_rows_say_arm_attack_and_metric() -> None:
    record = study()
    frame = pd.read_csv(io.StringIO(render_csv(result(record))))
    assert list(frame.columns) == list(COLUMNS)
    mask = frame[frame.arm == "gaussian-mask:kappa=0.3"]
    (auc,) = mask[
        (mask.what == "attack")
        & (mask.attack == "lira")
        & (mask.adversary == "naive")
        & (mask.metric == "auc")
    ].value
    assert auc == record.arms[1].attacks[2].metrics["auc"].value
    assert set(mask.parameter.dropna()) == {"kappa"}
    assert set(mask.strength.dropna()) == {0.3}
    assert set(frame.seed) == {5}
    changed = frame[(frame.what == "difference to no noise, tested") & (frame.metric == "auc")]
    assert list(changed.p_adjusted) == [
        change.p_adjusted for change in record.analysis.changes if change.metric == "auc"
    ]
    assert set(changed.reference) == {"none"}
    (claimed,) = frame[frame.what == "claimed epsilon"].value
    assert claimed == 7.994
    assert list(frame[frame.what == "front"].note) == [arm.status for arm in record.analysis.front]


def test_the_verdict_has_rows() -> None:
    record = study()
    rows = [row for row in rows_of(result(record)) if row["what"].startswith("verdict")]
    outcomes = {row["arm"]: row["note"] for row in rows if row["what"] == "verdict"}
    assert outcomes == {found.arm: found.outcome for found in record.analysis.verdicts}
    first = record.analysis.verdicts[0]
    (difference,) = [
        row
        for row in rows
        if (row["arm"], row["what"], row["metric"]) == (first.arm, "verdict: difference", "auc")
    ]
    assert first.auc.difference is not None
    assert float(difference["low"]) == first.auc.difference.low
    assert (difference["note"], difference["reference"]) == (first.auc.outcome, "none")
    levels = {row["value"] for row in rows if row["what"] == "verdict: level of each interval"}
    assert levels == {repr(first.level)}


def test_what_has_no_number_is_still_there() -> None:
    record = study()
    private = record.arms[2]
    assert private.claim is not None
    unbounded = private.model_copy(
        update={"claim": private.claim.model_copy(update={"epsilon": None})}
    )
    lost = [
        LostArm(key="x", scheme=[ChoiceRecord(name="x")], sources=[], label="x", diverged=[0, 1, 2])
    ]
    rows = rows_of(
        result(record.model_copy(update={"arms": [*record.arms[:2], unbounded], "lost": lost}))
    )
    assert [row["value"] for row in rows if row["what"] == "claimed epsilon"] == ["inf"]
    assert [(row["value"], row["note"]) for row in rows if row["label"] == "x"] == [
        ("3", "not audited")
    ]
    assert any(row["note"] == "too few members or non-members" for row in rows)
    unreached = [comparison for comparison in record.analysis.matched if comparison.not_reached]
    assert [
        row["note"] for row in rows if row["what"] == "matched accuracy: accuracy" and row["note"]
    ] == [comparison.not_reached for comparison in unreached]


@pytest.mark.parametrize(
    "text", ["=cmd|'/C calc'!A0", "+1", "-1", "@SUM(A1)", "\t1", "\r1", " =1", "＝1"]
)
def test_no_text_is_a_formula(text: str) -> None:
    rows = rows_of(result(study(label=text)))
    labels = {
        row["label"] for row in rows if row["arm"] == "gaussian-mask:kappa=0.3" and row["label"]
    }
    assert labels == {f"'{text}"}
    for row in rows:
        for name, cell in row.items():
            assert name in ("value", "low", "high") or not FORMULA.match(cell)


def test_negative_numbers_stay_numbers() -> None:
    frame = pd.read_csv(io.StringIO(render_csv(result(study()))))
    assert frame.low.dtype == float
    assert (frame.low < 0).any()


def test_studies_are_counted() -> None:
    record = result(study(), study(settings={**study().settings, "seed": 6}))
    assert {(row["study"], row["seed"]) for row in rows_of(record)} == {("1", "5"), ("2", "6")}
