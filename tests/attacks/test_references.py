"""References, the layout of membership, and the null that a count of shadows would break."""

from functools import cache

import numpy as np
import pytest
from scipy import stats

from mgaudit.attacks import ATTACKS, AdversaryView, Attack, LiRA, Observations, score_every_target
from mgaudit.attacks.membership_layout import (
    MembershipLayout,
    count_correlation,
    membership_layout,
)
from mgaudit.attacks.references import ReferenceLimits, chosen_references
from mgaudit.attacks.single_target import delong

EXAMPLES = 200
CLASSES = 4


def halves(models: int, generator: np.random.Generator, examples: int = EXAMPLES) -> np.ndarray:
    """Membership (models, examples) in which each example is in exactly half of the models."""
    order = generator.random((models, examples)).argsort(axis=0)
    return order < models // 2


def coins(models: int, generator: np.random.Generator, examples: int = EXAMPLES) -> np.ndarray:
    return generator.random((models, examples)) < 0.5


def null_observations(
    membership: np.ndarray, limits: ReferenceLimits | None, generator: np.random.Generator
) -> Observations:
    """Models that memorise nothing: logits of different difficulty, with a population."""
    models, examples = membership.shape
    labels = generator.integers(0, CLASSES, 2 * examples)
    centre = generator.standard_normal((2 * examples, 2, CLASSES))
    centre[np.arange(2 * examples), :, labels] += 1 + generator.standard_normal((2 * examples, 1))
    logits = centre + 0.5 * generator.standard_normal((models, 2 * examples, 2, CLASSES))
    of_each = generator.standard_normal((models, 2 * examples, 3)) ** 2
    extras = {"gradient_norm": of_each[:, :examples, 0], "features": of_each[:, :examples]}
    return Observations(
        logits[:, :examples],
        labels[:examples],
        membership,
        logits[:, examples:],
        labels[examples:],
        extras,
        {"features": of_each[:, examples:]},
        limits,
    )


def discrete_observations(
    membership: np.ndarray, limits: ReferenceLimits | None, generator: np.random.Generator
) -> Observations:
    """Models that memorise nothing and give one of two outputs, as shallow trees do."""
    labels = np.zeros(membership.shape[1], dtype=np.int64)
    are_sure = generator.random(membership.shape) < 0.5
    logits = np.stack([np.where(are_sure, 3.0, 1.0), np.zeros(membership.shape)], axis=-1)
    return Observations(logits[:, :, np.newaxis], labels, membership, references=limits)


@cache
def null_ensembles(layout: str, models: int) -> list[Observations]:
    draw = {"halves": halves, "coins": coins}[layout]
    ensembles = []
    for seed in range(6):
        generator = np.random.default_rng([seed, models])
        membership = draw(models, generator)
        limits = membership_layout(membership, range(models)).limits
        ensembles.append(null_observations(membership, limits, generator))
    return ensembles


def null_z_score(attack: Attack, ensembles: list[Observations]) -> float:
    """How far the mean AUC of one target in each ensemble is from 1/2, in standard errors."""
    aucs, variances = [], []
    for observations in ensembles:
        (scores,) = score_every_target(attack, observations, targets=[0])
        auc, variance = delong(scores, observations.membership[0])
        aucs.append(auc - 0.5)
        variances.append(variance)
    return sum(aucs) / sum(variances) ** 0.5


@pytest.mark.parametrize(
    "models", [pytest.param(4, marks=pytest.mark.slow), 8, pytest.param(16, marks=pytest.mark.slow)]
)
def test_no_attack_finds_members_where_nothing_is_memorised(models: int) -> None:
    z_scores = {}
    for layout in ("halves", "coins"):
        for name, build in ATTACKS.items():
            attack = build()
            if "shadows" not in attack.needs and models != 8:
                continue  # such attacks do not depend on the number of models
            z_scores[layout, name] = null_z_score(attack, null_ensembles(layout, models))
    limit = stats.norm.isf(0.001 / len(z_scores))  # corrected for the number of comparisons
    assert {key: z for key, z in z_scores.items() if abs(z) > limit} == {}


@pytest.mark.parametrize("models", [4, 8])
def test_no_attack_finds_members_by_outputs_with_few_values(models: int) -> None:
    generator = np.random.default_rng(models)
    ensembles = []
    for _ in range(12):
        membership = halves(models, generator, examples=1000)
        limits = membership_layout(membership, range(models)).limits
        ensembles.append(discrete_observations(membership, limits, generator))
    attacks = ("lira", "rmia", "bavaria", "reference", "calibration")
    z_scores = {name: null_z_score(ATTACKS[name](), ensembles) for name in attacks}
    limit = stats.norm.isf(0.001 / len(z_scores))
    assert {name: z for name, z in z_scores.items() if abs(z) > limit} == {}


class Counting(Attack):
    """Reads the number of references with the example and nothing else."""

    needs = frozenset({"shadows"})

    def score(self, view: AdversaryView) -> np.ndarray:
        return -view.references_in.sum(axis=0).astype(np.float64)


def test_without_limits_the_number_of_references_reveals_members() -> None:
    limited = null_ensembles("halves", 8)
    membership = limited[0].membership
    unlimited = null_observations(membership, None, np.random.default_rng(0))
    (scores,) = score_every_target(Counting(), unlimited, targets=[0])
    assert scores[membership[0]].min() > scores[~membership[0]].max()
    (scores,) = score_every_target(Counting(), limited[0], targets=[0])
    assert len(set(scores)) == 1


def test_halves_have_as_many_references_whatever_the_bit() -> None:
    for models in (4, 6, 16):
        membership = halves(models, np.random.default_rng(models))
        layout = membership_layout(membership, range(models))
        half = models // 2
        assert layout.limits == ReferenceLimits(half - 1, half - 1)
        assert layout.correlations == pytest.approx([-1] * models)
        assert "depends on that of the other models" in layout.reason


@pytest.mark.parametrize(
    ("in_models", "limits"),
    [
        (1, ReferenceLimits(0, 6)),  # disjoint shards: each example in one model
        (7, ReferenceLimits(6, 0)),  # cross-validation: each example left out of one model
        (3, ReferenceLimits(2, 4)),
    ],
)
def test_a_constant_number_of_models_with_an_example(
    in_models: int, limits: ReferenceLimits
) -> None:
    order = np.random.default_rng(0).random((8, 400)).argsort(axis=0)
    assert membership_layout(order < in_models, range(8)).limits == limits


def test_a_layout_of_halves_in_part_is_found_and_keeps_references() -> None:
    generator = np.random.default_rng(1)
    membership = halves(8, generator, examples=1000)
    membership[:, :300] = coins(8, generator, examples=300)
    limits = membership_layout(membership, range(8)).limits
    assert limits is not None
    assert 1 <= limits.references_in <= 3


def test_coins_raise_few_alarms() -> None:
    generator = np.random.default_rng(0)
    layouts = [membership_layout(coins(8, generator, 100), range(8)) for _ in range(300)]
    alarms = sum(layout.limits is not None or layout.reason != "" for layout in layouts)
    assert alarms <= stats.binom.isf(1e-4, 300, 3e-3)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (np.arange(EXAMPLES) < EXAMPLES // 2, "not in random order"),
        (np.arange(EXAMPLES) % 2 == 0, "not in random order"),
        (np.random.default_rng(0).random(EXAMPLES) < 0.8, "not about half"),
    ],
)
def test_members_that_are_no_coins_have_no_bound(row: np.ndarray, reason: str) -> None:
    membership = coins(6, np.random.default_rng(2))
    assert membership_layout(membership, [0, 1]).reason == ""
    membership[1] = row
    assert reason in membership_layout(membership, [0, 1]).reason


@pytest.mark.parametrize("opposite", [False, True])
def test_models_with_the_same_members_have_no_bound(opposite: bool) -> None:
    # Among many models, the number of models with an example does not show a pair.
    generator = np.random.default_rng(0)
    membership = generator.random((64, 200)) < 0.5
    assert membership_layout(membership, list(range(64))).reason == ""
    membership[40] = ~membership[7] if opposite else membership[7]
    layout = membership_layout(membership, list(range(64)))
    assert layout.reason == "the members of model 7 depend on those of model 40"
    assert layout.limits is None
    # A target that only resembles itself is no pair.
    assert membership_layout(membership, [3, 5]).reason == ""


def test_pairs_of_independent_models_raise_few_alarms() -> None:
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        membership = generator.random((12, 100)) < 0.5
        alarms += "depend on those of model" in membership_layout(membership, range(12)).reason
    assert alarms <= 3


def test_few_models_have_no_bound() -> None:
    generator = np.random.default_rng(0)
    assert "fewer than 3 models" in membership_layout(coins(2, generator), [0]).reason


def test_groups_are_tested_in_place_of_their_rows() -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 10)
    found = 0
    for _ in range(30):
        membership = np.repeat(coins(8, generator, examples=50), 10, axis=1)
        layout = membership_layout(membership, range(8), groups)
        found += layout.limits is not None
        assert layout.reason == ""
    assert found <= 1
    mixed = membership_layout(coins(8, generator, examples=500), range(8), groups)
    assert mixed.reason == "examples of a group depend on one another"


def test_halves_of_many_models_and_few_examples_are_found() -> None:
    membership = halves(256, np.random.default_rng(0), examples=22)
    assert membership_layout(membership, range(256)).limits == ReferenceLimits(127, 127)


def test_the_correlation_is_that_of_numpy() -> None:
    membership = coins(5, np.random.default_rng(3))
    others = membership.sum(axis=0) - membership[2]
    expected = np.corrcoef(membership[2], others)[0, 1]
    assert count_correlation(membership, 2) == pytest.approx(expected)
    capped = np.corrcoef(membership[2], np.minimum(others, 2))[0, 1]
    assert count_correlation(membership, 2, most=2) == pytest.approx(capped)


def test_constant_membership_or_counts_reveal_nothing() -> None:
    membership = np.array([[True, False, True], [True, True, True], [False, False, False]])
    assert count_correlation(membership, 0) == 0
    assert count_correlation(membership, 1) == 0


def test_references_are_chosen_by_content() -> None:
    generator = np.random.default_rng(0)
    signal = generator.standard_normal((9, 50))
    candidates = generator.random((9, 50)) < 0.6
    chosen = chosen_references(signal, candidates, most=3)
    assert (chosen <= candidates).all()
    assert chosen.sum(axis=0).tolist() == np.minimum(candidates.sum(axis=0), 3).tolist()
    models, examples = generator.permutation(9), generator.permutation(50)
    moved = chosen_references(signal[models][:, examples], candidates[models][:, examples], most=3)
    assert (moved == chosen[models][:, examples]).all()


def test_high_and_low_signals_are_chosen_alike() -> None:
    signal = np.random.default_rng(0).standard_normal((8, 4000))
    chosen = chosen_references(signal, np.ones(signal.shape, dtype=bool), most=4)
    error = signal.std() / (signal.size / 2) ** 0.5
    assert abs(signal[chosen].mean() - signal.mean()) < 4 * error


def test_limits_that_exclude_nothing_change_no_score() -> None:
    membership = coins(8, np.random.default_rng(5))
    free = null_observations(membership, None, np.random.default_rng(5))
    limited = null_observations(membership, ReferenceLimits(8, 8), np.random.default_rng(5))
    # With any limits, the stacked attack fits two regressions instead of one.
    for name, build in ATTACKS.items():
        if name == "stacked":
            continue
        expected = score_every_target(build(), free, targets=[1, 3])
        scores = score_every_target(build(), limited, targets=[1, 3])
        assert scores == pytest.approx(expected, rel=1e-9, abs=1e-9), name


def test_the_targets_membership_is_never_read() -> None:
    membership = halves(8, np.random.default_rng(6))
    garbled = membership.copy()
    garbled[2] = ~garbled[2]
    limits = ReferenceLimits(3, 3)
    rows = []
    for known in (membership, garbled):
        observations = null_observations(known, limits, np.random.default_rng(6))
        rows.append(score_every_target(LiRA(), observations, targets=[2])[0])
    assert (rows[0] == rows[1]).all()


def test_negative_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="references_out must be >= 0, got -1"):
        ReferenceLimits(1, -1)


def test_a_layout_without_dependence_is_not_limited() -> None:
    layout = membership_layout(coins(8, np.random.default_rng(0)), range(8))
    assert layout == MembershipLayout(layout.correlations, None, "")
