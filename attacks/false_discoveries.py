"""Control of the false discovery rate (FDR): the expected share of non-members in a list."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.roc import roc

Floats = NDArray[np.float64]

TAIL_OF_NULLS = 0.8  # p-values above it are counted to estimate the share of non-members


def benjamini_hochberg(p_values: Floats, level: float) -> NDArray[np.bool_]:
    """Returns which hypotheses the procedure of Benjamini and Hochberg (1995) rejects.

    The k hypotheses with the smallest of m p-values are rejected, for the largest k whose k-th
    smallest p-value is at most k level / m. The FDR is at most `level` times the share of true
    hypotheses, for independent p-values and for p-values with positive regression dependence
    (Benjamini and Yekutieli 2001).

    Args:
        p_values: The p-values (hypotheses,), at least one.
        level: The level, > 0.

    >>> benjamini_hochberg(np.array([0.04, 0.01, 0.5]), 0.1).tolist()
    [True, True, False]
    """
    hypotheses = len(p_values)
    ordered = np.sort(p_values)
    limits = np.arange(1, hypotheses + 1) * level / hypotheses
    passing = np.flatnonzero(ordered <= limits)
    if len(passing) == 0:
        return np.zeros(hypotheses, dtype=np.bool_)
    rejected: NDArray[np.bool_] = p_values <= ordered[passing[-1]]
    return rejected


def share_of_nulls(p_values: Floats, least: float) -> float:
    """Returns an estimate of the share of true hypotheses (Storey 2002), between `least` and 1.

    The p-values of true hypotheses are uniform or larger. So those above 0.8 are a fifth of them,
    or more:

        (1 + number of p-values above 0.8) / (0.2 number of p-values).

    >>> share_of_nulls(np.array([0.01, 0.3, 0.9, 0.5, 0.7, 0.6, 0.2, 0.1, 0.4, 0.05]), 0.5)
    1.0
    """
    high = int(np.count_nonzero(p_values > TAIL_OF_NULLS))
    estimate = (1 + high) / ((1 - TAIL_OF_NULLS) * len(p_values))
    return min(max(estimate, least), 1.0)


def false_discovery_proportion(flagged: NDArray[np.bool_], membership: NDArray[np.bool_]) -> float:
    """Returns the share of non-members among the flagged records; 0 where none is flagged.

    Both arrays are (examples,).
    """
    number = int(flagged.sum())
    return int((flagged & ~membership).sum()) / max(number, 1)


def oracle_list(scores: Floats, membership: NDArray[np.bool_], level: float) -> int:
    """Returns the length of the longest list {score >= t} with at most this share of non-members.

    The oracle reads the true membership (examples,) of the target, which no attack can do. Its list
    is a yardstick for the length of the attack's list with the same scores (examples,).
    """
    curve = roc(scores, membership)
    lengths = curve.true_positives + curve.false_positives
    allowed = level * lengths + 1e-9  # the tolerance is for rounding
    return int(lengths[curve.false_positives <= allowed].max())
