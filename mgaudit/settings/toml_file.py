"""Settings in TOML files."""

import tomllib
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mgaudit.errors import ChangedSettingsWarning, UsageError
from mgaudit.storage.settings_text import was_changed
from mgaudit.targets.home import with_home
from mgaudit.targets.ranges import fits_64_bits

MOST_BYTES = 1_000_000
WAY_OUT = "repair it, or see `mgaudit list studies` for files that are right"


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the values in a settings file.

    Raises UsageError, which names file and line, where the file is not TOML. Warns of a file that
    was changed after a run wrote it.
    """
    path = with_home(path, "settings")
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
        text = content.decode("utf-8-sig")
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        is_utf_16 = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        rule = f"must be text in UTF-8, and is {'UTF-16' if is_utf_16 else 'not'}"
        line = content[: error.start].count(b"\n") + 1
        value = f"byte 0x{content[error.start]:02x} in line {line}"
        raise UsageError(key, rule, value, "save it as UTF-8") from error
    except RecursionError as error:
        rule = "is not TOML of settings: it is nested too deeply"
        raise UsageError(key, rule, None, WAY_OUT) from error
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
