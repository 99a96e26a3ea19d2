"""Confidence intervals for the attack on one model (the target), for new examples, at 95 %."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mgaudit.attacks.intervals import LEVEL, Interval, clopper_pearson
from mgaudit.attacks.ranks import share_below
from mgaudit.attacks.roc import roc

Floats = NDArray[np.float64]


def delong(scores: Floats, membership: NDArray[np.bool_]) -> tuple[float, float]:
    """Returns the AUC and its variance over examples (DeLong et al. 1988).

        Var = S_members / members + S_others / non-members

    S_members is the sample variance, over members, of the share of non-members with a lower score,
    ties counted half. S_others is the sample variance, over non-members, of the share of members
    with a lower score.

    Args:
        scores: Scores (examples,), float64, finite; higher means member.
        membership: Membership (examples,), bool.

    Raises:
        ValueError: As `mgaudit.attacks.roc.roc`, and for fewer than two members or non-members.

    >>> delong(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))
    (0.875, 0.03125)
    """
    auc = float(roc(scores, membership).auc())
    members, others = scores[membership], scores[~membership]
    if min(len(members), len(others)) < 2:
        raise ValueError(
            "membership must hold 2 or more members and non-members, "
            f"got {len(members)} and {len(others)}"
        )
    members_win = share_below(members, others)
    others_win = share_below(others, members)
    variance_of_members = members_win.var(ddof=1) / len(members)
    variance_of_others = others_win.var(ddof=1) / len(others)
    return auc, float(variance_of_members + variance_of_others)


def delong_interval(scores: Floats, membership: NDArray[np.bool_]) -> Interval:
    """Returns the AUC of one target with its 95 % interval for new examples.

    The AUC is treated as the share of correctly ranked pairs of a member and a non-member. The
    interval is Clopper and Pearson's for

        AUC (1 - AUC) / Var

    independent pairs, the number of pairs that has DeLong's variance (as Korn and Graubard 1998 do
    for surveys). Where this variance is 0 (an AUC of 0 or 1, or all scores equal), the number is
    min(members, non-members), that of pairs that share no example. For an AUC of 0 or 1 the
    interval is exact: the probability that all of these pairs are ranked correctly is at most
    AUC^pairs. Arguments and errors are those of `delong`.

    >>> membership = np.array([True, True, False, False])
    >>> interval = delong_interval(np.array([3.0, 2.0, 1.0, 0.0]), membership)
    >>> interval.value, round(interval.low, 4), interval.high
    (1.0, 0.1581, 1.0)
    """
    auc, variance = delong(scores, membership)
    members = membership.sum()
    others = (~membership).sum()
    pairs = auc * (1 - auc) / variance if variance > 0 else float(min(members, others))
    return clopper_pearson(auc * pairs, pairs)


def tpr_interval(scores: Floats, membership: NDArray[np.bool_], fpr: float) -> Interval:
    """Returns the largest TPR whose FPR does not exceed `fpr`, with Clopper and Pearson's interval.

    The level is 95 %. Only the non-members determine the threshold, and conditional on the
    threshold the number of accepted members is binomial. The interval therefore covers the TPR *of
    this threshold*. For the TPR of the threshold whose FPR in the population is `fpr`, see
    `population_tpr_interval`.

    Args:
        scores: Scores (examples,), float64, finite; higher means member.
        membership: Membership (examples,), bool.
        fpr: False positive rate in [0, 1].

    Raises:
        ValueError: As `mgaudit.attacks.roc.roc`, and for an `fpr` outside [0, 1].

    >>> membership = np.array([True, True, False, False])
    >>> interval = tpr_interval(np.array([3.0, 2.0, 2.0, 1.0]), membership, fpr=0.0)
    >>> interval.value, round(interval.low, 4), round(interval.high, 4)
    (0.5, 0.0126, 0.9874)
    """
    if not 0 <= fpr <= 1:
        raise ValueError(f"fpr must be in [0, 1], got {fpr}")
    curve = roc(scores, membership)
    members = int(curve.positives)
    accepted = round(float(curve.tpr_at(fpr)) * members)
    return clopper_pearson(accepted, members)


def population_tpr_interval(scores: Floats, membership: NDArray[np.bool_], fpr: float) -> Interval:
    """Returns the TPR at a population FPR of `fpr`, with its 95 % interval for new examples.

    If the threshold is the j-th highest score of N non-members, its FPR in the population is
    distributed as Beta(j, N - j + 1). Let T(j) be the share of members above this threshold,
    interpolated linearly between whole j and along ties. The estimate is T(fpr (N + 1)).

    The estimate has two errors. The error of the threshold has the bounds T(j) at the two j where
    the FPR is too low or too high with probability 2.5 %. The error of the members has Clopper and
    Pearson's bounds. On each side, the distances of both bounds from the estimate add in squares
    (Zou and Donner 2008). With 10 or fewer non-members above the threshold, the interval is wide
    and covers more than 95 %.

    Args:
        scores: Scores (examples,), float64, finite; higher means member.
        membership: Membership (examples,), bool.
        fpr: False positive rate in (0, 1).

    Raises:
        ValueError: As `mgaudit.attacks.roc.roc`, and for an `fpr` outside (0, 1).

    >>> scores = np.array([3.0, 1.5, 2.0, 1.0])
    >>> population_tpr_interval(scores, np.array([True, True, False, False]), fpr=0.5).value
    0.75
    """
    if not 0 < fpr < 1:
        raise ValueError(f"fpr must be in (0, 1), got {fpr}")
    curve = roc(scores, membership)
    members, others = int(curve.positives), int(curve.negatives)
    tail = (1 - LEVEL) / 2
    # If even the highest non-member may be beyond the threshold, nothing bounds its TPR from below.
    lowest_rank = 0.0
    if special.bdtr(0, others, fpr) < tail:
        lowest_rank = float(1 + special.bdtrik(tail, others, fpr))
    highest_rank = 1 + special.bdtrik(1 - tail, others, fpr)
    last = np.append(np.diff(curve.false_positives) > 0, True)
    ranks = np.append(0, curve.false_positives[last] + 1)
    tprs = np.append(0, curve.true_positives[last]) / members
    value = float(np.interp(fpr * (others + 1), ranks, tprs))
    least = float(np.interp(lowest_rank, ranks, tprs))
    most = float(np.interp(highest_rank, ranks, tprs))
    binomial = clopper_pearson(value * members, members)
    below = float(np.hypot(value - binomial.low, value - least))
    above = float(np.hypot(binomial.high - value, most - value))
    return Interval(value, max(value - below, 0.0), min(value + above, 1.0))
