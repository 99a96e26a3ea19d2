"""What the attacks on a trained arm use: the outputs of its models, and the facts about it.

An arm is one noise scheme of a study, with its models. The plain arm is the arm without noise.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.limits import FEWEST_CANARIES, FEWEST_MODELS
from mgaudit.attacks import Observations
from mgaudit.attacks.jackknife import random_halves
from mgaudit.reports.record import ChoiceRecord
from mgaudit.reports.results import DPTraining, PrivacyClaim
from mgaudit.settings.choices import Choice
from mgaudit.settings.schemes import PLAIN
from mgaudit.study.attack import NaiveView, NoiseQueriesView, PlannedAudit, weighs_queries
from mgaudit.study.audited import Answers, AuditedArm, AuditedData
from mgaudit.study.ceiling import ceiling
from mgaudit.study.design import Design
from mgaudit.study.extras import extras_in
from mgaudit.study.plan import Arm
from mgaudit.study.query import ArmOutputs
from mgaudit.study.questions import Question
from mgaudit.study.strength import strength_of
from mgaudit.study.train import TrainedArm
from mgaudit.targets.datasets.duplicates import CopyGroups
from mgaudit.targets.fitting.privacy_plan import default_delta
from mgaudit.targets.querying.queries import NoiseDraws, Queries
from mgaudit.targets.seeds import numpy_generator

Number = TypeVar("Number", bound=np.floating)


def questions_of(arm: Arm, arms: Sequence[Arm]) -> list[Question]:
    """Returns what the models of an arm are queried for, of the `arms` of its study.

    The plain arm is also queried like each other arm, for comparison.
    """
    asking = arms if arm.settings.scheme.is_only(PLAIN) else [arm]
    questions = [Question(Queries())]
    for other in asking:
        questions.append(Question(other.queries))
        if other.through is not None:
            questions.append(Question(other.through, is_mean=True))
    return list({question.what: question for question in questions}.values())


def planned_audit(
    outputs: ArmOutputs, plain: ArmOutputs | None, data: AuditedData, note: str = ""
) -> PlannedAudit:
    """Returns the attacks on an arm's converged models.

    Args:
        outputs: The outputs of the arm's models.
        plain: The outputs of the plain arm. With them, attacks that use shadow models are repeated
            by a naive adversary.
        data: The data of the study, as the attacks use them.
        note: A sentence of the study file about the arm.
    """
    arm = outputs.trained.arm
    attacks = arm.settings.attacks
    observed = observe(outputs, outputs.converged, arm.queries, needs_of(attacks))
    return PlannedAudit(
        arm=audited_arm(outputs.trained, outputs.design, note),
        data=data,
        attacks=attacks,
        observations=observed,
        answers=_answers(outputs, observed),
        naive=None if plain is None else _naive_view(outputs, plain, observed),
        through=_noise_queries_view(outputs, plain),
    )


def audited_data(design: Design) -> AuditedData:
    """Returns the data of a study as its attacks use them."""
    dataset, units = design.dataset, design.units
    numbers = np.arange(len(dataset.labels)) if units is None else units.numbers
    return AuditedData(
        labels=dataset.labels,
        classes=dataset.classes,
        origins=dataset.origins,
        membership=design.membership,
        expected_members=design.expected_members,
        example_resamples=design.example_resamples,
        test_resamples=design.test_resamples,
        splits=random_halves(numbers, numpy_generator(design.seed, "jackknife halves")),
        pictures=design.pictures,
        seed=design.seed,
        is_grouped=units is not None,
        halves=None if units is None else numbers % 2 == 0,
        units=None if units is None else units.representatives,
        canaries=None if design.groups is None else design.groups.alone,
        planted=design.planted,
    )


def audited_arm(trained: TrainedArm, design: Design, note: str = "") -> AuditedArm:
    """Returns the facts about a trained arm whose converged models are all attacked."""
    arm = trained.arm
    claim, plan = privacy_claim(arm), arm.recipe.plan
    epsilon = None if claim is None else claim.epsilon
    if claim is not None and plan is not None:
        claim = claim.model_copy(update={"ceiling": ceiling(plan)})
    return AuditedArm(
        **scheme_records(arm),
        label=arm.settings.label,
        note=note,
        strength=strength_of(arm.settings.scheme, epsilon),
        learning_rate=arm.recipe.training.rate(private=arm.recipe.plan is not None),
        claim=claim,
        delta=bound_delta(trained, design) if has_canaries(design.groups) else None,
        diverged=trained.diverged,
        models=trained.converged,
        targets=trained.converged,
        search=arm.search,
    )


def has_canaries(groups: CopyGroups | None) -> bool:
    """Returns whether enough examples have a coin of their own for a lower bound on epsilon."""
    return groups is None or len(groups.alone) >= FEWEST_CANARIES


def scheme_records(arm: Arm) -> dict[str, Any]:
    """Returns the fields of the arm's scheme in a result: its key, its parts and their sources."""
    scheme = arm.settings.scheme
    parts = scheme.parts
    return {
        "key": scheme.text,
        "scheme": [ChoiceRecord(name=part.name, options=dict(part.options)) for part in parts],
        "sources": [part.built.source for part in parts if part.name != PLAIN],
    }


def needs_of(attacks: Iterable[Choice]) -> frozenset[str]:
    """Returns the union of what the attacks need: shadow models, several queries, or extras."""
    return frozenset[str]().union(*(choice.built.needs for choice in attacks))


def bound_delta(trained: TrainedArm, design: Design) -> float:
    """Returns the delta at which the lower bound on epsilon is computed.

    For an arm with DP-SGD, it is the delta for which its epsilon is proved. For other arms, it is
    the default delta of DP-SGD for this number of training examples.
    """
    plan = trained.arm.recipe.plan
    return default_delta(design.expected_members) if plan is None else plan.delta


def privacy_claim(arm: Arm) -> PrivacyClaim | None:
    """Returns the privacy that is proved for the arm, without ceilings; None without DP-SGD."""
    plan, training = arm.recipe.plan, arm.recipe.training
    if plan is None:
        return None
    return PrivacyClaim(
        epsilon=_finite(plan.epsilon),
        epsilon_prv=_finite(plan.epsilon_prv),
        epsilon_pld=_finite(plan.epsilon_pld),
        delta=plan.delta,
        noise_multiplier=plan.noise_multiplier,
        max_grad_norm=plan.max_grad_norm,
        sample_rate=plan.sample_rate,
        steps=plan.steps,
        accountant=plan.accountant,
        adjacency="add/remove",
        training=DPTraining(
            epochs=training.last_epoch,
            batch_size=plan.batch_size,
            learning_rate=training.rate(private=True),
            momentum=training.momentum,
            views=plan.views,
            averaging=plan.averaging,
            origin=arm.dp_origin,
        ),
    )


def claim_fields(claim: PrivacyClaim | None) -> dict[str, Any]:
    """Returns the fields of `DPAuditResult` that state the claim."""
    if claim is None:
        return {"epsilon_claimed": None, "accountant": ""}
    return {
        "epsilon_claimed": claim.epsilon,
        "epsilon_prv": claim.epsilon_prv,
        "epsilon_pld": claim.epsilon_pld,
        "accountant": claim.accountant,
    }


def _finite(epsilon: float | None) -> float | None:
    return epsilon if epsilon is not None and math.isfinite(epsilon) else None


def _naive_view(outputs: ArmOutputs, plain: ArmOutputs, observed: Observations) -> NaiveView | None:
    """Returns what an adversary sees whose shadow models are those of the plain arm.

    `observed` has the outputs of all converged models of the arm. Only models that converged in
    both arms are attacked. Returns None with fewer than FEWEST_MODELS of them, or without an attack
    that uses shadow models.
    """
    arm = outputs.trained.arm
    attacks, queries = arm.settings.attacks, arm.queries
    targets = [index for index in outputs.converged if index in plain.converged]
    needs = needs_of(attacks)
    if "shadows" not in needs or len(targets) < FEWEST_MODELS:
        return None
    if targets != outputs.converged:  # otherwise `observed` already has just these models
        observed = observe(outputs, targets, queries, needs)
    return NaiveView(targets, observed, observe(plain, targets, queries, frozenset()))


def _noise_queries_view(outputs: ArmOutputs, plain: ArmOutputs | None) -> NoiseQueriesView | None:
    """Returns the outputs for the plain query and through the noise of the arm.

    Returns None for an arm that is not queried through its noise.
    """
    draws, attack = outputs.trained.arm.through, outputs.trained.arm.settings.attacks[0]
    if draws is None or not weighs_queries(attack, len(outputs.converged) - 1):
        return None
    needs = needs_of([attack])
    of_plain, targets = None, []
    if plain is not None and weighs_queries(attack, len(plain.converged) - 1):
        of_plain, targets = _through(plain, draws, needs), plain.converged
    return NoiseQueriesView(draws.count, _through(outputs, draws, needs), of_plain, targets)


def _through(outputs: ArmOutputs, draws: NoiseDraws, needs: frozenset[str]) -> Observations:
    """Returns outputs for the plain query, and then for the mean of the logits over the draws."""
    observed = observe(outputs, outputs.converged, Queries(), needs)
    mean = outputs.mean_logits(draws)
    population = observed.population_logits
    assert population is not None  # as `observe` gives it
    return replace(
        observed,
        logits=np.concatenate([observed.logits, mean["pool"]], axis=2),
        population_logits=np.concatenate([population, mean["test"]], axis=2),
    )


def _answers(outputs: ArmOutputs, observed: Observations) -> Answers:
    """Returns which predictions of the converged models are correct.

    `observed` has the outputs of all of them for the queries of the attacks.
    """
    dataset = outputs.design.dataset
    # Accuracy is that of the examples as they are, whatever the attacks query.
    if outputs.trained.arm.queries == Queries() and observed.population_logits is not None:
        pool, test = observed.logits, observed.population_logits  # which need not be read again
    else:
        logits = outputs.logits(Queries())
        pool, test = logits["pool"], logits["test"]
    predictions = pool[:, :, 0].argmax(axis=-1)
    test_predictions = test[:, :, 0].argmax(axis=-1)
    return Answers(predictions == dataset.labels, test_predictions == dataset.test_labels)


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
        extras[extra.name] = _of_models(values.of_examples, rows)
        if values.of_population is not None:
            population_extras[extra.name] = _of_models(values.of_population, rows)
    return Observations(
        _of_models(logits["pool"], rows),
        dataset.labels,
        design.membership[models],
        _of_models(logits["test"], rows),
        dataset.test_labels,
        extras,
        population_extras,
    )


def _of_models(values: NDArray[Number], rows: list[int]) -> NDArray[Number]:
    """Returns the rows of `values` (models, ...): the array itself, not a copy, if it is all."""
    return values if rows == list(range(len(values))) else values[rows]
