"""The user's own dataset, made by a function of theirs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mgaudit.targets.datasets.arrays import ARRAYS, from_arrays
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.own_module import error_line_with_place, load_module


def read_own(*, module: str, function: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """A function of your own, called without arguments; the current folder is searched for its module.

    It returns a mgaudit.targets.datasets.Dataset or the arrays (x_train, y_train, x_test, y_test), as npz:PATH holds
    them.
    """
    place = f"{module}:{function}"
    returned = _called(place, _function(place, module, function))
    if isinstance(returned, Dataset):
        return returned.drawn(examples, generator)
    if (
        isinstance(returned, tuple)
        and len(returned) == len(ARRAYS)
        and all(isinstance(array, np.ndarray) for array in returned)
    ):
        return from_arrays(place, *returned).drawn(examples, generator)
    raise ValueError(
        f"dataset {place} must return a mgaudit.targets.datasets.Dataset or a tuple of four arrays "
        f"({', '.join(ARRAYS)}), got {_kind(returned)}"
    )


def _function(place: str, name: str, function: str) -> Callable[[], Any]:
    try:
        module = load_module(name)
    except Exception as error:  # a user's module may raise anything, and is the user's to mend
        raise ValueError(
            f"dataset {place}: cannot import the module {name!r}: {error_line_with_place(error)}"
        ) from error
    found: Callable[[], Any] | None = getattr(module, function, None)
    if not callable(found):
        raise ValueError(f"dataset {place}: there is no function {function!r} in {module.__file__}")
    return found


def _called(place: str, function: Callable[[], Any]) -> object:
    try:
        return function()
    except Exception as error:  # as above
        raise ValueError(f"dataset {place} failed: {error_line_with_place(error)}") from error


def _kind(returned: object) -> str:
    if isinstance(returned, tuple):
        return f"a tuple of {', '.join(type(item).__name__ for item in returned) or 'nothing'}"
    return type(returned).__name__
