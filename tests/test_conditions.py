"""Conditions such as "auc>0.55": which texts are conditions, and which results meet them."""

import json
import re
from typing import Any

import pytest

from mgaudit.conditions import Condition, check, conditions_record, failures, parse_condition
from mgaudit.errors import UsageError
from mgaudit.reports.record import ChoiceRecord, Estimate
from mgaudit.reports.results import LostArm, Result
from tests.docs.pages import DOCS, blocks
from tests.fake_study import arm, result, study

MASK, DP = "gaussian-mask:kappa=0.3", "dp-sgd:epsilon=8"
LOST = LostArm(
    key="dropout:rate=0.9",
    scheme=[ChoiceRecord(name="dropout", options={"rate": 0.9})],
    sources=[],
    label="dropout",
    diverged=[0, 1, 2, 3],
)


def found(text: str, record: Result | None = None) -> list[tuple[str, str | None, bool]]:
    """Arm and attack of each failure of the study, and whether its number is known.

    The AUC of LiRA is 0.75 without noise, 0.70 with the mask and 0.501 with DP-SGD, all ± 0.0123;
    that of the attack loss is lower by 0.05.
    """
    failed = failures(record or result(study()), [parse_condition(text)])
    return [(one.arm, one.attack, one.estimate is not None) for one in failed]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auc>0.55", Condition("auc>0.55", None, "auc", ">", 0.55)),
        (" tpr@0.01 >= 5% ", Condition("tpr@0.01 >= 5%", None, "tpr@0.01", ">=", 0.05, True)),
        ("lira:auc>.6", Condition("lira:auc>.6", "lira", "auc", ">", 0.6)),
        (
            "dp-sgd:epsilon=8/lira:online=false:epsilon>1e1",
            Condition(
                "dp-sgd:epsilon=8/lira:online=false:epsilon>1e1",
                "dp-sgd:epsilon=8/lira:online=false",
                "epsilon",
                ">",
                10.0,
            ),
        ),
        ("accuracy<=90 %", Condition("accuracy<=90 %", None, "accuracy", "<=", 0.9, True)),
        ("tpr@1%>3%", Condition("tpr@1%>3%", None, "tpr@0.01", ">", 0.03, True)),
        ("advantage>-0.5", Condition("advantage>-0.5", None, "advantage", ">", -0.5)),
        (
            "epsilon_lower_bound>1",
            Condition("epsilon_lower_bound>1", None, "epsilon", ">", 1.0),
        ),
    ],
)
def test_a_condition_has_a_scope_a_metric_an_operator_and_a_limit(
    text: str, expected: Condition
) -> None:
    assert parse_condition(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auc", "must be METRIC>NUMBER, with >, >=, < or <=, got 'auc'; write it as in"),
        ("auc=0.5", "must be METRIC>NUMBER"),
        ("auc==0.5", "must be METRIC>NUMBER"),
        ("0.5<auc>0.6", "must be METRIC>NUMBER"),
        (":auc>0.5", "must be METRIC>NUMBER"),
        ("", "must be METRIC>NUMBER"),
        ("auc>", "must be METRIC>NUMBER"),
        ("auk>0.5", "must name one of auc, tpr@0.1, .*; did you mean 'auc'?"),
        ("tpr@0.02>0.5", "must name one of .*did you mean 'tpr@0.01'?"),
        ("lira:acuracy>0.5", "did you mean 'accuracy'?"),
        ("auc>half", "must compare with a number, got 'auc>half'"),
        ("auc>nan", "must compare auc with a number >= 0 and < 1"),
        ("auc>inf", "must compare auc with a number >= 0 and < 1"),
        ("auc>55", "must compare auc with a number >= 0 and < 1, got 'auc>55'; write 55% for"),
        ("auc>1", "must compare auc with a number >= 0 and < 1"),
        ("auc<0", "must compare auc with a number > 0 and <= 1"),
        ("advantage>-1.5", "must compare advantage with a number >= -1 and < 1"),
        ("epsilon<2", "must use > or >= for epsilon, of which only a lower bound is known"),
        ("epsilon>2%", "must compare epsilon with a number, not with a percentage"),
        ("epsilon>inf", "must compare epsilon with a number >= 0"),
    ],
)
def test_a_text_that_is_no_condition_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_condition(text)
    assert refused.value.key == "condition"
    assert re.search(message.replace("?", r"\?"), str(refused.value)), refused.value
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("operator", "limits"),
    # limits at which [0.56, 0.64] meets the condition, and does not
    [
        (">", ([0.5, 0.5599], [0.56, 0.6, 0.64])),
        (">=", ([0.5, 0.56], [0.5601, 0.6, 0.64])),
        ("<", ([0.6401, 0.9], [0.56, 0.6, 0.64])),
        ("<=", ([0.64, 0.9], [0.56, 0.6, 0.6399])),
    ],
)
def test_the_nearer_end_of_the_interval_decides(
    operator: str, limits: tuple[list[float], list[float]]
) -> None:
    estimate = Estimate(value=0.6, low=0.56, high=0.64)
    for is_met, values in zip((True, False), limits, strict=True):
        for limit in values:
            condition = parse_condition(f"auc{operator}{limit}")
            assert condition.is_met(estimate) == is_met, condition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auc>0.55", [(MASK, "lira", True)]),
        ("auc>0.48", [(MASK, "lira", True), (DP, "lira", True)]),
        ("auc>0.69", []),
        ("auc<0.52", [(DP, "lira", True)]),
        ("none:auc>0.7", [("none", "lira", True)]),
        ("loss:auc>0.6", [(MASK, "loss", True)]),
        (f"{MASK}:auc>0.55", [(MASK, "lira", True)]),
        ("gaussian-mask:auc>0.55", [(MASK, "lira", True)]),
        ("none/loss:auc>0.6", [("none", "loss", True)]),
        ("gaussian-mask/lira, naive:auc>0.5", [(MASK, "lira, naive", True)]),
        ("lira:auc>0.55", [(MASK, "lira", True), (MASK, "lira, naive", True)]),
        ("accuracy<0.92", [(DP, None, True)]),
        ("train_accuracy>95%", [(MASK, None, True), (DP, None, True)]),
        ("epsilon>0.3", [(MASK, "lira", True), (DP, "lira", True)]),
        ("epsilon>0.33", []),
        ("tpr@0.001>20%", [(MASK, "lira", True), (DP, "lira", True)]),
        ("rmia:auc>0.55", [("", None, False)]),
        ("none/rmia:auc>0.55", [("", None, False)]),
    ],
)
def test_a_condition_is_about_the_first_attack_on_every_arm_with_noise_unless_it_names_others(
    text: str, expected: list[tuple[str, str | None, bool]]
) -> None:
    assert found(text) == expected


def test_the_plain_arm_is_checked_where_it_is_alone() -> None:
    alone = result(study(arms=[arm("none", "no noise", 0.75, None)]))
    assert found("auc>0.7", alone) == [("none", "lira", True)]


def test_what_cannot_be_checked_is_a_failure() -> None:
    mask = arm(MASK, "mask", 0.5, -0.25)
    unknown: dict[str, Any] = {"accuracy": None, "delta": None, "epsilon_provable": None}
    attacks = [one.model_copy(update={"epsilon_lower_bound": None}) for one in mask.attacks]
    mask = mask.model_copy(update={**unknown, "attacks": attacks})
    plain = arm("none", "no noise", 0.75, None)
    record = result(study().model_copy(update={"arms": [plain, mask], "lost": [LOST]}))
    lost = (LOST.key, None, False)
    assert found("auc>0.55", record) == [lost]
    assert found("accuracy<0.5", record) == [(MASK, None, False), lost]
    assert found("epsilon>1", record) == [(MASK, "lira", False), lost]
    assert found("dropout:auc>0.55", record) == [lost]
    assert found("none:auc>0.8", record) == []
    assert found("gausian-mask:auc>0.55", record) == [("", None, False)]
    texts = [str(failure) for failure in failures(record, [parse_condition("accuracy<50%")])]
    assert texts == [
        f"accuracy<50% cannot be checked for {MASK}: the predictions of its models are not known",
        "accuracy<50% cannot be checked for dropout:rate=0.9: too many of its models diverged (4)",
    ]


def test_a_failure_is_one_line_with_the_number_and_its_study() -> None:
    (failure,) = failures(result(study()), [parse_condition("auc>0.55")])
    assert str(failure) == f"auc>0.55 is met by {MASK}, lira: auc 0.7 [0.6877, 0.7123]"
    two = result(study(), study())
    lines = [str(one) for one in failures(two, [parse_condition("tpr@0.01>5%")])]
    assert len(lines) == 4
    assert lines[0].endswith(f", seed 5, {MASK}, lira: tpr@0.01 22 % [21.5, 22.5]")
    (unknown,) = failures(two, [parse_condition("lria:auc>0.5")])
    assert "did you mean 'lira'?" in str(unknown)


def test_a_condition_that_must_hold_is_one_that_the_interval_proves() -> None:
    """The AUC of LiRA is 0.70 with the mask and 0.501 with DP-SGD, both ± 0.0123."""
    record = result(study())
    for text, failing in (
        ("auc<0.72", []),
        ("auc<0.705", [MASK]),  # the interval contains the limit
        ("auc<0.6", [MASK]),
        ("auc<0.505", [MASK, DP]),
        ("auc>0.4", []),
        ("nothing:auc<0.9", [""]),  # cannot be checked, which is no proof
    ):
        failed = failures(record, [parse_condition(text, must_hold=True)])
        assert [failure.arm for failure in failed] == failing, text
    (line,) = map(str, failures(record, [parse_condition("auc<0.705", must_hold=True)]))
    assert line == f"auc<0.705 is not met by {MASK}, lira: auc 0.7 [0.6877, 0.7123]"


def test_what_passes_is_told_as_well() -> None:
    outcomes = check(result(study()), [parse_condition("auc>0.6")])
    assert [outcome.is_failure for outcome in outcomes] == [True, False]
    assert [str(outcome) for outcome in outcomes] == [
        f"auc>0.6 is met by {MASK}, lira: auc 0.7 [0.6877, 0.7123]",
        f"auc>0.6 is not met by {DP}, lira: auc 0.501 [0.4887, 0.5133]",
    ]


def test_the_record_of_conditions_has_the_numbers_that_decided() -> None:
    """The AUC of LiRA is 0.70 ± 0.0123 with the mask, and ε at least 0.32."""
    conditions = [parse_condition("auc<0.705", must_hold=True), parse_condition("epsilon>0.1")]
    record = conditions_record(check(result(study()), conditions))
    assert record["passed"] is False
    undecided, _, epsilon, _ = record["outcomes"]
    assert (undecided["option"], undecided["arm"]) == ("--fail-unless", MASK)
    assert (undecided["met"], undecided["failed"]) == (False, True)
    numbers = [undecided[name] for name in ("value", "low", "high")]
    assert numbers == pytest.approx([0.7, 0.6877, 0.7123])
    assert epsilon["low"] == epsilon["high"] == epsilon["value"] > 0.1
    assert (epsilon["met"], epsilon["failed"]) == (True, True)

    passed = conditions_record(check(result(study()), [parse_condition("auc>0.8")]))
    assert passed["passed"] is True
    assert [outcome["failed"] for outcome in passed["outcomes"]] == [False, False]


def test_the_page_shows_the_record_of_conditions() -> None:
    page = blocks(DOCS / "howto" / "ci.md")
    (shown,) = [json.loads(block.text) for block in page if block.language == "json"]
    record = conditions_record(check(result(study()), [parse_condition("auc>0.55")]))
    assert list(shown) == list(record)
    assert list(shown["outcomes"][0]) == list(record["outcomes"][0])
