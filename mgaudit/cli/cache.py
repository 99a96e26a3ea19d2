"""`mgaudit cache`: the stored models and data: their size, their check and their removal."""

import json
import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as RichTable
from rich.text import Text

from mgaudit.cli.console import confirmed, err, out
from mgaudit.cli.ending import FAILED, WRONG_USAGE, user_errors
from mgaudit.cli.options import JsonOption, QuietOption
from mgaudit.cli.repeated_options import Command, Group
from mgaudit.errors import UsageError
from mgaudit.targets.free_memory import size_text

if TYPE_CHECKING:
    from mgaudit.storage.cache_content import CacheContent, CachedFile
    from mgaudit.storage.cache_removal import Removal

AGE = re.compile(r"(\d{1,6})([hdw])")
SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}

cache = typer.Typer(cls=Group, help="Show, verify and clean the cache of trained models and data.")


@cache.callback(invoke_without_command=True)
def cache_show(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the cache directory: what is in it, how much, and when it was last used."""
    if context.invoked_subcommand is not None:
        return
    with user_errors():
        content = _content()
        kinds = _kinds(content)
    leftovers = [file for file in content.files if file.role in ("partial", "set aside")]
    if as_json:
        values = {"folder": str(content.folder), "bytes": _bytes(content.files), "kinds": kinds}
        values["leftovers"] = {"files": len(leftovers), "bytes": _bytes(leftovers)}
        print(json.dumps(values | {"others": [str(path) for path in content.others]}))
        return
    _print_path(content.folder, f": {size_text(_bytes(content.files))}")
    if kinds:
        out.print(_table(kinds))
    if leftovers:
        _print(
            f"{_files_text(leftovers)}, partial or set aside; `mgaudit cache prune` removes them"
        )
    if content.others:
        count = len(content.others)
        entries = "1 entry" if count == 1 else f"{count} entries"
        _print(f"{entries} that mgaudit did not write")


@cache.command(cls=Command)
def verify(as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Read every stored file and name the damaged ones; exit code 1 if there are any."""
    with user_errors():
        content = _content()
        damaged = _damaged(content, quiet or as_json)
        from mgaudit.storage.cache_check import files_to_read

        read = files_to_read(content)
    if as_json:
        rows = [{"path": str(file.path), "reason": reason} for file, reason in damaged]
        values = {"folder": str(content.folder), "checked": len(read), "damaged": rows}
        print(json.dumps(values))
    else:
        for file, reason in damaged:
            _print_path(file.path, f": {reason}")
        if not quiet:
            _print(f"{_files_text(read)}, checked; {len(damaged)} damaged")
            if damaged:
                _print("`mgaudit cache prune` removes these files; the next run makes them again")
    if damaged:
        raise typer.Exit(FAILED)


@cache.command(cls=Command)
def prune(
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Also remove what was not used for this time: 12h, 30d or 8w.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed, and remove nothing.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Remove damaged and partial files, and models that this version can no longer use."""
    with user_errors():
        from mgaudit.functions.train import fitting_code_sha256
        from mgaudit.storage.cache_removal import useless_removals
        from mgaudit.storage.ensembles import querying_code_sha256, training_code_sha256
        from mgaudit.storage.measurements import attack_code_sha256

        oldest = None if older_than is None else time.time() - _seconds(older_than)
        content = _content()
        code = {"ensembles": training_code_sha256(), "predictions": fitting_code_sha256()}
        damaged = {file.path: reason for file, reason in _damaged(content, quiet)}
        code |= {"outputs": querying_code_sha256(), "attacks": attack_code_sha256()}
        code["accountants"] = code["figures"] = code["ensembles"]
        removals = useless_removals(content, damaged, code, oldest)
        _remove(content, removals, dry_run, quiet)


@cache.command(cls=Command)
def clear(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Delete all models and data that mgaudit stored, except those that are in use."""
    with user_errors():
        from mgaudit.storage.cache_removal import all_removals

        content = _content()
        removals = all_removals(content)
    if not removals:
        if not quiet:
            _print_path(content.folder, ": nothing is stored")
        return
    _print_path(content.folder, f": {_files_text(content.files)}")
    if not yes and not confirmed("Delete them all?"):
        raise typer.Exit(WRONG_USAGE)
    with user_errors():
        _remove(content, removals, dry_run=False, quiet=quiet)
        for path in content.others if not quiet else ():
            _print_path(path, ": kept, because it is a link or not by mgaudit")


def _content() -> "CacheContent":
    from mgaudit.storage.cache_content import cache_content
    from mgaudit.targets.cache import cache_folder

    return cache_content(cache_folder())


def _damaged(content: "CacheContent", silent: bool) -> list[tuple["CachedFile", str]]:
    """Returns the damaged files and what is wrong with them, and shows a bar meanwhile."""
    from mgaudit.progress_bars import DownloadBar
    from mgaudit.storage.cache_check import damaged_files, files_to_read

    with DownloadBar(err, "checking", _bytes(files_to_read(content)), silent=silent) as bar:
        return list(damaged_files(content, lambda file: bar.update(file.bytes)))


def _remove(
    content: "CacheContent", removals: Sequence["Removal"], dry_run: bool, quiet: bool
) -> None:
    """Removes files, or only prints them, and prints how many there were."""
    from mgaudit.storage.cache_removal import remove, remove_empty_folders

    removed: list[CachedFile] = []
    for removal in removals:
        path = removal.group if removal.is_whole else removal.files[0].path
        if not dry_run and not remove(removal):
            _print_path(path, ": kept, because another process uses it")
            continue
        removed += removal.files
        if not quiet:
            _print_path(path, f": {removal.reason}, {size_text(removal.bytes)}")
    if not dry_run:
        remove_empty_folders(content.folder)
    if not quiet:
        verb = "would be removed" if dry_run else "removed"
        _print(f"{_files_text(removed)}, {verb}")


def _kinds(content: "CacheContent") -> list[dict[str, Any]]:
    """Returns the number, size and last use of the files of each kind that there is."""
    from mgaudit.storage.cache_content import KINDS, last_used

    rows = []
    for kind in KINDS:
        files = content.of_kind(kind)
        if files:
            models = sum(file.role == "model" for file in files)
            when = datetime.fromtimestamp(last_used(files)).isoformat(" ", "minutes")
            row = {"kind": kind, "files": len(files), "models": models, "bytes": _bytes(files)}
            rows.append({**row, "last_used": when})
    return rows


def _table(kinds: Sequence[dict[str, Any]]) -> RichTable:
    table = RichTable("kind", box=None, pad_edge=False, header_style="bold")
    for column in ("files", "models", "size"):
        table.add_column(column, justify="right")
    table.add_column("last used")
    for row in kinds:
        numbers = (str(row["files"]), str(row["models"] or "–"), size_text(row["bytes"]))
        table.add_row(row["kind"], *numbers, row["last_used"])
    return table


def _seconds(age: str) -> float:
    """Returns an age such as 30d in seconds. Raises UsageError for any other text."""
    match = AGE.fullmatch(age.strip())
    if match is None:
        rule = "must be a number of hours, days or weeks, as in 12h, 30d or 8w"
        raise UsageError("--older-than", rule, repr(age))
    number, unit = match.groups()
    return float(int(number) * SECONDS[unit])


def _print_path(path: Path, text: str) -> None:
    _print(f"{path}{text}")


def _print(line: str) -> None:
    """Prints a line as it is, however long."""
    out.print(Text(line), soft_wrap=True)


def _files_text(files: Sequence["CachedFile"]) -> str:
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    return f"{count}, {size_text(_bytes(files))}"


def _bytes(files: Sequence["CachedFile"]) -> int:
    return sum(file.bytes for file in files)
