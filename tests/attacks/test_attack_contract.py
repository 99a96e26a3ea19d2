"""What holds for every attack, whoever adds it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from mgaudit.attacks import (
    ATTACKS,
    RMIA,
    Attack,
    BaVarIA,
    LiRA,
    Observations,
    QuantileRegression,
    ShadowClassifier,
    score_every_target,
)
from mgaudit.attacks.metrics import roc
from tests import oracles

QUICK = {"quantile": QuantileRegression(trees=5)}
ONE_OF_EACH: list[Attack] = [QUICK.get(name, attack()) for name, attack in ATTACKS.items()]
SLOW: list[Attack] = [ShadowClassifier("forest", rows=50), ShadowClassifier("mlp", rows=50)]
EVERY: list[Attack] = [
    *ONE_OF_EACH,
    LiRA(online=False),
    LiRA(variance="shrunk"),
    LiRA(variance="per-example"),
    RMIA(online=False),
    BaVarIA(predictive="gaussian"),
    *SLOW,
]
every_attack = pytest.mark.parametrize("attack", EVERY, ids=repr)
one_of_each = pytest.mark.parametrize("attack", ONE_OF_EACH, ids=repr)


def aucs(attack: Attack, observations: Observations) -> np.ndarray:
    targets = range(4 if attack in SLOW else observations.models)
    scores = [attack.score(observations.view(target)) for target in targets]
    return np.array([roc(*pair).auc() for pair in zip(scores, observations.membership, strict=False)])


def observed(models: int = 8, examples: int = 120, shift: float = 3.0, seed: int = 0) -> Observations:
    return oracles.planted(models, examples, shift, np.random.default_rng(seed), queries=2, classes=3)


def changed(observations: Observations, axis: int, order: np.ndarray) -> Observations:
    """The observations with models (axis 0) or examples (axis 1) in another order."""
    assert observations.population_logits is not None
    by_model = {} if axis else {"population_logits": observations.population_logits[order]}
    return replace(
        observations,
        logits=observations.logits.take(order, axis),
        labels=observations.labels[order] if axis else observations.labels,
        membership=observations.membership.take(order, axis),
        extras={name: values.take(order, axis) for name, values in observations.extras.items()},
        population_extras={
            name: values if axis else values[order] for name, values in observations.population_extras.items()
        },
        **by_model,
    )


@every_attack
def test_higher_means_member(attack: Attack) -> None:
    assert aucs(attack, observed()).mean() > 0.6


@every_attack
def test_permuting_examples_permutes_scores(attack: Attack) -> None:
    observations = observed()
    order = np.random.default_rng(1).permutation(120)
    shuffled = changed(observations, 1, order)
    assert np.allclose(attack.score(observations.view(2))[order], attack.score(shuffled.view(2)), atol=1e-9)


@every_attack
def test_permuting_shadows_keeps_scores(attack: Attack) -> None:
    observations = observed()
    order = np.array([0, 5, 3, 1, 7, 2, 4, 6])
    shuffled = changed(observations, 0, order)
    assert np.allclose(attack.score(observations.view(0)), attack.score(shuffled.view(0)), atol=1e-9)


@every_attack
def test_the_targets_own_membership_is_out_of_reach(attack: Attack) -> None:
    observations = observed()
    membership = observations.membership.copy()
    membership[3] = ~membership[3]
    flipped = replace(observations, membership=membership)
    assert np.allclose(attack.score(observations.view(3)), attack.score(flipped.view(3)), atol=1e-9)


@every_attack
def test_every_example_gets_a_finite_score_also_without_in_or_out_shadows(attack: Attack) -> None:
    observations = observed()
    membership = observations.membership.copy()
    membership[1:, 5], membership[1:, 6] = True, False
    scores = attack.score(replace(observations, membership=membership).view(0))
    assert scores.shape == (120,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


@every_attack
def test_inputs_are_read_only_and_scores_repeat(attack: Attack) -> None:
    observations = observed()
    for array in (observations.logits, observations.labels, observations.membership):
        array.setflags(write=False)
    assert np.array_equal(attack.score(observations.view(1)), attack.score(observations.view(1)))


@every_attack
@pytest.mark.parametrize("models", [4, 8, 16])
def test_models_that_memorise_nothing_give_nothing_away(attack: Attack, models: int) -> None:
    # The null on which a design of exactly half, or a count of IN shadows, would show.
    observations = observed(models, 2000, shift=0.0, seed=models)
    found = aucs(attack, observations)
    standard_error = np.sqrt(4001 / (12 * 1000 * 1000) / len(found))
    assert abs(found.mean() - 0.5) < 4 * standard_error


@one_of_each
def of_one_design(shadows: Observations, targets: Observations) -> Observations:
    labels, population = targets.labels, targets.population_labels
    return replace(shadows, labels=labels, membership=targets.membership, population_labels=population)


@every_attack
def test_a_naive_adversary_does_not_reach_the_targets_membership_either(attack: Attack) -> None:
    targets, plain = observed(), observed(seed=1)
    plain = replace(
        plain, labels=targets.labels, membership=targets.membership, population_labels=targets.population_labels
    )
    membership = targets.membership.copy()
    membership[3] = ~membership[3]
    flipped = [replace(one, membership=membership) for one in (targets, plain)]
    ours, theirs = attack.score(targets.view(3, plain)), attack.score(flipped[0].view(3, flipped[1]))
    assert np.allclose(ours, theirs, atol=1e-9)


@every_attack
@pytest.mark.parametrize("models", [4, 8])
def test_models_that_memorise_nothing_give_nothing_away_to_the_naive_either(attack: Attack, models: int) -> None:
    if "shadows" not in attack.needs:
        return
    targets, plain = observed(models, 500, shift=0.0, seed=models), observed(models, 500, shift=0.0, seed=models + 1)
    plain = replace(
        plain, labels=targets.labels, membership=targets.membership, population_labels=targets.population_labels
    )
    scores = score_every_target(attack, targets, plain)
    found = [float(roc(*pair).auc()) for pair in zip(scores, targets.membership, strict=True)]
    assert abs(np.mean(found) - 0.5) < 4 * np.sqrt(1001 / (12 * 250 * 250) / models)


@every_attack
def test_an_attack_names_its_source(attack: Attack) -> None:
    assert "20" in attack.source
    assert attack.needs <= {"shadows", "population", "queries", "gradient_norm", "features"}


LACKS: dict[str, tuple[Callable[[Observations], Observations], str]] = {
    "shadows": (lambda o: changed(o, 0, np.array([0])), "shadows?, got 0: add models"),
    "population": (
        lambda o: replace(o, population_logits=None, population_labels=None, population_extras={}),
        "needs a population: give population_logits",
    ),
    "queries": (
        lambda o: replace(o, logits=o.logits[:, :, :1], population_logits=o.population_logits[:, :, :1]),  # type: ignore[index]
        "needs several queries of each example, got 1",
    ),
    "gradient_norm": (
        lambda o: replace(o, extras={"features": o.extras["features"]}),
        r"needs the extra 'gradient_norm': give extras=\{'gradient_norm'",
    ),
    "features": (
        lambda o: replace(o, extras={"gradient_norm": o.extras["gradient_norm"]}),
        r"needs the extra 'features': give extras=\{'features'",
    ),
}


@one_of_each
@pytest.mark.parametrize("need", LACKS)
def test_an_attack_whose_needs_are_not_met_says_what_to_add(attack: Attack, need: str) -> None:
    lack, message = LACKS[need]
    whole = observed(3, 30)
    if need in attack.needs:
        with pytest.raises(ValueError, match=message):
            score_every_target(attack, lack(whole))
    else:
        scores = score_every_target(attack, lack(whole))
        assert np.isfinite(scores).all()
        assert need in ("shadows", "queries") or np.array_equal(scores[0], attack.score(whole.view(0)))


def test_features_of_the_population_are_asked_for_too() -> None:
    with pytest.raises(ValueError, match="needs the extra 'features' of the population: give population_extras="):
        score_every_target(ATTACKS["quantile"](), replace(observed(), population_extras={}))


@one_of_each
def test_an_attack_on_too_few_shadows_says_how_many_it_needs(attack: Attack) -> None:
    two = changed(observed(), 0, np.arange(2))
    if "shadows" in attack.needs and attack.fewest_shadows > 1:
        with pytest.raises(ValueError, match=f"needs at least {attack.fewest_shadows} shadows, got 1: add models"):
            score_every_target(attack, two)
    else:
        assert np.isfinite(score_every_target(attack, two)).all()


# On phi = N(difficulty, 1) + 1.5 for members, over two queries. Nothing beats those who know the difficulty: they see a
# shift of 1.5 in noise of variance 1/2, an AUC of cdf(1.5). Who knows it not has 9 more of variance.
MOST = float(norm.cdf(1.5))
BLIND = float(norm.cdf(1.5 / np.sqrt(2 * 9.5)))
FLOORS: list[tuple[Attack, float]] = [
    *((attack, MOST - 0.03) for attack in (LiRA(), LiRA(online=False), BaVarIA(), RMIA())),
    (ATTACKS["reference"](), MOST - 0.05),
    (QuantileRegression(trees=20), MOST - 0.07),
    (ATTACKS["calibration"](), 0.8),
    (RMIA(online=False), 0.73),
    *((ATTACKS[name](), BLIND - 0.01) for name in ("shadow-classifier", "population", "loss", "confidence")),
    (ATTACKS["gradient-norm"](), BLIND - 0.01),
]


@pytest.mark.parametrize(("attack", "floor"), FLOORS, ids=lambda value: repr(value))
def test_an_attack_that_sees_phi_has_power_and_no_more_than_there_is(attack: Attack, floor: float) -> None:
    found = aucs(attack, observed(16, 1000, shift=1.5)).mean()
    assert floor < found < MOST + 0.01
    if floor < BLIND:
        assert found < BLIND + 0.01
