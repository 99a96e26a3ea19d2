"""What was checked about outputs that were not made by mgaudit: membership, sources, clipping."""

from mgaudit.reports.record import Estimate, Record


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

    It is cross-fitted: no example is scored by a classifier that was trained on it.
    """

    auc: Estimate
    inputs: bool

    @property
    def beats_chance(self) -> bool:
        """Whether members and non-members differ without any model."""
        return self.auc.low > 0.5


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


class InputChecks(Record):
    """All checks of outputs that were not made by mgaudit.

    `allowed` are the attacks that the outputs allow beside those that were mounted. `notes` are
    further sentences for the reader, such as failures of single models. `by_group` has the success
    by group where membership is by group; otherwise it is empty.
    """

    membership: MembershipCheck
    blind: BlindBaseline | None
    allowed: list[str]
    left_out: list[LeftOutAttack]
    clipping: Clipping | None
    by_group: list[GroupSuccess]
    notes: list[str]
