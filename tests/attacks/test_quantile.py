from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from mgaudit.attacks import LossThreshold, Observations, QuantileRegression, score_every_target
from mgaudit.attacks.roc import roc
from tests import oracles


@pytest.mark.parametrize("classes", [2, 4])
def test_scores_equal_the_slow_oracle(classes: int) -> None:
    observations = oracles.planted(2, 60, 1.0, np.random.default_rng(0), classes=classes)
    expected = oracles.quantile(observations, 1, trees=20)
    assert np.allclose(
        QuantileRegression(trees=20).score(observations.view(1)), expected, rtol=0, atol=1e-9
    )


@cache
def uneven(
    models: int = 2, examples: int = 2000, population: int = 5000
) -> tuple[Observations, np.ndarray]:
    """Observations whose mean and spread of phi follow from the features, and standardised phi."""
    generator = np.random.default_rng(1)
    membership = generator.random((models, examples)) < 0.5
    phi, features, standardised = [], [], np.empty(0)
    for count, shift in ((examples, 1.5 * membership), (population, 0.0)):
        drawn = generator.standard_normal((models, count, 2))
        spread = np.exp(drawn[..., 1])
        value = 3 * drawn[..., 0] + spread * generator.standard_normal((models, count)) + shift
        if not len(features):
            standardised = (value - 3 * drawn[..., 0]) / spread
        phi.append(value)
        features.append(drawn)
    observations = replace(
        oracles.observations_of(phi[0], membership, phi[1][:, :, np.newaxis]),
        extras={"features": features[0]},
        population_extras={"features": features[1]},
    )
    return observations, standardised


@cache
def scores_of_the_uneven() -> np.ndarray:
    return score_every_target(QuantileRegression(trees=60), uneven()[0])


def test_difficulty_that_features_give_away_is_taken_into_account() -> None:
    observations, standardised = uneven()

    def auc(scores: np.ndarray) -> float:
        return float(
            np.mean(
                [roc(*pair).auc() for pair in zip(scores, observations.membership, strict=True)]
            )
        )

    measured = auc(scores_of_the_uneven())
    best = auc(standardised)
    assert measured > auc(score_every_target(LossThreshold(), observations)) + 0.1
    assert best - 0.05 < measured < best + 0.01
    blind = replace(observations, extras={"features": np.zeros((2, 2000, 1))})
    blind = replace(blind, population_extras={"features": np.zeros((2, 5000, 1))})
    assert measured > auc(score_every_target(QuantileRegression(trees=30), blind)) + 0.1


def test_scores_of_non_members_have_the_spread_of_a_standard_normal() -> None:
    observations, _ = uneven()
    scores = scores_of_the_uneven()[0, ~observations.membership[0]]
    assert np.median(scores) == pytest.approx(0, abs=0.1)
    assert np.subtract(*np.quantile(scores, [0.75, 0.25])) == pytest.approx(1.349, rel=0.15)


def test_a_label_is_a_category_and_one_that_the_population_lacks_is_no_error() -> None:
    # phi goes up, down and up again with the label: no order of the labels explains it to a single
    # split.
    generator = np.random.default_rng(2)
    level = np.array([0.0, 9.0, -9.0, 9.0, -9.0])

    def logits(labels: np.ndarray) -> np.ndarray:
        z = np.zeros((1, len(labels), 1, 5))
        z[0, np.arange(len(labels)), 0, labels] = level[labels] + generator.standard_normal(
            len(labels)
        )
        return z

    labels, population_labels = np.arange(200) % 5, 1 + np.arange(400) % 4
    observations = Observations(
        logits(labels),
        labels,
        generator.random((1, 200)) < 0.5,
        logits(population_labels),
        population_labels,
        {"features": np.zeros((1, 200, 1))},
        {"features": np.zeros((1, 400, 1))},
    )
    scores = QuantileRegression().score(observations.view(0))
    assert np.isfinite(scores).all()
    assert np.abs(np.median(scores.reshape(-1, 5)[:, 1:], axis=0)).max() < 0.5


def test_models_that_answer_all_alike_are_scored_all_alike() -> None:
    observations = oracles.planted(2, 40, 0.0, np.random.default_rng(3))
    assert observations.population_logits is not None
    alike = replace(
        observations,
        logits=np.zeros_like(observations.logits),
        population_logits=np.zeros_like(observations.population_logits),
    )
    assert (QuantileRegression().score(alike.view(0)) == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trees": 0}, "trees must be >= 1, got 0"),
        ({"floor": 0.0}, "floor must be a finite number > 0, got 0.0"),
        ({"min_std": np.inf}, "min_std must be a finite number > 0, got inf"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QuantileRegression(**options)  # type: ignore[arg-type]
