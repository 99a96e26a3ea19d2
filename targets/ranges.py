"""The range that a setting must lie in, stated once: for the check, the error, the help and the list of schemes."""

import math
from dataclasses import dataclass
from typing import Any, get_args

MOST_BITS = 63  # of a whole number, as in TOML; numpy and torch hold no larger ones


def fits_64_bits(value: object) -> bool:
    """Returns whether a value is not a whole number that is too large to be computed with."""
    return not isinstance(value, int) or value.bit_length() <= MOST_BITS


@dataclass(frozen=True)
class Range:
    """Finite numbers from `low` to `high`; a bound that is `open` does not belong to it.

    >>> 0.0 in Range(0, 1, high_open=True), 1.0 in Range(0, 1, high_open=True)
    (True, False)
    >>> str(Range(0, 1, high_open=True))
    '>= 0 and < 1'
    """

    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return (
            above and below and (isinstance(value, int) or math.isfinite(value))
        )  # an int may be too large for a float

    def __str__(self) -> str:
        text = f"{'>' if self.low_open else '>='} {self.low:g}"
        return text if self.high == math.inf else f"{text} and {'<' if self.high_open else '<='} {self.high:g}"


def range_in(hint: Any) -> Range | None:
    """Returns the range in a type hint such as `Annotated[float, Range(0)] | None`, if there is one."""
    if isinstance(hint, Range):
        return hint
    return next((found for part in get_args(hint) if (found := range_in(part)) is not None), None)
