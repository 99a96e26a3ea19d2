"""Networks as entries: which parameters of a class or function mgaudit supplies.

A network is built from (input_shape, classes), from one of the two, or from nothing. This follows
from the signature, and nothing is built to find it out.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mgaudit.errors import UsageError
from mgaudit.settings.choices import Entry
from mgaudit.targets.own_module import RAISED, error_line

INPUT_SHAPE, CLASSES = "input_shape", "classes"
# The names of parameters that mgaudit supplies, wherever they are in the signature.
NAMES = {
    "input_shape": INPUT_SHAPE,
    "in_shape": INPUT_SHAPE,
    "image_shape": INPUT_SHAPE,
    "shape": INPUT_SHAPE,
    "classes": CLASSES,
    "num_classes": CLASSES,
    "n_classes": CLASSES,
    "nb_classes": CLASSES,
    "num_labels": CLASSES,
    "n_labels": CLASSES,
}
NUMBERS = (int, float, bool, "int", "float", "bool")  # annotations of what is not a shape


@dataclass(frozen=True)
class NetworkBuilder:
    """Builds a network from (input_shape, classes), whatever its class or function takes.

    `name` is that of the target in errors.
    `supplied` are the names of the parameters that take one of the two, with which one they take.
    They are passed by position if they are the first parameters, in this order.
    """

    name: str
    build: Callable[..., Any]
    options: Mapping[str, Any]
    supplied: tuple[tuple[str, str], ...]
    by_position: bool

    def __call__(self, input_shape: tuple[int, ...], classes: int) -> Any:
        """Returns a new network for examples of this shape and this number of classes.

        Raises:
            UsageError: Where the class or function fails, whenever it is called.
        """
        try:
            return self._network(input_shape, classes)
        except UsageError:
            raise
        except RAISED as error:
            rule = (
                f"cannot be built for input_shape={input_shape} and classes={classes}: "
                f"{error_line(error)}"
            )
            way_out = "change its options or the data"
            raise UsageError(f"target {self.name}", rule, None, way_out) from error

    def _network(self, input_shape: tuple[int, ...], classes: int) -> Any:
        values = {INPUT_SHAPE: input_shape, CLASSES: classes}
        if self.by_position:
            positional = [values[role] for _, role in self.supplied]
            return self.build(*positional, **self.options)
        named = {key: values[role] for key, role in self.supplied}
        return self.build(**named, **self.options)


@dataclass(frozen=True)
class NetworkEntry(Entry):
    """A network of the registry or of the user's own; `roles` has what each `supplied` takes."""

    roles: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, build: Callable[..., Any]) -> "NetworkEntry":
        """Returns the entry of a class or function. Raises UsageError without a signature."""
        try:
            parameters = inspect.signature(build).parameters
        except ValueError as error:  # the constructor is not Python code
            rule = f"must have a constructor with a signature: {error_line(error)}"
            raise UsageError(name, rule) from error
        roles = supplied_parameters(parameters)
        way_out = ", or name the parameter input_shape or num_classes, which mgaudit supplies"
        return cls(name, build, tuple(roles), way_out, tuple(roles.values()))

    def _built(self, options: Mapping[str, Any]) -> Any:
        """Returns what builds the network for these options from (input_shape, classes)."""
        parameters = list(inspect.signature(self.build).parameters.values())[: len(self.supplied)]
        names = tuple(parameter.name for parameter in parameters)
        by_keyword = any(parameter.kind == parameter.KEYWORD_ONLY for parameter in parameters)
        supplied = tuple(zip(self.supplied, self.roles, strict=True))
        by_position = names == self.supplied and not by_keyword
        return NetworkBuilder(self.name, self.build, options, supplied, by_position)


def supplied_parameters(parameters: Mapping[str, inspect.Parameter]) -> dict[str, str]:
    """Returns the parameters that mgaudit supplies, by name, with what each takes.

    These are the parameters whose names are in NAMES. In addition, the first two parameters are
    (input_shape, classes) whatever their names, if both are required and nothing speaks against it:
    another name or an annotation as a number.

    >>> supplied_parameters(inspect.signature(lambda shape, n, width=3: None).parameters)
    {'shape': 'input_shape', 'n': 'classes'}
    >>> supplied_parameters(inspect.signature(lambda width, num_classes=10: None).parameters)
    {'num_classes': 'classes'}
    """
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    roles: dict[str, str] = {}
    for key, parameter in parameters.items():
        role = NAMES.get(key)
        if role is not None and role not in roles.values() and parameter.kind not in variadic:
            roles[key] = role
    first_two = [
        parameter
        for parameter in list(parameters.values())[:2]
        if parameter.default is parameter.empty
        and parameter.kind not in (*variadic, inspect.Parameter.KEYWORD_ONLY)
    ]
    if len(first_two) == 2:
        first, second = first_two
        is_shape = roles.get(first.name) == INPUT_SHAPE or _may_be_shape(first, roles)
        is_classes = roles.get(second.name) == CLASSES or _is_free(second, CLASSES, roles)
        if is_shape and is_classes:
            return {first.name: INPUT_SHAPE, second.name: CLASSES}
    return roles


def _may_be_shape(parameter: inspect.Parameter, roles: Mapping[str, str]) -> bool:
    """Returns whether a parameter of another name may be the shape of an example."""
    is_number = parameter.annotation in NUMBERS or "channels" in parameter.name
    return not is_number and _is_free(parameter, INPUT_SHAPE, roles)


def _is_free(parameter: inspect.Parameter, role: str, roles: Mapping[str, str]) -> bool:
    """Returns whether neither the parameter nor the role has been found by name."""
    return parameter.name not in roles and role not in roles.values()
