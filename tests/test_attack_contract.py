"""What holds for every attack, whoever adds it."""

from dataclasses import replace

import numpy as np
import oracles
import pytest

from attacks import ATTACKS, Attack, LiRA, Observations, score_every_target
from attacks.metrics import roc

EVERY: list[Attack] = [
    *(attack() for attack in ATTACKS.values()),
    LiRA(online=False),
    LiRA(variance="shrunk"),
    LiRA(variance="per-example"),
]
every_attack = pytest.mark.parametrize("attack", EVERY, ids=repr)


def aucs(attack: Attack, observations: Observations) -> np.ndarray:
    scores = score_every_target(attack, observations)
    return np.array([roc(*pair).auc() for pair in zip(scores, observations.membership, strict=True)])


def observed(models: int = 8, examples: int = 120, shift: float = 3.0, seed: int = 0) -> Observations:
    return oracles.planted(models, examples, shift, np.random.default_rng(seed), queries=2)


@every_attack
def test_higher_means_member(attack: Attack) -> None:
    assert aucs(attack, observed()).mean() > 0.6


@every_attack
def test_permuting_examples_permutes_scores(attack: Attack) -> None:
    observations = observed()
    order = np.random.default_rng(1).permutation(120)
    shuffled = replace(
        observations,
        logits=observations.logits[:, order],
        labels=observations.labels[order],
        membership=observations.membership[:, order],
    )
    assert np.allclose(attack.score(observations.view(2))[order], attack.score(shuffled.view(2)), atol=1e-9)


@every_attack
def test_permuting_shadows_keeps_scores(attack: Attack) -> None:
    observations = observed()
    order = np.array([0, 5, 3, 1, 7, 2, 4, 6])
    assert observations.population_logits is not None
    shuffled = replace(
        observations,
        logits=observations.logits[order],
        membership=observations.membership[order],
        population_logits=observations.population_logits[order],
    )
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
    standard_error = np.sqrt(4001 / (12 * 1000 * 1000) / models)
    assert abs(found.mean() - 0.5) < 4 * standard_error


@every_attack
def test_an_attack_names_its_source(attack: Attack) -> None:
    assert "20" in attack.source
    assert attack.needs <= {"shadows", "population"}


@every_attack
def test_an_attack_whose_needs_are_not_met_says_what_to_add(attack: Attack) -> None:
    alone = replace(observed(), population_logits=None, population_labels=None)
    if "population" in attack.needs:
        with pytest.raises(ValueError, match="needs a population: give population_logits"):
            score_every_target(attack, alone)
    else:
        assert np.array_equal(score_every_target(attack, alone), score_every_target(attack, observed()))
