"""Whether membership was drawn by independent fair coins, as attacks and bounds assume.

Where every example is in exactly half of the models, the number of shadow models that trained on an
example reveals whether the target did. Learned attacks then find members of models that memorise
nothing. Two models with the same members are not independent either, so that bounds on epsilon from
several targets would be wrong. The test of correlations, the tests of fair coins and the test of
pairs each have a false alarm with a probability of about `SIGNIFICANCE`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mgaudit.attacks.references import ReferenceLimits

Floats = NDArray[np.float64]
SIGNIFICANCE = 1e-3  # of the tests, corrected for the number of targets
RESIDUAL_SIGNIFICANCE = 0.1  # of the correlations that limits leave, which must be much smaller
FEWEST_MODELS = 3  # with fewer, the coins of one example cannot be tested


@dataclass(frozen=True)
class MembershipLayout:
    """How membership was drawn, as far as tests can tell.

    Args:
        correlations: For each target, the correlation over examples between its membership and the
            number of other models that trained on the example; 0 if one of them is constant.
        limits: The numbers of references to which attacks must be limited; None where membership
            is independent.
        reason: Why lower bounds on epsilon are not valid; "" if they are. The bounds assume one
            independent fair coin for each example and model.
    """

    correlations: list[float]
    limits: ReferenceLimits | None
    reason: str


def membership_layout(
    membership: NDArray[np.bool_],
    targets: Sequence[int],
    groups: NDArray[np.int64] | None = None,
) -> MembershipLayout:
    """Returns how the membership of the targets was drawn.

    Args:
        membership: Membership (models, examples), bool; all models are shadows of the targets.
        targets: The numbers of the attacked models.
        groups: The group of each example (examples,), such as a person. If each group is in a model
            as a whole, groups are tested in place of examples. Bounds must then leave out groups
            of several examples.
    """
    reason = ""
    if groups is not None:
        _, first_rows, group_of_example = np.unique(groups, return_index=True, return_inverse=True)
        by_group = membership[:, first_rows]
        reason = "examples of a group depend on one another"
        if (by_group[:, group_of_example] == membership).all():
            membership, reason = by_group, ""
    totals = membership.sum(axis=0)
    correlations = [_count_correlation(membership, totals, target) for target in targets]
    threshold = _threshold(membership.shape[1], len(targets))
    is_independent = all(abs(correlation) <= threshold for correlation in correlations)
    limits = None
    if not is_independent:
        residual = _threshold(membership.shape[1], len(targets), RESIDUAL_SIGNIFICANCE)
        limits = ReferenceLimits(
            _limit(membership, targets, residual), _limit(~membership, targets, residual)
        )
    reason = reason or _reason(membership, targets, is_independent)
    return MembershipLayout(correlations, limits, reason)


def count_correlation(membership: NDArray[np.bool_], target: int, most: int | None = None) -> float:
    """Returns the correlation of a model's membership with the others' counts, over examples.

    The count of an example is the number of other models that trained on it, or `most` if that is
    smaller. The correlation is 0 if counts or membership are constant, because they then reveal
    nothing.

    >>> halves = np.array([[True, False], [False, True]])
    >>> round(count_correlation(halves, target=0), 6)
    -1.0
    """
    return _count_correlation(membership, membership.sum(axis=0), target, most)


def _count_correlation(
    membership: NDArray[np.bool_], totals: NDArray[np.int64], target: int, most: int | None = None
) -> float:
    """Returns `count_correlation`; `totals` (examples,) are the counts over all models."""
    bits = membership[target].astype(np.float64)
    counts = totals - membership[target]
    if most is not None:
        counts = np.minimum(counts, most)
    deviations = counts - counts.mean()
    bit_deviations = bits - bits.mean()
    scale = math.sqrt(float(deviations @ deviations) * float(bit_deviations @ bit_deviations))
    return float(deviations @ bit_deviations) / scale if scale > 0 else 0.0


def _threshold(examples: int, tests: int, significance: float = SIGNIFICANCE) -> float:
    """Returns the largest absolute correlation that chance explains, in one of several tests.

    For a correlation r of independent variables, r sqrt(n - 2) / sqrt(1 - r^2) has approximately
    Student's t distribution with n - 2 degrees of freedom, with n the number of examples.
    """
    freedom = max(examples - 2, 1)
    quantile = -float(special.stdtrit(freedom, significance / (2 * tests)))
    return quantile / math.sqrt(freedom + quantile**2)


def _limit(membership: NDArray[np.bool_], targets: Sequence[int], threshold: float) -> int:
    """Returns the largest limit on the number of references that reveals no target's membership.

    `membership` is that of the references, or its complement for OUT references.
    """
    totals = membership.sum(axis=0)
    for most in range(len(membership) - 1, 0, -1):
        correlations = (_count_correlation(membership, totals, target, most) for target in targets)
        if all(abs(correlation) <= threshold for correlation in correlations):
            return most
    return 0


def _reason(membership: NDArray[np.bool_], targets: Sequence[int], is_independent: bool) -> str:
    """Returns why membership is not that of independent fair coins; "" if the tests find nothing.

    The tests are on the number of members of each target, on runs of members in the order of the
    examples (a list of all members before all others has two runs), on counts over models, and on
    the examples that two models have in common.
    """
    if len(membership) < FEWEST_MODELS:
        return (
            f"with fewer than {FEWEST_MODELS} models it cannot be tested how membership was drawn"
        )
    if not is_independent:
        return "the membership of a target depends on that of the other models"
    significance = SIGNIFICANCE / (2 * len(targets))
    for target in targets:
        members, examples = int(membership[target].sum()), membership.shape[1]
        if _two_sided_binomial(members, examples) < significance:
            share = members / examples
            return f"{share:.1%} of the examples are members of model {target}, not about half"
        if _runs_p_value(membership[target]) < significance:
            return f"the members of model {target} are not in random order among the examples"
    pair = _dependent_pair(membership, targets)
    if pair is not None:
        first, second = pair
        return f"the members of model {first} depend on those of model {second}"
    return ""


def _dependent_pair(
    membership: NDArray[np.bool_], targets: Sequence[int]
) -> tuple[int, int] | None:
    """Returns a target and another model whose coins agree too often or too rarely; None if none.

    With independent fair coins, the number of examples on which they agree is binomial.
    """
    models, examples = membership.shape
    signs = np.where(membership, 1.0, -1.0)
    agreements = np.rint((examples + signs[list(targets)] @ signs.T) / 2)
    fewer = np.minimum(agreements, examples - agreements)
    p_values = 2 * special.bdtr(fewer, examples, 0.5)
    p_values[np.arange(len(targets)), list(targets)] = 1.0
    row, model = np.unravel_index(p_values.argmin(), p_values.shape)
    if p_values[row, model] >= SIGNIFICANCE / (len(targets) * (models - 1)):
        return None
    return targets[int(row)], int(model)


def _two_sided_binomial(successes: int, trials: int) -> float:
    """Returns the two-sided p-value of a fair coin: twice the smaller tail, at most 1."""
    fewer = min(successes, trials - successes)
    return min(2 * float(special.bdtr(fewer, trials, 0.5)), 1.0)


def _runs_p_value(members: NDArray[np.bool_]) -> float:
    """Returns the two-sided p-value of the number of runs (Wald and Wolfowitz 1940).

    Given the numbers of members and of non-members, the number of runs is approximately normal.
    """
    count_in, count_out = int(members.sum()), int((~members).sum())
    examples = count_in + count_out
    product = 2 * count_in * count_out
    mean = product / examples + 1
    variance = product * (product - examples) / (examples**2 * (examples - 1))
    runs = int((members[1:] != members[:-1]).sum()) + 1
    if variance <= 0:
        return 1.0
    return 2 * float(special.ndtr(-abs(runs - mean) / math.sqrt(variance)))
