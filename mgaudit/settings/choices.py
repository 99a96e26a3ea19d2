"""Choices: an entry of a registry with options, which are checked against the entry's signature.

A registry has the built-in attacks, schemes, networks, queries or datasets by name. The text of a
choice is `name:key=value,key=value`. The first option may omit its key: `name:value`. A name that
is not in the registry may be that of an entry point of an installed package, or a class of the
user's own: `module:Class` or `module:Class:key=value`. This module parses the text, and
`Choice.text` renders it. Settings hold choices, not texts.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cached_property, partial
from types import FunctionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.settings.named_code import OWN, check_code
from mgaudit.settings.own_code import own_class, source_sha256
from mgaudit.settings.plugin_code import plugin_class
from mgaudit.settings.plugins import plugins, refuse_taken
from mgaudit.targets.own_module import RAISED, error_line, one_line
from mgaudit.targets.ranges import fits_64_bits, range_in


@dataclass(frozen=True)
class Choice:
    """An entry of a registry, or a class of the user's own, with its options.

    `options` holds the values that are not the defaults, in the order of the signature. `build` is
    the class or function of the entry. `built` is the object that it returns for the options, or a
    `functools.partial` of it if mgaudit supplies more arguments.
    """

    name: str
    options: Mapping[str, Any] = field(hash=False)
    build: Callable[..., Any] = field(compare=False)
    built: Any = field(compare=False, repr=False)

    @property
    def text(self) -> str:
        """The canonical text, which names the choice in settings and keys."""
        return text_of(self.name, self.options)

    def __str__(self) -> str:
        return self.text

    def label(self, title: str | None = None) -> str:
        """Returns the choice for readers, `gaussian-mask (kappa=0.3)`, or with another title."""
        shown_title = title or self.name
        options = ", ".join(f"{key}={value_text(value)}" for key, value in self.options.items())
        return f"{shown_title} ({options})" if options else shown_title

    @property
    def own_sha256(self) -> str | None:
        """The SHA-256 of the source of code from outside of mgaudit; None for other entries."""
        if not isinstance(self.build, type | FunctionType):
            return None
        own = OWN.fullmatch(self.name) or _is_foreign(self.build)
        return source_sha256(self.build) if own else None


@dataclass(frozen=True)
class Entry:
    """An entry of a registry, or a class of the user's own.

    `build` is the class or function. `supplied` names its parameters that are not options, because
    mgaudit supplies their values. `missing_way_out` ends the error about a missing option.
    """

    name: str
    build: Callable[..., Any]
    supplied: tuple[str, ...] = ()
    missing_way_out: str = ""

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The options of the entry, by name."""
        try:
            parameters = inspect.signature(self.build).parameters
        except ValueError as error:  # the constructor is not Python code
            rule = f"must have a constructor with a signature: {error_line(error)}"
            raise UsageError("", rule) from error
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return {
            key: parameter
            for key, parameter in parameters.items()
            if key not in self.supplied and parameter.kind not in variadic
        }

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The default of each option; `Parameter.empty` for options that must be given."""
        defaults = {key: parameter.default for key, parameter in self.parameters.items()}
        made = fields(self.build) if is_dataclass(self.build) else ()
        for option in made:
            if option.name in defaults and option.default_factory is not MISSING:
                defaults[option.name] = option.default_factory()
        return defaults

    @cached_property
    def hints(self) -> dict[str, Any]:
        """The types of the options."""
        try:
            return types(self.build)
        except Exception as error:  # annotations of a user's class may be anything
            rule = f"must have annotations that Python can evaluate: {error_line(error)}"
            raise UsageError("", rule) from error

    def chosen(self, options: Mapping[str, object]) -> Choice:
        """Returns the choice with these options, given as values or as texts.

        Raises UsageError for options that the entry does not take, for values that do not fit their
        types, and for missing options. Its key is the option, or empty if no single option is
        wrong.
        """
        values = {key: self._value(key, value) for key, value in options.items()}
        for key, parameter in self.parameters.items():
            if parameter.default is parameter.empty and key not in options:
                way_out = f"write {self.name}:{key}=VALUE{allowed(self.hints.get(key))}"
                raise UsageError("", f"needs {key}", None, way_out + self.missing_way_out)
        not_default = {
            key: values[key]
            for key, parameter in self.parameters.items()
            if key in values and values[key] != parameter.default
        }
        return Choice(self.name, not_default, self.build, self._built(not_default))

    def _value(self, key: str, value: object) -> Any:
        """Returns the value of an option in the type of the signature."""
        if key not in self.parameters:
            rule = f"is not an option of {self.name!r}, which takes {self._options_text()}"
            raise UsageError(key, rule, None, did_you_mean(key, self.parameters))
        text = value_text(value)
        if key not in self.hints:
            return _untyped(text)
        return _converted(key, self.hints[key], text)

    def _built(self, options: Mapping[str, Any]) -> Any:
        """Returns the object for these options, or a partial if mgaudit supplies more arguments."""
        if self.supplied:
            return partial(self.build, **options)
        try:
            return self.build(**options)
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError("", f"cannot be built: {one_line(error)}") from error
        except RAISED as error:
            if OWN.fullmatch(self.name) is None and not _is_foreign(self.build):
                raise
            raise UsageError("", f"cannot be built: {error_line(error)}") from error

    def _options_text(self) -> str:
        """Returns the names of the options with their allowed values, for errors."""
        options = [f"{key}{allowed(self.hints.get(key))}" for key in self.parameters]
        return ", ".join(options) or "no options"


def _is_foreign(build: Callable[..., Any]) -> bool:
    """Returns whether an entry is a class or function of another package."""
    is_code = isinstance(build, type | FunctionType)
    return is_code and build.__module__.partition(".")[0] != "mgaudit"


def own_code(choices: Iterable[Choice]) -> dict[str, str]:
    """Returns the SHA-256 of the source of each choice that is not of mgaudit, by its name."""
    return {choice.name: choice.own_sha256 for choice in choices if choice.own_sha256 is not None}


def parse(
    kind: str,
    registry: Mapping[str, Callable[..., Any]],
    text: str,
    entry_type: Callable[[str, Callable[..., Any]], Entry] = Entry,
    own: type | None = None,
) -> Choice:
    """Returns the choice that `text` names. Its options have the types of the entry's signature.

    Args:
        kind: The kind of entry, such as "attack", for errors and for plug-ins.
        registry: The built-in entries by name.
        text: The name with options, as in "lira:online=false".
        entry_type: Returns the entry of a name and a class or function; by default one to which
            mgaudit supplies nothing.
        own: The class that a user's own class must extend; None where the user cannot add one.

    Raises:
        UsageError: Its key is empty where the name is not known, and otherwise the name with the
            option. The caller puts it inside the setting.

    >>> parse("mask", {"mask": lambda *, kappa: kappa}, "mask:sigma=1")
    Traceback (most recent call last):
    ...
    mgaudit.errors.UsageError: mask.sigma is not an option of 'mask', which takes kappa
    """
    entry, options = entry_of(kind, registry, text, entry_type, own)
    try:
        return entry.chosen(option_texts(entry, options))
    except UsageError as error:
        raise error.inside(entry.name) from error


def entry_of(
    kind: str,
    registry: Mapping[str, Callable[..., Any]],
    text: str,
    entry_type: Callable[[str, Callable[..., Any]], Entry] = Entry,
    own: type | None = None,
) -> tuple[Entry, str]:
    """Returns the entry that `text` names, and the text of its options.

    Raises UsageError as `parse` does.
    """
    text = text.strip()
    name, _, options = text.partition(":")
    installed = {} if own is None else plugins(kind, registry)
    if name in registry:
        return entry_type(name, registry[name]), options
    if own is not None and name in installed:
        build = plugin_class(kind, own, installed[name])
        return entry_type(name, build), options
    if own is not None:
        refuse_taken(kind, name, registry)
    match = OWN.fullmatch(text)
    if own is None or match is None:
        names = [*registry, *installed]
        own_names = ["module:Class of your own"] if own else []
        rule = f"must be one of {', '.join([*names, *own_names])}"
        raise UsageError("", rule, repr(name), did_you_mean(name, names))
    name = f"{match['module']}:{match['name']}"
    check_code(kind, name)
    build = own_class(kind, own, match["module"], match["name"])
    return entry_type(name, build), match["options"] or ""


def option_texts(entry: Entry, text: str) -> dict[str, str]:
    """Returns the texts of the options by their names, from `key=value,key=value`.

    The first option may omit its key. Raises UsageError for text that is not of this form, and for
    an option that is given twice.
    """
    options: dict[str, str] = {}
    for index, part in enumerate(filter(None, text.split(","))):
        key, equals, value = (word.strip() for word in part.partition("="))
        if index == 0 and not equals and entry.parameters:
            key, equals, value = next(iter(entry.parameters)), "=", key
        if not equals and entry.parameters and key not in entry.parameters:
            raise UsageError("", "takes options as key=value", repr(part))
        if not equals and entry.parameters:
            raise UsageError(key, "needs a value", None, f"write {key}=VALUE")
        if key in options:
            raise UsageError(key, "may be given once", f"{options[key]!r} and {value!r}")
        options[key] = value
    return options


def types(build: Callable[..., Any]) -> dict[str, Any]:
    """Returns the type of each parameter by name: the annotation, or the type of the default."""
    parameters = inspect.signature(build).parameters
    types_of_defaults = {
        key: type(parameter.default)
        for key, parameter in parameters.items()
        if parameter.default not in (parameter.empty, None)
    }
    build = getattr(build, "__init__", build) if isinstance(build, type) else build
    return types_of_defaults | get_type_hints(build, include_extras=True)


def allowed(hint: Any) -> str:
    """Returns the allowed values of a type as text, such as " (>= 0)", or " (cyclic or random)".

    Returns "" where every value is allowed.

    >>> from typing import Literal
    >>> allowed(Literal["cyclic", "random"] | None)
    ' (cyclic or random)'
    """
    literals = [part for part in (hint, *get_args(hint)) if get_origin(part) is Literal]
    words = [str(word) for literal in literals for word in get_args(literal)]
    if words:
        return f" ({' or '.join(words)})"
    limits = range_in(hint)
    return "" if limits is None else f" ({limits})"


def _converted(key: str, hint: Any, text: str) -> Any:
    """Returns the value that `text` gives for the option `key` of type `hint`.

    Raises UsageError for text that does not fit the type or its range.
    """
    raw: Any = text.split("x") if get_origin(hint) is tuple else text
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
    except Exception as error:  # pydantic cannot read the type of a user's class from text
        rule = f"must have a type that can be written as text: {error_line(error)}"
        raise UsageError(key, rule) from error
    try:
        value = adapter.validate_python(raw)
    except ValidationError as error:
        rule = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise UsageError(key, f"must be {rule}", repr(text)) from error
    if not fits_64_bits(value):
        bits = f"one of {value.bit_length()} bits"
        raise UsageError(key, "must be a whole number of at most 64 bits", bits)
    limits = range_in(hint)
    if limits is not None and value is not None and value not in limits:
        raise UsageError(key, f"must be a finite number {limits}", text)
    # The value is rounded to the 15 digits of its text, so that settings.toml repeats the run.
    return float(value_text(value)) if isinstance(value, float) else value


def _untyped(text: str) -> bool | int | float | str:
    """Returns the value of an option without a type: a number or a truth value, if it is one.

    >>> _untyped("3"), _untyped("0.5"), _untyped("false"), _untyped("relu")
    (3, 0.5, False, 'relu')
    """
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def text_of(name: str, options: Mapping[str, Any]) -> str:
    """Returns the canonical text of a choice from its name and its options.

    >>> text_of("mlp", {"hidden": (512, 256)}), text_of("none", {})
    ('mlp:hidden=512x256', 'none')
    """
    rendered = ",".join(f"{key}={value_text(value)}" for key, value in options.items())
    return f"{name}:{rendered}" if rendered else name


def value_text(value: object) -> str:
    """Returns the canonical text of an option's value.

    >>> value_text(0.30), value_text(True), value_text((512, 256))
    ('0.3', 'true', '512x256')
    """
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)
