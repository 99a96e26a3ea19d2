"""The risk of a released model: predictive values, and records that an attack flags as members."""

from mgaudit.reports.record import Estimate, Record


class PriorValue(Record):
    """The positive predictive value of an attack, in [0, 1], at one prior.

    `prior` is the share of members among the records that the adversary asks about.
    """

    prior: float
    ppv: Estimate


class PredictiveValues(Record):
    """The positive predictive values of an attack at the thresholds of one FPR level.

    Each target's threshold is the one with the largest TPR whose FPR does not exceed `level`.
    `realised_fpr` is the share of the target's non-members above it, the mean over targets. `fpr`
    is the probability that a new non-member is above it, (accepted + 1) / (non-members + 1), with
    which the values are computed.
    """

    level: float
    realised_fpr: float
    fpr: float
    tpr: Estimate
    values: list[PriorValue]


class FlaggedExample(Record):
    """An example, and how many of the models flag it.

    `flagged` of the `targets` that were trained on it flag it, and `flagged_out` of the
    `targets_out` that were not.
    """

    example: int
    origin: str
    label: str
    flagged: int
    targets: int
    flagged_out: int
    targets_out: int


class FlaggedRecords(Record):
    """The records that an attack flags as members, at a false discovery rate of `level`.

    By target: the number of `flagged` records, how many of them are `false` (no members), and the
    length of the `oracle`'s list: the longest list {score >= t} with a share of non-members of at
    most `level`, which only someone who knows the membership can make. `false_discovery_rate` is
    the mean over targets of false / flagged, 0 for an empty list. `pseudo_targets` is the number of
    models whose non-members calibrate the p-values of one target. `most_flagged` has the examples
    that most of the targets trained on them flag.
    """

    level: float
    targets: list[int]
    flagged: list[int]
    false: list[int]
    oracle: list[int]
    false_discovery_rate: float
    pseudo_targets: int
    most_flagged: list[FlaggedExample]


class AgreementOfHalves(Record):
    """The records flagged with two disjoint halves of the shadow models, summed over `targets`.

    Each half has `shadows` shadow models. `in_both` records are flagged with both halves, `in_any`
    with one or both.
    """

    targets: list[int]
    shadows: int
    in_first: int
    in_second: int
    in_both: int
    in_any: int

    @property
    def share(self) -> float | None:
        """The share of flagged records on which the halves agree; None if none is flagged."""
        return self.in_both / self.in_any if self.in_any > 0 else None


class AgreementOfTargets(Record):
    """Flagged records that two or more targets were trained on.

    One or more of these targets flag `in_any` records, and all of them flag `in_all`. `again` is
    the share of pairs of such targets in which the second flags a record that the first flags; None
    if none is flagged.
    """

    in_any: int
    in_all: int
    again: float | None


class Risk(Record):
    """The risk of a released model under the first `attack`, by an adaptive adversary.

    A part that is missing is None, and `without_...` is a clause that says why.
    """

    attack: str
    predictive_values: list[PredictiveValues]
    flagged: FlaggedRecords | None
    without_flagged: str
    over_targets: AgreementOfTargets | None
    without_over_targets: str
    over_halves: AgreementOfHalves | None
    without_over_halves: str
