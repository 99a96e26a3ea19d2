"""Classes of the user's own, spelt `module:Class`."""

import hashlib
import inspect
import sys
from functools import cache
from pathlib import Path

from mgaudit.targets.own_module import imported, told


def own_class(kind: str, base: type, module: str, name: str) -> type:
    """Returns the class `name` of `module`, which is imported with the current folder on the path.

    Raises ValueError where there is no such class or it does not extend `base`.
    """
    choice = f"{kind} {module}:{name}"
    try:
        found = getattr(imported(module), name, None)
    except Exception as error:  # whatever the user's module may raise
        raise ValueError(
            f"{choice}: cannot import {module} ({told(error)}); start mgaudit in its folder, "
            f"or choose from `mgaudit list {kind}s`"
        ) from error
    if found is None:
        place = getattr(sys.modules[module], "__file__", None)
        raise ValueError(f"{choice}: there is no {name} in {module} ({place or 'no file'})")
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{choice} must be a class that extends {base.__module__}.{base.__qualname__}, got {found!r}")
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
            sha.update(Path(inspect.getfile(one)).read_bytes())
    return sha.hexdigest()
