"""The text of a run's settings.toml, whose first line is the SHA-256 of all others.

The line is a comment, so that the file can be read and edited as any other TOML file, and it stays
with the settings where the file is copied. A file that was edited or cut after the run is known by
it. Without such a line, a file is the user's own.
"""

import hashlib
import re

START = "# SHA-256"
DIGEST = re.compile(r"[0-9a-f]{64}")


def with_checksum(settings: str) -> str:
    """Returns the settings with the line of their SHA-256 before them."""
    return f"{_line(settings)}\n{settings}"


def was_changed(text: str) -> bool:
    """Returns whether a text has the line of `with_checksum`, but other settings below it.

    >>> was_changed(with_checksum("seed = 1\\n")), was_changed("seed = 1\\n")
    (False, False)
    >>> was_changed(with_checksum("seed = 1\\n").replace("1", "2"))
    True
    """
    line, _, settings = text.removeprefix("\ufeff").replace("\r\n", "\n").partition("\n")
    return is_checksum_line(line) and line != _line(settings)


def is_checksum_line(line: str) -> bool:
    """Returns whether a line is that of a checksum, also where one character of it was changed."""
    is_comment = line.startswith("#")
    return is_comment and (line.startswith(START) or DIGEST.search(line) is not None)


def _line(settings: str) -> str:
    sha256 = hashlib.sha256(settings.encode()).hexdigest()
    return f"{START} of the lines below, as the run wrote them: {sha256}"
