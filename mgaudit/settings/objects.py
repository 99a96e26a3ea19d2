"""Choices from objects, which Python callers may give in place of text."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from mgaudit.errors import UsageError
from mgaudit.settings.choices import Choice, Entry
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
    for key, parameter in entry.parameters.items():
        value = getattr(instance, key)
        if value != parameter.default:
            options[key] = value
    return entry.chosen(options)


def class_choice(
    registry: Mapping[str, Callable[..., Any]], build: Callable[..., Any], supplied: tuple[str, ...]
) -> Choice:
    """Returns the choice of a class that mgaudit itself builds, such as a network.

    `functools.partial(Class, option=value)` gives it options. `supplied` names the parameters
    that mgaudit supplies.
    """
    options: Mapping[str, object] = {}
    if isinstance(build, functools.partial):
        options = build.keywords
        build = build.func
    if not isinstance(build, type):
        rule = "must be a class, or functools.partial of a class"
        raise UsageError("", rule, type(build).__name__)
    entry = Entry(_name(registry, build), build, supplied)
    return entry.chosen(options)


def _name(registry: Mapping[str, Callable[..., Any]], build: type) -> str:
    """Returns the registered name of a class, or `module:Class` for a class of the user's own."""
    for name, entry in registry.items():
        if entry is build:
            return name
    if "<locals>" in build.__qualname__ or "." in build.__qualname__:
        rule = "must be a class at the top level of its module"
        raise UsageError(build.__qualname__, rule, way_out="move it out of the function or class")
    source_sha256(build)  # at once, before the file can be edited
    return f"{build.__module__}:{build.__qualname__}"
