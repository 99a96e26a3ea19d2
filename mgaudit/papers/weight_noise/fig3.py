"""Fig. 3: test accuracy of a wide MLP along training, for several σ.

σ is the strength of the weight noise, whose kinds are those of `noises`.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data, Measured, NotRun
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.weight_noise.noises import NOISES
from mgaudit.papers.weight_noise.noisy_training import (
    DECAY,
    OPTIMISER,
    Probing,
    arms_of_sigmas,
    at_end,
    difference,
    gain_at_best_sigma,
    measured_training,
    named,
    sigmas_of,
)
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.training import Training

COLOURS = ("#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2")


@dataclass(frozen=True)
class Fig3Settings:
    """Full-batch gradient descent of an MLP with `hidden` layers, with a cosine schedule.

    The fields with `_on_cuda` replace the others on a GPU, unless they are empty or 0.
    """

    dataset: str = "digits"
    examples: int = 256
    tests: int = 1000
    hidden: tuple[int, ...] = (256, 256)
    sigmas: tuple[float, ...] = (0.05, 0.1, 0.2)
    learning_rate: float = 0.05
    steps: int = 150
    hidden_on_cuda: tuple[int, ...] = ()
    learning_rate_on_cuda: float = 0.0
    steps_on_cuda: int = 0
    models: int = 4
    snapshots: int = 5
    seed: int = 0


def measure(settings: Fig3Settings, resources: Resources) -> Data:
    """Returns the table `models`: a row for each noise, σ, model and snapshot."""
    on_cuda = resources.device == "cuda"
    hidden = (on_cuda and settings.hidden_on_cuda) or settings.hidden
    rate = (on_cuda and settings.learning_rate_on_cuda) or settings.learning_rate
    steps = (on_cuda and settings.steps_on_cuda) or settings.steps
    training = Training(
        epochs=steps, batch_size=settings.examples, learning_rate=rate, weight_decay=DECAY
    )
    network = "hidden layers of " + " and ".join(map(str, hidden))
    target = partial(MLP, hidden=hidden)
    arms = arms_of_sigmas("fig3", network, target, training, settings.sigmas)
    probing = Probing(settings.snapshots, settings.tests, 0, settings.examples)
    examples, models = settings.examples, settings.models
    rows = measured_training(
        arms, settings.dataset, examples, models, probing, settings.seed, resources
    )
    return {"models": rows}


def draw(data: Data) -> Figure:
    """Returns the mean test accuracy along training, a panel for each kind of noise."""
    figure, axes = panels(2, 2.9)
    rows = data["models"]
    for axis, noise in zip(axes, NOISES[1:], strict=True):
        for name, sigma, colour in [
            ("none", 0.0, "#000000"),
            *((noise, *pair) for pair in zip(sigmas_of(rows), COLOURS, strict=False)),
        ]:
            own = matching(rows, noise=name, sigma=sigma)
            steps = distinct(own, "step")
            samples = [column(matching(own, step=step), "accuracy") for step in steps]
            means = [100 * float(np.mean(sample)) for sample in samples]
            label = f"σ = {sigma:g}" if sigma else "no noise"
            style = "-" if sigma else "--"
            axis.plot(steps, means, style, color=colour, marker="o", markersize=3, label=label)
        axis.set(title=f"noise, {noise}", xlabel="steps")
    axes[0].set_ylabel("test accuracy, %")
    legend(figure, *axes)
    return figure


def _layerwise_helps(data: Data) -> Measured | NotRun:
    """Returns the gain of layer-wise noise at its best σ, which must be at least 0."""
    return named(data["models"], gain_at_best_sigma(data["models"], "layer-wise", at_least=0.0))


def _all_layers_do_not(data: Data) -> Measured | NotRun:
    """Returns the gain of all-layer noise at its best σ, which must be at most 0."""
    return named(data["models"], gain_at_best_sigma(data["models"], "all layers", at_most=0.0))


def _ahead_at_most(data: Data) -> Measured | NotRun:
    """Returns the accuracy of layer-wise minus all-layer noise at the largest σ: at least 0."""
    rows = data["models"]
    sigma = sigmas_of(rows)[-1]
    layerwise, everywhere = (
        at_end(rows, "accuracy", noise, sigma) for noise in ("layer-wise", "all layers")
    )
    quantity = f"accuracy with layer-wise noise less that with all-layer noise, σ = {sigma:g}"
    return named(data["models"], difference(quantity, layerwise, everywhere, at_least=0.0))


FIGURE = PaperFigure(
    key="fig3",
    title="Fig. 3: test accuracy of a wide MLP for several σ",
    about=(
        "The paper trains an MLP of 2 hidden layers with 5,000 units each on 1,024 images of "
        "Fashion-MNIST, by full-batch gradient descent with learning rate 0.005, and shows the "
        f"test accuracy for several σ. The values of σ are not in the text; ours are. {OPTIMISER} "
        "The scale full has the paper's settings on a GPU (--device cuda), with our number of "
        "steps. On CPUs the network is narrower, the learning rate larger and the steps fewer, and "
        "the quick scale uses 8x8 digits. Where Fashion-MNIST has not been fetched (mgaudit data "
        "fetch fashion-mnist), --dataset takes CIFAR-10 images in its place; each measurement "
        "names its network and data. Intervals are over seeds of weights and noise."
    ),
    quick=Fig3Settings(),
    full=Fig3Settings(
        dataset="fashion-mnist",
        examples=1024,
        tests=10_000,
        hidden=(500, 500),
        sigmas=(0.02, 0.05, 0.1),
        steps=300,
        hidden_on_cuda=(5000, 5000),
        learning_rate_on_cuda=0.005,
        steps_on_cuda=3000,
        models=3,
    ),
    measure=measure,
    draw=draw,
    description=(
        "Two panels, for noise on all layers and for layer-wise noise: mean test accuracy against "
        "the steps of training, a line for each σ and a dashed line for training without noise."
    ),
    claims=(
        Claim(
            "fig3-layer-helps",
            "In a wide MLP, layer-wise noise of the best σ raises the test accuracy.",
            "Fig. 3",
            _layerwise_helps,
        ),
        Claim(
            "fig3-all-does-not",
            "Noise on all layers does not raise the test accuracy of a wide MLP, even at the best "
            "σ.",
            "Fig. 3",
            _all_layers_do_not,
        ),
        Claim(
            "fig3-ahead",
            "At the largest σ, a wide MLP has a higher test accuracy with layer-wise noise than "
            "with noise on all layers.",
            "Fig. 3",
            _ahead_at_most,
        ),
    ),
)
