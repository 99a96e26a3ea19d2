"""A noise injection node in a two-layer linear network: loss, curvature, phases, decay.

The node is an extra input that receives random noise e in place of data, and has weights w_ni to
the hidden layer (arXiv 2210.13599). In all functions, sigma_x and sigma >= 0 are the standard
deviations of the input and of the noise, and eta > 0 is the learning rate. w1 and w2 are the
weights of the hidden layer and of the output, and |w| is a norm. Arguments of type ArrayLike
broadcast, and the result has their common shape.

Depending on eta and sigma, training begins in one of four phases (`phase`): "decoupled" (the node's
weights hardly change, except by chance), "decay" (they fall towards 0), "catapult" (the loss grows
first and then falls) and "divergence" (the loss grows without bound).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, at_least, finite, positive, whole

Phase = Literal["decoupled", "decay", "catapult", "divergence"]

# Learning rate times curvature beyond which the loss of the noise grows at first (GROWTH) and
# without bound (ESCAPE).
GROWTH, ESCAPE = 2.0, 4.0


@dataclass(frozen=True)
class LinearNet:
    """The weights of f(x, e) = w2 . (w1 x + w_ni e), with scalar input x and noise e.

    `first` is w1, `node` is w_ni and `second` is w2. They are float64 of one shape (..., width),
    where width is the number of hidden neurons and the leading axes are runs. Raises ValueError if
    they have different shapes or a number that is not finite.
    """

    first: Floats
    node: Floats
    second: Floats

    def __post_init__(self) -> None:
        for name in ("first", "node", "second"):
            weights = finite(name, getattr(self, name))
            object.__setattr__(self, name, weights)
        shapes = [self.first.shape, self.node.shape, self.second.shape]
        if len(set(shapes)) > 1 or not shapes[0]:
            raise ValueError(
                f"first, node and second must be of one shape (..., width), got {shapes}"
            )

    @property
    def slope(self) -> Floats:
        """The factor w2 . w1 of the input in the output, (...)."""
        return _dot(self.second, self.first)

    @property
    def leak(self) -> Floats:
        """The factor w2 . w_ni of the noise in the output, (...)."""
        return _dot(self.second, self.node)


@dataclass(frozen=True)
class Moments:
    """The second moments of input x and noise e over a batch, or their expectations, each (...).

    `inputs` is the mean of x x, `mixed` of x e and `noise` of e e. The loss and the gradient depend
    on the batch only by these means.
    """

    inputs: Floats
    mixed: Floats
    noise: Floats

    @classmethod
    def expected(cls, sigma_x: ArrayLike, sigma: ArrayLike) -> "Moments":
        """Returns the expected moments of independent x ~ N(0, sigma_x^2) and e ~ N(0, sigma^2).

        Raises ValueError for a standard deviation that is below 0 or not finite.
        """
        input_variance = at_least("sigma_x", sigma_x, 0) ** 2
        noise_variance = at_least("sigma", sigma, 0) ** 2
        inputs, noise = np.broadcast_arrays(input_variance, noise_variance)
        return cls(inputs, np.zeros_like(inputs), noise)

    @classmethod
    def of(cls, x: ArrayLike, noise: ArrayLike) -> "Moments":
        """Returns the moments (...) of batches, as means over the last axis.

        `x` and `noise` have one shape (..., batch). Raises ValueError for other shapes.
        """
        x, noise = finite("x", x), finite("noise", noise)
        if x.shape != noise.shape or not x.ndim or not x.shape[-1]:
            raise ValueError(
                f"x and noise must be of one shape (..., batch), got {x.shape} and {noise.shape}"
            )
        batch = x.shape[-1]
        inputs = _dot(x, x) / batch
        mixed = _dot(x, noise) / batch
        return cls(inputs, mixed, _dot(noise, noise) / batch)


def linear_loss(net: LinearNet, target: float, moments: Moments) -> Floats:
    """Returns the mean of (f(x, e) - target x)^2 / 2 over input and noise of these moments, (...).

    `target` is the slope of the labels, one number. With r = w2 . w1 - target and s = w2 . w_ni the
    loss is

        r^2 E[x x] / 2 + r s E[x e] + s^2 E[e e] / 2,

    and its expectation is (sigma_x^2 r^2 + sigma^2 s^2) / 2 (arXiv 2210.13599, linear model).

    >>> net = LinearNet(np.array([1.0, 0.0]), np.array([0.0, 2.0]), np.array([3.0, 1.0]))
    >>> float(linear_loss(net, 1.0, Moments.expected(1.0, 0.5)))  # ((3 - 1)^2 + 0.25 * 2^2) / 2
    2.5
    """
    r = net.slope - finite("target", target)
    s = net.leak
    from_inputs = 0.5 * r**2 * moments.inputs
    from_noise = 0.5 * s**2 * moments.noise
    loss: Floats = from_inputs + r * s * moments.mixed + from_noise
    return loss


def linear_gradient(net: LinearNet, target: float, moments: Moments) -> LinearNet:
    """Returns the gradient of `linear_loss` with respect to each weight, each part (..., width).

    With r = w2 . w1 - target, s = w2 . w_ni, a = r E[x x] + s E[x e] and b = r E[x e] + s E[e e],
    the derivatives are

        a w2 in w1,    b w2 in w_ni,    a w1 + b w_ni in w2.
    """
    weights = np.stack([net.first, net.node, net.second])
    return LinearNet(*linear_slopes(weights, finite("target", target), moments))


def linear_slopes(
    weights: Floats, target: Floats, moments: Moments
) -> tuple[Floats, Floats, Floats]:
    """Returns the derivatives of `linear_gradient` in w1, w_ni and w2, each (..., width).

    `weights` (3, ..., width) has w1, w_ni and w2. Arguments are not checked.
    """
    first, node, second = weights
    r = _dot(second, first) - target
    s = _dot(second, node)
    a = (r * moments.inputs + s * moments.mixed)[..., None]
    b = (r * moments.mixed + s * moments.noise)[..., None]
    by_second = a * first + b * node
    return a * second, b * second, by_second


def noise_curvature(net: LinearNet, sigma: ArrayLike) -> Floats:
    """Returns sigma^2 (|w2|^2 + |w_ni|^2), (...), the curvature of the noise's part of the loss.

    This part is sigma^2 s^2 / 2 with s = w2 . w_ni. At s = 0, its Hessian has only one eigenvalue
    other than 0, which is the result. If the noise dominates the loss, the result is also the
    largest curvature (Hessian eigenvalue) of the whole loss. Raises ValueError
    for a sigma below 0 or not finite.
    """
    second_square = _dot(net.second, net.second)
    squared_norms = second_square + _dot(net.node, net.node)
    curvature: Floats = at_least("sigma", sigma, 0) ** 2 * squared_norms
    return curvature


def pull(eta: ArrayLike, sigma: ArrayLike, second_norm: ArrayLike) -> Floats:
    """Returns eta sigma^2 |w2|^2, the share of the node's weight along w2 that a step removes.

    The weight along w2 is the component of w_ni in the direction of w2, and `second_norm` is |w2|.
    Raises ValueError for a rate not above 0, and for sigma or |w2| below 0.
    """
    rate = positive("eta", eta)
    variance = at_least("sigma", sigma, 0) ** 2
    squared_norm = at_least("second_norm", second_norm, 0) ** 2
    share: Floats = rate * variance * squared_norm
    return share


def walk(eta: ArrayLike, sigma: ArrayLike, preactivation_gradient: ArrayLike, batch: int) -> Floats:
    """Returns the standard deviation of a step's random change of the node's weights:

        eta sigma |g| / sqrt(batch).

    g is the gradient of an example's noise-free loss with respect to the preactivations of the
    hidden neurons, and `preactivation_gradient` is |g|, the root mean square of its norm over
    examples. In the linear network |g| is sigma_x |r| |w2| with r = w2 . w1 - target. Examples and
    their noise are independent, so the mean of e g over a batch has expectation 0 and standard
    deviation sigma |g| / sqrt(batch). Raises ValueError for a rate not above 0, a sigma or |g|
    below 0, and a batch below 1.
    """
    rate = positive("eta", eta)
    std = at_least("sigma", sigma, 0)
    gradient_norm = at_least("preactivation_gradient", preactivation_gradient, 0)
    root_batch = np.sqrt(whole("batch", batch, 1))
    size: Floats = rate * std * gradient_norm / root_batch
    return size


def decoupled_sigma(
    second_norm: float, node_along: float, preactivation_gradient: float, batch: int
) -> float:
    """Returns the sigma at which a step pulls the node as far towards 0 as chance moves it.

    A step pulls the node by |w_ni along w2| times `pull`, and chance moves it by `walk`. The two
    distances are equal, at every learning rate, for

        sigma = |g| / (sqrt(batch) |w2|^2 |w_ni along w2|).

    `second_norm` is |w2|, `node_along` is |w_ni along w2| and `preactivation_gradient` is |g|, as
    in `walk`. Raises ValueError for |w2| or |w_ni along w2| not above 0, |g| below 0 and a batch
    below 1.
    """
    along = float(positive("node_along", node_along))
    gradient_norm = float(at_least("preactivation_gradient", preactivation_gradient, 0))
    squared_norm = float(positive("second_norm", second_norm)) ** 2
    root_batch = float(np.sqrt(whole("batch", batch, 1)))
    return gradient_norm / (root_batch * (squared_norm * along))


def phase(eta: float, curvature: float, pulled: float, walked: float) -> Phase:
    """Returns the phase that training begins in (arXiv 2210.13599, linear model).

    `curvature` is the initial `noise_curvature`. The phase is "divergence" for eta times curvature
    >= 4, and "catapult" (the loss grows, then falls at a lower curvature) for >= 2. Below 2 it is
    "decoupled" if `pulled` < `walked`, and "decay" otherwise. `pulled` is how far a step pulls the
    node towards 0, its weight along w2 times `pull`, and `walked` is how far the node moves by
    chance, `walk`. Raises ValueError for a rate not above 0, and for other arguments below 0.

    >>> [phase(0.1, curvature, 0.5, 0.1) for curvature in (10, 30, 50)]
    ['decay', 'catapult', 'divergence']
    >>> phase(0.1, 10, 0.1, 0.5)
    'decoupled'
    """
    sharpness = float(positive("eta", eta) * at_least("curvature", curvature, 0))
    pull_size = float(at_least("pulled", pulled, 0))
    walk_size = float(at_least("walked", walked, 0))
    if sharpness >= ESCAPE:
        return "divergence"
    if sharpness >= GROWTH:
        return "catapult"
    return "decoupled" if pull_size < walk_size else "decay"


def node_decay_time(eta: ArrayLike, sigma: ArrayLike, second_norm: ArrayLike) -> Floats:
    """Returns the number of steps in which the node's weight along w2 falls by the factor e:

        1 / (eta sigma^2 |w2|^2).

    `second_norm` is |w2|. This holds for gradient flow on the noise's part of the loss at constant
    w2, which needs |w_ni|^2 << |w2|^2. Without noise (sigma = 0) the result is inf. Raises
    ValueError as `pull` does.
    """
    return _inverse(pull(eta, sigma, second_norm))


def loss_decay_time(
    eta: ArrayLike, sigma_x: ArrayLike, first_norm: ArrayLike, second_norm: ArrayLike
) -> Floats:
    """Returns the number of steps in which the noise-free loss falls by the factor e:

        1 / (2 eta sigma_x^2 (|w1|^2 + |w2|^2)).

    `first_norm` is |w1| and `second_norm` is |w2|. This holds for gradient flow near the target,
    where the norms are constant. The result is inf where the loss does not change. Raises
    ValueError as `pull` does.
    """
    first_square = at_least("first_norm", first_norm, 0) ** 2
    second_square = at_least("second_norm", second_norm, 0) ** 2
    variance = at_least("sigma_x", sigma_x, 0) ** 2
    rate = 2.0 * positive("eta", eta) * variance
    return _inverse(rate * (first_square + second_square))


def _inverse(rate: Floats) -> Floats:
    """Returns 1 / rate for rates >= 0 of any shape; inf where the rate is 0."""
    inverse = np.full(np.shape(rate), np.inf)
    np.divide(1.0, rate, out=inverse, where=rate > 0)
    return inverse


def _dot(left: Floats, right: Floats) -> Floats:
    """Returns the scalar products over the last axis, (...) for two (..., width)."""
    product: Floats = np.einsum("...i,...i->...", left, right)
    return product
