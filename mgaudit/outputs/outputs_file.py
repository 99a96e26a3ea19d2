"""What a file or directory of outputs holds."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

FileKind: TypeAlias = Literal["npz", "csv", "parquet", "lira"]


@dataclass(frozen=True)
class OutputsFile:
    """The arguments of `mgaudit.score` in a file.

    Args:
        kind: Kind of file.
        description: What was read, in one line.
        arguments: Arguments of `mgaudit.score` by name. Arrays of npz files are as stored.
        classes: Names of the classes in the order of their numbers; empty where a file has none.
        origins: Where each example comes from, such as "line 17"; empty for arrays.
        models: Names of the models in the order of their axis; empty for arrays.
    """

    kind: FileKind
    description: str
    arguments: dict[str, Any]
    classes: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def shown(path: Path) -> str:
    """Returns a path as text; bytes of its name that are not UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def natural_order(text: str) -> tuple[tuple[int, int, str], ...]:
    """Returns a key that sorts numbers in texts by their value.

    >>> sorted(["model 10", "model 9", "model"], key=natural_order)
    ['model', 'model 9', 'model 10']
    """
    parts = re.split(r"(\d+)", text)
    return tuple(
        (0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part
    )


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun.

    >>> counted(1, "model"), counted(2, "model"), counted(2, "class"), counted(2, "query")
    ('1 model', '2 models', '2 classes', '2 queries')
    """
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"
