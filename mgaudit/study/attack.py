"""Attack each model of an arm and measure the success of the attacks.

An arm is one noise scheme of a study, with the models trained under it. Each converged model is the
target in turn, and the other models are its shadow models. A resample is a bootstrap sample of the
examples. The first attack of the settings is the main one, which the details of an arm belong to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.attacks import Attack, Observations, score_every_target
from mgaudit.attacks.exposure import Exposure, auc_by_class, exposure, ranks_of
from mgaudit.attacks.intervals import Interval, Resampled, resampled_metrics
from mgaudit.attacks.metrics import ROC, false_positives_allowed, roc
from mgaudit.attacks.one_run import Guesses, guess, one_run_fdp_epsilon
from mgaudit.attacks.power import numbers_of_shadows, score_with_fewer
from mgaudit.errors import UsageError
from mgaudit.settings.choices import Choice
from mgaudit.study.design import Design
from mgaudit.study.extras import extras_in
from mgaudit.study.query import ArmOutputs
from mgaudit.study.train import TrainedArm
from mgaudit.targets.fitting.privacy_plan import default_delta
from mgaudit.targets.own_module import RAISED, error_line_with_place
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

ROC_GRID = np.concatenate([[0.0], np.logspace(-4, 0, 161)])  # false positive rates of mean ROCs
POWER_RESAMPLES = 200  # fewer than of other metrics, because every number of shadows is resampled
# The share of the examples guessed in (and out), and the probability that a bound is wrong.
GUESSED_SHARE, SIGNIFICANCE = 0.05, 0.05

Adversary = Literal["adaptive", "naive"]


@dataclass(frozen=True)
class AttackOutcome:
    """The result of one attack on the models of an arm.

    Args:
        choice: The attack and its options, as in the settings.
        adversary: An adaptive adversary trains the shadow models like the target, a naive one
            trains them without noise.
        targets: Indices of the attacked models.
        scores: Scores (targets, examples), float64; higher means member.
        metrics: Metrics by name, in [0, 1], for each target and in each resample.
        mean_roc: Mean TPR of the targets at the FPRs of ROC_GRID, float64, in [0, 1].
        correct_guesses: Number of correct guesses about each target, as in `guessed`.
        epsilon_lower_bound: Lower bound (95 %) on epsilon (nats) that the guesses prove.
    """

    choice: Choice
    adversary: Adversary
    targets: list[int]
    scores: NDArray[np.float64]
    metrics: dict[str, Resampled]
    mean_roc: NDArray[np.float64]
    correct_guesses: list[int]
    epsilon_lower_bound: float

    @property
    def attack(self) -> Attack:
        """The object that computes the scores."""
        attack: Attack = self.choice.built
        return attack


@dataclass(frozen=True)
class Audit:
    """The measurements of one arm, with the resamples that differences between arms need.

    The accuracies are those of the converged models. `outcomes` has the attacks of the adaptive
    adversary in the order of the settings, and then those of the naive one. The other fields
    belong to the first attack:

    - `power`: the metrics by number of shadow models; empty for an attack without shadow models.
    - `exposure`: for each example, how much membership changes its score and rank.
    - `ranks` (targets, examples): the share, in [0, 1], of a target's non-members that an example
      outranks.
    - `auc_by_class`: the AUC of the examples of each class; None where it cannot be computed.
    """

    trained: TrainedArm
    train_accuracy: Resampled
    test_accuracy: Resampled
    outcomes: list[AttackOutcome]
    power: dict[int, dict[str, Resampled]]
    exposure: Exposure
    ranks: NDArray[np.float64]
    auc_by_class: dict[int, Interval | None]

    def outcome(self, attack: Choice) -> AttackOutcome:
        """Returns the outcome of the attack by the adaptive adversary."""
        for outcome in self.outcomes:
            if outcome.choice == attack and outcome.adversary == "adaptive":
                return outcome
        raise LookupError(f"attack {attack} was not measured")


def audit(outputs: ArmOutputs, plain: ArmOutputs | None) -> Audit:
    """Returns the arm's accuracy and the success of each attack on it.

    Args:
        outputs: The outputs of the arm's models.
        plain: The outputs of the arm without noise. With them, attacks that use shadow models are
            repeated by a naive adversary.
    """
    trained, design = outputs.trained, outputs.design
    settings, targets = trained.arm.settings, trained.converged
    delta = bound_delta(trained, design)
    observed = observe(outputs, targets, trained.arm.queries, _needs(settings.attacks))
    outcomes = [
        _measure(choice, targets, observed, None, delta, design) for choice in settings.attacks
    ]
    if plain is not None:
        outcomes += _naive_outcomes(outputs, plain, observed)
    correct, test_correct = _correct_answers(outputs)
    first_scores, membership = outcomes[0].scores, design.membership[targets]
    labels, resamples = design.dataset.labels, design.example_resamples
    all_tests = np.ones_like(test_correct)
    return Audit(
        trained=trained,
        train_accuracy=accuracy(correct, membership, resamples),
        test_accuracy=accuracy(test_correct, all_tests, design.test_resamples),
        outcomes=outcomes,
        power=_power(outcomes[0], observed, design),
        exposure=exposure(first_scores, membership),
        ranks=ranks_of(first_scores, membership),
        auc_by_class=auc_by_class(first_scores, membership, labels, resamples),
    )


def _needs(attacks: Iterable[Choice]) -> frozenset[str]:
    """Returns the union of what the attacks need: shadow models, several queries, or extras."""
    return frozenset[str]().union(*(choice.built.needs for choice in attacks))


def _naive_outcomes(
    outputs: ArmOutputs, plain: ArmOutputs, observed: Observations
) -> list[AttackOutcome]:
    """Returns the outcomes of attacks whose shadow models are trained without noise.

    `observed` has the outputs of all converged models of the arm, and `plain` those of the arm
    without noise. Only models that converged in both arms are attacked. With fewer than
    FEWEST_MODELS of them, or without an attack that uses shadow models, there are no outcomes.
    """
    trained, design = outputs.trained, outputs.design
    attacks, queries = trained.arm.settings.attacks, trained.arm.queries
    with_shadows = [choice for choice in attacks if "shadows" in choice.built.needs]
    targets = [index for index in trained.converged if index in plain.converged]
    if not with_shadows or len(targets) < FEWEST_MODELS:
        return []
    shadows = observe(plain, targets, queries, frozenset())
    if targets != trained.converged:  # otherwise `observed` already has just these models
        observed = observe(outputs, targets, queries, _needs(attacks))
    delta = bound_delta(trained, design)
    return [_measure(choice, targets, observed, shadows, delta, design) for choice in with_shadows]


def _correct_answers(outputs: ArmOutputs) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns which predictions are correct, (models, examples) and (models, test examples)."""
    dataset = outputs.design.dataset
    # Accuracy is that of the examples as they are, whatever the attacks query.
    logits = outputs.logits(Queries())
    predictions = logits["pool"][:, :, 0].argmax(axis=-1)
    test_predictions = logits["test"][:, :, 0].argmax(axis=-1)
    return predictions == dataset.labels, test_predictions == dataset.test_labels


def _power(
    outcome: AttackOutcome, observed: Observations, design: Design
) -> dict[int, dict[str, Resampled]]:
    """Returns the metrics of the attack by the number of shadow models: 2, 4, 8, … and all.

    The result is empty for an attack without shadow models. `observed` has the outputs of the
    targets of `outcome`.
    """
    models = observed.models
    fewer = numbers_of_shadows(outcome.attack, models)
    if "shadows" not in outcome.attack.needs:
        return {}
    orders = [_shadow_order(target, models, design.seed) for target in range(models)]
    membership = design.membership[outcome.targets]
    resamples = design.example_resamples[:POWER_RESAMPLES]
    power = {}
    for shadows in fewer:
        scores = score_with_fewer(outcome.attack, observed, shadows, orders)
        power[shadows] = resampled_metrics(scores, membership, resamples)
    power[models - 1] = outcome.metrics
    return power


def _shadow_order(target: int, models: int, seed: int) -> NDArray[np.int64]:
    """Returns the other models (models - 1,) in the random order in which they become shadows.

    `target` and the result are positions among the `models` observed models.
    """
    others = np.delete(np.arange(models), target)
    return numpy_generator(seed, "shadows", target).permutation(others)


def observe(
    outputs: ArmOutputs, models: list[int], queries: Queries, needs: frozenset[str]
) -> Observations:
    """Returns the outputs of some of the arm's models, with the extras that attacks need.

    Args:
        outputs: The outputs of the arm's converged models.
        models: Indices of the models, which must have converged; they become the first axis.
        queries: How the models are queried.
        needs: What the attacks need beside logits; names of extras, such as "gradient_norm", count.
    """
    design, dataset = outputs.design, outputs.design.dataset
    rows = [outputs.converged.index(model) for model in models]
    logits = outputs.logits(queries)
    extras: dict[str, NDArray[np.floating]] = {}
    population_extras: dict[str, NDArray[np.floating]] = {}
    for extra in extras_in(needs):
        values = extra.compute(outputs, design)
        extras[extra.name] = values.of_examples[rows]
        if values.of_population is not None:
            population_extras[extra.name] = values.of_population[rows]
    return Observations(
        logits["pool"][rows],
        dataset.labels,
        design.membership[models],
        logits["test"][rows],
        dataset.test_labels,
        extras,
        population_extras,
    )


def _measure(
    attack: Choice,
    targets: list[int],
    observations: Observations,
    shadows: Observations | None,
    delta: float,
    design: Design,
) -> AttackOutcome:
    """Returns the outcome of one attack on the targets.

    `observations` has the outputs of the targets. `shadows` has the outputs of the models that a
    naive adversary trained; None for an adaptive adversary, whose shadows are the other targets.
    `delta` is that of the lower bound on epsilon.
    """
    scores = _scored(attack, observations, shadows)
    membership = design.membership[targets]
    guesses = guessed(scores, membership, design.seed)
    pairs = zip(scores, membership, strict=True)
    curves = [_on_grid(roc(*pair)) for pair in pairs]
    return AttackOutcome(
        choice=attack,
        adversary="adaptive" if shadows is None else "naive",
        targets=targets,
        scores=scores,
        metrics=resampled_metrics(scores, membership, design.example_resamples),
        mean_roc=np.mean(curves, axis=0),
        correct_guesses=[of_target.correct for of_target in guesses],
        epsilon_lower_bound=epsilon_lower_bound(guesses, delta),
    )


def _scored(
    attack: Choice, observations: Observations, shadows: Observations | None
) -> NDArray[np.float64]:
    """Returns the attack's scores (targets, examples).

    Raises:
        RuntimeError: If an attack of the user's own fails, with its name.
    """
    try:
        return score_every_target(attack.built, observations, shadows)
    except UsageError:
        raise
    except RAISED as error:
        if attack.own_sha256 is None:
            raise
        reason = error_line_with_place(error)
        message = f"attack {attack} failed: {reason}; mgaudit.testing.check_attack checks it"
        raise RuntimeError(message) from error


def bound_delta(trained: TrainedArm, design: Design) -> float:
    """Returns the delta at which the lower bound on epsilon is computed.

    For an arm with DP-SGD, it is the delta for which its epsilon is proved. For other arms, it is
    the default delta of DP-SGD for this number of training examples.
    """
    plan = trained.arm.recipe.plan
    return default_delta(design.expected_members) if plan is None else plan.delta


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
