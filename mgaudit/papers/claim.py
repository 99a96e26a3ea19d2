"""What a paper claims, what came out here, and the verdict."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mgaudit.attacks.intervals import Interval

Row = dict[str, str | float]
Data = dict[str, list[Row]]


@dataclass(frozen=True)
class Measured:
    """The number that decides a claim, and the values of it that the claim allows, bounds included.

    `quantity` says in words what the number is. `low` and `high` are its 95 % interval, given together or, for a number
    without chance in it, not at all. Raises ValueError for a number or an interval that is not finite, an interval that
    does not hold the number, and bounds that allow everything or nothing.
    """

    quantity: str
    value: float
    at_least: float = -math.inf
    at_most: float = math.inf
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"low and high must be given together, got {self.low} and {self.high}")
        low, high = self.reach
        if not (math.isfinite(low) and math.isfinite(high) and low <= self.value <= high):
            raise ValueError(f"the interval must be finite and hold the number {self.value}, got [{low}, {high}]")
        if not self.at_least <= self.at_most or (math.isinf(self.at_least) and math.isinf(self.at_most)):
            raise ValueError(
                f"at_least and at_most must allow some numbers and not others, got {self.at_least} and {self.at_most}"
            )

    @classmethod
    def with_interval(
        cls, quantity: str, interval: Interval, at_least: float = -math.inf, at_most: float = math.inf
    ) -> "Measured":
        """Returns the number in the middle of an interval, with the interval."""
        return cls(quantity, interval.value, at_least, at_most, interval.low, interval.high)

    @property
    def reach(self) -> tuple[float, float]:
        """The interval, or the number twice where it has none."""
        return (self.value, self.value) if self.low is None or self.high is None else (self.low, self.high)

    @property
    def holds(self) -> bool:
        """Whether all that the interval holds is allowed, so that chance alone seldom lets a false claim pass."""
        low, high = self.reach
        return self.at_least <= low and high <= self.at_most


@dataclass(frozen=True)
class NotRun:
    """Why a claim was not put to the test."""

    why: str


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, `place` saying where in it, and the check that judges it from a figure's data.

    `statement` is in our words. What a paper leaves open has the place "open question", and the statement is then the
    answer that its argument suggests.
    """

    key: str
    statement: str
    place: str
    check: Callable[[Data], Measured | NotRun]
