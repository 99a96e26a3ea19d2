"""Test accuracy and the trace of the Hessian against the strength of the noise, for networks of several shapes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import NOISE_LOOKS, NOISES, scheme
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
NETWORK_NAMES = ("narrow", *SWEPT)  # the narrow one is there to compare with, at the largest σ
HALVES = ("first_half", "second_half")  # accuracy on half of the test examples


@dataclass(frozen=True)
class SweepSettings:
    """Networks trained on few images, by the cross-entropy; σ is the scheme's. Widths are those of hidden layers.

    `tests` bounds the test examples that are drawn. Each half of them chooses a σ at which the other half measures.
    """

    dataset: str = "digits"
    examples: int = 256
    tests: int = 2000
    sigmas: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    narrow: tuple[int, ...] = (64,)
    wide: tuple[int, ...] = (512,)
    deep: tuple[int, ...] = (64, 64, 64, 64)
    channels: tuple[int, ...] = (8, 16)
    cnn_hidden: int = 32
    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 0.05
    models: int = 5
    probes: int = 10
    seed: int = 0

    def target(self, network: str) -> Target:
        """Returns what builds a network of that name."""
        if network == "CNN":
            return partial(CNN, channels=self.channels, hidden=self.cnn_hidden)
        return partial(MLP, hidden={"narrow": self.narrow, "wide": self.wide, "deep": self.deep}[network])


@dataclass(frozen=True)
class _Task:
    settings: SweepSettings
    dataset: Dataset
    device: str
    network: str
    noise: str
    sigma: float


def measure(settings: SweepSettings, workshop: Workshop) -> Data:
    """Returns accuracies and the trace of each model: networks, kinds of noise, σ, seeds."""
    dataset = load(settings.dataset, settings.examples, numpy_generator(settings.seed, "examples")).standardised()
    arms = [("none", 0.0), *((noise, sigma) for noise in NOISES[1:] for sigma in settings.sigmas)]
    tasks = [
        _Task(settings, dataset, workshop.device, network, noise, sigma)
        for network in NETWORK_NAMES
        for noise, sigma in arms
        if network in SWEPT or sigma in (0, max(settings.sigmas))
    ]
    rows = [row for some in parallel.run(_trained, tasks, workshop.jobs) for row in some]

    def place(row: Row) -> tuple[float, ...]:
        return (
            float(NETWORK_NAMES.index(str(row["network"]))),
            float(NOISES.index(str(row["noise"]))),
            float(row["sigma"]),
            float(row["seed"]),
        )

    return {"models": sorted(rows, key=place)}


def _trained(task: _Task) -> list[Row]:
    settings, dataset = task.settings, task.dataset
    training = Training(
        epochs=settings.epochs, batch_size=settings.batch_size, learning_rate=settings.learning_rate, momentum=0.9
    )
    target, examples = settings.target(task.network), len(dataset.labels)
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
    return [
        {
            "network": task.network,
            "noise": task.noise,
            "sigma": task.sigma,
            "seed": float(seed),
            **_outcome(task, target, training, model, seed),
        }
        for seed, model in enumerate(models)
    ]


def _outcome(task: _Task, target: Target, training: Training, trained: TrainedModel, seed: int) -> dict[str, float]:
    """Returns the accuracies on both halves of the test examples and in training, and the trace; NaN if diverged."""
    names = ("accuracy", *HALVES, "training_accuracy", "trace", "trace_error")
    if trained.diverged:
        return dict.fromkeys(names, math.nan)
    settings, dataset = task.settings, task.dataset
    model = initial_model(target, dataset.input_shape, len(dataset.classes), seed=0)
    ensemble = Ensemble(model, [trained.weights])

    def right(inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        logits = ensemble.logits(inputs, task.device, Queries(), settings.seed)[0, :, 0]
        found: NDArray[np.bool_] = logits.argmax(axis=-1) == labels
        return found

    drawn = numpy_generator(settings.seed, "tests").permutation(len(dataset.test_labels))[: settings.tests]
    tests = right(dataset.test_inputs[drawn], dataset.test_labels[drawn])
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
    values = (
        float(tests.mean()),
        float(tests[: len(tests) // 2].mean()),
        float(tests[len(tests) // 2 :].mean()),
        float(right(dataset.inputs, dataset.labels).mean()),
        trace.value,
        trace.standard_error,
    )
    return dict(zip(names, values, strict=True))


def draw(data: Data) -> Figure:
    """Returns on the left the test accuracy, on the right the trace of the Hessian, against σ, a row a network."""
    figure, axes = panels(2 * len(SWEPT), 2.0, columns=2, sharey=False)
    for row, network in enumerate(SWEPT):
        accuracy, trace = axes[2 * row : 2 * row + 2]
        for noise in NOISES:
            _line(accuracy, data, network, noise, "accuracy", 100.0)
            _line(trace, data, network, noise, "trace", 1.0)
        accuracy.set_ylabel(f"{network}: test accuracy, %")
        trace.set_ylabel("trace of the Hessian")
        trace.set_yscale("log", nonpositive="clip")
        for one in (accuracy, trace):
            one.set_xscale("log")
            one.set_xticks(_sigmas(data), [f"{sigma:g}" for sigma in _sigmas(data)])
            one.set_xticks([], minor=True)
            one.set_xlabel("σ")
    legend(figure, *axes)
    return figure


def _line(axes: Axes, data: Data, network: str, noise: str, name: str, factor: float) -> None:
    """Draws the mean over models and its interval, against σ; a line across for no noise."""
    colour, mark = NOISE_LOOKS[noise]
    own = [row for row in data["models"] if (row["network"], row["noise"]) == (network, noise)]
    sigmas = sorted({float(row["sigma"]) for row in own})
    found = [mean_interval([factor * float(row[name]) for row in own if row["sigma"] == sigma]) for sigma in sigmas]
    if noise == "none":
        axes.axhline(found[0][0], color=colour, linewidth=1, linestyle="--", label="no noise")
        return
    means = [mean for mean, _, _ in found]
    reach = [[mean - low for mean, low, _ in found], [high - mean for mean, _, high in found]]
    axes.errorbar(sigmas, means, reach, color=colour, marker=mark, markersize=4, label=noise)


def _of(data: Data, network: str, noise: str, sigma: float, name: str) -> list[float]:
    """Returns that number of each model, by seed."""
    return [
        float(row[name])
        for row in data["models"]
        if (row["network"], row["noise"], row["sigma"]) == (network, noise, sigma)
    ]


def _sigmas(data: Data) -> list[float]:
    return sorted({float(row["sigma"]) for row in data["models"] if row["noise"] != "none"})


def _best(data: Data, network: str, noise: str, accuracy: str) -> float:
    """Returns the σ with the highest mean of that accuracy, among those with which no model diverged."""
    means = {sigma: float(np.mean(_of(data, network, noise, sigma, accuracy))) for sigma in _sigmas(data)}
    finite = {sigma: mean for sigma, mean in means.items() if math.isfinite(mean)}
    return max(finite, key=lambda sigma: finite[sigma]) if finite else _sigmas(data)[0]


def _gaps(data: Data, network: str) -> list[float]:
    """Returns for each seed by how much layer-wise noise beats noise on all layers at the largest σ, as accuracy."""
    sigma = _sigmas(data)[-1]
    pairs = zip(*(_of(data, network, noise, sigma, "accuracy") for noise in ("layer-wise", "all layers")), strict=True)
    return [one - other for one, other in pairs]


def _flatter(network: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        sigma = _best(data, network, "layer-wise", "accuracy")
        noisy, plain = _of(data, network, "layer-wise", sigma, "trace"), _of(data, network, "none", 0.0, "trace")
        lost = sum(not (0 < value < math.inf) for value in (*noisy, *plain))
        if lost:
            return NotRun(f"{lost} of {len(noisy) + len(plain)} models diverged or have no curvature")
        mean, low, high = mean_interval([math.log(one / other) for one, other in zip(noisy, plain, strict=True)])
        return Measured(
            f"trace with noise of σ = {sigma:g} over that without, geometric mean",
            math.exp(mean),
            at_most=1.0,
            low=math.exp(low),
            high=math.exp(high),
        )

    return check


def _better(network: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        chosen = [_best(data, network, "layer-wise", half) for half in HALVES]
        gains = [
            np.array(_of(data, network, "layer-wise", sigma, other)) - _of(data, network, "none", 0.0, other)
            for sigma, other in zip(chosen, reversed(HALVES), strict=True)
        ]
        sigmas = " and ".join(f"{sigma:g}" for sigma in sorted(set(chosen)))
        return mean_over_seeds(
            f"accuracy with layer-wise noise of σ = {sigmas} less that without",
            [float(gain) for gain in np.mean(gains, axis=0)],
            at_least=0.0,
        )

    return check


def _hurts_more(network: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        growth = [one - other for one, other in zip(_gaps(data, network), _gaps(data, "narrow"), strict=True)]
        return mean_over_seeds(
            "accuracy that noise on all layers loses against layer-wise noise, less that of the narrow network",
            growth,
            at_least=0.0,
        )

    return check


def _claims(network: str) -> tuple[Claim, ...]:
    name = network if network == "CNN" else f"{network} MLP"
    return (
        Claim(
            f"trace-{network.lower()}",
            f"Layer-wise noise lowers the trace of the Hessian that a {name} ends with, at the σ of the best accuracy.",
            "experiments",
            _flatter(network),
        ),
        Claim(
            f"accuracy-{network.lower()}",
            f"At the best σ a {name} does better on test examples with layer-wise noise than without.",
            "experiments",
            _better(network),
        ),
    )


FIGURE = PaperFigure(
    key="sigma-sweep",
    title="Test accuracy and the trace of the Hessian against the noise",
    about=(
        "The paper trains wide and deep MLPs on 1,024 images and small CNNs, with and without noise, and shows test "
        "accuracy and the trace of the Hessian. Ours are trained by SGD with momentum on the cross-entropy; the exact "
        "networks, data sets and σ of the paper are not known to us. Every bias is a group of weights, as in the "
        "scheme. Intervals are over seeds of weights, batches and noise, on one set of training examples; the trace, "
        "of the loss without noise on them, is Hutchinson's estimate."
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
        "Two columns of panels, a row for each of a wide MLP, a deep MLP and a CNN: test accuracy left, the "
        "trace of the Hessian right, against σ, for noise on all layers and layer-wise noise, with a dashed line for "
        "training without noise and bars of 95 % over seeds."
    ),
    claims=(
        *(claim for network in SWEPT for claim in _claims(network)),
        Claim(
            "wide-hurts",
            "At the largest σ noise on all layers costs a wide MLP more accuracy, against layer-wise noise, than a "
            "narrow.",
            "layer-wise noise",
            _hurts_more("wide"),
        ),
        Claim(
            "deep-hurts",
            "At the largest σ noise on all layers costs a deep MLP more accuracy, against layer-wise noise, than a "
            "narrow.",
            "layer-wise noise",
            _hurts_more("deep"),
        ),
    ),
)
