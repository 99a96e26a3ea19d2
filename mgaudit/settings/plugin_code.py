"""Import of the class or function that an entry point of an installed package names.

A dataset is a `Reader`, or a function without arguments that returns a dataset, as
`module:function` does.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

from mgaudit.errors import UsageError
from mgaudit.settings.own_code import is_own, own_rule, source_sha256
from mgaudit.settings.plugins import package
from mgaudit.targets.datasets import Reader, reader_of
from mgaudit.targets.own_module import RAISED, error_line


def plugin_class(kind: str, base: type, entry: EntryPoint) -> Callable[..., Any]:
    """Imports and returns the class of an entry point; `kind` is for errors, such as "attack".

    A network may be a function. Raises UsageError where there is none, or where it does not extend
    `base`.
    """
    loaded = _loaded(kind, entry)
    if not is_own(loaded, kind, base):
        rule = own_rule(kind, base)
        repair = f"repair or uninstall the package {package(entry)}"
        raise UsageError(f"{kind} {entry.name}", rule, repr(loaded), repair)
    plugin: Callable[..., Any] = loaded
    source_sha256(plugin)  # at once, before the file can be edited
    return plugin


def plugin_reader(entry: EntryPoint) -> Reader:
    """Imports and returns the reader of a dataset. Raises UsageError where there is none."""
    return reader_of(entry.name, _loaded("dataset", entry))


def _loaded(kind: str, entry: EntryPoint) -> object:
    """Imports and returns what an entry point names.

    Raises UsageError where it cannot be imported.
    """
    try:
        return entry.load()
    except RAISED as error:
        rule = f"cannot be imported from {entry.value} ({error_line(error)})"
        way_out = f"repair or uninstall the package {package(entry)}"
        raise UsageError(f"{kind} {entry.name}", rule, way_out=way_out) from error
