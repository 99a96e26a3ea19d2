"""Classes that are one class in two spellings, such as "yes" and "Yes "."""

import unicodedata
from collections.abc import Iterable

from mgaudit.errors import UsageError

WAY_OUT = "correct the labels, or rename one of the two if they are different classes"


def refuse_spellings(key: str, names: Iterable[str]) -> None:
    """Raises UsageError where two names of classes are probably one class in two spellings.

    The spellings differ in upper and lower case, blanks, an invisible character or a full stop at
    the end, or in the form of a number, as "1" and "1.0".

    >>> refuse_spellings("y", ["yes", "no", "maybe"])
    """
    name_of: dict[str, str] = {}
    for name in names:
        other = name_of.setdefault(_plain(name), name)
        if other != name:
            rule = "must spell each class in one way"
            raise UsageError(key, rule, f"{other!r} and {name!r}", WAY_OUT)


def _plain(name: str) -> str:
    """Returns a name without the differences that are not differences of classes."""
    text = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    words = " ".join(visible.split()).removesuffix(".").rstrip()
    try:
        number = float(words)
    except ValueError:
        return words
    is_exact = number == number and abs(number) < 2**53  # larger numbers may be equal by rounding
    return repr(number + 0.0) if is_exact else words
