"""The user's own dataset, and that of an installed package: a function or a reader of theirs."""

import functools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.arrays import ARRAYS, from_arrays
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.reader import Reader
from mgaudit.targets.own_module import RAISED, error_line_with_place, load_module


def read_own(
    *, module: str, function: str, examples: int | None, generator: np.random.Generator
) -> Dataset:
    """A function of your own, called without arguments; the current folder is searched for its module.

    It returns a mgaudit.targets.datasets.Dataset or the arrays (x_train, y_train, x_test, y_test), as npz:PATH holds
    them.
    """
    name = f"{module}:{function}"
    return _called(name, _function(name, module, function)).drawn(examples, generator)


def reader_of(name: str, own: object) -> Reader:
    """Returns the reader of a dataset of an installed package, which gives a function as above or a Reader.

    Whatever goes wrong in it is a UsageError that names the dataset. Raises UsageError for what is neither.
    """
    if isinstance(own, Reader):
        read = own.read

        @functools.wraps(read)
        def read_by_reader(**options: Any) -> Dataset:
            return _called(name, partial(read, **options))

        return replace(own, name=name, read=read_by_reader)
    if not callable(own):
        rule = "must be a mgaudit.targets.datasets.Reader, or a function that returns a dataset or four arrays"
        raise UsageError(f"dataset {name}", rule, type(own).__name__)
    function: Callable[[], Any] = own

    def read_by_function(examples: int | None, generator: np.random.Generator) -> Dataset:
        return _called(name, function).drawn(examples, generator)

    return Reader(name, read_by_function)


def _function(name: str, module_name: str, function_name: str) -> Callable[[], Any]:
    key = f"dataset {name}"
    try:
        module = load_module(module_name)
        function: Callable[[], Any] | None = getattr(module, function_name, None)
    except RAISED as error:
        rule = f"cannot import the module {module_name!r}: {error_line_with_place(error)}"
        raise UsageError(key, rule, None, "start mgaudit in its folder, or repair it") from error
    if not callable(function):
        file = getattr(module, "__file__", None) or f"the module {module_name}"
        raise UsageError(
            key, f"must name a function, and there is no function {function_name!r} in {file}"
        )
    return function


def _called(name: str, function: Callable[[], Any]) -> Dataset:
    """Returns the dataset that the function returns, or that of the arrays that it returns."""
    key = f"dataset {name}"
    try:
        returned = function()
    except UsageError:
        raise
    except RAISED as error:
        raise UsageError(
            key, f"failed: {error_line_with_place(error)}", None, "repair the function"
        ) from error
    if isinstance(returned, Dataset):
        return returned
    is_tuple_of_arrays = isinstance(returned, tuple) and all(
        isinstance(array, np.ndarray) for array in returned
    )
    if is_tuple_of_arrays and len(returned) == len(ARRAYS):
        return from_arrays(name, *returned)
    rule = f"must return a mgaudit.targets.datasets.Dataset or a tuple of four arrays ({', '.join(ARRAYS)})"
    raise UsageError(key, rule, _kind(returned))


def _kind(returned: object) -> str:
    if isinstance(returned, tuple):
        return f"a tuple of {', '.join(type(item).__name__ for item in returned) or 'nothing'}"
    return type(returned).__name__
