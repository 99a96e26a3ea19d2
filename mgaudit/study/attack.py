"""Attack the models of one arm, each in turn, and measure."""

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

Knowledge = Literal["adaptive", "naive"]


@dataclass(frozen=True)
class AttackOutcome:
    """An attack's scores (targets, examples), its metrics by name, and its mean TPR on ROC_GRID.

    `targets` says which models were attacked. An adaptive adversary trains the shadows as the target was trained, a
    naive one without noise.
    """

    choice: Choice
    knowledge: Knowledge
    targets: list[int]
    scores: NDArray[np.float64]
    metrics: dict[str, Resampled]
    mean_roc: NDArray[np.float64]
    correct_guesses: list[int]
    epsilon_lower_bound: float

    @property
    def attack(self) -> Attack:
        """The attack that was mounted."""
        attack: Attack = self.choice.built
        return attack


@dataclass(frozen=True)
class Audit:
    """What came out of one arm, with the resamples, so that a study can pair it with another.

    `outcomes` holds the adaptive attacks in the order of the settings, and then the naive ones. Exposure is what the
    first attack finds, and so are `ranks` (targets, examples) and `power`, its metrics by the number of shadows.
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
        """Returns the attack as the adaptive adversary mounts it."""
        return next(
            one for one in self.outcomes if one.choice == attack and one.knowledge == "adaptive"
        )


def audit(outputs: ArmOutputs, plain: ArmOutputs | None) -> Audit:
    """Returns the arm's accuracy and the success of each attack on it.

    With the `plain` arm, attacks that use shadows are mounted by a naive adversary too.
    """
    trained, design = outputs.trained, outputs.design
    settings, queries = trained.arm.settings, trained.arm.queries
    needs = frozenset[str]().union(*(choice.built.needs for choice in settings.attacks))
    delta, targets = bound_delta(trained, design), trained.converged
    observed = observe(outputs, targets, queries, needs)
    outcomes = [
        _measure(choice, targets, observed, None, delta, design) for choice in settings.attacks
    ]
    with_shadows = [choice for choice in settings.attacks if "shadows" in choice.built.needs]
    if plain is not None and with_shadows:
        both = [index for index in targets if index in set(plain.converged)]
        if len(both) >= FEWEST_MODELS:
            without_noise = observe(plain, both, queries, frozenset())
            seen = observed if both == targets else observe(outputs, both, queries, needs)
            outcomes += [
                _measure(choice, both, seen, without_noise, delta, design)
                for choice in with_shadows
            ]
    logits = outputs.logits(Queries())
    correct = logits["pool"][:, :, 0].argmax(axis=-1) == design.dataset.labels
    test_correct = logits["test"][:, :, 0].argmax(axis=-1) == design.dataset.test_labels
    headline, membership = outcomes[0].scores, design.membership[targets]
    return Audit(
        trained=trained,
        train_accuracy=accuracy(correct, membership, design.example_resamples),
        test_accuracy=accuracy(test_correct, np.ones_like(test_correct), design.test_resamples),
        outcomes=outcomes,
        power=_power(outcomes[0], observed, design),
        exposure=exposure(headline, membership),
        ranks=ranks_of(headline, membership),
        auc_by_class=auc_by_class(
            headline, membership, design.dataset.labels, design.example_resamples
        ),
    )


def _power(
    outcome: AttackOutcome, observed: Observations, design: Design
) -> dict[int, dict[str, Resampled]]:
    """Returns the metrics of the attack with few shadows, with twice as many, and so on up to all that there are."""
    models = observed.models
    fewer = numbers_of_shadows(outcome.attack, models)
    if "shadows" not in outcome.attack.needs:
        return {}
    orders = [
        numpy_generator(design.seed, "shadows", target).permutation(
            np.delete(np.arange(models), target)
        )
        for target in range(models)
    ]
    membership, counts = (
        design.membership[outcome.targets],
        design.example_resamples[:POWER_RESAMPLES],
    )
    found = {
        shadows: resampled_metrics(
            score_with_fewer(outcome.attack, observed, shadows, orders), membership, counts
        )
        for shadows in fewer
    }
    return {**found, models - 1: outcome.metrics}


def observe(
    outputs: ArmOutputs, models: list[int], queries: Queries, needs: frozenset[str]
) -> Observations:
    """Returns what these of the arm's models answer, and the extras that are needed."""
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
    pairs = list(zip(scores, membership, strict=True))
    guesses = guessed(scores, membership, design.seed)
    return AttackOutcome(
        choice=attack,
        knowledge="adaptive" if shadows is None else "naive",
        targets=targets,
        scores=scores,
        metrics=resampled_metrics(scores, membership, design.example_resamples),
        mean_roc=np.mean([_on_grid(roc(*pair)) for pair in pairs], axis=0),
        correct_guesses=[one.correct for one in guesses],
        epsilon_lower_bound=epsilon_lower_bound(guesses, delta),
    )


def _scored(
    attack: Choice, observations: Observations, shadows: Observations | None
) -> NDArray[np.float64]:
    """Returns the attack's scores. Raises RuntimeError that names an attack of the user's own which fails."""
    try:
        return score_every_target(attack.built, observations, shadows)
    except UsageError:
        raise
    except RAISED as error:
        if attack.own_sha256 is None:
            raise
        check = "mgaudit.testing.check_attack checks it"
        raise RuntimeError(
            f"attack {attack} failed: {error_line_with_place(error)}; {check}"
        ) from error


def bound_delta(trained: TrainedArm, design: Design) -> float:
    """Returns the delta at which epsilon is bounded from below: the claim's, or DP-SGD's default."""
    plan = trained.arm.recipe.plan
    return default_delta(design.expected_members) if plan is None else plan.delta


def guesses_a_side(share: float, examples: int) -> int:
    """Returns how many examples are guessed to be members of a target, and how many not to be."""
    return max(int(share * examples), 1)


def guessed(scores: NDArray[np.float64], membership: NDArray[np.bool_], seed: int) -> list[Guesses]:
    """Returns how well each target's highest scores tell members and its lowest non-members.

    `scores` and `membership` are (targets, examples). Each target is one run with all examples for canaries.
    """
    k = guesses_a_side(GUESSED_SHARE, scores.shape[1])
    return [
        guess(*pair, k, k, numpy_generator(seed, "guesses", target))
        for target, pair in enumerate(zip(scores, membership, strict=True))
    ]


def epsilon_lower_bound(guesses: list[Guesses], delta: float) -> float:
    """Returns what the guesses about each target prove of the mechanism's epsilon (nats) at `delta`, at 95 %.

    The median of the targets' bounds at 2.5 % is a bound at 5 %, however they depend on one another: by Markov's
    inequality at least half of them are too high with probability at most twice 2.5 %.
    """
    bounds = [one_run_fdp_epsilon(one, delta, SIGNIFICANCE / 2) for one in guesses]
    return sorted(bounds)[(len(bounds) - 1) // 2]


def provable(made: int, canaries: int, delta: float, significance: float) -> float:
    """Returns the bound on epsilon (nats) if every guess were right: no attack can prove more."""
    return one_run_fdp_epsilon(Guesses(made, made, canaries), delta, significance)


def _on_grid(curve: ROC) -> NDArray[np.float64]:
    """Returns the largest TPR whose FPR does not exceed each level of ROC_GRID."""
    allowed = false_positives_allowed(ROC_GRID, curve.negatives)
    points = np.searchsorted(curve.false_positives, allowed, side="right") - 1
    return curve.tpr[points]


def accuracy(
    correct: NDArray[np.bool_], counted: NDArray[np.bool_], resamples: NDArray[np.uint16]
) -> Resampled:
    """Returns the share of correct answers (models, examples) among those that are counted."""
    weights = resamples.astype(np.float32)
    hits, total = (correct & counted).astype(np.float32), counted.astype(np.float32)
    per_target = hits.sum(axis=1, dtype=np.float64) / total.sum(axis=1, dtype=np.float64)
    in_resamples = (hits @ weights.T).astype(np.float64) / (total @ weights.T)
    return Resampled(per_target, in_resamples)
