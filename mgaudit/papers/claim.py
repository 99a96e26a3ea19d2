"""Claims of a paper, the numbers that decide them, and the verdicts.

A claim is one statement of a paper. Its check computes a number from the data of a figure, and the
claim holds if the number, with its 95 % interval, is in the range that the claim allows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mgaudit.attacks.intervals import Interval

# The data of a figure: tables by name, each a list of rows. A row maps names of columns to cells,
# and leaves out columns that do not apply to it.
Row = dict[str, str | float]
Data = dict[str, list[Row]]


@dataclass(frozen=True)
class Measured:
    """The number that decides a claim, and the range of numbers for which the claim is true.

    `quantity` describes the number. The claim allows numbers from `at_least` to `at_most`, both
    included. `low` and `high` are the ends of the 95 % interval of `value`; both are None for a
    deterministic number.

    Raises:
        ValueError: For a number or an interval that is not finite, an interval that does not
            contain the number, and bounds that allow everything or nothing.
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
        is_finite = math.isfinite(low) and math.isfinite(high)
        if not (is_finite and low <= self.value <= high):
            rule = f"the interval must be finite and contain the number {self.value}"
            raise ValueError(f"{rule}, got [{low}, {high}]")
        allows_everything = math.isinf(self.at_least) and math.isinf(self.at_most)
        if allows_everything or not self.at_least <= self.at_most:
            rule = "at_least and at_most must allow some numbers and not others"
            raise ValueError(f"{rule}, got {self.at_least} and {self.at_most}")

    @classmethod
    def with_interval(
        cls,
        quantity: str,
        interval: Interval,
        at_least: float = -math.inf,
        at_most: float = math.inf,
    ) -> "Measured":
        """Returns the measurement whose number is the value of `interval`, a 95 % interval."""
        return cls(quantity, interval.value, at_least, at_most, interval.low, interval.high)

    @property
    def reach(self) -> tuple[float, float]:
        """The ends of the interval; without an interval, the number twice."""
        if self.low is None or self.high is None:
            return self.value, self.value
        return self.low, self.high

    @property
    def holds(self) -> bool:
        """Whether the claim allows all numbers of the interval, not only `value`.

        So a false claim seldom holds by chance.
        """
        low, high = self.reach
        return self.at_least <= low and high <= self.at_most


@dataclass(frozen=True)
class NotRun:
    """The result of a check that could not test its claim; `why` is the reason."""

    why: str


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, and the check that tests it with the data of a figure.

    `key` names the claim within its figure. `check` takes the data of the figure and returns the
    measured number, or `NotRun` if these data cannot decide the claim.

    `statement` is in our words, and `place` says where in the paper it is. For a question that the
    paper leaves open, `place` is "open question" and the statement is the answer that the paper's
    argument suggests.

    The quantity and its allowed range are fixed from the text before the measurement is looked at.
    If either was changed after that, `after_looking` is True, and the report says so.
    """

    key: str
    statement: str
    place: str
    check: Callable[[Data], Measured | NotRun]
    after_looking: bool = False
