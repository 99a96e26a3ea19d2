"""Choices from objects, which Python callers may give in place of text."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from mgaudit.errors import UsageError
from mgaudit.settings.choices import Choice, Entry
from mgaudit.settings.named_code import name_object
from mgaudit.settings.own_code import source_sha256


def object_choice(registry: Mapping[str, Callable[..., Any]], instance: object) -> Choice:
    """Returns the choice of an instance of a class, such as an attack or a scheme.

    The options are those fields of the instance whose values are not the defaults. A class that is
    not in the registry is named `module:Class`.

    Raises:
        UsageError: As `Entry.chosen`.
    """
    build = type(instance)
    entry = Entry(_name(registry, build), build)
    options = {}
    defaults = entry.defaults
    for key in entry.parameters:
        if not hasattr(instance, key):
            rule = f"must keep its option {key} as an attribute of this name"
            raise UsageError(entry.name, rule, None, f"write self.{key} = {key} in __init__")
        value = getattr(instance, key)
        if not _is_equal(value, defaults[key]):
            options[key] = value
    return entry.chosen(options)


def _is_equal(value: object, default: object) -> bool:
    """Returns whether two values are equal; False for values that cannot be compared."""
    try:
        return bool(value == default)
    except Exception:  # such as for arrays
        return False


def class_choice(
    registry: Mapping[str, Callable[..., Any]],
    build: Callable[..., Any],
    entry_type: Callable[[str, Callable[..., Any]], Entry],
) -> Choice:
    """Returns the choice of a class or function that mgaudit itself calls, such as a network.

    `functools.partial(Class, option=value)` gives it options. `entry_type` returns the entry of a
    name and a class or function.
    """
    options: Mapping[str, object] = {}
    if isinstance(build, functools.partial):
        if build.args:
            rule = "must have options by name, as in functools.partial(Class, width=8)"
            raise UsageError("", rule, repr(build.args))
        options = build.keywords
        build = build.func
    entry = entry_type(_name(registry, build), build)
    return entry.chosen(options)


def _name(registry: Mapping[str, Callable[..., Any]], build: Callable[..., Any]) -> str:
    """Returns the registered name, or `module:Class` for a class or function of the user's own."""
    for name, entry in registry.items():
        if entry is build:
            return name
    if not build.__qualname__.isidentifier():
        rule = "must be a class or a function at the top level of its module"
        raise UsageError(build.__qualname__, rule, way_out="define it with class or def, outside")
    source_sha256(build)  # at once, before the file can be edited
    return name_object(build)
