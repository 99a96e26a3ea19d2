"""The tables on the risk of a released model."""

import csv
import io
from typing import Any

from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.risk import (
    AgreementOfHalves,
    AgreementOfTargets,
    FlaggedExample,
    FlaggedRecords,
    PredictiveValues,
    PriorValue,
    Risk,
)
from mgaudit.reports.risk_tables import (
    flagged_records,
    most_flagged,
    predictive_values,
    risk_section,
)
from mgaudit.reports.section import Section
from mgaudit.reports.table import Table
from tests.fake_study import NASTY, arrays, estimate, result, study, three_arms


def risk(**changes: Any) -> Risk:
    fields: dict[str, Any] = {
        "attack": "lira",
        "predictive_values": [
            PredictiveValues(
                level=level,
                realised_fpr=level,
                fpr=level + 0.003,
                tpr=estimate(0.21, 0.01),
                values=[
                    PriorValue(prior=prior, ppv=estimate(prior + 0.1, 0.05))
                    for prior in (0.5, 0.1, 0.01)
                ],
            )
            for level in (0.1, 0.01, 0.001)
        ],
        "flagged": FlaggedRecords(
            level=0.1,
            targets=[0, 1],
            flagged=[10, 5],
            false=[1, 0],
            oracle=[12, 9],
            false_discovery_rate=0.05,
            pseudo_targets=1,
            most_flagged=[
                FlaggedExample(
                    example=3,
                    origin="=train/3.png",
                    label=NASTY,
                    flagged=2,
                    targets=2,
                    flagged_out=0,
                    targets_out=0,
                )
            ],
        ),
        "without_flagged": "",
        "over_targets": AgreementOfTargets(in_any=8, in_all=3, again=0.625),
        "without_over_targets": "",
        "over_halves": AgreementOfHalves(
            targets=[0, 1], shadows=2, in_first=9, in_second=8, in_both=6, in_any=11
        ),
        "without_over_halves": "",
    }
    return Risk(**{**fields, **changes})


def with_risks(*risks: Risk | None) -> StudyResult:
    arms: list[AuditResult] = [
        arm.model_copy(update={"risk": of_arm})
        for arm, of_arm in zip(three_arms(), risks, strict=True)
    ]
    return study(arms=arms)


def texts(table: Table) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in table.rows]


def test_a_result_of_an_earlier_version_has_no_section() -> None:
    assert risk_section(study(), arrays()) is None


def test_the_section_has_all_tables() -> None:
    section = risk_section(with_risks(risk(), risk(), risk()), arrays())
    assert isinstance(section, Section)
    keys = [block.key for block in section.blocks if isinstance(block, Table)]
    assert keys == ["ppv", "flagged-records", "most-flagged"]
    assert section.anchor == "risk-of-a-released-model"


def test_the_ppv_has_a_row_for_each_arm_and_level_and_a_column_for_each_prior() -> None:
    table = predictive_values(with_risks(risk(), risk(), risk()))
    assert len(table.rows) == 9
    assert table.columns[4:] == [
        "PPV at prior 50 %, %",
        "PPV at prior 10 %, %",
        "PPV at prior 1 %, %",
    ]
    assert texts(table)[1] == [
        "no noise", "1", "1.30", "21.00 ± 1.00", "60.0 ± 5.0", "20.0 ± 5.0", "11.0 ± 5.0",
    ]  # fmt: skip
    assert any("other targets and other examples" in note for note in table.notes)


def test_the_flagged_records_have_means_over_targets_and_their_agreement() -> None:
    table = flagged_records(with_risks(risk(), risk(), risk()))
    assert texts(table)[0] == ["no noise", "7.5", "5.0", "10.5", "54.5", "62.5", "8", "3"]
    assert not any("No " in note.split(":")[0] for note in table.notes)


def test_what_is_missing_is_a_dash_with_its_reason_in_a_note() -> None:
    reason = "no records are flagged: there is one target"
    missing = risk(
        flagged=None,
        without_flagged=reason,
        over_targets=None,
        without_over_targets=reason,
        over_halves=None,
        without_over_halves=reason,
    )
    halfless = risk(over_halves=None, without_over_halves="the attack uses no shadow models")
    table = flagged_records(with_risks(missing, halfless, risk()))
    assert texts(table)[0] == ["no noise", *["–"] * 7]
    assert texts(table)[1][4] == "–"
    assert "no noise: no records are flagged: there is one target." in table.notes
    assert any("the attack uses no shadow models." in note for note in table.notes)


def test_an_empty_list_has_no_fdr_and_says_so_once() -> None:
    flagged = risk().flagged
    assert flagged is not None
    update = {"flagged": [0, 0], "false": [0, 0], "false_discovery_rate": 0.0, "most_flagged": []}
    empty = risk(
        flagged=flagged.model_copy(update=update),
        over_targets=AgreementOfTargets(in_any=0, in_all=0, again=None),
        over_halves=AgreementOfHalves(
            targets=[0, 1], shadows=2, in_first=0, in_second=0, in_both=0, in_any=0
        ),
    )
    three = with_risks(empty, empty, empty)
    table = flagged_records(three)
    assert texts(table)[0] == ["no noise", "0.0", "–", "10.5", "–", "–", "0", "0"]
    assert (
        len([note for note in table.notes if note.startswith("No record is flagged in any")]) == 1
    )
    assert most_flagged(three) is None


def test_the_records_flagged_most_often_show_both_kinds_of_targets() -> None:
    table = most_flagged(with_risks(risk(), risk(), risk()))
    assert table is not None
    assert texts(table)[0] == ["no noise", "=train/3.png", NASTY, "2", "2", "0", "0"]


def test_the_table_of_all_numbers_has_the_risk() -> None:
    record = result(with_risks(risk(), risk(), risk()))
    rows = list(csv.DictReader(io.StringIO(render_csv(record))))
    of_arm = [row for row in rows if row["arm"] == "none" and row["attack"] == "lira"]
    (ppv,) = [
        row for row in of_arm if row["what"] == "PPV at prior 0.1" and row["metric"] == "tpr@0.01"
    ]
    assert (float(ppv["value"]), float(ppv["low"])) == (0.2, 0.15000000000000002)
    (example,) = [row for row in of_arm if row["what"] == "flagged, in"]
    assert (example["example"], example["value"]) == ("'=train/3.png", "2")
    assert [row["value"] for row in of_arm if row["what"] == "flagged records"] == ["10", "5"]
