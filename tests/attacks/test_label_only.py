from dataclasses import replace

import numpy as np
import pytest

from mgaudit.attacks import LabelOnly, Observations
from mgaudit.attacks.roc import roc
from tests import oracles


def whole_logits(queries: int = 4) -> Observations:
    generator = np.random.default_rng(0)
    logits = generator.integers(0, 3, (3, 50, queries, 4)).astype(np.float32)
    return Observations(logits, generator.integers(0, 4, 50), generator.random((3, 50)) < 0.5)


def test_scores_equal_the_slow_oracle_ties_and_all() -> None:
    observations = whole_logits()
    expected = oracles.label_only(observations.logits[1], observations.labels)
    assert np.allclose(LabelOnly().score(observations.view(1)), expected, rtol=0, atol=1e-12)


def test_a_tie_counts_its_share() -> None:
    logits = np.array([[[[2.0, 2, 1], [2, 2, 2]], [[0, 1, 0], [1, 0, 1]]]])
    observations = Observations(logits, np.array([0, 0]), np.array([[True, False]]))
    assert LabelOnly().score(observations.view(0)).tolist() == pytest.approx(
        [(1 / 2 + 1 / 3) / 2, (0 + 1 / 2) / 2]
    )


def test_only_which_class_comes_first_is_read() -> None:
    observations = whole_logits()
    generator = np.random.default_rng(1)
    first = observations.logits == observations.logits.max(axis=-1, keepdims=True)
    others = -1.0 - generator.random(observations.logits.shape)
    redrawn = replace(observations, logits=np.where(first, generator.random((3, 50, 4, 1)), others))
    for target in range(3):
        scores = (LabelOnly().score(o.view(target)) for o in (observations, redrawn))
        assert np.array_equal(*scores)


def test_more_queries_tell_more() -> None:
    aucs = []
    for queries in (2, 20):
        observations = oracles.planted(2, 4000, 1.0, np.random.default_rng(2), queries=queries)
        aucs.append(roc(LabelOnly().score(observations.view(0)), observations.membership[0]).auc())
    assert 0.5 < aucs[0] < aucs[1]
