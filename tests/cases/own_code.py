"""Runs of mgaudit with code of the user's own in the current directory."""

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from mgaudit.cli.app import app

SMALL = (
    *("--models", "4", "--examples", "60", "--epochs", "1", "--batch-size", "16"),
    *("--stack", "1", "--jobs", "1", "--quiet"),
)
TINY = ("--target", "mlp:hidden=8", "--no-dp", *SMALL)


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def refused(arguments: tuple[str, ...], *words: str) -> str:
    """Runs a command that must be refused in one line before anything is trained.

    Returns the line, which contains all the words.
    """
    result = mgaudit(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stderr.count("\n") == 1, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
    assert nothing_is_trained()
    return str(result.stderr)


def nothing_is_trained() -> bool:
    """Returns whether there is neither a run directory nor a model in the cache."""
    return not Path("runs").exists() and not list(Path.cwd().glob("cache/ensembles/*"))


def passes(arguments: tuple[str, ...]) -> Path:
    """Runs a command that must succeed, and returns the run directory with its report."""
    result = mgaudit(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    (folder,) = Path("runs").iterdir()
    assert (folder / "report.html").stat().st_size > 0
    return folder
