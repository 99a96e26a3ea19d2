"""Test accuracy and the trace of the Hessian against σ, for several networks.

σ is the strength of the weight noise, whose kinds are those of `noises`. The trace is that of the
Hessian of the training loss, which measures its curvature. An arm is the training of one network
with one kind of noise and one σ.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.weight_noise.noises import NOISE_LOOKS, NOISES, scheme
from mgaudit.papers.weight_noise.noisy_training import (
    HALVES,
    at_end,
    best_sigma,
    difference,
    gain_at_best_sigma,
    ratio_of_traces,
    sigmas_of,
)
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, Target, TrainedModel, initial_model, train
from mgaudit.targets.networks.cnn import CNN
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.hessian import hessian_trace
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training

SWEPT = ("wide", "deep", "CNN")
NETWORK_NAMES = ("narrow", *SWEPT)  # the narrow network is for comparison at the largest σ only


@dataclass(frozen=True)
class SweepSettings:
    """Networks trained on few images with the cross-entropy; σ is the scheme's.

    Widths are those of hidden layers. At most `tests` test examples are drawn; each half of them
    selects a σ at which the other half is evaluated.
    """

    dataset: str = "digits"
    examples: int = 256
    tests: int = 2000
    sigmas: tuple[float, ...] = (0.1, 0.2, 0.4)
    narrow: tuple[int, ...] = (64,)
    wide: tuple[int, ...] = (512,)
    deep: tuple[int, ...] = (64, 64, 64, 64)
    channels: tuple[int, ...] = (8, 16)
    cnn_hidden: int = 32
    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 0.05
    models: int = 5
    probes: int = 5
    seed: int = 0

    def target(self, network: str) -> Target:
        """Returns what builds the network of this name, one of NETWORK_NAMES."""
        if network == "CNN":
            return partial(CNN, channels=self.channels, hidden=self.cnn_hidden)
        return partial(
            MLP, hidden={"narrow": self.narrow, "wide": self.wide, "deep": self.deep}[network]
        )


@dataclass(frozen=True)
class _Task:
    """The training of all models of one network, with one kind of noise and σ."""

    settings: SweepSettings
    dataset: Dataset
    device: str
    network: str
    noise: str
    sigma: float


def measure(settings: SweepSettings, resources: Resources) -> Data:
    """Returns the table `models`: accuracies and the trace, a row for each model of each arm."""
    generator = numpy_generator(settings.seed, "examples")
    dataset = load(settings.dataset, settings.examples, generator).standardised()
    tasks = [
        _Task(settings, dataset, resources.device, network, noise, sigma)
        for network, noise, sigma in _arms(settings)
    ]
    results = parallel.run(_train, tasks, resources.jobs)
    rows = [row for task_rows in results for row in task_rows]
    return {"models": sorted(rows, key=_position)}


def _arms(settings: SweepSettings) -> list[tuple[str, str, float]]:
    """Returns the network, the kind of noise and σ of each arm.

    The narrow network is trained only without noise and at the largest σ.
    """
    noises = [("none", 0.0), *product(NOISES[1:], settings.sigmas)]
    strongest = max(settings.sigmas)
    arms = []
    for network, (noise, sigma) in product(NETWORK_NAMES, noises):
        if network in SWEPT or sigma in (0, strongest):
            arms.append((network, noise, sigma))
    return arms


def _position(row: Row) -> tuple[float, ...]:
    """Returns the key by which rows are sorted, whichever worker process ends first."""
    network = NETWORK_NAMES.index(str(row["network"]))
    noise = NOISES.index(str(row["noise"]))
    return network, noise, float(row["sigma"]), float(row["seed"])


def _train(task: _Task) -> list[Row]:
    """Trains one model for each seed on the same examples. Returns a row for each model."""
    settings, dataset = task.settings, task.dataset
    training = Training(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        momentum=0.9,
    )
    target = settings.target(task.network)
    examples = len(dataset.labels)
    recipe = Recipe(
        target,
        scheme(task.noise, task.sigma),
        training,
        None,
        settings.seed,
        examples,
        stack=settings.models,
    )
    membership = np.ones((settings.models, examples), dtype=bool)
    models = train(recipe, dataset, membership, range(settings.models), task.device)
    head: Row = {"network": task.network, "noise": task.noise, "sigma": task.sigma}
    return [
        {
            **head,
            "seed": float(seed),
            "step": float(model.steps),
            **_outcome(task, target, training, model, seed),
        }
        for seed, model in enumerate(models)
    ]


def _outcome(
    task: _Task, target: Target, training: Training, trained: TrainedModel, seed: int
) -> dict[str, float]:
    """Returns accuracies in [0, 1] and the trace of the Hessian; NaN if the model diverged."""
    if trained.diverged:
        names = ("accuracy", *HALVES, "training_accuracy", "trace", "trace_error")
        return dict.fromkeys(names, math.nan)
    settings, dataset = task.settings, task.dataset
    model = initial_model(target, dataset.input_shape, len(dataset.classes), seed=0)
    ensemble = Ensemble(model, [trained.weights])

    def correct(inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Returns whether the model predicts the label of each example, (examples,)."""
        logits = ensemble.logits(inputs, task.device, Queries(), settings.seed)[0, :, 0]
        return np.asarray(logits.argmax(axis=-1) == labels)

    order = numpy_generator(settings.seed, "tests").permutation(len(dataset.test_labels))
    drawn = order[: settings.tests]
    tests = correct(dataset.test_inputs[drawn], dataset.test_labels[drawn])
    training_examples = correct(dataset.inputs, dataset.labels)
    half = len(tests) // 2
    model.to("cpu")
    trace = hessian_trace(
        model,
        trained.weights,
        dataset.inputs,
        dataset.labels,
        training,
        settings.probes,
        numpy_generator(settings.seed, "probes", seed),
    )
    return {
        "accuracy": float(tests.mean()),
        "first_half": float(tests[:half].mean()),
        "second_half": float(tests[half:].mean()),
        "training_accuracy": float(training_examples.mean()),
        "trace": trace.value,
        "trace_error": trace.standard_error,
    }


def draw(data: Data) -> Figure:
    """Returns test accuracy (left) and the trace of the Hessian (right) against σ."""
    figure, axes = panels(2 * len(SWEPT), 2.0, columns=2, sharey=False)
    sigmas = sigmas_of(data["models"])
    for accuracy, trace, network in zip(axes[::2], axes[1::2], SWEPT, strict=True):
        for noise in NOISES:
            rows = matching(data["models"], network=network, noise=noise)
            _draw_means(accuracy, rows, noise, "accuracy", 100.0)
            _draw_means(trace, rows, noise, "trace", 1.0)
        accuracy.set_ylabel(f"{network}: test accuracy, %")
        trace.set_ylabel("trace of the Hessian")
        trace.set_yscale("log", nonpositive="clip")
    for axis in axes:
        axis.set_xscale("log")
        axis.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
        axis.set_xticks([], minor=True)
        axis.set_xlabel("σ")
    legend(figure, *axes)
    return figure


def _draw_means(axes: Axes, rows: list[Row], noise: str, name: str, factor: float) -> None:
    """Draws the mean over models and its interval against σ; a horizontal line for no noise."""
    colour, mark = NOISE_LOOKS[noise]
    sigmas = distinct(rows, "sigma")
    samples = [column(matching(rows, sigma=sigma), name) for sigma in sigmas]
    intervals = [mean_interval([factor * number for number in sample]) for sample in samples]
    means, reach = error_bars(intervals)
    if noise == "none":
        axes.axhline(means[0], color=colour, linewidth=1, linestyle="--", label="no noise")
        return
    axes.errorbar(sigmas, means, reach, color=colour, marker=mark, markersize=4, label=noise)


def _gaps(data: Data, network: str) -> list[float]:
    """Returns the accuracy with layer-wise minus all-layer noise at the largest σ, by seed."""
    sigma = sigmas_of(data["models"])[-1]
    rows = matching(data["models"], network=network)
    layerwise = at_end(rows, "accuracy", "layer-wise", sigma)
    all_layers = at_end(rows, "accuracy", "all layers", sigma)
    pairs = zip(layerwise, all_layers, strict=True)
    return [accuracy - other for accuracy, other in pairs]


def _flatter(network: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that layer-wise noise lowers the trace, at the σ of the best accuracy."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the trace with noise over the trace without, which must be at most 1."""
        rows = matching(data["models"], network=network)
        sigma = best_sigma(rows, "layer-wise", "accuracy")
        noisy = at_end(rows, "trace", "layer-wise", sigma)
        plain = at_end(rows, "trace", "none")
        quantity = f"trace with noise of σ = {sigma:g} over that without"
        return ratio_of_traces(quantity, noisy, plain, at_most=1.0)

    return check


def _better(network: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that layer-wise noise raises test accuracy at the best σ."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the accuracy with noise minus that without: at least 0."""
        rows = matching(data["models"], network=network)
        return gain_at_best_sigma(rows, "layer-wise", at_least=0.0)

    return check


def _hurts_more(network: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that all-layer noise costs a network more accuracy than a narrow one."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the gap (`_gaps`) of the network minus that of the narrow one: at least 0."""
        quantity = (
            "accuracy that noise on all layers loses against layer-wise noise, less that of the "
            "narrow network"
        )
        return difference(quantity, _gaps(data, network), _gaps(data, "narrow"), at_least=0.0)

    return check


def _claims(network: str) -> tuple[Claim, ...]:
    """Returns the claims on trace and accuracy for one network of SWEPT."""
    name = network if network == "CNN" else f"{network} MLP"
    trace = Claim(
        f"trace-{network.lower()}",
        (
            f"Layer-wise noise lowers the trace of the Hessian that a {name} ends with, at the σ "
            "of the best accuracy."
        ),
        "experiments",
        _flatter(network),
    )
    accuracy = Claim(
        f"accuracy-{network.lower()}",
        f"At the best σ a {name} does better on test examples with layer-wise noise than without.",
        "experiments",
        _better(network),
    )
    return trace, accuracy


FIGURE = PaperFigure(
    key="sigma-sweep",
    title="Test accuracy and the trace of the Hessian against the noise",
    about=(
        "The paper shows test accuracy and the trace of the Hessian against σ for a ResNet-18 "
        "(Fig. 6) and, for other networks, at one σ each (Fig. 7–12). This figure has three "
        "networks of ours at several σ, with minibatches and momentum on the cross-entropy, of "
        "sizes for CPUs. Every bias is a group of weights, as in the scheme. Intervals are over "
        "seeds of weights, batches and noise, on one set of training examples; the trace, of the "
        "loss without noise on them, is Hutchinson's estimate."
    ),
    quick=SweepSettings(),
    full=SweepSettings(
        dataset="cifar10",
        examples=1024,
        sigmas=(0.02, 0.05, 0.1),
        narrow=(32,),
        wide=(512,),
        deep=(128,) * 5,
        channels=(8, 16),
        cnn_hidden=64,
        epochs=60,
        batch_size=128,
        learning_rate=0.03,
        models=3,
        probes=5,
    ),
    measure=measure,
    draw=draw,
    description=(
        "Two columns of panels, a row for each of a wide MLP, a deep MLP and a CNN: test accuracy "
        "left, the trace of the Hessian right, against σ, for noise on all layers and layer-wise "
        "noise, with a dashed line for training without noise and bars of 95 % over seeds."
    ),
    claims=(
        *(claim for network in SWEPT for claim in _claims(network)),
        Claim(
            "wide-hurts",
            "At the largest σ noise on all layers costs a wide MLP more accuracy, against "
            "layer-wise noise, than a narrow.",
            "layer-wise noise",
            _hurts_more("wide"),
        ),
        Claim(
            "deep-hurts",
            "At the largest σ noise on all layers costs a deep MLP more accuracy, against "
            "layer-wise noise, than a narrow.",
            "layer-wise noise",
            _hurts_more("deep"),
        ),
    ),
)
