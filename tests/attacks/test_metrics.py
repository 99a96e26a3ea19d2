import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from mgaudit.attacks.metrics import FPR_LEVELS, METRICS, Metric, metrics, tpr_name
from mgaudit.attacks.roc import false_positives_allowed, roc
from tests import oracles

# Members 5, 4, 4, 1 and non-members 4, 3, 2, 1, 0: two ties across the classes, done by hand.
SCORES = np.array([5.0, 4.0, 4.0, 1.0, 4.0, 3.0, 2.0, 1.0, 0.0])
MEMBERS = np.array([True] * 4 + [False] * 5)


def test_a_curve_with_ties_drawn_by_hand() -> None:
    curve = roc(SCORES, MEMBERS)
    assert curve.true_positives.tolist() == [0, 1, 3, 3, 3, 4, 4]
    assert curve.false_positives.tolist() == [0, 0, 1, 2, 3, 4, 5]
    # Pairs won: 5 + (4 + .5) + (4 + .5) + (1 + .5) of 20.
    assert curve.auc() == 15.5 / 20
    assert [float(curve.tpr_at(level)) for level in (0.0, 0.19, 0.2, 0.4, 0.79, 0.8, 1.0)] == [
        0.25,
        0.25,
        0.75,
        0.75,
        0.75,
        1.0,
        1.0,
    ]
    values = metrics(SCORES, MEMBERS)
    assert values["auc"] == 15.5 / 20
    assert all(values[tpr_name(level)] == 0.25 for level in FPR_LEVELS if level < 0.2)


def test_the_advantage_is_held_out_by_hand() -> None:
    # Even places: members 5 and 4, others 4, 2 and 0; the best threshold there is 4, with 1 - 1/3.
    # Odd places: members 4 and 1, others 3 and 1; the best threshold there is 4 too, with 1/2 - 0.
    values = metrics(SCORES, MEMBERS)
    assert values["advantage"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert values["balanced_accuracy"] == pytest.approx((1 + 7 / 12) / 2)
    # Turned round, neither half has a threshold that beats accepting nobody.
    assert metrics(-SCORES, MEMBERS)["advantage"] == 0


def test_all_scores_equal_tell_nothing() -> None:
    values = metrics(np.zeros(9), MEMBERS)
    assert values["auc"] == 0.5
    assert values["advantage"] == 0
    assert all(values[tpr_name(level)] == 0 for level in FPR_LEVELS)


def test_flipping_the_sign_mirrors_the_auc() -> None:
    assert roc(-SCORES, MEMBERS).auc() == pytest.approx(1 - 15.5 / 20)
    assert all(value == 1 for value in metrics(MEMBERS.astype(float), MEMBERS).values())
    assert metrics(-MEMBERS.astype(float), MEMBERS)["auc"] == 0


def test_no_advantage_is_found_in_noise() -> None:
    # The maximum of TPR - FPR over thresholds on the same examples would average .06 here.
    generator = np.random.default_rng(5)
    advantages = [
        metrics(generator.standard_normal(400), generator.random(400) < 0.5)["advantage"].item()
        for _ in range(400)
    ]
    assert abs(np.mean(advantages)) < 4 * np.std(advantages) / 20


def test_the_advantage_is_nearly_the_one_of_the_best_threshold() -> None:
    generator = np.random.default_rng(6)
    members = generator.random(20_000) < 0.5
    scores = generator.standard_normal(20_000) + 1.0 * members
    assert metrics(scores, members)["advantage"] == pytest.approx(2 * norm.cdf(0.5) - 1, abs=0.02)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40).filter(
        lambda pairs: len({member for _, member in pairs}) == 2
    ),
    st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 1.0]),
)
def test_metrics_equal_the_slow_oracles_whatever_the_ties(
    pairs: list[tuple[int, bool]], level: float
) -> None:
    scores, members = (np.array(column) for column in zip(*pairs, strict=True))
    curve = roc(scores.astype(float), members)
    assert curve.auc() == pytest.approx(oracles.auc(scores, members), abs=1e-12)
    assert curve.auc() == pytest.approx(roc_auc_score(members, scores), abs=1e-12)
    assert curve.tpr_at(level) == pytest.approx(oracles.tpr_at(scores, members, level), abs=1e-12)
    fpr, tpr, _ = roc_curve(members, scores)
    assert (curve.tpr - curve.fpr).max() == pytest.approx((tpr - fpr).max(), abs=1e-12)
    assert metrics(scores.astype(float), members)["advantage"] == pytest.approx(
        oracles.advantage(scores, members)
    )


@pytest.mark.parametrize(
    ("level", "negatives"), [(0.29, 100), (0.1, 30), (0.001, 3000), (0.07, 100), (0.0, 5)]
)
def test_the_false_positives_a_level_allows_are_not_lost_to_rounding(
    level: float, negatives: int
) -> None:
    assert false_positives_allowed(level, negatives) == round(level * negatives)
    assert false_positives_allowed(0.0999, 100) == 9


def test_a_resample_equals_the_curve_of_the_examples_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    scores, members = generator.integers(0, 20, 80).astype(float), generator.random(80) < 0.5
    counts = np.stack([np.bincount(generator.integers(0, 80, 80), minlength=80) for _ in range(9)])
    monkeypatch.setattr(
        "mgaudit.attacks.metrics.CACHED_COUNTS", 4 * 80
    )  # blocks of 4, the last one of 1
    by_metric = metrics(scores, members, counts)
    assert np.array_equal(roc(scores, members, counts).auc(), by_metric["auc"])
    for row, drawn in enumerate(counts):
        again, who = np.repeat(scores, drawn), np.repeat(members, drawn)
        halves = np.repeat(np.arange(80) % 2 == 0, drawn)
        assert by_metric["auc"][row] == pytest.approx(oracles.auc(again, who), abs=1e-12)
        for level in FPR_LEVELS:
            assert by_metric[tpr_name(level)][row] == pytest.approx(
                oracles.tpr_at(again, who, level), abs=1e-12
            )
        assert by_metric["advantage"][row] == pytest.approx(
            oracles.advantage(again, who, halves), abs=1e-12
        )


def test_auc_of_shifted_gaussians_is_the_one_of_theory() -> None:
    generator = np.random.default_rng(1)
    members = generator.random(20_000) < 0.5
    scores = generator.standard_normal(20_000) + 1.5 * members
    assert roc(scores, members).auc() == pytest.approx(norm.cdf(1.5 / math.sqrt(2)), abs=0.01)


@pytest.mark.parametrize(
    ("scores", "members", "message"),
    [
        ([0.0, math.nan, 1.0], [True, False, True], "NaN or infinity for example 1"),
        ([0.0, 1.0], [True, True], "must hold members and non-members, got 2 of 2"),
        ([0.0, 1.0], [False, False], "must hold members and non-members, got 0 of 2"),
        ([0.0, 1.0, 2.0], [True, False], "two vectors of one length"),
    ],
)
def test_what_has_no_curve_is_refused(
    scores: list[float], members: list[bool], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        roc(np.array(scores), np.array(members))


every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


def mean_of(metric: Metric, shift: float, repeats: int = 60) -> tuple[float, float]:
    """The mean over repeats with 2,000 examples, and its standard error."""
    generator = np.random.default_rng(9)
    samples = []
    for _ in range(repeats):
        members = generator.random(2000) < 0.5
        scores = generator.standard_normal(2000) + shift * members
        samples.append(metrics(scores, members)[metric.name].item())
    return float(np.mean(samples)), float(np.std(samples) / math.sqrt(repeats))


@every_metric
def test_every_metric_is_what_guessing_gets_where_nothing_leaks(metric: Metric) -> None:
    mean, error = mean_of(metric, 0.0)
    # A TPR is taken at the whole number of false positives that the level allows, and up to the
    # next one above it.
    assert metric.guessing - 4 * error - 1e-12 <= mean <= metric.guessing + 4 * error + 1 / 900


@every_metric
def test_every_metric_grows_with_what_leaks(metric: Metric) -> None:
    guessed, error = mean_of(metric, 0.0)
    leaking, _ = mean_of(metric, 2.0)
    turned, _ = mean_of(metric, -2.0)
    assert leaking > guessed + 4 * error
    assert turned < guessed + 4 * error + 1e-12


@every_metric
def test_every_metric_lies_in_its_range_and_reaches_its_end(metric: Metric) -> None:
    low, high = metric.range
    generator = np.random.default_rng(3)
    for examples in (2, 3, 10, 100):
        for _ in range(20):
            members = np.arange(examples) % 2 == 0
            scores = generator.integers(0, 4, examples).astype(float)
            assert low <= metrics(scores, members)[metric.name].item() <= high
    assert low <= metric.guessing < high
    assert metrics(MEMBERS.astype(float), MEMBERS)[metric.name].item() == high


def test_metrics_are_told_apart_by_name_and_title() -> None:
    assert list(metrics(SCORES, MEMBERS)) == [metric.name for metric in METRICS]
    assert (
        len({metric.name for metric in METRICS})
        == len({metric.title for metric in METRICS})
        == len(METRICS)
    )
    assert all(
        metric.unit in ("", "%") and metric.digits > 0 and metric.title for metric in METRICS
    )


def test_counts_at_thresholds_are_those_of_tensorflow_privacy() -> None:
    scores = np.array([9.0, 4, 5, 0, 3, 8, 6, 1, 2, 7])
    curve = roc(scores, np.arange(10) < 4)
    points = set(zip(curve.true_positives.tolist(), curve.false_positives.tolist(), strict=True))
    assert points >= {(0, 0), (1, 0), (1, 3), (3, 3), (3, 6), (4, 6)}
    assert len(points) == 11
