"""What a study finds when its arms are set against one another: the records of `mgaudit.analysis`.

`arm`, `by` and `reference` are the keys of arms.
"""

from typing import Literal

from mgaudit.reports.record import Estimate, Record

SIGNIFICANT = 0.05


# The metrics of an attack that arms are compared by, and the quantity beside them.
ANALYSED = ("auc", "tpr_at_0.01_fpr", "tpr_at_0.001_fpr")
TEST_ACCURACY = "test_accuracy"


class Change(Record):
    """One metric of one attack, or test accuracy (`attack` and `knowledge` None), of an arm less that of the plain arm.

    `p_value` is that of the two-sided test that inverts the interval, `p_adjusted` is Holm's over all arms and attacks
    with the same metric.
    """

    arm: str
    attack: str | None
    knowledge: Literal["adaptive", "naive"] | None
    metric: str
    difference: Estimate
    p_value: float
    p_adjusted: float

    @property
    def stands(self) -> Literal[-1, 0, 1]:
        """Says on which side of 0 the difference is after the correction; 0 where it may be none."""
        return self.difference.sign if self.p_adjusted < SIGNIFICANT else 0


class FrontPoint(Record):
    """Where an arm stands among all: more accurate is better, and so is a lower AUC of the first attack.

    On the `front` is an arm than which no other is both at least as accurate and at least as private, as measured.
    Another is `dominated` where one arm beats it in both, each by a paired difference whose interval leaves 0 out, and
    otherwise `within error` of the front. `by` is the arm that beats it most clearly, `accuracy` and `auc` what that
    arm has more of each.
    """

    arm: str
    status: Literal["front", "within error", "dominated"]
    by: str | None
    accuracy: Estimate | None
    auc: Estimate | None


class Matched(Record):
    """What a family of schemes would give at the test accuracy of the arm `reference`.

    It is the strongest noise at which the family still has that accuracy: `strength`, interpolated on straight lines
    between arms. `metrics` are the first attack's there, `differences` those less the reference's. Where the accuracy
    is `not_reached`, that says why and there are no numbers.
    """

    family: str
    reference: str
    accuracy: float
    not_reached: str | None
    strength: float | None
    metrics: dict[str, Estimate]
    differences: dict[str, Estimate]


class DPEquivalent(Record):
    """The epsilon of DP-SGD at which an attack has the same AUC as against an arm, and what accuracy DP-SGD has there.

    Interpolated in log epsilon between DP-SGD's arms. `low` and `high` bound epsilon by inverting the paired test of
    equal AUC; None where the bound lies beyond the arms there are. `epsilon` is None where the point itself does, and
    then `beyond` says on which side. `accuracy_difference` is the arm's test accuracy less DP-SGD's.
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
    """How much of what an arm seems to gain is only the attacker's ignorance of the noise: AUCs of one attack.

    All over the same targets: `plain` without noise, `naive` and `adaptive` against the arm; `apparent` = plain -
    naive, `real` = plain - adaptive and `gap` = adaptive - naive, the part that an attacker wins back who knows of the
    noise.
    """

    arm: str
    attack: str
    plain: Estimate
    naive: Estimate
    adaptive: Estimate
    apparent: Estimate
    real: Estimate
    gap: Estimate


class SharedExposure(Record):
    """What becomes, under an arm, of the examples that training without noise exposes most.

    The `examples` are chosen by one half of the noise-free targets. `plain` and `here` are the mean share of a target's
    non-members that they outrank where it trained on them, over the other half's targets without noise and with it, and
    `difference` is `here` less `plain`, with intervals for new targets. `also_exposed` is the share of the examples
    that are among as many most exposed ones under the arm, too; `by_chance` is what a random choice would give.
    """

    arm: str
    examples: int
    plain: Estimate
    here: Estimate
    difference: Estimate
    also_exposed: float
    by_chance: float


class Analysis(Record):
    """All that is found by comparing, by the first attack where there is no word of another.

    `absent` says by name of each part that is empty why it is.
    """

    attack: str
    changes: list[Change]
    front: list[FrontPoint]
    matched: list[Matched]
    dp_equivalent: list[DPEquivalent]
    ignorance: list[Ignorance]
    exposure: list[SharedExposure]
    absent: dict[str, str]
