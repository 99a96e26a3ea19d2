"""The text of a dataset in a file or directory: `PATH`, `PATH#COLUMN` and `PATH,key=value,…`.

Paths may contain commas, `=`, `#` and `:`. The longest start of the text that is an existing file
is the path, so that the name of an existing file is never taken apart. A value ends where `,key=`
begins, so that `separator=,` needs no quotes. Other values are quoted as in CSV files:
`label="a, b=c"`.
"""

import os
import re
from collections.abc import Mapping

from mgaudit.errors import UsageError
from mgaudit.settings.choices import value_text

LABEL = "label"  # the option that may be written as #COLUMN
KEY = r"\s*[A-Za-z_]\w*\s*="
OPTION = re.compile(
    rf",(?P<key>{KEY})(?:\s*\"(?P<quoted>(?:[^\"]|\"\")*)\"\s*(?=,|$)|(?P<plain>.*?)(?=,{KEY}|$))",
    re.DOTALL,
)


def split_path(text: str, takes_label: bool) -> tuple[str, dict[str, str]]:
    """Returns the path and the texts of the options by name.

    Args:
        text: The text after `name:`.
        takes_label: Whether the dataset has an option `label`, which may be written as `#COLUMN`.

    Raises:
        UsageError: For options that are not of the form `key=value`, and for an option that is
            given twice. Its key is empty or the option.

    >>> split_path("table.csv#a b,separator=,,decimal=.", takes_label=True)
    ('table.csv', {'label': 'a b', 'separator': ',', 'decimal': '.'})
    """
    path, rest = _existing_path(text, takes_label) or _possible_path(text, takes_label)
    options: dict[str, str] = {}
    if rest.startswith("#"):
        column, rest = _until_option(rest[1:])
        options[LABEL] = column.strip()
    for key, value in _options(rest):
        if key in options:
            raise UsageError(key, "may be given once", f"{options[key]!r} and {value!r}")
        options[key] = value
    return path.strip(), options


def path_text(path: str, options: Mapping[str, object]) -> str:
    """Returns the text of a path with options, from which `split_path` returns both again.

    >>> path_text("table.csv", {"label": "income", "separator": ";"})
    'table.csv#income,separator=;'
    """
    texts = {key: value_text(value) for key, value in options.items()}
    text = path
    if LABEL in texts and _is_plain(texts[LABEL]):
        text += f"#{texts.pop(LABEL)}"
    for key, value in texts.items():
        text += f",{key}={value if _is_plain(value) else _quoted(value)}"
    return text


def _existing_path(text: str, takes_label: bool) -> tuple[str, str] | None:
    """Returns the longest start of the text that exists, and the rest; None if nothing exists.

    A file is preferred to a directory. After a directory, only options may follow, because a comma
    and a `#` may also be part of a longer path that does not exist.
    """
    marks = ",#" if takes_label else ","
    ends = [len(text), *(index for index in reversed(range(len(text))) if text[index] in marks)]
    for end in ends:
        if os.path.isfile(os.path.expanduser(text[:end].strip())):
            return text[:end], text[end:]
    for end in ends:
        follows = end == len(text) or OPTION.match(text, end)
        if follows and os.path.isdir(os.path.expanduser(text[:end].strip())):
            return text[:end], text[end:]
    return None


def _possible_path(text: str, takes_label: bool) -> tuple[str, str]:
    """Returns the path of a file that does not exist, and the rest, by the form of the text."""
    start, options = _until_option(text)
    if takes_label and "#" in start:
        path, _, column = start.rpartition("#")
        return path, f"#{column}{options}"
    return start, options


def _until_option(text: str) -> tuple[str, str]:
    """Returns the text before the first `,key=`, and the rest from there."""
    match = re.search(f",{KEY}", text)
    end = len(text) if match is None else match.start()
    return text[:end], text[end:]


def _options(text: str) -> list[tuple[str, str]]:
    """Returns the options, name and value, in the order of the text `,key=value,key=value`."""
    options = []
    end = 0
    while text[end:].strip(" ,"):
        match = OPTION.match(text, end)
        if match is None:
            raise UsageError("", "takes options as key=value", repr(text[end:].strip(" ,")))
        key = match["key"].removesuffix("=").strip()
        quoted, plain = match["quoted"], match["plain"]
        value = _stripped(plain) if quoted is None else quoted.replace('""', '"')
        if not value and quoted is None:
            raise UsageError(key, "needs a value", None, f"write {key}=VALUE")
        options.append((key, value))
        end = match.end()
    return options


def _stripped(value: str) -> str:
    """Returns the value without blanks around it; a value of blanks, such as a tab, is kept."""
    return value.strip() or value


def _is_plain(value: str) -> bool:
    """Returns whether a value needs no quotes."""
    is_stripped = value == value.strip() != ""
    has_option = re.search(f",{KEY}", value) is not None
    is_quoted = value.startswith('"')
    return is_stripped and not has_option and not is_quoted


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
