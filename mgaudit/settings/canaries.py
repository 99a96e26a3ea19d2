"""The setting of canaries in the pool of a study, as in mislabelled:100."""

from dataclasses import dataclass

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.targets.datasets.pool_canaries import KINDS, PoolCanaryKind

DEFAULT_NUMBER = 100
MOST_DIGITS = 9
RULE = f"must be {', '.join(KINDS[:-1])} or {KINDS[-1]} with a number >= 1, as in mislabelled:100"


@dataclass(frozen=True)
class CanariesChoice:
    """The kind and the number (>= 1) of the canaries in every arm."""

    kind: PoolCanaryKind
    number: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}"


def canaries_choice(value: object) -> CanariesChoice | None:
    """Returns the canaries that a text names, 100 of them without a number; None for "none".

    A choice and None are returned unchanged. Raises UsageError for another value.

    >>> str(canaries_choice("noise"))
    'noise:100'
    """
    if value is None or isinstance(value, CanariesChoice):
        return value
    if not isinstance(value, str):
        raise UsageError("", RULE, repr(value))
    if value == "none":
        return None
    kind, colon, number = value.partition(":")
    if kind not in KINDS:
        raise UsageError("", RULE, repr(value), did_you_mean(kind, KINDS))
    if not colon:
        return CanariesChoice(kind, DEFAULT_NUMBER)
    is_number = number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS
    if not is_number or int(number) < 1:
        is_large = number.isdecimal() and len(number) > MOST_DIGITS
        way_out = "at most half of the examples can be canaries" if is_large else ""
        raise UsageError("", RULE, repr(value), way_out)
    return CanariesChoice(kind, int(number))


def canaries_text(choice: CanariesChoice | None) -> str | None:
    """Returns the canaries as a setting; None without any."""
    return None if choice is None else str(choice)
