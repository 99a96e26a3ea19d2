from dataclasses import replace

import numpy as np

from mgaudit.attacks import LiRA, LossThreshold, score_every_target
from mgaudit.attacks.pseudo_targets import pseudo_target_scores
from tests.attacks.test_flagged import observed


def test_pseudo_targets_are_attacked_as_if_the_target_did_not_exist() -> None:
    observations = observed(2.0, 6, np.random.default_rng(0))
    scores, membership = pseudo_target_scores(LiRA(), observations.view(2), most=10)
    others = [0, 1, 3, 4, 5]
    expected = score_every_target(LiRA(), observations.of_models(others))
    order = [
        next(
            row for row in range(5) if np.array_equal(members, observations.membership[others[row]])
        )
        for members in membership
    ]
    assert sorted(order) == list(range(5))
    np.testing.assert_allclose(scores, expected[order], rtol=1e-9, atol=1e-9)


def test_scores_do_not_depend_on_the_targets_membership() -> None:
    observations = observed(2.0, 5, np.random.default_rng(1))
    garbled = observations.membership.copy()
    garbled[1] = ~garbled[1]
    other = replace(observations, membership=garbled)
    first, _ = pseudo_target_scores(LiRA(), observations.view(1), most=4)
    second, _ = pseudo_target_scores(LiRA(), other.view(1), most=4)
    assert np.array_equal(first, second)


def test_the_choice_of_pseudo_targets_does_not_depend_on_their_order() -> None:
    observations = observed(2.0, 6, np.random.default_rng(2))
    moved = observations.of_models([4, 5, 0, 1, 2, 3])
    first = pseudo_target_scores(LossThreshold(), observations.view(0), most=2)
    second = pseudo_target_scores(LossThreshold(), moved.view(2), most=2)
    assert first[0].shape == (2, 300)
    for mine, theirs in zip(first, second, strict=True):
        assert np.array_equal(mine, theirs)
