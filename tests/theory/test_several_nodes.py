import numpy as np
import pytest

from mgaudit.theory.noise_node_dynamics import descend, fresh_moments
from mgaudit.theory.noise_nodes import LinearNet, noise_curvature
from mgaudit.theory.several_nodes import descend_nodes, several_nodes_curvature


def noise_loss(weights: np.ndarray, nodes: int, sigma: float) -> float:
    second, *inner = weights.reshape(nodes + 1, -1)
    return 0.5 * sigma**2 * sum(float(second @ node) ** 2 for node in inner)


def hessian(weights: np.ndarray, nodes: int, sigma: float, step: float = 1e-4) -> np.ndarray:
    """By central differences, exact up to rounding for a polynomial of order 4 with small steps."""
    size = len(weights)
    axes = step * np.eye(size)
    values = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
            losses = [noise_loss(weights + a * axes[i] + b * axes[j], nodes, sigma) * a * b
                      for a, b in signs]  # fmt: skip
            values[i, j] = sum(losses) / (4 * step**2)
    return values


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_the_curvature_is_the_top_eigenvalue_where_the_output_does_not_see_the_noise(
    nodes: int,
) -> None:
    generator = np.random.default_rng(nodes)
    second = generator.standard_normal(6)
    inner = generator.standard_normal((nodes, 6))
    across = inner - np.outer(inner @ second, second) / (second @ second)
    weights = np.concatenate([second, across.ravel()])
    top = np.linalg.eigvalsh(hessian(weights, nodes, sigma=0.7))[-1]
    assert several_nodes_curvature(second, across, 0.7) == pytest.approx(top, rel=1e-5)


def test_one_node_has_the_curvature_of_one_and_orthogonal_nodes_have_it_too() -> None:
    second, node = np.array([1.0, 2.0, 0.0, 0.0]), np.array([0.0, 0.0, 3.0, 0.0])
    single = noise_curvature(LinearNet(np.zeros(4), node, second), 0.5)
    other = np.array([0.0, 0.0, 0.0, 3.0])
    assert several_nodes_curvature(second, node[None], 0.5) == single
    assert several_nodes_curvature(second, np.stack([node, other]), 0.5) == pytest.approx(single)
    equal = several_nodes_curvature(second, np.stack([node] * 4), 0.5)
    assert equal == pytest.approx(0.25 * (5 + 4 * 9))
    runs = several_nodes_curvature(np.stack([second] * 2), np.ones((2, 3, 4)), [1.0, 2.0])
    assert runs == pytest.approx([5 + 12, 4 * (5 + 12)])


def test_descent_of_one_node_is_that_of_the_network_with_one_node() -> None:
    generator = np.random.default_rng(5)
    runs, width, sigma, steps = 400, 5, 0.8, 12
    start = LinearNet(*(np.repeat(0.5 * generator.standard_normal((3, 1, width)), runs, axis=1)))
    moments = fresh_moments(runs, 1.0, sigma, 16, generator)
    path = descend(start, 0.0, 0.1, moments, steps)
    expected = 0.5 * sigma**2 * path.net.leak**2
    inner = np.stack([start.first, start.node], axis=1)
    stds = np.tile([1.0, sigma], (runs, 1))
    losses, diverged = descend_nodes(inner, start.second, 0.1, stds, 16, steps, generator)
    assert not diverged.any()
    np.testing.assert_allclose(losses[0], expected[0], rtol=1e-12)
    error = np.hypot(losses.std(axis=1), expected.std(axis=1)) / np.sqrt(runs)
    distance = np.abs(losses.mean(axis=1) - expected.mean(axis=1))
    assert (distance[1:] < 4 * error[1:]).all()


def test_descent_follows_the_gradient_of_the_expected_loss_in_large_batches() -> None:
    generator = np.random.default_rng(6)
    nodes, width, eta, sigma = 3, 4, 0.05, 1.3
    second = generator.standard_normal(width)
    inner = generator.standard_normal((nodes, width))
    weights = np.concatenate([second, inner.ravel()])
    axes = 1e-6 * np.eye(len(weights))
    slopes = [(noise_loss(weights + axis, nodes, sigma) - noise_loss(weights - axis, nodes, sigma))
              / 2e-6 for axis in axes]  # fmt: skip
    after = noise_loss(weights - eta * np.array(slopes), nodes, sigma)
    stds = np.array([[0.0, *[sigma] * nodes]])
    losses, _ = descend_nodes(
        np.concatenate([np.zeros((1, 1, width)), inner[None]], axis=1),
        second[None],
        eta,
        stds,
        10**9,
        1,
        generator,
    )
    assert losses[1, 0] == pytest.approx(after, rel=1e-3)


def test_the_noises_loss_is_that_of_a_million_draws() -> None:
    generator = np.random.default_rng(7)
    inner, second = generator.standard_normal((3, 5)), generator.standard_normal(5)
    sigmas = np.array([0.3, 0.9])
    noise = sigmas * generator.standard_normal((1_000_000, 2))
    losses = 0.5 * (noise @ (inner[1:] @ second)) ** 2
    stds = np.array([[1.0, *sigmas]])
    ((expected,),), _ = descend_nodes(inner[None], second[None], 0.1, stds, 9, 0, generator)
    assert abs(losses.mean() - expected) < 4 * losses.std() / 1000


def test_a_run_that_diverges_stops_and_is_counted() -> None:
    inner = np.ones((2, 2, 3))
    stds = np.array([[0.0, 0.1], [0.0, 50.0]])
    losses, diverged = descend_nodes(
        inner, np.ones((2, 3)), 0.1, stds, 64, 100, np.random.default_rng(0)
    )
    assert diverged.tolist() == [False, True]
    assert np.isfinite(losses).all()
    assert losses[-1, 1] == losses[-2, 1]


def test_what_is_out_of_range_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"nodes must be \(..., nodes, width\)"):
        several_nodes_curvature(np.ones(3), np.ones(3), 1.0)
    with pytest.raises(ValueError, match="sigma must be >= 0"):
        several_nodes_curvature(np.ones(3), np.ones((1, 3)), -1.0)
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="inner, second and stds must be"):
        descend_nodes(np.ones((1, 2, 3)), np.ones((1, 3)), 0.1, np.ones((1, 3)), 9, 1, generator)
    with pytest.raises(ValueError, match="batch must be a whole number >= 2, got 1"):
        descend_nodes(np.ones((1, 2, 3)), np.ones((1, 3)), 0.1, np.ones((1, 2)), 1, 1, generator)
