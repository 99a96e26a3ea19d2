"""An audit of DP-SGD itself: canaries go in by coins, and right guesses about the coins bound epsilon from below."""

import math
import time
from dataclasses import dataclass, fields
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
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import Bound, DPAuditResult
from mgaudit.settings.study_settings import AuditSettings, DPAuditSettings
from mgaudit.storage.run_folder import path_word
from mgaudit.study.attack import guesses_a_side, provable
from mgaudit.study.design import Design
from mgaudit.study.plan import Arm, plan_arm
from mgaudit.study.progress import Progress
from mgaudit.study.provenance import provenance, run_sha256
from mgaudit.study.query import ArmOutputs
from mgaudit.study.stacking import with_stack
from mgaudit.study.train import train_arm
from mgaudit.targets.datasets.canaries import plant_canaries
from mgaudit.targets.device import choose_device
from mgaudit.targets.fitting.privacy_plan import default_delta
from mgaudit.targets.membership import canary_coins
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

MECHANISM = "the training procedure"
THESE_MODELS = "these models (empirical ε), canaries taken as independent runs"


@dataclass(frozen=True)
class DPAuditPlan:
    """An audit that has been checked against its data and can be run; `canaries` are numbers of examples."""

    settings: DPAuditSettings
    design: Design
    canaries: NDArray[np.int64]
    arm: Arm

    @property
    def slug(self) -> str:
        """What is audited, in a word that may stand in a path."""
        settings = self.settings
        return path_word("audit", settings.dataset.name, settings.target.text, settings.scheme.text)

    @property
    def sha256(self) -> str:
        """The hash of all that determines the result."""
        return run_sha256(self.settings.as_dict(), [self.arm.settings], self.design)


def plan_dp_audit(settings: DPAuditSettings) -> DPAuditPlan:
    """Returns the plan. Raises UsageError or OSError for all that the user can mend."""
    device = choose_device(settings.device)
    raw = settings.dataset.load(settings.examples, numpy_generator(settings.seed, "examples"))
    planted, canaries = plant_canaries(raw, settings.canaries, settings.kind, settings.seed)
    examples = len(raw.labels)
    none = np.zeros((0, 0), dtype=np.uint16)
    design = Design(
        dataset=planted.standardised(),
        pictures=None,
        sha256=planted.digest(),
        membership=canary_coins(settings.models, examples, canaries, settings.seed),
        coins=f"{settings.canaries} canaries, all others in",
        expected_members=examples - settings.canaries / 2,
        example_resamples=none,
        test_resamples=none,
        device=device,
        seed=settings.seed,
    )
    settings = with_stack(settings, design)
    names = ("scheme", "dataset", "target", "models", "seed", "device", "stack", "training")
    one_arm = AuditSettings(**{name: getattr(settings, name) for name in names})
    return DPAuditPlan(settings, design, canaries, plan_arm(one_arm, design))


def run_dp_audit(plan: DPAuditPlan, jobs: int, progress: Progress) -> tuple[DPAuditResult, Arrays]:
    """Returns the bounds, and the scores of the canaries with their membership.

    A canary's score is the logit confidence of its label. The models toss coins of their own, so that all canaries of
    all models are canaries of one mechanism that runs all trainings; each model's guesses are made on its own scores.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    settings, design = plan.settings, plan.design
    trained = train_arm(plan.arm, design, jobs, progress)
    if trained.diverged:
        raise RuntimeError(
            f"{len(trained.diverged)} of {settings.models} models diverged, and an audit needs them all; "
            "try a lower --learning-rate"
        )
    progress.stage(f"{plan.arm.settings.label}: asking about {settings.canaries} canaries")
    logits = ArmOutputs(trained, design).logits(Queries())
    labels = design.dataset.labels[plan.canaries]
    scores = logit_confidence(logits["pool"][:, plan.canaries], labels)[:, :, 0]
    membership = design.membership[:, plan.canaries]
    accountant = plan.arm.recipe.plan
    delta = default_delta(design.expected_members) if accountant is None else accountant.delta
    k = guesses_a_side(settings.guesses, settings.canaries)
    made = [
        guess(*pair, k, k, numpy_generator(settings.seed, "guesses", model))
        for model, pair in enumerate(zip(scores, membership, strict=True))
    ]
    guesses = Guesses(*(sum(getattr(one, field.name) for one in made) for field in fields(Guesses)))
    correct = logits["test"][:, :, 0].argmax(axis=-1) == design.dataset.test_labels
    result = DPAuditResult(
        settings=settings.as_dict(),
        label=plan.arm.settings.label,
        epsilon_claimed=None
        if accountant is None or not math.isfinite(accountant.epsilon)
        else accountant.epsilon,
        delta=delta,
        significance=settings.significance,
        canaries=guesses.canaries,
        guesses=guesses.made,
        correct=guesses.correct,
        epsilon_provable=provable(guesses.made, guesses.canaries, delta, settings.significance),
        test_accuracy=float(correct.mean()),
        bounds=_bounds(guesses, scores.ravel(), membership.ravel(), delta, settings),
        provenance=provenance(design.device),
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
    )
    return result, {
        "scores": scores,
        "membership": membership,
        "canaries": plan.canaries,
        "labels": labels,
    }


def _bounds(
    guesses: Guesses,
    scores: NDArray[np.float64],
    members: NDArray[np.bool_],
    delta: float,
    settings: DPAuditSettings,
) -> list[Bound]:
    significance = settings.significance
    halves = numpy_generator(settings.seed, "halves")
    found = [
        ("one run, f-DP", one_run_fdp_epsilon(guesses, delta, significance), MECHANISM),
        ("one run, Steinke et al.", one_run_epsilon(guesses, delta, significance), MECHANISM),
        (
            "one run, f-DP Gaussian",
            gdp_epsilon(one_run_fdp_mu(guesses, significance), delta),
            f"{MECHANISM}, if its trade-off curve is Gaussian",
        ),
    ]
    for name, rule in (("Bonferroni", Bonferroni()), ("split", Split())):
        rates = clopper_pearson_epsilon(scores, members, delta, significance, rule, halves)
        mu = gdp_mu(scores, members, significance, rule, halves)
        found += [
            (f"Clopper-Pearson, {name}", rates, THESE_MODELS),
            (
                f"GDP, {name}",
                gdp_epsilon(mu, delta),
                f"{THESE_MODELS}, and if its trade-off curve is Gaussian",
            ),
        ]
    return [
        Bound(method=method, epsilon=epsilon, speaks_of=speaks_of)
        for method, epsilon, speaks_of in found
    ]
