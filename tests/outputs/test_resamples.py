"""Audits of few members."""

import numpy as np
import pytest

from mgaudit.attacks.intervals import resample_counts, resampled_metrics
from mgaudit.errors import UsageError
from mgaudit.outputs.resamples import check_members, with_members


def test_every_resample_has_members_and_others_of_every_target() -> None:
    membership = np.zeros((2, 12), dtype=bool)
    membership[0, :2] = True
    membership[1, 2:] = True
    counts = resample_counts(12, np.random.default_rng(0))
    lacking = (counts[:, :2].sum(axis=1) == 0).sum()
    assert lacking > 20
    usable = with_members(counts, membership)
    assert usable.shape == counts.shape
    assert (usable[:, :2].sum(axis=1) > 0).all()
    assert (usable.sum(axis=1) == 12).all()
    kept = (counts[:, :2].sum(axis=1) > 0) & (counts[:, 2:].sum(axis=1) > 0)
    assert np.array_equal(usable[kept], counts[kept])
    scores = np.random.default_rng(1).random((2, 12))
    assert np.isfinite(resampled_metrics(scores, membership, usable)["auc"].in_resamples).all()


def test_resamples_with_members_stay_as_they_are() -> None:
    counts = resample_counts(100, np.random.default_rng(0))
    assert with_members(counts, np.arange(100)[np.newaxis] % 2 == 0) is counts
    with pytest.raises(ValueError, match="no resample"):
        with_members(counts, np.ones((1, 100), dtype=bool))


def test_too_few_members_are_named() -> None:
    membership = np.arange(40) < np.array([[20], [9], [31]])
    check_members(membership, [0], None)
    with pytest.raises(UsageError, match="got 9 of members in model 1"):
        check_members(membership, [0, 1], None)
    with pytest.raises(UsageError, match="got 9 of non-members in model 2"):
        check_members(membership, [2], None)
    with pytest.raises(UsageError, match=r"at least 10 groups .*got 5 of members in model 0"):
        check_members(membership, [0], np.arange(40) // 4)
