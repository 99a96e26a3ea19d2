"""The rules of the verdict at each boundary, in their order, and what two outcomes are together."""

from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgaudit.analysis.verdict_rules import (
    DIRECTIONS,
    HIGHER_AVERAGE,
    LOWER_AVERAGE,
    Contrasts,
    chance_outcome,
    combined_outcome,
    compared_outcome,
    contradicts,
    leaves_open,
)
from mgaudit.reports.arm_verdict import Outcome
from mgaudit.reports.record import Estimate

M = 0.0625  # a margin without rounding in binary
STEP = 2.0**-40
LEAK = (0.5, 0.6)  # own values far above chance
AGAINST_CHANCE = {"leaks", "leaks, by an uncertain amount", "no leak that matters", "undecided"}
COMPARED = set(get_args(Outcome)) - AGAINST_CHANCE | {"undecided"}
UNCERTAIN = ", by an uncertain amount"


def interval(low: float, high: float) -> Estimate:
    return Estimate(value=(low + high) / 2, low=low, high=high)


def of_auc(
    low: float,
    high: float,
    own: tuple[float, float] = LEAK,
    plain: tuple[float, float] = LEAK,
) -> Outcome:
    """The outcome for a difference in [low, high] and a margin M."""
    return compared_outcome(
        Contrasts(
            own=interval(*own),
            plain=interval(*plain),
            change=interval(low, high),
            above_lower=interval(low + M, high + M),
            above_upper=interval(low - M, high - M),
            least_leak=M,
        )
    )


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-M + STEP, M - STEP, "no difference that matters"),
        (-M, M - STEP, "undecided"),
        (-M + STEP, M, "undecided"),
        (-M - STEP, M - STEP, "undecided"),
        # Both signs within the margin are no difference that matters, even if significant.
        (STEP, M - STEP, "no difference that matters"),
        (-M + STEP, -STEP, "no difference that matters"),
        (M, 2 * M, "exposes more"),
        (M - STEP, 2 * M, f"exposes more{UNCERTAIN}"),
        (STEP, M, f"exposes more{UNCERTAIN}"),
        (0.0, M, "undecided"),
        (-2 * M, -M, "protects"),
        (-2 * M, -M + STEP, f"protects{UNCERTAIN}"),
        (-M, -STEP, f"protects{UNCERTAIN}"),
        (-M, 0.0, "undecided"),
        (-1.0, 1.0, "undecided"),
    ],
)
def test_the_outcome_of_a_difference_at_each_boundary(
    low: float, high: float, outcome: Outcome
) -> None:
    assert of_auc(low, high) == outcome


@pytest.mark.parametrize("change", [(-2 * M, -M), (0.0, 0.0), (M, 2 * M), (-1.0, 1.0)])
def test_nothing_to_protect_needs_both_arms_near_chance_and_comes_first(
    change: tuple[float, float],
) -> None:
    below = (-1.0, M - STEP)
    assert of_auc(*change, own=below, plain=below) == "nothing to protect"
    for own, plain in [((-1.0, M), below), (below, (-1.0, M))]:
        assert of_auc(*change, own=own, plain=plain) != "nothing to protect"


def test_a_relative_margin_reads_the_contrasts_with_the_plain_arm() -> None:
    """A TPR of 4 % +- 1 % against 5 %: a fifth less is not proved, although it is 1 point less."""

    def of_tpr(low: float, high: float, plain: float = 0.05) -> Outcome:
        return compared_outcome(
            Contrasts(
                own=interval(low, high),
                plain=interval(plain, plain),
                change=interval(low - plain, high - plain),
                above_lower=interval(low - 0.8 * plain, high - 0.8 * plain),
                above_upper=interval(low - 1.2 * plain, high - 1.2 * plain),
                least_leak=0.002,
            )
        )

    assert of_tpr(0.03, 0.0399) == "protects"
    assert of_tpr(0.03, 0.0401) == f"protects{UNCERTAIN}"
    assert of_tpr(0.0401, 0.0599) == "no difference that matters"
    assert of_tpr(0.0399, 0.0599) == "undecided"
    assert of_tpr(0.0501, 0.0601) == f"exposes more{UNCERTAIN}"
    assert of_tpr(0.0601, 0.07) == "exposes more"
    # With a plain arm of half that TPR, the same numbers expose more.
    assert of_tpr(0.0401, 0.0599, plain=0.025) == "exposes more"


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_outcomes_are_symmetric_in_the_sign(first: float, second: float) -> None:
    low, high = sorted((first, second))
    swapped = {
        "protects": "exposes more",
        f"protects{UNCERTAIN}": f"exposes more{UNCERTAIN}",
    }
    swapped |= {exposes: protects for protects, exposes in swapped.items()}
    outcome = of_auc(low, high)
    assert of_auc(-high, -low) == swapped.get(outcome, outcome)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1))
def test_no_outcome_contradicts_a_value_in_the_interval(
    first: float, second: float, share: float
) -> None:
    low, high = sorted((first, second))
    true = low + share * (high - low)
    holds = {
        "no difference that matters": -M < true < M,
        "exposes more": true >= M,
        f"exposes more{UNCERTAIN}": true > 0,
        "protects": true <= -M,
        f"protects{UNCERTAIN}": true < 0,
        "undecided": True,
    }
    if low <= true <= high:  # which rounding may prevent
        assert holds[of_auc(low, high)]


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (M, 0.5, "leaks"),
        (M - STEP, 0.5, f"leaks{UNCERTAIN}"),
        (STEP, M, f"leaks{UNCERTAIN}"),
        # Significant and too small to matter.
        (STEP, M - STEP, "no leak that matters"),
        (-0.5, M - STEP, "no leak that matters"),
        (-0.5, -STEP, "no leak that matters"),
        (-0.5, M, "undecided"),
        (0.0, M, "undecided"),
    ],
)
def test_the_outcome_against_chance_at_each_boundary(
    low: float, high: float, outcome: Outcome
) -> None:
    assert chance_outcome(interval(low, high), M) == outcome


@pytest.mark.parametrize(
    ("auc", "tpr", "together"),
    [
        ("protects", "protects", "protects"),
        ("protects", f"protects{UNCERTAIN}", f"protects{UNCERTAIN}"),
        (f"protects{UNCERTAIN}", "protects", f"protects{UNCERTAIN}"),
        ("protects", None, "protects on average"),
        ("protects", "undecided", "protects on average"),
        ("protects", "no difference that matters", "protects on average"),
        ("protects", "nothing to protect", "protects on average"),
        (f"protects{UNCERTAIN}", None, f"protects{UNCERTAIN}"),
        ("undecided", "protects", "protects the most exposed examples"),
        ("exposes more", f"exposes more{UNCERTAIN}", f"exposes more{UNCERTAIN}"),
        ("exposes more", "undecided", "exposes more on average"),
        ("exposes more", None, "exposes more"),
        (
            "no difference that matters",
            f"exposes more{UNCERTAIN}",
            "exposes the most exposed examples more",
        ),
        ("protects", f"exposes more{UNCERTAIN}", LOWER_AVERAGE),
        (f"protects{UNCERTAIN}", "exposes more", LOWER_AVERAGE),
        (f"exposes more{UNCERTAIN}", "protects", HIGHER_AVERAGE),
        ("nothing to protect", "no difference that matters", "no difference that matters"),
        ("nothing to protect", "nothing to protect", "nothing to protect"),
        ("nothing to protect", "undecided", "undecided"),
        ("undecided", "no difference that matters", "undecided"),
        ("leaks", "no leak that matters", "leaks"),
        ("no leak that matters", f"leaks{UNCERTAIN}", f"leaks{UNCERTAIN}"),
        (f"leaks{UNCERTAIN}", "leaks", "leaks"),
        ("no leak that matters", "undecided", "undecided"),
        ("undecided", "leaks", "leaks"),
        ("no leak that matters", None, "no leak that matters"),
    ],
)
def test_two_outcomes_together(auc: Outcome, tpr: Outcome | None, together: str) -> None:
    assert combined_outcome(auc, tpr) == together


def test_only_two_unqualified_outcomes_protect_without_a_qualification() -> None:
    for auc, tpr in product(COMPARED, [*COMPARED, None]):
        together: Any = combined_outcome(auc, tpr)
        assert (together == "protects") is (auc == tpr == "protects")
        directions = {DIRECTIONS.get(auc, 0), 0 if tpr is None else DIRECTIONS.get(tpr, 0)}
        assert together.startswith("mixed") is ({-1, 1} == directions)
        assert ("protect" in together and "nothing" not in together) is (-1 in directions) or (
            together.startswith("mixed")
        )


def test_an_attack_through_the_noise_leaves_open_whether_the_noise_protects() -> None:
    for first in ("protects", f"protects{UNCERTAIN}"):
        for other in ("no difference that matters", "undecided", "exposes more", "leaks"):
            assert leaves_open(other, first)
        for other in ("protects", f"protects{UNCERTAIN}", "nothing to protect"):
            assert not leaves_open(other, first)
    for first in ("undecided", "exposes more", "no difference that matters"):
        assert not leaves_open("undecided", first)


def test_another_attack_contradicts_by_an_effect_in_another_direction_only() -> None:
    assert contradicts("exposes more", "protects")
    assert contradicts(f"exposes more{UNCERTAIN}", "protects")
    assert contradicts("protects", f"exposes more{UNCERTAIN}")
    assert not contradicts("protects", f"protects{UNCERTAIN}")
    assert contradicts("exposes more", "no difference that matters")
    assert not contradicts(f"exposes more{UNCERTAIN}", "no difference that matters")
    assert contradicts(f"protects{UNCERTAIN}", "undecided")
    assert contradicts(f"exposes more{UNCERTAIN}", "nothing to protect")
    assert contradicts("leaks", "no leak that matters")
    assert not contradicts(f"leaks{UNCERTAIN}", "no leak that matters")
    assert contradicts(f"leaks{UNCERTAIN}", "undecided")
    for other in ("undecided", "no difference that matters", "no leak that matters"):
        assert not contradicts(other, "leaks")
        assert not contradicts(other, "protects")
