"""Training of networks with weight noise, and what is measured along it.

The rows have the noise, one of `noises.NOISES`, its strength σ, the seed of the model, the number
of steps, and the numbers of MEASURED. A diverged model has NaN in place of them.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Measured, NotRun, Row
from mgaudit.papers.kept import kept_rows
from mgaudit.papers.paper import Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import NOISES
from mgaudit.settings.datasets import load
from mgaudit.targets.contract import check_target
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.fitting.traits import Traits
from mgaudit.targets.fitting.trajectory import Weights, training_trajectory
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.hessian import hessian_trace
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.schemes import Scheme, WeightNoise
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training

HALVES = ("first_half", "second_half")  # accuracy on half of the test examples
DECAY = 5e-4  # weight decay in the authors' code
OPTIMISER = (
    "The momentum 0.9 and the weight decay 0.0005 are those of the authors' code (github.com/"
    "aorvieto/noise_injection_overparam); the text does not state them."
)
TRIALS = (
    "The widths, learning rates and numbers of steps of the small scales were chosen after trial "
    "runs, and so was the rule that claims are not evaluated unless the models without noise learn "
    "their examples. The quantities and allowed values were not changed."
)
SEEDS_APART = 1000  # between the seeds of models
MEASURED = ("accuracy", *HALVES, "training_loss", "test_loss", "trace", "trace_error")


@dataclass(frozen=True)
class Arm:
    """One network that is trained with one kind of noise and one σ.

    `experiment` names it in the rows, and `network` are its layers in words. From epoch
    `quiet_epoch` on there is no noise.
    """

    experiment: str
    network: str
    target: partial[Any]
    training: Training
    noise: str
    sigma: float
    quiet_epoch: int | None = None

    @property
    def scheme(self) -> Scheme:
        """The training scheme. Parameter groups are perturbed in turn, as in the paper."""
        if self.noise == "none":
            return Scheme()
        layerwise = self.noise == "layer-wise"
        return WeightNoise(self.sigma, layerwise=layerwise, stop_epoch=self.quiet_epoch)


@dataclass(frozen=True)
class Probing:
    """What is measured: `snapshots` times along training, on at most `tests` test examples.

    The trace of the Hessian is estimated with `probes` random vectors on `trace_examples` training
    examples, at each snapshot or, if `trace_at_end`, after the last step only. With 0 probes there
    is no trace.
    """

    snapshots: int = 4
    tests: int = 1000
    probes: int = 3
    trace_examples: int = 1024
    trace_at_end: bool = False


@dataclass(frozen=True)
class _Task:
    """The training of one model of an arm, with the test examples `tests`, by index.

    `traits` are those of the network, and `data_sha256` identifies the dataset.
    """

    arm: Arm
    traits: Traits
    probing: Probing
    dataset: Dataset
    data_sha256: str
    tests: NDArray[np.int64]
    device: str
    model: int
    seed: int

    @property
    def determined_by(self) -> dict[str, Any]:
        """What the rows depend on, as values that JSON can hold."""
        arm = self.arm
        return {
            "network": [arm.target.func.__name__, repr(arm.target.keywords)],
            "names": [arm.experiment, arm.network],
            "scheme": repr(arm.scheme),
            "noise": [arm.noise, arm.sigma],
            "training": asdict(arm.training),
            "traits": asdict(self.traits),
            "probing": asdict(self.probing),
            "data": [self.dataset.name, self.data_sha256],
            "model": self.model,
            "seed": self.seed,
        }


def arms_of_sigmas(
    experiment: str,
    network: str,
    target: partial[Any],
    training: Training,
    sigmas: Sequence[float],
    quiet_epoch: int | None = None,
) -> list[Arm]:
    """Returns the arms of one network: without noise, and with both kinds of noise at each σ."""
    pairs = [(NOISES[0], 0.0), *((noise, sigma) for noise in NOISES[1:] for sigma in sigmas)]
    return [
        Arm(experiment, network, target, training, noise, sigma, quiet_epoch)
        for noise, sigma in pairs
    ]


def measured_training(
    arms: Sequence[Arm],
    dataset_name: str,
    examples: int | None,
    models: int,
    probing: Probing,
    seed: int,
    resources: Resources,
) -> list[Row]:
    """Returns a row for each arm, model and snapshot, in this order.

    All models train on the same `examples` examples; None means all. Models with the same index
    have the same initial weights and batches in all arms.
    """
    generator = numpy_generator(seed, "examples")
    dataset = load(dataset_name, examples, generator).standardised()
    order = numpy_generator(seed, "tests").permutation(len(dataset.test_labels))
    tests, sha256, device = order[: probing.tests], dataset.digest(), resources.device
    shape, classes = dataset.input_shape, len(dataset.classes)
    networks = {arm.network: arm.target for arm in arms}
    traits = {name: check_target(name, target, shape, classes) for name, target in networks.items()}
    tasks = [
        _Task(arm, traits[arm.network], probing, dataset, sha256, tests, device, model, seed)
        for arm in arms
        for model in range(models)
    ]
    results = parallel.run(_measured, tasks, resources.jobs, on_gpu=device == "cuda")
    rows = [row for model_rows in results for row in model_rows]
    places = {(arm.experiment, arm.noise, arm.sigma): place for place, arm in enumerate(arms)}

    def position(row: Row) -> tuple[int, float, float]:
        """Returns the key by which rows are sorted, whichever worker process ends first."""
        place = places[str(row["experiment"]), str(row["noise"]), float(row["sigma"])]
        return place, float(row["seed"]), float(row["step"])

    return sorted(rows, key=position)


def _measured(task: _Task) -> list[Row]:
    """Returns the rows of one model, from an earlier run where there was one."""
    return kept_rows(task.determined_by, __file__, task.device, partial(_trained, task))


def _trained(task: _Task) -> list[Row]:
    """Trains one model. Returns a row for each snapshot."""
    arm, probing, dataset = task.arm, task.probing, task.dataset
    examples = len(dataset.labels)
    # A trajectory numbers its models from 0, so that the seed must tell the models apart.
    seed = task.seed + SEEDS_APART * task.model
    recipe = Recipe(arm.target, arm.scheme, arm.training, None, seed, examples, traits=task.traits)
    last = arm.training.epochs * arm.training.steps_per_epoch(examples)
    steps = np.unique(np.linspace(0, last, probing.snapshots + 1).astype(int))[1:].tolist()
    membership = np.ones((1, examples), dtype=bool)
    trajectory = training_trajectory(recipe, dataset, membership, steps, task.device)
    head: Row = {
        "experiment": arm.experiment,
        "network": arm.network,
        "dataset": _dataset_words(dataset.name),
        "classes": float(len(dataset.classes)),
        "noise": arm.noise,
        "sigma": arm.sigma,
        "seed": float(task.model),
    }
    rows: list[Row] = []
    for step, weights in zip(trajectory.steps, trajectory.weights[0], strict=True):
        with_trace = probing.probes > 0 and (step == last or not probing.trace_at_end)
        rows.append({**head, "step": float(step), **_outcome(task, weights, with_trace)})
    return rows


def _dataset_words(name: str) -> str:
    """Returns the name of a dataset, for a folder without the folders that contain it.

    >>> _dataset_words("cifar10"), _dataset_words("folder:/data/images")
    ('cifar10', 'folder images')
    """
    kind, _, path = name.partition(":")
    return f"{kind} {Path(path).name}" if path else kind


def _outcome(task: _Task, weights: Weights, with_trace: bool) -> dict[str, float]:
    """Returns the numbers of MEASURED, with NaN for a trace that is not asked for."""
    outcome = dict.fromkeys(MEASURED, math.nan)
    if not all(np.isfinite(values).all() for values in weights.values()):
        return outcome
    dataset, probing = task.dataset, task.probing
    model = initial_model(task.arm.target, dataset.input_shape, len(dataset.classes), seed=0)
    ensemble = Ensemble(model, [weights])
    test_labels = dataset.test_labels[task.tests]
    logits = [
        ensemble.logits(inputs, task.device, Queries(), task.seed)[0, :, 0].astype(np.float64)
        for inputs in (dataset.test_inputs[task.tests], dataset.inputs)
    ]
    correct = logits[0].argmax(axis=-1) == test_labels
    half = len(correct) // 2
    outcome["accuracy"] = float(correct.mean())
    outcome["first_half"] = float(correct[:half].mean())
    outcome["second_half"] = float(correct[half:].mean())
    outcome["test_loss"] = _cross_entropy(logits[0], test_labels)
    outcome["training_loss"] = _cross_entropy(logits[1], dataset.labels)
    if with_trace:
        trace = hessian_trace(
            model,
            weights,
            dataset.inputs[: probing.trace_examples],
            dataset.labels[: probing.trace_examples],
            task.arm.training,
            probing.probes,
            numpy_generator(task.seed, "probes", task.model),
            device=task.device,
        )
        outcome["trace"], outcome["trace_error"] = trace.value, trace.standard_error
    return outcome


def _cross_entropy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Returns the mean cross-entropy of `logits` (examples, classes)."""
    totals = np.logaddexp.reduce(logits, axis=1)
    return float((totals - logits[np.arange(len(labels)), labels]).mean())


def at_end(rows: Sequence[Row], name: str, noise: str, sigma: float | None = None) -> list[float]:
    """Returns the column `name` after the last step, by seed.

    `rows` are those of one network. Without `sigma`, there must be one σ for this noise.
    """
    own = matching(rows, noise=noise) if sigma is None else matching(rows, noise=noise, sigma=sigma)
    last = max(column(own, "step"))
    return column(matching(own, step=last), name)


def named(rows: Sequence[Row], outcome: Measured | NotRun) -> Measured | NotRun:
    """Returns the outcome with the `network` and the `dataset` of these rows in its quantity."""
    if isinstance(outcome, NotRun):
        return outcome
    return replace(outcome, quantity=f"{outcome.quantity} ({size_words(rows)})")


def size_words(rows: Sequence[Row]) -> str:
    """Returns the network and the data of these rows in words."""
    return f"{rows[0]['network']}, {rows[0]['dataset']}"


def untrained(rows: Sequence[Row]) -> NotRun | None:
    """Returns the reason why noise cannot be judged, where a model without noise did not learn.

    A model has learned if its training loss is below half of ln(classes), that of equal logits.
    """
    losses = at_end(rows, "training_loss", "none")
    bound = math.log(float(rows[0]["classes"])) / 2
    unlearned = sum(not loss < bound for loss in losses)
    if not unlearned:
        return None
    return NotRun(f"{unlearned} of {len(losses)} models without noise did not learn their examples")


def sigmas_of(rows: Sequence[Row]) -> list[float]:
    """Returns the values of σ > 0, ascending."""
    return distinct([row for row in rows if row["noise"] != "none"], "sigma")


def difference(
    quantity: str,
    values: Sequence[float],
    others: Sequence[float],
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measured | NotRun:
    """Returns the mean of the differences by seed, and the range that a claim allows."""
    pairs = zip(values, others, strict=True)
    differences = [value - other for value, other in pairs]
    return mean_over_seeds(quantity, differences, at_least, at_most)


def ratio_of_traces(
    quantity: str,
    values: Sequence[float],
    others: Sequence[float],
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measured | NotRun:
    """Returns the geometric mean of the ratios by seed, and the range that a claim allows.

    NotRun unless all traces are > 0 and finite.
    """
    traces = [*values, *others]
    unusable = sum(not 0 < trace < math.inf for trace in traces)
    if unusable:
        return NotRun(f"{unusable} of {len(traces)} models diverged or have no curvature")
    pairs = zip(values, others, strict=True)
    logarithms = [math.log(value / other) for value, other in pairs]
    mean, low, high = map(math.exp, mean_interval(logarithms))
    return Measured(f"{quantity}, geometric mean", mean, at_least, at_most, low, high)


def best_sigma(rows: Sequence[Row], noise: str, name: str) -> float:
    """Returns the σ with the highest mean of the column `name` (an accuracy) after the last step.

    A σ at which a model diverged is left out. If a model diverged at every σ, the result is the
    smallest σ.
    """
    sigmas = sigmas_of(rows)
    means = {sigma: float(np.mean(at_end(rows, name, noise, sigma))) for sigma in sigmas}
    finite = {sigma: mean for sigma, mean in means.items() if math.isfinite(mean)}
    return max(finite, key=lambda sigma: finite[sigma]) if finite else sigmas[0]


def gain_at_best_sigma(
    rows: Sequence[Row], noise: str, at_least: float = -math.inf, at_most: float = math.inf
) -> Measured | NotRun:
    """Returns the test accuracy with noise of the best σ, minus that without noise.

    Each half of the test examples selects a σ for the other half, so that the selection does not
    make the accuracy look higher. The result is the mean over both halves.
    """
    sigmas = [best_sigma(rows, noise, half) for half in HALVES]
    gains = []
    for sigma, other_half in zip(sigmas, reversed(HALVES), strict=True):
        noisy = np.array(at_end(rows, other_half, noise, sigma))
        gains.append(noisy - at_end(rows, other_half, "none"))
    words = " and ".join(f"{sigma:g}" for sigma in sorted(set(sigmas)))
    quantity = f"accuracy with noise, {noise}, of σ = {words} less that without"
    return mean_over_seeds(quantity, np.mean(gains, axis=0).tolist(), at_least, at_most)
