"""Estimators with `fit` and `predict_proba` or `decision_function` as training functions."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from mgaudit.errors import UsageError
from mgaudit.functions.rows import as_array
from mgaudit.outputs.logits import OutputsKind
from mgaudit.targets.own_module import RAISED, error_line

Predict = Callable[[Any], Any]

# The probability of a class that a model never saw, where its outputs are logits.
UNSEEN_PROBABILITY = 1e-9

# Parameters that are set for each model, and do not identify an estimator.
RANDOM_STATE = "random_state"
JOBS = "n_jobs"


def is_estimator(value: object) -> bool:
    """Returns whether a value is an object with `fit`, such as an estimator of scikit-learn."""
    return hasattr(value, "fit") and hasattr(value, "get_params") and not isinstance(value, type)


@dataclass(frozen=True)
class EstimatorFit:
    """Trains clones of an estimator: `fit(x, y, seed=seed)` returns the clone's predictions.

    Args:
        estimator: An unfitted classifier or pipeline in the manner of scikit-learn.
        classes: The sorted labels of all data; the columns of predictions are in this order.
        method: "predict_proba", or "decision_function" where there is no other.
        one_job: Whether each `n_jobs` is set to 1, because models are trained in parallel.
    """

    estimator: Any
    classes: tuple[Any, ...]
    method: str
    one_job: bool = False

    @property
    def outputs(self) -> OutputsKind:
        """What predictions are: "probabilities" or "logits"."""
        return "probabilities" if self.method == "predict_proba" else "logits"

    @property
    def identity(self) -> tuple[Any, ...]:
        """The values that determine the models, besides data and seed."""
        return _parts(self.estimator), self.classes, self.method

    def with_one_job(self) -> "EstimatorFit":
        """Returns the same with one job inside each model."""
        return replace(self, one_job=True)

    def __call__(self, x: Any, y: Any, *, seed: int) -> Predict:
        """Returns the predictions of a clone that is fitted to `x` and `y`."""
        model = _clone(self.estimator)
        _set_seed(model, seed)
        if self.one_job:
            _set_one_job(model)
        model.fit(x, y)
        return _AlignedPredictions(model, self.classes, self.method)


def estimator_fit(key: str, estimator: Any, classes: tuple[Any, ...]) -> EstimatorFit:
    """Returns the training function of an estimator.

    Raises UsageError, with this key, where it cannot be cloned or gives only labels.
    """
    name = type(estimator).__name__
    try:
        clone = _clone(estimator)
    except RAISED as error:
        rule = f"must be an estimator that scikit-learn can clone ({error_line(error)})"
        way_out = "or give a function fit(x, y, *, seed) that returns predict"
        raise UsageError(key, rule, name, way_out) from error
    for method in ("predict_proba", "decision_function"):
        if hasattr(clone, method):
            return EstimatorFit(clone, classes, method)
    rule = "must have predict_proba or decision_function"
    way_out = "wrap it in sklearn.calibration.CalibratedClassifierCV, or choose another classifier"
    raise UsageError(key, rule, name, way_out)


def _clone(estimator: Any) -> Any:
    from sklearn.base import clone

    return clone(estimator)


def _set_seed(model: Any, seed: int) -> None:
    """Sets every `random_state` of an estimator, of its parts and of their splitters."""
    parameters = model.get_params(deep=True)
    states = [name for name in parameters if _last_part(name) == RANDOM_STATE]
    if states:
        model.set_params(**dict.fromkeys(states, seed))
    for name, value in parameters.items():
        if hasattr(value, RANDOM_STATE) and not hasattr(value, "get_params"):
            splitter = copy.copy(value)  # such as KFold(shuffle=True)
            if getattr(splitter, "shuffle", True):  # without it, KFold refuses a random state
                splitter.random_state = seed
            model.set_params(**{name: splitter})


def _set_one_job(model: Any) -> None:
    parameters = model.get_params(deep=True)
    jobs = [name for name, value in parameters.items() if _last_part(name) == JOBS and value]
    if jobs:
        model.set_params(**dict.fromkeys(jobs, 1))


def _last_part(name: str) -> str:
    return name.rpartition("__")[2]


def _parts(value: Any) -> Any:
    """Returns an estimator as its class and parameters, without seeds and numbers of jobs."""
    if isinstance(value, list | tuple):
        return [_parts(item) for item in value]
    if not is_estimator(value):
        return value
    parameters = value.get_params(deep=False)
    kept = {name: part for name, part in parameters.items() if name not in (RANDOM_STATE, JOBS)}
    return type(value), {name: _parts(part) for name, part in sorted(kept.items())}


@dataclass(frozen=True)
class _AlignedPredictions:
    """Predictions of a fitted model with one column for each class of all data."""

    model: Any
    classes: tuple[Any, ...]
    method: str

    def __call__(self, x: Any) -> NDArray[Any]:
        """Returns probabilities or logits (examples, classes) of the rows of `x`."""
        columns = as_array(getattr(self.model, self.method)(x))
        seen = self._seen_classes()
        if self.method == "decision_function" and columns.ndim == 1 and len(seen) == 2:
            columns = np.stack([np.zeros_like(columns), columns], axis=1)  # log odds of the second
        if columns.ndim != 2 or columns.shape[1] != len(seen):
            return columns  # refused with its shape
        return self._aligned(columns, seen)

    def _seen_classes(self) -> list[Any]:
        """Returns the labels of the model's columns."""
        labels = getattr(self.model, "classes_", None)
        return list(self.classes) if labels is None else as_array(labels).tolist()

    def _aligned(self, columns: NDArray[Any], seen: list[Any]) -> NDArray[Any]:
        if tuple(seen) == self.classes:
            return columns
        if self.method == "predict_proba":
            aligned = np.zeros((len(columns), len(self.classes)), columns.dtype)
        else:
            total = logsumexp(columns, axis=1, keepdims=True)
            unseen = total + np.log(UNSEEN_PROBABILITY)
            aligned = np.repeat(unseen, len(self.classes), axis=1)
        positions = {label: position for position, label in enumerate(self.classes)}
        aligned[:, [positions[label] for label in seen]] = columns
        return aligned
