"""The attack on canaries in the table, the CSV and the words of a report."""

import csv
import io
from pathlib import Path

import pytest

from mgaudit.reports.canaries import CanaryAttack, GroupAttack
from mgaudit.reports.canary_table import canary_section, canary_table
from mgaudit.reports.document import document
from mgaudit.reports.formats.render import FORMATS
from mgaudit.reports.method import method
from mgaudit.reports.references import references
from mgaudit.reports.results import StudyResult
from mgaudit.result import Result
from tests.fake_study import arrays, estimate, html_text, result, study, three_arms

ATTACK = CanaryAttack(
    attack="lira",
    kind="mislabelled",
    level=0.1,
    canaries=GroupAttack(
        examples=20, non_members=101, auc=estimate(0.913, 0.02), tpr=estimate(0.612, 0.1)
    ),
    others=GroupAttack(
        examples=100, non_members=499, auc=estimate(0.521, 0.01), tpr=estimate(0.117, 0.02)
    ),
    indices=list(range(20)),
)


def with_canaries(**changes: object) -> StudyResult:
    attack = ATTACK.model_copy(update=changes)
    return study(arms=[arm.model_copy(update={"canaries": attack}) for arm in three_arms()])


def test_the_table_has_the_canaries_above_all_others_for_each_arm() -> None:
    table = canary_table(with_canaries())
    assert table.columns[-1] == "TPR at 10 % FPR, %"
    rows = [[str(cell) for cell in row] for row in table.rows]
    assert len(rows) == 6
    assert rows[0] == [
        "no noise",
        "mislabelled canaries",
        "20",
        "101",
        "0.913 ± 0.020",
        "61.20 ± 10.00",
    ]
    assert rows[1][1:] == ["all others", "100", "499", "0.521 ± 0.010", "11.70 ± 2.00"]
    assert table.rows[1][4].value == pytest.approx(0.521)
    assert "wrong label" in table.notes[0]


def test_without_a_level_there_is_no_tpr() -> None:
    few = {
        name: getattr(ATTACK, name).model_copy(update={"tpr": None})
        for name in ("canaries", "others")
    }
    table = canary_table(with_canaries(level=None, **few))
    assert not [column for column in table.columns if "TPR" in column]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert any("no TPR" in note for note in table.notes)


def test_too_few_pairs_are_shown_as_unknown() -> None:
    none = GroupAttack(examples=1, non_members=3, auc=None, tpr=None)
    table = canary_table(with_canaries(canaries=none))
    assert [str(cell) for cell in table.rows[0][4:]] == ["–", "–"]


def test_arms_with_other_levels_are_named() -> None:
    made = with_canaries()
    arms = list(made.arms)
    other = ATTACK.model_copy(update={"level": None})
    arms[1] = arms[1].model_copy(update={"canaries": other})
    note = canary_table(made.model_copy(update={"arms": arms})).notes[-1]
    assert f"{arms[1].label}: no TPR" in note
    assert f"{arms[0].label}: 10 %" in note


def test_a_study_without_canaries_has_no_section_no_words_and_no_rows() -> None:
    assert canary_section(study(), arrays()) is None
    assert "mislabelled canaries" not in " ".join(method(study()))
    assert "aerni2024" not in references(result(study()))
    content = document(result(study()), [arrays()])
    assert "canaries" not in FORMATS["csv"].render(content).decode()
    assert "Canaries" not in [section.title for section in content.sections]


def test_a_study_with_canaries_has_all_of_them() -> None:
    made = with_canaries()
    assert canary_section(made, arrays()) is not None
    assert "20 of the examples are mislabelled canaries." in " ".join(method(made))
    assert "aerni2024" in references(result(made))
    content = document(result(made), [arrays()])
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].render(content).decode())))
    found = {
        (row["what"], row["metric"]): (float(row["value"]), float(row["low"]))
        for row in rows
        if row["what"].startswith("pooled") and row["metric"] and row["arm"] == "none"
    }
    assert found == {
        ("pooled, mislabelled canaries", "auc"): (0.913, pytest.approx(0.893)),
        ("pooled, mislabelled canaries", "tpr@0.1"): (0.612, pytest.approx(0.512)),
        ("pooled, no canaries", "auc"): (0.521, pytest.approx(0.511)),
        ("pooled, no canaries", "tpr@0.1"): (0.117, pytest.approx(0.097)),
    }
    assert {row["attack"] for row in rows if row["what"].startswith("pooled")} == {"lira"}
    text = html_text(FORMATS["html"].render(content).decode())
    assert "mislabelled canaries 20 101 0.913" in text


def test_the_frame_has_the_numbers_of_the_table() -> None:
    made = with_canaries()
    frame = Result(result(made), [arrays()], Path()).to_frame()
    found = frame[frame.metric.str.contains("canaries_|others_")]
    assert list(found.arm.unique()) == [arm.key for arm in made.arms]
    assert set(found.attack) == {"lira"}
    assert set(found.adversary) == {made.arms[0].attacks[0].adversary}
    first = found[found.arm == "none"].set_index("metric")[["value", "low", "high"]]
    assert {metric: tuple(row) for metric, row in first.iterrows()} == {
        "canaries_auc": pytest.approx((0.913, 0.893, 0.933)),
        "canaries_tpr@0.1": pytest.approx((0.612, 0.512, 0.712)),
        "others_auc": pytest.approx((0.521, 0.511, 0.531)),
        "others_tpr@0.1": pytest.approx((0.117, 0.097, 0.137)),
    }
    assert not frame.duplicated(["study", "arm", "attack", "adversary", "metric"]).any()


def test_the_frame_leaves_out_what_has_too_few_pairs() -> None:
    few = ATTACK.canaries.model_copy(update={"auc": None, "tpr": None})
    made = with_canaries(level=None, canaries=few)
    frame = Result(result(made), [arrays()], Path()).to_frame()
    assert set(frame.metric[frame.metric.str.contains("canaries_|others_")]) == {"others_auc"}
