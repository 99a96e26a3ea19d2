"""The regularised loss along training, for few and many hidden units and both kinds of noise."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import NOISE_LOOKS, NOISES, scheme
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.trajectory import training_trajectory
from mgaudit.targets.networks.without_bias import WithoutBias
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training
from mgaudit.theory.weight_noise import deep_linear, relu

Floats = NDArray[np.float64]
Activation = Literal["relu", "linear"]
NETWORK_NAMES: tuple[Activation, ...] = ("linear", "relu")
SHOWN = {"linear": "linear", "relu": "ReLU"}
LAST = 4  # snapshots whose mean is the end of training


@dataclass(frozen=True)
class TrainingSettings:
    """Full-batch gradient descent on the squared loss of one-hot labels, one hidden layer, no biases."""

    dataset: str = "digits"
    examples: int = 100
    hidden: tuple[int, ...] = (50, 300)
    sigma: float = 0.1
    learning_rate: float = 0.01
    steps: int = 600
    snapshots: int = 20
    models: int = 5
    seed: int = 0


@dataclass(frozen=True)
class _Task:
    settings: TrainingSettings
    dataset: Dataset
    device: str
    network: Activation
    hidden: int
    noise: str


def measure(settings: TrainingSettings, workshop: Workshop) -> Data:
    """Returns losses along training for each network, number of hidden units, kind of noise and model."""
    dataset = load(settings.dataset, settings.examples, numpy_generator(settings.seed, "examples")).standardised()
    tasks = [
        _Task(settings, dataset, workshop.device, network, hidden, noise)
        for network in NETWORK_NAMES
        for hidden in settings.hidden
        for noise in NOISES
    ]
    rows = [row for some in parallel.run(_trained, tasks, workshop.jobs) for row in some]
    keys = ("network", "hidden", "noise", "seed", "step")
    return {"losses": sorted(rows, key=lambda row: [str(row["network"]), *(_order(row[key]) for key in keys[1:])])}


def _order(value: str | float) -> float:
    return float(NOISES.index(value)) if isinstance(value, str) else value


def _trained(task: _Task) -> list[Row]:
    """Trains one model a seed, all with the same examples, and returns the losses at each snapshot."""
    settings, dataset = task.settings, task.dataset
    training = Training(
        epochs=settings.steps,
        batch_size=settings.examples,
        learning_rate=settings.learning_rate,
        momentum=0.0,
        loss="squared",
        schedule="constant",
    )
    recipe = Recipe(
        partial(WithoutBias, hidden=(task.hidden,), activation=task.network),
        scheme(task.noise, settings.sigma),
        training,
        None,
        settings.seed,
        settings.examples,
        stack=settings.models,
    )
    steps = np.unique(np.linspace(0, settings.steps, settings.snapshots + 1).astype(int)).tolist()
    membership = np.ones((settings.models, len(dataset.labels)), dtype=bool)
    trajectory = training_trajectory(recipe, dataset, membership, steps, task.device)
    x = dataset.inputs.reshape(len(dataset.labels), -1).astype(np.float64)
    y = np.eye(len(dataset.classes))[dataset.labels]
    return [
        {
            "network": task.network,
            "hidden": float(task.hidden),
            "noise": task.noise,
            "seed": float(seed),
            "step": float(step),
            **_losses(task.network, [one.astype(np.float64) for one in weights.values()], x, y, settings.sigma),
        }
        for seed, snapshots in enumerate(trajectory.weights)
        for step, weights in zip(trajectory.steps, snapshots, strict=True)
    ]


def _losses(network: Activation, weights: list[Floats], x: Floats, y: Floats, sigma: float) -> dict[str, float]:
    """Returns the loss without noise, with the second order of noise (the regularised loss), and with all of it.

    The second order is the same for both kinds of noise. What diverged is NaN.
    """
    if not all(np.isfinite(weight).all() for weight in weights):
        return dict.fromkeys(("clean", "regularised", "noisy"), math.nan)
    first, second = weights
    hidden = x @ first.T
    clean = float((((np.maximum(hidden, 0) if network == "relu" else hidden) @ second.T - y) ** 2).sum()) / (2 * len(x))
    if network == "linear":
        added = deep_linear.layerwise_excess(weights, x, sigma)
        noisy = clean + deep_linear.all_layers_excess(weights, x, sigma)
    else:
        stds = (sigma / math.sqrt(2), sigma / math.sqrt(2))
        added, noisy = sum(relu.second_order(first, second, x, stds)), relu.expected_risk(first, second, x, y, stds)
    return {"clean": clean, "regularised": clean + added, "noisy": noisy}


def draw(data: Data) -> Figure:
    """Returns the regularised loss, and dotted the loss without noise, along training; the mean over models."""
    rows = data["losses"]
    places = [
        (network, hidden) for network in NETWORK_NAMES for hidden in sorted({float(row["hidden"]) for row in rows})
    ]
    figure, axes = panels(len(places), 2.5, columns=2)
    for (network, hidden), one in zip(places, axes, strict=True):
        for noise in NOISES:
            own = [row for row in rows if (row["network"], row["hidden"], row["noise"]) == (network, hidden, noise)]
            steps = sorted({float(row["step"]) for row in own})
            colour, mark = NOISE_LOOKS[noise]
            for name, style in (("regularised", "-"), ("clean", ":")):
                means = [float(np.mean([row[name] for row in own if row["step"] == step])) for step in steps]
                label = ("no noise" if noise == "none" else noise) + (
                    ", without penalty" if name == "clean" else ", regularised"
                )
                one.plot(
                    steps,
                    means,
                    color=colour,
                    linestyle=style,
                    marker=mark if style == "-" else "",
                    markersize=3,
                    label=label,
                )
        one.set_title(f"{SHOWN[network]}, {hidden:g} hidden units")
        one.set_yscale("log")
        one.set_xlabel("steps")
        one.set_ylabel("loss")
    legend(figure, *axes)
    return figure


def _ends(data: Data, network: str, hidden: float, loss: str) -> dict[str, list[float]]:
    """Returns by kind of noise the loss of that name at the end, the mean of the last snapshots, of each model."""
    ends: dict[str, list[float]] = {}
    for noise in NOISES:
        own = [
            row for row in data["losses"] if (row["network"], row["hidden"], row["noise"]) == (network, hidden, noise)
        ]
        last = sorted({float(row["step"]) for row in own})[-LAST:]
        ends[noise] = [
            float(np.mean([row[loss] for row in own if row["seed"] == seed and float(row["step"]) in last]))
            for seed in sorted({float(row["seed"]) for row in own})
        ]
    return ends


def _ratios(data: Data, network: str, hidden: float, noise: str, other: str, loss: str = "regularised") -> list[float]:
    """Returns for each model the loss that it ends with under one kind of noise, over that under another."""
    ends = _ends(data, network, hidden, loss)
    return [one / two for one, two in zip(ends[noise], ends[other], strict=True)]


def _widths(data: Data) -> tuple[float, float]:
    widths = [float(row["hidden"]) for row in data["losses"]]
    return min(widths), max(widths)


def _wide(network: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        values = _ratios(data, network, _widths(data)[1], "all layers", "layer-wise")
        return mean_over_seeds("regularised loss at the end, all layers over layer-wise", values, at_least=1.0)

    return check


def _grows(network: str) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        narrow, wide = (_ratios(data, network, hidden, "all layers", "layer-wise") for hidden in _widths(data))
        values = [one - two for one, two in zip(wide, narrow, strict=True)]
        return mean_over_seeds("that ratio with most hidden units less that with fewest", values, at_least=0.0)

    return check


def _minimised(network: str, noise: str, wide: bool) -> Callable[[Data], Measured | NotRun]:
    def check(data: Data) -> Measured | NotRun:
        values = _ratios(data, network, _widths(data)[wide], noise, "none")
        return mean_over_seeds(f"regularised loss at the end, {noise} over no noise", values, at_most=1.0)

    return check


def _own_objective(data: Data) -> Measured | NotRun:
    values = _ratios(data, "relu", _widths(data)[1], "all layers", "layer-wise", "noisy")
    return mean_over_seeds("expected loss under noise on all layers, all layers over layer-wise", values, at_most=1.0)


def _claims(network: Activation) -> tuple[Claim, ...]:
    place = "regularised loss along training"
    return (
        Claim(
            f"narrow-{network}",
            f"In a narrow {SHOWN[network]} network noise on all layers, too, ends with a lower regularised loss than "
            "training without noise.",
            place,
            _minimised(network, "all layers", wide=False),
        ),
        Claim(
            f"minimised-{network}",
            f"In a wide {SHOWN[network]} network layer-wise noise ends with a lower regularised loss than training "
            "without noise.",
            place,
            _minimised(network, "layer-wise", wide=True),
        ),
        Claim(
            f"wide-{network}",
            f"In a wide {SHOWN[network]} network noise on all layers ends with a higher regularised loss than "
            "layer-wise noise of the same σ.",
            place,
            _wide(network),
        ),
        Claim(
            f"grows-{network}",
            f"What a {SHOWN[network]} network loses by noise on all layers instead of one grows with its width.",
            place,
            _grows(network),
        ),
    )


FIGURE = PaperFigure(
    key="training",
    title="The regularised loss along training",
    about=(
        "The paper follows the loss with its explicit regulariser along training with 50 and 300 hidden units: with "
        "many, noise on all layers no longer minimises it and layer-wise noise does. Ours is full-batch gradient "
        "descent on the squared loss of one-hot labels, networks without biases, in closed form the loss plus its "
        "second order in σ, which is the same for both kinds of noise. Its data, learning rates and σ are not known "
        "to us. What all-layer noise does minimise, on average, contains the fourth order too."
    ),
    quick=TrainingSettings(),
    full=TrainingSettings(dataset="cifar10", examples=128, sigma=0.03, learning_rate=0.002, steps=700, models=3),
    measure=measure,
    draw=draw,
    description=(
        "Four panels, for a linear and a ReLU network with few and with many hidden units: regularised loss against "
        "the steps of training without noise, with noise on all layers and with layer-wise noise. With many units the "
        "line of noise on all layers ends above that of layer-wise noise."
    ),
    claims=(
        *_claims("linear"),
        *_claims("relu"),
        Claim(
            "own-objective",
            "Noise on all layers of a wide ReLU network does minimise what it adds noise to: it ends with a lower "
            "expected loss under noise on all layers, fourth order and all, than layer-wise noise.",
            "open question",
            _own_objective,
        ),
    ),
)
