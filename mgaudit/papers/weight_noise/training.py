"""The regularised loss along training, for few and many hidden units and both kinds of noise.

The regularised loss is the loss without noise plus what noise adds to it in second order in σ.
Kinds of noise are those of `noises`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
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
TITLES = {"linear": "linear", "relu": "ReLU"}
LAST = 4  # the end of training is the mean over this many last snapshots


@dataclass(frozen=True)
class TrainingSettings:
    """Full-batch gradient descent on the squared loss; one hidden layer, no biases.

    `hidden` has the numbers of hidden units that are compared, and `sigma` is the noise's σ.
    """

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
    """The training of all models of one network, with one kind of noise."""

    settings: TrainingSettings
    dataset: Dataset
    device: str
    network: Activation
    hidden: int
    noise: str


def measure(settings: TrainingSettings, resources: Resources) -> Data:
    """Returns the table `losses`: a row for each network, hidden units, noise, model and step."""
    generator = numpy_generator(settings.seed, "examples")
    dataset = load(settings.dataset, settings.examples, generator).standardised()
    tasks = [
        _Task(settings, dataset, resources.device, network, hidden, noise)
        for network, hidden, noise in product(NETWORK_NAMES, settings.hidden, NOISES)
    ]
    results = parallel.run(_train, tasks, resources.jobs)
    rows = [row for task_rows in results for row in task_rows]
    return {"losses": sorted(rows, key=_position)}


def _position(row: Row) -> tuple[str, float, int, list[float]]:
    """Returns the key by which rows are sorted, whichever worker process ends first."""
    noise = NOISES.index(str(row["noise"]))
    seed_and_step = [float(row["seed"]), float(row["step"])]
    return str(row["network"]), float(row["hidden"]), noise, seed_and_step


def _train(task: _Task) -> list[Row]:
    """Trains one model for each seed on the same examples. Returns a row for each snapshot."""
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
    spaced = np.linspace(0, settings.steps, settings.snapshots + 1).astype(int)
    steps = np.unique(spaced).tolist()
    examples = len(dataset.labels)
    membership = np.ones((settings.models, examples), dtype=bool)
    trajectory = training_trajectory(recipe, dataset, membership, steps, task.device)
    x = dataset.inputs.reshape(examples, -1).astype(np.float64)
    y = np.eye(len(dataset.classes))[dataset.labels]
    head: Row = {"network": task.network, "hidden": float(task.hidden), "noise": task.noise}
    rows: list[Row] = []
    for seed, snapshots in enumerate(trajectory.weights):
        for step, snapshot in zip(trajectory.steps, snapshots, strict=True):
            weights = [array.astype(np.float64) for array in snapshot.values()]
            losses = _losses(task.network, weights, x, y, settings.sigma)
            rows.append({**head, "seed": float(seed), "step": float(step), **losses})
    return rows


def _losses(
    network: Activation, weights: list[Floats], x: Floats, y: Floats, sigma: float
) -> dict[str, float]:
    """Returns three losses: "clean", "regularised" and "noisy"; all NaN if the model diverged.

    They are the loss without noise, this loss plus the second order of what noise adds (the same
    for both kinds of noise), and the expected loss with noise on all layers. `weights` are the
    matrices of both layers, `x` is (examples, features) and `y` is (examples, classes), one-hot.
    """
    if not all(np.isfinite(weight).all() for weight in weights):
        return dict.fromkeys(("clean", "regularised", "noisy"), math.nan)
    first, second = weights
    hidden = x @ first.T
    if network == "relu":
        hidden = np.maximum(hidden, 0)
    residual = hidden @ second.T - y
    clean = float((residual**2).sum()) / (2 * len(x))
    if network == "linear":
        penalty = deep_linear.layerwise_excess(weights, x, sigma)
        noisy = clean + deep_linear.all_layers_excess(weights, x, sigma)
    else:
        std = sigma / math.sqrt(2)
        penalty = sum(relu.second_order(first, second, x, (std, std)))
        noisy = relu.expected_risk(first, second, x, y, (std, std))
    return {"clean": clean, "regularised": clean + penalty, "noisy": noisy}


def draw(data: Data) -> Figure:
    """Returns the mean loss along training, regularised (solid) and without noise (dotted)."""
    widths = distinct(data["losses"], "hidden")
    networks = list(product(NETWORK_NAMES, widths))
    figure, axes = panels(len(networks), 2.5, columns=2)
    for (network, hidden), axis in zip(networks, axes, strict=True):
        for noise in NOISES:
            rows = matching(data["losses"], network=network, hidden=hidden, noise=noise)
            _draw_losses(axis, rows, noise)
        axis.set_title(f"{TITLES[network]}, {hidden:g} hidden units")
        axis.set_yscale("log")
        axis.set_xlabel("steps")
        axis.set_ylabel("loss")
    legend(figure, *axes)
    return figure


def _draw_losses(axes: Axes, rows: list[Row], noise: str) -> None:
    """Draws the mean losses over models against the step, for one kind of noise."""
    colour, mark = NOISE_LOOKS[noise]
    noise_words = "no noise" if noise == "none" else noise
    steps = distinct(rows, "step")
    styles = (("regularised", "regularised", "-", mark), ("clean", "without penalty", ":", ""))
    for name, words, line, marker in styles:
        samples = [column(matching(rows, step=step), name) for step in steps]
        means = [float(np.mean(sample)) for sample in samples]
        axes.plot(
            steps,
            means,
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=3,
            label=f"{noise_words}, {words}",
        )


def _ends(data: Data, network: str, hidden: float, noise: str, loss: str) -> list[float]:
    """Returns the loss of each model at the end of training, the mean of the last snapshots.

    `loss` is "clean", "regularised" or "noisy" (`_losses`).
    """
    rows = matching(data["losses"], network=network, hidden=hidden, noise=noise)
    last_steps = distinct(rows, "step")[-LAST:]
    last_rows = [row for row in rows if row["step"] in last_steps]
    seeds = distinct(rows, "seed")
    samples = [column(matching(last_rows, seed=seed), loss) for seed in seeds]
    return [float(np.mean(sample)) for sample in samples]


def _ratios(
    data: Data, network: str, hidden: float, noise: str, other: str, loss: str = "regularised"
) -> list[float]:
    """Returns the final loss of each model under `noise`, divided by that under `other`."""
    numerators = _ends(data, network, hidden, noise, loss)
    denominators = _ends(data, network, hidden, other, loss)
    pairs = zip(numerators, denominators, strict=True)
    return [numerator / denominator for numerator, denominator in pairs]


def _widths(data: Data) -> tuple[float, float]:
    """Returns the smallest and the largest number of hidden units."""
    widths = column(data["losses"], "hidden")
    return min(widths), max(widths)


def _wide(network: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that all-layer noise regularises a wide network less than layer-wise."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the final regularised loss, all layers over layer-wise: at least 1."""
        _, most = _widths(data)
        values = _ratios(data, network, most, "all layers", "layer-wise")
        quantity = "regularised loss at the end, all layers over layer-wise"
        return mean_over_seeds(quantity, values, at_least=1.0)

    return check


def _grows(network: str) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the ratio of `_wide` is larger in a wide than in a narrow network."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the ratio of the wide network minus that of the narrow one: at least 0."""
        fewest, most = _widths(data)
        narrow = _ratios(data, network, fewest, "all layers", "layer-wise")
        wide = _ratios(data, network, most, "all layers", "layer-wise")
        pairs = zip(wide, narrow, strict=True)
        values = [wide_ratio - narrow_ratio for wide_ratio, narrow_ratio in pairs]
        quantity = "that ratio with most hidden units less that with fewest"
        return mean_over_seeds(quantity, values, at_least=0.0)

    return check


def _minimised(network: str, noise: str, wide: bool) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that a kind of noise lowers the final regularised loss of a network.

    The network has the most hidden units if `wide`, and otherwise the fewest.
    """

    def check(data: Data) -> Measured | NotRun:
        """Returns the final regularised loss with noise over that without: at most 1."""
        hidden = _widths(data)[wide]
        values = _ratios(data, network, hidden, noise, "none")
        quantity = f"regularised loss at the end, {noise} over no noise"
        return mean_over_seeds(quantity, values, at_most=1.0)

    return check


def _own_objective(data: Data) -> Measured | NotRun:
    """Returns the final expected loss under all-layer noise, of all layers over layer-wise.

    For the claim it must be at most 1, in the wide ReLU network.
    """
    _, most = _widths(data)
    values = _ratios(data, "relu", most, "all layers", "layer-wise", "noisy")
    quantity = "expected loss under noise on all layers, all layers over layer-wise"
    return mean_over_seeds(quantity, values, at_most=1.0)


PLACE = "regularised loss along training"


def _claims(network: Activation) -> tuple[Claim, ...]:
    """Returns the claims on the linear or on the ReLU network."""
    title = TITLES[network]
    narrow = (
        f"In a narrow {title} network noise on all layers, too, ends with a lower regularised loss "
        "than training without noise."
    )
    minimised = (
        f"In a wide {title} network layer-wise noise ends with a lower regularised loss than "
        "training without noise."
    )
    wide = (
        f"In a wide {title} network noise on all layers ends with a higher regularised loss than "
        "layer-wise noise of the same σ."
    )
    grows = (
        f"The loss added to a {title} network by noise on all layers instead of layer-wise noise "
        "grows with its width."
    )
    return (
        Claim(f"narrow-{network}", narrow, PLACE, _minimised(network, "all layers", wide=False)),
        Claim(
            f"minimised-{network}", minimised, PLACE, _minimised(network, "layer-wise", wide=True)
        ),
        Claim(f"wide-{network}", wide, PLACE, _wide(network)),
        Claim(f"grows-{network}", grows, PLACE, _grows(network)),
    )


FIGURE = PaperFigure(
    key="training",
    title="The regularised loss along training",
    about=(
        "The paper follows the loss with its explicit regulariser along training with 50 and 300 "
        "hidden units: with many, noise on all layers no longer minimises it and layer-wise noise "
        "does. Ours is full-batch gradient descent on the squared loss of one-hot labels, "
        "networks without biases, in closed form the loss plus its second order in σ, which is "
        "the same for both kinds of noise. The paper has linear networks, 40 points in 10 "
        "dimensions with one output, and the learning rate 0.1; its σ is not in the text. What "
        "all-layer noise does minimise, on average, contains the fourth order too."
    ),
    quick=TrainingSettings(),
    full=TrainingSettings(
        dataset="cifar10", examples=128, sigma=0.03, learning_rate=0.002, steps=700, models=3
    ),
    measure=measure,
    draw=draw,
    description=(
        "Four panels, for a linear and a ReLU network with few and with many hidden units: "
        "regularised loss against the steps of training without noise, with noise on all layers "
        "and with layer-wise noise. With many units the line of noise on all layers ends above "
        "that of layer-wise noise."
    ),
    claims=(
        *_claims("linear"),
        *_claims("relu"),
        Claim(
            "own-objective",
            "Noise on all layers of a wide ReLU network does minimise what it adds noise to: it "
            "ends with a lower expected loss under noise on all layers, fourth order and all, "
            "than layer-wise noise.",
            "open question",
            _own_objective,
        ),
    ),
)
