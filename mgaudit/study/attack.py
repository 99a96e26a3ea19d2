"""Attack each model of an arm and measure the success of the attacks."""

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

ROC_GRID = np.concatenate([[0.0], np.logspace(-4, 0, 161)])
POWER_RESAMPLES = 200
GUESSED_SHARE, SIGNIFICANCE = 0.05, 0.05

Adversary = Literal["adaptive", "naive"]


@dataclass(frozen=True)
class AttackOutcome:
    """The result of one attack on the models of an arm.

    Args:
        choice: The attack.
        adversary: An adaptive adversary trains the shadow models like the target, a naive one
            trains them without noise.
        targets: Indices of the attacked models.
        scores: Scores (targets, examples), float64; higher means member.
        metrics: Metrics by name, with their resamples.
        mean_roc: Mean TPR of the targets at the FPRs of ROC_GRID, float64, in [0, 1].
        correct_guesses: Number of correct guesses about each target.
        epsilon_lower_bound: Lower bound on epsilon (nats) that the guesses prove.
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
        """The attack as an object."""
        attack: Attack = self.choice.built
        return attack


@dataclass(frozen=True)
class Audit:
    """The measurements of one arm, with the resamples that differences between arms need.

    `outcomes` has the adaptive attacks in the order of the settings and then the naive ones. The
    other fields belong to the first attack: `exposure`, `ranks` (targets, examples),
    `auc_by_class`, and `power`, the metrics by the number of shadow models.
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
    headline, membership = outcomes[0].scores, design.membership[targets]
    labels, resamples = design.dataset.labels, design.example_resamples
    all_tests = np.ones_like(test_correct)
    return Audit(
        trained=trained,
        train_accuracy=accuracy(correct, membership, resamples),
        test_accuracy=accuracy(test_correct, all_tests, design.test_resamples),
        outcomes=outcomes,
        power=_power(outcomes[0], observed, design),
        exposure=exposure(headline, membership),
        ranks=ranks_of(headline, membership),
        auc_by_class=auc_by_class(headline, membership, labels, resamples),
    )


def _needs(attacks: Iterable[Choice]) -> frozenset[str]:
    """Returns the needs of all the attacks together."""
    return frozenset[str]().union(*(choice.built.needs for choice in attacks))


def _naive_outcomes(
    outputs: ArmOutputs, plain: ArmOutputs, observed: Observations
) -> list[AttackOutcome]:
    """Returns the outcomes of attacks whose shadow models are trained without noise.

    `observed` are the observations of all converged models of the arm. Only models that converged
    in both arms are attacked; without enough of them, there are no outcomes.
    """
    trained, design = outputs.trained, outputs.design
    attacks, queries = trained.arm.settings.attacks, trained.arm.queries
    with_shadows = [choice for choice in attacks if "shadows" in choice.built.needs]
    targets = [index for index in trained.converged if index in plain.converged]
    if not with_shadows or len(targets) < FEWEST_MODELS:
        return []
    shadows = observe(plain, targets, queries, frozenset())
    if targets != trained.converged:
        observed = observe(outputs, targets, queries, _needs(attacks))
    delta = bound_delta(trained, design)
    return [_measure(choice, targets, observed, shadows, delta, design) for choice in with_shadows]


def _correct_answers(outputs: ArmOutputs) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns which answers are correct, for examples and test examples (models, examples)."""
    dataset = outputs.design.dataset
    # Accuracy is that of the examples as they are, whatever the attacks query.
    logits = outputs.logits(Queries())
    predictions = logits["pool"][:, :, 0].argmax(axis=-1)
    test_predictions = logits["test"][:, :, 0].argmax(axis=-1)
    return predictions == dataset.labels, test_predictions == dataset.test_labels


def _power(
    outcome: AttackOutcome, observed: Observations, design: Design
) -> dict[int, dict[str, Resampled]]:
    """Returns the metrics of the attack by the number of shadow models, doubled up to all."""
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
    """Returns the other models in the random order in which they become shadows of the target."""
    others = np.delete(np.arange(models), target)
    return numpy_generator(seed, "shadows", target).permutation(others)


def observe(
    outputs: ArmOutputs, models: list[int], queries: Queries, needs: frozenset[str]
) -> Observations:
    """Returns the outputs of some of the arm's models, with the extras that attacks need."""
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
    """Returns the delta of the lower bound on epsilon: that of the claim, or DP-SGD's default."""
    plan = trained.arm.recipe.plan
    return default_delta(design.expected_members) if plan is None else plan.delta


def guesses_a_side(share: float, examples: int) -> int:
    """Returns how many examples are guessed to be members of a target, and how many not to be."""
    return max(int(share * examples), 1)


def guessed(scores: NDArray[np.float64], membership: NDArray[np.bool_], seed: int) -> list[Guesses]:
    """Returns how often the highest scores of each target are members and the lowest are not.

    Each target counts as one run in which all examples are canaries.

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
    """Returns the lower bound (95 %) on the mechanism's epsilon (nats) from the guesses.

    It is the median of the targets' bounds at 97.5 %, and a bound at 95 % however these depend on
    one another: by Markov's inequality, at least half of them are too high with a probability of at
    most twice 2.5 %.
    """
    significance = SIGNIFICANCE / 2
    bounds = [one_run_fdp_epsilon(of_target, delta, significance) for of_target in guesses]
    return sorted(bounds)[(len(bounds) - 1) // 2]


def provable(made: int, canaries: int, delta: float, significance: float) -> float:
    """Returns the bound on epsilon (nats) if every guess is correct; no attack can prove more."""
    return one_run_fdp_epsilon(Guesses(made, made, canaries), delta, significance)


def _on_grid(curve: ROC) -> NDArray[np.float64]:
    """Returns, for each level of ROC_GRID, the largest TPR whose FPR does not exceed it."""
    allowed = false_positives_allowed(ROC_GRID, curve.negatives)
    points = np.searchsorted(curve.false_positives, allowed, side="right") - 1
    return curve.tpr[points]


def accuracy(
    correct: NDArray[np.bool_], counted: NDArray[np.bool_], resamples: NDArray[np.uint16]
) -> Resampled:
    """Returns the share of correct answers of each model, and in each resample.

    Args:
        correct: Whether the answer is correct (models, examples), bool.
        counted: Whether the answer counts (models, examples), bool.
        resamples: How often each example is drawn (resamples, examples), uint16.
    """
    weights = resamples.astype(np.float32).T
    hits = (correct & counted).astype(np.float32)
    total = counted.astype(np.float32)
    per_target = hits.sum(axis=1, dtype=np.float64) / total.sum(axis=1, dtype=np.float64)
    in_resamples = (hits @ weights).astype(np.float64) / (total @ weights)
    return Resampled(per_target, in_resamples)
