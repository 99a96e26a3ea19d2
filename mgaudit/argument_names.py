"""The names of arguments of public functions: an unknown name is a mistake in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import wraps
from inspect import Parameter, signature
from typing import Any, ParamSpec, TypeVar

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.targets.training import Training

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

# Settings of training, which functions take as `**training`.
TRAINED = tuple(field.name for field in fields(Training))
RULE = "is not an argument"
VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def checked_names(*further: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Returns a decorator that raises UsageError for an argument of an unknown name.

    Python itself raises TypeError, or nothing for a function with `**names`. `further` are the
    names that such a function takes.

    >>> @checked_names()
    ... def score(*, attacks=None):
    ...     return attacks
    >>> score(attack="lira")
    Traceback (most recent call last):
    ...
    mgaudit.errors.UsageError: attack is not an argument; did you mean 'attacks'?
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = signature(function).parameters.values()
        variadic = [item.name for item in parameters if item.kind is Parameter.VAR_POSITIONAL]
        known = [*(name for name in names_of(function) if name != "self"), *further]
        title = function.__qualname__.removesuffix(".__init__")

        @wraps(function)
        def call(*arguments: P.args, **options: P.kwargs) -> R:
            refuse_unknown(options, known, title, variadic)
            return function(*arguments, **options)

        return call

    return decorate


def checked_class(own: C) -> C:
    """Returns the class, whose constructor raises UsageError for an argument of an unknown name."""
    constructor: Any = vars(own)["__init__"]
    constructor.__qualname__ = f"{own.__qualname__}.__init__"  # that of a dataclass lacks the class
    type.__setattr__(own, "__init__", checked_names()(constructor))
    return own


def values_of(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all arguments of a function by name, those that are not given with their defaults."""
    bound = signature(function).bind(**arguments)
    bound.apply_defaults()
    return dict(bound.arguments)


def names_of(function: Callable[..., Any]) -> list[str]:
    """Returns the names of the arguments that a function takes by name."""
    parameters = signature(function).parameters.items()
    return [name for name, parameter in parameters if parameter.kind not in VARIADIC]


def refuse_unknown(
    names: Iterable[str], known: Sequence[str], title: str, by_position: Sequence[str] = ()
) -> None:
    """Raises UsageError for the first name that is not known.

    Args:
        names: The names of the arguments of a call.
        known: The names that the function takes.
        title: The public name of the function, for its help.
        by_position: The names of arguments that are given by position only.
    """
    for name in names:
        if name not in known:
            rule = f"{RULE}, and not a setting of training" if TRAINED[0] in known else RULE
            way_out = did_you_mean(name, known) or f"see help(mgaudit.{title})"
            if did_you_mean(name, by_position):
                way_out = f"give {by_position[0]} without a name"
            raise UsageError(name, rule, None, way_out)
