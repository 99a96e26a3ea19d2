"""What commands print of results: verdicts and tables."""

import json

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from mgaudit.cli.console import out, print_paths
from mgaudit.dp_result import DPResult
from mgaudit.reports.claims import summary, verdicts_table
from mgaudit.reports.dp_audit import DPAuditResult, bounds_table, finding
from mgaudit.reports.files import DP_AUDIT_FILE
from mgaudit.reports.formats.render import DEFAULT_FORMATS, FORMATS
from mgaudit.reports.reproduction import PaperResult
from mgaudit.reports.results import Result as ResultRecord
from mgaudit.reports.search_tables import search_lines
from mgaudit.reports.summary_table import summary_table
from mgaudit.reports.table import Table
from mgaudit.reports.verdict import verdict
from mgaudit.reports.white_box import checks_table
from mgaudit.result import Result

WIDE = 100  # columns from which a table with many columns fits side by side
SHORT = 72  # and one with few


def print_run(result: Result, as_json: bool, quiet: bool) -> None:
    """Prints a result and the paths of its reports, or one JSON object, or nothing."""
    record = result.record
    if as_json:
        texts = result.verdict.splitlines()
        content = {"verdict": texts, "result": record.model_dump(mode="json")}
        print(json.dumps({"run": str(result.path), **content}))
    elif not quiet:
        print_result(record)
        print_paths([result.path / FORMATS[name].name for name in DEFAULT_FORMATS])


def print_result(result: ResultRecord) -> None:
    """Prints the verdict of each study, and a table with one row for each arm."""
    for study in result.studies:
        if len(result.studies) > 1:
            out.print(Text(f"{study.name}, seed {study.settings['seed']}", style="bold"))
        for sentence in verdict(study):
            out.print(Text(sentence))
        out.print()
        print_summary(summary_table(study))
        for line in search_lines(study):
            out.print(Text(line), soft_wrap=True)


def print_dp_audit(result: DPResult, as_json: bool, quiet: bool) -> None:
    """Prints the bounds and the conclusion of an audit of DP-SGD, one JSON object, or nothing."""
    if as_json:
        record = result.record.model_dump(mode="json")
        print(json.dumps({"run": str(result.path), "alarm": result.alarm, "result": record}))
    elif not quiet:
        print_dp_record(result.record)
        if result.path is not None:
            reports = [FORMATS[name].name for name in DEFAULT_FORMATS]
            print_paths([result.path / name for name in (*reports, DP_AUDIT_FILE)])


def print_dp_record(record: DPAuditResult) -> None:
    """Prints the bounds, the checks and the conclusion of an audit of DP-SGD."""
    print_table(bounds_table(record))
    if record.white_box is not None:
        checks = checks_table(record.white_box)
        out.print(wide(checks) if out.width >= SHORT else narrow(checks))
        for note in checks.notes:
            out.print(Text(note, style="dim"))
        out.print()
    out.print(Text(finding(record), style="bold red" if record.alarm else ""))


def print_paper(result: PaperResult) -> None:
    """Prints the claims of a paper with their verdicts, and how many hold."""
    table = verdicts_table(result)
    out.print(Text(f"{result.title} ({result.source}), {result.scale}", style="bold"))
    out.print(wide(table) if out.width >= SHORT else narrow(table))
    for note in table.notes:
        out.print(Text(note, style="dim"))
    out.print(Text(summary(result)))
    out.print()


def print_summary(table: Table) -> None:
    """Prints a table whose rows are one line each, whatever the width of the terminal."""
    rows = [[str(cell) for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(table.columns, *rows, strict=True)]
    out.print(Text(_padded(table.columns, widths), style="bold"), soft_wrap=True)
    for row in rows:
        out.print(Text(_padded(row, widths)), soft_wrap=True)
    for note in table.notes:
        out.print(Text(note, style="dim"))
    out.print()


def _padded(texts: list[str] | tuple[str, ...], widths: list[int]) -> str:
    padded = [text.ljust(width) for text, width in zip(texts, widths, strict=True)]
    return "  ".join(padded).rstrip()


def print_table(table: Table) -> None:
    """Prints a table with many columns and its notes."""
    if table.rows:
        out.print(wide(table) if out.width >= WIDE else narrow(table))
    for note in table.notes:
        out.print(Text(note, style="dim"))
    out.print()


def wide(table: Table) -> RichTable:
    """Returns the table as it is, intervals below their numbers."""
    rich = RichTable(
        title=table.caption,
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in table.columns:
        rich.add_column(column)
    for row in table.rows:
        rich.add_row(*(Text(f"{cell.text}{cell.mark}\n{cell.interval}".rstrip()) for cell in row))
    return rich


def narrow(table: Table) -> RichTable:
    """Returns the table turned on its side: a block for each row, a line for each column."""
    rich = RichTable(
        title=table.caption, title_justify="left", box=None, pad_edge=False, show_header=False
    )
    for row in table.rows:
        for column, cell in zip(table.columns, row, strict=True):
            rich.add_row(Text(column, style="dim"), Text(str(cell)))
        rich.add_row()
    return rich
