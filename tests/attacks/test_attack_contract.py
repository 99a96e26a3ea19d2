"""What holds for every attack, whoever adds it, and that the contract notices where it does not."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mgaudit.attacks import (
    ATTACKS,
    AdversaryView,
    Attack,
    LossThreshold,
    Observations,
    QuantileRegression,
    score_every_target,
    shadow_classifier,
)
from mgaudit.attacks.shadow_classifier import ShadowClassifier
from mgaudit.attacks.signals import logit_confidence
from mgaudit.study.extras import EXTRAS
from mgaudit.testing import (
    BLIND,
    MOST,
    check_attack,
    check_null,
    check_power,
    check_scores,
    planted,
    reordered,
)

EVERY = [attack for kind in ATTACKS.values() for attack in kind.examples()]
ONE_OF_EACH = [kind.examples()[0] for kind in ATTACKS.values()]
WITH_SHADOWS = [attack for attack in EVERY if "shadows" in attack.needs]
SMALL = {"logistic": {}, "forest": {"n_estimators": 10}, "mlp": {"max_iter": 20}}


@pytest.fixture(autouse=True)
def small_classifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small attacks: the contract does not depend on size; other tests use the full size."""
    full = shadow_classifier._estimator
    monkeypatch.setattr(
        shadow_classifier,
        "_estimator",
        lambda name, seed: full(name, seed).set_params(**SMALL[name]),
    )


def observed(
    models: int = 8, examples: int = 120, shift: float = 3.0, seed: int = 0
) -> Observations:
    return planted(models, examples, shift, np.random.default_rng(seed), queries=2, classes=3)


def few_if_slow(attack: Attack, models: int) -> int:
    """The models to attack: four if each needs a regression or a large classifier."""
    slow = (
        isinstance(attack, QuantileRegression | ShadowClassifier) and attack != ShadowClassifier()
    )
    return min(models, 4) if slow else models


@pytest.mark.parametrize("attack", EVERY, ids=repr)
def test_every_attack_keeps_the_contract(attack: Attack) -> None:
    check_scores(attack)  # its AUC is tested below, on more data than `check_attack` takes


def test_every_attack_has_its_examples_and_names_its_source_and_its_cost() -> None:
    for name, kind in ATTACKS.items():
        assert all(type(attack) is kind for attack in kind.examples()), name
        assert "20" in kind.source, name
        assert {"cost", "source"} <= vars(kind).keys(), name


@pytest.mark.parametrize(
    ("attack", "models"),
    # Without shadows an attack sees one model, however many there are.
    [
        *((attack, models) for attack in WITH_SHADOWS for models in (4, 8)),
        *(pytest.param(attack, 16, marks=pytest.mark.slow) for attack in WITH_SHADOWS),
        *((attack, 16) for attack in EVERY if attack not in WITH_SHADOWS),
    ],
    ids=repr,
)
def test_models_that_memorise_nothing_give_nothing_away(attack: Attack, models: int) -> None:
    # The null on which a design of exactly half, or a count of IN shadows, would show.
    check_null(
        attack,
        observed(models, 2000, shift=0.0, seed=models),
        most_targets=few_if_slow(attack, models),
    )


@pytest.mark.parametrize("attack", EVERY, ids=repr)
def test_an_attack_has_the_power_that_it_states_and_no_more_than_there_is(attack: Attack) -> None:
    # A blind attack can reach the floor of an attack that does not know the example's difficulty.
    most = BLIND if attack.planted_auc < BLIND else MOST
    check_power(attack, most_targets=few_if_slow(attack, 16), most=most)


def test_floors_of_the_strongest_attacks_are_close_to_what_is_possible() -> None:
    floors = {name: kind.examples()[0].planted_auc for name, kind in ATTACKS.items()}
    assert all(floors[name] > MOST - 0.0301 for name in ("lira", "bavaria", "rmia"))
    assert floors["reference"] > MOST - 0.0501
    assert floors["quantile"] > MOST - 0.0701
    blind = ("shadow-classifier", "population", "loss", "confidence", "gradient-norm")
    assert all(BLIND > floors[name] >= 0.625 for name in blind)


def test_a_blind_attack_that_knows_the_difficulty_is_noticed() -> None:
    seeing = ATTACKS["lira"].examples()[0]
    with pytest.raises(AssertionError, match=r"must not have an AUC above 0\.635 .* got 0\.9"):
        check_power(seeing, most_targets=16, most=BLIND)


@pytest.mark.parametrize("models", [4, 8])
@pytest.mark.parametrize("attack", WITH_SHADOWS, ids=repr)
def test_models_that_memorise_nothing_give_nothing_away_to_the_naive_either(
    attack: Attack, models: int
) -> None:
    targets, plain = (
        observed(models, 500, shift=0.0, seed=models),
        observed(models, 500, shift=0.0, seed=models + 1),
    )
    plain = replace(
        plain,
        labels=targets.labels,
        membership=targets.membership,
        population_labels=targets.population_labels,
    )
    check_null(attack, targets, plain, most_targets=few_if_slow(attack, models))


def without_extra(name: str) -> Callable[[Observations], Observations]:
    return lambda o: replace(
        o, extras={key: values for key, values in o.extras.items() if key != name}
    )


LACKS: dict[str, tuple[Callable[[Observations], Observations], str]] = {
    "shadows": (lambda o: reordered(o, 0, np.array([0])), "shadows?, got 0: add models"),
    "population": (
        lambda o: replace(o, population_logits=None, population_labels=None, population_extras={}),
        "needs a population: give population_logits",
    ),
    "queries": (
        lambda o: replace(
            o, logits=o.logits[:, :, :1], population_logits=o.population_logits[:, :, :1]
        ),  # type: ignore[index]
        "needs several queries of each example, got 1",
    ),
    **{
        name: (without_extra(name), rf"needs the extra '{name}': give extras=\{{'{name}'")
        for name in EXTRAS
    },
}
PAIRS = [(attack, need) for attack in ONE_OF_EACH for need in LACKS]


@pytest.mark.parametrize(("attack", "need"), [pair for pair in PAIRS if pair[1] in pair[0].needs])
def test_an_attack_whose_needs_are_not_met_says_what_to_add(attack: Attack, need: str) -> None:
    lack, message = LACKS[need]
    with pytest.raises(ValueError, match=message):
        score_every_target(attack, lack(observed(3, 30)))


@pytest.mark.parametrize(
    ("attack", "need"), [pair for pair in PAIRS if pair[1] not in pair[0].needs]
)
def test_an_attack_does_without_what_it_does_not_need(attack: Attack, need: str) -> None:
    whole = observed(3, 30)
    scores = score_every_target(attack, LACKS[need][0](whole))
    assert np.isfinite(scores).all()
    assert need in ("shadows", "queries") or np.array_equal(scores[0], attack.score(whole.view(0)))


def test_features_of_the_population_are_asked_for_too() -> None:
    with pytest.raises(
        ValueError, match="needs the extra 'features' of the population: give population_extras="
    ):
        score_every_target(ATTACKS["quantile"](), replace(observed(), population_extras={}))


@pytest.mark.parametrize(
    "attack", [attack for attack in ONE_OF_EACH if attack.fewest_shadows > 1], ids=repr
)
def test_an_attack_on_too_few_shadows_says_how_many_it_needs(attack: Attack) -> None:
    two = reordered(observed(), 0, np.arange(2))
    with pytest.raises(
        ValueError, match=f"needs at least {attack.fewest_shadows} shadows, got 1: add models"
    ):
        score_every_target(attack, two)


@pytest.mark.parametrize(
    "attack", [attack for attack in ONE_OF_EACH if attack.fewest_shadows == 1], ids=repr
)
def test_an_attack_that_needs_one_shadow_at_most_takes_one(attack: Attack) -> None:
    assert np.isfinite(score_every_target(attack, reordered(observed(), 0, np.arange(2)))).all()


@dataclass(frozen=True)
class ScoreOnly(Attack):
    """An attack of the user's own that defines nothing but its score."""

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        return LossThreshold().score(view)


def test_an_attack_of_ones_own_keeps_it_that_defines_only_its_score() -> None:
    check_attack(ScoreOnly())


def own(score: Callable[[Any, AdversaryView], Any], **facts: Any) -> Attack:
    kind: Any = dataclass(frozen=True)(
        type("Own", (ScoreOnly,), {"score": score, "__module__": __name__, **facts})
    )
    attack: Attack = kind()
    return attack


def phi(view: AdversaryView) -> NDArray[np.float64]:
    return LossThreshold().score(view)


def in_place(_: Any, view: AdversaryView) -> NDArray[np.float64]:
    view.target_logits[:] = 0
    return phi(view)


def doubled_signal(_: Any, view: AdversaryView) -> NDArray[np.float64]:
    signal = view.target_signal(logit_confidence)
    signal *= 2
    return signal.mean(axis=1)


def of_shadow_zero(_: Any, view: AdversaryView) -> NDArray[np.float64]:
    return phi(view) + 1e-3 * view.shadow_membership[0]


RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("attack", "rule"),
    [
        (own(lambda _, view: None), r"must return float64 scores of shape \(120,\).*got NoneType"),
        (
            own(lambda _, view: phi(view)[:-1]),
            r"must return float64 scores .*got float64 of shape \(119,\)",
        ),
        (own(lambda _, view: phi(view) > 0), "must return float64 scores .*got bool"),
        (
            own(lambda _, view: np.full_like(phi(view), np.nan)),
            "must give every example a finite score",
        ),
        (
            own(lambda _, view: 1 / 0),
            "must score every view, but fails: ZeroDivisionError: division by zero",
        ),
        (own(lambda _, view: -phi(view)), "must score members higher"),
        (
            own(lambda _, view: phi(view) + np.arange(len(view.labels))),
            "same score whatever the order",
        ),
        (own(of_shadow_zero), "must not depend on the order of the shadows"),
        (own(lambda _, view: phi(view) + 1e-3 * RANDOM.random()), "must return identical scores"),
        (own(doubled_signal), "must score every view, but fails: ValueError: .*read-only"),
        (own(in_place), "must score every view, but fails: ValueError: .*read-only"),
        (
            own(lambda _, view: phi(view), needs=frozenset({"gradients"})),
            "needs must be of .*got 'gradients'",
        ),
        (
            own(lambda _, view: phi(view), planted_auc=0.9),
            "must have an AUC above its planted_auc 0.9",
        ),
    ],
)
def test_an_attack_that_breaks_a_rule_is_told_which_in_one_line(attack: Attack, rule: str) -> None:
    with pytest.raises(AssertionError, match=rule) as caught:
        check_attack(attack)
    assert "\n" not in str(caught.value)


def test_an_attack_that_counts_the_shadows_of_a_balanced_design_is_noticed() -> None:
    # Exactly half of the models are trained on each example, so the shadows' count reveals the
    # target's own membership.
    observations = observed(8, 1000, shift=0.0)
    order = np.random.default_rng(0).random((8, 1000)).argsort(axis=0)
    balanced = replace(observations, membership=order < 4)
    counting = own(
        lambda _, view: -view.shadow_membership.sum(axis=0).astype(float),
        needs=frozenset({"shadows"}),
    )
    with pytest.raises(AssertionError, match=r"must have an AUC of 0\.5 ± .* got 1\.000"):
        check_null(counting, balanced)
