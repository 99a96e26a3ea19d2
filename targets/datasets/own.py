"""The user's own dataset, made by a function of theirs."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np

from targets.datasets.arrays import ARRAYS, from_arrays
from targets.datasets.dataset import Dataset

MACHINERY = (__file__, importlib.__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


def read_own(place: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """A function of your own, called without arguments; the current folder is searched for its module.

    It returns a targets.datasets.Dataset or the arrays (x_train, y_train, x_test, y_test), as npz:PATH holds them.
    """
    with _current_folder_on_path():
        returned = _called(place, _function(place))
    if isinstance(returned, Dataset):
        return returned.drawn(examples, generator)
    if (
        isinstance(returned, tuple)
        and len(returned) == len(ARRAYS)
        and all(isinstance(array, np.ndarray) for array in returned)
    ):
        return from_arrays(place, *returned).drawn(examples, generator)
    raise ValueError(
        f"dataset {place} must return a targets.datasets.Dataset or a tuple of four arrays ({', '.join(ARRAYS)}), "
        f"got {_kind(returned)}"
    )


def _function(place: str) -> Callable[[], Any]:
    name, _, function = place.partition(":")
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a user's module may raise anything, and is the user's to mend
        raise ValueError(f"dataset {place}: cannot import the module {name!r}: {_told(error)}") from error
    found: Callable[[], Any] | None = getattr(module, function, None)
    if not callable(found):
        raise ValueError(f"dataset {place}: there is no function {function!r} in {module.__file__}")
    return found


def _called(place: str, function: Callable[[], Any]) -> object:
    try:
        return function()
    except Exception as error:  # as above
        raise ValueError(f"dataset {place} failed: {_told(error)}") from error


@contextmanager
def _current_folder_on_path() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _told(error: Exception) -> str:
    """Returns the error in one line, with the line of the user's code that raised it."""
    told = f"{type(error).__name__}: {' '.join(str(error).split())}"
    frames = [frame for frame in extract_tb(error.__traceback__) if frame.filename not in MACHINERY]
    return f"{told} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else told


def _kind(returned: object) -> str:
    if isinstance(returned, tuple):
        return f"a tuple of {', '.join(type(item).__name__ for item in returned) or 'nothing'}"
    return type(returned).__name__
