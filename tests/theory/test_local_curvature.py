import math

import numpy as np
import pytest
from scipy.special import logsumexp

from mgaudit.theory.local_curvature import (
    along,
    factored_trace,
    gradient_from_steps,
    gradient_square,
    local_gradients,
    local_traces,
    output_derivatives,
    trace_from_steps,
    weight_trace,
)

LOSSES = ("squared", "cross-entropy")


def loss_of(outputs: np.ndarray, label: int, loss: str) -> float:
    if loss == "squared":
        return 0.5 * float(((outputs - np.eye(len(outputs))[label]) ** 2).sum())
    return float(logsumexp(outputs) - outputs[label])


@pytest.mark.parametrize("loss", LOSSES)
def test_derivatives_by_outputs_are_those_of_the_loss(loss: str) -> None:
    generator = np.random.default_rng(0)
    outputs, labels = generator.standard_normal((3, 4)), np.array([0, 2, 3])
    derivatives = output_derivatives(outputs, labels, loss)  # type: ignore[arg-type]
    step = 1e-4
    for row, label, slope, curvature in zip(
        outputs, labels, derivatives.slopes, derivatives.curvatures, strict=True
    ):
        for unit, axis in enumerate(step * np.eye(4)):
            up, down = (loss_of(row + sign * axis, label, loss) for sign in (1, -1))
            middle = loss_of(row, label, loss)
            assert slope[unit] == pytest.approx((up - down) / (2 * step), abs=1e-6)
            second = (up - 2 * middle + down) / step**2
            assert curvature[unit, unit] == pytest.approx(second, abs=1e-5)
    assert np.allclose(derivatives.curvatures, np.swapaxes(derivatives.curvatures, 1, 2))
    if loss == "cross-entropy":
        assert np.allclose(derivatives.curvatures.sum(axis=2), 0)


def test_traces_and_gradients_are_those_of_the_matrices() -> None:
    generator = np.random.default_rng(1)
    jacobian = generator.standard_normal((5, 3, 4))
    halves = generator.standard_normal((5, 3, 3))
    curvatures = halves @ np.swapaxes(halves, 1, 2)
    slopes, inputs = generator.standard_normal((5, 3)), generator.standard_normal((5, 2))
    local = [j.T @ h @ j for j, h in zip(jacobian, curvatures, strict=True)]
    traces = local_traces(jacobian, curvatures)
    np.testing.assert_allclose(traces, [np.trace(h) for h in local])
    direction = generator.standard_normal(4)
    expected = direction @ np.mean(local, axis=0) @ direction
    assert along(jacobian, curvatures, direction) == pytest.approx(expected)
    gradients = local_gradients(jacobian, slopes)
    np.testing.assert_allclose(gradients, [j.T @ p for j, p in zip(jacobian, slopes, strict=True)])
    mean = np.mean([np.outer(g, [*a, 1.0]) for g, a in zip(gradients, inputs, strict=True)], axis=0)
    assert gradient_square(gradients, inputs) == pytest.approx((mean**2).sum())
    sizes = [a @ a + 1 for a in inputs]
    assert weight_trace(traces, inputs) == pytest.approx(np.mean(sizes * traces))
    assert factored_trace(2.0, inputs) == pytest.approx(2 * np.mean(sizes))
    same = np.repeat(inputs[:1], 5, axis=0)
    assert factored_trace(float(traces.mean()), same) == pytest.approx(weight_trace(traces, same))


def quadratic_steps(
    examples: int, repeats: int, start: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps of one node, its Hessian and gradients, for losses g . z + z^T h z / 2."""
    width = start.shape[-1]
    half = generator.standard_normal((width, width))
    hessian = half @ half.T
    gradients = generator.standard_normal((examples, width))
    noise = 0.3 * generator.standard_normal((repeats, examples))
    mean = (noise @ gradients) / examples
    curved = (noise**2).mean(axis=1)[:, None] * (start @ hessian)
    return -0.1 * (mean + curved), hessian, gradients


def test_steps_of_a_node_show_trace_and_gradient_without_bias() -> None:
    generator = np.random.default_rng(2)
    examples, repeats, width = 50, 20_000, 4
    start = 0.5 * generator.choice([-1.0, 1.0], (repeats, width))
    steps, hessian, _ = quadratic_steps(examples, repeats, start, generator)
    traces = trace_from_steps(start, steps, eta=0.1, sigma=0.3)
    error = float(traces.std()) / math.sqrt(repeats)
    assert abs(traces.mean() - np.trace(hessian)) < 4 * error < 0.1 * np.trace(hessian)
    at_zero, _, gradients = quadratic_steps(examples, repeats, np.zeros((1, width)), generator)
    squares = gradient_from_steps(at_zero, eta=0.1, sigma=0.3, batch=examples)
    exact = float((gradients**2).sum(axis=1).mean())
    error = float(squares.std()) / math.sqrt(repeats)
    assert abs(squares.mean() - exact) < 4 * error < 0.1 * exact


def test_as_many_orthogonal_nodes_as_neurons_show_the_trace_exactly() -> None:
    generator = np.random.default_rng(3)
    half = generator.standard_normal((5, 5))
    hessian = half @ half.T
    start = 0.2 * np.linalg.qr(generator.standard_normal((5, 5)))[0]
    steps = -0.1 * 0.3**2 * start @ hessian
    traces = trace_from_steps(start, steps, eta=0.1, sigma=0.3)
    assert traces.mean() == pytest.approx(np.trace(hessian))


def test_what_is_out_of_range_is_refused_by_name() -> None:
    ones = np.ones(3)
    with pytest.raises(ValueError, match="eta must be > 0"):
        trace_from_steps(ones, ones, 0.0, 1.0)
    with pytest.raises(ValueError, match="sigma must be > 0"):
        gradient_from_steps(ones, 0.1, 0.0, 5)
    with pytest.raises(ValueError, match="batch must be a whole number >= 1, got 0"):
        gradient_from_steps(ones, 0.1, 1.0, 0)
