"""Settings in TOML files."""

import re
import tomllib
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mgaudit.errors import ChangedSettingsWarning, UsageError
from mgaudit.limits import SETTINGS_BYTES, SETTINGS_DEPTH
from mgaudit.storage.settings_text import was_changed
from mgaudit.targets.home import with_home
from mgaudit.targets.ranges import fits_64_bits

# What the depth of a text depends on: texts and comments, which count nothing, and marks.
TOKENS = re.compile(
    r"""\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*|[\[\]{}.,=\n]""", re.DOTALL
)
WAY_OUT = "repair it, or see `mgaudit list studies` for files that are right"


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the values in a settings file.

    Raises UsageError, which names file and line, where the file is not TOML. Warns of a file that
    was changed after a run wrote it.
    """
    path = with_home(path, "settings")
    key = f"the settings file {path}"
    content = _content(key, path)
    try:
        text = content.decode("utf-8-sig")
        SETTINGS_DEPTH.check(key, depth(text))
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        is_utf_16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        rule = f"must be text in UTF-8, and is {'UTF-16' if is_utf_16 else 'not'}"
        line = content[: error.start].count(b"\n") + 1
        value = f"byte 0x{content[error.start]:02x} in line {line}"
        raise UsageError(key, rule, value, "save it as UTF-8") from error
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(key, f"is not TOML: {error}", None, WAY_OUT) from error
    if not all(fits_64_bits(value) for value in _leaves(values)):
        rule = "is not TOML: a whole number must have at most 64 bits"
        raise UsageError(key, rule, None, WAY_OUT)
    if values and was_changed(text):
        message = (
            f"{key} was changed after a run wrote it, and is used as it is now; "
            "delete its first line to stop this warning"
        )
        warnings.warn(message, ChangedSettingsWarning, stacklevel=2)
    return values


def _content(key: str, path: Path) -> bytes:
    """Returns the bytes of a regular file. Raises UsageError for others, and for a large file."""
    way_out = "give the path of a TOML file"
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for a writer
            raise UsageError(key, "must be a file", "a directory, pipe or device", way_out)
        with path.open("rb") as file:
            content = file.read(SETTINGS_BYTES.most + 1)
            SETTINGS_BYTES.check(key, max(len(content), path.stat().st_size))
    except OSError as error:
        rule = f"cannot be read: {error.strerror}"
        raise UsageError(key, rule, None, way_out) from error
    return content


def depth(text: str) -> int:
    """Returns how deep a TOML text nests: brackets, and parts of a key.

    Python's reader of TOML needs the square of the depth in time and memory. The text need not be
    valid.

    >>> depth("a.b.c = [[1], {d = 2}]"), depth("x = '[[[['"), depth("[a.b]")
    (3, 1, 2)
    """
    deepest = 1
    open_brackets = 0
    parts = 1
    for token in TOKENS.finditer(text):
        mark = token.group()
        if mark == ".":
            parts += 1
        elif len(mark) == 1:
            parts = 1
            if mark in "[{":
                open_brackets += 1
            elif mark in "]}":
                open_brackets = max(open_brackets - 1, 0)
        deepest = max(deepest, open_brackets, parts)
    return deepest


def _leaves(value: object) -> Iterator[object]:
    """Yields the values in nested tables and lists that are themselves neither."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
