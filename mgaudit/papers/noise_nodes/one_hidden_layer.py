"""The four phases of a ReLU network with one hidden layer and large batches (Fig. 2 and Fig. 3).

The phases are those of `relu_phases`. The sigma of each phase follows from the sigmas at which
the loss begins to grow first and at which training begins to diverge, found by bisection as in
`relu_boundaries`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mgaudit.papers.claim import Data
from mgaudit.papers.noise_nodes import relu_boundaries, relu_phases
from mgaudit.papers.noise_nodes.networks import (
    LOSS_NAMES,
    LossName,
    NodeExperiment,
    experiment_of,
    sharpness,
)
from mgaudit.papers.noise_nodes.relu_boundaries import ReluBoundaries
from mgaudit.papers.noise_nodes.relu_phases import PhaseTask, phase_claims, trained_phases
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import column, matching

PLACES = {"squared": "section 3, Fig. 2 (bottom)", "cross-entropy": "appendix A, Fig. 3"}
# The sigma of the decay phase over that at which the loss begins to grow. It is lower for
# cross-entropy, whose curvature grows in training; both numbers are those of `relu_phases`.
DECAY: Mapping[LossName, float] = {"squared": 0.5, "cross-entropy": 0.15}
DECOUPLED = 0.002  # of the sigma at which the loss begins to grow
NO_NOISE = 1e-3  # a sigma that is too small to matter
DIVERGENT = 2.0  # times the sigma at which training begins to diverge


@dataclass(frozen=True)
class OneHiddenLayer:
    """The training of each phase. Divergence is fast, and has its own numbers of epochs and models.

    The learning rate is `eta`, or 1 / curvature of the squared loss without noise if that is lower,
    as for large images. The bisection is over `search_steps` steps with `search_models` models, up
    to `search_high` times the sigma at which the learning rate times the initial curvature is 2.
    """

    dataset: str = "digits"
    examples: int = 1000
    hidden: tuple[int, ...] = (128,)
    eta: float = 0.03
    batch: int = 1000
    epochs: int = 250
    models: int = 4
    divergence_epochs: int = 40
    divergence_models: int = 6
    snapshots: int = 12
    search_models: int = 2
    search_steps: int = 30
    search_high: float = 32.0
    halvings: int = 6
    seed: int = 0


def measure(settings: OneHiddenLayer, resources: Resources) -> Data:
    """Returns the tables of `relu_phases`, and `boundaries`, that of `relu_boundaries`."""
    experiment = experiment_of(settings)
    experiment = replace(experiment, eta=_stable_rate(experiment))
    search = ReluBoundaries(
        settings.dataset,
        settings.batch,
        settings.hidden,
        experiment.eta,
        settings.search_steps,
        settings.search_models,
        high=settings.search_high,
        halvings=settings.halvings,
        seed=settings.seed,
    )
    boundaries = relu_boundaries.measure(search, resources)
    brief = replace(
        experiment, epochs=settings.divergence_epochs, models=settings.divergence_models
    )
    tasks = []
    for loss in LOSS_NAMES:
        for phase, sigma in _sigmas(boundaries, loss).items():
            network_of_phase = brief if phase == "divergence" else experiment
            tasks.append(
                PhaseTask(network_of_phase, loss, "fresh", phase, sigma, settings.snapshots)
            )
    return trained_phases(tasks, resources.jobs) | boundaries


def _stable_rate(experiment: NodeExperiment) -> float:
    """Returns the learning rate, but at most 1 / top curvature of the squared loss without noise.

    The curvature is that of the first model at the start.
    """
    start = replace(experiment, epochs=1, models=1)
    recipe = start.recipe("squared", sigma=NO_NOISE)
    trajectory = start.train(recipe, [0])
    curvature = sharpness(start, recipe, trajectory, 0, 0) / experiment.eta
    return min(experiment.eta, 1 / curvature)


def _sigmas(boundaries: Data, loss: LossName) -> dict[str, float]:
    """Returns the sigma of each phase, from the geometric means of the boundaries over models."""
    growth, divergence = (
        math.exp(np.mean(np.log(_boundary(boundaries, loss, name))))
        for name in ("growth", "divergence")
    )
    return {
        "decoupled": DECOUPLED * growth,
        "decay": DECAY[loss] * growth,
        "catapult": math.sqrt(growth * divergence),
        "divergence": DIVERGENT * divergence,
    }


def _boundary(boundaries: Data, loss: LossName, name: str) -> list[float]:
    """Returns the sigma of each model at a boundary."""
    return column(matching(boundaries["boundaries"], loss=loss, boundary=name), "sigma")


FIGURE = PaperFigure(
    key="one-hidden-layer",
    title="Four phases of a ReLU network with one hidden layer",
    about=(
        "Fig. 2 (bottom) with the squared loss and Fig. 3 with cross-entropy: a ReLU MLP with one "
        "hidden layer, batches of 1,000, plain SGD, Fashion-MNIST. The width, the learning rate "
        "and the scale of the initial weights are missing from the text that we have. Ours are 128 "
        "or more, 0.03 (or the inverse of the top curvature, if that is lower) and torch's. Our "
        "data are 1,000 digits, so that a batch is the whole "
        "data, or at full scale CIFAR-10 images. The σ of the phases follow from a rule that was "
        "fixed before the training: with the σ at which the loss begins to grow and to diverge, "
        "found by bisection in the first 30 steps, catapult is at their geometric mean, divergence "
        "at twice the second, decay at 0.5 (squared) and 0.15 (cross-entropy) of the first, and "
        "decoupled at 0.002 of it. A training that does not diverge in 30 steps may diverge later."
    ),
    quick=OneHiddenLayer(),
    full=OneHiddenLayer(
        dataset="cifar10", examples=2000, hidden=(256,), epochs=100, divergence_epochs=15
    ),
    measure=measure,
    draw=relu_phases.draw,
    description=(
        "Medians over models of the training loss with noise, the noise-free training loss and "
        "the norm of the node's weights, against the step, for each phase and loss."
    ),
    claims=tuple(
        claim
        for loss in LOSS_NAMES
        for claim in phase_claims(
            loss, "fresh", "One hidden layer", "one-hidden-layer-", PLACES[loss]
        )
    ),
)
