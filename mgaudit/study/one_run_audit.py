"""The audit of DP-SGD by an adversary who sees the trained models of one run, or a few.

Canaries are examples whose membership in the training set is decided by fair coins. Correct guesses
about the coins prove a lower bound on epsilon.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

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
from mgaudit.settings.study_settings import DPAuditSettings
from mgaudit.study.design import Design
from mgaudit.study.epsilon_bound import guesses_a_side, provable_in_one_run
from mgaudit.study.plan import Arm
from mgaudit.study.progress import Progress
from mgaudit.study.provenance import provenance
from mgaudit.study.query import ArmOutputs
from mgaudit.study.train import train_arm
from mgaudit.study.trained_arm import bound_delta, claim_fields, privacy_claim
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

# What a bound is valid for, as the report says it.
MECHANISM = "the training procedure"
THESE_MODELS = "these models (empirical ε), canaries taken as independent runs"


@dataclass(frozen=True)
class Guessing:
    """How coins are guessed, and the probability that a bound from the guesses is wrong.

    `share` is the fraction of the canaries that are guessed to be members, and the same fraction is
    guessed not to be. `seed` decides between equal scores.
    """

    share: float
    significance: float
    seed: int


def run_one_run(
    settings: DPAuditSettings,
    arm: Arm,
    design: Design,
    chosen: NDArray[np.int64],
    jobs: int,
    progress: Progress,
) -> tuple[DPAuditResult, Arrays]:
    """Returns the result of the adversary who sees the trained models.

    `chosen` (canaries,) are the indices of the canaries among the examples.

    The arrays are `scores` and `membership` (models, canaries), and `canaries` and `labels`
    (canaries,), the indices and labels of the canaries. A canary's score is the logit confidence of
    its label. Each model has coins of its own, so the canaries of all models are canaries of one
    mechanism that runs all trainings. The guesses about a model use the scores of this model only.

    Raises:
        RuntimeError: If a model diverged.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    label = arm.settings.label
    trained = train_arm(arm, design, jobs, progress)
    if trained.diverged:
        raise RuntimeError(
            f"{len(trained.diverged)} of {settings.models} models diverged, and an audit needs all "
            "of them; try a lower --learning-rate"
        )
    progress.stage(f"{label}: querying the models for {settings.canaries} canaries")
    logits = ArmOutputs(trained, design).logits(Queries())
    labels = design.dataset.labels[chosen]
    scores = logit_confidence(logits["pool"][:, chosen], labels)[:, :, 0]
    membership = design.membership[:, chosen]
    delta = bound_delta(trained, design)
    guessing = Guessing(settings.guesses, settings.significance, settings.seed)
    correct = logits["test"][:, :, 0].argmax(axis=-1) == design.dataset.test_labels
    claim = privacy_claim(arm)
    result = DPAuditResult(
        settings=settings.as_dict(),
        label=label,
        **claim_fields(claim),
        **proof_fields(scores, membership, delta, guessing),
        accuracy=float(correct.mean()),
        provenance=provenance(design.device),
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        notes=design.notes,
    )
    arrays = {"scores": scores, "membership": membership}
    return result, {**arrays, "canaries": chosen, "labels": labels}


def proof_fields(
    scores: NDArray[np.float64], membership: NDArray[np.bool_], delta: float, guessing: Guessing
) -> dict[str, Any]:
    """Returns the fields of `DPAuditResult` about the guesses and the bounds that they prove.

    Args:
        scores: Scores (models, canaries), float64; higher means member.
        membership: Membership (models, canaries), bool, drawn by independent fair coins.
        delta: The delta of the bounds, in [0, 1).
        guessing: How coins are guessed.
    """
    guesses = _guesses(scores, membership, guessing)
    significance = guessing.significance
    return {
        "delta": delta,
        "significance": significance,
        "canaries": guesses.canaries,
        "guesses": guesses.made,
        "correct": guesses.correct,
        "epsilon_provable": provable_in_one_run(
            guesses.made, guesses.canaries, delta, significance
        ),
        "bounds": _bounds(guesses, scores.ravel(), membership.ravel(), delta, guessing),
    }


def _guesses(
    scores: NDArray[np.float64], membership: NDArray[np.bool_], guessing: Guessing
) -> Guesses:
    """Returns the numbers of canaries, guesses and correct guesses, added up over all models.

    `scores` and `membership` are (models, canaries); higher scores mean member.
    """
    count = guesses_a_side(guessing.share, scores.shape[1])
    correct = made = canaries = 0
    for model, pair in enumerate(zip(scores, membership, strict=True)):
        generator = numpy_generator(guessing.seed, "guesses", model)
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
    guessing: Guessing,
) -> list[Bound]:
    """Returns the lower bound on epsilon (nats) of each method, at level 1 - significance.

    `guesses` are those about all models. `scores` and `members` are (models * canaries,).
    """
    significance = guessing.significance
    halves = numpy_generator(guessing.seed, "halves")
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
