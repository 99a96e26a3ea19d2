"""What was checked about outputs that were not made by mgaudit: membership, sources, clipping."""

from mgaudit.reports.record import Estimate, Record

SIGNIFICANT_SOURCES = 0.002  # two-sided, so one in a thousand for a higher AUC


class MembershipCheck(Record):
    """Whether membership was drawn as the attacks and the bounds on epsilon assume.

    `correlations` holds, for each target, the correlation over examples between its membership and
    the number of other models that trained on the example: near 0 for independent coins, -1 if
    every example is in exactly half of the models. If they are not `independent`, the attacks use
    at most `references_in` models that trained on an example and `references_out` that did not, so
    that these numbers do not reveal the target's membership; None is no limit. `reason` says why
    lower bounds on epsilon are not valid; "" if they are.
    """

    correlations: list[float]
    independent: bool
    references_in: int | None
    references_out: int | None
    reason: str


class BlindBaseline(Record):
    """The AUC of an attack that sees no model, only labels and, if `inputs` is true, the inputs.

    It is cross-fitted: no example is scored by a classifier that was trained on it. `p_value` is
    the two-sided one of the hypothesis that the expected AUC is 0.5.
    """

    auc: Estimate
    p_value: float
    inputs: bool

    @property
    def beats_chance(self) -> bool:
        """Whether members and non-members differ without any model.

        The level is stricter than that of intervals, so that audits of fair coins rarely get a
        false warning: at most one in a thousand.
        """
        return self.auc.value > 0.5 and self.p_value < SIGNIFICANT_SOURCES


class LeftOutAttack(Record):
    """An attack that the outputs do not allow, and the reason."""

    attack: str
    reason: str


class ClipEffect(Record):
    """The AUC of the first attack if probabilities are clipped at another value."""

    clip: float
    auc: float


class Clipping(Record):
    """How probabilities became logits: values below `clip` were raised to it.

    `share` of the values were raised. `effects` are other values of the clip at which the AUC of
    the first attack lies outside its interval.
    """

    clip: float
    share: float
    effects: list[ClipEffect]


class GroupSuccess(Record):
    """The success of an attack in finding groups, such as all rows of a person.

    The score of a group is the mean score of its examples. The metrics are means over targets, with
    intervals for new targets and new groups.
    """

    arm: str
    attack: str
    groups: int
    metrics: dict[str, Estimate]


class Limits(Record):
    """The range in which a number is expected."""

    low: float
    high: float


class ShadowMatch(Record):
    """How well shadow models resemble the target, on examples that neither was trained on.

    Accuracies are shares. `accuracy` is that of the target on its `non_members`, and
    `shadow_accuracies` those of the shadow models on the same examples without their own members;
    `chance` is the accuracy of guessing the most frequent class. `loss_distance` is the mean
    Kolmogorov-Smirnov distance of the target's losses from those of a shadow model, and
    `shadow_loss_distances` have the mean distance of each shadow model from the others. Another
    model that is trained like the shadow models nearly always has an accuracy within
    `accuracy_limits` and a distance of at most `loss_distance_limit`: they are the limits of 99 %
    prediction intervals.
    """

    non_members: int
    accuracy: float
    shadow_accuracies: list[float]
    accuracy_limits: Limits
    chance: float
    loss_distance: float
    shadow_loss_distances: list[float]
    loss_distance_limit: float

    @property
    def accuracy_differs(self) -> bool:
        """Whether the target is more or less accurate than the shadow models."""
        limits = self.accuracy_limits
        return not limits.low <= self.accuracy <= limits.high

    @property
    def losses_differ(self) -> bool:
        """Whether the target's losses have another distribution than those of shadow models."""
        return self.loss_distance > self.loss_distance_limit

    @property
    def is_near_chance(self) -> bool:
        """Whether the target is nearer to chance than to the shadow models, and differs."""
        expected = sum(self.shadow_accuracies) / len(self.shadow_accuracies)
        return self.accuracy_differs and self.accuracy < (self.chance + expected) / 2


class InputChecks(Record):
    """All checks of outputs that were not made by mgaudit.

    `allowed` are the attacks that the outputs allow beside those that were mounted. `notes` are
    further sentences for the reader, such as failures of single models. `is_grouped` is whether
    intervals are for new groups of examples. `by_group` has the success by group where membership
    is by group; otherwise it is empty. `match` compares a checkpoint with its shadow models.
    """

    membership: MembershipCheck
    blind: BlindBaseline | None
    allowed: list[str]
    left_out: list[LeftOutAttack]
    clipping: Clipping | None
    is_grouped: bool
    by_group: list[GroupSuccess]
    notes: list[str]
    match: ShadowMatch | None = None
