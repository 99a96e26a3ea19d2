"""The command `mgaudit` and its subcommands."""

import logging
from typing import Annotated

import typer

from mgaudit.cli.attack import attack
from mgaudit.cli.audit_checkpoint import audit_checkpoint
from mgaudit.cli.audit_dp import audit_dp
from mgaudit.cli.bare_options import WithBareOptions
from mgaudit.cli.cache import cache
from mgaudit.cli.compare import compare
from mgaudit.cli.console import out
from mgaudit.cli.data import data
from mgaudit.cli.ending import Commands
from mgaudit.cli.list import list_
from mgaudit.cli.own_output import end_output
from mgaudit.cli.repeated_options import Command
from mgaudit.cli.report import report
from mgaudit.cli.reproduce import reproduce
from mgaudit.cli.run import run
from mgaudit.cli.runs import runs
from mgaudit.cli.score import score
from mgaudit.version import __version__

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Privacy audits of training noise: how much privacy does it buy, and at what accuracy?",
)
app.command(cls=WithBareOptions)(run)
app.command(cls=WithBareOptions)(compare)
app.command(cls=Command)(score)
app.command(cls=Command)(attack)
app.command(cls=Command)(reproduce)
app.command(cls=Command, name="audit-checkpoint")(audit_checkpoint)
app.command(cls=Command, name="audit-dp")(audit_dp)
app.command(cls=Command)(report)
app.command(cls=Command, name="list")(list_)
app.add_typer(data, name="data")
app.add_typer(runs, name="runs")
app.add_typer(cache, name="cache")


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """Answers `mgaudit --version`."""
    if show:
        out.print(f"mgaudit {__version__}", highlight=False)
        raise typer.Exit


def main() -> None:
    """Runs the command line."""
    # joblib and matplotlib log to the console what is of no use to who runs an audit.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        app()
    finally:
        end_output()
