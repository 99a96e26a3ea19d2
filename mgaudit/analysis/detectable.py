"""The smallest effects that an audit can detect, from its numbers of models and examples.

An arm is one noise scheme of a study, and a target is an attacked model. No measurement enters but
the constants `SHARED`, `UNLIKE_AUC` and `UNLIKE_TPR`, so the effects are known before any model is
trained.

Under membership by fair coins that do not affect the scores, the AUC of a target with M members and
N non-members has the variance of Mann and Whitney (1947), whatever the scores are,

    V(0) = (M + N + 1) / (12 M N),

and the AUCs of K targets are uncorrelated, because each has its own coins (that targets are each
other's shadow models is neglected). V(0) is nearly the largest variance: DeLong's variance falls as
the AUC rises. The TPR at the threshold that all but k non-members stay below has the mean
p = (k + 1) / (N + 1) without a leak. With the slope s of the ROC curve of two normal distributions
of equal variance at that threshold (1 without a leak), its variance at the TPR r is

    V(r - p) = r (1 - r) / M + s^2 p (1 - p) / (N + 2).

An effect e (the excess over chance) adds a part that all targets share and that does not shrink
with their number, because some of the n examples are more exposed than others:

    Var(mean over K targets) = V(e) / K + c e / n.

If a share of the examples is exposed completely and the others are not exposed at all, c is 1/2 for
the AUC and 1 for the TPR. Measured, it is lower (`SHARED`). The variance of a difference between
two arms, one of which does not leak, is

    u (V(0) + V(e)) / K + c e / n.

u = 1 if their attacks err independently. The arms of a study share coins, examples and seeds, so
their attacks err alike, and u is lower (`UNLIKE_AUC`, `UNLIKE_TPR`).

An effect is detected with the power 1 - b by intervals of level 1 - a if

    f(e) >= sqrt(q^2 V(e) / K + (z_(1-a/2) + z_(1-b))^2 c e / n).

q is the noncentrality of Student's t with K - 1 degrees of freedom whose b quantile is
t_(K-1, 1-a/2); f(e) is the distance from e to 0 on the scale of the interval's logit, e for small
effects. Both follow from `mgaudit.attacks.intervals.two_way_interval`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special

from mgaudit.analysis.numbers import CHANGE, RATE
from mgaudit.analysis.verdicts import level_of_limits
from mgaudit.attacks.metrics import tpr_name

POWER = 0.8
# c and u above, from digits (1,198 examples; MLP and CNN; no noise, Gaussian mask and DP-SGD; the
# attacks stacked and RMIA): c is 0 to .19 for an AUC, 0 to .31 for a difference in AUC, and with 16
# models 0 to .33 for a TPR; u is .01 to .43 for the AUC and .1 to .8 for the TPR. The upper ends
# are used. See docs/validation.md.
SHARED = 0.3
UNLIKE_AUC, UNLIKE_TPR = 0.4, 0.8
SMALLEST = 1e-6  # effects below are not searched
STEPS = 400  # of the search


@dataclass(frozen=True)
class AuditSize:
    """The numbers of an audit: its targets, and the members and non-members of each.

    `members` and `non_members` may be means over targets.
    """

    models: int
    members: float
    non_members: float

    @property
    def examples(self) -> float:
        """The number of examples."""
        return self.members + self.non_members


@dataclass(frozen=True)
class Detectable:
    """The smallest effects in a metric that are detected with the power POWER at a `level`.

    `excess` is the excess over chance of one arm. `difference` is that between an arm and the plain
    arm if their attacks err alike, as they did where this was measured, and
    `independent_difference` if they err independently. All are fractions, and None where not even
    the largest effect is detected, and, for differences, without a plain arm.
    """

    metric: str
    level: float
    has_plain: bool
    excess: float | None
    difference: float | None
    independent_difference: float | None
    power: float = POWER


def detectable(size: AuditSize, fpr: float | None, arms: int, has_plain: bool) -> list[Detectable]:
    """Returns the smallest detectable effects in the metrics of the verdict: AUC and TPR.

    Args:
        size: The numbers of models and examples.
        fpr: The FPR of the TPR, as from `fpr_of_verdict`; None leaves the TPR out.
        arms: Number of arms that are judged, the plain arm not counted.
        has_plain: Whether they are compared with a plain arm.
    """
    level = level_of_limits(arms, 1 if fpr is None else 2, has_plain)
    auc = Detectable("auc", level, has_plain, auc_excess(size, level), None, None)
    if has_plain:
        auc = replace(
            auc,
            difference=auc_difference(size, level, UNLIKE_AUC),
            independent_difference=auc_difference(size, level),
        )
    if fpr is None:
        return [auc]
    excess = tpr_excess(size, level, fpr)
    tpr = Detectable(tpr_name(fpr), level, has_plain, excess, None, None)
    if has_plain:
        tpr = replace(
            tpr,
            difference=tpr_difference(size, level, fpr, UNLIKE_TPR),
            independent_difference=tpr_difference(size, level, fpr),
        )
    return [auc, tpr]


def auc_excess(size: AuditSize, level: float, shared: float = SHARED) -> float | None:
    """Returns the smallest excess of an arm's AUC over 1/2 that is detected; None if none is."""
    return _smallest(size, level, shared, lambda _: auc_variance(size), 0.5, RATE)


def auc_difference(
    size: AuditSize, level: float, unlike: float = 1.0, shared: float = SHARED
) -> float | None:
    """Returns the smallest difference between two AUCs that is detected; None if none is."""
    variance = unlike * 2 * auc_variance(size)
    return _smallest(size, level, shared, lambda _: variance, 0.0, CHANGE, largest=0.5)


def tpr_excess(size: AuditSize, level: float, fpr: float, shared: float = SHARED) -> float | None:
    """Returns the smallest excess over chance of the TPR at an FPR that is detected, or None."""
    chance = tpr_by_chance(size, fpr)
    return _smallest(
        size, level, shared, lambda effect: tpr_variance(size, fpr, effect), chance, RATE
    )


def tpr_difference(
    size: AuditSize, level: float, fpr: float, unlike: float = 1.0, shared: float = SHARED
) -> float | None:
    """Returns the smallest difference between two TPRs, one of them at chance, or None."""
    at_chance = tpr_variance(size, fpr, 0.0)

    def variance(effect: float) -> float:
        return unlike * (at_chance + tpr_variance(size, fpr, effect))

    largest = 1 - tpr_by_chance(size, fpr)
    return _smallest(size, level, shared, variance, 0.0, CHANGE, largest)


def auc_variance(size: AuditSize) -> float:
    """Returns the variance of the AUC of one target without a leak."""
    members, non_members = size.members, size.non_members
    return (members + non_members + 1) / (12 * members * non_members)


def tpr_by_chance(size: AuditSize, fpr: float) -> float:
    """Returns the expected TPR of guessing: (k + 1) / (N + 1), with k = floor(fpr N).

    N differs between targets, so the mean fpr N - 1/2 takes the place of k.

    >>> round(tpr_by_chance(AuditSize(models=16, members=499.5, non_members=499), 0.1), 4)
    0.1008
    """
    return (fpr * size.non_members + 0.5) / (size.non_members + 1)


def tpr_variance(size: AuditSize, fpr: float, excess: float) -> float:
    """Returns the variance of the TPR of one target, whose expected value is chance + `excess`."""
    chance = tpr_by_chance(size, fpr)
    tpr = min(chance + excess, 1.0)
    # The ROC curve Phi(z(p) + d) has the slope phi(z(r)) / phi(z(p)) at the TPR r.
    slope = math.exp((special.ndtri(chance) ** 2 - special.ndtri(tpr) ** 2) / 2)
    of_members = tpr * (1 - tpr) / size.members
    of_threshold = slope**2 * chance * (1 - chance) / (size.non_members + 2)
    return float(of_members + of_threshold)


def _smallest(
    size: AuditSize,
    level: float,
    shared: float,
    variance: Callable[[float], float],
    null: float,
    bounds: tuple[float, float],
    largest: float | None = None,
) -> float | None:
    """Returns the smallest effect that is detected, at most `largest`.

    `variance` returns that of one target by effect, and `null` is the value without an effect.
    """
    own, common = multiples(size.models - 1, level)

    def needed(effect: float) -> float:
        part_of_targets = own**2 * variance(effect) / size.models
        part_of_examples = common**2 * shared * effect / size.examples
        return math.sqrt(part_of_targets + part_of_examples)

    return smallest_effect(needed, null, bounds, largest)


def smallest_effect(
    needed: Callable[[float], float],
    null: float,
    bounds: tuple[float, float],
    largest: float | None = None,
) -> float | None:
    """Returns the smallest effect that is detected, at most `largest`; None if none is.

    An effect is detected if its distance from 0 is at least that which `needed` returns for it.
    `null` is the value without an effect, and `bounds` are the least and the largest value.
    """
    least, most = bounds

    def lack(effect: float) -> float:
        """Returns by how much the effect is too small to be detected."""
        value = null + effect
        below, above = value - least, most - value
        logits = math.log(below / above) - math.log((null - least) / (most - null))
        return needed(effect) - logits / (1 / below + 1 / above)

    top = (most - null if largest is None else largest) * (1 - SMALLEST)
    effects = np.geomspace(SMALLEST, top, STEPS)
    is_detected = np.array([lack(effect) <= 0 for effect in effects])
    if not is_detected.any():
        return None
    first = int(is_detected.argmax())
    if first == 0:
        return float(effects[0])
    return float(optimize.brentq(lack, effects[first - 1], effects[first]))


def multiples(degrees_of_freedom: int, level: float) -> tuple[float, float]:
    """Returns the multiples of a standard error that an effect must have to be detected.

    The first is for the targets' part of the standard error, which is estimated with these degrees
    of freedom, and the second for the examples' part. One target has none, and normal intervals.
    """
    tail = (1 - level) / 2
    normal = float(special.ndtri(POWER) - special.ndtri(tail))
    if degrees_of_freedom == 0:
        return normal, normal
    critical = -float(special.stdtrit(degrees_of_freedom, tail))
    return float(special.nctdtrinc(degrees_of_freedom, 1 - POWER, critical)), normal
