"""Attacks, schemes, networks and datasets of installed packages, found by the name of their entry point.

A package registers a class in its pyproject.toml:

    [project.entry-points."mgaudit.attacks"]
    my-attack = "my_package.attack:MyAttack"

A dataset is a `Reader`, or a function without arguments that returns one as `module:function` does. What an entry point
names is imported only when it is chosen.
"""

import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mgaudit.errors import UsageError
from mgaudit.settings.own_code import source_sha256
from mgaudit.targets.datasets import Reader, reader_of
from mgaudit.targets.own_module import RAISED, error_line

NAME = re.compile(r"[^\s:,]+")

GROUPS = {
    "attack": "mgaudit.attacks",
    "scheme": "mgaudit.schemes",
    "target": "mgaudit.networks",
    "dataset": "mgaudit.datasets",
}


def plugins(kind: str, built_in: Iterable[str]) -> dict[str, EntryPoint]:
    """Returns the entry points that can be chosen, of one kind, by name; nothing is imported.

    A name that is built in, or that two packages have, cannot be chosen: `taken_names` has these.
    """
    entries, taken = _by_name(kind), taken_names(kind, built_in)
    return {name: same[0] for name, same in entries.items() if name not in taken}


def taken_names(kind: str, built_in: Iterable[str]) -> dict[str, str]:
    """Returns the names of entry points that cannot be chosen, with the reason."""
    known = set(built_in)
    reasons = {}
    for name, entries in _by_name(kind).items():
        owners = [*(["mgaudit"] if name in known else []), *map(package, entries)]
        if NAME.fullmatch(name) is None:
            reasons[name] = (
                f"is no name that can be chosen, because of ':', ',' or a space; {owners[0]} has it"
            )
        elif len(owners) > 1:
            reasons[name] = (
                f"must have a name of its own, and {' and '.join(owners)} have that name"
            )
    return reasons


def refuse_taken(kind: str, name: str, built_in: Iterable[str]) -> None:
    """Raises UsageError for the name of an entry point that cannot be chosen, unless it is built in."""
    built_in = set(built_in)
    reason = taken_names(kind, built_in).get(name)
    if reason is not None and name not in built_in:
        way_out = f"uninstall one, or rename its entry point in {GROUPS[kind]}"
        raise UsageError(f"{kind} {name}", reason, way_out=way_out)


def _by_name(kind: str) -> dict[str, list[EntryPoint]]:
    """Returns the different entry points of each name."""
    entries: dict[str, list[EntryPoint]] = {}
    for entry in _entry_points(GROUPS[kind], tuple(sys.path)) if kind in GROUPS else ():
        same = entries.setdefault(entry.name, [])
        if entry not in same:
            same.append(entry)
    return entries


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Returns the entry points of what is installed on the path; to look takes longer than all else of a choice."""
    return tuple(entry_points(group=group))


def package(entry: EntryPoint) -> str:
    """Returns the name of the package that an entry point belongs to."""
    return "an unknown package" if entry.dist is None else str(entry.dist.name)


def plugin_class(kind: str, base: type, entry: EntryPoint) -> type:
    """Imports and returns the class. Raises UsageError where there is none or it does not extend `base`."""
    key = f"{kind} {entry.name}"
    repair = f"repair or uninstall the package {package(entry)}"
    loaded = _loaded(kind, entry)
    if not (isinstance(loaded, type) and issubclass(loaded, base)):
        rule = f"must be a class that extends {base.__module__}.{base.__qualname__}"
        raise UsageError(key, rule, repr(loaded), repair)
    plugin: type = loaded
    source_sha256(plugin)  # at once, before the file can be edited
    return plugin


def plugin_reader(entry: EntryPoint) -> Reader:
    """Imports and returns the reader of a dataset. Raises UsageError where there is none."""
    return reader_of(entry.name, _loaded("dataset", entry))


def _loaded(kind: str, entry: EntryPoint) -> object:
    """Imports and returns what an entry point names. Raises UsageError where it cannot be imported."""
    try:
        return entry.load()
    except RAISED as error:
        raise UsageError(
            f"{kind} {entry.name}",
            f"cannot be imported from {entry.value} ({error_line(error)})",
            way_out=f"repair or uninstall the package {package(entry)}",
        ) from error
