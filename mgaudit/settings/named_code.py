"""Own code that files name. It runs only if the user named or allowed it, too.

A settings file, a study file or a run directory may come from a stranger, and `module:Class` in it
is code that a run imports. Within `code_of_file`, code is refused before its import, unless it was
named outside of a file in this process: on the command line, or as an argument in Python.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

from mgaudit.errors import UsageError

OWN = re.compile(
    r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)(?::(?P<options>.*))?"
)
ALLOW = "--allow-code"
KINDS = ("scheme", "target", "dataset", "attack")  # of code, and its setting; lists end with "s"


@dataclass(frozen=True)
class _File:
    """The file whose settings are read, in words, and whether its code may run."""

    words: str
    allowed: bool


_file: ContextVar[_File | None] = ContextVar("file", default=None)
# The kind and the text `module:Class` of all code that the user named in this process.
_named: set[tuple[str, str]] = set()


@contextmanager
def code_of_file(words: str, allowed: bool) -> Iterator[None]:
    """Refuses own code that only a file names, unless it is `allowed`, while settings are read.

    `words` name the file in errors.
    """
    token = _file.set(_File(words, allowed))
    try:
        yield
    finally:
        _file.reset(token)


def check_code(kind: str, code: str) -> None:
    """Raises UsageError for code that only a file names; `code` is `module:Class`.

    `kind` is "scheme", "target", "attack" or "dataset". Outside of `code_of_file` the user names
    the code, which is then known for the rest of the process.
    """
    file = _file.get()
    if file is None or file.allowed:
        _named.add((kind, code))
    elif (kind, code) not in _named:
        rule = f"names code of {file.words}, which runs only if you allow it"
        way_out = f"read the code, then add {ALLOW} (in Python allow_code=True)"
        raise UsageError("", rule, repr(code), way_out)


def name_code(arguments: Mapping[str, Any]) -> None:
    """Notes the code in arguments of the user, by name, before the settings of a file are read."""
    for name, value in arguments.items():
        kind = name.removesuffix("s")
        if kind in KINDS:
            for item in value if isinstance(value, list | tuple) else [value]:
                _name(kind, item)


def name_object(build: Callable[..., Any]) -> str:
    """Returns `module:Class` of a class or function that the user gave, and notes it."""
    code = f"{build.__module__}:{build.__qualname__}"
    _named.update((kind, code) for kind in KINDS)
    return code


def _name(kind: str, value: object) -> None:
    """Notes the code that one text or object of the user is or names."""
    if isinstance(value, str):
        _named.update((kind, code) for code in codes_in(value))
    elif isinstance(value, partial):
        name_object(value.func)
    elif isinstance(value, type | FunctionType):
        name_object(value)
    else:
        name_object(type(value))


def codes_in(text: str) -> list[str]:
    """Returns `module:Class` for each part of a choice's text that is of this form.

    >>> codes_in("noise:Uniform:width=0.5+dp-sgd:epsilon=8")
    ['noise:Uniform']
    """
    parts = (OWN.fullmatch(part.strip()) for part in scheme_parts(text))
    return [f"{part['module']}:{part['name']}" for part in parts if part is not None]


def scheme_parts(text: str) -> list[str]:
    """Returns the texts of the parts, which are joined by "+"; most often there is one.

    >>> scheme_parts("gaussian-mask:kappa=1e+2+dp-sgd:epsilon=8")
    ['gaussian-mask:kappa=1e+2', 'dp-sgd:epsilon=8']
    """
    # A plus sign within a number is not followed by a letter.
    return re.split(r"\+(?=\s*[A-Za-z])", text)


def permission(settings: Mapping[str, Any]) -> str:
    """Returns what a command that repeats a run needs, " --allow-code" where it has own code.

    `settings` are those that a run wrote.
    """
    has_code = any(names_code(name, value) for name, value in settings.items())
    return f" {ALLOW}" if has_code else ""


def names_code(name: str, value: object) -> bool:
    """Returns whether the setting `name` of a file has a text of the form `module:Class`.

    In what a run wrote, only own code has this form, because options have names and paths are
    absolute.
    """
    if name.removesuffix("s") not in KINDS:
        return False
    texts = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(text, str) and codes_in(text) for text in texts)
