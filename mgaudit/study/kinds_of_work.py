"""What the time of trainings, queries and attacks depends on: work of one kind is timed once."""

from collections.abc import Sequence

from mgaudit.settings.schemes import PLAIN
from mgaudit.study.extras import Extra, extras_in
from mgaudit.study.mounting import Mounting
from mgaudit.study.plan import Arm, Plan
from mgaudit.study.questions import Question
from mgaudit.study.trained_arm import needs_of, questions_of
from mgaudit.targets.querying.queries import NoiseDraws, Queries
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.schemes.scheme import overrides

# What a scheme does in every step; its other hooks change data or settings before the training.
STEP_HOOKS = ("extend", "inputs", "node_values", "weight_noise")


def kind_of_training(arm: Arm, cell: Plan) -> object:
    """Returns what the time of a step depends on."""
    recipe, data = arm.recipe, cell.design.dataset
    schemes = tuple(
        choice.name
        for choice, part in zip(arm.settings.scheme.parts, recipe.scheme.parts, strict=True)
        if any(overrides(part, hook) for hook in STEP_HOOKS)
    )
    training, plan = recipe.training, recipe.plan
    private = None if plan is None else (plan.batch_size, plan.views)
    sizes = (training.batch_size, training.augment, training.precision, training.clients)
    shapes = (data.inputs.shape, len(data.classes))
    return arm.settings.target, shapes, schemes, sizes, private, recipe.stack


def queries_of(arm: Arm, cell: Plan) -> list[tuple[object, Question]]:
    """Returns what an arm's models are queried for, each with what its time depends on."""
    data = cell.design.dataset
    shapes = (data.inputs.shape, data.test_inputs.shape, len(data.classes))
    questions: list[tuple[object, Question]] = []
    for question in questions_of(arm, cell.arms):
        queries = question.queries
        schemes = tuple(type(part).__name__ for part in _noise_of(queries))
        words = (type(queries).__name__, queries.number, schemes, question.is_mean)
        questions.append(((arm.settings.target, shapes, words), question))
    return questions


def _noise_of(queries: Queries) -> Sequence[Scheme]:
    """Returns the schemes whose noise the queries draw."""
    return queries.scheme.parts if isinstance(queries, NoiseDraws) else ()


def kind_of_audit(arm: Arm, cell: Plan) -> object:
    """Returns what the time of attacking an arm of the study depends on."""
    data = cell.design.dataset
    shapes = (data.inputs.shape, data.test_inputs.shape, len(data.classes))
    draws = None if arm.through is None else arm.through.count
    attacks = tuple(choice.text for choice in arm.settings.attacks)
    has_naive = shadows_of_naive(arm, cell) is not None
    extras = [extra for extra in extras_of(arm) if extra.per_example_gradients]
    target = arm.settings.target if extras else None
    models = arm.settings.models
    return target, models, shapes, arm.queries.number, draws, attacks, has_naive


def kind_of_mounting(mounting: Mounting) -> object:
    """Returns what the time of the attacks on a target depends on."""
    observed = mounting.observations
    population = None if observed.population_logits is None else observed.population_logits.shape
    shapes = (observed.logits.shape, population)
    repeats = tuple(group is not None for group in mounting.groups)
    sides = tuple(len(of_attack) for of_attack in mounting.sides)
    attacks = tuple(choice.text for choice in mounting.attacks)
    is_naive = mounting.shadows is not None
    return attacks, shapes, repeats, sides, is_naive, mounting.in_detail


def shadows_of_naive(arm: Arm, cell: Plan) -> Arm | None:
    """Returns the plain arm of the study, whose models are the shadows of a naive adversary.

    Returns None for the plain arm itself, and in a study without a plain arm.
    """
    for other in cell.arms:
        if other.settings.scheme.is_only(PLAIN):
            return None if other is arm else other
    return None


def extras_of(arm: Arm) -> list[Extra]:
    """Returns the extras that the attacks on the arm need."""
    return extras_in(needs_of(arm.settings.attacks))
