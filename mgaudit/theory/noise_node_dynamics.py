"""Gradient descent of a two-layer linear network with a noise node, simulated.

A noise node is an extra input that receives random noise e in place of data (`noise_nodes`). A run
is one training of one network. Many runs are simulated at once; they are the first axis of all
arrays of weights, and each run has batches of its own. A batch affects a step only by its moments:
the means of x x, x e and e e over its examples, where x is the scalar input.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgaudit.theory.arguments import Floats, at_least, finite, positive, whole
from mgaudit.theory.noise_nodes import LinearNet, Moments, linear_slopes

LIMIT = 1e12  # squared norm of all weights, beyond which a run counts as diverged and stops


@dataclass(frozen=True)
class DescentPath:
    """The weights of all runs at some of the steps.

    `net` has weights with the axes (snapshots, runs, width). `steps` (snapshots,) is the number of
    steps before each snapshot. `diverged` (runs,) is the step at which the squared norm of a run's
    weights exceeded LIMIT, after which they are constant; -1 for a run that did not diverge.
    """

    steps: NDArray[np.int64]
    net: LinearNet
    diverged: NDArray[np.int64]


def fresh_moments(
    runs: int, sigma_x: ArrayLike, sigma: ArrayLike, batch: int, generator: np.random.Generator
) -> Iterator[Moments]:
    """Yields moments (runs,) of batches with inputs N(0, sigma_x^2) and noise N(0, sigma^2).

    It yields without end, one batch of `batch` new examples for each run. The moments are drawn
    directly, as a Wishart matrix by Bartlett's decomposition, so that the cost does not depend on
    the size of the batch. The standard deviations `sigma_x` and `sigma` are numbers or (runs,).
    Raises ValueError for a standard deviation below 0, and for `runs` or `batch` below 1.
    """
    # Arguments are checked here, because the body of a generator runs only at the first next().
    count, size = whole("runs", runs, 1), whole("batch", batch, 1)
    input_std = at_least("sigma_x", sigma_x, 0)
    noise_std = at_least("sigma", sigma, 0)
    return _fresh_moments(count, input_std, noise_std, size, generator)


def _fresh_moments(
    runs: int, sigma_x: Floats, sigma: Floats, batch: int, generator: np.random.Generator
) -> Iterator[Moments]:
    """Yields the moments (runs,) of one batch after another, for checked arguments.

    The arguments are those of `fresh_moments`. With z_1 ... z_B and v_1 ... v_B independent
    standard normals, the inputs are sigma_x z and the noise is sigma v. Given z, sum z v / sqrt(sum
    z²) is standard normal (`cross`), and it is independent of the rest of sum v² (`rest`,
    chi-squared).
    """
    while True:
        square = generator.chisquare(batch, runs)
        cross = generator.standard_normal(runs)
        rest = generator.chisquare(batch - 1, runs) if batch > 1 else np.zeros(runs)
        inputs = sigma_x**2 * square / batch
        mixed = sigma_x * sigma * np.sqrt(square) * cross / batch
        noise = sigma**2 * (cross**2 + rest) / batch
        yield Moments(inputs, mixed, noise)


def dataset_moments(
    x: ArrayLike, sigma: ArrayLike, batch: int, fixed: bool, generator: np.random.Generator
) -> Iterator[Moments]:
    """Yields the moments (runs,) of one batch after another, without end.

    `x` (runs, examples) has the single input feature of each run's examples. Each run shuffles its
    examples anew in each epoch. The noise of an example is N(0, sigma^2). It is drawn once if
    `fixed`, and otherwise in each epoch. `sigma` is a number or (runs,), and `batch` is the number
    of examples in a batch.

    Raises ValueError for a batch that does not divide the examples, or a sigma below 0.
    """
    inputs = finite("x", x)
    std = at_least("sigma", sigma, 0)
    if inputs.ndim != 2 or not inputs.size:
        raise ValueError(f"x must have the shape (runs, examples), got {inputs.shape}")
    examples = inputs.shape[1]
    if examples % whole("batch", batch, 1):
        raise ValueError(f"batch must divide the {examples} examples, got {batch}")
    return _shuffled_moments(inputs, std, batch, fixed, generator)


def _shuffled_moments(
    x: Floats, sigma: Floats, batch: int, fixed: bool, generator: np.random.Generator
) -> Iterator[Moments]:
    """Yields the moments (runs,) of one batch after another, for checked arguments.

    `x` is (runs, examples), `sigma` is a number or (runs,), `batch` divides the examples, and
    `fixed` tells whether the noise of an example is drawn only once.
    """
    runs, examples = x.shape
    stds = np.broadcast_to(sigma, (runs,))[:, None]
    noise = stds * generator.standard_normal(x.shape)
    indices = np.broadcast_to(np.arange(examples), x.shape)
    while True:
        order = generator.permuted(indices, axis=1)
        shuffled_x = np.take_along_axis(x, order, axis=1)
        shuffled_noise = np.take_along_axis(noise, order, axis=1)
        for start in range(0, examples, batch):
            rows = slice(start, start + batch)
            yield Moments.of(shuffled_x[:, rows], shuffled_noise[:, rows])
        if not fixed:
            noise = stds * generator.standard_normal(x.shape)


def descend(
    start: LinearNet,
    target: float,
    eta: ArrayLike,
    moments: Iterator[Moments],
    steps: int,
    every: int = 1,
) -> DescentPath:
    """Returns the weights of gradient descent, at step 0 and then each `every` steps.

    A step is w <- w - eta gradient, with the gradient of `linear_loss` on the step's batch.

    Args:
        start: Weights (runs, width) before the first step.
        target: The slope w* of the labels y = w* x.
        eta: The learning rate > 0, a number or (runs,).
        moments: The second moments (runs,) of each step's batch. Descent ends early if they end.
        steps: The number of steps, at least 0.
        every: The number of steps between snapshots, at least 1.

    Raises:
        ValueError: For a rate not above 0, and for weights of another shape.
    """
    rate, goal = positive("eta", eta), finite("target", target)
    stride, last = whole("every", every, 1), whole("steps", steps, 0)
    if start.first.ndim != 2:
        raise ValueError(
            f"start must have weights of the shape (runs, width), got {start.first.shape}"
        )
    runs = len(start.first)
    weights = np.stack([start.first, start.node, start.second])
    rates = np.broadcast_to(rate, (runs,))[:, None]
    diverged = np.full(runs, -1, dtype=np.int64)
    snapshots, snapshot_steps = [weights], [0]
    for step, batch in enumerate(islice(moments, last), start=1):
        slopes = np.stack(linear_slopes(weights, goal, batch))
        moving = diverged < 0
        change = np.where(moving[:, None], rates * slopes, 0.0)
        weights = weights - change
        squared_norms = np.einsum("krw,krw->r", weights, weights)
        diverged[moving & (squared_norms > LIMIT)] = step
        if step % stride == 0:
            snapshots.append(weights)
            snapshot_steps.append(step)
    path = np.moveaxis(np.array(snapshots), 1, 0)
    net = LinearNet(*path)
    return DescentPath(np.array(snapshot_steps, dtype=np.int64), net, diverged)
