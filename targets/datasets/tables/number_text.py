"""Numbers, missing values, dates and times that are written as text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from mgaudit.targets.arrays.missing_text import MISSING

# What stands for a missing value in columns of numbers, but may be a category in others.
GAPS_IN_NUMBERS = frozenset({"-", "--", "–", "—", ".", "na", "n/a", "n.a.", "nan", "null", "<na>"})
INFINITIES = frozenset({"inf", "infinity"})
SIGN, EXPONENT = "[-+]?", r"(?:[eE][-+]?[0-9]+)?"
SPACES = "[ \u00a0\u2009\u202f]"
CURRENCY = "[$€£¥]?"
OTHER_MARKS = re.compile(
    rf"['(]?{CURRENCY}\s*[-+−]?\s*{CURRENCY}"
    rf"(?:[0-9][0-9.,'’_ \u00a0\u2009\u202f]*|[.,][0-9]+){EXPONENT}\s*[%‰$€£¥]?[')]?"
)
ANY_DECIMAL_COMMA = re.compile(rf"{SIGN}[0-9]*,[0-9]+{EXPONENT}")
THOUSANDS_COMMA = re.compile(rf"{SIGN}[1-9][0-9]{{0,2}}(?:,[0-9]{{3}})+")
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
DATE = re.compile(
    r"""
    (?: [0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}           # 2024-05-31
      | [0-9]{1,2}([-/.])[0-9]{1,2}\2(?:[0-9]{4}|[0-9]{2})  # 31.05.2024
      | [0-9]{4}-[0-9]{2}                               # 2024-05
      | [0-9]{1,2}[- ]?MONTH,?[- ]?[0-9]{2,4}           # 31 May 2024
      | MONTH\ [0-9]{1,2},?\ [0-9]{4}                  # May 31, 2024
    )
    (?: [T ]\s*[0-9]{1,2}:[0-9]{2}.* )?
    | [0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:\s*[AaPp][Mm])?
    | [0-9]{8}T[0-9]{4,6}.*
    """.replace("MONTH", MONTH),
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Marks:
    """The decimal mark, and the mark between thousands ("" for none, " " for any kind of blank)."""

    decimal: str = "."
    thousands: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        mark = SPACES if self.thousands == " " else re.escape(self.thousands)
        whole = "[0-9]+" if not mark else f"(?:[0-9]+|[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+)"
        decimal = re.escape(self.decimal)
        return re.compile(f"{SIGN}(?:{whole}(?:{decimal}[0-9]*)?|{decimal}[0-9]+){EXPONENT}")

    def number(self, text: str) -> int | float | None:
        """Returns the number that a text is; None for other texts.

        >>> Marks(",", ".").number("-1.234,5"), Marks().number("007"), Marks().number("1,5")
        (-1234.5, 7, None)
        """
        if text.lower().lstrip("+-") in INFINITIES:
            return float(text)
        if self._pattern.fullmatch(text) is None:
            return None
        if self.thousands:
            mark = SPACES if self.thousands == " " else re.escape(self.thousands)
            text = re.sub(mark, "", text)
        text = text.replace(self.decimal, ".")
        is_whole = re.fullmatch(f"{SIGN}[0-9]+", text) is not None
        # Python refuses to read whole numbers of thousands of digits.
        return int(text) if is_whole and len(text) < 1000 else float(text)


def is_gap(text: str) -> bool:
    """Returns whether a text in a column of numbers stands for a missing value.

    >>> is_gap("-"), is_gap("NA"), is_gap("none")
    (True, True, False)
    """
    return text in MISSING or text.lower() in GAPS_IN_NUMBERS


def is_date(text: str) -> bool:
    """Returns whether a text looks like a date or a time.

    >>> is_date("2024-05-31"), is_date("31.5.24 12:30"), is_date("12:30"), is_date("1.5")
    (True, True, True, False)
    """
    return DATE.fullmatch(text) is not None


def has_decimal_commas(texts: Iterable[str]) -> bool:
    """Returns whether texts are numbers with a decimal comma, and not with commas at thousands.

    >>> has_decimal_commas(["1,5", "2"]), has_decimal_commas(["1,500"]), has_decimal_commas(["2"])
    (True, False, False)
    """
    plain = Marks()
    has_comma = False
    for text in texts:
        if plain.number(text) is None and ANY_DECIMAL_COMMA.fullmatch(text) is None:
            return False
        has_comma |= "," in text and THOUSANDS_COMMA.fullmatch(text) is None
    return has_comma
