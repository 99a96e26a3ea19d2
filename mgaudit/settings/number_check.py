"""The check of a number against the type and the range of its setting."""

import math
from numbers import Integral, Real

from mgaudit.errors import UsageError
from mgaudit.settings.arguments import Argument
from mgaudit.targets.ranges import Range, fits_64_bits


def checked_number(value: object, is_whole: bool, limits: Range | None) -> int | float:
    """Returns a number of Python or numpy as an int or a float of Python.

    Raises UsageError, without a key, for a value that is not a number (not an integer type, if
    `is_whole`), and for a number outside `limits`. A bool is not a number.
    """
    kind = "a whole number" if is_whole else "a number"
    rule = f"must be {kind}" if limits is None else f"must be {kind} {limits}"
    number_type = Integral if is_whole else Real
    if isinstance(value, bool) or not isinstance(value, number_type):
        raise UsageError("", rule, f"{type(value).__name__}: {value!r}")
    number = int(value) if isinstance(value, Integral) else float(value)
    if not fits_64_bits(number):
        bits = int(number).bit_length()
        raise UsageError("", "must be a whole number of at most 64 bits", f"one of {bits} bits")
    if not math.isfinite(number):
        rule = rule.replace("a number", "a finite number")
    if limits is not None and number not in limits:
        raise UsageError("", rule, str(number))
    return number


def checked_argument(argument: Argument, value: object) -> int | float:
    """Returns the number given for an argument. Raises UsageError with the argument's name."""
    try:
        return checked_number(value, argument.kind is int, argument.limits)
    except UsageError as error:
        raise error.inside(argument.name) from error
