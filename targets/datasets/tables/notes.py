"""Words for columns in the notes and errors about a table."""

from collections.abc import Iterable

MOST_NAMES = 10


def listed(names: Iterable[str]) -> str:
    """Returns names in quotes, the first ten of them.

    >>> listed(["a", "b c"])
    "'a', 'b c'"
    """
    quoted = [repr(name) for name in names]
    if len(quoted) <= MOST_NAMES:
        return ", ".join(quoted)
    return f"{', '.join(quoted[:MOST_NAMES])} and {len(quoted) - MOST_NAMES} more"


def columns(names: list[str]) -> str:
    """Returns names after the word column or columns.

    >>> columns(["a"]), columns(["a", "b"])
    ("Column 'a'", "Columns 'a', 'b'")
    """
    return f"Column{'s' if len(names) > 1 else ''} {listed(names)}"
