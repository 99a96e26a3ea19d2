"""The outputs of a naive adversary: those of a target among those of other shadow models."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mgaudit.attacks import Observations, score_every_target
from mgaudit.attacks.drift import _mean_logits, fit_drift
from mgaudit.attacks.ensemble import with_rows
from mgaudit.attacks.lira import LiRA
from mgaudit.attacks.mixed_logits import MixedLogits
from mgaudit.attacks.stacked import Stacked

MODELS, EXAMPLES, POPULATION, QUERIES, CLASSES = 8, 60, 40, 2, 3


def observed(seed: int, dtype: Any = np.float32) -> Observations:
    """Observations with the same membership and labels for all seeds."""
    of_all, own = np.random.default_rng(0), np.random.default_rng([1, seed])
    return Observations(
        own.normal(size=(MODELS, EXAMPLES, QUERIES, CLASSES)).astype(dtype),
        of_all.integers(0, CLASSES, EXAMPLES),
        of_all.random((MODELS, EXAMPLES)) < 0.5,
        own.normal(size=(MODELS, POPULATION, QUERIES, CLASSES)).astype(dtype),
        of_all.integers(0, CLASSES, POPULATION),
    )


def copied(logits: np.ndarray, models: int | np.ndarray, others: np.ndarray) -> np.ndarray:
    """The definition: a copy whose rows are replaced."""
    mixed = logits.astype(np.result_type(logits, others))
    mixed[models] = others[models]
    return mixed


@pytest.mark.parametrize("models", [3, np.array([0, 2, 7])])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mixed_logits_are_those_of_a_copy(models: int | np.ndarray, dtype: Any) -> None:
    logits, others = observed(1).logits, observed(2, dtype).logits
    mixed: Any = with_rows(logits, models, others)
    expected = copied(logits, models, others)
    assert mixed.shape == expected.shape
    assert mixed.dtype == expected.dtype
    assert len(mixed) == len(expected)
    assert np.array_equal(np.asarray(mixed), expected)
    assert all(np.array_equal(row, of_copy) for row, of_copy in zip(mixed, expected, strict=True))
    chosen, examples = np.array([3, 0, 7, 2, 3]), np.array([5, 5, 0, 59, 1])
    assert np.array_equal(mixed[chosen], expected[chosen])
    assert np.array_equal(mixed[chosen, examples], expected[chosen, examples])
    assert np.array_equal(mixed[[4, 3]], expected[[4, 3]])


def test_the_logits_of_a_model_are_not_copied() -> None:
    first, second = observed(1), observed(2)
    mixed = first.with_model(2, second)
    assert isinstance(mixed.logits, MixedLogits)
    assert isinstance(mixed.population_logits, MixedLogits)
    for model in range(MODELS):
        source = second if model == 2 else first
        assert np.shares_memory(mixed.logits[model], source.logits)
        assert np.shares_memory(mixed.population_logits[model], source.population_logits)
        assert not mixed.logits[model].flags.writeable
    separate = first.with_shadows_only(np.array([1, 4]), second)
    assert np.shares_memory(separate.logits[4], second.logits)
    assert np.shares_memory(separate.logits[0], first.logits)


def test_the_mean_over_models_is_that_of_numpy_bit_for_bit() -> None:
    logits = observed(3).logits
    centred = logits.mean(axis=0, dtype=np.float64)
    centred = centred - centred.mean(axis=-1, keepdims=True)
    assert np.array_equal(_mean_logits(logits), centred)
    chosen = np.array([6, 1, 2])
    of_some = logits[chosen].mean(axis=0, dtype=np.float64)
    of_some = of_some - of_some.mean(axis=-1, keepdims=True)
    assert np.array_equal(_mean_logits(logits, chosen), of_some)


@pytest.mark.parametrize("mean_of", [None, np.array([0, 3, 5])])
def test_drift_is_that_of_a_copy_bit_for_bit(mean_of: np.ndarray | None) -> None:
    first, second = observed(1), observed(2)
    arguments = first.labels, first.population_labels
    fits = []
    for mix in (with_rows, copied):
        logits = mix(first.logits, 2, second.logits)
        population = mix(first.population_logits, 2, second.population_logits)  # type: ignore[arg-type]
        labels, population_labels = arguments
        fits.append(fit_drift("logits", logits, labels, population, population_labels, mean_of))  # type: ignore[arg-type]
    assert np.array_equal(fits[0].coefficients, fits[1].coefficients)
    assert np.array_equal(fits[0].features, fits[1].features)


@pytest.mark.parametrize("attack", [LiRA, Stacked])
def test_scores_of_a_naive_adversary_are_those_with_copies_bit_for_bit(
    attack: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = observed(1), observed(2)
    scores = score_every_target(attack(), first, second, [5])
    monkeypatch.setattr("mgaudit.attacks.ensemble.with_rows", copied)
    expected = score_every_target(attack(), replace(first), replace(second), [5])
    assert np.array_equal(scores, expected)
