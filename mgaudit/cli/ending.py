"""How a command ends after an error: one line on stderr, an exit code, a log with the traceback."""

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from mgaudit.cli.console import err
from mgaudit.cli.empty_paths import refuse_empty_directories
from mgaudit.cli.encoding import replace_missing_characters
from mgaudit.cli.own_output import is_redirected
from mgaudit.cli.parser_errors import line_of
from mgaudit.cli.repeated_options import Group
from mgaudit.errors import ChangedSettingsWarning, UsageError
from mgaudit.exhausted import disk_line, is_disk_full, is_out_of_memory, memory_line
from mgaudit.failure import RunFailedError, temporary_log
from mgaudit.interrupts import (
    KEPT,
    described_interruption,
    exit_code,
    interrupt_on_signals,
    what_is_kept,
)
from mgaudit.targets.own_module import refused_os_exit

if TYPE_CHECKING:
    from mgaudit.storage.run_folder import RunFolder

FAILED, WRONG_USAGE, CONDITION_MET = 1, 2, 3
UNWRITABLE = (
    "error: the output cannot be written to stdout ({}); "
    "free disk space, or write it to another place"
)


class Commands(Group):
    """The group of all commands. An error in any of them is one line and an exit code."""

    def main(self, *arguments: Any, standalone_mode: bool = True, **options: Any) -> Any:
        """Runs the command that the arguments name, and exits unless `standalone_mode` is False."""
        options["standalone_mode"] = False
        if not standalone_mode:
            return super().main(*arguments, **options)
        _open_closed_stdout()
        interrupt_on_signals()
        replace_missing_characters()
        try:
            with refused_os_exit(), printed_warnings():
                words = options.get("args")
                refuse_empty_directories(sys.argv[1:] if words is None else words)
                code = super().main(*arguments, **options)
        except typer.Abort as error:
            print_error(described_interruption(error.__cause__))
            code = exit_code(error.__cause__)
        except SystemExit as error:
            is_pipe_closed = isinstance(error.__context__, OSError)
            if is_pipe_closed or not error.code:  # shell completion ends with code 0
                raise
            code = _ended_by(error)
        except Exception as error:
            code = _ended_by(error)
        sys.exit(_after_flush(code if isinstance(code, int) else 0))


def _open_closed_stdout() -> None:
    """Replaces a stdout that was closed before the start by one whose writes fail.

    Python ignores what is written to a closed stdout, and a command whose output is lost must not
    end with exit code 0.
    """
    if sys.stdout is None:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        sys.stdout = open(descriptor, "w", encoding="utf-8")  # noqa: SIM115


def _ended_by(error: BaseException) -> int:
    """Prints the line of an error that no command has handled, and returns the exit code."""
    if hasattr(error, "format_message"):  # what typer raises for the arguments that it parses
        return _ended_by_arguments(error)
    if isinstance(error, UsageError):
        print_error(f"error: {error}")
        return WRONG_USAGE
    if isinstance(error, OSError) and error.filename is None:
        # A failed write: outside of a run, only stdout is written.
        print_error(UNWRITABLE.format(error.strerror))
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes it when it ends
        return FAILED
    if is_out_of_memory(error):
        print_error(f"error: {memory_line(error)}")
        return FAILED
    log = temporary_log([traceback.format_exc()])
    print_error(f"error: the command failed: {described(error)}; {log}")
    return FAILED


def _ended_by_arguments(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        print_error(f"error: {line_of(error)}")
    return WRONG_USAGE


@contextmanager
def user_errors(kept: str = "") -> Iterator[None]:
    """Turns a mistake of the user into one line and exit code 2, an interruption into its code.

    `kept` says what remains after an interruption, unless the interruption says it itself.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        words = (described_interruption(error), what_is_kept(error) or kept)
        print_error("; ".join(filter(None, words)))
        raise typer.Exit(exit_code(error)) from None
    except (UsageError, OSError) as error:
        print_error(f"error: {described(error)}")
        raise typer.Exit(WRONG_USAGE) from None
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        print_error(f"error: {memory_line(error)}")
        raise typer.Exit(FAILED) from None


@contextmanager
def reported(what: str = "the audit", kept: str = KEPT) -> Iterator[None]:
    """Turns the failure of a run into one line, "`what` failed", and exit code 1.

    All other errors are turned as by `user_errors`.
    """
    try:
        with user_errors(kept):
            yield
    except RunFailedError as error:
        failure = described(error.cause, error.folder)
        print_error(f"error: {what} failed: {failure}; {error.details}")
        raise typer.Exit(FAILED) from error


def described(error: BaseException, folder: "RunFolder | None" = None) -> str:
    """Returns the error as one line: its message, with its type where the message is not enough.

    For an error of the file system, the line names the file, or else the directories of the run.

    >>> described(KeyError("logits")), described(ValueError("kappa must be >= 0"))
    ("KeyError: 'logits'", 'kappa must be >= 0')
    """
    if is_out_of_memory(error):
        return memory_line(error)
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and is_disk_full(error) and error.strerror:
        return disk_line(error, None if folder is None else folder.path)
    if isinstance(error, OSError) and error.strerror:
        if error.filename is None and folder is not None:
            from mgaudit.targets.cache import cache_folder

            folders = f"the run directory {folder.path} or the cache {cache_folder()}"
            return f"{error.strerror}, in {folders}"
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    is_plain = isinstance(error, OSError | ValueError | RuntimeError)
    if is_plain and message and not isinstance(error, RecursionError):
        return message
    return f"{type(error).__name__}: {message}".removesuffix(": ")


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Prints warnings about settings as one line on stderr each, also with --quiet.

    Those that come while stderr goes to the log of a run are printed at the end.
    """
    delayed: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", ChangedSettingsWarning)
        show_other = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            line = f"warning: {message}"
            if not issubclass(category, ChangedSettingsWarning):
                show_other(message, category, *place)
            elif is_redirected():
                delayed.append(line)
            else:
                print_error(line, "yellow")

        warnings.showwarning = show  # type: ignore[assignment]
        try:
            yield
        finally:
            for line in delayed:
                print_error(line, "yellow")


def print_error(line: str, style: str = "red") -> None:
    """Prints one line on stderr, as far as that can be written."""
    with contextlib.suppress(OSError, SystemExit):  # rich exits where the reader of a pipe is gone
        err.print(Text(" ".join(line.split()), style=style), soft_wrap=True)


def _after_flush(code: int) -> int:
    """Returns the exit code, that of a failure where stdout could not be written."""
    if not _can_flush(sys.stdout):
        print_error(UNWRITABLE.format("flush failed"))
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        code = code or FAILED
    if not _can_flush(sys.stderr):
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    return code


def _can_flush(stream: Any) -> bool:
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        return False
    return True
