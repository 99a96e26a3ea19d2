"""An audit of DP-SGD by many trainings with and without one example, from a worst-case start.

The weights are those of a network that was trained on other examples, and only its last layer is
trained further, on all examples in each step. The canary has the label that the network finds least
likely, so that its clipped gradient is as long as the clip norm. The number of runs then limits
what they can prove.
"""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.epsilon import Split, clopper_pearson_epsilon, gdp_epsilon, gdp_mu
from mgaudit.compute import parallel
from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import Bound, DPAuditResult
from mgaudit.settings.study_settings import DPAuditSettings
from mgaudit.study.design import Design
from mgaudit.study.held_out import rows_of
from mgaudit.study.plan import Arm
from mgaudit.study.progress import Progress
from mgaudit.study.provenance import provenance
from mgaudit.study.repeated_runs import SomeRuns, canary_scores
from mgaudit.study.trained_arm import claim_fields, privacy_claim
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, TrainedModel, initial_model, train
from mgaudit.targets.networks.pretrained_head import PretrainedHead
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Plain
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training

MOST_AUDITED = 500  # examples of a training, if the settings do not say how many
LEAST_OUTSIDE = 50  # examples on which the start is trained
RUNS_OF_A_TASK = 20
MECHANISM = "the training procedure"
GAUSSIAN = f"{MECHANISM}, if its trade-off curve is Gaussian"


@dataclass(frozen=True)
class StartAndData:
    """The examples of the trainings, and those on which the start is trained; standardised."""

    audited: Dataset
    outside: Dataset


def data_of_repeated(settings: DPAuditSettings) -> StartAndData:
    """Returns the data of the audit.

    Raises:
        UsageError: If too few examples are left to train the start on, or data cannot be read.
    """
    whole = settings.dataset.load(None, numpy_generator(settings.seed, "examples")).standardised()
    examples = len(whole.labels)
    audited = settings.examples or min(MOST_AUDITED, examples // 2)
    if examples - audited < LEAST_OUTSIDE:
        rule = f"must leave at least {LEAST_OUTSIDE} of {examples} to train the start on"
        raise UsageError("examples", rule, str(audited), "use fewer --examples")
    order = numpy_generator(settings.seed, "repeated").permutation(examples)
    return StartAndData(rows_of(whole, order[:audited]), rows_of(whole, order[audited:]))


def training_of_repeated(training: Training, examples: int) -> Training:
    """Returns the training by SGD on all examples in each step, without momentum or schedule.

    These are the adversary's choice: neither the rate nor the momentum changes epsilon.
    """
    return replace(
        training,
        optimizer="sgd",
        batch_size=examples,
        momentum=0.0,
        schedule="constant",
        augment="none",
    )


def run_repeated(
    settings: DPAuditSettings,
    arm: Arm,
    design: Design,
    outside: Dataset,
    jobs: int,
    progress: Progress,
) -> tuple[DPAuditResult, Arrays]:
    """Returns the bounds that the trainings prove; the arrays are `scores` and `membership`.

    Both arrays are (runs,): the score of a run is the logit confidence of the canary's label.

    Raises:
        RuntimeError: If a model diverged.
        UsageError: Without DP-SGD, and for a network without a linear layer.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    recipe, label, claim = arm.recipe, arm.settings.label, privacy_claim(arm)
    if claim is None:
        raise UsageError("scheme", "must be DP-SGD for repeated runs", settings.scheme.text)
    progress.stage(f"{label}: training the start on {len(outside.labels):,} other examples")
    start = _start(recipe, outside, design.device)
    canary = _canary(recipe, start, outside, design)
    dataset = _with_canary(design.dataset, canary)
    head = replace(recipe, target=PretrainedHead(recipe.target, start.weights))
    membership = np.ones((2 * settings.runs, len(dataset.labels)), dtype=bool)
    membership[1::2, -1] = False
    scores = _scores(head, dataset, membership, design.device, jobs, label, progress)
    members = membership[:, -1]
    delta, significance = claim.delta, settings.significance
    generators = [numpy_generator(settings.seed, "halves") for _ in range(3)]
    rates = (scores, members, delta, significance, Split())
    by_rates = clopper_pearson_epsilon(*rates, generators[0])
    mu = gdp_mu(scores, members, significance, Split(), generators[1])
    perfect = clopper_pearson_epsilon(members.astype(float), *rates[1:], generators[2])
    result = DPAuditResult(
        settings=settings.as_dict(),
        label=label,
        adversary="repeated",
        **claim_fields(claim),
        delta=delta,
        significance=significance,
        canaries=1,
        guesses=len(scores),
        correct=int(((scores > np.median(scores)) == members).sum()),
        epsilon_provable=perfect,
        accuracy=None,
        bounds=[
            Bound(method="repeated, Clopper-Pearson", epsilon=by_rates, speaks_of=MECHANISM),
            Bound(method="repeated, GDP", epsilon=gdp_epsilon(mu, delta), speaks_of=GAUSSIAN),
        ],
        provenance=provenance(design.device),
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        notes=design.notes,
    )
    return result, {"scores": scores, "membership": members}


def _start(recipe: Recipe, outside: Dataset, device: str) -> TrainedModel:
    """Returns the network that is trained without noise on examples outside the audit."""
    members = len(outside.labels)
    training = Training(batch_size=min(64, members))
    plain = Recipe(
        recipe.target, Scheme(), training, None, recipe.seed, members, traits=recipe.traits
    )
    (model,) = train(plain, outside, np.ones((1, members), dtype=bool), [0], device)
    if model.diverged:
        raise RuntimeError("the start diverged; choose another network")
    return model


def _canary(recipe: Recipe, start: TrainedModel, outside: Dataset, design: Design) -> Dataset:
    """Returns the example outside the audit with the largest loss for its least likely label."""
    network = initial_model(recipe.target, outside.input_shape, len(outside.classes), seed=0)
    ensemble = Ensemble(network, [start.weights], recipe.traits)
    logits = ensemble.logits(outside.inputs, design.device, Plain(), recipe.seed)[0, :, 0]
    log_likelihoods = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    row, label = np.unravel_index(int(log_likelihoods.argmin()), log_likelihoods.shape)
    canary = rows_of(outside, np.array([row]))
    return replace(canary, labels=np.array([label], dtype=np.int64))


def _with_canary(dataset: Dataset, canary: Dataset) -> Dataset:
    """Returns the dataset with the canary as its last example."""
    return replace(
        dataset,
        inputs=np.concatenate([dataset.inputs, canary.inputs]),
        labels=np.concatenate([dataset.labels, canary.labels]),
        origins=(*dataset.origins, *canary.origins),
        indices=np.concatenate([dataset.indices, canary.indices]),
    )


def _scores(
    recipe: Recipe,
    dataset: Dataset,
    membership: NDArray[np.bool_],
    device: str,
    jobs: int,
    label: str,
    progress: Progress,
) -> NDArray[np.float64]:
    """Returns the score of each training (runs,), whatever the number of processes."""
    runs = len(membership)
    progress.stage(f"{label}: training {runs:,} times, each second time without the canary")
    parts = np.array_split(np.arange(runs), max(runs // RUNS_OF_A_TASK, 1))
    tasks = [
        SomeRuns(recipe, dataset, membership[part], tuple(part.tolist()), device) for part in parts
    ]
    scores = np.zeros(runs)
    progress.training_started(label, runs, reused=0)
    for indices, own in parallel.run(canary_scores, tasks, jobs):
        scores[list(indices)] = own
        progress.model_trained(label, len(indices))
    progress.training_ended(label)
    return scores
