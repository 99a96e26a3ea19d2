from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mgaudit.errors import UsageError
from mgaudit.functions.contract import trial_fit
from mgaudit.functions.function import as_fit
from mgaudit.functions.worker import FitData

EXAMPLES = 40
X = np.random.default_rng(0).normal(size=(EXAMPLES, 3))
Y = np.arange(EXAMPLES) % 3
MEMBERSHIP = np.random.default_rng(1).random((4, EXAMPLES)) < 0.5
SEEDS = [5, 6, 7, 8]
CLASSES = (0, 1, 2)


def centroids(x: Any, y: Any, *, seed: int) -> Callable[[Any], Any]:
    means = np.stack([np.asarray(x)[np.asarray(y) == number].mean(axis=0) for number in CLASSES])

    def predict(rows: Any) -> Any:
        return -((np.asarray(rows)[:, None] - means) ** 2).sum(axis=-1)

    return predict


def trial(fit: Any, x: Any = X, y: Any = Y) -> list[str]:
    data = FitData(x, y, None, len(CLASSES))
    return trial_fit("fit", as_fit("fit", fit, CLASSES), data, Y, MEMBERSHIP, SEEDS)


def predicting(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Returns a training function whose predictions are changed."""
    return lambda x, y, *, seed: lambda rows: change(centroids(x, y, seed=seed)(rows))


def test_a_fit_that_ignores_its_seed_and_prints_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    def printing(x: Any, y: Any, *, seed: int) -> Any:
        print("epoch 1")
        return centroids(x, y, seed=seed)

    assert trial(printing) == []
    assert capsys.readouterr() == ("", "")


def test_a_fit_whose_seed_does_not_decide_is_noted() -> None:
    calls = count()
    notes = trial(lambda x, y, *, seed: centroids(x + 0.01 * next(calls), y, seed=seed))
    assert len(notes) == 1
    assert "two fits with the same seed differ" in notes[0]


def test_a_predict_that_depends_on_the_batch_is_noted() -> None:
    notes = trial(predicting(lambda z: z - z.mean(axis=0)))
    assert len(notes) == 1
    assert "model.eval()" in notes[0]


def changing_x(x: Any, y: Any, *, seed: int) -> Any:
    x -= 1.0
    return centroids(x, y, seed=seed)


def changing_y(x: Any, y: Any, *, seed: int) -> Any:
    predict = centroids(x, y, seed=seed)
    y[y == 1] = 0
    return predict


def changing_x_in_predict(x: Any, y: Any, *, seed: int) -> Any:
    predict = centroids(x, y, seed=seed)

    def changing(rows: Any) -> Any:
        rows *= 2.0
        return predict(rows)

    return changing


def failing(x: Any, y: Any, *, seed: int) -> Any:
    raise ValueError("no\nluck")


class Fitted:
    predict_proba = None


@pytest.mark.parametrize(
    ("fit", "key", "words"),
    [
        (changing_x, "fit", "must not change x"),
        (changing_y, "fit", "must not change y"),
        (changing_x_in_predict, "predict of fit", "must not change x"),
        (failing, "fit", "ValueError: no luck (test_contract.py, line"),
        (lambda x, y, *, seed: None, "fit", "predict(x), got None; end fit with `return predict`"),
        (lambda x, y, *, seed: Fitted(), "fit", "got Fitted; return model.predict_proba"),
        (lambda x, y, *, seed: lambda x: 1 / 0, "predict of fit", "ZeroDivisionError"),
        (predicting(lambda z: z[:, :2]), "predict of fit", "a column for each label of y"),
        (predicting(lambda z: z.T), "predict of fit", "transpose it"),
        (predicting(lambda z: z.argmax(axis=1)), "predict of fit", "logits, not labels"),
        (predicting(lambda z: z[1:]), "predict of fit", "got the shape"),
        (predicting(lambda z: None), "predict of fit", "numbers, got None"),
        (predicting(lambda z: z.astype(str)), "predict of fit", "dtype <U"),
        (predicting(lambda z: z / 0.0), "predict of fit", "finite numbers, got -inf for row 0"),
    ],
)
def test_what_breaks_the_contract_is_one_line(fit: Any, key: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        trial(fit)
    assert error.value.key == key
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("y", [Y.tolist(), pd.Series(Y)])
def test_changes_of_lists_and_tables_are_found(y: Any) -> None:
    def changing(x: Any, y: Any, *, seed: int) -> Any:
        predict = centroids(x, y, seed=seed)
        y[0] = 9
        return predict

    if isinstance(y, pd.Series):
        y.index = y.index.to_numpy()[::-1] * 0  # whatever the index is
    with pytest.raises(UsageError, match="fit must not change y"):
        trial(changing, pd.DataFrame(X), y)


def test_a_fit_that_needs_more_examples_gets_a_whole_model() -> None:
    labels = np.arange(900) % 3
    membership = np.random.default_rng(0).random((3, 900)) < 0.5
    sizes = []

    def choosy(x: Any, y: Any, *, seed: int) -> Any:
        sizes.append(len(y))
        if len(y) < 350 or seed == 1:
            raise ValueError("too few")
        return centroids(x, y, seed=seed)

    x = np.random.default_rng(0).normal(size=(900, 3))
    data = FitData(x, labels, None, 3)
    fit = as_fit("fit", choosy, CLASSES)
    assert trial_fit("fit", fit, data, labels, membership, [1, 2, 3]) == []
    assert sizes == [300, *membership.sum(axis=1)[:2], membership[1].sum()]


def test_few_rows_have_every_class() -> None:
    labels = np.r_[np.zeros(1000, int), np.ones(8, int)]
    membership = np.ones((1, 1008), bool)
    seen = []

    def fit(x: Any, y: Any, *, seed: int) -> Any:
        seen.append(np.bincount(y).tolist())
        return lambda rows: np.stack([rows[:, 0], -rows[:, 0]], axis=1)

    membership[0, :2] = False
    data = FitData(np.random.default_rng(0).normal(size=(1008, 2)), labels, None, 2)
    trial_fit("fit", as_fit("fit", fit, (0, 1)), data, labels, membership, [0])
    assert seen[0] == [300, 5]


@pytest.mark.parametrize(
    "fit", [dict, 3, "fit", lambda x, y: None, lambda x, y, seed, other: None, Fitted()]
)
def test_what_cannot_be_called_is_refused(fit: Any) -> None:
    with pytest.raises(UsageError) as error:
        as_fit("fits['a']", fit, CLASSES)
    assert error.value.key == "fits['a']"
