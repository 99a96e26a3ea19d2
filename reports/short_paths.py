"""Paths of data in reports, without the directories, which often name a person or a project."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any, TypeVar

from mgaudit.reports.dp_audit import DPAuditResult
from mgaudit.reports.reproduction import PaperResult
from mgaudit.reports.results import Result

HIDDEN = "…"
# At the start of a setting, such as "npz:/data/x.npz" or "/data/x.npz". Options follow "," or "#".
PATH = re.compile(r"(?:[\w-]+:)?(/[^,#]+)")
NOTE = (
    "Directories of data are shortened to “…”. The settings and the result in the run directory "
    "have them in full, and so has a report by mgaudit report RUN --full-paths."
)

AnyResult = TypeVar("AnyResult", Result, DPAuditResult, PaperResult)


def with_short_paths(result: AnyResult) -> AnyResult:
    """Returns the result with the directories of its data replaced by "…", in every text of it.

    It is the same object if there are none. As many directories stay as are needed to tell paths
    apart.
    """
    directories = _short(sorted(set(_paths(result))))
    text = result.model_dump_json()
    shortened = text
    for directory in sorted(directories, key=len, reverse=True):
        in_json = json.dumps(directory, ensure_ascii=False)[1:-1]
        in_shell = json.dumps(directory.replace("'", "'\"'\"'"), ensure_ascii=False)[1:-1]
        for form in {in_json, in_shell}:
            start_of_path = rf"(?<![\w.{HIDDEN}/-]){re.escape(form)}"
            shortened = re.sub(start_of_path, lambda _: directories[directory], shortened)  # noqa: B023
    if shortened == text:
        return result
    return type(result).model_validate_json(shortened)


def _short(paths: list[str]) -> dict[str, str]:
    """Returns what replaces the directory of each path, by the directory.

    >>> _short(["/home/me/a/x.npz", "/home/me/b/x.npz"])
    {'/home/me/a/': '…/a/', '/home/me/b/': '…/b/'}
    """
    parts = [PurePath(path).parts for path in paths]
    kept = 1
    while len({own[-kept:] for own in parts}) < len(paths):
        kept += 1
    directories = {}
    for own in parts:
        if len(own) > 2:  # a directory and a name below the root
            shown = own[max(len(own) - kept, 1) : -1]
            directories["/".join(["", *own[1:-1], ""])] = "/".join([HIDDEN, *shown, ""])
    return directories


def _paths(result: Result | DPAuditResult | PaperResult) -> Iterator[str]:
    """Yields the absolute paths in the settings and in the command of a result."""
    if isinstance(result, PaperResult):
        settings = [figure.settings for figure in result.figures]
    else:
        settings = [result.settings]
    for text in (*_texts(settings), *_words(result.command)):
        path = PATH.match(text)
        if path is not None:
            yield path[1].rstrip("/")
    if isinstance(result, Result):
        for study in result.studies:
            own = study.dataset.choice.options.get("path")
            if isinstance(own, str) and own.startswith("/"):
                yield own.rstrip("/")


def _texts(value: Any) -> Iterator[str]:
    """Yields the texts in nested lists and tables, and the names of tables."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value))
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _words(command: str) -> Iterable[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a call in Python, which has no paths
        return []
