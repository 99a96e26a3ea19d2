"""An audit of DP-SGD itself.

Canaries are examples whose membership in the training set is decided by fair coins. Correct guesses
about the coins prove a lower bound on epsilon. This is done in one training run, or a few.
"""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.epsilon import Bonferroni, Split, clopper_pearson_epsilon, gdp_epsilon, gdp_mu
from mgaudit.attacks.one_run import (
    Guesses,
    guess,
    one_run_epsilon,
    one_run_fdp_epsilon,
    one_run_fdp_mu,
)
from mgaudit.attacks.signals import logit_confidence
from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import Bound, DPAuditResult
from mgaudit.settings.study_settings import AuditSettings, DPAuditSettings
from mgaudit.storage.run_folder import path_word
from mgaudit.study.design import Design
from mgaudit.study.epsilon_bound import guesses_a_side, provable_in_one_run
from mgaudit.study.plan import Arm, plan_arm
from mgaudit.study.progress import Progress
from mgaudit.study.provenance import provenance, run_sha256
from mgaudit.study.query import ArmOutputs
from mgaudit.study.repeated import data_of_repeated, run_repeated, training_of_repeated
from mgaudit.study.stacking import with_stack
from mgaudit.study.train import train_arm
from mgaudit.study.trained_arm import bound_delta, privacy_claim
from mgaudit.study.white_box_run import check_white_box, run_white_box
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.datasets.canaries import plant_canaries
from mgaudit.targets.datasets.duplicates import copy_groups
from mgaudit.targets.device import choose_device
from mgaudit.targets.fitting.accountants import Mechanism
from mgaudit.targets.fitting.last_iterate import last_iterate_epsilon
from mgaudit.targets.membership import canary_coins
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

# What a bound is valid for, as the report says it.
MECHANISM = "the training procedure"
THESE_MODELS = "these models (empirical ε), canaries taken as independent runs"


@dataclass(frozen=True)
class DPAuditPlan:
    """An audit that was checked against its data and can be run.

    `canaries` (canaries,) are indices of examples, none for other adversaries than that of one
    run. `arm` is the scheme that is audited, with its models. `outside` are the examples on which
    the start of repeated runs is trained.
    """

    settings: DPAuditSettings
    design: Design
    canaries: NDArray[np.int64]
    arm: Arm
    outside: Dataset | None = None

    @property
    def slug(self) -> str:
        """The audited dataset, network and scheme as one word for a path."""
        settings = self.settings
        return path_word("audit", settings.dataset.name, settings.target.text, settings.scheme.text)

    @property
    def sha256(self) -> str:
        """The SHA-256 of everything that determines the result."""
        return run_sha256(self.settings.as_dict(), [self.arm.settings], self.design)


def plan_dp_audit(settings: DPAuditSettings, progress: Progress | None = None) -> DPAuditPlan:
    """Returns the plan: the canaries are planted, and their membership is drawn.

    Raises:
        UsageError: For settings that do not fit the data or one another.
        OSError: For data that cannot be read.
    """
    if settings.adversary == "repeated":
        return _plan_repeated(settings, progress)
    device = choose_device(settings.device)
    raw = settings.dataset.load(settings.examples, numpy_generator(settings.seed, "examples"))
    examples = len(raw.labels)
    if settings.adversary == "white-box":
        check_white_box(settings)
        planted, canaries = raw, np.zeros(0, dtype=np.int64)
        expected, coins = float(examples), "all examples in"
    else:
        planted, canaries = plant_canaries(raw, settings.canaries, settings.kind, settings.seed)
        expected = examples - settings.canaries / 2
        coins = f"{settings.canaries} canaries, all others in"
    no_resamples = np.zeros((0, 0), dtype=np.uint16)
    design = Design(
        dataset=planted.standardised(),
        pictures=None,
        sha256=planted.digest(),
        membership=canary_coins(settings.models, examples, canaries, settings.seed),
        coins=coins,
        expected_members=expected,
        example_resamples=no_resamples,
        test_resamples=no_resamples,
        device=device,
        seed=settings.seed,
        notes=(*raw.notes, *copy_groups(raw).notes("apart")),
    )
    settings = with_stack(settings, design)
    names = ("scheme", "dataset", "target", "models", "seed", "device", "stack", "training")
    shared = {name: getattr(settings, name) for name in names}
    arm = plan_arm(AuditSettings(**shared), design, progress)
    if settings.last_iterate and arm.recipe.plan is None:
        rule = f"needs a scheme with dp-sgd in it, got scheme {settings.scheme.text}"
        raise UsageError("last_iterate", rule, None, "leave it out, or audit dp-sgd")
    return DPAuditPlan(settings, design, canaries, arm)


def _plan_repeated(settings: DPAuditSettings, progress: Progress | None) -> DPAuditPlan:
    """Returns the plan of an audit by repeated runs."""
    data = data_of_repeated(settings)
    examples = len(data.audited.labels)
    no_resamples = np.zeros((0, 0), dtype=np.uint16)
    design = Design(
        dataset=data.audited,
        pictures=None,
        sha256=data.audited.digest(),
        membership=np.ones((1, examples), dtype=bool),
        coins="all examples in, the canary in each second training",
        expected_members=float(examples),
        example_resamples=no_resamples,
        test_resamples=no_resamples,
        device=choose_device(settings.device),
        seed=settings.seed,
        notes=data.audited.notes,
    )
    shared = {name: getattr(settings, name) for name in ("scheme", "dataset", "target", "device")}
    training = training_of_repeated(settings.training, examples)
    alike = AuditSettings(**shared, training=training, models=1, seed=settings.seed, stack=1)
    arm = plan_arm(alike, design, progress)
    return DPAuditPlan(settings, design, np.zeros(0, dtype=np.int64), arm, data.outside)


def run_dp_audit(plan: DPAuditPlan, jobs: int, progress: Progress) -> tuple[DPAuditResult, Arrays]:
    """Returns the result with the bounds on epsilon, and arrays.

    Raises:
        RuntimeError: If a model diverged.
        UsageError: If a white-box audit has too few steps.
    """
    if plan.settings.adversary == "white-box":
        return run_white_box(plan.settings, plan.arm, plan.design, progress)
    if plan.outside is not None:
        return run_repeated(plan.settings, plan.arm, plan.design, plan.outside, jobs, progress)
    return _run_one_run(plan, jobs, progress)


def _run_one_run(plan: DPAuditPlan, jobs: int, progress: Progress) -> tuple[DPAuditResult, Arrays]:
    """Returns the result of the adversary who sees the trained models.

    The arrays are `scores` and `membership` (models, canaries), and `canaries` and `labels`
    (canaries,), the indices and labels of the canaries. A canary's score is the logit confidence of
    its label. Each model has coins of its own, so the canaries of all models are canaries of one
    mechanism that runs all trainings. The guesses about a model use the scores of this model only.

    Raises RuntimeError if a model diverged.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    settings, design = plan.settings, plan.design
    label = plan.arm.settings.label
    trained = train_arm(plan.arm, design, jobs, progress)
    if trained.diverged:
        raise RuntimeError(
            f"{len(trained.diverged)} of {settings.models} models diverged, and an audit needs all "
            "of them; try a lower --learning-rate"
        )
    progress.stage(f"{label}: querying the models for {settings.canaries} canaries")
    logits = ArmOutputs(trained, design).logits(Queries())
    labels = design.dataset.labels[plan.canaries]
    scores = logit_confidence(logits["pool"][:, plan.canaries], labels)[:, :, 0]
    membership = design.membership[:, plan.canaries]
    delta = bound_delta(trained, design)
    guesses = _guesses(scores, membership, settings)
    predictions = logits["test"][:, :, 0].argmax(axis=-1)
    accuracy = float((predictions == design.dataset.test_labels).mean())
    claim = privacy_claim(plan.arm)
    bounds = _bounds(guesses, scores.ravel(), membership.ravel(), delta, settings)
    result = DPAuditResult(
        settings=settings.as_dict(),
        label=label,
        epsilon_claimed=None if claim is None else claim.epsilon,
        epsilon_prv=None if claim is None else claim.epsilon_prv,
        epsilon_pld=None if claim is None else claim.epsilon_pld,
        accountant="" if claim is None else claim.accountant,
        epsilon_last_iterate=_last_iterate(plan) if settings.last_iterate else None,
        delta=delta,
        significance=settings.significance,
        canaries=guesses.canaries,
        guesses=guesses.made,
        correct=guesses.correct,
        epsilon_provable=provable_in_one_run(
            guesses.made, guesses.canaries, delta, settings.significance
        ),
        accuracy=accuracy,
        bounds=bounds,
        provenance=provenance(design.device),
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        notes=design.notes,
    )
    arrays = {
        "scores": scores,
        "membership": membership,
        "canaries": plan.canaries,
        "labels": labels,
    }
    return result, arrays


def _last_iterate(plan: DPAuditPlan) -> float | None:
    """Returns the heuristic epsilon (nats) of the last weights; None where it is infinite."""
    privacy = plan.arm.recipe.plan
    assert privacy is not None  # otherwise `plan_dp_audit` refuses the setting
    mechanism = Mechanism(privacy.noise_multiplier, privacy.sample_rate, privacy.steps)
    epsilon = last_iterate_epsilon(mechanism, privacy.delta)
    return epsilon if math.isfinite(epsilon) else None


def _guesses(
    scores: NDArray[np.float64], membership: NDArray[np.bool_], settings: DPAuditSettings
) -> Guesses:
    """Returns the numbers of canaries, guesses and correct guesses, added up over all models.

    `scores` and `membership` are (models, canaries); higher scores mean member.
    """
    count = guesses_a_side(settings.guesses, settings.canaries)
    correct = made = canaries = 0
    for model, pair in enumerate(zip(scores, membership, strict=True)):
        generator = numpy_generator(settings.seed, "guesses", model)
        guesses = guess(*pair, count, count, generator)
        correct += guesses.correct
        made += guesses.made
        canaries += guesses.canaries
    return Guesses(correct, made, canaries)


def _bounds(
    guesses: Guesses,
    scores: NDArray[np.float64],
    members: NDArray[np.bool_],
    delta: float,
    settings: DPAuditSettings,
) -> list[Bound]:
    """Returns the lower bound on epsilon (nats) of each method, at level 1 - significance.

    `guesses` are those about all models. `scores` and `members` are (models * canaries,).
    """
    significance = settings.significance
    halves = numpy_generator(settings.seed, "halves")
    by_f_dp = one_run_fdp_epsilon(guesses, delta, significance)
    steinke = one_run_epsilon(guesses, delta, significance)
    gaussian = gdp_epsilon(one_run_fdp_mu(guesses, significance), delta)
    assumption = f"{MECHANISM}, if its trade-off curve is Gaussian"
    bounds = [
        Bound(method="one run, f-DP", epsilon=by_f_dp, speaks_of=MECHANISM),
        Bound(method="one run, Steinke et al.", epsilon=steinke, speaks_of=MECHANISM),
        Bound(method="one run, f-DP Gaussian", epsilon=gaussian, speaks_of=assumption),
    ]
    assumption = f"{THESE_MODELS}, and if its trade-off curve is Gaussian"
    for name, rule in (("Bonferroni", Bonferroni()), ("split", Split())):
        # The generator is shared: the two calls split the canaries into different halves.
        by_rates = clopper_pearson_epsilon(scores, members, delta, significance, rule, halves)
        mu = gdp_mu(scores, members, significance, rule, halves)
        gaussian = gdp_epsilon(mu, delta)
        bounds += [
            Bound(method=f"Clopper-Pearson, {name}", epsilon=by_rates, speaks_of=THESE_MODELS),
            Bound(method=f"GDP, {name}", epsilon=gaussian, speaks_of=assumption),
        ]
    return bounds
