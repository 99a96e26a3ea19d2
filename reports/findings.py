"""The comparisons of the arms of a study: the records of `mgaudit.analysis`.

`arm`, `by` and `reference` are the keys of arms.
"""

from typing import Literal

from pydantic import Field

from mgaudit.reports.arm_verdict import ArmVerdict
from mgaudit.reports.record import Estimate, Record

SIGNIFICANT = 0.05


# The metrics by which arms are compared, beside test accuracy.
ANALYSED = ("auc", "tpr@0.01", "tpr@0.001")
# The metrics whose values in each resample are stored; the verdict also needs a TPR at 10 % FPR.
STORED = ("auc", "tpr@0.1", "tpr@0.01", "tpr@0.001")
TEST_ACCURACY = "accuracy"
PAIRED = (*ANALYSED[:2], TEST_ACCURACY)  # metrics of the pairs of arms


class Tested(Record):
    """A paired difference in a metric, or in the test accuracy, with its p-values.

    `p_value` is below 0.05 exactly if the interval excludes 0, and `p_adjusted` is corrected by
    Holm's method over the comparisons that the subclass names.
    """

    metric: str
    difference: Estimate
    p_value: float
    p_adjusted: float

    @property
    def stands(self) -> Literal[-1, 0, 1]:
        """The side of 0 of the difference after the correction, -1 or 1; 0 if not significant."""
        return self.difference.sign if self.p_adjusted < SIGNIFICANT else 0


class Change(Tested):
    """The paired difference of one metric between an arm and the plain arm.

    The metric is one of an attack, or test accuracy (`attack` and `adversary` None). The correction
    is over all arms and attacks with the same metric.
    """

    arm: str
    attack: str | None
    adversary: Literal["adaptive", "naive"] | None


class PairDifference(Tested):
    """A metric of the first attack, or the test accuracy, of one arm minus that of another.

    The correction is over all pairs with the same metric.
    """

    arm: str
    other: str


class FrontPoint(Record):
    """The position of an arm among all, by test accuracy and by AUC of the first attack.

    An arm is on the `front` if no other arm is at least as accurate and at least as private, as
    measured. Otherwise it is `dominated` if one arm beats it in both, each by a paired difference
    whose interval excludes 0, and else `within error` of the front. `by` is the arm that beats it
    most clearly; `accuracy` and `auc` are that arm's minus this arm's.
    """

    arm: str
    status: Literal["front", "within error", "dominated"]
    by: str | None
    accuracy: Estimate | None
    auc: Estimate | None


class Matched(Record):
    """A family of schemes at the test accuracy of the arm `reference`.

    `strength` is the strongest noise at which the family still has that accuracy, linearly
    interpolated between arms. `metrics` are the first attack's at that strength, `differences` are
    these minus the reference's. `not_reached` is the reason why the family does not have the
    accuracy; then there are no numbers.
    """

    family: str
    reference: str
    accuracy: float
    not_reached: str | None
    strength: float | None
    metrics: dict[str, Estimate]
    differences: dict[str, Estimate]


class DPEquivalent(Record):
    """The epsilon (nats) of DP-SGD at which an attack has the same AUC as against an arm.

    It is interpolated linearly in log epsilon between DP-SGD's arms. `low` and `high` bound the
    epsilons for which the paired test of equal AUC does not reject; None is a bound beyond the arms
    that were run. `epsilon` is None if it lies beyond them, and `beyond` says on which side.
    `accuracy` is DP-SGD's at that epsilon, and `accuracy_difference` the arm's test accuracy minus
    it.
    """

    arm: str
    attack: str
    epsilon: float | None
    low: float | None
    high: float | None
    beyond: Literal["smallest", "largest"] | None
    accuracy: Estimate | None
    accuracy_difference: Estimate | None


class Ignorance(Record):
    """The part of an arm's apparent gain that is due to an attacker who ignores the noise.

    All numbers are AUCs of one attack over the same targets: `plain` without noise, `naive` and
    `adaptive` against the arm; `apparent` = plain - naive, `real` = plain - adaptive and `gap` =
    adaptive - naive, which an attacker regains by knowing about the noise.
    """

    arm: str
    attack: str
    plain: Estimate
    naive: Estimate
    adaptive: Estimate
    apparent: Estimate
    real: Estimate
    gap: Estimate


class ThroughNoise(Record):
    """What the first attack gains from a second query, the mean logits over draws of the noise.

    All numbers are the `metric` of the `attack` over the same targets: `direct` with the plain
    query alone, `through` with both, and `gain` = `through` - `direct`. `plain` is that of the
    plain arm with the same two queries, and `difference` = `through` - `plain`; both are None
    without a plain arm.
    """

    arm: str
    attack: str
    draws: int
    metric: str
    direct: Estimate
    through: Estimate
    gain: Estimate
    plain: Estimate | None
    difference: Estimate | None


class SharedExposure(Record):
    """The exposure, under an arm, of the examples most exposed by training without noise.

    The `examples` are chosen by one half of the noise-free targets. `plain` and `here` are the mean
    share of a target's non-members with a lower score if it trained on them, over the targets of
    the other half, without noise and with it; `difference` is `here` minus `plain`. Intervals are
    for new targets. `also_exposed` is the share of the examples that are also among the same number
    of most exposed examples under the arm; `by_chance` is that share for a random choice.
    """

    arm: str
    examples: int
    plain: Estimate
    here: Estimate
    difference: Estimate
    also_exposed: float
    by_chance: float


class Analysis(Record):
    """All comparisons of a study, by the first attack unless another is named.

    `absent` holds, for each empty part, the reason why it is empty. `verdicts` has an entry for
    each arm except the plain one; it is empty in results of earlier versions. `through_noise` has
    the arms whose models were also queried through their noise. `pairs` are the differences between
    arms other than the plain one; it is empty in results of earlier versions.
    """

    attack: str
    changes: list[Change]
    front: list[FrontPoint]
    matched: list[Matched]
    dp_equivalent: list[DPEquivalent]
    ignorance: list[Ignorance]
    exposure: list[SharedExposure]
    absent: dict[str, str]
    verdicts: list[ArmVerdict] = Field(default_factory=list)
    through_noise: list[ThroughNoise] = Field(default_factory=list)
    pairs: list[PairDifference] = Field(default_factory=list)
