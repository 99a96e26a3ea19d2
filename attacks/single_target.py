"""Intervals for the attack on one target: its examples are a sample, its model is given."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mgaudit.attacks.intervals import LEVEL, Interval, clopper_pearson
from mgaudit.attacks.metrics import roc

Floats = NDArray[np.float64]


def delong(scores: Floats, membership: NDArray[np.bool_]) -> tuple[float, float]:
    """Returns the AUC of `scores` (examples,) finite, higher = member, and its variance (DeLong et al. 1988).

        Var = S_members / members + S_others / non-members

    S_members is the sample variance, over members, of the share of non-members that a member beats, ties counting
    half; S_others likewise. Both are read off mid-ranks (Sun and Xu 2014). Raises ValueError as
    `mgaudit.attacks.metrics.roc`, and for fewer than two members or non-members.

    >>> delong(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))
    (0.875, 0.03125)
    """
    auc = float(roc(scores, membership).auc())
    members, others = scores[membership], scores[~membership]
    if min(len(members), len(others)) < 2:
        raise ValueError(
            f"membership must hold 2 or more members and non-members, got {len(members)} and {len(others)}"
        )
    from scipy import stats  # takes a second, which only its users should wait

    ranks = stats.rankdata(scores)
    members_win = (ranks[membership] - stats.rankdata(members)) / len(others)
    others_win = (ranks[~membership] - stats.rankdata(others)) / len(members)
    return auc, float(members_win.var(ddof=1) / len(members) + others_win.var(ddof=1) / len(others))


def delong_interval(scores: Floats, membership: NDArray[np.bool_]) -> Interval:
    """Returns the AUC of one target with its interval for new examples; arguments and errors are those of `delong`.

    It is Clopper and Pearson's for AUC (1 - AUC) / Var independent pairs, as many as would have DeLong's variance
    (as Korn and Graubard 1998 do for surveys). Where that variance is 0 (an AUC of 0 or 1, or all scores equal) it is
    theirs for the min(members, non-members) pairs that share no example. For an AUC of 0 or 1 this bound is exact:
    all of these pairs are won with a probability of at most AUC^pairs.

    >>> interval = delong_interval(np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, True, False, False]))
    >>> interval.value, round(interval.low, 4), interval.high
    (1.0, 0.1581, 1.0)
    """
    auc, variance = delong(scores, membership)
    pairs = auc * (1 - auc) / variance if variance > 0 else float(min(membership.sum(), (~membership).sum()))
    return clopper_pearson(auc * pairs, pairs)


def tpr_interval(scores: Floats, membership: NDArray[np.bool_], fpr: float) -> Interval:
    """Returns the largest TPR whose FPR does not exceed `fpr` in [0, 1], with Clopper and Pearson's interval.

    The non-members alone set the threshold, and given it the number of accepted members is binomial. So this covers
    the TPR *of this threshold*, not that of the threshold whose FPR in the population is `fpr`: see
    `population_tpr_interval`. Raises ValueError as `mgaudit.attacks.metrics.roc`, and for another `fpr`.

    >>> interval = tpr_interval(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]), fpr=0.0)
    >>> interval.value, round(interval.low, 4), round(interval.high, 4)
    (0.5, 0.0126, 0.9874)
    """
    if not 0 <= fpr <= 1:
        raise ValueError(f"fpr must be in [0, 1], got {fpr}")
    curve = roc(scores, membership)
    members = int(curve.positives)
    return clopper_pearson(round(float(curve.tpr_at(fpr)) * members), members)


def population_tpr_interval(scores: Floats, membership: NDArray[np.bool_], fpr: float) -> Interval:
    """Returns the TPR at an FPR of `fpr` in (0, 1) in the population, with its interval for new examples.

    The j-th highest of N non-members has an FPR of Beta(j, N - j + 1) in the population. T(j) is the share of members
    above it, linear between whole j and along ties, and the estimate is T(fpr (N + 1)). Two errors meet in it: that
    of the threshold, whose bounds are T at the j where the FPR is too low or too high with probability 2.5 %, and that
    of the members, whose bounds are Clopper and Pearson's. The distances of the bounds from the estimate add in
    squares on each side (Zou and Donner 2008). With 10 or fewer non-members above the threshold the interval is wide
    and covers more than 95 %. Raises ValueError as `mgaudit.attacks.metrics.roc`, and for another `fpr`.

    >>> population_tpr_interval(np.array([3.0, 1.5, 2.0, 1.0]), np.array([True, True, False, False]), fpr=0.5).value
    0.75
    """
    if not 0 < fpr < 1:
        raise ValueError(f"fpr must be in (0, 1), got {fpr}")
    curve = roc(scores, membership)
    members, others = int(curve.positives), int(curve.negatives)
    tail = (1 - LEVEL) / 2
    # Where even the highest non-member may lie beyond the threshold, nothing bounds its TPR from below.
    lowest = 1 + special.bdtrik(tail, others, fpr) if special.bdtr(0, others, fpr) < tail else 0.0
    highest = 1 + special.bdtrik(1 - tail, others, fpr)
    last = np.append(np.diff(curve.false_positives) > 0, True)
    places = np.append(0, curve.false_positives[last] + 1)
    heights = np.append(0, curve.true_positives[last]) / members
    value, least, most = (float(np.interp(j, places, heights)) for j in (fpr * (others + 1), lowest, highest))
    binomial = clopper_pearson(value * members, members)
    return Interval(
        value,
        max(value - float(np.hypot(value - binomial.low, value - least)), 0.0),
        min(value + float(np.hypot(binomial.high - value, most - value)), 1.0),
    )
