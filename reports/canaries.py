"""The attack on the canaries of a study, as a result holds it."""

from mgaudit.reports.record import Estimate, Record


class GroupAttack(Record):
    """The first attack on a group of examples, pooled over targets; fractions.

    `non_members` is the number of pairs of a target and an example of the group that it did not
    train on. The intervals are for other targets and other examples of the group. `auc` and `tpr`
    are None where there are too few pairs.
    """

    examples: int
    non_members: int
    auc: Estimate | None
    tpr: Estimate | None


class CanaryAttack(Record):
    """The first attack on the canaries alone, and on all other examples.

    `indices` are the canaries among the examples, `kind` is mislabelled, blank or noise. `level` is
    the FPR of the TPRs, the lowest of 0.1, 1 and 10 % at which at least 10 of the canaries'
    non-members are expected to be false positives; None if there are fewer at 10 %.
    """

    attack: str
    kind: str
    level: float | None
    canaries: GroupAttack
    others: GroupAttack
    indices: list[int]
