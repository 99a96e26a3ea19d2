from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mgaudit.attacks import LiRA, score_every_target
from mgaudit.attacks.exposure import auc_by_class, exposure
from mgaudit.attacks.intervals import resample_counts
from mgaudit.attacks.jackknife import Jackknife
from mgaudit.attacks.roc import roc
from tests import oracles


def drawn(targets: int = 6, examples: int = 50) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return np.round(generator.standard_normal((targets, examples)), 1), generator.random(
        (targets, examples)
    ) < 0.5


def test_the_rank_is_the_share_of_other_non_members_outranked_ties_counted_half() -> None:
    scores, membership = drawn()
    measured = exposure(scores, membership)
    for e in range(50):
        ranks: dict[bool, list[float]] = {True: [], False: []}
        for t in range(6):
            others = [
                scores[t, other] for other in range(50) if not membership[t, other] and other != e
            ]
            beaten = [
                1.0 if scores[t, e] > other else 0.5 if scores[t, e] == other else 0.0
                for other in others
            ]
            ranks[bool(membership[t, e])].append(float(np.mean(beaten)))
        assert measured.targets_in[e] == len(ranks[True])
        for side, mean, low, high, score in (
            (True, measured.rank_in, measured.low_in, measured.high_in, measured.score_in),
            (False, measured.rank_out, measured.low_out, measured.high_out, measured.score_out),
        ):
            if ranks[side]:
                assert mean[e] == pytest.approx(np.mean(ranks[side]))
                assert score[e] == pytest.approx(scores[membership[:, e] == side, e].mean())
                assert low[e] <= mean[e] <= high[e]


def test_ranks_of_zero_and_one_have_clopper_and_pearsons_interval() -> None:
    membership = np.ones((6, 5), dtype=bool)
    membership[:, 4] = False  # the one non-member of every target
    scores = np.zeros((6, 5))
    scores[:4, 0], scores[4:, 0] = 1.0, -1.0
    measured = exposure(scores, membership)
    exact = stats.binomtest(4, 6).proportion_ci(0.95, "exact")
    assert measured.rank_in[0] == pytest.approx(4 / 6)
    assert (measured.low_in[0], measured.high_in[0]) == pytest.approx((exact.low, exact.high))


def test_an_example_that_is_always_found_out_has_rank_one_and_a_bound_below_it() -> None:
    scores, membership = drawn()
    membership[:, 7], membership[:, 8], membership[:, 9] = True, False, False
    membership[2, 9] = True
    scores[:, 7] = 99
    measured = exposure(scores, membership)
    assert (measured.rank_in[7], measured.high_in[7]) == (1, 1)
    assert measured.low_in[7] == pytest.approx(0.025 ** (1 / 6))  # Clopper and Pearson's for 6 of 6
    assert np.isnan(measured.rank_in[8])
    assert (measured.low_in[8], measured.high_in[8]) == (0, 1)
    assert 8 not in measured.most_exposed()
    assert (
        measured.low_in[9] < measured.rank_in[9] < measured.high_in[9]
    )  # one target: an interval all the same


def test_examples_that_give_themselves_away_come_first() -> None:
    observations = oracles.planted(8, 300, 0.0, np.random.default_rng(3))
    logits = observations.logits.copy()
    logits[:, :10, 0, 0] += 8 * observations.membership[:, :10]
    scores = score_every_target(LiRA(variance="shrunk"), replace(observations, logits=logits))
    first = exposure(scores, observations.membership).most_exposed()[:10]
    assert set(first.tolist()) == set(range(10))


def test_an_easy_example_and_one_seen_once_do_not_come_before_one_that_is_exposed() -> None:
    generator = np.random.default_rng(2)
    membership = generator.random((16, 300)) < 0.5
    scores = generator.standard_normal((16, 300))
    scores[:, :20] += 8  # easy: high whether a target trained on it or not
    membership[:, 20:40] = np.arange(16)[:, np.newaxis] == 3  # seen once
    scores[3, 20:40] = 7
    scores[:, 40:50] += 6 * membership[:, 40:50]
    assert set(exposure(scores, membership).most_exposed()[:10].tolist()) == set(range(40, 50))


def test_the_auc_by_class_is_that_of_the_classs_examples() -> None:
    generator = np.random.default_rng(1)
    membership = generator.random((5, 200)) < 0.5
    labels = np.repeat([0, 1, 2], [90, 90, 20])
    scores = generator.standard_normal((5, 200)) + 2.0 * membership * (labels == 1)
    counts = resample_counts(200, generator, 50)
    by_class = auc_by_class(scores, membership, labels, counts)
    for label in (0, 1):
        chosen = labels == label
        aucs = [float(roc(scores[t, chosen], membership[t, chosen]).auc()) for t in range(5)]
        interval = by_class[label]
        assert interval is not None
        assert interval.value == pytest.approx(np.mean(aucs))
        assert interval.low < interval.value < interval.high
    assert by_class[2] is None  # too few members
    assert by_class[1].low > by_class[0].high  # type: ignore[union-attr]

    # What models do to all examples of a class is in the jackknife alone.
    of_models = np.random.default_rng(2).normal(0, 0.1, (1, 1, 5, 5))
    jackknife = Jackknife(np.repeat(of_models, 2, axis=1), np.arange(5))
    wider = auc_by_class(scores, membership, labels, counts, {0: jackknife})
    assert jackknife.variance() > 0
    assert wider[1] == by_class[1]
    assert wider[0].high - wider[0].low > by_class[0].high - by_class[0].low  # type: ignore[union-attr]
