"""Classes and functions of the user's own, written `module:Class`."""

import hashlib
import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from mgaudit.errors import UsageError
from mgaudit.targets.own_module import (
    RAISED,
    error_line,
    hidden_way_out,
    import_way_out,
    load_module,
)


def is_own(candidate: object, kind: str, base: type) -> TypeGuard[Callable[..., Any]]:
    """Returns whether a candidate can be chosen: a class that extends `base`.

    For the kind "target", a function can be chosen, too. It returns an instance of `base`.
    """
    if isinstance(candidate, type):
        return issubclass(candidate, base)
    return kind == "target" and inspect.isfunction(candidate)


def own_rule(kind: str, base: type) -> str:
    """Returns the rule of `is_own` for errors."""
    rule = f"must be a class that extends {base.__module__}.{base.__qualname__}"
    return f"{rule}, or a function that returns one" if kind == "target" else rule


def own_class(kind: str, base: type, module: str, name: str) -> Callable[..., Any]:
    """Returns the class `name` of `module`, which is imported with the current folder on the path.

    For the kind "target", it may be a function.

    Raises:
        UsageError: If there is no such class, or it does not extend `base`.
    """
    key = f"{module}:{name}"
    try:
        candidate = getattr(load_module(module), name, None)
    except RAISED as error:
        rule = f"cannot be imported ({error_line(error)})"
        way_out = f"{import_way_out(module)}, or choose from `mgaudit list {kind}s`"
        raise UsageError(key, rule, None, way_out) from error
    if candidate is None:
        file = getattr(sys.modules[module], "__file__", None) or "no file"
        rule = f"must be a class in {module} ({file}), and there is no {name}"
        raise UsageError(key, rule, None, hidden_way_out(module))
    if not is_own(candidate, kind, base):
        raise UsageError(key, own_rule(kind, base), repr(candidate))
    own: Callable[..., Any] = candidate
    source_sha256(own)  # at once, before the file can be edited
    return own


@cache
def source_sha256(own: Callable[..., Any]) -> str:
    """Returns the SHA-256 over the source files of a class and of the classes that it extends.

    For a function, it is that of its source file. The checksum is computed when the code is
    imported and kept, because the imported code is the code that runs. Other modules that these
    files import are not included.
    """
    sha = hashlib.sha256()
    parts = own.__mro__ if isinstance(own, type) else (inspect.unwrap(own),)
    for extended in parts:
        if extended.__module__ != "builtins":
            sha.update(_source(extended))
    return sha.hexdigest()


def _source(own: Callable[..., Any]) -> bytes:
    try:
        return Path(inspect.getfile(own)).read_bytes()
    except (TypeError, OSError) as error:
        key = f"{own.__module__}:{own.__qualname__}"
        reason = error_line(error)
        rule = f"must be defined in a file, so that changes of it can be detected ({reason})"
        raise UsageError(key, rule, None, "define it in a Python file") from error
