"""How commands speak to who runs them: results on stdout, progress and errors on stderr, exit codes."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from mgaudit.cli.bars import Shown
from mgaudit.reports.paper_document import summary, verdicts_table
from mgaudit.reports.reproduction import PaperResult
from mgaudit.reports.results import Result
from mgaudit.reports.table import Table
from mgaudit.reports.tables import accuracy_vs_privacy
from mgaudit.reports.verdict import verdict
from mgaudit.storage.run_folder import RunFolder

WRONG_USAGE, FAILED, INTERRUPTED = 2, 1, 130
WIDE = 100  # columns from which a table with many columns fits side by side
KEPT = "the models trained so far are kept, and the same command goes on from there"
SHORT = 72  # and one with few

out = Console(soft_wrap=False)
err = Console(stderr=True)


@contextmanager
def user_errors() -> Iterator[None]:
    """Turns what the user can mend into one line and exit code 2."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except (ValueError, OSError) as error:
        err.print(Text(f"error: {error}", style="red"), soft_wrap=True)
        raise typer.Exit(WRONG_USAGE) from None


@contextmanager
def told_in(folder: RunFolder, progress: Shown, what: str = "the audit", kept: str = KEPT) -> Iterator[None]:
    """Shows progress, keeps the log in the run folder, and turns what goes wrong in a run into an exit code.

    `what` is at work, and `kept` says what is there after an interruption.
    """
    try:
        with progress:
            yield
        folder.write_log(progress.lines)
    except KeyboardInterrupt:
        folder.discard_if_unfinished()
        err.print(f"interrupted; {kept}")
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        folder.write_log([*progress.lines, traceback.format_exc()])
        err.print(Text(f"{what} failed: {error}\nthe whole story is in {folder.path / 'log.txt'}", style="red"))
        raise typer.Exit(FAILED) from error


def print_result(result: Result) -> None:
    """Prints the main table and the verdict of each study."""
    for study in result.studies:
        if len(result.studies) > 1:
            out.print(Text(f"{study.name}, seed {study.settings['seed']}", style="bold"))
        table = accuracy_vs_privacy(study)
        out.print(wide(table) if out.width >= WIDE else narrow(table))
        for note in table.notes:
            out.print(Text(note, style="dim"))
        out.print()
        for sentence in verdict(study):
            out.print(Text(sentence))
            out.print()


def print_paper(result: PaperResult) -> None:
    """Prints the claims of a paper with their verdicts, and how many hold."""
    table = verdicts_table(result)
    out.print(Text(f"{result.title} ({result.source}), {result.scale}", style="bold"))
    out.print(wide(table) if out.width >= SHORT else narrow(table))
    out.print(Text(summary(result)))
    out.print()


def wide(table: Table) -> RichTable:
    """Returns the table as it is, intervals below their numbers."""
    rich = RichTable(title=table.caption, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        rich.add_column(column)
    for row in table.rows:
        rich.add_row(*(Text(f"{cell.text}{cell.mark}\n{cell.interval}".rstrip()) for cell in row))
    return rich


def narrow(table: Table) -> RichTable:
    """Returns the table turned on its side: a block for each row, a line for each column."""
    rich = RichTable(title=table.caption, title_justify="left", box=None, pad_edge=False, show_header=False)
    for row in table.rows:
        for column, cell in zip(table.columns, row, strict=True):
            rich.add_row(Text(column, style="dim"), Text(str(cell)))
        rich.add_row()
    return rich
