import itertools
import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgaudit.theory.noise_node_dynamics import (
    LIMIT,
    dataset_moments,
    descend,
    fresh_moments,
)
from mgaudit.theory.noise_nodes import (
    LinearNet,
    Moments,
    decoupled_sigma,
    linear_gradient,
    linear_loss,
    loss_decay_time,
    node_decay_time,
    noise_curvature,
    phase,
    pull,
    walk,
)

TARGET = 0.7
FAST = settings(max_examples=30, deadline=None)


def net(generator: np.random.Generator, *shape: int, scale: float = 1.0) -> LinearNet:
    return LinearNet(*(scale * generator.standard_normal((3, *shape))))


def flat(net: LinearNet) -> np.ndarray:
    return np.concatenate([net.first, net.node, net.second])


def unflat(values: np.ndarray) -> LinearNet:
    return LinearNet(*values.reshape(3, -1))


@pytest.mark.parametrize("sigma_x", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("sigma", [0.0, 0.5, 3.0])
def test_the_expected_loss_is_that_of_a_million_draws(sigma_x: float, sigma: float) -> None:
    generator = np.random.default_rng(int(10 * sigma_x + 100 * sigma))
    weights, draws = net(generator, 5), 1_000_000
    x, noise = sigma_x * generator.standard_normal(draws), sigma * generator.standard_normal(draws)
    output = weights.second @ weights.first * x + weights.second @ weights.node * noise
    losses = 0.5 * (output - TARGET * x) ** 2
    expected = float(linear_loss(weights, TARGET, Moments.expected(sigma_x, sigma)))
    error = float(losses.std()) / math.sqrt(draws)
    assert abs(losses.mean() - expected) <= 4 * error
    if sigma == 3.0:  # the noise is enough of the loss for its power to be told
        wrong = float(linear_loss(weights, TARGET, Moments.expected(sigma_x, 1.1 * sigma)))
        assert abs(losses.mean() - wrong) > 4 * error


def test_the_loss_of_a_batch_is_the_mean_over_it_whatever_its_correlations() -> None:
    generator = np.random.default_rng(1)
    weights = net(generator, 4)
    x = generator.standard_normal(30)
    noise = 0.5 * x + generator.standard_normal(30)
    hidden = np.outer(x, weights.first) + np.outer(noise, weights.node)
    assert float(linear_loss(weights, TARGET, Moments.of(x, noise))) == pytest.approx(
        float(np.mean((hidden @ weights.second - TARGET * x) ** 2) / 2), rel=1e-12
    )


@pytest.mark.parametrize("of_batch", [True, False])
def test_the_gradient_is_the_slope_of_the_loss(of_batch: bool) -> None:
    generator = np.random.default_rng(2)
    point = generator.standard_normal(15)
    x, noise = generator.standard_normal((2, 20))
    moments = Moments.of(x, x + 2 * noise) if of_batch else Moments.expected(1.3, 2.1)
    slopes = flat(linear_gradient(unflat(point), TARGET, moments))
    step = 1e-5
    for index in range(15):
        ahead, behind = (
            float(
                linear_loss(unflat(point + sign * step * (np.arange(15) == index)), TARGET, moments)
            )
            for sign in (1, -1)
        )
        assert slopes[index] == pytest.approx((ahead - behind) / (2 * step), rel=1e-6, abs=1e-8)


def test_the_expected_gradient_is_that_of_a_million_draws() -> None:
    generator = np.random.default_rng(3)
    weights, draws = net(generator, 3), 1_000_000
    x, noise = 0.8 * generator.standard_normal(draws), 1.7 * generator.standard_normal(draws)
    residual = weights.slope * x + weights.leak * noise - TARGET * x
    expected = linear_gradient(weights, TARGET, Moments.expected(0.8, 1.7))
    for got, by in ((expected.first, residual * x), (expected.node, residual * noise)):
        samples = by[:, None] * weights.second
        assert (
            np.abs(samples.mean(axis=0) - got) < 4 * samples.std(axis=0) / math.sqrt(draws)
        ).all()
    samples = residual[:, None] * (np.outer(x, weights.first) + np.outer(noise, weights.node))
    assert (
        np.abs(samples.mean(axis=0) - expected.second) < 4 * samples.std(axis=0) / math.sqrt(draws)
    ).all()


def test_without_noise_the_node_gets_no_gradient_and_the_loss_does_not_see_it() -> None:
    weights = net(np.random.default_rng(4), 6)
    other = LinearNet(weights.first, 5 * weights.node, weights.second)
    plain = Moments.expected(1.0, 0.0)
    assert (linear_gradient(weights, TARGET, plain).node == 0).all()
    assert linear_loss(weights, TARGET, plain) == linear_loss(other, TARGET, plain)


@pytest.mark.parametrize("width", [1, 2, 7])
def test_the_noise_curvature_is_the_top_eigenvalue_of_the_hessian_where_the_leak_is_none(
    width: int,
) -> None:
    generator = np.random.default_rng(5)
    weights = net(generator, width)
    if width == 1:
        weights = LinearNet(weights.first, 0 * weights.node, weights.second)
    else:  # w_ni orthogonal to w2
        along = weights.leak / (weights.second @ weights.second)
        weights = LinearNet(weights.first, weights.node - along * weights.second, weights.second)
    moments, step = Moments.expected(0.0, 1.4), 1e-4
    point = flat(weights)
    hessian = np.stack(
        [
            (
                flat(linear_gradient(unflat(point + step * axis), TARGET, moments))
                - flat(linear_gradient(unflat(point - step * axis), TARGET, moments))
            )
            / (2 * step)
            for axis in np.eye(3 * width)
        ]
    )
    eigenvalues = np.linalg.eigvalsh(hessian)
    assert eigenvalues[-1] == pytest.approx(float(noise_curvature(weights, 1.4)), rel=1e-6)
    assert np.abs(eigenvalues[:-1]).max(initial=0.0) < 1e-6 * eigenvalues[-1]


def noise_dominated(
    leak: float, curvature: float, eta: float, sigma: float, steps: int
) -> tuple[np.ndarray, ...]:
    """s = w2 . w_ni and l = sigma^2 (|w2|^2 + |w_ni|^2) at each step of descent on sigma^2 s^2 / 2
    alone.

    s <- s (1 - eta l + eta^2 sigma^4 s^2), l <- l + eta sigma^4 s^2 (eta l - 4); stops where s
    passes LIMIT.
    """
    s, curvatures = [leak], [curvature]
    for _ in range(steps):
        square = (sigma**2 * s[-1]) ** 2
        s.append(s[-1] * (1 - eta * curvatures[-1] + eta**2 * square))
        curvatures.append(curvatures[-1] + eta * square * (eta * curvatures[-1] - 4))
        if abs(s[-1]) > LIMIT:
            break
    return np.array(s), np.array(curvatures)


@pytest.mark.parametrize("start", [0.5, 1.9, 2.5, 3.9])
def test_the_closed_map_is_gradient_descent_on_the_noise_alone(start: float) -> None:
    generator = np.random.default_rng(6)
    eta, sigma = 0.3, 1.5
    weights = net(generator, 1, 20, scale=0.2)
    scale = math.sqrt(start / (eta * float(noise_curvature(weights, sigma)[0])))
    weights = LinearNet(0 * weights.first, scale * weights.node, scale * weights.second)
    path = descend(weights, TARGET, eta, itertools.repeat(Moments.expected(0.0, sigma)), 60)
    leak, curvature = noise_dominated(
        float(weights.leak[0]), float(noise_curvature(weights, sigma)[0]), eta, sigma, 60
    )
    np.testing.assert_allclose(path.net.leak[:, 0], leak, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(noise_curvature(path.net, sigma)[:, 0], curvature, rtol=1e-8)


@given(st.floats(1e-6, 1e-3))
@FAST
def test_noise_alone_does_what_the_phase_says(share: float) -> None:
    for sharpness, expected in (
        (0.5, "decay"),
        (1.9, "decay"),
        (2.1, "catapult"),
        (3.9, "catapult"),
    ):
        leak = share * sharpness  # twice the share of the largest leak that this curvature allows
        s, curvature = noise_dominated(leak, sharpness, 1.0, 1.0, 800)
        assert phase(1.0, sharpness, 1.0, 0.5) == expected
        assert (np.diff(np.abs(s)) <= 0).all() == (expected == "decay")
        assert (np.diff(curvature) <= 0).all()
        assert curvature[-1] < 2
        if expected == "catapult":
            assert np.abs(s).max() > 10 * abs(s[0])
            assert abs(s[-1]) < np.abs(s).max() / 10
    for sharpness in (4.1, 50.0):
        s, _ = noise_dominated(share * sharpness, sharpness, 1.0, 1.0, 60)
        assert phase(1.0, sharpness, 1.0, 0.5) == "divergence"
        assert abs(s[-1]) > 1e12


@pytest.mark.parametrize(
    ("sharpness", "phases"),
    [(0.0, "decay"), (1.999, "decay"), (2.0, "catapult"), (3.999, "catapult"), (4.0, "divergence")],
)
def test_the_phases_meet_at_two_and_four(sharpness: float, phases: str) -> None:
    assert phase(0.5, 2 * sharpness, 1.0, 0.5) == phases
    assert phase(0.5, 2 * sharpness, 0.5, 1.0) == ("decoupled" if phases == "decay" else phases)


def test_equal_pull_and_walk_are_not_decoupled() -> None:
    assert phase(0.1, 1.0, 0.3, 0.3) == "decay"


SIZE = st.floats(1e-6, 1e6)
SIZE_OR_NONE = st.just(0.0) | SIZE


@given(SIZE, SIZE_OR_NONE, SIZE_OR_NONE, st.integers(1, 10**9))
@FAST
def test_pull_and_walk_are_finite_and_grow_with_their_scales(
    eta: float, sigma: float, norm: float, batch: int
) -> None:
    pulled, walked = float(pull(eta, sigma, norm)), float(walk(eta, sigma, norm, batch))
    assert 0 <= pulled < math.inf
    assert 0 <= walked <= eta * sigma * norm
    assert (pulled == 0) is (walked == 0) is (sigma * norm == 0)
    assert pull(eta, 2 * sigma, norm) == pull(eta, sigma, 2 * norm) == 4 * pulled
    assert walk(eta, 2 * sigma, norm, batch) == 2 * walked
    assert walk(eta, sigma, norm, 4 * batch) == pytest.approx(walked / 2, rel=1e-12)


@given(SIZE, SIZE, SIZE_OR_NONE, SIZE, st.integers(1, 10**9))
@FAST
def test_at_the_decoupled_sigma_pull_and_walk_are_equal_for_each_rate(
    second: float, along: float, gradient_norm: float, eta: float, batch: int
) -> None:
    sigma = decoupled_sigma(second, along, gradient_norm, batch)
    assert 0 <= sigma < math.inf
    assert (sigma == 0) is (gradient_norm == 0)
    assert along * pull(eta, sigma, second) == pytest.approx(
        float(walk(eta, sigma, gradient_norm, batch)), rel=1e-9
    )


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6),
    st.floats(-1e6, 1e6),
    SIZE_OR_NONE,
    SIZE_OR_NONE,
)
@FAST
def test_the_loss_is_finite_and_not_below_0_whatever_the_weights(
    values: list[float], target: float, sigma_x: float, sigma: float
) -> None:
    weights = unflat(np.array(values))
    loss = float(linear_loss(weights, target, Moments.expected(sigma_x, sigma)))
    assert 0 <= loss < math.inf
    turned = LinearNet(-weights.first, weights.node, -weights.second)
    assert float(linear_loss(turned, target, Moments.expected(sigma_x, sigma))) == loss


@pytest.mark.parametrize("batch", [1, 8, 500])
def test_one_step_moves_the_node_by_the_pull_and_spreads_it_by_the_walk(batch: int) -> None:
    generator = np.random.default_rng(batch)
    eta, sigma, sigma_x, runs = 0.01, 0.4, 1.3, 1_000_000
    start = net(generator, 4)
    along = start.second / np.linalg.norm(start.second)
    moments = next(fresh_moments(runs, sigma_x, sigma, batch, generator))
    slopes = linear_gradient(
        LinearNet(*(values[None] for values in (start.first, start.node, start.second))),
        TARGET,
        moments,
    )
    moved = -eta * slopes.node @ along
    norm, residual = np.linalg.norm(start.second), float(start.slope) - TARGET
    pulled = float(pull(eta, sigma, norm)) * float(start.node @ along)
    walked = float(walk(eta, sigma, sigma_x * abs(residual) * norm, batch))
    # Beside the walk there is chance in how much noise a batch holds: a share sqrt(2 / batch) of
    # the pull.
    spread = math.hypot(walked, pulled * math.sqrt(2 / batch))
    assert abs(moved.mean() + pulled) < 4 * spread / math.sqrt(runs)
    assert moved.std() == pytest.approx(spread, rel=0.01)


def test_pull_and_walk_are_equal_at_the_decoupled_sigma() -> None:
    sigma = decoupled_sigma(1.7, 0.2, 0.9, 64)
    for eta in (0.001, 0.1):
        assert 0.2 * pull(eta, sigma, 1.7) == pytest.approx(float(walk(eta, sigma, 0.9, 64)))
        assert 0.2 * pull(eta, 2 * sigma, 1.7) == pytest.approx(
            2 * float(walk(eta, 2 * sigma, 0.9, 64))
        )


def test_the_node_decays_in_its_decay_time() -> None:
    eta, sigma, width = 0.01, 0.5, 3
    second = np.array([[1.0, -2.0, 0.5]])
    start = LinearNet(np.zeros((1, width)), 1e-4 * second, second)
    share = float(pull(eta, sigma, np.linalg.norm(second)))
    path = descend(start, 0.0, eta, itertools.repeat(Moments.expected(0.0, sigma)), 200)
    weight = np.linalg.norm(path.net.node[:, 0], axis=-1)
    measured = 200 / math.log(weight[0] / weight[-1])
    assert measured == pytest.approx(-1 / math.log1p(-share), rel=1e-6)
    assert measured == pytest.approx(
        float(node_decay_time(eta, sigma, np.linalg.norm(second))), rel=share
    )


def test_the_noise_free_loss_decays_in_its_decay_time() -> None:
    eta, sigma_x = 0.01, 0.8
    generator = np.random.default_rng(8)
    start = net(generator, 1, 6)
    norms = [float(np.linalg.norm(values)) for values in (start.first, start.second)]
    target = float(start.slope[0]) + 1e-4
    moments = Moments.expected(sigma_x, 0.0)
    path = descend(start, target, eta, itertools.repeat(moments), 100)
    losses = linear_loss(path.net, target, moments)[:, 0]
    measured = 100 / math.log(losses[0] / losses[-1])
    share = eta * sigma_x**2 * (norms[0] ** 2 + norms[1] ** 2)
    assert 2 * measured == pytest.approx(-1 / math.log1p(-share), rel=1e-3)
    assert measured == pytest.approx(float(loss_decay_time(eta, sigma_x, *norms)), rel=share)


def test_decay_times_at_the_edges() -> None:
    assert node_decay_time(0.1, 0.0, 1.0) == math.inf
    assert loss_decay_time(0.1, 0.0, 1.0, 1.0) == math.inf
    np.testing.assert_allclose(node_decay_time([0.1, 0.2], 2.0, 3.0), [1 / 3.6, 1 / 7.2])


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_moments_of_fresh_batches_have_the_law_of_batches(batch: int) -> None:
    generator = np.random.default_rng(10 + batch)
    runs, sigma_x, sigma = 300_000, 0.6, 2.5
    drawn = next(fresh_moments(runs, sigma_x, sigma, batch, generator))
    x, noise = (
        sigma_x * generator.standard_normal((runs, batch)),
        sigma * generator.standard_normal((runs, batch)),
    )
    slow = Moments.of(x, noise)
    for power in (1, 2, 3):
        for left, right in (
            (drawn.inputs**power, slow.inputs**power),
            (drawn.mixed**power, slow.mixed**power),
            (drawn.noise**power, slow.noise**power),
            (drawn.inputs * drawn.noise**power, slow.inputs * slow.noise**power),
            (drawn.mixed**2 * drawn.inputs**power, slow.mixed**2 * slow.inputs**power),
        ):
            error = math.hypot(left.std(), right.std()) / math.sqrt(runs)
            assert abs(left.mean() - right.mean()) < 4 * error


def test_moments_of_large_batches_are_the_expected_ones() -> None:
    drawn = next(fresh_moments(3, 0.6, 2.5, 10**9, np.random.default_rng(0)))
    expected = Moments.expected(0.6, 2.5)
    np.testing.assert_allclose(drawn.noise, expected.noise, rtol=1e-3)
    np.testing.assert_allclose(drawn.mixed, 0, atol=1e-3)


def test_each_example_is_drawn_once_an_epoch_and_fixed_noise_stays_with_it() -> None:
    x = np.random.default_rng(0).standard_normal((2, 12))
    for fixed in (True, False):
        batches = list(islice(dataset_moments(x, 1.5, 4, fixed, np.random.default_rng(1)), 9))
        epochs = [batches[start : start + 3] for start in (0, 3, 6)]
        whole = np.stack(
            [
                [sum(getattr(b, k) for b in epoch) / 3 for k in ("inputs", "noise")]
                for epoch in epochs
            ]
        )
        np.testing.assert_allclose(
            whole[:, 0], np.broadcast_to((x**2).mean(axis=1), (3, 2)), rtol=1e-12
        )
        assert np.allclose(whole[0, 1], whole[1, 1], rtol=1e-12) is fixed
        assert not np.allclose(batches[0].inputs, batches[3].inputs)  # another order


def test_sigma_scales_the_noise_of_each_run() -> None:
    x = np.random.default_rng(0).standard_normal((2, 12))
    plain, scaled = (
        next(dataset_moments(x, sigma, 12, False, np.random.default_rng(1)))
        for sigma in (1.0, np.array([1.0, 3.0]))
    )
    np.testing.assert_allclose(scaled.noise, plain.noise * [1, 9])
    np.testing.assert_allclose(scaled.mixed, plain.mixed * [1, 3])


def test_descent_is_that_of_each_run_by_itself_and_keeps_what_it_is_asked_to() -> None:
    generator = np.random.default_rng(3)
    start, batches = (
        net(generator, 3, 4, scale=0.4),
        list(islice(fresh_moments(3, 1.0, 0.5, 8, generator), 10)),
    )
    whole = descend(start, TARGET, np.array([0.01, 0.1, 0.3]), iter(batches), 10, every=4)
    assert whole.steps.tolist() == [0, 4, 8]
    weights = flat(LinearNet(start.first[1], start.node[1], start.second[1]))
    for batch in batches[:8]:
        own = Moments(batch.inputs[1], batch.mixed[1], batch.noise[1])
        weights = weights - 0.1 * flat(linear_gradient(unflat(weights), TARGET, own))
    got = LinearNet(whole.net.first[2, 1], whole.net.node[2, 1], whole.net.second[2, 1])
    np.testing.assert_allclose(flat(got), weights, rtol=1e-12)


def test_a_run_that_diverges_is_stopped_and_leaves_the_others_alone() -> None:
    start = net(np.random.default_rng(3), 2, 4, scale=0.3)
    moments = itertools.repeat(Moments.expected(1.0, 1.0))
    path = descend(start, TARGET, np.array([0.05, 100.0]), moments, 300)
    alone = descend(start, TARGET, 0.05, moments, 300)
    assert path.diverged[0] == -1
    assert 0 < path.diverged[1] < 300
    assert np.isfinite(path.net.node).all()
    assert (
        sum((getattr(path.net, part)[-1, 1] ** 2).sum() for part in ("first", "node", "second"))
        > LIMIT
    )
    np.testing.assert_array_equal(path.net.node[:, 0], alone.net.node[:, 0])


ONE = LinearNet(np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2)))
NEVER = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Moments.expected(1.0, -0.1), r"sigma must be >= 0 and finite, got -0\.1"),
        (lambda: Moments.expected(math.nan, 1.0), r"sigma_x must be >= 0 and finite, got nan"),
        (
            lambda: Moments.of([1.0, 2.0], [1.0]),
            r"x and noise must be of one shape \(..., batch\), got \(2,\) and \(1",
        ),
        (lambda: Moments.of([], []), r"x and noise must be of one shape"),
        (
            lambda: LinearNet(np.ones(2), np.ones(3), np.ones(2)),
            r"must be of one shape \(..., width\)",
        ),
        (
            lambda: LinearNet(np.array([math.inf]), np.ones(1), np.ones(1)),
            r"first must be finite, got inf",
        ),
        (
            lambda: linear_loss(ONE, math.nan, Moments.expected(1, 1)),
            r"target must be finite, got nan",
        ),
        (lambda: noise_curvature(ONE, -1), r"sigma must be >= 0 and finite, got -1\.0"),
        (lambda: pull(0.0, 1.0, 1.0), r"eta must be > 0 and finite, got 0\.0"),
        (lambda: pull(1.0, 1.0, -2.0), r"second_norm must be >= 0 and finite, got -2\.0"),
        (lambda: walk(1.0, 1.0, 1.0, 0), r"batch must be a whole number >= 1, got 0"),
        (
            lambda: walk(1.0, 1.0, math.inf, 1),
            r"preactivation_gradient must be >= 0 and finite, got inf",
        ),
        (lambda: decoupled_sigma(1.0, 0.0, 1.0, 1), r"node_along must be > 0 and finite, got 0\.0"),
        (lambda: phase(math.inf, 1.0, 1.0, 1.0), r"eta must be > 0 and finite, got inf"),
        (lambda: phase(1.0, -1.0, 1.0, 1.0), r"curvature must be >= 0 and finite, got -1\.0"),
        (lambda: fresh_moments(0, 1.0, 1.0, 1, NEVER), r"runs must be a whole number >= 1, got 0"),
        (
            lambda: fresh_moments(1, 1.0, -1.0, 1, NEVER),
            r"sigma must be >= 0 and finite, got -1\.0",
        ),
        (
            lambda: dataset_moments(np.ones((1, 5)), 1.0, 2, True, NEVER),
            r"batch must divide the 5 examples, got 2",
        ),
        (
            lambda: dataset_moments(np.ones(5), 1.0, 1, True, NEVER),
            r"x must have the shape \(runs, examples\), got",
        ),
        (lambda: descend(ONE, 1.0, -0.1, iter(()), 1), r"eta must be > 0 and finite, got -0\.1"),
        (
            lambda: descend(ONE, 1.0, 0.1, iter(()), 1, every=0),
            r"every must be a whole number >= 1, got 0",
        ),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
