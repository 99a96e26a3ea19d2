"""The options of a dataset, spelt `name:key=value,key=value`; the first may go without its key, `name:value`."""

import inspect
from collections.abc import Callable
from typing import Any

KINDS = {int: "a whole number", float: "a number"}


def read_options(name: str, text: str, build: Callable[..., Any]) -> dict[str, Any]:
    """Returns what `text` says of the keyword-only parameters of `build`, each of the type of its default.

    >>> def points(*, count: int = 3, spread: float = 1.0) -> None: ...
    >>> read_options("points", "5,spread=2", points)
    {'count': 5, 'spread': 2.0}
    """
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(build).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    options: dict[str, Any] = {}
    for place, part in enumerate(filter(None, text.split(","))):
        key, equals, value = (word.strip() for word in part.partition("="))
        if place == 0 and not equals and defaults:
            key, value = next(iter(defaults)), key
        elif not equals and defaults:
            raise ValueError(f"dataset {name}: options are spelt key=value, got {part!r}")
        if key not in defaults:
            takes = ", ".join(defaults) or "no options"
            raise ValueError(f"dataset {name} has no option {key!r}; it takes {takes}")
        if key in options:
            raise ValueError(f"dataset {name}: option {key} is given twice")
        kind = type(defaults[key])
        try:
            options[key] = kind(value)
        except ValueError as error:
            raise ValueError(f"dataset {name}: {key} must be {KINDS[kind]}, got {value!r}") from error
    return options
