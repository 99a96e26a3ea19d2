"""The stacked attack against a slow oracle, what it may not read, and what it must find."""

import math
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize
from scipy.special import logsumexp

from mgaudit.attacks import (
    RMIA,
    Attack,
    BaVarIA,
    LiRA,
    LossThreshold,
    Observations,
    Stacked,
    score_every_target,
)
from mgaudit.attacks.membership_layout import membership_layout
from mgaudit.attacks.normal_scores import NormalScores
from mgaudit.attacks.power import numbers_of_shadows, scores_by_number
from mgaudit.attacks.references import ReferenceLimits, content_order
from mgaudit.attacks.roc import roc
from mgaudit.attacks.shadow_moments import moments_of
from mgaudit.attacks.signals import BentConfidence, logit_confidence
from mgaudit.attacks.single_target import delong
from mgaudit.attacks.stacked_features import offline_features, online_features
from mgaudit.testing import planted, reordered
from tests import oracles
from tests.attacks.test_drift import ensemble, with_class_drift, without_drift_by_loops
from tests.attacks.test_references import coins, halves, null_observations

BOTH = [Stacked(), Stacked(online=False)]
FEW = [Stacked(pseudo_targets=3), Stacked(online=False, pseudo_targets=3)]


def without_population(observations: Observations) -> Observations:
    return replace(observations, population_logits=None, population_labels=None)


# The oracle, from the formulas and not from the code.


def phi_of(logits: np.ndarray, label: int) -> float:
    return float(logits[label] - logsumexp(np.delete(logits, label)))


def log_p_of(logits: np.ndarray, label: int, temperature: float) -> float:
    return float(logits[label] / temperature - logsumexp(logits / temperature))


def statistics_by_loops(
    logits: np.ndarray, labels: np.ndarray, membership: np.ndarray, target: int
) -> np.ndarray:
    """The 26 statistics (examples, 26) of logits (models, examples, queries, classes)."""
    models, examples, queries, _ = logits.shape
    table = np.zeros((queries, examples, 26))
    for q in range(queries):
        z = logits[:, :, q]
        pairs = [(m, e) for m in range(models) for e in range(examples)]
        phi = np.array([phi_of(z[m, e], labels[e]) for m, e in pairs]).reshape(models, examples)
        table[q, :, 0] = phi[target]
        for index, temperature in enumerate((1.0, 2.0, 4.0)):
            log_p = np.array([log_p_of(z[m, e], labels[e], temperature) for m, e in pairs])
            p = np.exp(log_p).reshape(models, examples)
            sides = [oracles.lists_of(p, membership, target, side) for side in (True, False)]
            for e, (inside, outside) in enumerate(zip(*sides, strict=True)):
                mean_out = fmean(outside) if outside else fmean(inside)
                mean_in = fmean(inside) if inside else 0.3 * mean_out + 0.7
                for place, mean in enumerate(((mean_in + mean_out) / 2, mean_in, mean_out)):
                    table[q, e, 1 + 3 * index + place] = math.log(p[target, e] / mean)
        bent = np.where(phi > 0, 4 * np.arcsinh(phi / 4), phi)
        for index, values in enumerate((bent, phi)):
            within, without = oracles.bavaria_predictives(values, membership, target)
            for e, x in enumerate(values[target]):
                log_in, log_out = (float(stats.t.logpdf(x, *side[e])) for side in (within, without))
                table[q, e, 10 + 7 * index : 17 + 7 * index] = (
                    log_in - log_out,
                    *(log_in, within[e][1], math.log(within[e][2])),
                    *(log_out, without[e][1], math.log(without[e][2])),
                )
        table[q, :, 24], table[q, :, 25] = normal_by_loops(phi, membership, target)
    mean: np.ndarray = table.mean(axis=0)
    return mean


def normal_by_loops(
    phi: np.ndarray, membership: np.ndarray, target: int
) -> tuple[list[float], list[float]]:
    """LiRA's log densities IN and OUT with pooled sds."""
    sides = [oracles.lists_of(phi, membership, target, side) for side in (True, False)]
    gap = fmean([fmean(a) - fmean(b) for a, b in zip(*sides, strict=True) if a and b])
    columns = []
    for side, other, sign in ((*sides, 1), (*sides[::-1], -1)):
        squares = sum((x - fmean(group)) ** 2 for group in side if group for x in group)
        sd = math.sqrt(squares / sum(max(len(group) - 1, 0) for group in side))
        means = [
            fmean(group) if group else fmean(others) + sign * gap
            for group, others in zip(side, other, strict=True)
        ]
        columns.append(
            [
                -(((x - m) / sd) ** 2) / 2 - math.log(sd)
                for x, m in zip(phi[target], means, strict=True)
            ]
        )
    return columns[0], columns[1]


def drift_statistics_by_loops(observations: Observations, target: int) -> np.ndarray:
    """The four drift features (examples, 4): phi and logit of the label; population, examples."""
    columns = []
    audited = observations.logits, observations.labels
    for signal in (phi_of, lambda z, label: float(z[label] - z.mean())):
        for logits, labels in (observations.population(), audited):
            means: dict[int, list[float]] = {}
            for point, label in enumerate(labels.tolist()):
                of_models = [fmean([signal(z, label) for z in of[point]]) for of in logits]
                others = [value for m, value in enumerate(of_models) if m != target]
                means.setdefault(label, []).append(of_models[target] - fmean(others))
            columns.append([fmean(means.get(label, [0.0])) for label in observations.labels])
    return np.array(columns).T


def regression_by_minimising(
    x: np.ndarray, members: np.ndarray, inverse_penalty: float
) -> np.ndarray:
    """The coefficients and the intercept of a logistic regression with an L2 penalty."""
    signs = np.where(members, 1.0, -1.0)

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (x @ beta[:-1] + beta[-1])
        value = inverse_penalty * np.logaddexp(0, -margins).sum() + beta[:-1] @ beta[:-1] / 2
        slopes = -inverse_penalty * signs / (1 + np.exp(margins))
        return value, np.append(x.T @ slopes + beta[:-1], slopes.sum())

    start = np.zeros(x.shape[1] + 1)
    options = {"gtol": 1e-10, "ftol": 1e-15, "maxiter": 5000}
    result: np.ndarray = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return result


def score_by_loops(observations: Observations, target: int, inverse_penalty: float) -> np.ndarray:
    """The stacked score (online) with every shadow as a pseudo-target."""
    versions = [observations.logits]
    if observations.population_logits is not None:
        versions += [without_drift_by_loops(kind, observations)[0] for kind in ("class", "logits")]

    def features(attacked: int, left_out: int | None) -> np.ndarray:
        kept = [m for m in range(observations.models) if m != left_out]
        row = kept.index(attacked)
        membership = observations.membership[kept]
        columns = [
            statistics_by_loops(logits[kept], observations.labels, membership, row)
            for logits in versions
        ]
        if observations.population_logits is not None:
            columns.append(drift_statistics_by_loops(observations.of_models(kept), row))
        return np.concatenate(columns, axis=1)

    shadows = [m for m in range(observations.models) if m != target]
    training = np.concatenate([features(shadow, target) for shadow in shadows])
    members = np.concatenate([observations.membership[shadow] for shadow in shadows])
    mean, sd = training.mean(axis=0), training.std(axis=0)
    beta = regression_by_minimising((training - mean) / sd, members, inverse_penalty)
    scores: np.ndarray = (features(target, None) - mean) / sd @ beta[:-1] + beta[-1]
    return scores


@pytest.mark.parametrize("has_population", [True, False])
def test_the_score_equals_its_oracle(has_population: bool) -> None:
    observations = ensemble(models=6, examples=24, classes=3, seed=11, points=40)
    if not has_population:
        observations = without_population(observations)
    expected = score_by_loops(observations, target=2, inverse_penalty=0.02)
    scores = Stacked(inverse_penalty=0.02).score(observations.view(2))
    assert np.allclose(scores, expected, rtol=0, atol=1e-5)
    assert scores.std() > 0.05


# What the attack may not read.


def with_coins_or_halves(layout: str, models: int, seed: int, examples: int = 120) -> Observations:
    generator = np.random.default_rng([seed, models])
    membership = {"coins": coins, "halves": halves}[layout](models, generator, examples)
    limits = membership_layout(membership, range(models)).limits
    return null_observations(membership, limits, generator)


@pytest.mark.parametrize("layout", ["coins", "halves"])
@pytest.mark.parametrize("attack", FEW, ids=repr)
def test_garbling_the_targets_membership_changes_no_bit(attack: Attack, layout: str) -> None:
    observations = with_coins_or_halves(layout, 8, seed=0)
    plain = replace(
        with_coins_or_halves(layout, 8, seed=1),
        labels=observations.labels,
        membership=observations.membership,
        population_labels=observations.population_labels,
    )
    garbled = observations.membership.copy()
    garbled[3] = np.random.default_rng(2).random(garbled.shape[1]) < 0.3
    for has_population in (True, False):
        known, naive = observations, plain
        if not has_population:
            known, naive = without_population(known), without_population(naive)
        changed, changed_naive = (replace(each, membership=garbled) for each in (known, naive))
        expected = attack.score(known.view(3))
        assert (attack.score(changed.view(3)) == expected).all()
        expected = attack.score(known.view(3, naive))
        assert (attack.score(changed.view(3, changed_naive)) == expected).all()


@pytest.mark.parametrize("layout", ["coins", "halves"])
@pytest.mark.parametrize("attack", FEW, ids=repr)
def test_the_order_of_examples_and_of_shadows_does_not_matter(attack: Attack, layout: str) -> None:
    observations = with_coins_or_halves(layout, 8, seed=3)
    generator = np.random.default_rng(4)
    scores = attack.score(observations.view(0))
    shadows = np.array([0, 5, 2, 7, 1, 3, 6, 4])  # the first three shadows are others
    moved = attack.score(reordered(observations, 0, shadows).view(0))
    assert np.abs(moved - scores).max() <= 1e-9
    examples = generator.permutation(120)
    moved = attack.score(reordered(observations, 1, examples).view(0))
    assert np.abs(moved - scores[examples]).max() <= 1e-9


@pytest.mark.parametrize("few_values", [False, True])
def test_pseudo_targets_are_ordered_by_content(few_values: bool) -> None:
    generator = np.random.default_rng(5)
    for _ in range(20):
        signal = generator.standard_normal((7, 30, 2))
        if few_values:  # as of trees: the means of shadows coincide
            signal = np.repeat(signal[:, :, :1] > 0, 2, axis=2).astype(float)
            signal[:3] = generator.permuted(np.repeat(signal[:1], 3, axis=0), axis=1)
            assert len({of_shadow.sum() for of_shadow in signal}) < 7
        order = content_order(signal)
        shadows, examples = generator.permutation(7), generator.permutation(30)
        moved = content_order(signal[shadows][:, examples])
        assert shadows[moved].tolist() == order.tolist()
    firsts = {content_order(generator.standard_normal((4, 9, 1)))[0] for _ in range(60)}
    assert firsts == {0, 1, 2, 3}


def test_rounding_in_the_outputs_changes_neither_the_order_nor_the_scores() -> None:
    """Processors round otherwise, which chose other pseudo-targets and changed the AUC by 0.002."""
    generator = np.random.default_rng(6)
    observations = with_coins_or_halves("coins", 12, seed=4)
    logits = observations.logits
    rounded = logits * (1 + 3e-7 * generator.standard_normal(logits.shape))
    moved = replace(observations, logits=rounded.astype(logits.dtype))
    assert not np.array_equal(moved.logits, logits)
    signal, other = (one.view(0).shadow_signal(logit_confidence) for one in (observations, moved))
    assert np.array_equal(content_order(signal), content_order(other))
    for attack in FEW:
        scores, again = (attack.score(one.view(0)) for one in (observations, moved))
        assert np.abs(scores - again).max() < 1e-3 * scores.std()


@pytest.mark.parametrize("models", [6, 8, 16])
def test_pseudo_targets_and_the_target_have_as_many_references(models: int) -> None:
    observations = with_coins_or_halves("halves", models, seed=6)
    view = observations.view(0)
    views = [view.like_pseudo_target(), *(view.pseudo_target(s)[0] for s in range(models - 1))]
    for each in views:
        for references in (each.references_in, each.references_out):
            assert (references.sum(axis=0) == models // 2 - 2).all()


def test_pseudo_targets_know_all_shadows_but_themselves() -> None:
    observations = with_coins_or_halves("coins", 5, seed=7)
    view = observations.view(1)
    pseudo_target, membership = view.pseudo_target(2)  # model 3
    assert (membership == observations.membership[3]).all()
    assert (pseudo_target.target_logits == observations.logits[3]).all()
    assert (pseudo_target.shadow_membership == observations.membership[[0, 2, 4]]).all()
    signals = pseudo_target.shadow_signal(logit_confidence)
    assert (signals == view.shadow_signal(logit_confidence)[[0, 1, 3]]).all()


def test_offline_features_depend_on_references_without_the_example_only() -> None:
    observations = with_coins_or_halves("coins", 6, seed=8)
    membership = observations.membership.copy()
    membership[1:, :3] = True  # no shadow without these examples
    observations = replace(observations, membership=membership)
    logits = observations.logits.copy()
    noise = np.random.default_rng(9).standard_normal(logits.shape)
    garbled_rows = membership[1:, :, np.newaxis, np.newaxis]
    logits[1:] = np.where(garbled_rows, 100 * noise[1:], logits[1:])
    garbled = replace(observations, logits=logits)
    attack = Stacked(online=False)
    expected = attack._features(observations.view(0).like_pseudo_target())
    assert (attack._features(garbled.view(0).like_pseudo_target()) == expected).all()
    assert expected.shape[1] == 2 * 15 + 2


# What the attack must find, and what there is not to find.


@pytest.mark.parametrize("layout", ["coins", "halves"])
def test_nothing_is_found_where_nothing_is_memorised(layout: str) -> None:
    attacks = {"online": Stacked(), "offline": Stacked(online=False), "few": FEW[0]}
    z_scores = {}
    for models in (4, 8, 16):
        ensembles = [with_coins_or_halves(layout, models, seed, 200) for seed in range(4)]
        for name, attack in attacks.items():
            excesses, variances = [], []
            for observations in ensembles:
                (scores,) = score_every_target(attack, observations, targets=[0])
                auc, variance = delong(scores, observations.membership[0])
                excesses.append(auc - 0.5)
                variances.append(variance)
            z_scores[models, name] = sum(excesses) / sum(variances) ** 0.5
    limit = stats.norm.isf(0.001 / len(z_scores))  # corrected for the number of comparisons
    assert {key: z for key, z in z_scores.items() if abs(z) > limit} == {}


@pytest.mark.parametrize(
    ("attack", "ensembles"),
    [(BOTH[1], 16), *(pytest.param(attack, 24, marks=pytest.mark.slow) for attack in BOTH)],
    ids=repr,
)
def test_the_labels_of_pseudo_targets_reveal_no_half(attack: Attack, ensembles: int) -> None:
    # If each example is in half of the models, the labels of the others reveal that of the target.
    # A regression that was fitted to the same examples has a mean AUC of .480 here.
    aucs = []
    for seed in range(ensembles):
        observations = with_coins_or_halves("halves", 8, seed=100 + seed, examples=200)
        aucs.append(mean_auc(attack, observations, targets=8))
    error = float(np.std(aucs, ddof=1)) / math.sqrt(len(aucs))
    assert error < 0.005
    assert abs(float(np.mean(aucs)) - 0.5) < 3.3 * error


def test_without_equal_references_halves_would_reveal_members() -> None:
    observations = with_coins_or_halves("halves", 8, seed=10, examples=1000)
    unlimited = replace(observations, references=None)
    (scores,) = score_every_target(Stacked(), unlimited, targets=[0])
    assert abs(roc(scores, unlimited.membership[0]).auc() - 0.5) > 0.09
    (scores,) = score_every_target(Stacked(), observations, targets=[0])
    assert abs(roc(scores, observations.membership[0]).auc() - 0.5) < 0.08


def mean_auc(attack: Attack, observations: Observations, targets: int = 4) -> float:
    scores = score_every_target(attack, observations, targets=range(targets))
    pairs = zip(scores, observations.membership, strict=False)
    return float(np.mean([roc(*pair).auc() for pair in pairs]))


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_a_planted_shift_is_found(shift: float) -> None:
    observations = planted(16, 1000, shift, np.random.default_rng(11), classes=3)
    most = float(stats.norm.cdf(shift / math.sqrt(2)))
    error = 4 * 0.5 / math.sqrt(3 * 2 * 500)
    for attack, lost in zip(BOTH, (0.02, 0.03), strict=True):
        auc = mean_auc(attack, observations, targets=2)
        assert most - lost - error < auc < most + error, attack


@pytest.mark.parametrize("attack", BOTH, ids=repr)
def test_the_population_helps_where_classes_drift(attack: Attack) -> None:
    still = planted(8, 800, 1.0, np.random.default_rng(12), classes=4)
    moving = with_class_drift(still, sd=1.5, seed=13)
    with_it, without_it = mean_auc(attack, moving), mean_auc(attack, without_population(moving))
    assert with_it > without_it + 0.02
    assert mean_auc(attack, still) - 0.02 < with_it < mean_auc(attack, still) + 0.01


@pytest.mark.parametrize("models", [5, 9])
def test_it_is_no_weaker_than_the_attacks_that_it_weighs(models: int) -> None:
    observations = planted(models, 1000, 1.0, np.random.default_rng(models), classes=3)
    others = [mean_auc(attack, observations) for attack in (LiRA(), RMIA(), BaVarIA())]
    assert mean_auc(Stacked(), observations) > max(others) - 0.005


# Settings, and models and data that are few or strange.


def test_with_fewer_than_four_shadows_it_is_another_attack() -> None:
    observations = planted(4, 60, 1.0, np.random.default_rng(14), classes=3)
    both = NormalScores((BaVarIA(), RMIA()))
    for attack, other in ((Stacked(), both), (Stacked(online=False), RMIA(online=False))):
        expected = score_every_target(other, observations)
        assert (score_every_target(attack, observations) == expected).all()
        assert (attack.score(observations.view(1)) == expected[1]).all()
        assert attack.resolved(3) == other.resolved(3)
        assert attack.resolved(4) == attack
    more = planted(5, 60, 1.0, np.random.default_rng(14), classes=3)
    assert (score_every_target(Stacked(), more) != score_every_target(both, more)).all()


def test_normal_scores_are_averaged_whatever_the_units_of_the_attacks() -> None:
    observations = planted(4, 60, 1.0, np.random.default_rng(14), classes=3)
    view = observations.view(2)
    expected = np.zeros(60)
    for attack in (BaVarIA(bend=4.0), RMIA()):
        ranks = stats.rankdata(attack.score(view))
        expected += stats.norm.ppf((ranks - 0.5) / 60) / 2
    assert np.allclose(NormalScores((BaVarIA(), RMIA())).score(view), expected, atol=1e-12)
    seen = without_population(observations)
    constant = replace(seen, logits=np.zeros_like(seen.logits))
    assert (NormalScores((LossThreshold(),)).score(constant.view(0)) == 0).all()


def test_the_bend_is_chosen_once_by_the_number_of_shadows() -> None:
    assert BaVarIA().resolved(6) == BaVarIA(bend=4.0)
    assert BaVarIA().resolved(7) == BaVarIA(bend=8.0)
    assert BaVarIA().resolved(15).resolved(3) == BaVarIA(bend=8.0)
    assert BaVarIA(bend=2.0).resolved(15) == BaVarIA(bend=2.0)
    observations = planted(9, 60, 1.0, np.random.default_rng(15))
    expected = score_every_target(BaVarIA(bend=8.0), observations)
    assert (score_every_target(BaVarIA(), observations) == expected).all()
    assert (BaVarIA().score(observations.view(4)) == expected[4]).all()


def test_there_are_more_pseudo_targets_where_examples_are_few() -> None:
    few = planted(14, 100, 1.0, np.random.default_rng(16))
    all_shadows = Stacked(pseudo_targets=13).score(few.view(0))
    assert (Stacked().score(few.view(0)) == all_shadows).all()
    many = planted(10, 4001, 1.0, np.random.default_rng(17))
    eight = Stacked(pseudo_targets=8).score(many.view(0))
    assert (Stacked().score(many.view(0)) == eight).all()


@pytest.mark.parametrize("options", [{"pseudo_targets": 0}, {"inverse_penalty": 0.0}])
def test_settings_out_of_range_are_refused(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be"):
        Stacked(**options)  # type: ignore[arg-type]


def strange_ensembles() -> dict[str, Observations]:
    draw = np.random.default_rng(18)
    usual = ensemble(models=6, examples=40, classes=4, seed=19)
    logits, (population_logits, population_labels) = usual.logits, usual.population()
    one_sided = usual.membership.copy()
    one_sided[1:, 5], one_sided[1:, 6] = True, False
    constant = np.zeros_like(logits)
    constant[..., 0] = 1.0
    same = np.broadcast_to(logits[:1], logits.shape)
    small = draw.random((8, 20)) < 0.5
    return {
        "100 classes": ensemble(models=6, examples=60, classes=100, seed=20),
        "2 classes": ensemble(models=6, examples=40, classes=2, seed=21),
        "confidences only": oracles.observations_of(draw.standard_normal((8, 20)), small),
        "20 examples": ensemble(models=8, examples=20, classes=10, seed=22, points=4),
        "a population without most classes": replace(
            usual, population_labels=np.zeros_like(population_labels)
        ),
        "one-sided examples": replace(usual, membership=one_sided),
        "constant outputs": replace(
            usual, logits=constant, population_logits=draw.standard_normal(population_logits.shape)
        ),
        "equal models": replace(
            usual, logits=same, population_logits=population_logits[:1].repeat(6, 0)
        ),
        "saturated logits": replace(
            usual, logits=1e4 * logits, population_logits=1e4 * population_logits
        ),
        "the largest logits of float32": replace(
            usual, logits=1e37 * logits, population_logits=1e37 * population_logits
        ),
        "single precision": replace(usual, logits=logits.astype(np.float32)),
        "one reference a side": replace(usual, references=ReferenceLimits(1, 1)),
        "no reference": replace(usual, references=ReferenceLimits(0, 0)),
        "references on one side": replace(usual, references=ReferenceLimits(0, 3)),
    }


@pytest.mark.parametrize("name", list(strange_ensembles()))
def test_scores_are_finite(name: str) -> None:
    observations = strange_ensembles()[name]
    for attack in BOTH:
        for each in (observations, without_population(observations)):
            assert np.isfinite(score_every_target(attack, each, targets=[0, 2])).all()


def test_the_power_curve_is_that_of_the_attack_on_fewer_models() -> None:
    observations = planted(9, 80, 1.0, np.random.default_rng(23), queries=2, classes=3)
    orders = {target: np.delete(np.arange(9), target)[::-1] for target in (0, 4)}
    for attack in (LiRA(), RMIA(), BaVarIA(bend=4.0)):
        curve = scores_by_number(attack, observations, [2, 4, 5], orders)
        assert list(curve) == [2, 4, 5]
        for number, scores in curve.items():
            for row, (target, order) in zip(scores, orders.items(), strict=True):
                some = observations.of_models([target, *order[:number].tolist()])
                expected = attack.score(some.view(0))
                assert np.allclose(row, expected, rtol=1e-9, atol=1e-9), attack


def test_the_power_curve_of_a_slow_attack_has_one_number() -> None:
    assert numbers_of_shadows(LiRA(), 17) == [2, 4, 8]
    assert numbers_of_shadows(Stacked(), 17) == [8]
    assert numbers_of_shadows(Stacked(), 6) == [4]
    assert numbers_of_shadows(Stacked(), 5) == []  # with 2 shadows it is another attack
    assert numbers_of_shadows(Stacked(), 4) == [2]  # it is the same attack with 3 shadows
    assert numbers_of_shadows(BaVarIA(), 17) == [2, 4, 8]


def test_moments_of_some_models_are_those_of_all_shadows_without_the_others() -> None:
    observations = planted(7, 50, 1.0, np.random.default_rng(24), queries=2)
    signal = BentConfidence(4.0)
    numbers = np.array([1, 3, 6])
    some = observations.view(0, numbers=numbers)
    values = observations.signal(signal)[numbers]
    members = observations.membership[numbers]
    expected = moments_of(values, members, ~members)
    updated = observations.view(0, numbers=numbers[:1]).with_more_shadows(numbers[1:])
    for view in (some, updated):
        assert view.shadows == 3
        for name, moment in vars(view.shadow_moments(signal)).items():
            assert np.allclose(moment, getattr(expected, name), equal_nan=True), name


def test_contrasts_are_log_ratios_of_the_first_query_minus_those_of_the_others() -> None:
    observations = planted(7, 50, 1.0, np.random.default_rng(25), queries=3, classes=4)

    def features(outputs: Observations, online: bool, contrasts: bool) -> np.ndarray:
        compute = online_features if online else offline_features
        return compute(outputs.view(0).like_pseudo_target(), ("none",), contrasts)

    alone = [
        replace(
            observations,
            logits=observations.logits[:, :, [query]],
            population_logits=None,
            population_labels=None,
        )
        for query in range(3)
    ]
    # BaVarIA's log ratios (offline: z-scores) for two bends, and RMIA's for three temperatures.
    for online, ratios in ((True, [0, 1, 14, 15, 16]), (False, [0, 1, 11, 12, 13])):
        first, *others = (features(outputs, online, contrasts=True) for outputs in alone)
        differences = (first - np.mean(others, axis=0))[:, ratios]
        found = features(observations, online, contrasts=True)
        assert np.allclose(found, np.hstack([first, differences]), rtol=1e-9, atol=1e-9)
        averaged = features(observations, online, contrasts=False)
        assert averaged.shape == first.shape
        assert np.allclose(averaged, np.mean([first, *others], axis=0), rtol=1e-9, atol=1e-9)
