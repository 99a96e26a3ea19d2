"""Attack each target of an arm and measure the success of the attacks.

An arm is one noise scheme or training function of a study, with its models. Each target (attacked
model) is attacked in turn, and the other models are its shadow models. A resample is a bootstrap
sample of the examples. The first attack is the main one, which the details of an arm belong to.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks import Observations
from mgaudit.attacks.exposure import Exposure, auc_by_class, exposure, ranks_of
from mgaudit.attacks.intervals import Interval, Resampled, resampled_metrics
from mgaudit.attacks.jackknife import Jackknife, ModelGroups, number_of_groups
from mgaudit.attacks.metrics import ROC, false_positives_allowed, roc
from mgaudit.attacks.one_run import Guesses, guess, one_run_fdp_epsilon
from mgaudit.attacks.power import numbers_of_shadows, scores_by_number
from mgaudit.attacks.rescoring import scores_and_jackknife
from mgaudit.errors import UsageError
from mgaudit.reports.record import ChoiceRecord
from mgaudit.settings.choices import Choice
from mgaudit.study.audited import Answers, AuditedArm, AuditedData
from mgaudit.study.risk import RiskOfArm, risk_of_arm, risk_of_scores
from mgaudit.targets.own_module import RAISED, error_line_with_place
from mgaudit.targets.seeds import numpy_generator

ROC_GRID = np.concatenate([[0.0], np.logspace(-4, 0, 161)])  # false positive rates of mean ROCs
POWER_RESAMPLES = 200  # fewer than of other metrics, because every number of shadows is resampled
# The share of the examples guessed in (and out), and the probability that a bound is wrong.
GUESSED_SHARE, SIGNIFICANCE = 0.05, 0.05

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
        epsilon_lower_bound: Lower bound (95 %) on epsilon (nats) that the guesses prove; None
            without a valid bound.
    """

    attack: AttackFacts
    adversary: Adversary
    targets: list[int]
    scores: NDArray[np.float64]
    metrics: dict[str, Resampled]
    mean_roc: NDArray[np.float64]
    correct_guesses: list[int]
    epsilon_lower_bound: float | None


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


def audit(
    arm: AuditedArm,
    data: AuditedData,
    attacks: Sequence[Choice],
    observations: Observations,
    answers: Answers | None,
    naive: NaiveView | None = None,
) -> Audit:
    """Returns the arm's accuracy and the success of each attack on it.

    Args:
        arm: The arm.
        data: The data that all arms of the study share.
        attacks: The attacks, at least one.
        observations: The outputs of the arm's models, with the extras that the attacks need.
        answers: The correct predictions of the arm's models; None if they are not known.
        naive: With it, attacks that use shadow models are repeated by a naive adversary.
    """
    rows = arm.target_rows
    outcomes = []
    for choice in attacks:
        scored = _scored(choice, observations, None, rows, arm.models, data)
        outcomes.append(outcome_of(AttackFacts.of(choice), arm, data, scored))
    if naive is not None:
        outcomes += _naive_outcomes(attacks, naive, arm, data)
    power = _power(attacks[0], outcomes[0], observations, rows, data)
    with _named(attacks[0]):
        attack, scores = attacks[0].built, outcomes[0].scores
        risk = risk_of_arm(attack, observations, rows, scores, data.seed)
    return audit_of(arm, data, outcomes, answers, power, risk)


def audit_of(
    arm: AuditedArm,
    data: AuditedData,
    outcomes: list[AttackOutcome],
    answers: Answers | None,
    power: dict[int, dict[str, Resampled]],
    risk: RiskOfArm | None = None,
) -> Audit:
    """Returns the audit of an arm from the outcomes of the attacks on it.

    `risk` None is computed from the scores alone.
    """
    first_scores, membership = outcomes[0].scores, data.membership[arm.targets]
    by_class: dict[int, Interval | None] = {}
    if data.labels is not None:
        by_class = auc_by_class(first_scores, membership, data.labels, data.example_resamples)
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
    )


def _naive_outcomes(
    attacks: Sequence[Choice], naive: NaiveView, arm: AuditedArm, data: AuditedData
) -> list[AttackOutcome]:
    """Returns the outcomes of attacks whose shadow models are trained without noise."""
    rows = list(range(len(naive.targets)))
    outcomes = []
    for choice in attacks:
        if "shadows" in choice.built.needs:
            facts = AttackFacts.of(choice)
            observed, shadows = naive.observations, naive.shadows
            scored = _scored(choice, observed, shadows, rows, naive.targets, data)
            outcomes.append(outcome_of(facts, arm, data, scored, "naive", naive.targets))
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


def _power(
    choice: Choice,
    outcome: AttackOutcome,
    observations: Observations,
    rows: list[int],
    data: AuditedData,
) -> dict[int, dict[str, Resampled]]:
    """Returns the metrics of the attack by the number of shadow models: 2, 4, 8, … and all.

    Slow attacks have fewer numbers. The result is empty for an attack without shadow models. `rows`
    are the positions of the targets of `outcome` among the observed models.
    """
    models = observations.models
    if "shadows" not in choice.built.needs:
        return {}
    attack = choice.built.resolved(models - 1)
    orders = {target: _shadow_order(target, models, data.seed) for target in rows}
    membership = data.membership[outcome.targets]
    resamples = data.example_resamples[:POWER_RESAMPLES]
    power = {}
    # Limits on references equalise the counts of all shadows, not those of some of them.
    fewer = [] if observations.references is not None else numbers_of_shadows(attack, models)
    with _named(choice):
        curve = scores_by_number(attack, observations, fewer, orders)
    for shadows, scores in curve.items():
        power[shadows] = resampled_metrics(scores, membership, resamples, data.halves)
    power[models - 1] = outcome.metrics
    return power


def _shadow_order(target: int, models: int, seed: int) -> NDArray[np.int64]:
    """Returns the other models (models - 1,) in the random order in which they become shadows.

    `target` and the result are positions among the `models` observed models.
    """
    others = np.delete(np.arange(models), target)
    return numpy_generator(seed, "shadows", target).permutation(others)


class Scored(NamedTuple):
    """The scores (targets, examples) of an attack, and the jackknife of each metric by name."""

    scores: NDArray[np.float64]
    jackknife: dict[str, Jackknife]


def outcome_of(
    attack: AttackFacts,
    arm: AuditedArm,
    data: AuditedData,
    scored: Scored,
    adversary: Adversary = "adaptive",
    targets: list[int] | None = None,
) -> AttackOutcome:
    """Returns the outcome of an attack from its scores.

    `targets` None are the targets of the arm.
    """
    scores = scored.scores
    targets = arm.targets if targets is None else targets
    membership = data.membership[targets]
    guesses = [] if arm.delta is None else _guesses(scores, membership, data)
    pairs = zip(scores, membership, strict=True)
    curves = [_on_grid(roc(*pair)) for pair in pairs]
    return AttackOutcome(
        attack=attack,
        adversary=adversary,
        targets=targets,
        scores=scores,
        metrics=resampled_metrics(
            scores, membership, data.example_resamples, data.halves, scored.jackknife
        ),
        mean_roc=np.mean(curves, axis=0),
        correct_guesses=[of_target.correct for of_target in guesses],
        epsilon_lower_bound=None if arm.delta is None else epsilon_lower_bound(guesses, arm.delta),
    )


def _scored(
    attack: Choice,
    observations: Observations,
    shadows: Observations | None,
    targets: list[int],
    models: list[int],
    data: AuditedData,
) -> Scored:
    """Returns the attack's scores, also without groups of models; `targets` are positions.

    `shadows` has the outputs of the models that a naive adversary trained; None for an adaptive
    adversary, whose shadow models are the other observed models. `models` has the index of each
    observed model in the study.

    Raises:
        RuntimeError: If an attack of the user's own fails, with its name.
    """
    number = number_of_groups(len(data.membership), attack.built.is_slow)
    groups = ModelGroups.of(np.array(models), number)
    with _named(attack):
        scored = scores_and_jackknife(
            attack.built, observations, shadows, targets, groups, data.splits
        )
    return Scored(*scored)


@contextmanager
def _named(attack: Choice) -> Iterator[None]:
    """Raises RuntimeError, with the name of the attack, where an attack of the user's own fails."""
    try:
        yield
    except UsageError:
        raise
    except RAISED as error:
        if attack.own_sha256 is None:
            raise
        reason = error_line_with_place(error)
        message = f"attack {attack} failed: {reason}; mgaudit.testing.check_attack checks it"
        raise RuntimeError(message) from error


def _guesses(
    scores: NDArray[np.float64], membership: NDArray[np.bool_], data: AuditedData
) -> list[Guesses]:
    """Returns the guesses about each target; `scores` and `membership` are (targets, examples)."""
    return guessed(data.of_canaries(scores), data.of_canaries(membership), data.seed)


def guesses_a_side(share: float, examples: int) -> int:
    """Returns how many of the examples are guessed in, and as many out: a share, but at least 1."""
    return max(int(share * examples), 1)


def guessed(scores: NDArray[np.float64], membership: NDArray[np.bool_], seed: int) -> list[Guesses]:
    """Returns for each target how many guesses about its members were made, and were correct.

    The examples with the highest scores are guessed to be members, and those with the lowest
    scores non-members, GUESSED_SHARE of the examples each. Each target counts as one run in which
    all examples are canaries, that is, examples whose membership is a fair coin.

    Args:
        scores: Scores (targets, examples), float64; higher means member.
        membership: Membership (targets, examples), bool.
        seed: Random seed; it decides between equal scores.
    """
    count = guesses_a_side(GUESSED_SHARE, scores.shape[1])
    guesses = []
    for target, pair in enumerate(zip(scores, membership, strict=True)):
        generator = numpy_generator(seed, "guesses", target)
        guesses.append(guess(*pair, count, count, generator))
    return guesses


def epsilon_lower_bound(guesses: list[Guesses], delta: float) -> float:
    """Returns a lower bound (95 %) on the epsilon (nats) of the training at `delta`.

    `guesses` has one entry for each target and must not be empty. The bound is the median of the
    targets' own lower bounds, each at level 97.5 %. It holds at 95 % even if the targets depend on
    one another: by Markov's inequality, the probability that at least half of the bounds are too
    high is at most twice 2.5 %.
    """
    significance = SIGNIFICANCE / 2
    bounds = [one_run_fdp_epsilon(of_target, delta, significance) for of_target in guesses]
    return sorted(bounds)[(len(bounds) - 1) // 2]


def provable(made: int, canaries: int, delta: float, significance: float) -> float:
    """Returns the lower bound on epsilon (nats) if all `made` guesses are correct.

    No attack can prove more with this many guesses about this many canaries.
    """
    return one_run_fdp_epsilon(Guesses(made, made, canaries), delta, significance)


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
