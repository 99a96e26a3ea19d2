"""Fig. 6: final test accuracy and trace of the Hessian of a ResNet-18 with BatchNorm, against σ.

σ is the strength of the weight noise, whose kinds are those of `noises`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import mean_interval
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.weight_noise.noises import NOISE_LOOKS, NOISES, noise_label
from mgaudit.papers.weight_noise.noisy_training import (
    DECAY,
    OPTIMISER,
    TRIALS,
    Probing,
    arms_of_sigmas,
    at_end,
    difference,
    gain_at_best_sigma,
    measured_training,
    named,
    ratio_of_traces,
    sigmas_of,
    untrained,
)
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.networks.resnet18 import ResNet18
from mgaudit.targets.training import Augment, Training

QUIET = 0.9  # the noise ends after this part of training: epoch 135 of 150


@dataclass(frozen=True)
class Fig6Settings:
    """SGD of a ResNet-18 whose first stage has `width` channels, with a cosine schedule.

    `trace_examples` training examples are used for the trace. The fields with `_on_cuda` replace
    the others on a GPU, unless they are 0.
    """

    dataset: str = "digits"
    examples: int = 256
    tests: int = 500
    width: int = 4
    sigmas: tuple[float, ...] = (0.05, 0.2)
    batch_size: int = 64
    learning_rate: float = 0.05
    epochs: int = 12
    augment: Augment = "none"
    width_on_cuda: int = 0
    examples_on_cuda: int = 0
    learning_rate_on_cuda: float = 0.0
    epochs_on_cuda: int = 0
    models: int = 5
    probes: int = 2
    trace_examples: int = 128
    seed: int = 0


def measure(settings: Fig6Settings, resources: Resources) -> Data:
    """Returns the table `models`: a row for each noise, σ and model after training."""
    on_cuda = resources.device == "cuda"
    width = (on_cuda and settings.width_on_cuda) or settings.width
    examples = (on_cuda and settings.examples_on_cuda) or settings.examples
    rate = (on_cuda and settings.learning_rate_on_cuda) or settings.learning_rate
    epochs = (on_cuda and settings.epochs_on_cuda) or settings.epochs
    training = Training(
        epochs=epochs,
        batch_size=settings.batch_size,
        learning_rate=rate,
        weight_decay=DECAY,
        augment=settings.augment,
    )
    arms = arms_of_sigmas(
        "fig6",
        f"ResNet-18 of width {width}",
        partial(ResNet18, width=width),
        training,
        settings.sigmas,
        quiet_epoch=round(QUIET * epochs),
    )
    probing = Probing(1, settings.tests, settings.probes, settings.trace_examples)
    rows = measured_training(
        arms, settings.dataset, examples, settings.models, probing, settings.seed, resources
    )
    return {"models": rows}


def draw(data: Data) -> Figure:
    """Returns test accuracy (left) and the trace of the Hessian (right) against σ."""
    figure, (accuracy, trace) = panels(2, 2.9, sharey=False)
    rows = data["models"]
    for noise in NOISES:
        _draw(accuracy, rows, noise, "accuracy", 100.0)
        _draw(trace, rows, noise, "trace", 1.0)
    sigmas = sigmas_of(rows)
    for axis in (accuracy, trace):
        axis.set(xscale="log", xlabel="σ")
        axis.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
        axis.set_xticks([], minor=True)
    accuracy.set_ylabel("test accuracy, %")
    trace.set_ylabel("trace of the Hessian")
    trace.set_yscale("log", nonpositive="clip")
    legend(figure, accuracy, trace)
    return figure


def _draw(axes: Axes, rows: list[Row], noise: str, name: str, factor: float) -> None:
    """Draws the mean over models and its interval against σ; a horizontal line for no noise."""
    colour, mark = NOISE_LOOKS[noise]
    sigmas = [0.0] if noise == "none" else sigmas_of(rows)
    samples = [at_end(rows, name, noise, sigma) for sigma in sigmas]
    intervals = [mean_interval([factor * value for value in sample]) for sample in samples]
    means, reach = error_bars(intervals)
    if noise == "none":
        axes.axhline(means[0], color=colour, linewidth=1, linestyle="--", label=noise_label(noise))
        return
    look: dict[str, Any] = {"color": colour, "marker": mark, "markersize": 4, "capsize": 2}
    axes.errorbar(sigmas, means, reach, label=noise_label(noise), **look)


def _layerwise_helps(rows: list[Row]) -> Measured | NotRun:
    """Returns the gain of layer-wise noise at its best σ, which must be at least 0."""
    return gain_at_best_sigma(rows, "layer-wise", at_least=0.0)


def _all_layers_hurt(rows: list[Row]) -> Measured | NotRun:
    """Returns the gain of all-layer noise at the largest σ, which must be at most 0."""
    sigma = sigmas_of(rows)[-1]
    noisy = at_end(rows, "accuracy", "all layers", sigma)
    quantity = f"accuracy with noise, all layers, of σ = {sigma:g} less that without"
    return difference(quantity, noisy, at_end(rows, "accuracy", "none"), at_most=0.0)


def _ahead(rows: list[Row]) -> Measured | NotRun:
    """Returns the accuracy of layer-wise minus all-layer noise at the largest σ: at least 0."""
    sigma = sigmas_of(rows)[-1]
    layerwise, everywhere = (
        at_end(rows, "accuracy", noise, sigma) for noise in ("layer-wise", "all layers")
    )
    quantity = f"accuracy with layer-wise noise less that with all-layer noise, σ = {sigma:g}"
    return difference(quantity, layerwise, everywhere, at_least=0.0)


def _sharper(rows: list[Row]) -> Measured | NotRun:
    """Returns the trace with all-layer noise over that without, at the largest σ: at least 1."""
    sigma = sigmas_of(rows)[-1]
    noisy = at_end(rows, "trace", "all layers", sigma)
    quantity = f"trace with noise, all layers, of σ = {sigma:g} over that without"
    return ratio_of_traces(quantity, noisy, at_end(rows, "trace", "none"), at_least=1.0)


def _check(
    of_rows: Callable[[list[Row]], Measured | NotRun],
) -> Callable[[Data], Measured | NotRun]:
    """Returns the check of the data, which is not run unless the models without noise learned."""

    def check(data: Data) -> Measured | NotRun:
        """Returns what `of_rows` measures, with the network and data in its quantity."""
        rows = data["models"]
        return untrained(rows) or named(rows, of_rows(rows))

    return check


FIGURE = PaperFigure(
    key="fig6",
    title="Fig. 6: a ResNet-18 with BatchNorm against σ",
    about=(
        "The paper trains a ResNet-18 with BatchNorm on CIFAR-10 for 150 epochs, with batches of "
        "128, learning rate 0.01, a cosine schedule and random crops, and ends the noise at epoch "
        f"135. {OPTIMISER} All parameter groups have noise in turn, those of BatchNorm, too. The "
        "values of σ are not in the text except 0.1. The scale full has these settings on a GPU "
        "(--device cuda). On CPUs the network has an eighth of the channels, and there are fewer "
        "images and epochs; the quick scale uses 8x8 digits. Each measurement names its network "
        "and data. The trace is that of the loss in evaluation mode, on some of the training "
        "examples. Intervals are over seeds of weights, batches and noise. "
        f"{TRIALS}"
    ),
    quick=Fig6Settings(),
    full=Fig6Settings(
        dataset="cifar10",
        examples=1024,
        tests=2000,
        width=8,
        sigmas=(0.02, 0.05, 0.2),
        learning_rate=0.05,
        epochs=15,
        batch_size=128,
        augment="crops",
        width_on_cuda=64,
        examples_on_cuda=50_000,
        learning_rate_on_cuda=0.01,
        epochs_on_cuda=150,
        models=3,
        probes=5,
        trace_examples=256,
    ),
    measure=measure,
    draw=draw,
    description=(
        "Two panels against σ, for noise on all layers and layer-wise noise, with a dashed line "
        "for training without noise and bars of 95 % over models: left the final test accuracy, "
        "right the trace of the Hessian."
    ),
    claims=(
        Claim(
            "fig6-layer-helps",
            "Layer-wise noise of the best σ raises the test accuracy of a ResNet-18.",
            "Fig. 6",
            _check(_layerwise_helps),
        ),
        Claim(
            "fig6-all-hurts",
            "At the largest σ, noise on all layers lowers the test accuracy of a ResNet-18.",
            "Fig. 6",
            _check(_all_layers_hurt),
        ),
        Claim(
            "fig6-ahead",
            "At the largest σ, a ResNet-18 has a higher test accuracy with layer-wise noise than "
            "with noise on all layers.",
            "Fig. 6",
            _check(_ahead),
        ),
        Claim(
            "fig6-sharper",
            "At the largest σ, noise on all layers raises the trace of the Hessian of a ResNet-18.",
            "Fig. 6",
            _check(_sharper),
        ),
    ),
)
