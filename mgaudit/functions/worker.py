"""The work of a worker: fit one model and predict with it.

The module imports neither torch nor scikit-learn, because each worker imports it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.functions.capture import captured
from mgaudit.functions.predictions import ModelFacts, PredictionFolder, Predictions
from mgaudit.functions.rows import as_array, count_rows, take
from mgaudit.targets.own_module import RAISED, error_line_with_place

ROWS_AT_ONCE = 2000  # rows of one call of predict, which bounds the memory of a network


@dataclass(frozen=True)
class FitData:
    """What models are trained and queried on.

    `x` and `y` are the audited examples and their labels, and `x_test` are other examples or None;
    all have the types that the user gave. `classes` is the number of classes.
    """

    x: Any
    y: Any
    x_test: Any
    classes: int


@dataclass(frozen=True)
class FitTask:
    """One model to train: its position among all models, its members (members,) and its seed.

    `fit` is called as `fit(x, y, seed=seed)`. Predictions will be kept in the folder under `name`.
    """

    index: int
    name: str
    fit: Callable[..., Any]
    members: NDArray[np.int64]
    seed: int
    folder: PredictionFolder


@dataclass(frozen=True)
class FitOutcome:
    """The model that was trained, with the content of its file.

    `failure` is the error that prevented it, in one line, or ""; there is no content then.
    """

    index: int
    failure: str
    content: bytes = b""


def fit_model(task: FitTask, data: FitData) -> FitOutcome:
    """Trains a model and predicts with it. An error of the user's code is returned."""
    started = time.perf_counter()
    failure = ""
    with captured() as printed:
        try:
            predictions = _predictions(task, data)
        except RAISED as error:
            failure = str(error) if isinstance(error, UsageError) else error_line_with_place(error)
    if failure:
        return FitOutcome(task.index, failure)
    seconds = time.perf_counter() - started
    facts = ModelFacts(seconds, printed.line, printed.warning)
    content = task.folder.model_content(task.name, predictions, facts)
    return FitOutcome(task.index, "", content)


def _predictions(task: FitTask, data: FitData) -> Predictions:
    predict = task.fit(take(data.x, task.members), take(data.y, task.members), seed=task.seed)
    if not callable(predict):
        raise UsageError("fit", "must return a function predict(x)", type(predict).__name__)
    predictions = {"examples": predict_rows(predict, data.x, data.classes)}
    if data.x_test is not None:
        predictions["test"] = predict_rows(predict, data.x_test, data.classes)
    return predictions


def predict_rows(predict: Callable[[Any], Any], x: Any, classes: int) -> NDArray[np.floating]:
    """Returns the predictions (rows, classes) of all rows of `x`, which are passed as copies.

    Raises UsageError for predictions of another shape, and for values that are not finite.
    """
    rows = np.arange(count_rows("x", x))
    blocks = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = rows[start : start + ROWS_AT_ONCE]
        values = predict(take(x, block))
        blocks.append(checked_predictions(values, len(block), classes, start))
    return np.concatenate(blocks)


def checked_predictions(
    predictions: Any, rows: int, classes: int, first_row: int = 0
) -> NDArray[np.floating]:
    """Returns predictions (rows, classes), float32 or float64.

    `first_row` is the number of the first row, for errors. Raises UsageError for another shape, for
    values that are not numbers, and for infinite ones.
    """
    try:
        array = as_array(predictions)
    except (TypeError, ValueError) as error:
        raise UsageError("predict", "must return an array", str(error)) from error
    expected = f"must return (examples, classes) = ({rows}, {classes})"
    if array.dtype.kind not in "fiub":
        got = "None" if predictions is None else f"dtype {array.dtype}"
        raise UsageError("predict", f"{expected} numbers", got)
    if array.shape != (rows, classes):
        got = f"the shape {array.shape}"
        raise UsageError("predict", expected, got, _way_out_of_shape(array, rows, classes))
    finite = np.isfinite(array)
    if not finite.all():
        row, column = np.argwhere(~finite)[0].tolist()
        got = f"{array[row, column]} for row {first_row + row}"
        raise UsageError("predict", "must return finite numbers", got)
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    return array.astype(np.float32 if single else np.float64)


def _way_out_of_shape(array: NDArray[Any], rows: int, classes: int) -> str:
    one_column = array.shape in ((rows,), (rows, 1))
    if one_column and array.dtype.kind in "iub":
        return "return probabilities or logits, not labels"
    if one_column and classes == 2:
        return "return a column for each class, such as np.stack([1 - p, p], axis=1)"
    if array.shape == (classes, rows):
        return "transpose it"
    return "return a column for each label of y, in sorted order"
