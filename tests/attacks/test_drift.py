"""The drift of each model's classes: its regression, and attacks on logits without it."""

from dataclasses import replace

import numpy as np
import pytest

from mgaudit.attacks import RMIA, Attack, BaVarIA, LiRA, Observations, score_every_target
from mgaudit.attacks.drift import Drift, fit_drift
from mgaudit.attacks.roc import roc
from mgaudit.settings.study_settings import attack_choice
from mgaudit.testing import planted

KINDS: tuple[Drift, ...] = ("class", "logits")
CORRECTED = [kind(drift=drift) for kind in (LiRA, RMIA, BaVarIA) for drift in KINDS]


def ensemble(models: int, examples: int, classes: int, seed: int, points: int = 60) -> Observations:
    """Logits of different difficulty, with a drift of each model's classes."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, examples)
    population_labels = draw.integers(0, classes, points)
    drift = 2 * draw.standard_normal((models, 1, 1, classes))
    centre = draw.standard_normal((1, examples + points, 2, classes))
    noise = draw.standard_normal((models, examples + points, 2, classes))
    logits = 3 * centre + drift + 0.5 * noise
    return Observations(
        logits[:, :examples],
        labels,
        draw.random((models, examples)) < 0.5,
        logits[:, examples:],
        population_labels,
    )


def with_class_drift(observations: Observations, sd: float, seed: int) -> Observations:
    """The same models, each of which also prefers some classes to others, on all data alike."""
    logits, (population_logits, _) = observations.logits, observations.population()
    shape = (len(logits), 1, 1, logits.shape[-1])
    drift = sd * np.random.default_rng(seed).standard_normal(shape)
    return replace(observations, logits=logits + drift, population_logits=population_logits + drift)


def features_by_loops(kind: Drift, mean: np.ndarray, label: int) -> list[float]:
    """The features of one point and query with the centred mean logits `mean` (classes,)."""
    one_hot = [float(label == c) for c in range(len(mean))]
    if kind == "class":
        return one_hot
    scaled = [float(z) / 5 for z in mean]
    if len(mean) > 20:
        return one_hot + scaled + [a * b for a, b in zip(one_hot, scaled, strict=True)]
    return one_hot + scaled + [a * b for a in one_hot for b in scaled]


def without_drift_by_loops(kind: Drift, observations: Observations) -> list[np.ndarray]:
    """Examples' and population's logits without drift, by least squares with added rows."""
    audited = observations.logits, observations.labels
    parts = []
    for logits, labels in (audited, observations.population()):
        z = logits - logits.mean(axis=-1, keepdims=True)
        mean = sum(list(z)) / len(z)
        rows = [
            features_by_loops(kind, mean[point, query], labels[point])
            for point in range(z.shape[1])
            for query in range(z.shape[2])
        ]
        parts.append((z, mean, np.array(rows)))
    (z, _, x), (z_population, mean_population, x_population) = parts
    penalty = {"class": 60.0, "logits": 100.0}[kind]
    added = np.sqrt(penalty) * np.eye(x.shape[1])
    results = [z.copy(), z_population.copy()]
    for model in range(len(z)):
        for c in range(z.shape[-1]):
            drift = (z_population[model] - mean_population)[..., c].ravel()
            design = np.concatenate([x_population, added])
            answers = np.concatenate([drift, np.zeros(x.shape[1])])
            coefficients = np.linalg.lstsq(design, answers, rcond=None)[0]
            for result, rows in zip(results, (x, x_population), strict=True):
                result[model, :, :, c] -= (rows @ coefficients).reshape(result.shape[1:3])
    return results


def corrected(kind: Drift, observations: Observations) -> list[np.ndarray]:
    logits, (population, population_labels) = observations.logits, observations.population()
    fit = fit_drift(kind, logits, observations.labels, population, population_labels)
    models = range(len(logits))
    return [
        np.stack([fit.corrected(model, logits[model]) for model in models]),
        np.stack([fit.corrected_population(model, population[model]) for model in models]),
    ]


@pytest.mark.parametrize("classes", [2, 4, 23])
@pytest.mark.parametrize("kind", KINDS)
def test_the_drift_is_that_of_least_squares_with_added_rows(kind: Drift, classes: int) -> None:
    observations = ensemble(models=4, examples=30, classes=classes, seed=classes)
    pairs = zip(
        corrected(kind, observations), without_drift_by_loops(kind, observations), strict=True
    )
    for result, expected in pairs:
        assert np.allclose(result, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_drift_of_classes_vanishes_with_a_large_population(kind: Drift) -> None:
    still = ensemble(models=4, examples=40, classes=3, seed=0, points=40_000)
    moving = with_class_drift(still, sd=2.0, seed=1)
    expected, result = corrected(kind, still)[0], corrected(kind, moving)[0]
    common = (moving.logits - still.logits).mean(axis=0)
    common -= common.mean(axis=-1, keepdims=True)
    assert np.abs(result - expected - common).max() < 0.05
    assert np.abs(moving.logits - still.logits).max() > 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_over_models_keeps_its_value(kind: Drift) -> None:
    observations = ensemble(models=5, examples=30, classes=3, seed=2)
    z = observations.logits
    centred = z - z.mean(axis=-1, keepdims=True)
    result = corrected(kind, observations)[0]
    assert np.allclose(result.mean(axis=0), centred.mean(axis=0), rtol=0, atol=1e-9)


@pytest.mark.parametrize("attack", CORRECTED, ids=repr)
def test_the_option_is_the_attack_on_logits_without_drift(attack: Attack) -> None:
    observations = ensemble(models=6, examples=50, classes=3, seed=3)
    drift = attack.drift  # type: ignore[attr-defined]
    logits, population_logits = without_drift_by_loops(drift, observations)
    plain = replace(attack, drift="none")  # type: ignore[type-var]
    expected = score_every_target(
        plain, replace(observations, logits=logits, population_logits=population_logits)
    )
    scores = score_every_target(attack, observations)
    assert np.allclose(scores, expected, rtol=1e-9, atol=1e-9)
    assert not np.allclose(scores, score_every_target(plain, observations), atol=0.01)


def test_the_share_of_the_population_is_without_drift_too() -> None:
    observations = ensemble(models=6, examples=50, classes=3, seed=4)
    logits, population_logits = without_drift_by_loops("logits", observations)
    still = replace(observations, logits=logits, population_logits=population_logits)
    expected = RMIA().population_share(still.view(1))
    assert (RMIA(drift="logits").population_share(observations.view(1)) == expected).all()


def mean_auc(attack: Attack, observations: Observations) -> float:
    scores = score_every_target(attack, observations)
    pairs = zip(scores, observations.membership, strict=True)
    return float(np.mean([roc(*pair).auc() for pair in pairs]))


@pytest.mark.parametrize("attack", CORRECTED, ids=repr)
def test_attacks_find_more_members_without_the_drift(attack: Attack) -> None:
    still = planted(8, 600, 1.0, np.random.default_rng(0), classes=4)
    moving = with_class_drift(still, sd=1.0, seed=5)
    plain = replace(attack, drift="none")  # type: ignore[type-var]
    assert mean_auc(attack, moving) > mean_auc(plain, moving) + 0.02
    assert mean_auc(attack, moving) < mean_auc(plain, still) + 0.005


@pytest.mark.parametrize("attack", CORRECTED, ids=repr)
def test_nothing_is_found_where_nothing_is_memorised(attack: Attack) -> None:
    observations = with_class_drift(
        planted(8, 2000, 0.0, np.random.default_rng(1), classes=4), sd=1.0, seed=6
    )
    auc = mean_auc(attack, observations)
    assert abs(auc - 0.5) < 4 / (12 * 8 * 500) ** 0.5


@pytest.mark.parametrize("attack", CORRECTED, ids=repr)
def test_a_drift_needs_a_population(attack: Attack) -> None:
    observations = ensemble(models=4, examples=30, classes=3, seed=7)
    without = replace(observations, population_logits=None, population_labels=None)
    with pytest.raises(ValueError, match="needs a population: give population_logits") as caught:
        score_every_target(attack, without)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="there is no population"):
        attack.score(without.view(0))


def test_needs_of_the_class_do_not_change() -> None:
    assert LiRA(drift="class").needs == {"shadows", "population"}
    assert LiRA().needs == LiRA.needs == {"shadows"}


def test_an_unknown_drift_is_refused() -> None:
    for kind in (LiRA, RMIA, BaVarIA):
        with pytest.raises(ValueError, match="drift must be one of none, class, logits, got 'x'"):
            kind(drift="x")  # type: ignore[arg-type]


def test_the_drift_is_an_option_in_texts() -> None:
    choice = attack_choice("bavaria:drift=class,bend=2")
    assert choice.built == BaVarIA(bend=2.0, drift="class")
    assert attack_choice(choice.text).built == choice.built
    assert attack_choice("lira").built == LiRA()


@pytest.mark.parametrize("attack", CORRECTED, ids=repr)
def test_the_naive_adversary_never_reads_the_model_with_the_targets_membership(
    attack: Attack,
) -> None:
    observations = ensemble(models=5, examples=40, classes=3, seed=8)
    plain = ensemble(models=5, examples=40, classes=3, seed=9)
    plain = replace(
        plain,
        labels=observations.labels,
        membership=observations.membership,
        population_labels=observations.population_labels,
    )
    logits, population_logits = plain.logits.copy(), plain.population()[0].copy()
    logits[2], population_logits[2] = logits[0] + 7, -population_logits[1]
    garbled = replace(plain, logits=logits, population_logits=population_logits)
    before = attack.score(observations.view(2, plain))
    assert (before == attack.score(observations.view(2, garbled))).all()
    assert (before != attack.score(observations.view(2))).any()


@pytest.mark.parametrize("kind", KINDS)
def test_saturated_logits_leave_finite_ones(kind: Drift) -> None:
    observations = ensemble(models=4, examples=30, classes=3, seed=10)
    logits, (population_logits, _) = observations.logits, observations.population()
    large = replace(observations, logits=1e30 * logits, population_logits=1e30 * population_logits)
    for result in corrected(kind, large):
        assert np.isfinite(result).all()
