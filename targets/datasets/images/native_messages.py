"""Messages that C libraries print to standard error."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def without_native_messages() -> Iterator[None]:
    """Discards what the process writes to standard error, which C libraries do without Python."""
    try:
        saved = os.dup(STDERR)
    except OSError:  # standard error is closed
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, STDERR)
        yield
    finally:
        os.dup2(saved, STDERR)
        os.close(saved)
        os.close(null)
