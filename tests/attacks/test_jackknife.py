"""The jackknife over models, and the scores of an attack without some of the shadows."""

import itertools

import numpy as np
import pytest

from mgaudit.attacks import (
    ATTACKS,
    RMIA,
    Attack,
    BaVarIA,
    LiRA,
    Observations,
    Stacked,
    score_every_target,
)
from mgaudit.attacks.attack import jackknife_scores
from mgaudit.attacks.intervals import Resampled, Variances, resample_counts, resampled_metrics
from mgaudit.attacks.jackknife import Jackknife, ModelGroups, number_of_groups, random_halves
from mgaudit.attacks.metrics import METRICS, metrics, metrics_on_halves
from mgaudit.attacks.rescoring import classes_with_jackknife, has_jackknife, rescored
from mgaudit.attacks.roc import roc
from tests.attacks.test_references import coins, halves, null_observations
from tests.simulated_studies import interval_coverage

SINGLE = [np.array([model]) for model in range(6)]


def observations(models: int = 6, seed: int = 0, examples: int = 60) -> Observations:
    generator = np.random.default_rng(seed)
    return null_observations(coins(models, generator, examples), None, generator)


@pytest.mark.parametrize("attack", [LiRA(), LiRA(online=False), RMIA(), BaVarIA()], ids=repr)
def test_scores_without_a_shadow_are_those_of_the_other_models_alone(attack: Attack) -> None:
    observed = observations()
    attack = attack.resolved(5)
    for target, of_target in enumerate(jackknife_scores(attack, observed, None, range(6), SINGLE)):
        for removed in range(6):
            left = [model for model in range(6) if model != removed]
            if removed == target:
                expected = score_every_target(attack, observed, targets=[target])[0]
            else:
                alone = observed.of_models(left)
                expected = attack.score(alone.view(left.index(target)))
            assert of_target.without[removed] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_stacked_attack_keeps_its_regressions() -> None:
    observed = observations(8)
    attack = Stacked(pseudo_targets=2)
    groups = [np.array([model]) for model in range(8)]
    (of_target,) = jackknife_scores(attack, observed, None, [3], groups)
    assert np.array_equal(of_target.scores, attack.score(observed.view(3)))
    assert of_target.without[3] == pytest.approx(of_target.scores, abs=1e-9)
    assert all(np.abs(of_target.without[group] - of_target.scores).max() > 0 for group in (0, 1, 7))


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_can_be_scored_without_groups_of_shadows(name: str) -> None:
    attack = ATTACKS[name]()
    observed = observations(6)
    limited = null_observations(
        halves(6, np.random.default_rng(1), 60), None, np.random.default_rng(1)
    )
    for outputs in (observed, limited):
        splits = random_halves(np.arange(60), np.random.default_rng(0))
        groups = None
        if has_jackknife(attack, outputs.membership[[0, 2]], splits):
            groups = ModelGroups.of(np.arange(6), 3)
        scores, jackknife, _ = rescored(attack, outputs, None, [0, 2], groups, splits)
        assert np.array_equal(scores, score_every_target(attack, outputs, targets=[0, 2]))
        if "shadows" in attack.needs:
            assert set(jackknife) == {metric.name for metric in METRICS}
            for of_metric in jackknife.values():
                assert of_metric.values.shape == (4, 2, 3, 2)
                assert np.isfinite(of_metric.values).all()
        else:
            assert jackknife == {}


def test_a_naive_adversary_loses_the_same_models() -> None:
    observed, shadows = observations(seed=1), observations(seed=2)
    shadows = shadows._unchecked(membership=observed.membership, labels=observed.labels)
    observed = observed._unchecked(population_logits=None, population_labels=None)
    shadows = shadows._unchecked(population_logits=None, population_labels=None)
    attack = LiRA()
    (of_target,) = jackknife_scores(attack, observed, shadows, [2], [np.array([0, 5])])
    left = [1, 2, 3, 4]
    view = observed.of_models(left).view(1, shadows.of_models(left))
    assert of_target.without[0] == pytest.approx(attack.score(view), rel=1e-9)


def test_metrics_on_halves_are_those_of_the_examples_of_the_half() -> None:
    generator = np.random.default_rng(3)
    for digits in (1, 9):  # with and without ties
        scores = generator.standard_normal((4, 90)).round(digits)
        members = generator.random(90) < 0.5
        splits = random_halves(np.arange(90), generator, 3)
        found = metrics_on_halves(scores, members, splits)
        for split, row in itertools.product(range(3), range(4)):
            for side, half in enumerate((splits[split], ~splits[split])):
                expected = metrics(scores[row, half], members[half])
                for name in ("auc", "tpr@0.1", "tpr@0.01", "tpr@0"):
                    assert found[name][split, side, row] == expected[name][0]
            advantage = metrics(scores[row], members, halves=splits[split])["advantage"][0]
            assert found["advantage"][split, :, row].mean() == pytest.approx(advantage)


def test_halves_keep_groups_of_examples_together() -> None:
    units = np.repeat(np.arange(31), 3)
    splits = random_halves(units, np.random.default_rng(0), 5)
    assert splits.shape == (5, 93)
    for split in splits:
        of_units = split.reshape(31, 3)
        assert (of_units == of_units[:, :1]).all()
        assert of_units[:, 0].sum() == 16
    assert not np.array_equal(splits[0], splits[1])


def test_number_of_groups() -> None:
    numbers = [number_of_groups(models) for models in (3, 16, 17, 64)]
    assert numbers == [3, 16, 16, 16]
    assert number_of_groups(16, is_slow=True) == 8


def independent(of_targets: np.ndarray) -> Jackknife:
    """The jackknife of a metric that no shadow changes, with both halves alike."""
    targets = len(of_targets)
    return Jackknife(np.tile(of_targets, (1, 2, targets, 1)), np.arange(targets))


def test_without_shadows_the_variance_is_that_of_a_mean() -> None:
    of_targets = np.random.default_rng(1).standard_normal(7)
    expected = of_targets.var(ddof=1) / 7
    assert independent(of_targets).variance() == pytest.approx(expected)
    assert (
        2 * Resampled(of_targets, np.zeros((7, 3)), independent(of_targets))
    ).jackknife is not None
    assert independent(of_targets).times(-2).variance() == pytest.approx(4 * expected)
    assert independent(of_targets).plus(np.array(5.0)).variance() == pytest.approx(expected)


def test_the_variance_of_models_is_unbiased_and_free_of_the_noise_of_examples() -> None:
    generator = np.random.default_rng(2)
    estimates = []
    for _ in range(3000):
        effect = 0.5 * generator.standard_normal(6)
        noise = generator.standard_normal((2, 2, 1, 6))
        values = np.repeat(effect + noise, 6, axis=2)
        estimates.append(Jackknife(values, np.arange(6)).variance())
    error = np.std(estimates) / np.sqrt(3000)
    assert np.mean(estimates) == pytest.approx(0.25 / 6, abs=4 * error)
    assert error < 0.005


def test_sums_and_differences_are_paired() -> None:
    generator = np.random.default_rng(4)
    shared = generator.standard_normal((2, 2, 5, 5))
    first, second = (
        Resampled(np.full(5, level), np.zeros((5, 9)), Jackknife(shared + level, np.arange(5)))
        for level in (0.2, 0.1)
    )
    assert Variances.of(first - second).over_models == pytest.approx(0, abs=1e-30)
    assert Variances.of(first + second).over_models == pytest.approx(
        max((2.0 * first).jackknife.variance(), 0)  # type: ignore[union-attr]
    )
    accuracy = Resampled(generator.random(5), np.zeros((5, 9)))
    for total in (first + accuracy, accuracy + first):
        assert total.jackknife is not None
        expected = shared + 0.2 + accuracy.per_target
        assert total.jackknife.values == pytest.approx(expected)
    other = Resampled(
        np.zeros(5), np.zeros((5, 9)), Jackknife(np.zeros((2, 2, 3, 5)), np.arange(5))
    )
    with pytest.raises(ValueError, match="same groups"):
        first + other


def test_rows_of_targets_keep_their_groups() -> None:
    values = np.random.default_rng(5).standard_normal((2, 2, 4, 4))
    part = Resampled(np.arange(4.0), np.zeros((4, 9)), Jackknife(values, np.arange(4))).at([3, 1])
    assert part.jackknife is not None
    assert part.jackknife.group_of_target.tolist() == [3, 1]
    assert np.array_equal(part.jackknife.values, values[..., [3, 1]])
    assert part.jackknife.degrees_of_freedom == 1


def test_models_that_differ_widen_the_interval() -> None:
    """Each model leaks on its own level, as a target and as a shadow."""
    law = interval_coverage.LAWS[-1]
    assert law.name == "models differ"
    generator = np.random.default_rng(6)
    drawn = interval_coverage.draw(law, 16, generator)
    counts = resample_counts(interval_coverage.EXAMPLES, generator, 200)
    splits = random_halves(np.arange(interval_coverage.EXAMPLES), generator)
    groups = ModelGroups.of(np.arange(16), 16)
    arm = drawn.arms[0]
    scores, jackknife, _ = rescored(LiRA(), arm, None, range(16), groups, splits)
    auc = resampled_metrics(scores, arm.membership, counts, jackknife=jackknife)["auc"]
    parts = Variances.of(auc)
    assert parts.is_jackknife
    assert parts.over_models > parts.over_examples / 2


@pytest.mark.parametrize(
    "name", ["normal", pytest.param("near-duplicates", marks=pytest.mark.slow)]
)
def test_intervals_cover_where_targets_are_each_others_shadows(name: str) -> None:
    """A small part of benchmarks/interval_coverage.py; the whole is in docs/validation.md."""
    law = next(law for law in interval_coverage.LAWS if law.name == name)
    found = interval_coverage.coverage(law, 4, {"lira": LiRA()}, draws=40, more=200, seed=1)
    for (_, metric, kind), cover in found.items():
        assert cover.covered > 0.84, (metric, kind)  # three standard errors below 95 %
        if metric == "auc":
            assert 0.85 < cover.width < 1.6, (metric, kind)


def test_the_jackknife_within_a_class_is_that_of_its_examples() -> None:
    observed = observations(6, examples=90)
    labels = np.arange(90) % 3
    labels[60:62] = 7  # a class with too few examples
    splits = random_halves(np.arange(90), np.random.default_rng(0))
    groups = ModelGroups.of(np.arange(6), 6)
    targets = [0, 4]
    classes = classes_with_jackknife(labels, observed.membership[targets], splits)
    assert set(classes) == {0, 1, 2}
    _, _, by_class = rescored(LiRA(), observed, None, targets, groups, splits, classes)
    of_targets = jackknife_scores(LiRA(), observed, None, targets, groups.members())
    for row, (target, of_target) in enumerate(zip(targets, of_targets, strict=True)):
        members = observed.membership[target]
        for label, jackknife in by_class.items():
            for split, first in enumerate(splits):
                for side, half in enumerate((first, ~first)):
                    chosen = half & (labels == label)
                    for group, scores in enumerate(of_target.without):
                        auc = roc(scores[chosen], members[chosen]).auc()
                        found = jackknife.values[split, side, group, row]
                        assert found == pytest.approx(float(auc), abs=1e-12)
    for jackknife in by_class.values():
        assert jackknife.group_of_target.tolist() == targets
