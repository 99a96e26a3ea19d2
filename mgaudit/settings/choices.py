"""Choices spelt as text, looked up in a registry and checked against its signature.

The spelling is `name:key=value,key=value`; the first option may go without its key, `name:value`. A name that is not in
the registry may be that of an entry point of an installed package, or a class of the user's own, `module:Class` or
`module:Class:key=value`.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from mgaudit.settings.own_code import own_class, source_sha256
from mgaudit.settings.plugins import plugin_class, plugins
from mgaudit.targets.own_module import told
from mgaudit.targets.schemes.ranges import range_in

OWN = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)(?::(?P<options>.*))?")


@dataclass(frozen=True)
class Choice:
    """An entry of a registry, or a class of the user's own, with the options that were given for it."""

    name: str
    options: dict[str, Any]
    build: Callable[..., Any]

    @property
    def text(self) -> str:
        """The choice spelt canonically: options in the order of the signature, defaults left out."""
        return ":".join(filter(None, (self.name, self._options)))

    @property
    def _options(self) -> str:
        parts = [
            f"{key}={spelt(value)}"
            for key, parameter in inspect.signature(self.build).parameters.items()
            if (value := self.options.get(key, parameter.default)) != parameter.default
        ]
        return ",".join(parts)

    def label(self, title: str | None = None) -> str:
        """Returns the choice as a reader sees it, `gaussian-mask (kappa=0.3)`, or under another title."""
        options = self._options.replace(",", ", ")
        return f"{title or self.name} ({options})" if options else title or self.name

    @property
    def own_sha256(self) -> str | None:
        """The SHA-256 of the source of a class of the user's own or of another package, None for what is built in."""
        if not isinstance(self.build, type):
            return None
        own = OWN.fullmatch(self.name) or self.build.__module__.partition(".")[0] != "mgaudit"
        return source_sha256(self.build) if own else None

    def built(self) -> Any:
        """Returns what the entry builds of its options. Raises ValueError where it does not take them."""
        try:
            return self.build(**self.options)
        except ValueError:
            raise
        except Exception as error:
            if self.own_sha256 is None:
                raise
            raise ValueError(f"{self.text} cannot be built: {told(error)}") from error


def own_code(choices: Iterable[Choice]) -> dict[str, str]:
    """Returns the SHA-256 of the source of each class of the user's own among the choices, by its name."""
    return {choice.name: choice.own_sha256 for choice in choices if choice.own_sha256 is not None}


def parse(
    kind: str,
    registry: Mapping[str, Callable[..., Any]],
    text: str,
    supplied: tuple[str, ...] = (),
    own: type | None = None,
) -> Choice:
    """Returns the choice that `text` spells, its options converted to the types of the entry's signature.

    `supplied` names the parameters that mgaudit itself supplies, and `own` is the class that the user's own must
    extend, if they may be chosen. Raises ValueError that names the choice, the rule and the value, and lists what is
    known.

    >>> parse("mask", {"mask": lambda *, kappa: kappa}, "mask:sigma=1")
    Traceback (most recent call last):
    ...
    ValueError: mask mask has no option 'sigma'; it takes kappa
    """
    name, _, rest = text.strip().partition(":")
    match = OWN.fullmatch(text.strip())
    installed = {} if own is None else plugins(kind, registry)
    if name in registry:
        build = registry[name]
    elif own is not None and name in installed:
        build = plugin_class(kind, own, installed[name])
        supplied = _first(f"{kind} {name}", build, supplied)
    elif own is not None and match is not None:
        build = own_class(kind, own, match["module"], match["name"])
        name, rest = f"{match['module']}:{match['name']}", match["options"] or ""
        supplied = _first(f"{kind} {name}", build, supplied)
    else:
        known = [*registry, *installed, *(["module:Class of your own"] if own else [])]
        raise ValueError(
            f"{kind} must be one of {', '.join(known)}, got {name!r}{_nearest(name, [*registry, *installed])}"
        )
    parameters = {
        key: parameter
        for key, parameter in inspect.signature(build).parameters.items()
        if key not in supplied and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    hints = types(build)
    options: dict[str, Any] = {}
    for place, part in enumerate(filter(None, rest.split(","))):
        key, equals, value = part.partition("=")
        if place == 0 and not equals and parameters:
            key, equals, value = next(iter(parameters)), "=", part
        key = key.strip()
        if key not in parameters:
            takes = ", ".join(f"{one}{allowed(hints.get(one))}" for one in parameters) or "no options"
            raise ValueError(f"{kind} {name} has no option {key!r}; it takes {takes}{_nearest(key, parameters)}")
        if not equals:
            raise ValueError(f"{kind} {name}: options are spelt key=value, got {part!r}")
        if key in options:
            raise ValueError(f"{kind} {name}: option {key} is given twice")
        options[key] = _converted(f"{kind} {name}: {key}", hints.get(key, str), value.strip())
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in options:
            raise ValueError(f"{kind} {name} needs {key}: write {name}:{key}=VALUE{allowed(hints.get(key))}")
    return Choice(name, options, build)


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _first(place: str, build: Callable[..., Any], supplied: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names that the user's own class has for what mgaudit supplies, in their order."""
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [key for key, parameter in inspect.signature(build).parameters.items() if parameter.kind in places]
    if len(names) < len(supplied):
        raise ValueError(f"{place} must be built as {build.__name__}({', '.join(supplied)}, ...)")
    return tuple(names[: len(supplied)])


def types(build: Callable[..., Any]) -> dict[str, Any]:
    """Returns the types of the parameters; one without an annotation has the type of its default."""
    parameters = inspect.signature(build).parameters
    bare = {key: type(one.default) for key, one in parameters.items() if one.default not in (one.empty, None)}
    build = getattr(build, "__init__", build) if isinstance(build, type) else build
    return bare | get_type_hints(build, include_extras=True)


def allowed(hint: Any) -> str:
    """Returns what a parameter of that type may be, " (>= 0)" or " (cyclic or random)"; nothing where that is open.

    >>> from typing import Literal
    >>> allowed(Literal["cyclic", "random"] | None)
    ' (cyclic or random)'
    """
    words = [str(word) for part in (hint, *get_args(hint)) if get_origin(part) is Literal for word in get_args(part)]
    rule = " or ".join(words) or (str(found) if (found := range_in(hint)) else "")
    return f" ({rule})" if rule else ""


def _converted(place: str, hint: Any, value: str) -> Any:
    raw: Any = value.split("x") if get_origin(hint) is tuple else value
    try:
        return TypeAdapter(hint).validate_python(raw)
    except ValidationError as error:
        raise ValueError(f"{place}: {error.errors()[0]['msg'].lower()}, got {value!r}") from error


def spelt(value: Any) -> str:
    """Returns the value of an option as it is spelt canonically.

    >>> spelt(0.30), spelt(True), spelt((512, 256))
    ('0.3', 'true', '512x256')
    """
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)
