"""What a report says of a bound above a claim, and of one far below it."""

import csv
import io
import math
from pathlib import Path

import pytest

from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.method import method
from mgaudit.reports.record import ChoiceRecord
from mgaudit.reports.results import AlarmBound, AuditResult, StudyResult
from mgaudit.reports.tables import accuracy_vs_privacy
from mgaudit.reports.verdict import verdict
from mgaudit.result import Result
from mgaudit.storage.join import NamedRun, joined
from tests.fake_study import arrays, result, study, three_arms


def private(proved: float, corrected: float | None, claims: int = 3) -> AuditResult:
    """An arm with the claim ε ≤ 7.994, whose first attack has these bounds."""
    arm = three_arms()[2]
    bound = None
    if corrected is not None:
        bound = AlarmBound(epsilon=corrected, significance=0.05 / claims, claims=claims)
    changes = {"epsilon_lower_bound": proved, "alarm_bound": bound}
    first = arm.attacks[0].model_copy(update=changes)
    return arm.model_copy(update={"attacks": [first, *arm.attacks[1:]]})


def with_private(arm: AuditResult) -> StudyResult:
    return study(arms=[*three_arms()[:2], arm])


def notes(arm: AuditResult) -> str:
    return " ".join(accuracy_vs_privacy(with_private(arm)).notes)


@pytest.mark.parametrize(
    ("proved", "corrected", "alarm"),
    [
        (8.5, 8.2, True),
        (8.5, 7.9, False),  # above the claim at 95 %, but not for all claims together
        (8.5, None, True),  # a result of an earlier version
        (7.9, None, False),
    ],
)
def test_only_the_corrected_bound_raises_an_alarm(
    proved: float, corrected: float | None, alarm: bool
) -> None:
    arm = private(proved, corrected)
    assert arm.alarm is alarm
    assert any("Alarm: " in sentence for sentence in verdict(with_private(arm))) is alarm
    marked = str(accuracy_vs_privacy(with_private(arm)).rows[-3][-2])
    assert marked.endswith("!") is alarm
    assert ("without a mark is no alarm" in notes(arm)) is (proved > 8 and not alarm)


def test_the_frame_and_the_csv_have_the_corrected_bound() -> None:
    for corrected in (8.2, None):
        record = result(with_private(private(8.5, corrected)))
        rows = csv.DictReader(io.StringIO(render_csv(record)))
        found = [row for row in rows if row["metric"] == "alarm_bound"]
        frame = Result(record, [arrays()], Path()).to_frame()
        of_frame = frame[frame.metric == "alarm_bound"]
        if corrected is None:
            assert not found
            assert of_frame.empty
            continue
        arm = three_arms()[2]
        (row,), (ours,) = found, of_frame.itertuples()
        named = (arm.key, arm.attacks[0].attack, arm.attacks[0].adversary)
        assert (row["arm"], row["attack"], row["adversary"]) == named
        assert (ours.arm, ours.attack, ours.adversary) == named
        assert (row["what"], row["value"], row["low"]) == ("attack", "8.2", "")
        assert row["note"] == "significance 0.0166667, finite claims: 3"
        assert ours.value == 8.2
        assert math.isnan(ours.low)


def test_an_alarm_states_the_corrected_bound_and_the_number_of_claims() -> None:
    text = verdict(with_private(private(8.5, 8.2)))[-1]
    assert "proves ε ≥ 8.20" in text
    assert "at 95 % for all 3 claims of the run together" in text
    alone = verdict(with_private(private(8.5, 8.5, claims=1)))[-1]
    assert "claims of the run" not in alone


def test_the_method_states_the_correction_of_several_claims() -> None:
    for claims, stated in ((3, True), (1, False)):
        text = repr(method(with_private(private(0.3, 0.2, claims))))
        assert ("divided by 3, the number of claims" in text) is stated


def test_a_bound_far_below_the_claim_is_explained_with_the_audit_that_proves_more() -> None:
    text = notes(private(0.3, 0.2))
    assert "far below ε claimed" in text
    assert "ε ≥ 8.90 at most" in text
    assert "audit-dp --adversary white-box --scheme dp-sgd:epsilon=8" in text
    noisy = ChoiceRecord(name="noise-nodes")
    arm = private(0.3, 0.2)
    unsupported = arm.model_copy(update={"scheme": [noisy, *arm.scheme]})
    assert "far below ε claimed" in notes(unsupported)
    assert "white-box" not in notes(unsupported)
    for near in (private(8.5, 8.2), private(8.5, 7.9), private(4.1, 3.0)):
        assert "far below" not in notes(near)
    unclaimed = private(0.3, None)
    assert unclaimed.claim is not None
    infinite = unclaimed.claim.model_copy(update={"epsilon": None})
    assert "far below" not in notes(unclaimed.model_copy(update={"claim": infinite}))
    assert "far below" not in " ".join(accuracy_vs_privacy(study(arms=three_arms()[:2])).notes)


@pytest.mark.parametrize("order", [(1, 3), (3, 1)])
def test_a_joined_arm_keeps_the_bound_that_is_corrected_for_more_claims(
    order: tuple[int, int],
) -> None:
    runs = []
    for claims in order:
        arms = [three_arms()[0], private(0.3, 0.3 - claims / 20, claims)]
        settings = {**study().settings, "schemes": [arm.key for arm in arms], "notes": {}}
        record = result(study(arms=arms, settings=settings))
        runs.append(NamedRun(f"run {claims}", record, [arrays(arms)]))
    (together,) = joined(runs)[0].studies
    bound = together.arms[1].attacks[0].alarm_bound
    assert bound is not None
    assert (bound.claims, bound.epsilon) == (3, 0.3 - 3 / 20)
