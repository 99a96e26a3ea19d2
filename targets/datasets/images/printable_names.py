"""Names of files and folders as text that can be printed and written to a result."""

import os
import unicodedata
from collections.abc import Sequence

# Control characters, and separators of lines and paragraphs.
ESCAPED_CATEGORIES = ("Cc", "Zl", "Zp")


def printable(name: str) -> str:
    r"""Returns the name of a file as one line of UTF-8, with escapes for what cannot be printed.

    A name may be any bytes. Python's text of it has a surrogate for each byte that is not UTF-8.

    >>> print(printable("caf\udce9.png"), printable("two\nlines"), printable("chien été 🐕"))
    caf\xe9.png two\nlines chien été 🐕
    """
    if name.isascii() and name.isprintable():
        return name
    utf8 = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(_escaped(character) for character in utf8)


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in ESCAPED_CATEGORIES:
        return character
    return character.encode("unicode_escape").decode()


def printable_and_unique(names: Sequence[str]) -> tuple[str, ...]:
    r"""Returns the printable names. A number follows a name that would be equal to another.

    The `names` differ from one another. Names that need no escapes are returned unchanged.

    >>> print(*printable_and_unique(["\udce9", r"\xe9"]))
    \xe9 (2) \xe9
    """
    texts = [printable(name) for name in names]
    taken = {text for name, text in zip(names, texts, strict=True) if name == text}
    unique = []
    for name, text in zip(names, texts, strict=True):
        candidate, number = text, 1
        while name != text and candidate in taken:
            number += 1
            candidate = f"{text} ({number})"
        taken.add(candidate)
        unique.append(candidate)
    return tuple(unique)


def comparable(name: str) -> str:
    r"""Returns a name without case, blanks and invisible characters, in one Unicode form.

    >>> comparable("Cafe\u0301 Noir ") == comparable("cafénoir")
    True
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(
        character
        for character in folded
        if not character.isspace() and unicodedata.category(character) != "Cf"
    )
