"""The plan of a study: data, membership and arms, checked before anything is trained.

An arm is one noise scheme of the study. All arms share the design: data, membership and resamples.
A stack is a group of models that are trained as one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from mgaudit.errors import UsageError
from mgaudit.reports.search_record import SearchRecord, TrialRecord
from mgaudit.settings.schemes import PLAIN
from mgaudit.settings.study_settings import AuditSettings, StudySettings
from mgaudit.storage.run_folder import path_word
from mgaudit.study.attack import weighs_queries
from mgaudit.study.attack_trial import OutputShapes, check_attacks
from mgaudit.study.design import Design, draw_design
from mgaudit.study.dp_training import ChosenSettings, private_training
from mgaudit.study.extras import extras_in
from mgaudit.study.kept_privacy_plans import privacy_plan
from mgaudit.study.network_check import check_batches, checked_network
from mgaudit.study.progress import Progress, announced_if_slow
from mgaudit.study.provenance import run_sha256
from mgaudit.study.stacking import with_stack
from mgaudit.targets.contract import (
    NETWORK,
    check_per_example_gradients,
    check_private,
    check_stack,
)
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.examples import fixed_part
from mgaudit.targets.fitting.precision import check_precision
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.fitting.stack_size import private_stack_size
from mgaudit.targets.fitting.traits import Traits
from mgaudit.targets.fitting.tuned_settings import TunedSettings
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.querying.queries import NoiseDraws, Queries
from mgaudit.targets.scheme_hooks import check_hooks, hook_trial, refuse_without_hook
from mgaudit.targets.schemes import DPSGD, Scheme, dp_sgd_in
from mgaudit.targets.schemes.noise_nodes import without_node
from mgaudit.targets.schemes.scheme import overrides
from mgaudit.targets.training import Training

PlansPrivacy = Callable[[DPSGD, Training, float], PrivacyPlan]
_planned = cache(privacy_plan)  # the studies of a grid have the same privacy plans
SLOW_ACCOUNTANT = "computing the noise of DP-SGD: this may take up to ten seconds"


@dataclass(frozen=True)
class Arm:
    """How the models of one arm are trained (`recipe`) and queried for the attacks (`queries`).

    `through` are the draws of noise through which the first attack also queries; None if it does
    not. `one_by_one` states why models of the network cannot be trained as one stack; "" if they
    can. `dp_origin` states where the settings of DP-SGD come from; "" without DP-SGD. `search` is
    the one that found the settings of training; None without one.
    """

    settings: AuditSettings
    recipe: Recipe
    queries: Queries
    through: NoiseDraws | None = None
    one_by_one: str = ""
    dp_origin: str = ""
    search: SearchRecord | None = None


OnArm = Callable[[Arm, Design], None]


@dataclass(frozen=True)
class Plan:
    """A study that has been checked against its data and can be run."""

    settings: StudySettings
    design: Design
    arms: list[Arm]

    @property
    def slug(self) -> str:
        """The dataset, the network and the first scheme with noise as one word for a path."""
        settings = self.settings
        audited = [scheme.text for scheme in settings.schemes if not scheme.is_only(PLAIN)]
        return path_word(settings.dataset.name, settings.target.text, *audited[:1])

    @property
    def claims(self) -> int:
        """The number of arms for which a finite epsilon is claimed."""
        plans = [arm.recipe.plan for arm in self.arms]
        return sum(plan is not None and math.isfinite(plan.epsilon) for plan in plans)

    @property
    def sha256(self) -> str:
        """The SHA-256 of everything that determines the result: settings, data, code, versions."""
        return run_sha256(self.settings.as_dict(), self.settings.arms(), self.design)


def plan_study(
    settings: StudySettings,
    progress: Progress | None = None,
    on_arm: OnArm | None = None,
    plans_privacy: PlansPrivacy | None = None,
) -> Plan:
    """Returns the plan, ready to train.

    Data are loaded, the membership is drawn, each network is built once, and noise multipliers are
    computed, by the accountants or by `plans_privacy`. `on_arm` is called with each arm once it is
    planned, and with the design.

    Raises:
        UsageError: For settings that do not fit the data or one another.
        OSError: For data that cannot be read.
    """
    design = draw_design(settings)
    for arm in settings.arms():
        _check_shadows(arm)
        queries = _checked_queries(arm, design.dataset)
        check_attacks(arm.attacks, OutputShapes.of_design(design, queries.number))
    settings = with_stack(settings, design)
    arms = []
    for arm in settings.arms():
        found = settings.searches.get(arm.scheme)
        chosen: ChosenSettings = "default" if found is None else _tuned(found.best)
        planned = plan_arm(arm, design, progress, chosen, plans_privacy)
        arms.append(replace(planned, search=found))
        if on_arm is not None:
            on_arm(arms[-1], design)
    return Plan(settings, design, arms)


def _tuned(trial: TrialRecord) -> TunedSettings:
    """Returns the settings of a search's trial."""
    return TunedSettings(**trial.model_dump(exclude={"accuracies"}))


def plan_arm(
    settings: AuditSettings,
    design: Design,
    progress: Progress | None = None,
    chosen: ChosenSettings = "study",
    plans_privacy: PlansPrivacy | None = None,
) -> Arm:
    """Returns the plan of one arm of a study with this design.

    The stack size must be a number here: `with_stack` measures "auto". `progress` is called if the
    noise of DP-SGD takes more than a few seconds to compute. `chosen` are the settings that a
    search found for the training, or where those of DP-SGD come from that its scheme does not
    state.

    Raises:
        UsageError: For settings that do not fit the data or one another.
    """
    scheme = settings.scheme.built
    dataset, target, training = design.dataset, settings.target, settings.training
    traits, one_by_one = checked_network(target, design)
    dp_sgd, dp_origin = dp_sgd_in(scheme), ""
    if dp_sgd is not None:
        check_private(target.name, traits)
        private = private_training(dp_sgd, training, settings, design, chosen)
        dp_sgd, training, dp_origin = private.dp_sgd, private.training, private.origin
    elif isinstance(chosen, TunedSettings):
        training = chosen.training(training, design.expected_members)
    training = _training_under(settings, training)
    if dp_sgd is not None:
        # Clipping needs exact norms, and epsilon is that of one trainer with all examples.
        training = replace(training, precision="float32", clients=1, local_steps=1)
    check_precision(training.precision, design.device)
    _check_augmentation(settings.label, scheme, training.augment, design.dataset.input_shape)
    check_batches(target, training, design)
    plan = None
    if dp_sgd is not None:
        with announced_if_slow(progress or Progress(), SLOW_ACCOUNTANT):
            plan = (plans_privacy or _planned)(dp_sgd, training, design.expected_members)
    stack = _checked_stack(settings, traits, design)
    if plan is not None:
        network = initial_model(target.built, dataset.input_shape, len(dataset.classes), seed=0)
        stack = private_stack_size(stack, network)
    _check_batches(training, traits, design)
    recipe = Recipe(
        target.built,
        scheme,
        training,
        plan,
        settings.seed,
        design.expected_members,
        stack=stack,
        traits=traits,
    )
    _check_network(settings, recipe, dataset)
    _check_own_schemes(settings, recipe, design)
    queries = _checked_queries(settings, dataset)
    through = _noise_draws(settings, recipe, dataset)
    return Arm(settings, recipe, queries, through, one_by_one, dp_origin)


def _noise_draws(settings: AuditSettings, recipe: Recipe, dataset: Dataset) -> NoiseDraws | None:
    """Returns the draws through which the first attack also queries the arm's models, if any.

    Raises:
        UsageError: If an own scheme cannot draw its noise for all examples at once.
    """
    if not weighs_queries(settings.attacks[0], settings.models - 1):
        return None
    draws: NoiseDraws | None = settings.queries.built.through(settings.scheme.built)
    if draws is not None and any(part.own_sha256 for part in settings.scheme.parts):
        _check_draws(draws, settings, recipe, dataset)
    return draws


def _check_draws(
    draws: NoiseDraws, settings: AuditSettings, recipe: Recipe, dataset: Dataset
) -> None:
    """Raises UsageError if the noise of an own scheme cannot be drawn for all examples at once."""
    failure = draws.failure(dataset.inputs, recipe.seed)
    if failure:
        rule = (
            f"must draw its noise for all examples at once, to query models through it: {failure}"
        )
        way_out = "use --queries plain:noise_draws=0 to leave these queries out"
        raise UsageError(f"scheme {settings.scheme}", rule, way_out=way_out)


def _training_under(settings: AuditSettings, own: Training) -> Training:
    """Returns the training `own` as changed by the scheme. Raises UsageError if it fails."""
    try:
        training: object = settings.scheme.built.training(own)
    except UsageError:
        raise
    except RAISED as error:  # of a scheme of the user's own
        rule = f"cannot change the training: {error_line(error)}"
        raise UsageError(settings.label, rule) from error
    if not isinstance(training, Training):
        rule = "must return the training that it changes"
        raise UsageError(settings.label, rule, type(training).__name__)
    return training


def _check_augmentation(
    label: str, scheme: Scheme, augment: str, input_shape: tuple[int, ...]
) -> None:
    """Raises UsageError if the data cannot be augmented, or the scheme does not allow it."""
    if augment == "none":
        return
    if len(input_shape) != 3:
        rule = "needs images (channels, height, width)"
        value = f"examples of shape {input_shape}"
        raise UsageError(f"augment {augment}", rule, value, "use --augment none")
    if overrides(fixed_part(scheme), "inputs"):
        rule = (
            "noise that is drawn once for each example cannot be composed with "
            f"--augment {augment}, which would move the noise"
        )
        raise UsageError(f"{label}:", rule, way_out="use --augment none or fixed=false")


def _checked_stack(settings: AuditSettings, traits: Traits, design: Design) -> int:
    """Returns the number of models in a stack. Raises UsageError if it does not fit the study."""
    stack, clients = settings.stack, settings.training.clients
    if stack == "auto":
        rule = "must be a number once an arm is planned"
        way_out = "mgaudit.study.stacking.with_stack measures it"
        raise UsageError("stack", rule, "'auto'", way_out)
    if stack > settings.models:
        rule = f"must be <= {settings.models}, the models of an arm"
        raise UsageError("stack", rule, str(stack), "use --stack auto")
    if not traits.per_example:
        _check_one_by_one(settings, traits)
    if clients > 1 and stack > 1:
        rule = "must be 1 with several clients, which are trained as one stack"
        raise UsageError("stack", rule, str(stack), "leave --stack out")
    fewest = int(design.membership.sum(axis=1).min())
    if clients > 1 and clients > fewest:
        rule = f"must be <= {fewest}, the fewest training examples of a model"
        raise UsageError("clients", rule, str(clients), "use fewer clients or more examples")
    return stack


def _check_one_by_one(settings: AuditSettings, traits: Traits) -> None:
    """Raises UsageError for a stack or clients, which a network with these traits cannot have."""
    stack, clients = settings.stack, settings.training.clients
    trained = f"because target {settings.target.name} has {traits.cause}"
    if stack != 1:
        rule = f"must be 1, {trained}, and is trained one model at a time"
        raise UsageError("stack", rule, str(stack), "use --stack 1 or auto")
    if clients > 1:
        rule = f"must be 1, {trained}, and only weights of clients can be averaged"
        raise UsageError("clients", rule, str(clients), f"{traits.way_out}, or use 1 client")


def _check_batches(training: Training, traits: Traits, design: Design) -> None:
    """Raises UsageError if a model would have a batch of one example, of which BatchNorm fails."""
    if not traits.mixes_examples:
        return
    steps = training.steps_per_epoch(design.expected_members)
    smallest = int(design.membership.sum(axis=1).min()) // steps
    if smallest < 2:
        rule = f"must be so large that all batches have 2 examples, because of {traits.cause}"
        value = f"{training.batch_size}, and a batch of {smallest}"
        raise UsageError("batch_size", rule, value, "use a larger --batch-size")


def _check_network(settings: AuditSettings, recipe: Recipe, dataset: Dataset) -> None:
    """Raises UsageError if the recipe cannot train the network, or an attack cannot use it."""
    shape, classes = dataset.input_shape, len(dataset.classes)
    network = (settings.target.name, recipe.target, shape, classes)
    if recipe.stack > 1 or recipe.training.clients > 1:
        # The models of a stack are trained with the layer that the scheme may add.

        def extended(shape: tuple[int, ...], classes: int) -> Any:
            return recipe.scheme.extend(recipe.target(shape, classes))

        check_stack(settings.target.name, extended, shape, classes, recipe.traits.channels_last)
    _check_extension(settings.label, recipe.scheme, recipe, shape, classes)
    extras = [extra for attack in settings.attacks for extra in extras_in(attack.built.needs)]
    needs_gradients = any(extra.per_example_gradients for extra in extras)
    by_layer = needs_gradients and recipe.traits.norms_by_layer
    if recipe.plan is not None or by_layer:
        check_per_example_gradients(*network)


def _check_shadows(settings: AuditSettings) -> None:
    """Raises UsageError if an attack needs more shadow models than there are."""
    for attack in settings.attacks:
        fewest = attack.built.fewest_shadows + 1
        if "shadows" in attack.built.needs and settings.models < fewest:
            rule = f"must be >= {fewest} for the attack {attack}, which needs shadow models"
            raise UsageError("models", rule, str(settings.models), "train more models")


def _check_own_schemes(settings: AuditSettings, recipe: Recipe, design: Design) -> None:
    """Raises UsageError where a hook of a scheme that is not built in breaks the contract."""
    own = [part for part in settings.scheme.parts if part.own_sha256 is not None]
    if not own:
        return
    dataset, traits = design.dataset, recipe.traits
    build = partial(initial_model, recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
    trial = hook_trial(
        dataset, build, settings.training, design.device, recipe.plan is not None, traits
    )
    for part in own:
        try:
            refuse_without_hook(part.built)
        except UsageError as error:
            raise error.inside(f"scheme {part.text}") from error
        try:
            check_hooks(part.built, trial)
        except UsageError as error:
            raise UsageError(
                f"scheme {part.text}: {error.key}", error.rule, error.value, error.way_out
            ) from error


def _checked_queries(settings: AuditSettings, dataset: Dataset) -> Queries:
    """Returns the arm's queries. Raises UsageError if they do not fit the data or an attack."""
    queries: Queries = settings.queries.built.under(settings.scheme.built)
    queries.check(dataset.input_shape)
    for attack in settings.attacks:
        if "queries" in attack.built.needs and queries.number < 2:
            rule = (
                f"needs several queries of each example, and with --queries {settings.queries} the "
                f"arm {settings.label!r} has one"
            )
            way_out = "give --queries crops:8, or mask:8,kappa=0.3 for any data"
            raise UsageError(f"the attack {attack}", rule, way_out=way_out)
    return queries


def _check_extension(
    label: str, scheme: Scheme, recipe: Recipe, shape: tuple[int, ...], classes: int
) -> None:
    """Raises UsageError if the scheme cannot extend the network reversibly."""
    plain = initial_model(recipe.target, shape, classes, seed=0)
    extended = initial_model(recipe.target, shape, classes, seed=0)
    try:
        extended = scheme.extend(extended)
    except UsageError as error:
        raise error.inside(label) from error
    except RAISED as error:  # of a scheme of the user's own
        raise UsageError(label, f"cannot extend the network: {error_line(error)}") from error
    if not isinstance(extended, NETWORK):
        raise UsageError(label, "must return the network that it extends", type(extended).__name__)
    if list(without_node(extended).state_dict()) != list(plain.state_dict()):
        rule = "must add only a NoiseNode to the network; training removes it again"
        raise UsageError(label, rule)
