import numpy as np
import pytest

from mgaudit.attacks import LiRA, Observations
from mgaudit.attacks.attack import score_view
from mgaudit.attacks.flag_agreement import agreement_of_halves, scores_of_halves, shared_flags
from mgaudit.attacks.flagged import Flagged, flagged_records
from tests.attacks.test_flagged import observed


def flags(flagged: list[list[int]], membership: list[list[int]]) -> Flagged:
    """Flagged records from rows of 0 and 1 (targets, examples)."""
    oracle = np.zeros(len(flagged), dtype=np.int64)
    return Flagged(np.array(flagged, dtype=bool), np.array(membership, dtype=bool), oracle)


def test_shared_flags_are_those_of_a_plain_loop_over_pairs_of_targets() -> None:
    generator = np.random.default_rng(0)
    flagged, membership = generator.random((2, 6, 50)) < 0.5
    found = again = in_any = in_all = 0
    for example in range(50):
        trained = [target for target in range(6) if membership[target, example]]
        for first in trained:
            for second in trained:
                if first != second and flagged[first, example]:
                    found += 1
                    again += int(flagged[second, example])
        if len(trained) >= 2:
            in_any += any(flagged[target, example] for target in trained)
            in_all += all(flagged[target, example] for target in trained)
    shared = shared_flags(Flagged(flagged, membership, np.zeros(6, dtype=np.int64)))
    assert (shared.in_any, shared.in_all) == (in_any, in_all)
    assert shared.again == pytest.approx(again / found)


def test_records_of_one_target_and_non_members_do_not_count() -> None:
    # Example 0 is in one target, 1 in two of which one flags it, 2 is flagged by a non-member only.
    shared = shared_flags(
        flags([[1, 1, 0], [1, 0, 0], [0, 0, 1]], [[1, 1, 1], [0, 1, 1], [0, 0, 0]])
    )
    assert (shared.in_any, shared.in_all, shared.again) == (1, 0, 0.0)


def test_without_flagged_records_there_is_no_share() -> None:
    shared = shared_flags(flags([[0, 0], [0, 0]], [[1, 1], [1, 1]]))
    assert (shared.in_any, shared.in_all, shared.again) == (0, 0, None)


def orders_of(observations: Observations) -> dict[int, np.ndarray]:
    models = np.arange(observations.models)
    return {target: np.delete(models, target) for target in models.tolist()}


def test_halves_are_disjoint_and_flagged_by_the_attack_with_each_half() -> None:
    observations = observed(3.0, 8, np.random.default_rng(1))
    orders = orders_of(observations)
    agreement = agreement_of_halves(
        scores_of_halves(LiRA(), observations, orders), observations.membership
    )
    flagged = []
    for numbers in (slice(0, 3), slice(3, 6)):
        rows = [
            score_view(LiRA(), observations.view(target, numbers=order[numbers]), 300)
            for target, order in orders.items()
        ]
        flagged.append(flagged_records(np.stack(rows), observations.membership).flagged)
    first, second = flagged
    assert (agreement.in_first, agreement.in_second) == (first.sum(), second.sum())
    assert agreement.in_both == (first & second).sum() < (first | second).sum() == agreement.in_any
    assert (agreement.shadows, agreement.targets) == (3, list(range(8)))
    assert agreement.in_both > 0.3 * agreement.in_any


def test_the_same_shadows_twice_agree_on_everything() -> None:
    observations = observed(3.0, 5, np.random.default_rng(2))
    same = {
        target: np.concatenate([order, order]) for target, order in orders_of(observations).items()
    }
    agreement = agreement_of_halves(
        scores_of_halves(LiRA(), observations, same), observations.membership
    )
    assert agreement.in_first == agreement.in_second == agreement.in_both == agreement.in_any > 0
