"""Figures on biased descent, correlated masks and depth: claims on planted numbers, small runs."""

import math

import numpy as np
import pytest

from mgaudit.papers.claim import Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking import (
    bias_and_noise,
    biased_runs,
    correlated_masks,
    depth,
    other_biases,
    radius_of_convergence,
    terms_in_training,
)
from mgaudit.papers.gaussian_masking.biased_runs import BiasedRuns, Cell
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.reproduction import judge
from mgaudit.study.progress import Progress

WORKSHOP = Resources(1, "cpu", Progress())
SPREAD = (0.99, 1.0, 1.01)
BASE = Cell(kappa=0.4, width=16, examples=8, speed=2.0)
SMALL = BiasedRuns(
    base=BASE,
    kappas=(0.2, 0.4),
    widths=(16, 24),
    sizes=(6, 8),
    speeds=(1.0, 2.0),
    steps=120,
    seeds=2,
    dimensions=4,
    moments=5,
    draws=20,
)


def undecided(figure: PaperFigure, data: Data) -> list[str]:
    """The claims that the data do not decide, such as slopes over floors that have not settled."""
    verdicts = {claim.key: judge(claim, data).verdict for claim in figure.claims}
    return [key for key, verdict in verdicts.items() if verdict == "not run here"]


def test_cells_differ_from_the_base_in_one_thing() -> None:
    cells = SMALL.cells()
    assert len(cells) == len(set(cells)) == 5
    assert cells[0] == BASE
    changed = [
        sum(cell.labels()[name] != BASE.labels()[name] for name in BASE.labels()) for cell in cells
    ]
    assert changed == [0, 1, 1, 1, 1]
    assert [SMALL.steps_of(cell) * cell.learning_rate * cell.examples for cell in cells] == [
        240
    ] * 5


def test_runs_are_measured_once_for_both_figures() -> None:
    resources = Resources(1, "cpu", Progress())
    data = bias_and_noise.measure(SMALL, resources)
    radii = radius_of_convergence.measure(SMALL, resources)
    assert radii["runs"] is data["runs"]
    assert len(data["runs"]) == 2 * (5 + 1)  # cells and the training without a mask
    assert {row["step"] for row in data["moments"]} >= {0.0, 120.0}
    starts = [row for row in data["moments"] if row["step"] == 0]
    assert [row["loss"] for row in starts] == [row["bound"] for row in starts]
    assert undecided(bias_and_noise.FIGURE, data) == []
    assert "radius-variance" in undecided(radius_of_convergence.FIGURE, radii)  # not yet settled
    assert len(bias_and_noise.draw(data).axes) == len(radius_of_convergence.draw(radii).axes) == 4


def test_bounds_take_the_worse_constants_of_both_ends() -> None:
    def moment(step: float, **constants: float) -> Row:
        return {"step": step, "loss": 4.0, **constants}

    moments = [
        moment(0, largest=1.0, local=0.5, squared_bias=0.0, squared_noise=2.0),
        moment(1, largest=2.0, local=0.2, squared_bias=1.0, squared_noise=0.0),
    ]
    (_, bound) = biased_runs.bounds(moments, learning_rate=0.5)
    assert bound == pytest.approx((1 - 0.5 * 0.2) * 4.0 + 0.5 / 2 * (1.0 + 0.5 * 2.0 * 2.0))


def test_a_loss_arrives_at_twice_its_floor() -> None:
    losses = np.array([8.0, 4.0, 2.0, 1.0])
    assert biased_runs.arrival([0, 10, 20, 30], losses, floor=1.0) == (20, math.log(4) / 20)
    assert biased_runs.arrival([0, 10, 20, 30], losses, floor=9.0) == (0, 0.0)


def test_moments_contain_both_ends() -> None:
    assert biased_runs.moments_among([0, 4, 8, 50, 90, 100], 3) == [0, 8, 100]
    assert biased_runs.moments_among([0, 5], 9) == [0, 5]


def test_an_extreme_is_taken_within_each_seed() -> None:
    rows: list[Row] = [
        {"seed": seed, "value": value} for seed, value in ((0, 1.0), (0, 5.0), (1, 4.0), (1, 2.0))
    ]
    highest = biased_runs.extreme(rows, lambda row: float(row["value"]), highest=True)
    lowest = biased_runs.extreme(rows, lambda row: float(row["value"]), highest=False)
    assert (highest.value, lowest.value) == (4.5, 1.5)


def run(seed: int, floor: float, kappa: float = 0.4, **more: float) -> Row:
    predicted = {"uniform_radius": 2 * floor, "local_radius": floor, "bias_share": 0.6}
    rates = {"rate": 0.03, "predicted_rate": 0.02, "noise_floor": 0.1 * floor}
    settled = {"settled": 1.0, "initial": 1e6, "distance": floor, "nearest": floor}
    cell = {**BASE.labels(), "kappa": kappa}
    return {**cell, "seed": float(seed), "floor": floor, **predicted, **rates, **settled, **more}


def runs(power: float = 2.0, **more: float) -> Data:
    """Planted runs whose floor is a power of kappa."""
    rows = [
        run(seed, 3 * kappa**power * spread, kappa, **more)
        for kappa in (0.1, 0.2, 0.4)
        for seed, spread in enumerate(SPREAD)
    ]
    return {"runs": rows, "base": [BASE.labels()]}


@pytest.mark.parametrize(("power", "holds"), [(2.0, True), (1.0, False), (3.0, False)])
def test_slopes_in_kappa_are_those_that_were_planted(power: float, holds: bool) -> None:
    data = runs(power)
    checks = (
        radius_of_convergence.like_the_variance,
        radius_of_convergence.distance_like_the_variance,
        radius_of_convergence.nearest_like_the_variance,
    )
    for check in checks:
        outcome = check(data)
        assert isinstance(outcome, Measured)
        assert outcome.value == pytest.approx(power)
        assert outcome.holds is holds
    assert radius_of_convergence.shrinks("distance", data).value == pytest.approx(
        power * math.log(2)
    )
    assert not radius_of_convergence.shrinks("nearest", runs(-power)).holds


def slope_of(outcome: Measured | NotRun) -> float:
    assert isinstance(outcome, Measured)
    return outcome.value


def holds(outcome: Measured | NotRun) -> bool:
    return isinstance(outcome, Measured) and outcome.holds


def test_floors_that_have_not_settled_have_no_part_in_the_slope() -> None:
    data = runs()
    for row in data["runs"]:
        if row["kappa"] == 0.1:
            row["floor"], row["settled"] = 100.0, 0.1
    assert slope_of(radius_of_convergence.like_the_variance(data)) == pytest.approx(2.0)
    for row in data["runs"]:
        row["settled"] = 0.1
    assert isinstance(radius_of_convergence.like_the_variance(data), NotRun)


def swept(name: str, at: tuple[float, ...], power: float) -> Data:
    rows = [
        run(seed, value**power * spread, **{name: value})
        for value in at
        for seed, spread in enumerate(SPREAD)
    ]
    return {"runs": rows, "base": [BASE.labels()]}


def test_width_examples_and_learning_rate_have_their_own_slopes() -> None:
    wider = radius_of_convergence.wider_is_closer
    widths = (4.0, 8.0, 16.0)
    assert slope_of(wider(swept("width", widths, -0.5))) == pytest.approx(-0.5)
    assert holds(wider(swept("width", widths, -0.5)))
    assert not holds(wider(swept("width", widths, 0.5)))
    examples = radius_of_convergence.each_example
    assert holds(examples(swept("examples", (4.0, 8.0), 1.0)))
    assert not holds(examples(swept("examples", (4.0, 8.0), 2.0)))
    for power, allowed in ((0.5, True), (-1.0, False), (2.0, False)):
        data = swept("speed", (1.0, 2.0, 4.0), power)
        assert holds(radius_of_convergence.learning_rate(data)) is allowed
    noise = radius_of_convergence.noise_part(swept("speed", (1.0, 4.0), 1.0))
    assert noise.value == pytest.approx(10)


def test_a_loss_at_the_largest_kappa_must_end_below_its_first_value() -> None:
    assert radius_of_convergence.large_kappa_converges(runs()).holds
    assert not radius_of_convergence.large_kappa_converges(runs(initial=0.01)).holds


def test_predictions_are_judged_by_their_ratios() -> None:
    data = runs()
    assert bias_and_noise.rate_is_bounded(data).value == pytest.approx(1.5)
    assert bias_and_noise.rate_is_bounded(data).holds
    assert not bias_and_noise.rate_is_bounded(runs(predicted_rate=0.04)).holds
    assert bias_and_noise.rate_is_predicted(data).holds
    assert not bias_and_noise.rate_is_predicted(runs(predicted_rate=0.01)).holds
    assert bias_and_noise.radius_bounds(data).value == pytest.approx(0.5)
    assert not bias_and_noise.radius_bounds(runs(uniform_radius=0.1)).holds
    assert bias_and_noise.radius_is_predicted(data).value == pytest.approx(2.0)
    assert not bias_and_noise.radius_is_predicted(runs(uniform_radius=100.0)).holds
    assert bias_and_noise.radius_follows(data).value == pytest.approx(1.0)
    assert bias_and_noise.bias_rules(data).holds
    assert not bias_and_noise.bias_rules(runs(bias_share=0.4)).holds


def moments(loss: float) -> Data:
    rows = []
    for seed, spread in enumerate(SPREAD):
        for step, bound in ((0.0, 1.0), (10.0, 2.0), (20.0, 0.5)):
            gradient = {"mean": 0.3 * spread, "error": 0.01, "expected": 0.3}
            sizes = {"loss": loss * spread, "bound": bound, "squared_gradient": 1.0}
            labels = {**BASE.labels(), "kind": "dropout", "seed": float(seed), "step": step}
            rows.append({**labels, **sizes, **gradient})
    return {"moments": rows, "base": [BASE.labels()]}


def test_the_bound_must_hold_at_every_moment_after_the_start() -> None:
    for check in (bias_and_noise.bound_holds, other_biases.every_bound_holds):
        assert check(moments(0.4)).holds
        assert not check(moments(0.6)).holds
        assert check(moments(0.6)).value == pytest.approx(math.log(0.6 / 0.5), abs=1e-3)


def test_a_bias_counts_where_its_interval_is_above_zero() -> None:
    data = moments(1.0)
    assert bias_and_noise.is_biased(data).value == pytest.approx(0.3)
    assert bias_and_noise.bias_is_exact(data).holds
    for row in data["moments"]:
        row["mean"], row["expected"] = (-0.1, 0.0, 0.1)[int(float(row["seed"]))], 0.5
    assert not bias_and_noise.is_biased(data).holds
    assert not bias_and_noise.bias_is_exact(data).holds


@pytest.mark.parametrize(("power", "holds"), [(0.5, True), (-0.5, False), (1.5, False)])
def test_bias_and_noise_may_grow_as_fast_as_the_loss(power: float, holds: bool) -> None:
    rows: list[Row] = [
        {**BASE.labels(), "seed": float(seed), "loss": loss, "squared_bias": spread * loss**power}
        for seed, spread in enumerate(SPREAD)
        for loss in (8.0, 1.0, 0.1)
    ]
    data: Data = {"moments": rows, "base": [BASE.labels()]}
    outcome = bias_and_noise.grows_with_the_loss("squared_bias", data)
    assert outcome.value == pytest.approx(power)
    assert outcome.holds is holds


def other(kind: str, floor: float, early: float, radius: float) -> list[Row]:
    return [
        {
            "kind": kind,
            "kappa": 0.0 if kind == "none" else 0.1,
            "seed": float(seed),
            "floor": floor * spread,
            "early": early * spread,
            "radius": radius * spread,
        }
        for seed, spread in enumerate(SPREAD)
    ]


def test_other_biases_are_compared_with_clean_inputs_and_with_the_mask() -> None:
    alike = [*other("none", 1e-9, 0.1, 1.0), *other("Gaussian mask", 1.0, 0.1, 2.0)]
    near: Data = {"runs": [*alike, *other("dropout", 1.5, 0.105, 3.0)]}
    far: Data = {"runs": [*alike, *other("dropout", 3.0, 0.05, 2.5)]}
    slow: Data = {"runs": [*alike, *other("dropout", 1.5, math.nan, 3.0)]}
    rates = [other_biases.same_early_rate(data) for data in (near, far, slow)]
    assert [isinstance(rate, Measured) and rate.holds for rate in rates] == [True, False, True]
    assert isinstance(rates[2], Measured)
    assert "1 of 2 kinds" in rates[2].quantity
    assert other_biases.floors_are_alike(near).value == pytest.approx(math.log(1.5))
    assert not other_biases.floors_are_alike(far).holds
    assert other_biases.floor_follows(near).value == pytest.approx(1.0)
    assert not other_biases.floor_follows(far).holds


def test_other_biases_are_measured_and_drawn() -> None:
    settings = other_biases.OtherBiases(
        kappas=(0.2, 0.4), examples=8, dimensions=4, width=6, steps=100, seeds=2, moments=4, draws=9
    )
    data = other_biases.measure(settings, WORKSHOP)
    assert len(data["runs"]) == 2 * (1 + 2 * len(other_biases.KINDS))
    nearest = [row for row in data["moments"] if row["kind"] == "rounding to nearest"]
    assert max(float(row["squared_noise"]) for row in nearest) < 1e-20
    assert undecided(other_biases.FIGURE, data) == []
    assert len(other_biases.draw(data).axes) == 2


def test_correlated_masks_are_measured_and_drawn() -> None:
    settings = correlated_masks.CorrelatedMasks(
        0.4, (0.0, 0.9, 1.0), (1, 2), examples=8, dimensions=4, width=6, steps=100, seeds=2
    )
    data = correlated_masks.measure(settings, WORKSHOP)
    assert len(data["runs"]) == 2 * 7
    assert undecided(correlated_masks.FIGURE, data) == []
    assert len(correlated_masks.draw(data).axes) == 3


def correlated(floors: dict[tuple[float, float, float], float]) -> Data:
    return {
        "runs": [
            {
                "memory": memory,
                "shared": shared,
                "block": block,
                "seed": float(seed),
                "floor": floor * spread,
                "initial": 20.0,
            }
            for (memory, shared, block), floor in floors.items()
            for seed, spread in enumerate(SPREAD)
        ]
    }


def test_correlated_masks_are_compared_with_fresh_ones() -> None:
    floors = {
        (0.0, 0.0, 1.0): 1.0,
        (0.9, 0.0, 1.0): 1.2,
        (1.0, 0.0, 1.0): 1.5,
        (0.0, 1.0, 1.0): 3.0,
        (1.0, 1.0, 1.0): 5.0,
        (0.0, 0.0, 2.0): 0.3,
    }
    data = correlated(floors)
    verdicts = {claim.key: claim.check(data) for claim in correlated_masks.CLAIMS}
    assert {
        key: isinstance(outcome, Measured) and outcome.holds for key, outcome in verdicts.items()
    } == {
        "memory-raises-floor": True,
        "fixed-converges": True,
        "fixed-floor": True,
        "device-floor": False,
        "shared-floor": False,
        "block-floor": False,
    }
    values = {
        key: outcome.value for key, outcome in verdicts.items() if isinstance(outcome, Measured)
    }
    assert values["device-floor"] == pytest.approx(math.log(5))
    assert values["shared-floor"] == pytest.approx(math.log(3))
    assert values["block-floor"] == pytest.approx(math.log(0.3))
    lower = correlated({**floors, (0.9, 0.0, 1.0): 0.9, (1.0, 0.0, 1.0): 2.5})
    assert not correlated_masks.floor_rises_with_memory(lower).holds
    assert not correlated_masks.still_converges(lower).holds


def test_depths_are_measured_and_drawn_and_depth_two_is_the_network_of_the_paper() -> None:
    settings = depth.Depths(
        (2, 4), (0.0, 0.2, 0.4), examples=8, dimensions=4, width=6, steps=100, seeds=2
    )
    shallow, deep = (depth.deep_network(settings, layers, seed=1) for layers in (2, 4))
    assert [weights.shape for weights in deep.layers] == [(6, 4), (6, 6), (6, 6)]
    regression, expected = biased_runs.start(8, 4, 6, seed=1)
    np.testing.assert_array_equal(
        shallow.outputs(regression.inputs), expected.outputs(regression.inputs)
    )
    data = depth.measure(settings, WORKSHOP)
    assert undecided(depth.FIGURE, data) == []
    assert len(depth.draw(data).axes) == 2


def depths(slope: float, rate: float, above: float = 1.0) -> Data:
    """Planted runs of depths 2 and 6: at depth 6, floor and rate differ from those at depth 2."""
    return {
        "runs": [
            {
                "depth": layers,
                "kappa": kappa,
                "seed": float(seed),
                "floor": (kappa ** (slope if layers == 6 else 2.0) if kappa else 1e-9) * spread,
                "early": 0.1 * (rate if kappa and layers == 6 else 1.0) * spread,
                "initial": above,
            }
            for layers in (2.0, 6.0)
            for kappa in (0.0, 0.1, 0.2)
            for seed, spread in enumerate(SPREAD)
        ]
    }


def test_depths_are_compared_with_depth_two_and_with_no_mask() -> None:
    assert depth.same_slope_at_depth(depths(2.3, 1.0)).value == pytest.approx(0.3)
    assert depth.same_slope_at_depth(depths(2.3, 1.0)).holds
    assert not depth.same_slope_at_depth(depths(2.7, 1.0)).holds
    assert depth.same_rate_at_depth(depths(2.0, 0.95)).holds
    assert not depth.same_rate_at_depth(depths(2.0, 0.8)).holds
    assert depth.floor_rises_at_depth(depths(2.0, 1.0)).holds
    assert not depth.floor_rises_at_depth(depths(-2.0, 1.0)).holds


def test_terms_in_training_are_measured_and_drawn() -> None:
    settings = terms_in_training.TermsInTraining(
        (0.1, 0.5), examples=8, dimensions=4, width=6, steps=100, seeds=2, moments=4
    )
    data = terms_in_training.measure(settings, WORKSHOP)
    row = data["terms"][0]
    regression, network = biased_runs.start(8, 4, 6, seed=0)
    norms = np.linalg.norm(network.layers[0], axis=1)
    products = network.layers[0][:, None, :] * regression.inputs
    assert row["step"] == 0
    assert row["weight"] == pytest.approx(norms.max())
    assert row["product"] == pytest.approx(np.linalg.norm(products, axis=2).max())
    assert row["value"] == pytest.approx(np.abs(regression.values).max())
    assert undecided(terms_in_training.FIGURE, data) == []
    assert len(terms_in_training.draw(data).axes) == 2


def test_terms_are_judged_at_the_end_of_training() -> None:
    def term(step: float, rest: float, seed: int) -> Row:
        sizes = {"rest": rest * SPREAD[seed], "regulariser": 2.0, "value": 30.0, "weight": 4.0}
        return {"kappa": 0.1, "seed": float(seed), "step": step, **sizes}

    falls = [
        term(step, rest, seed) for step, rest in ((0.0, 1.0), (9.0, -0.1)) for seed in range(3)
    ]
    data: Data = {"terms": falls, "width": [{"width": 9.0}]}
    at_the_end = terms_in_training.share_at_the_end(0.1)(data)
    assert isinstance(at_the_end, Measured)
    assert at_the_end.value == pytest.approx(0.05)
    assert at_the_end.holds
    assert isinstance(terms_in_training.share_at_the_end(0.5)(data), NotRun)
    assert terms_in_training.falls_in_training(data).value == pytest.approx(-0.45)
    assert terms_in_training.condition_holds(data).value == pytest.approx(30 / (3 * 3 * 4))
    for row in falls:
        row["value"] = 40.0
    assert not terms_in_training.condition_holds(data).holds
