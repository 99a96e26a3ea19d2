"""The failure of a run, and the log that explains it."""

import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgaudit.targets.own_module import error_line

if TYPE_CHECKING:
    from mgaudit.storage.run_folder import RunFolder


class RunFailedError(RuntimeError):
    """An audit that failed while it ran, because of `cause`.

    `folder` is its run directory, and `details` says where the log with the traceback is.
    """

    def __init__(self, cause: BaseException, folder: "RunFolder", details: str) -> None:
        super().__init__(f"{error_line(cause)}; {details}")
        self.cause = cause
        self.folder = folder
        self.details = details


def temporary_log(lines: Sequence[str]) -> str:
    """Writes a log into a temporary file, and returns where it is, or why it cannot be written."""
    text = "".join(f"{line}\n" for line in lines)
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            encoding="utf-8",
            errors="backslashreplace",
            prefix="mgaudit-",
            suffix=".log",
            delete=False,
        ) as log:
            log.write(text)
    except OSError as error:
        return f"the log with the details cannot be written ({error.strerror})"
    return f"see {log.name} for details"
