"""Attacks with shadows or a population, against their oracles and against each other."""

import math

import numpy as np
import pytest
from scipy.special import polygamma
from scipy.stats import norm

from mgaudit.attacks import (
    RMIA,
    Attack,
    BaVarIA,
    Calibration,
    LiRA,
    Observations,
    Population,
    Reference,
    score_every_target,
)
from mgaudit.attacks.normal_inverse_gamma import _trigamma_inverse
from mgaudit.attacks.roc import roc
from mgaudit.attacks.signals import LogProbability, logit_confidence, loss
from tests import oracles


def seen(models: int = 5, examples: int = 80, seed: int = 0, queries: int = 1) -> Observations:
    return oracles.planted(models, examples, 1.0, np.random.default_rng(seed), queries)


def all_of(signal, observations: Observations) -> np.ndarray:  # type: ignore[no-untyped-def]
    """The signal of every model (models, examples), one query."""
    return np.stack([signal(logits, observations.labels)[:, 0] for logits in observations.logits])


def mean_auc(attack: Attack, observations: Observations) -> float:
    scores = score_every_target(attack, observations)
    return float(
        np.mean([roc(*pair).auc() for pair in zip(scores, observations.membership, strict=True)])
    )


@pytest.mark.parametrize("models", [4, 9])
def test_calibration_equals_its_oracle(models: int) -> None:
    observations = seen(models)
    expected = oracles.calibration(all_of(loss, observations), observations.membership, 1)
    assert np.allclose(Calibration().score(observations.view(1)), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("models", [4, 9])
def test_reference_equals_its_oracle(models: int) -> None:
    observations = seen(models)
    expected = oracles.reference(all_of(logit_confidence, observations), observations.membership, 0)
    assert np.allclose(Reference().score(observations.view(0)), expected, rtol=0, atol=1e-9)


def test_population_equals_its_oracle_ties_and_all() -> None:
    draw = np.random.default_rng(0)
    phi = draw.integers(-3, 4, (3, 40)).astype(float)
    others = draw.integers(-3, 4, (3, 60, 1)).astype(float)
    observations = oracles.observations_of(phi, draw.random((3, 40)) < 0.5, others)
    expected = oracles.population(
        (-phi[1]).tolist(), (-others[1, :, 0]).tolist()
    )  # the loss falls as phi rises
    assert np.allclose(Population().score(observations.view(1)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_rmia_equals_its_oracle(online: bool, temperature: float) -> None:
    observations = seen(4)
    p = np.exp(all_of(LogProbability(temperature), observations))
    expected = oracles.rmia(p, observations.membership, 2, online)
    attack = RMIA(online=online, temperature=temperature)
    assert np.allclose(attack.score(observations.view(2)), expected, rtol=0, atol=1e-9)


def test_rmia_takes_the_majority_of_the_queries() -> None:
    observations = seen(6, queries=3)
    single = [
        RMIA().score(
            Observations(
                observations.logits[:, :, [q]], observations.labels, observations.membership
            ).view(0)
        )
        for q in range(3)
    ]
    scores = RMIA().score(observations.view(0))
    for threshold in np.quantile(scores, [0.2, 0.5, 0.8]):
        votes = np.sum([score >= threshold for score in single], axis=0)
        assert np.array_equal(votes >= 2, scores >= threshold)


def test_rmia_is_finite_where_a_label_is_all_but_impossible() -> None:
    membership = np.random.default_rng(0).random((5, 20)) < 0.5
    phi = np.full((5, 20), -1e6)
    assert np.isfinite(score_every_target(RMIA(), oracles.observations_of(phi, membership))).all()


@pytest.mark.parametrize("queries", [1, 2, 3])
@pytest.mark.parametrize(
    ("attack", "gamma"),
    [(RMIA(), 1.0), (RMIA(online=False), 1.0), (RMIA(), 1.5), (RMIA(a=1.0), 0.5)],
    ids=repr,
)
def test_rmias_population_share_equals_its_oracle_pair_by_pair(
    attack: RMIA, gamma: float, queries: int
) -> None:
    observations = seen(5, 60, queries=queries)
    signal = LogProbability(attack.temperature)
    p, others = (
        np.exp(np.stack([signal(z, labels) for z in logits]))
        for logits, labels in (
            (observations.logits, observations.labels),
            (observations.population_logits, observations.population_labels),
        )
    )
    share = attack.population_share(observations.view(1), gamma)
    assert share.tolist() == oracles.rmia_share(
        p, observations.membership, others, 1, attack, gamma
    )
    assert 0 < len(set(share.tolist())) > 10
    order = np.argsort(attack.score(observations.view(1)))
    assert (np.diff(share[order]) >= 0).all()


def test_an_equal_ratio_reaches_gamma_one() -> None:
    # One shadow has each example and one has it not, so that the mean of two equal p is exact.
    half = np.arange(20) % 2 == 0
    phi = np.zeros((3, 20))
    phi[0, 3] = -1.0
    observations = oracles.observations_of(phi, np.stack([half, half, ~half]), np.zeros((3, 8, 1)))
    share = RMIA().population_share(observations.view(0))
    assert share[3] == 0
    assert (np.delete(share, 3) == 1).all()


def p_values(attack: RMIA, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """1 - share of 8,000 examples, with as many population points of one law, and membership."""
    draw = np.random.default_rng(8)
    membership = draw.random((17, 8000)) < 0.5
    phi, population = (
        2 * draw.standard_normal((1, 8000)) + draw.standard_normal((17, 8000)) for _ in range(2)
    )
    observations = oracles.observations_of(
        phi + shift * membership, membership, population[:, :, np.newaxis]
    )
    return 1 - attack.population_share(observations.view(0)), membership[0]


@pytest.mark.parametrize("attack", [RMIA(), RMIA(online=False)], ids=repr)
@pytest.mark.parametrize("level", [0.01, 0.1, 0.5, 0.9])
def test_one_minus_the_population_share_is_a_p_value(attack: RMIA, level: float) -> None:
    error = 4 * math.sqrt(level * (1 - level) * 2 / 8000)
    null, _ = p_values(attack, shift=0.0)
    assert (null <= level).mean() == pytest.approx(level, abs=error)
    p, members = p_values(attack, shift=1.5)
    assert (p[~members] <= level).mean() < level + error
    assert (p[members] <= level).mean() > level + error


def test_the_population_share_takes_a_population() -> None:
    observations = seen(4)
    alone = Observations(observations.logits, observations.labels, observations.membership)
    with pytest.raises(
        ValueError, match="there is no population: give population_logits and population_labels"
    ):
        RMIA().population_share(alone.view(0))


@pytest.mark.parametrize("predictive", ["student", "gaussian"])
@pytest.mark.parametrize("models", [5, 12])
def test_bavaria_equals_its_oracle(models: int, predictive: str) -> None:
    observations = seen(models)
    phi = all_of(logit_confidence, observations)
    for bend in (math.inf, 2.0):
        bent = np.array(
            [
                [x if x < 0 or bend == math.inf else bend * math.asinh(x / bend) for x in row]
                for row in phi
            ]
        )
        expected = oracles.bavaria(bent, observations.membership, 3, predictive)
        attack = BaVarIA(predictive=predictive, bend=bend)  # type: ignore[arg-type]
        assert np.allclose(attack.score(observations.view(3)), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "attack", [BaVarIA(bend=math.inf), BaVarIA("gaussian", math.inf)], ids=repr
)
def test_bavaria_reaches_the_power_that_theory_allows_with_many_shadows(attack: Attack) -> None:
    observations = oracles.planted(64, 2000, 1.5, np.random.default_rng(1))
    assert mean_auc(attack, observations) == pytest.approx(norm.cdf(1.5 / math.sqrt(2)), abs=0.01)


@pytest.mark.parametrize(("models", "margin"), [(3, 0.0), (5, 0.005), (9, 0.005)])
def test_bavaria_beats_lira_with_few_shadows_where_examples_spread_differently(
    models: int, margin: float
) -> None:
    generator = np.random.default_rng(models)
    membership = generator.random((models, 4000)) < 0.5
    spread = np.exp(generator.standard_normal((1, 4000)) * 0.7)
    noise = spread * generator.standard_normal((models, 4000))
    phi = 2 * generator.standard_normal((1, 4000)) + noise + 1.5 * membership
    observations = oracles.observations_of(phi, membership)
    assert mean_auc(BaVarIA(), observations) > mean_auc(LiRA(), observations) + margin


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RMIA(temperature=0.0), "temperature must be a finite number > 0, got 0.0"),
        (
            lambda: RMIA().population_share(seen(4).view(0), 0.0),
            "gamma must be a finite number > 0, got 0.0",
        ),
        (lambda: RMIA(a=1.5), "a must lie between 0 and 1, got 1.5"),
        (
            lambda: BaVarIA(predictive="cauchy"),
            "predictive must be 'student' or 'gaussian', got 'cauchy'",
        ),  # type: ignore[arg-type]
        (lambda: Reference(bandwidth=0.0), "bandwidth must be a finite number > 0, got 0.0"),
        (lambda: BaVarIA(bend=0.0), "bend must be > 0, got 0.0"),
        (lambda: BaVarIA(min_std=0.0), "min_std must be a finite number > 0, got 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        make()


def test_the_inverse_of_the_trigamma_function_is_clipped_and_otherwise_exact() -> None:
    x = np.array([1e-3, 0.02, 0.5, 3.0, 40.0, 4999.0])
    assert np.allclose(_trigamma_inverse(polygamma(1, x)), x, rtol=1e-8)
    assert np.allclose(_trigamma_inverse(np.array([-1.0, 0.0, 1e9])), [5000, 5000, 1e-3], rtol=1e-8)
