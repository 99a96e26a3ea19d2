"""Gradient descent of the linear network with a noise node, simulated."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgaudit.theory.arguments import Floats, at_least, finite, positive, whole
from mgaudit.theory.noise_nodes import LinearNet, Moments, linear_slopes

LIMIT = 1e12  # squared norm of all weights; past it a run counts as diverged and is stopped


@dataclass(frozen=True)
class DescentPath:
    """Weights along descent: `net` has leading axes (snapshots, runs), `steps` (snapshots,) says after which steps.

    `diverged` (runs,) is the step at which a run's weights passed LIMIT, from which on they stay as they were, or -1.
    """

    steps: NDArray[np.int64]
    net: LinearNet
    diverged: NDArray[np.int64]


def fresh_moments(
    runs: int, sigma_x: ArrayLike, sigma: ArrayLike, batch: int, generator: np.random.Generator
) -> Iterator[Moments]:
    """Yields the second moments of batches of new inputs N(0, sigma_x^2) with new noise N(0, sigma^2), each (runs,).

    They are drawn as what they are, a Wishart matrix by Bartlett's decomposition, so a batch of any size costs the
    same. Sds are numbers or (runs,). Raises ValueError for an sd below 0 and for `runs` or `batch` below 1.
    """
    shape, size = whole("runs", runs, 1), whole("batch", batch, 1)
    of_input, of_noise = at_least("sigma_x", sigma_x, 0), at_least("sigma", sigma, 0)
    return _fresh_moments(shape, of_input, of_noise, size, generator)


def _fresh_moments(
    runs: int, sigma_x: Floats, sigma: Floats, batch: int, generator: np.random.Generator
) -> Iterator[Moments]:
    while True:
        square = generator.chisquare(batch, runs)
        cross = generator.standard_normal(runs)
        rest = generator.chisquare(batch - 1, runs) if batch > 1 else np.zeros(runs)
        yield Moments(
            sigma_x**2 * square / batch,
            sigma_x * sigma * np.sqrt(square) * cross / batch,
            sigma**2 * (cross**2 + rest) / batch,
        )


def dataset_moments(
    x: ArrayLike, sigma: ArrayLike, batch: int, fixed: bool, generator: np.random.Generator
) -> Iterator[Moments]:
    """Yields the second moments (runs,) of batches of inputs `x` (runs, examples), shuffled anew for each epoch.

    Noise N(0, sigma^2) is drawn for each example once where it is `fixed`, and anew each epoch where not; sigma is a
    number or (runs,). Raises ValueError for a batch that does not divide the examples, or a sigma below 0.
    """
    inputs, sd = finite("x", x), at_least("sigma", sigma, 0)
    if inputs.ndim != 2 or not inputs.size:
        raise ValueError(f"x must have the shape (runs, examples), got {inputs.shape}")
    if inputs.shape[1] % whole("batch", batch, 1):
        raise ValueError(f"batch must divide the {inputs.shape[1]} examples, got {batch}")
    return _dataset_moments(inputs, sd, batch, fixed, generator)


def _dataset_moments(
    x: Floats, sigma: Floats, batch: int, fixed: bool, generator: np.random.Generator
) -> Iterator[Moments]:
    runs, examples = x.shape
    sd = np.broadcast_to(sigma, (runs,))[:, None]
    noise = sd * generator.standard_normal(x.shape)
    while True:
        order = generator.permuted(np.broadcast_to(np.arange(examples), x.shape), axis=1)
        seen, with_it = np.take_along_axis(x, order, axis=1), np.take_along_axis(noise, order, axis=1)
        for start in range(0, examples, batch):
            yield Moments.of(seen[:, start : start + batch], with_it[:, start : start + batch])
        if not fixed:
            noise = sd * generator.standard_normal(x.shape)


def descend(
    start: LinearNet, target: float, eta: ArrayLike, moments: Iterator[Moments], steps: int, every: int = 1
) -> DescentPath:
    """Returns the weights w <- w - eta gradient at step 0 and each `every` steps, the batch of a step being `moments`.

    `start` has weights (runs, width), `eta` is a number or (runs,). Raises ValueError for a rate not above 0.
    """
    rate, goal, stride = positive("eta", eta), finite("target", target), whole("every", every, 1)
    if start.first.ndim != 2:
        raise ValueError(f"start must have weights of the shape (runs, width), got {start.first.shape}")
    weights = np.stack([start.first, start.node, start.second])
    scale = np.broadcast_to(rate, weights.shape[1:2])[:, None]
    diverged = np.full(weights.shape[1], -1, dtype=np.int64)
    kept, at = [weights], [0]
    for step, batch in enumerate(islice(moments, whole("steps", steps, 0)), start=1):
        slopes = np.stack(linear_slopes(weights, goal, batch))
        moving = diverged < 0
        weights = weights - np.where(moving[:, None], scale * slopes, 0.0)
        diverged[moving & (np.einsum("krw,krw->r", weights, weights) > LIMIT)] = step
        if step % stride == 0:
            kept.append(weights)
            at.append(step)
    return DescentPath(np.array(at, dtype=np.int64), LinearNet(*np.moveaxis(np.array(kept), 1, 0)), diverged)
