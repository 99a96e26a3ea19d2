"""Attacks, schemes, networks and datasets of installed packages, by name of the entry point.

A package registers a class in its pyproject.toml:

    [project.entry-points."mgaudit.attacks"]
    my-attack = "my_package.attack:MyAttack"

Nothing is imported here: `mgaudit.settings.plugin_code` imports what an entry point names, once it
is chosen.
"""

import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mgaudit.errors import UsageError

NAME = re.compile(r"[^\s:,]+")

GROUPS = {
    "attack": "mgaudit.attacks",
    "scheme": "mgaudit.schemes",
    "target": "mgaudit.networks",
    "dataset": "mgaudit.datasets",
}


def plugins(kind: str, built_in: Iterable[str]) -> dict[str, EntryPoint]:
    """Returns the entry points of one kind, a key of GROUPS, that can be chosen, by name.

    A name that is built in, or that two packages have, cannot be chosen: `taken_names` has these.
    """
    entries, taken = _by_name(kind), taken_names(kind, built_in)
    return {name: same[0] for name, same in entries.items() if name not in taken}


def taken_names(kind: str, built_in: Iterable[str]) -> dict[str, str]:
    """Returns the names of entry points that cannot be chosen, with the reason."""
    known = set(built_in)
    reasons = {}
    for name, entries in _by_name(kind).items():
        owners = [package(entry) for entry in entries]
        if name in known:
            owners = ["mgaudit", *owners]
        if NAME.fullmatch(name) is None:
            reasons[name] = (
                f"cannot be chosen, because it contains ':', ',' or a space; {owners[0]} has it"
            )
        elif len(owners) > 1:
            reasons[name] = (
                f"must have a name of its own, and {' and '.join(owners)} have that name"
            )
    return reasons


def refuse_taken(kind: str, name: str, built_in: Iterable[str]) -> None:
    """Raises UsageError for an entry point that cannot be chosen, unless its name is built in."""
    built_in_names = set(built_in)
    reason = taken_names(kind, built_in_names).get(name)
    if reason is not None and name not in built_in_names:
        way_out = f"uninstall one, or rename its entry point in {GROUPS[kind]}"
        raise UsageError(f"{kind} {name}", reason, way_out=way_out)


def package(entry: EntryPoint) -> str:
    """Returns the name of the package that an entry point belongs to."""
    return "an unknown package" if entry.dist is None else str(entry.dist.name)


def _by_name(kind: str) -> dict[str, list[EntryPoint]]:
    """Returns the entry points of one kind by name; several packages may have the same name."""
    if kind not in GROUPS:
        return {}
    entries: dict[str, list[EntryPoint]] = {}
    for entry in _entry_points(GROUPS[kind], tuple(sys.path)):
        same_name = entries.setdefault(entry.name, [])
        if entry not in same_name:
            same_name.append(entry)
    return entries


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Returns the entry points of one group. They are kept, because finding them is slow.

    `path` is sys.path: if it changes, the entry points are read again.
    """
    return tuple(entry_points(group=group))
