"""Choices spelt as text, looked up in a registry and checked against its signature.

The spelling is `name:key=value,key=value`; the first option may go without its key, `name:value`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError


@dataclass(frozen=True)
class Choice:
    """An entry of a registry with the options that were given for it."""

    name: str
    options: dict[str, Any]
    build: Callable[..., Any]

    @property
    def text(self) -> str:
        """The choice spelt canonically: options in the order of the signature, defaults left out."""
        parts = [
            f"{key}={_spelt(value)}"
            for key, parameter in inspect.signature(self.build).parameters.items()
            if (value := self.options.get(key, parameter.default)) != parameter.default
        ]
        return ":".join([self.name, ",".join(parts)]) if parts else self.name

    def label(self, title: str | None = None) -> str:
        """Returns the choice as a reader sees it, `gaussian-mask (kappa=0.3)`, or under another title."""
        name, _, options = self.text.partition(":")
        return f"{title or name} ({options.replace(',', ', ')})" if options else title or name


def parse(kind: str, registry: Mapping[str, Callable[..., Any]], text: str, supplied: tuple[str, ...] = ()) -> Choice:
    """Returns the choice that `text` spells, its options converted to the types of the entry's signature.

    `supplied` names the parameters that mgaudit itself supplies. Raises ValueError that names the choice, the rule and
    the value, and lists what is known.

    >>> parse("mask", {"mask": lambda *, kappa: kappa}, "mask:sigma=1")
    Traceback (most recent call last):
    ...
    ValueError: mask mask has no option 'sigma'; it takes kappa
    """
    name, _, rest = text.strip().partition(":")
    if name not in registry:
        raise ValueError(f"{kind} must be one of {', '.join(registry)}, got {name!r}")
    build = registry[name]
    parameters = {
        key: parameter for key, parameter in inspect.signature(build).parameters.items() if key not in supplied
    }
    hints = get_type_hints(getattr(build, "__init__", build) if isinstance(build, type) else build)
    options: dict[str, Any] = {}
    for place, part in enumerate(filter(None, rest.split(","))):
        key, equals, value = part.partition("=")
        if place == 0 and not equals and parameters:
            key, equals, value = next(iter(parameters)), "=", part
        key = key.strip()
        if key not in parameters:
            takes = ", ".join(parameters) or "no options"
            raise ValueError(f"{kind} {name} has no option {key!r}; it takes {takes}")
        if not equals:
            raise ValueError(f"{kind} {name}: options are spelt key=value, got {part!r}")
        if key in options:
            raise ValueError(f"{kind} {name}: option {key} is given twice")
        options[key] = _converted(f"{kind} {name}: {key}", hints.get(key, str), value.strip())
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in options:
            raise ValueError(f"{kind} {name} needs {key}: write {name}:{key}=VALUE")
    return Choice(name, options, build)


def _converted(place: str, hint: Any, value: str) -> Any:
    raw: Any = value.split("x") if get_origin(hint) is tuple else value
    try:
        return TypeAdapter(hint).validate_python(raw)
    except ValidationError as error:
        raise ValueError(f"{place}: {error.errors()[0]['msg'].lower()}, got {value!r}") from error


def _spelt(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)
