from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from mgaudit.attacks import (
    ATTACKS,
    AdversaryView,
    Attack,
    LiRA,
    LossThreshold,
    Observations,
    QuantileRegression,
    Stacked,
    score_every_target,
    shadow_classifier,
)
from mgaudit.attacks.disjoint_shadows import Side, scores_with_disjoint_shadows, sides_of
from mgaudit.attacks.shadow_classifier import ShadowClassifier
from mgaudit.attacks.signals import logit_confidence
from mgaudit.testing import planted

MODELS = 10
EVERYTHING = list(range(MODELS))
EVEN, ODD = (0, 2, 4, 6, 8), (1, 3, 5, 7, 9)
HALVES = (Side(EVEN, ODD), Side(ODD, EVEN))
SLOW = (QuantileRegression, ShadowClassifier)
WITH_SHADOWS = [
    attack
    for kind in ATTACKS.values()
    for attack in kind.examples()
    if "shadows" in attack.needs and not isinstance(attack, SLOW)
]


def observed(seed: int = 0, models: int = MODELS, examples: int = 90) -> Observations:
    generator = np.random.default_rng(seed)
    return planted(models, examples, 2.0, generator, queries=2, classes=3)


def garbled(observations: Observations, models: list[int]) -> Observations:
    """The observations with other outputs and membership of these models."""
    other = observed(1)

    def swapped(values: np.ndarray, others: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[models] = others[models]
        return changed

    def of_extras(extras: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> dict:
        return {name: swapped(values, others[name]) for name, values in extras.items()}

    return replace(
        observations,
        logits=swapped(observations.logits, other.logits),
        membership=swapped(observations.membership, other.membership),
        population_logits=swapped(observations.population_logits, other.population_logits),
        extras=of_extras(observations.extras, other.extras),
        population_extras=of_extras(observations.population_extras, other.population_extras),
    )


@dataclass(frozen=True)
class NeedsFive(Attack):
    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 5

    def score(self, view: AdversaryView) -> np.ndarray:
        return view.target_signal(logit_confidence).mean(axis=1)


def test_targets_of_a_half_have_shadows_of_the_other_half() -> None:
    assert sides_of(LiRA(), EVERYTHING, EVERYTHING) == HALVES
    # By index in the study, whichever models diverged: 0, 3 and 4 here.
    models = [1, 2, 5, 6, 7, 8, 9, 10]
    assert sides_of(LiRA(), models, list(range(8))) == (
        Side((1, 3, 5, 7), (0, 2, 4, 6)),
        Side((0, 2, 4, 6), (1, 3, 5, 7)),
    )


def test_targets_are_never_shadows_of_their_side() -> None:
    for models in range(3, 12):
        for targets in range(1, models + 1):
            sides = sides_of(LiRA(), list(range(models)), list(range(targets)))
            covered = [target for side in sides for target in side.targets]
            assert not sides or sorted(covered) == list(range(targets))
            for side in sides:
                assert not set(side.targets) & set(side.shadows)
                assert len(side.shadows) >= 2


def test_models_that_are_no_targets_are_the_shadows_if_they_are_half() -> None:
    assert sides_of(LiRA(), EVERYTHING, [0, 1, 2]) == (Side((0, 1, 2), (3, 4, 5, 6, 7, 8, 9)),)
    assert sides_of(LiRA(), EVERYTHING, [0, 1, 2, 3, 4]) == (
        Side((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)),
    )
    assert sides_of(LiRA(), EVERYTHING, [0, 1, 2, 3, 4, 5]) == (
        Side((0, 2, 4), ODD),
        Side((1, 3, 5), EVEN),
    )
    assert sides_of(LiRA(), EVERYTHING, [3]) == (Side((3,), (0, 1, 2, 4, 5, 6, 7, 8, 9)),)


def test_without_shadow_models_all_targets_are_independent() -> None:
    assert sides_of(LossThreshold(), [0, 1, 4], [0, 2]) == (Side((0, 2), ()),)


def test_a_half_with_too_few_shadows_is_no_side() -> None:
    assert len(sides_of(LiRA(), [0, 1, 2, 3], [0, 1, 2, 3])) == 2
    assert sides_of(LiRA(), [0, 1, 2], [0, 1, 2]) == ()
    assert sides_of(LiRA(), [0, 2, 4, 6, 8, 9], [0, 1, 2, 3, 4, 5]) == ()
    assert len(sides_of(NeedsFive(), EVERYTHING, EVERYTHING)) == 2
    assert sides_of(NeedsFive(), EVERYTHING[:9], EVERYTHING[:9]) == ()


@pytest.mark.parametrize("attack", WITH_SHADOWS, ids=repr)
def test_scores_do_not_depend_on_other_targets_of_the_side(attack: Attack) -> None:
    observations = observed()
    before = scores_with_disjoint_shadows(attack, observations, None, HALVES, EVERYTHING)
    others = garbled(observations, [0, 2, 6, 8])
    after = scores_with_disjoint_shadows(attack, others, None, HALVES, EVERYTHING)
    assert (before[4] == after[4]).all()  # bit for bit
    assert (before[2] != after[2]).any()  # its own outputs are others
    # The shadows do matter, and usually so do the other targets.
    assert (before[ODD, :] != after[ODD, :]).any(axis=1).all()
    usual = [score_every_target(attack, of, targets=[4]) for of in (observations, others)]
    assert (usual[0] != usual[1]).any()


@pytest.mark.parametrize("attack", WITH_SHADOWS, ids=repr)
def test_the_naive_adversary_sees_only_shadows_of_the_other_half(attack: Attack) -> None:
    plain, noisy = observed(), observed(2)
    noisy = replace(noisy, labels=plain.labels, membership=plain.membership,
                    population_labels=plain.population_labels)  # fmt: skip
    scores = scores_with_disjoint_shadows(attack, noisy, plain, HALVES, EVERYTHING)
    changed = replace(plain, logits=garbled(plain, [0, 2, 6, 8]).logits)
    again = scores_with_disjoint_shadows(attack, noisy, changed, HALVES, EVERYTHING)
    assert (scores[EVEN, :] == again[EVEN, :]).all()
    assert (scores[ODD, :] != again[ODD, :]).any(axis=1).all()


def test_scores_are_those_of_the_target_and_its_shadows_alone() -> None:
    observations, noisy = observed(), observed(2)
    noisy = replace(noisy, labels=observations.labels, membership=observations.membership,
                    population_labels=observations.population_labels)  # fmt: skip
    for shadows in (None, noisy):
        scores = scores_with_disjoint_shadows(LiRA(), observations, shadows, HALVES, EVERYTHING)
        for target in (4, 7):
            models = [target, *(ODD if target in EVEN else EVEN)]
            of_shadows = None if shadows is None else shadows.of_models(models)
            alone = score_every_target(LiRA(), observations.of_models(models), of_shadows, [0])
            assert np.allclose(scores[target], alone[0], atol=1e-9)


def test_parts_of_the_targets_have_the_same_scores() -> None:
    observations = observed()
    attack = Stacked(pseudo_targets=3)
    together = scores_with_disjoint_shadows(attack, observations, None, HALVES, EVERYTHING)
    for part in ([0, 1, 2], [3], [4, 5, 6, 7, 8, 9]):
        alone = scores_with_disjoint_shadows(attack, observed(), None, HALVES, part)
        assert (alone == together[part]).all()


@dataclass(frozen=True)
class LearnsFromTarget(Attack):
    """Learns the mean output of the target, which another target must not be scored with."""

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})

    def fitted(self, view: AdversaryView):  # type: ignore[no-untyped-def]
        mean = view.target_signal(logit_confidence).mean()
        return lambda of: of.target_signal(logit_confidence).mean(axis=1) - mean

    def score(self, view: AdversaryView) -> np.ndarray:
        return np.asarray(self.fitted(view)(view))


def test_an_attack_that_learns_from_the_target_learns_anew_for_each() -> None:
    observations = observed()
    scores = scores_with_disjoint_shadows(
        LearnsFromTarget(), observations, None, HALVES, EVERYTHING
    )
    assert np.allclose(scores.mean(axis=1), 0.0, atol=1e-9)


@pytest.mark.parametrize("kind", ["quantile", "shadow-classifier"])
def test_slow_attacks_do_not_depend_on_other_targets(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shadow_classifier._estimator
    small = {"logistic": {}, "forest": {"n_estimators": 10}, "mlp": {"max_iter": 20}}
    monkeypatch.setattr(
        shadow_classifier,
        "_estimator",
        lambda name, seed: full(name, seed).set_params(**small[name]),
    )
    attack = ATTACKS[kind].examples()[0]
    if "shadows" not in attack.needs:
        # Its scores are then those of the target and the population alone.
        before = score_every_target(attack, observed(), targets=[4])
        after = score_every_target(attack, garbled(observed(), [0, 1, 2, 3]), targets=[4])
        assert (before == after).all()
        return
    before = scores_with_disjoint_shadows(attack, observed(), None, HALVES, [4])
    others = garbled(observed(), [0, 2, 6, 8])
    assert (before == scores_with_disjoint_shadows(attack, others, None, HALVES, [4])).all()


@pytest.mark.parametrize(
    "attack",
    [
        attack
        for kind in ATTACKS.values()
        for attack in kind.examples()
        if "shadows" not in attack.needs and not isinstance(attack, SLOW)
    ],
    ids=repr,
)
def test_scores_without_shadow_models_do_not_depend_on_other_models(attack: Attack) -> None:
    before = score_every_target(attack, observed(), targets=[4])
    after = score_every_target(attack, garbled(observed(), [0, 1, 2, 3, 5, 6]), targets=[4])
    assert (before == after).all()
