"""Several noise nodes in a two-layer linear network: the curvature, and gradient descent.

The network is f(x, e) = w2 . (w1 x + sum_k w_k e_k), with the scalar input x, and the noise e_k and
the weights w_k of node k = 1 ... K. The paper on noise nodes (arXiv 2210.13599) treats one node and
proposes several; `noise_nodes` has the formulas for one.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgaudit.theory.arguments import Floats, at_least, finite, positive, whole
from mgaudit.theory.noise_node_dynamics import LIMIT


def several_nodes_curvature(second: ArrayLike, nodes: ArrayLike, sigma: ArrayLike) -> Floats:
    """Returns sigma^2 (|w2|^2 + g), the top curvature of the noise's part of the loss, (...).

    g is the largest eigenvalue of the Gram matrix w_k . w_l of the nodes. The noise's part of the
    loss is sigma^2 sum_k (w2 . w_k)^2 / 2. At w2 . w_k = 0 for all k, its Hessian is sigma^2 J^T
    J, where row k of J is the derivative of w2 . w_k, so J J^T = |w2|^2 I + (w_k . w_l). For
    orthogonal nodes of one length, the result does not depend on their number; for K equal nodes,
    g is K |w_1|^2.

    Args:
        second: w2, (..., width).
        nodes: The weights of the nodes, (..., K, width).
        sigma: The standard deviation >= 0 of the noise of each node, a number or (...).

    Raises:
        ValueError: For shapes that do not fit, and for a number out of its range.
    """
    outer, inner = finite("second", second), finite("nodes", nodes)
    if inner.ndim < 2 or not inner.shape[-2] or outer.shape != inner.shape[:-2] + inner.shape[-1:]:
        raise ValueError(
            f"nodes must be (..., nodes, width) for second (..., width), got {inner.shape} and "
            f"{outer.shape}"
        )
    gram = np.einsum("...kw,...lw->...kl", inner, inner)
    largest = np.linalg.eigvalsh(gram)[..., -1]
    outer_square = np.einsum("...w,...w->...", outer, outer)
    variance = at_least("sigma", sigma, 0) ** 2
    curvature: Floats = variance * (outer_square + largest)
    return curvature


def descend_nodes(
    inner: ArrayLike,
    second: ArrayLike,
    eta: float,
    stds: ArrayLike,
    batch: int,
    steps: int,
    generator: np.random.Generator,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Returns the noise's loss along gradient descent, and which runs diverged.

    The labels are 0. With the inputs u = (x, e_1, ..., e_K), their second moments M over the batch
    of a step, V = (w1, w_1, ..., w_K) and c = V w2, the loss is c^T M c / 2, and its derivatives
    are (M c) w2^T in V and V^T M c in w2. M is drawn directly as a Wishart matrix, by Bartlett's
    decomposition.

    Args:
        inner: The initial V, (runs, K + 1, width); row 0 is w1.
        second: The initial w2, (runs, width).
        eta: The learning rate > 0.
        stds: The standard deviations >= 0 of the inputs u, (runs, K + 1).
        batch: The number of examples in a batch, at least K + 1.
        steps: The number of steps, at least 0.
        generator: Draws the batches.

    Returns:
        The expected loss of the noise, sum_k sigma_k^2 (w2 . w_k)^2 / 2, (steps + 1, runs), and
        whether the squared norm of a run's weights exceeded LIMIT, (runs,). Its weights then stay.

    Raises:
        ValueError: For shapes that do not fit, and for a number out of its range.
    """
    v, w2 = finite("inner", inner), finite("second", second)
    rate, scales = float(positive("eta", eta)), at_least("stds", stds, 0)
    if v.ndim != 3 or w2.shape != (len(v), v.shape[2]) or scales.shape != v.shape[:2]:
        shapes = f"{v.shape}, {w2.shape} and {scales.shape}"
        raise ValueError(
            "inner, second and stds must be (runs, inputs, width), (runs, width) and (runs, "
            f"inputs), got {shapes}"
        )
    size, last = whole("batch", batch, v.shape[1]), whole("steps", steps, 0)
    diverged = np.zeros(len(v), dtype=bool)
    losses = [_noise_loss(v, w2, scales)]
    for _ in range(last):
        products = np.einsum("rkw,rw->rk", v, w2)
        errors = _weighted(products, scales, size, generator)
        moving = ~diverged[:, None] * rate
        change = np.einsum("rkw,rk->rw", v, errors)
        v = v - moving[..., None] * errors[..., None] * w2[:, None]
        w2 = w2 - moving * change
        squares = np.einsum("rkw,rkw->r", v, v) + np.einsum("rw,rw->r", w2, w2)
        diverged |= squares > LIMIT
        losses.append(_noise_loss(v, w2, scales))
    return np.stack(losses), diverged


def _weighted(products: Floats, stds: Floats, batch: int, generator: np.random.Generator) -> Floats:
    """Returns M c (runs, inputs) for c = `products` and the second moments M of one batch.

    With L lower triangular, chi-distributed on the diagonal and normal below it, L L^T / batch has
    the law of the second moments of standard normals.
    """
    runs, inputs = products.shape
    lower = np.tril(generator.standard_normal((runs, inputs, inputs)), k=-1)
    degrees = batch - np.arange(inputs)
    diagonal = np.sqrt(generator.chisquare(degrees, (runs, inputs)))
    lower[:, range(inputs), range(inputs)] = diagonal
    transposed_product = np.einsum("rji,rj->ri", lower, stds * products)
    product = np.einsum("rij,rj->ri", lower, transposed_product)
    weighted: Floats = stds * product / batch
    return weighted


def _noise_loss(v: Floats, w2: Floats, stds: Floats) -> Floats:
    """Returns the expected loss (runs,) of the noise of all nodes, without that of the data."""
    products = np.einsum("rkw,rw->rk", v[:, 1:], w2)
    weighted: Floats = (stds[:, 1:] * products) ** 2
    return np.asarray(0.5 * weighted.sum(axis=1))
