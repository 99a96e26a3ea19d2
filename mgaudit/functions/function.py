"""Training functions of the user's own: `fit(x, y, *, seed) -> predict`."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from mgaudit.errors import UsageError
from mgaudit.functions.estimator import EstimatorFit, estimator_fit, is_estimator
from mgaudit.outputs.logits import OutputsKind
from mgaudit.targets.own_module import (
    RAISED,
    error_line,
    hidden_way_out,
    import_way_out,
    load_module,
)

CONTRACT = "must be a function fit(x, y, *, seed) that returns predict, or an estimator"


@dataclass(frozen=True)
class FunctionFit:
    """A training function; `function(x, y, seed=seed)` returns predict."""

    function: Callable[..., Any]
    outputs: ClassVar[OutputsKind] = "auto"

    @property
    def identity(self) -> Callable[..., Any]:
        """The value that determines the models, besides data and seed."""
        return self.function

    def with_one_job(self) -> "FunctionFit":
        """Returns the same function, which itself decides on its processes."""
        return self

    def __call__(self, x: Any, y: Any, *, seed: int) -> Any:
        """Returns what the function returns, which should be predict."""
        return self.function(x, y, seed=seed)


Fit: TypeAlias = FunctionFit | EstimatorFit


def as_fit(key: str, fit: Any, classes: tuple[Any, ...]) -> Fit:
    """Returns a training function or an estimator in one form.

    `classes` are the sorted labels of all data. Raises UsageError, with this key, for anything else
    and for a function that cannot be called as `fit(x, y, seed=0)`.
    """
    if isinstance(fit, type):
        name = fit.__name__
        raise UsageError(key, CONTRACT, f"the class {name}", f"give an instance, such as {name}()")
    if is_estimator(fit):
        return estimator_fit(key, fit, classes)
    if not callable(fit):
        raise UsageError(key, CONTRACT, type(fit).__name__)
    try:
        inspect.signature(fit).bind(None, None, seed=0)
    except TypeError as error:
        arguments = str(inspect.signature(fit))
        raise UsageError(key, CONTRACT, f"arguments {arguments} ({error})") from error
    except ValueError:  # some functions in C have no signature; the trial fit calls them
        pass
    return FunctionFit(fit)


def load_fit(text: str) -> Any:
    """Returns the function or estimator that `module:name` names, for `as_fit`.

    The module is also searched for in the current directory. Raises UsageError where there is none.
    """
    module, _, name = text.partition(":")
    if not module or not name:
        raise UsageError("fit", "must be written module:function", repr(text))
    try:
        loaded = load_module(module)
    except RAISED as error:
        rule = f"cannot be imported ({error_line(error)})"
        raise UsageError(text, rule, None, import_way_out(module)) from error
    if not hasattr(loaded, name):
        file = getattr(loaded, "__file__", None) or "no file"
        rule = f"must name a function in {module} ({file}), and there is no {name}"
        raise UsageError(text, rule, None, hidden_way_out(module))
    return getattr(loaded, name)
