"""When a claim holds."""

import math

import pytest

from mgaudit.papers.claim import Claim, Measured, NotRun
from mgaudit.papers.reproduction import judge
from mgaudit.papers.statistics import log_log_slope


@pytest.mark.parametrize(
    ("numbers", "holds"),
    [
        ({"value": 0.05, "at_most": 0.1}, True),
        ({"value": 0.1, "at_most": 0.1}, True),
        ({"value": 0.11, "at_most": 0.1}, False),
        ({"value": -0.2, "at_least": -0.1, "at_most": 0.1}, False),
        ({"value": 0.05, "low": 0.01, "high": 0.09, "at_least": 0.0, "at_most": 0.1}, True),
        ({"value": 0.05, "low": -0.01, "high": 0.09, "at_least": 0.0}, False),
        ({"value": 0.05, "low": 0.01, "high": 0.11, "at_most": 0.1}, False),
        ({"value": 0.5, "low": 0.4, "high": 0.6, "at_most": 0.1}, False),
    ],
)
def test_a_claim_holds_where_the_whole_interval_is_allowed(
    numbers: dict[str, float], holds: bool
) -> None:
    assert Measured("q", **numbers).holds is holds


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"value": 1.0, "at_most": 2.0, "low": 0.5}, "low and high must be given together"),
        (
            {"value": 1.0, "at_most": 2.0, "low": 1.5, "high": 2.0},
            "must be finite and contain the number 1.0",
        ),
        ({"value": math.nan, "at_most": 2.0}, "must be finite and contain the number nan"),
        ({"value": math.inf, "at_most": 2.0}, "must be finite"),
        ({"value": 1.0}, "must allow some numbers and not others"),
        ({"value": 1.0, "at_least": 2.0, "at_most": 1.0}, "must allow some numbers and not others"),
    ],
)
def test_what_cannot_decide_is_refused(numbers: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Measured("q", **numbers)


def test_verdicts() -> None:
    def verdict(outcome: Measured | NotRun) -> str:
        return judge(Claim("key", "statement", "place", lambda data: outcome), {}).verdict

    assert verdict(Measured("q", 1.0, at_most=2.0)) == "holds"
    assert verdict(Measured("q", 3.0, at_most=2.0)) == "does not hold"
    assert verdict(NotRun("too large")) == "not run here"
    judged = judge(Claim("key", "statement", "place", lambda data: NotRun("too large")), {})
    assert (judged.why, judged.value) == ("too large", None)


def test_slope_of_a_power_law() -> None:
    assert log_log_slope(
        [0.1, 0.2, 0.5], [3 * 0.1**2.5, 3 * 0.2**2.5, 3 * 0.5**2.5]
    ) == pytest.approx(2.5)
    with pytest.raises(ValueError, match="must be > 0"):
        log_log_slope([0.0, 1.0], [1.0, 2.0])
