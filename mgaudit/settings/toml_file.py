"""Settings in TOML files."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mgaudit.errors import UsageError
from mgaudit.targets.ranges import fits_64_bits

MOST_BYTES = 1_000_000
WAY_OUT = "repair it, or see `mgaudit list studies` for files that are right"


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the values in a settings file.

    Raises UsageError, which names file and line, where the file is not TOML.
    """
    key = f"the settings file {path}"
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        rule = f"cannot be read: {error.strerror}"
        raise UsageError(key, rule, None, "give the path of a TOML file") from error
    if len(content) > MOST_BYTES:
        rule = f"must have at most {MOST_BYTES:,} bytes"
        raise UsageError(key, rule, "more", "give a TOML file of settings")
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        rule = "is not TOML of settings: it is nested too deeply"
        raise UsageError(key, rule, None, WAY_OUT) from error
    except ValueError as error:  # also for bytes that are not text
        raise UsageError(key, f"is not TOML: {error}", None, WAY_OUT) from error
    if not all(fits_64_bits(value) for value in _leaves(values)):
        rule = "is not TOML: a whole number must have at most 64 bits"
        raise UsageError(key, rule, None, WAY_OUT)
    return values


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
