"""The trial fit: what a training function must do is checked before models are trained."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.functions.capture import captured
from mgaudit.functions.digest import NotDigestibleError, digest
from mgaudit.functions.function import Fit
from mgaudit.functions.rows import take
from mgaudit.functions.worker import FitData, checked_predictions
from mgaudit.outputs.logits import OutputsKind, as_logits
from mgaudit.settings.arguments import CLIP
from mgaudit.targets.own_module import RAISED, error_line_with_place

TRIAL_ROWS = 300  # members of the trial model, and more only for classes with few examples
ROWS_OF_A_CLASS = 5
QUERIED_ROWS = 100
ATTEMPTS = 3  # models whose members are tried where the trial rows are too few for a fit
SLOW_SECONDS = 20.0  # a fit that takes longer is not repeated

# Differences of predictions that rounding explains, relative to the largest value.
EQUAL_FITS = 1e-6
EQUAL_BATCHES = 1e-3


@dataclass(frozen=True)
class _TrialModel:
    """A model of the trial: its predict, members (members,), seed and seconds."""

    predict: Callable[[Any], Any]
    members: NDArray[np.int64]
    seed: int
    seconds: float


def trial_fit(
    key: str,
    fit: Fit,
    data: FitData,
    labels: NDArray[np.int64],
    membership: NDArray[np.bool_],
    seeds: list[int],
    outputs: OutputsKind = "auto",
) -> list[str]:
    """Trains a model on few examples, or else the first model, and checks what it does.

    Args:
        key: The argument, for errors, such as "fit".
        fit: The training function.
        data: The data of all models.
        labels: Class numbers (examples,).
        membership: Membership (models, examples), bool.
        seeds: The seed of each model.
        outputs: What the predictions are.

    Returns:
        Notes about what is allowed but should be known, such as a fit that ignores its seed.

    Raises:
        UsageError: Where no model can be trained, inputs are changed, or predictions have another
            shape or are not finite.
    """
    with captured():
        model = _first_model(key, fit, data, labels, membership, seeds)
        rows = _queried_rows(model.members, len(labels))
        predictions = _query(key, model.predict, data, rows)
        as_logits(f"predict of {key}", predictions, outputs, CLIP.default)
        scale = max(float(np.abs(predictions).max()), 1.0)
        half = len(rows) // 2
        again = _query(key, model.predict, data, rows[:half])
        difference = float(np.abs(again - predictions[:half]).max())
        if difference > EQUAL_BATCHES * scale:
            return [
                "predict gives other values for the same rows in another batch, with differences "
                f"up to {difference:.2g}; if dropout or BatchNorm is still in training mode, call "
                "model.eval() before predict"
            ]
        if model.seconds > SLOW_SECONDS:
            return []
        second = _trained(key, fit, data, model.members, model.seed)
        repeated = _query(key, second.predict, data, rows)
    difference = float(np.abs(repeated - predictions).max())
    if difference <= EQUAL_FITS * scale:
        return []
    return [
        f"two fits with the same seed differ, with differences up to {difference:.2g} in their "
        "predictions, so that a repeated audit gives other models; seed every random generator "
        "from the argument seed"
    ]


def _first_model(
    key: str,
    fit: Fit,
    data: FitData,
    labels: NDArray[np.int64],
    membership: NDArray[np.bool_],
    seeds: list[int],
) -> _TrialModel:
    """Returns the first model that can be trained. Raises UsageError where none can."""
    first_error: BaseException | None = None
    for members, seed in _attempts(labels, membership, seeds):
        try:
            return _trained(key, fit, data, members, seed)
        except _FitFailedError as error:
            first_error = first_error or error.__cause__
    assert first_error is not None  # there is at least one attempt
    line = error_line_with_place(first_error)
    raise UsageError(key, "must train a model on rows of x and y", line) from first_error


class _FitFailedError(Exception):
    """The user's function raised an error, which is the cause."""


def _attempts(
    labels: NDArray[np.int64], membership: NDArray[np.bool_], seeds: list[int]
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yields the members and the seed of trial models: a few examples, then whole models."""
    first = np.flatnonzero(membership[0])
    few = _few_of_each_class(first, labels)
    if len(few) < len(first):
        yield few, seeds[0]
    for members, seed in zip(membership[:ATTEMPTS], seeds, strict=False):
        yield np.flatnonzero(members), seed


def _few_of_each_class(members: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the first TRIAL_ROWS members and, of each class, the first ROWS_OF_A_CLASS."""
    of_members = labels[members]
    chosen = np.arange(len(members)) < TRIAL_ROWS
    for number in np.unique(of_members):
        chosen[np.flatnonzero(of_members == number)[:ROWS_OF_A_CLASS]] = True
    return members[chosen]


def _trained(
    key: str, fit: Fit, data: FitData, members: NDArray[np.int64], seed: int
) -> _TrialModel:
    """Returns the model of these members. Raises _FitFailedError for an error of the function."""
    inputs = {"x": take(data.x, members), "y": take(data.y, members)}
    before = {name: _content(values) for name, values in inputs.items()}
    started = time.perf_counter()
    try:
        predict = fit(inputs["x"], inputs["y"], seed=seed)
    except RAISED as error:
        raise _FitFailedError from error
    seconds = time.perf_counter() - started
    for name, values in inputs.items():
        _refuse_change(key, name, before[name], values)
    if not callable(predict):
        way_out = "end fit with `return predict`"
        if hasattr(predict, "predict_proba"):
            way_out = "return model.predict_proba"
        raise UsageError(key, "must return a function predict(x)", _kind(predict), way_out)
    return _TrialModel(predict, members, seed, seconds)


def _queried_rows(members: NDArray[np.int64], examples: int) -> NDArray[np.int64]:
    """Returns members and other examples by turns, so that each half of the rows has both."""
    others = np.setdiff1d(np.arange(examples), members)
    number = min(len(members), len(others), QUERIED_ROWS // 2)
    return np.stack([members[:number], others[:number]], axis=1).ravel()


def _query(
    key: str, predict: Callable[[Any], Any], data: FitData, rows: NDArray[np.int64]
) -> NDArray[np.floating]:
    """Returns checked predictions (rows, classes) of some examples."""
    key_of_predict = f"predict of {key}"
    x = take(data.x, rows)
    before = _content(x)
    try:
        values = predict(x)
    except RAISED as error:
        line = error_line_with_place(error)
        raise UsageError(key_of_predict, "must predict rows of x", line) from error
    _refuse_change(key_of_predict, "x", before, x)
    try:
        return checked_predictions(values, len(rows), data.classes)
    except UsageError as error:
        raise UsageError(key_of_predict, error.rule, error.value, error.way_out) from error


def _content(values: Any) -> str | None:
    """Returns the SHA-256 of data, or None where it cannot be computed."""
    try:
        return digest(values)
    except NotDigestibleError:
        return None


def _refuse_change(key: str, name: str, before: str | None, values: Any) -> None:
    if before != _content(values):
        way_out = f"work on a copy, as in {name} = {name}.copy()"
        raise UsageError(key, f"must not change {name}", "other values after the call", way_out)


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
