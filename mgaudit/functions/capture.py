"""What a user's code prints and warns of while it runs, instead of showing it."""

import io
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

LONGEST_LINE = 200  # characters that a note shows of a printed line


@dataclass
class Printed:
    """The first line that code printed, and its first warning; "" where there is none."""

    line: str = ""
    warning: str = ""


@contextmanager
def captured() -> Iterator[Printed]:
    """Keeps what this thread prints and warns of, and shows neither.

    Other threads, such as one that draws a progress bar, print as before.
    """
    printed = Printed()
    text = io.StringIO()
    streams = sys.stdout, sys.stderr
    thread = threading.get_ident()
    replaced: Any = [_OneThread(stream, text, thread) for stream in streams]
    sys.stdout, sys.stderr = replaced
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            yield printed
    finally:
        sys.stdout, sys.stderr = streams
        printed.line = _first_line(text.getvalue())
        if caught:
            warning = caught[0]
            printed.warning = _first_line(f"{warning.category.__name__}: {warning.message}")


class _OneThread:
    """A stream that keeps what one thread writes, and passes on what others write."""

    def __init__(self, stream: TextIO, text: io.StringIO, thread: int) -> None:
        self._stream = stream
        self._text = text
        self._thread = thread

    def write(self, text: str) -> int:
        """Keeps the text of one thread, and passes on that of others."""
        return self._target().write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes several texts."""
        self._target().writelines(lines)

    def flush(self) -> None:
        """Passes the flush of other threads on."""
        self._target().flush()

    def _target(self) -> TextIO:
        is_captured = threading.get_ident() == self._thread
        return self._text if is_captured else self._stream

    def __getattr__(self, name: str) -> Any:
        """Returns other attributes, such as the encoding, of the stream itself."""
        return getattr(self._stream, name)


def _first_line(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    first = next((line for line in lines if line), "")
    return first if len(first) <= LONGEST_LINE else f"{first[:LONGEST_LINE]}…"
