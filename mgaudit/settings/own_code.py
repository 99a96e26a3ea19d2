"""Classes of the user's own, written `module:Class`."""

import hashlib
import inspect
import sys
from functools import cache
from pathlib import Path

from mgaudit.errors import UsageError
from mgaudit.targets.own_module import RAISED, error_line, load_module


def own_class(kind: str, base: type, module: str, name: str) -> type:
    """Returns the class `name` of `module`, which is imported with the current folder on the path.

    Raises:
        UsageError: If there is no such class, or it does not extend `base`.
    """
    key = f"{module}:{name}"
    try:
        candidate = getattr(load_module(module), name, None)
    except RAISED as error:
        rule = f"cannot be imported ({error_line(error)})"
        way_out = f"start mgaudit in its folder, or choose from `mgaudit list {kind}s`"
        raise UsageError(key, rule, None, way_out) from error
    if candidate is None:
        file = getattr(sys.modules[module], "__file__", None) or "no file"
        rule = f"must be a class in {module} ({file}), and there is no {name}"
        raise UsageError(key, rule)
    if not (isinstance(candidate, type) and issubclass(candidate, base)):
        rule = f"must be a class that extends {base.__module__}.{base.__qualname__}"
        raise UsageError(key, rule, repr(candidate))
    own: type = candidate
    source_sha256(own)  # at once, before the file can be edited
    return own


@cache
def source_sha256(own: type) -> str:
    """Returns the SHA-256 over the source files of a class and of the classes that it extends.

    The checksum is computed when the class is imported and kept, because the imported code is the
    code that runs. Other modules that these files import are not included.
    """
    sha = hashlib.sha256()
    for extended in own.__mro__:
        if extended.__module__ != "builtins":
            sha.update(_source(extended))
    return sha.hexdigest()


def _source(own: type) -> bytes:
    try:
        return Path(inspect.getfile(own)).read_bytes()
    except (TypeError, OSError) as error:
        key = f"{own.__module__}:{own.__qualname__}"
        reason = error_line(error)
        rule = f"must be defined in a file, so that changes of the class can be detected ({reason})"
        raise UsageError(key, rule, None, "define the class in a Python file") from error
