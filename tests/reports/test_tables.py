"""The tables of a report."""

from typing import Any

import pytest

from mgaudit.reports.findings import ANALYSED
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import ClassExposure
from mgaudit.reports.summary_table import summary_table
from mgaudit.reports.table import number
from mgaudit.reports.tables import (
    accuracy_vs_privacy,
    all_metrics,
    by_class,
    most_exposed,
    proof,
    single_targets,
)
from tests.fake_study import METRICS, NASTY, estimate, study


@pytest.mark.parametrize(
    ("value", "low", "high", "options", "expected"),
    [
        (0.612, 0.602, 0.622, {}, "0.612 ± 0.010"),
        (0.002, 0.0, 0.0071, {"scale": 100, "digits": 2}, "0.20 [0.00, 0.71]"),
        (-0.0641, -0.0821, -0.0461, {"signed": True}, "−0.064 ± 0.018"),
        (0.0031, -0.0039, 0.0101, {"signed": True}, "+0.003 ± 0.007"),
        (-0.0001, -0.01, 0.01, {"signed": True}, "0.000 ± 0.010"),
        (0.5, 0.4, 0.6, {"mark": "*"}, "0.500* ± 0.100"),
    ],
)
def test_numbers_are_printed_with_their_interval(
    value: float, low: float, high: float, options: dict[str, Any], expected: str
) -> None:
    assert str(number(Estimate(value=value, low=low, high=high), **options)) == expected


def test_the_main_table_has_a_row_for_each_arm_and_attack_with_the_numbers_of_the_result() -> None:
    table = accuracy_vs_privacy(study())
    rows = [[str(cell) for cell in row] for row in table.rows]
    assert [row[3] for row in rows] == ["lira", "loss", *["lira", "loss", "lira, naive"] * 2]
    assert rows[2] == [
        "gaussian-mask (kappa=0.3)",
        "99.0 ± 0.4",
        "95.0 [92.5, 96.5]",
        "lira",
        "0.700 ± 0.012",
        "22.00 ± 0.50",
        "23.00* ± 0.50",
        "0.32",
        "none",
    ]
    assert rows[4][4] == "0.600 ± 0.012"
    assert [row[-1] for row in rows] == ["none"] * 5 + ["8.00"] * 3
    assert any("Fewer than 10 of a target's 299 or more" in note for note in table.notes)
    assert any("guessing gives 0.33 % at 0.1 % FPR)" in note for note in table.notes)  # 1 of 300
    # Bounds are rounded up: 7.994 and 8.8071e-4.
    assert any("ε = 8.00 at δ = 8.81e-04" in note and "281 steps" in note for note in table.notes)
    assert any("would prove ε ≥ 8.90 at δ = 8.81e-04." in note for note in table.notes)
    assert any(
        "naive adversary's shadow models are trained without noise" in note for note in table.notes
    )
    assert len(all_metrics(study()).rows) == 8 * len(METRICS)


def test_tprs_that_are_the_same_number_are_one_row() -> None:
    first, *others = study().arms
    attack = first.attacks[0]
    same = {**attack.metrics, "tpr@0": attack.metrics["tpr@0.001"]}
    merged = attack.model_copy(update={"metrics": same})
    first = first.model_copy(update={"attacks": [merged, *first.attacks[1:]]})
    rows = all_metrics(study(arms=[first, *others])).rows
    assert len(rows) == 8 * len(METRICS) - 1
    headings = [str(row[2]) for row in rows]
    assert headings.count("TPR @ 0.1 and 0 % FPR, %") == 1
    assert headings.count("TPR @ 0.1 % FPR, %") == 7


def test_delta_stands_beside_every_epsilon_of_the_tables() -> None:
    record = study()
    (note,) = summary_table(record).notes
    assert note.endswith("ε ≥ is the proved lower bound on ε at δ = 8.81e-04.")
    other = record.arms[2].model_copy(update={"delta": 1e-5})
    mixed = record.model_copy(update={"arms": [*record.arms[:2], other]})
    (note,) = summary_table(mixed).notes
    assert note.endswith(
        "at δ = 8.81e-04 (no noise, gaussian-mask (kappa=0.3)), "
        "at δ = 1.00e-05 (dp-sgd (epsilon=8))."
    )
    unbounded = [arm.model_copy(update={"delta": None}) for arm in record.arms]
    (note,) = summary_table(record.model_copy(update={"arms": unbounded})).notes
    assert "ε" not in note


def test_a_claim_names_both_bounds_or_its_only_accountant() -> None:
    private = study().arms[2]
    assert private.claim is not None
    assert "(PRV accountant, add/remove adjacency" in proof(private)  # of an earlier version
    both = private.claim.model_copy(
        update={"accountant": "PLD", "epsilon_prv": 8.0041, "epsilon_pld": 7.994}
    )
    words = proof(private.model_copy(update={"claim": both}))
    assert words.startswith("ε = 8.00 at δ = 8.81e-04 for each single model (the smaller of two ")
    assert "upper bounds, PRV 8.01 and PLD 8.00, add/remove adjacency" in words
    alone = private.claim.model_copy(update={"accountant": "RDP"})
    assert "(RDP accountant," in proof(private.model_copy(update={"claim": alone}))


def test_single_targets_are_the_least_the_middling_and_the_most_vulnerable() -> None:
    rows = [[str(cell) for cell in row] for row in single_targets(study()).rows]
    assert [row[1] for row in rows] == ["least: model 1", "middle: model 4", "most: model 2"] * 3
    assert rows[0] == [
        "no noise",
        "least: model 1",
        "0.200 ± 0.030",
        "20.00 ± 3.00",
        "20.00 ± 3.00",
    ]


def test_the_exposed_are_told_with_their_rank_and_their_class() -> None:
    rows = [[str(cell) for cell in row] for row in most_exposed(study()).rows]
    assert len(rows) == 3 * 5
    assert rows[1] == ["no noise", "train/1.png", "a", "6.50", "95.0 ± 5.0", "–", "2"]
    assert rows[2] == ["no noise", "train/2.png", "a", "5.50", "95.0 ± 5.0", "50.0 ± 25.0", "2"]
    (table,) = by_class(study())
    assert table.columns == [
        "Class",
        "Examples",
        "no noise",
        "gaussian-mask (kappa=0.3)",
        "dp-sgd (epsilon=8)",
    ]
    assert [[str(cell) for cell in row] for row in table.rows] == [
        ["a", "40", "0.730 ± 0.030", "0.680 ± 0.030", "0.481 ± 0.030"],
        [NASTY, "20", "too few", "too few", "too few"],
    ]
    classes = [
        ClassExposure(label=str(index), examples=9, auc=estimate(index / 40, 0.01))
        for index in range(30)
    ]
    seven = [study().arms[0].model_copy(update={"by_class": classes})] * 7
    many, rest = by_class(study(arms=seven))
    assert (len(many.columns), len(rest.columns)) == (2 + 5, 2 + 2)
    assert (many.key, rest.key) == ("by-class-1", "by-class-2")
    assert [row[0] for row in many.rows] == [row[0] for row in rest.rows]
    assert [str(row[0]) for row in many.rows] == [
        "29",
        "28",
        "27",
        "26",
        "25",
        "24",
        "5",
        "4",
        "3",
        "2",
        "1",
        "0",
    ]
    assert len(many.columns) == 7
    assert "most and least exposed classes; all are in result.json" in many.notes[1]


def test_metrics_are_shown_as_the_result_says() -> None:
    record = study()
    assert record.metric("tpr@0.001").heading == "TPR @ 0.1 % FPR, %"
    assert {*ANALYSED} < {facts.name for facts in record.metric_facts}
    renamed = [
        facts.model_copy(update={"title": "area", "digits": 1}) for facts in record.metric_facts
    ]
    table = accuracy_vs_privacy(record.model_copy(update={"metric_facts": renamed}))
    assert table.columns[4] == "area"
    assert str(table.rows[0][4]) == "0.8 ± 0.0"
    with pytest.raises(KeyError, match="unknown"):
        record.metric("unknown")


def test_what_guessing_gets_is_said_of_every_metric_that_is_shown() -> None:
    record = study()
    assert "Guessing gives AUC 0.5, a TPR equal to the FPR." in accuracy_vs_privacy(record).notes
    (line,) = [
        note for note in all_metrics(record).notes if note.startswith("Guessing gives AUC 0.5,")
    ]
    for part in ("balanced accuracy 50 %", "advantage 0 %", "a TPR equal to the FPR"):
        assert part in line
    other = [facts.model_copy(update={"guessing": 0.25}) for facts in record.metric_facts]
    assert any(
        "advantage 25 %" in note
        for note in all_metrics(record.model_copy(update={"metric_facts": other})).notes
    )
