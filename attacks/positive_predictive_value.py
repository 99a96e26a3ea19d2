"""Positive predictive value (PPV): the share of members among the examples that an attack accepts.

It depends on the prior, the share of members among the examples that the adversary asks about:

    PPV = prior TPR / (prior TPR + (1 - prior) FPR).

An audit has a prior of 0.5. An adversary of a released model often has a much lower one (Jayaraman
et al. 2021), so that most accepted examples are non-members even at a low FPR.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from mgaudit.attacks.intervals import LEVEL, Interval, lower_limit
from mgaudit.attacks.roc import false_positives_allowed, roc

Floats = NDArray[np.float64]

PRIORS = (0.5, 0.1, 0.01)
PPV_LEVELS = (0.1, 0.01, 0.001)  # the FPRs whose thresholds are reported


def positive_predictive_value(tpr: ArrayLike, fpr: ArrayLike, prior: float) -> Floats:
    """Returns the PPV at this prior; NaN where TPR and FPR are both 0.

    `tpr` and `fpr` are in [0, 1] and broadcast.

    Raises:
        ValueError: For a prior outside (0, 1).

    >>> round(float(positive_predictive_value(0.2, 0.01, 0.1)), 4)
    0.6897
    """
    if not 0 < prior < 1:
        raise ValueError(f"prior must be in (0, 1), got {prior}")
    accepted_members = prior * np.asarray(tpr, dtype=np.float64)
    accepted = accepted_members + (1 - prior) * np.asarray(fpr, dtype=np.float64)
    nowhere = np.full(np.shape(accepted), np.nan)
    ppv: Floats = np.divide(accepted_members, accepted, out=nowhere, where=accepted > 0)
    return ppv


@dataclass(frozen=True)
class OperatingPoint:
    """The threshold with the largest TPR whose FPR does not exceed a level, on one target.

    `accepted_members` of the `members` and `accepted_others` of the `others` (non-members) score at
    or above it. `allowed` is the number of non-members that the level allows; fewer are accepted
    where scores are tied.
    """

    accepted_members: int
    members: int
    accepted_others: int
    others: int
    allowed: int

    @classmethod
    def of(cls, scores: Floats, membership: NDArray[np.bool_], level: float) -> "OperatingPoint":
        """Returns the point of scores (examples,) and membership (examples,) at an FPR of `level`.

        Raises:
            ValueError: As `mgaudit.attacks.roc.roc`.
        """
        curve = roc(scores, membership)
        members, others = int(curve.positives), int(curve.negatives)
        allowed = int(false_positives_allowed(level, others))
        point = int(np.searchsorted(curve.false_positives, allowed, side="right")) - 1
        accepted_members = int(curve.true_positives[point])
        return cls(accepted_members, members, int(curve.false_positives[point]), others, allowed)

    @property
    def realised_fpr(self) -> float:
        """The share of these non-members that are accepted."""
        return self.accepted_others / self.others

    @property
    def fpr(self) -> float:
        """The probability that a new non-member is accepted: (accepted + 1) / (others + 1).

        The realised FPR is too low, because the same non-members set the threshold: it is 0 for a
        threshold above all of them. If scores are not tied, the threshold is the score of rank
        `accepted_others` + 1 among the non-members, and the rank of a new non-member is uniform.
        """
        return (self.accepted_others + 1) / (self.others + 1)

    def fpr_interval(self, effective: float = 1.0) -> Interval:
        """Returns `fpr` with the 95 % interval of the FPR of this threshold, for new examples.

        The FPR above the score of rank k + 1 of N non-members is distributed as Beta(k + 1, N - k).
        Where ties make fewer than `allowed` non-members pass, the lower limit is Clopper and
        Pearson's. `effective` is the number of independent non-members as a share of all; it is
        below 1 where examples depend on one another in groups.
        """
        tail = (1 - LEVEL) / 2
        above, below = (self.allowed + 1) * effective, (self.others - self.allowed) * effective
        high = 1.0 if below <= 0 else float(special.betaincinv(above, below, 1 - tail))
        if self.accepted_others == self.allowed and below > 0:
            low = float(special.betaincinv(above, below, tail))
        else:
            accepted = self.accepted_others * effective
            low = float(lower_limit(accepted, self.others * effective, tail))
        return Interval(self.fpr, min(low, self.fpr), max(high, self.fpr))


def ppv_interval(tpr: Interval, fpr: Interval, prior: float) -> Interval:
    """Returns the PPV at this prior with its 95 % interval.

    The PPV increases with the likelihood ratio L = TPR / FPR, whose interval is computed first. The
    distances of the limits of log TPR and log FPR from their values add in squares (Zou and Donner
    2008):

        log L_low = log L - sqrt((log TPR - log TPR_low)^2 + (log FPR_high - log FPR)^2),

    and likewise on the other side. For a TPR of 0, the upper limit is that of TPR_high / FPR_low.

    Args:
        tpr: The TPR with its 95 % interval.
        fpr: The FPR, > 0, with its 95 % interval. Over several targets its expected value is known
            (`OperatingPoint.fpr`), and the interval has no width.
        prior: The share of members, in (0, 1).

    Raises:
        ValueError: For a prior outside (0, 1), and for an FPR of 0.

    >>> interval = ppv_interval(Interval(0.2, 0.1, 0.3), Interval(0.01, 0.01, 0.01), 0.5)
    >>> [round(value, 4) for value in interval]
    [0.9524, 0.9091, 0.9677]
    """
    if not fpr.value > 0:
        raise ValueError(f"fpr must be > 0, got {fpr.value}")
    value = float(positive_predictive_value(tpr.value, fpr.value, prior))
    log_odds = math.log(prior / (1 - prior))
    if tpr.value == 0:
        log_ratio = _log(tpr.high) - _log(fpr.low)
        return Interval(value, 0.0, _share(log_ratio + log_odds))
    log_ratio = _log(tpr.value) - _log(fpr.value) + log_odds
    below = math.hypot(_log(tpr.value) - _log(tpr.low), _log(fpr.high) - _log(fpr.value))
    above = math.hypot(_log(tpr.high) - _log(tpr.value), _log(fpr.value) - _log(fpr.low))
    return Interval(value, _share(log_ratio - below), _share(log_ratio + above))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _share(log_odds: float) -> float:
    """Returns the share with these log odds, which may be infinite."""
    return float(special.expit(log_odds))
