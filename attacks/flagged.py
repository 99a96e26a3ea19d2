"""Flagged records: a list of members of each target with a bounded false discovery rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.conformal import comparable_scores, conformal_p_values
from mgaudit.attacks.false_discoveries import (
    benjamini_hochberg,
    false_discovery_proportion,
    oracle_list,
    share_of_nulls,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FDR_LEVEL = 0.1


@dataclass(frozen=True)
class Flagged:
    """The flagged records of each target, and how many of them are no members.

    Args:
        flagged: Whether a record is flagged (targets, examples), bool.
        membership: The true membership (targets, examples), bool.
        oracle: Length of the oracle's list of each target (targets,), see `oracle_list`.
    """

    flagged: Bools
    membership: Bools
    oracle: NDArray[np.int64]

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The number of flagged records of each target (targets,)."""
        numbers: NDArray[np.int64] = self.flagged.sum(axis=1)
        return numbers

    @property
    def false(self) -> NDArray[np.int64]:
        """The number of flagged non-members of each target (targets,)."""
        false: NDArray[np.int64] = (self.flagged & ~self.membership).sum(axis=1)
        return false

    @property
    def false_discovery_rate(self) -> float:
        """The mean over targets of the share of non-members in the list, 0 for an empty list."""
        pairs = zip(self.flagged, self.membership, strict=True)
        return float(np.mean([false_discovery_proportion(*pair) for pair in pairs]))

    @property
    def times(self) -> NDArray[np.int64]:
        """How many of the targets that trained on an example flagged it (examples,)."""
        times: NDArray[np.int64] = (self.flagged & self.membership).sum(axis=0)
        return times

    @property
    def times_false(self) -> NDArray[np.int64]:
        """How many of the targets that did not train on an example flagged it (examples,)."""
        times: NDArray[np.int64] = (self.flagged & ~self.membership).sum(axis=0)
        return times


def flagged_records(scores: Floats, membership: Bools, level: float = FDR_LEVEL) -> Flagged:
    """Returns the flagged records of each target; the other targets are its pseudo-targets.

    The list of a target does not depend on its own membership except through the scores of the
    others, for which it is a shadow model. All targets have the same number of shadow models. So
    they are exchangeable, which the p-values need.

    Args:
        scores: Scores (targets, examples), at least two targets; higher means member.
        membership: Membership (targets, examples), bool; every target has non-members.
        level: The largest expected share of non-members in a list.
    """
    targets = np.arange(len(scores))
    lists = []
    for target in targets:
        others = targets != target
        lists.append(flagged_in(scores[target], scores[others], membership[others], level))
    return _flagged(np.stack(lists), scores, membership, level)


def flagged_in_one(
    scores: Floats,
    membership: Bools,
    pseudo_scores: Floats,
    pseudo_membership: Bools,
    level: float = FDR_LEVEL,
) -> Flagged:
    """Returns the flagged records of a single target, with shadow models as pseudo-targets.

    `scores` and `membership` are (1, examples), and those of the pseudo-targets (pseudo-targets,
    examples).
    """
    flagged = flagged_in(scores[0], pseudo_scores, pseudo_membership, level)
    return _flagged(flagged[np.newaxis], scores, membership, level)


def flagged_in(
    scores: Floats, pseudo_scores: Floats, pseudo_membership: Bools, level: float = FDR_LEVEL
) -> Bools:
    """Returns which records of a target are flagged (examples,), without its membership.

    Each record has a conformal p-value among the non-members of the pseudo-targets, after the
    location and scale of each model's scores are removed (`comparable_scores`). The procedure of
    Benjamini and Hochberg is applied at

        level / max(share of non-members of the pseudo-targets, Storey's estimate).

    Without the denominator, the FDR would be at most `level` times the share of non-members, a half
    in an audit. In a model that memorised nothing, members have the p-values of non-members, and
    Storey's estimate is near 1. So the probability of flagging anything is about `level` at most.

    P-values of exact duplicates are equal, and those of near-duplicates are positively dependent.
    Each is valid, and so is the FDR under positive dependence, but the share of non-members in a
    single list varies more. `docs/validation.md` has the FDR by simulation.

    Args:
        scores: Scores (examples,) of the target.
        pseudo_scores: Scores (pseudo-targets, examples).
        pseudo_membership: Membership (pseudo-targets, examples), bool.
        level: The largest expected share of non-members in the list.
    """
    rows = np.concatenate([scores[np.newaxis], pseudo_scores])
    comparable = comparable_scores(rows)
    others = ~pseudo_membership
    nulls = comparable[1:][others]
    p_values = conformal_p_values(comparable[0], nulls)
    share = share_of_nulls(p_values, least=float(others.mean()))
    return benjamini_hochberg(p_values, level / share)


def _flagged(flagged: Bools, scores: Floats, membership: Bools, level: float) -> Flagged:
    pairs = zip(scores, membership, strict=True)
    oracle = np.array([oracle_list(*pair, level) for pair in pairs], dtype=np.int64)
    return Flagged(flagged, membership, oracle)
