"""The verdict on each arm of a study: the records of `mgaudit.analysis.verdicts`."""

from typing import Literal

from pydantic import Field

from mgaudit.reports.record import Estimate, Record

Outcome = Literal[
    "nothing to protect",
    "no difference that matters",
    "exposes more",
    "exposes more, by an uncertain amount",
    "protects",
    "protects, by an uncertain amount",
    "leaks",
    "leaks, by an uncertain amount",
    "no leak that matters",
    "undecided",
]
# The outcomes of both metrics together. Those that are no `Outcome` are for metrics that differ.
Combined = (
    Outcome
    | Literal[
        "protects on average",
        "exposes more on average",
        "protects the most exposed examples",
        "exposes the most exposed examples more",
        "mixed: lower average risk, higher risk of the most exposed examples",
        "mixed: higher average risk, lower risk of the most exposed examples",
    ]
)
Sign = Literal[-1, 0, 1]


class Needed(Record):
    """What would decide an undecided outcome if the measured numbers stayed the same.

    `models` is the number of further models, and None if no number of models would decide it. Then
    more than `examples` audited examples are needed, whatever the number of models.
    """

    models: int | None
    examples: int | None


class MetricVerdict(Record):
    """The outcome for one metric of an arm.

    Intervals are simultaneous, at the level of the `ArmVerdict`. `value` is the metric of the arm
    and `chance` that of an attack that guesses. `plain` is the metric of the plain arm and
    `difference` that of the arm minus it; both are None where the arm is compared with chance. A
    difference matters if it is at least `margin`: for a TPR, that fraction of the plain arm's TPR
    (or of chance). `sign` is the side of 0 of the difference (or of the excess over chance), and 0
    if its interval contains 0. `needed` is None unless the outcome is undecided.
    """

    metric: str
    outcome: Outcome
    value: Estimate
    chance: float
    plain: Estimate | None
    difference: Estimate | None
    margin: float
    sign: Sign
    needed: Needed | None


class OtherAnswer(Record):
    """The outcome for the AUC by another attack, which contradicts that by the first.

    By the first attack with queries through the noise, the outcome may also be that protection is
    not confirmed.

    `difference` is that of the arm minus the plain arm, or None where the arm is compared with
    chance, and `value` the AUC of the arm. Their intervals are corrected by Bonferroni's method for
    all other attacks and all arms.
    """

    attack: str
    outcome: Outcome
    value: Estimate
    difference: Estimate | None


class ArmVerdict(Record):
    """The verdict on an arm by the first attack.

    The arm is compared with the plain arm, or with chance where there is no plain arm or too few
    models of both. `outcome` combines those of the metrics; `tpr` is None where every stored TPR
    has fewer than 10 expected false positives per target. There is no outcome if the test accuracy
    of the models of the arm `learned_nothing` cannot be distinguished from `chance_accuracy`.
    `level` is the two-sided confidence level of each interval, so high that all limits that the
    rules read hold together with probability 95 %.
    """

    arm: str
    attack: str
    against: Literal["plain", "chance"]
    outcome: Combined | None
    level: float
    auc: MetricVerdict
    tpr: MetricVerdict | None
    learned_nothing: str | None = None
    chance_accuracy: float | None = None
    contradictions: list[OtherAnswer] = Field(default_factory=list)
