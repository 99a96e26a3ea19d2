"""Classes of the user's own, spelt `module:Class`."""

import hashlib
import inspect
import sys
from functools import cache
from pathlib import Path

from mgaudit.errors import UsageError
from mgaudit.targets.own_module import RAISED, error_line, load_module


def own_class(kind: str, base: type, module: str, name: str) -> type:
    """Returns the class `name` of `module`, which is imported with the current folder on the path.

    Raises UsageError where there is no such class or it does not extend `base`.
    """
    key = f"{module}:{name}"
    try:
        found = getattr(load_module(module), name, None)
    except RAISED as error:
        way_out = f"start mgaudit in its folder, or choose from `mgaudit list {kind}s`"
        raise UsageError(key, f"cannot be imported ({error_line(error)})", None, way_out) from error
    if found is None:
        place = getattr(sys.modules[module], "__file__", None)
        raise UsageError(
            key, f"must be a class in {module} ({place or 'no file'}), and there is no {name}"
        )
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UsageError(
            key, f"must be a class that extends {base.__module__}.{base.__qualname__}", repr(found)
        )
    own: type = found
    source_sha256(own)  # at once, before the file can be edited
    return own


@cache
def source_sha256(own: type) -> str:
    """Returns the SHA-256 over the source files of a class and of the classes that it extends.

    It is taken when the class is imported and kept, since what runs is what was imported. What else these files
    import is not followed.
    """
    sha = hashlib.sha256()
    for one in own.__mro__:
        if one.__module__ != "builtins":
            sha.update(_source(one))
    return sha.hexdigest()


def _source(own: type) -> bytes:
    try:
        return Path(inspect.getfile(own)).read_bytes()
    except (TypeError, OSError) as error:
        key = f"{own.__module__}:{own.__qualname__}"
        rule = f"must be defined in a file, so that an edited class can be told from the old one ({error_line(error)})"
        raise UsageError(key, rule, None, "define the class in a Python file") from error
