"""The range of a setting, which checks, errors, help texts and the list of schemes read."""

import math
from dataclasses import dataclass
from typing import Any, get_args

# Bits of a whole number without its sign, as in TOML; numpy and torch do not support larger ones.
MOST_BITS = 63


def fits_64_bits(value: object) -> bool:
    """Returns False for a whole number that is too large for numpy and torch, otherwise True."""
    return not isinstance(value, int) or value.bit_length() <= MOST_BITS


@dataclass(frozen=True)
class Range:
    """Finite numbers from `low` to `high`; `low_open` and `high_open` exclude these two numbers.

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
        # isfinite fails for an int that is too large for a float.
        finite = isinstance(value, int) or math.isfinite(value)
        return above and below and finite

    def __str__(self) -> str:
        above = ">" if self.low_open else ">="
        below = "<" if self.high_open else "<="
        text = f"{above} {self.low:g}"
        return text if self.high == math.inf else f"{text} and {below} {self.high:g}"


def range_in(hint: Any) -> Range | None:
    """Returns the range in a type hint such as `Annotated[float, Range(0)] | None`.

    The result is None for a hint without a range.
    """
    if isinstance(hint, Range):
        return hint
    for argument in get_args(hint):
        limits = range_in(argument)
        if limits is not None:
            return limits
    return None
