"""Classes that are one class in two spellings, such as "yes" and "Yes "."""

import re
import unicodedata
from collections.abc import Iterable

from mgaudit.errors import UsageError

WAY_OUT = "correct the labels, or rename one of the two if they are different classes"
NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?")
DASHES = re.compile("[\u2010-\u2015\u2212]")
QUOTES = "\"'`´‘’‚“”„«»"


def refuse_spellings(key: str, names: Iterable[str]) -> None:
    """Raises UsageError where two names of classes are probably one class in two spellings.

    >>> refuse_spellings("y", ["yes", "no", "maybe"])
    """
    name_of: dict[str, str] = {}
    for name in names:
        other = name_of.setdefault(plain_spelling(name), name)
        if other != name:
            rule = "must spell each class in one way"
            raise UsageError(key, rule, f"{other!r} and {name!r}", WAY_OUT)


def plain_spelling(name: str) -> str:
    """Returns a name without the differences that are not differences of classes.

    These are upper and lower case, blanks, invisible characters, quotes and a full stop at the end;
    blanks, hyphens and underscores between words; and the form of a number, as "1" and "1.0".

    >>> plain_spelling(" Iris_setosa."), plain_spelling("01"), plain_spelling("-1")
    ('iris setosa', '1.0', '-1.0')
    >>> plain_spelling("> 50K") == plain_spelling(">50k"), plain_spelling("A-") == "a"
    (True, False)
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    dashed = DASHES.sub("-", visible).strip()
    words = dashed.strip(QUOTES).strip().removesuffix(".").strip()
    if NUMBER.fullmatch(words):
        number = float(words)
        is_exact = abs(number) < 2**53  # larger numbers may be equal by rounding
        return repr(number + 0.0) if is_exact else words
    joined = re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", words)
    return re.sub(r"(?<=\W)\s+|\s+(?=\W)", "", joined)
