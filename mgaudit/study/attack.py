"""Attack each target of an arm and measure the success of the attacks.

An arm is one noise scheme or training function of a study, with its models. Each target (attacked
model) is attacked in turn, and the other models are its shadow models. A resample is a bootstrap
sample of the examples. The first attack is the main one, which the details of an arm belong to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks import Attack, Observations, Stacked
from mgaudit.attacks.disjoint_shadows import Side
from mgaudit.attacks.exposure import Exposure, auc_by_class, exposure, ranks_of
from mgaudit.attacks.intervals import Interval, Resampled
from mgaudit.attacks.jackknife import Jackknife
from mgaudit.attacks.roc import ROC, false_positives_allowed, roc
from mgaudit.reports.record import ChoiceRecord
from mgaudit.reports.results import AlarmBound, EpsilonProof
from mgaudit.settings.choices import Choice
from mgaudit.study.audited import Answers, AuditedArm, AuditedData
from mgaudit.study.epsilon_bound import alarm_bound, epsilon_bound, guessed
from mgaudit.study.mounting import Measured, MetricsByName, Mounted, Mounting, mount, named
from mgaudit.study.risk import RiskOfArm, risk_of_arm, risk_of_scores

ROC_GRID = np.concatenate([[0.0], np.logspace(-4, 0, 161)])  # false positive rates of mean ROCs

Adversary = Literal["adaptive", "naive"]


@dataclass(frozen=True)
class AttackFacts:
    """What a result says about an attack itself.

    `text` is its name and options as in the settings, `source` the paper, and `needs` the inputs
    that it uses beside the target's outputs.
    """

    text: str
    choice: ChoiceRecord
    source: str
    needs: frozenset[str]

    @classmethod
    def of(cls, choice: Choice) -> "AttackFacts":
        """Returns the facts of an attack of the settings."""
        record = ChoiceRecord(name=choice.name, options=dict(choice.options))
        return cls(choice.text, record, choice.built.source, choice.built.needs)


@dataclass(frozen=True)
class AttackOutcome:
    """The result of one attack on the models of an arm.

    Args:
        attack: The attack.
        adversary: An adaptive adversary trains the shadow models like the target, a naive one
            trains them without noise.
        targets: Indices of the attacked models.
        scores: Scores (targets, examples), float64; higher means member.
        metrics: Metrics by name, in [0, 1], for each target and in each resample.
        mean_roc: Mean TPR of the targets at the FPRs of ROC_GRID, float64, in [0, 1].
        correct_guesses: Number of correct guesses about each target, as in `guessed`; empty
            without a valid bound.
        epsilon_lower_bound: Lower bound (95 %) on epsilon (nats) from all targets; None without a
            valid bound.
        epsilon_proof: The rule of this bound, and the guesses that prove it; None likewise.
        alarm_bound: The bound that is compared with the claim of the arm; None without a finite
            claim, without a valid bound, and for attacks that are not the first one.
    """

    attack: AttackFacts
    adversary: Adversary
    targets: list[int]
    scores: NDArray[np.float64]
    metrics: dict[str, Resampled]
    mean_roc: NDArray[np.float64]
    correct_guesses: list[int]
    epsilon_lower_bound: float | None
    epsilon_proof: EpsilonProof | None
    alarm_bound: AlarmBound | None = None


@dataclass(frozen=True)
class Audit:
    """The measurements of one arm, with the resamples that differences between arms need.

    The accuracies are those of the targets; None where predictions are not known. Test accuracy is
    that on the test examples, or on the examples that are not members where there are none.
    `outcomes` has the attacks of the adaptive adversary in the order of the settings, and then
    those of the naive one. The other fields belong to the first attack:

    - `power`: the metrics by number of shadow models; empty for an attack without shadow models.
    - `exposure`: for each example, how much membership changes its score and rank.
    - `ranks` (targets, examples): the share, in [0, 1], of a target's non-members that an example
      outranks.
    - `auc_by_class`: the AUC of the examples of each class; None where it cannot be computed.
    - `risk`: the records that the attack flags as members, and how reliable these lists are.
    - `through_noise`: the attack with further queries, through the noise of the arm; None without.
    """

    arm: AuditedArm
    train_accuracy: Resampled | None
    test_accuracy: Resampled | None
    outcomes: list[AttackOutcome]
    power: dict[int, dict[str, Resampled]]
    exposure: Exposure
    ranks: NDArray[np.float64]
    auc_by_class: dict[int, Interval | None]
    risk: RiskOfArm
    through_noise: "NoiseQueriesOutcome | None" = None

    def outcome(self, attack: AttackFacts) -> AttackOutcome:
        """Returns the outcome of the attack by the adaptive adversary."""
        for outcome in self.outcomes:
            if outcome.attack == attack and outcome.adversary == "adaptive":
                return outcome
        raise LookupError(f"attack {attack.text} was not measured")


@dataclass(frozen=True)
class NaiveView:
    """What a naive adversary sees, who trains shadow models without noise.

    `targets` are indices of models. `observations` has the outputs of these models of the arm, and
    `shadows` those of the models with the same indices of the plain arm.
    """

    targets: list[int]
    observations: Observations
    shadows: Observations


@dataclass(frozen=True)
class NoiseQueriesView:
    """What an adversary sees who queries models plainly, and through the noise of their arm.

    Query 1 is the mean of the logits over `draws` draws of the noise. `observations` has the
    outputs of all models of the arm. `plain` has those of the models `plain_targets` of the plain
    arm, with the same queries; None without a plain arm.
    """

    draws: int
    observations: Observations
    plain: Observations | None
    plain_targets: list[int]


@dataclass(frozen=True)
class NoiseQueriesOutcome:
    """The first attack with the queries of a `NoiseQueriesView`.

    `metrics` are those of the targets of the arm, by name, and `plain_metrics` those of the models
    `plain_targets` of the plain arm.
    """

    attack: AttackFacts
    draws: int
    metrics: MetricsByName
    plain_metrics: MetricsByName
    plain_targets: list[int]


@dataclass(frozen=True)
class PlannedAudit:
    """The attacks on an arm, before they are mounted.

    Args:
        arm: The arm.
        data: The data that all arms of the study share.
        attacks: The attacks, at least one.
        observations: The outputs of the arm's models, with the extras that the attacks need.
        answers: The correct predictions of the arm's models; None if they are not known.
        naive: With it, attacks that use shadow models are repeated by a naive adversary.
        through: With it, the first attack is repeated with queries through the noise.
    """

    arm: AuditedArm
    data: AuditedData
    attacks: Sequence[Choice]
    observations: Observations
    answers: Answers | None
    naive: NaiveView | None = None
    through: NoiseQueriesView | None = None

    @property
    def _naive(self) -> NaiveView | None:
        """The view of a naive adversary, if an attack uses shadow models."""
        uses_shadows = any("shadows" in choice.built.needs for choice in self.attacks)
        return self.naive if uses_shadows else None

    @cached_property
    def mountings(self) -> list[Mounting]:
        """The attacks of each adversary."""
        arm, attacks, data = self.arm, self.attacks, self.data
        has_bounds = arm.delta is not None
        adaptive = Mounting.of(
            attacks,
            self.observations,
            arm.target_rows,
            arm.models,
            data,
            in_detail=True,
            has_bounds=has_bounds,
        )
        mountings = [adaptive]
        if self._naive is not None:
            mountings.append(_naive_mounting(attacks, self._naive, data, has_bounds))
        if self.through is not None:
            mountings += _noise_mountings(attacks[0], self.through, arm, data)
        return mountings

    def audit(self, mounted: Sequence[Mounted]) -> Audit:
        """Returns the arm's accuracy and the success of each attack on it.

        `mounted` is what was measured for each of the `mountings`.
        """
        arm, attacks, data, naive = self.arm, self.attacks, self.data, self._naive
        adaptive, *others = mounted
        outcomes = _outcomes(self.mountings[0], adaptive, arm, data, "adaptive", arm.targets)
        if naive is not None:
            of_naive = others.pop(0)
            outcomes += _outcomes(self.mountings[1], of_naive, arm, data, "naive", naive.targets)
        power = dict(adaptive.power)
        if "shadows" in attacks[0].built.needs:
            power[self.observations.models - 1] = outcomes[0].metrics
        with named(attacks[0]):
            attack, scores, halves = attacks[0].built, outcomes[0].scores, adaptive.halves
            risk = risk_of_arm(attack, self.observations, arm.target_rows, scores, halves)
        through = self.through
        queried = None if through is None else _noise_outcome(attacks[0], through, others)
        by_class = adaptive.auc_by_class
        return audit_of(arm, data, outcomes, self.answers, power, risk, queried, by_class)


def audit(planned: PlannedAudit, jobs: int = 1) -> Audit:
    """Returns the audit of an arm, whose attacks are mounted in `jobs` processes."""
    return planned.audit(mount(planned.mountings, jobs))


def audit_of(
    arm: AuditedArm,
    data: AuditedData,
    outcomes: list[AttackOutcome],
    answers: Answers | None,
    power: dict[int, dict[str, Resampled]],
    risk: RiskOfArm | None = None,
    through_noise: NoiseQueriesOutcome | None = None,
    of_classes: Mapping[int, Jackknife] | None = None,
) -> Audit:
    """Returns the audit of an arm from the outcomes of the attacks on it.

    `risk` None is computed from the scores alone. `of_classes` has the jackknife of the first
    attack's AUC within each class.
    """
    first_scores, membership = outcomes[0].scores, data.membership[arm.targets]
    by_class: dict[int, Interval | None] = {}
    if data.labels is not None:
        by_class = auc_by_class(
            first_scores, membership, data.labels, data.example_resamples, of_classes
        )
    return Audit(
        arm=arm,
        train_accuracy=_train_accuracy(answers, arm, data),
        test_accuracy=_test_accuracy(answers, arm, data),
        outcomes=outcomes,
        power=power,
        exposure=exposure(first_scores, membership),
        ranks=ranks_of(first_scores, membership),
        auc_by_class=by_class,
        risk=risk_of_scores(first_scores, membership) if risk is None else risk,
        through_noise=through_noise,
    )


def _naive_mounting(
    attacks: Sequence[Choice], naive: NaiveView, data: AuditedData, has_bounds: bool
) -> Mounting:
    """Returns the attacks whose shadow models are trained without noise."""
    with_shadows = [choice for choice in attacks if "shadows" in choice.built.needs]
    rows = list(range(len(naive.targets)))
    return Mounting.of(
        with_shadows,
        naive.observations,
        rows,
        naive.targets,
        data,
        shadows=naive.shadows,
        has_bounds=has_bounds,
    )


def weighs_queries(attack: Choice, shadows: int) -> bool:
    """Returns whether the attack learns how much a query through the noise says.

    Only the stacked attack with at least 4 shadow models does. Other attacks average over their
    queries, so such a query can make them weaker where the models are trained without noise.
    """
    return isinstance(attack.built, Attack) and isinstance(attack.built.resolved(shadows), Stacked)


def _noise_mountings(
    attack: Choice, through: NoiseQueriesView, arm: AuditedArm, data: AuditedData
) -> list[Mounting]:
    """Returns the attack with queries through the noise, on the arm and on the plain arm."""
    attack = replace(attack, built=replace(attack.built, contrasts=True))
    mountings = [Mounting.of([attack], through.observations, arm.target_rows, arm.models, data)]
    if through.plain is not None:
        targets = through.plain_targets
        rows = list(range(len(targets)))
        mountings.append(Mounting.of([attack], through.plain, rows, targets, data))
    return mountings


def _noise_outcome(
    attack: Choice, through: NoiseQueriesView, mounted: Sequence[Mounted]
) -> NoiseQueriesOutcome:
    """Returns the outcome of the mountings of `_noise_mountings`."""
    metrics = [of_arm.attacks[0].metrics for of_arm in mounted]
    return NoiseQueriesOutcome(
        attack=AttackFacts.of(attack),
        draws=through.draws,
        metrics=metrics[0],
        plain_metrics=metrics[1] if len(metrics) > 1 else {},
        plain_targets=through.plain_targets,
    )


def _outcomes(
    mounting: Mounting,
    mounted: Mounted,
    arm: AuditedArm,
    data: AuditedData,
    adversary: Adversary,
    targets: list[int],
) -> list[AttackOutcome]:
    """Returns the outcome of each attack of a mounting; `targets` are indices in the study."""
    attacks = zip(mounting.attacks, mounted.attacks, mounting.sides_by_index, strict=True)
    outcomes = []
    for index, (choice, measured, sides) in enumerate(attacks):
        facts, is_first = AttackFacts.of(choice), adversary == "adaptive" and index == 0
        outcomes.append(outcome_of(facts, arm, data, measured, adversary, targets, sides, is_first))
    return outcomes


def _train_accuracy(
    answers: Answers | None, arm: AuditedArm, data: AuditedData
) -> Resampled | None:
    """Returns the accuracy of each target on its members; None if it is not known."""
    if answers is None:
        return None
    correct, membership = answers.examples[arm.target_rows], data.membership[arm.targets]
    return accuracy(correct, membership, data.example_resamples)


def _test_accuracy(answers: Answers | None, arm: AuditedArm, data: AuditedData) -> Resampled | None:
    """Returns the accuracy of each target on data it did not train on; None if it is not known."""
    if answers is None:
        return None
    rows = arm.target_rows
    if answers.tests is None or data.test_resamples is None:
        others = ~data.membership[arm.targets]
        return accuracy(answers.examples[rows], others, data.example_resamples)
    correct = answers.tests[rows]
    return accuracy(correct, np.ones_like(correct), data.test_resamples)


def outcome_of(
    attack: AttackFacts,
    arm: AuditedArm,
    data: AuditedData,
    measured: Measured,
    adversary: Adversary = "adaptive",
    targets: list[int] | None = None,
    sides: Sequence[Side] = (),
    is_first: bool = False,
) -> AttackOutcome:
    """Returns the outcome of an attack from its scores and metrics.

    Only the first attack on an arm has a bound that is compared with the claim.

    `targets` None are the targets of the arm. `sides` are those on which the scores
    `measured.independent` are independent, by index in the study; empty if there are none.
    """
    scores = measured.scores
    targets = arm.targets if targets is None else targets
    membership = data.membership[targets]
    correct_guesses: list[int] = []
    bound, proof, corrected = None, None, None
    if arm.delta is not None:
        independent = scores if measured.independent is None else measured.independent
        canaries = data.of_canaries(membership)
        guesses = guessed(data.of_canaries(scores), canaries, data.seed)
        correct_guesses = [of_target.correct for of_target in guesses]
        of_run = data.of_canaries(independent), canaries, targets, sides, arm.delta, data.seed
        bound, proof = epsilon_bound(*of_run)
        if is_first and arm.has_finite_claim:
            corrected = alarm_bound(*of_run, data.claims)
    pairs = zip(scores, membership, strict=True)
    curves = [_on_grid(roc(*pair)) for pair in pairs]
    return AttackOutcome(
        attack=attack,
        adversary=adversary,
        targets=targets,
        scores=scores,
        metrics=measured.metrics,
        mean_roc=np.mean(curves, axis=0),
        correct_guesses=correct_guesses,
        epsilon_lower_bound=bound,
        epsilon_proof=proof,
        alarm_bound=corrected,
    )


def _on_grid(curve: ROC) -> NDArray[np.float64]:
    """Returns the largest TPR whose FPR is <= each value of ROC_GRID, (len(ROC_GRID),)."""
    allowed = false_positives_allowed(ROC_GRID, curve.negatives)
    points = np.searchsorted(curve.false_positives, allowed, side="right") - 1
    return curve.tpr[points]


def accuracy(
    correct: NDArray[np.bool_], counted: NDArray[np.bool_], resamples: NDArray[np.uint16]
) -> Resampled:
    """Returns the accuracy of each model, in [0, 1], for the examples and in each resample.

    Args:
        correct: Whether the prediction is correct (models, examples), bool.
        counted: Whether the prediction counts (models, examples), bool; at least one of each model.
        resamples: How often each example is drawn (resamples, examples), uint16.
    """
    weights = resamples.astype(np.float32).T
    hits = (correct & counted).astype(np.float32)
    total = counted.astype(np.float32)
    per_target = hits.sum(axis=1, dtype=np.float64) / total.sum(axis=1, dtype=np.float64)
    in_resamples = (hits @ weights).astype(np.float64) / (total @ weights)
    return Resampled(per_target, in_resamples)
