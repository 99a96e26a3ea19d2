"""Datasets of the user's own code and of installed packages."""

import functools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.in_memory import from_object
from mgaudit.targets.datasets.reader import Reader
from mgaudit.targets.own_module import (
    RAISED,
    error_line_with_place,
    hidden_way_out,
    import_way_out,
    load_module,
)


def read_own(
    *, module: str, function: str, examples: int | None, generator: np.random.Generator
) -> Dataset:
    """A function of your own, called without arguments; its module may be in the current directory.

    It returns the arrays (x_train, y_train, x_test, y_test) as arrays of NumPy, tensors, tables or
    lists; the pairs ((x_train, y_train), (x_test, y_test)); examples and labels (x, y), of which a
    third becomes test data; a mapping of such arrays by name; one or two datasets of torch; or a
    mgaudit.targets.datasets.Dataset.
    """
    name = f"{module}:{function}"
    dataset = _call(name, _load_function(name, module, function))
    return dataset.drawn(examples, generator)


def reader_of(name: str, own: object) -> Reader:
    """Returns the reader of an installed package's dataset.

    `own` is what the package registers under `name`: a Reader, or a function as for `read_own`.
    When the dataset is read, every error becomes a UsageError that names the dataset.

    Raises:
        UsageError: For an object that is neither a Reader nor a function.
    """
    if isinstance(own, Reader):
        read = own.read

        @functools.wraps(read)
        def read_by_reader(**options: Any) -> Dataset:
            return _call(name, partial(read, **options))

        return replace(own, name=name, read=read_by_reader)
    if not callable(own):
        rule = (
            "must be a mgaudit.targets.datasets.Reader, "
            "or a function that returns a dataset or four arrays"
        )
        raise UsageError(f"dataset {name}", rule, type(own).__name__)
    function: Callable[[], Any] = own

    def read_by_function(examples: int | None, generator: np.random.Generator) -> Dataset:
        dataset = _call(name, function)
        return dataset.drawn(examples, generator)

    return Reader(name, read_by_function)


def _load_function(name: str, module_name: str, function_name: str) -> Callable[[], Any]:
    """Returns the user's function, or raises UsageError where it cannot be imported."""
    key = f"dataset {name}"
    try:
        module = load_module(module_name)
        function: Callable[[], Any] | None = getattr(module, function_name, None)
    except RAISED as error:
        rule = f"cannot import the module {module_name!r}: {error_line_with_place(error)}"
        raise UsageError(key, rule, None, import_way_out(module_name)) from error
    if not callable(function):
        file = getattr(module, "__file__", None) or f"the module {module_name}"
        rule = f"must name a function, but there is no function {function_name!r} in {file}"
        raise UsageError(key, rule, None, hidden_way_out(module_name))
    return function


def _call(name: str, function: Callable[[], Any]) -> Dataset:
    """Calls the function and returns the dataset of the object that it returns.

    Raises:
        UsageError: Where the function fails or returns something else.
    """
    key = f"dataset {name}"
    try:
        returned = function()
    except UsageError:
        raise
    except RAISED as error:
        rule = f"failed: {error_line_with_place(error)}"
        raise UsageError(key, rule, None, "correct the function") from error
    return from_object(name, returned)
