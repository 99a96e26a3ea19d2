import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import cycle, product

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from mgaudit.attacks.intervals import mean_interval
from mgaudit.papers.claim import Data, Measured, NotRun, Row
from mgaudit.papers.noise_nodes import (
    bounded_activations,
    curvature_and_loss,
    node_vs_loss,
    one_hidden_layer,
    relu_boundaries,
    relu_phases,
)
from mgaudit.papers.noise_nodes.beginning import beginning
from mgaudit.papers.noise_nodes.linear_phases import LinearPhases
from mgaudit.papers.noise_nodes.networks import (
    NodeExperiment,
    mean_loss,
    network,
    plain_outputs,
    reference_sigma,
    sharpness,
)
from mgaudit.papers.noise_nodes.paper import PAPER
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.statistics import (
    geometric_mean_interval,
    root_mean_square_interval,
    slope_interval,
)
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.study.progress import Progress
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.fitting.trajectory import Trajectory
from mgaudit.targets.querying.curvature import noisy_outputs, top_curvature
from mgaudit.targets.querying.local_derivatives import loss_derivatives, shifted_gradients
from mgaudit.targets.schemes import NoiseNodes
from mgaudit.targets.training import Training
from mgaudit.theory.local_curvature import weight_trace
from mgaudit.theory.noise_nodes import phase, pull, walk

# tests.papers.test_privacy tests the figure on privacy.
FIGURES = {figure.key: figure for figure in PAPER.figures if figure.key != "privacy"}
LINEAR = ("linear-phases", "linear-boundaries", "decay-time", "several-nodes", "noise-products")
SHRUNK = {"examples": 100, "hidden": (16, 16), "models": 2}
SMALL = {
    "linear-phases": replace(FIGURES["linear-phases"].quick, runs=12, examples=512, batch=128),
    "linear-boundaries": replace(
        FIGURES["linear-boundaries"].quick,
        etas=(0.01,),
        batches=(64, 65536),
        runs=4,
        halvings=7,
        escape_steps=300,
        walkers=500,
        walk_steps=(1, 4, 16),
    ),
    "decay-time": replace(
        FIGURES["decay-time"].quick,
        runs=5,
        etas=(5e-4, 1e-3),
        sigmas=(5.0, 7.0),
        loss_etas=(0.005, 0.01),
    ),
    "relu-phases": replace(
        FIGURES["relu-phases"].quick, **SHRUNK, epochs=3, divergence_models=2, snapshots=1
    ),
    "relu-boundaries": replace(FIGURES["relu-boundaries"].quick, **SHRUNK, steps=6, halvings=2),
    "node-vs-loss": replace(
        FIGURES["node-vs-loss"].quick, **SHRUNK, epochs=4, snapshots=4, shares=(0.002, 0.5, 2.0)
    ),
    "several-nodes": replace(
        FIGURES["several-nodes"].quick,
        nodes=(1, 3),
        runs=3,
        halvings=7,
        growth_steps=60,
        escape_steps=150,
    ),
    "noise-products": replace(
        FIGURES["noise-products"].quick,
        orders=(1, 2),
        batches=(8, 32),
        draws=40_000,
        population=60,
        population_batch=32,
    ),
    "one-hidden-layer": replace(
        FIGURES["one-hidden-layer"].quick,
        examples=100,
        batch=100,
        hidden=(16,),
        models=2,
        epochs=2,
        divergence_epochs=2,
        divergence_models=2,
        search_models=1,
        search_steps=2,
        halvings=1,
        snapshots=1,
    ),
    "curvature-and-loss": replace(
        FIGURES["curvature-and-loss"].quick,
        examples=100,
        hidden=(16, 16, 16),
        models=2,
        epochs=2,
        probed=40,
        slow_steps=4,
        snapshots=2,
        layers=(0,),
    ),
    "bounded-activations": replace(
        FIGURES["bounded-activations"].quick,
        examples=100,
        hidden=(16,),
        models=2,
        epochs=1,
        groups=FIGURES["bounded-activations"].quick.groups[:1],
        shares=(0.002, 30.0),
    ),
    "local-traces": replace(
        FIGURES["local-traces"].quick,
        examples=40,
        hidden=(6, 6, 6),
        models=2,
        epochs=2,
        repeats=2,
        most_relu=3,
        most_tanh=3,
        gradient_nodes=10,
    ),
}
EACH = pytest.mark.parametrize("key", list(FIGURES))


@cache
def measured(key: str) -> Data:
    return FIGURES[key].measure(SMALL[key], Resources(1, "cpu", Progress()))


def judged(figure: PaperFigure, key: str, data: Data) -> Measured | NotRun:
    return next(claim for claim in figure.claims if claim.key == key).check(data)


def verdict(figure: str, key: str, data: Data) -> bool:
    result = judged(FIGURES[figure], key, data)
    assert isinstance(result, Measured)
    return result.holds


def changed(data: Data, table: str, column: str, factor: float) -> Data:
    rows = [
        {**row, column: float(row[column]) * factor} if column in row else row
        for row in data[table]
    ]
    return {**data, table: rows}


@EACH
def test_data_are_small_plain_and_finite_and_each_claim_is_judged_or_says_why_not(key: str) -> None:
    data = measured(key)
    assert 0 < sum(map(len, data.values())) <= 2000
    for rows in data.values():
        for row in rows:
            assert all(type(value) in (str, float) for value in row.values())
            assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
    for claim in FIGURES[key].claims:
        assert isinstance(claim.check(data), Measured if key in LINEAR else Measured | NotRun)
        assert claim.statement.endswith(".")
        assert claim.place


@pytest.mark.parametrize("key", ["linear-phases", "node-vs-loss"])
def test_data_are_the_same_each_time(key: str) -> None:
    assert FIGURES[key].measure(SMALL[key], Resources(1, "cpu", Progress())) == measured(key)


@EACH
def test_figures_are_drawn_from_the_data_with_axes_that_say_what_they_are(key: str) -> None:
    figure = FIGURES[key]
    drawn = Drawing(
        key, lambda: figure.draw(measured(key)), figure.title, figure.description, []
    ).figure
    for axes in drawn.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.lines, axes.get_ylabel()
        labels = [
            label.get_text() for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()
        ]
        assert not any("$" in label for label in labels)
    assert drawn.legends or all(axes.get_legend() for axes in drawn.axes)


@pytest.mark.parametrize("noise", ["fresh", "fixed"])
def test_claims_on_the_four_phases_of_the_linear_network_follow_their_numbers(noise: str) -> None:
    data = measured("linear-phases")
    for key, column, factor in (
        (f"decoupled-stays-{noise}", "seen_ratio", 0.8),
        (f"decay-falls-{noise}", "leak_ratio", 1e5),
        (f"decay-no-growth-{noise}", "growth", 1.2),
        (f"catapult-grows-{noise}", "growth", 0.1),
        (f"catapult-recovers-{noise}", "loss_ratio", 1e9),
        (f"catapult-flatter-{noise}", "end_sharpness", 3.0),
        (f"catapult-norm-{noise}", "node_norm_ratio", 3.0),
    ):
        assert verdict("linear-phases", key, data)
        assert not verdict("linear-phases", key, changed(data, "runs", column, factor))
    all_of_them = {**data, "runs": [{**row, "diverged_at": 3.0} for row in data["runs"]]}
    assert not verdict("linear-phases", f"decay-falls-{noise}", all_of_them)


@pytest.mark.parametrize("noise", ["fresh", "fixed"])
def test_of_the_nodes_weights_only_those_along_w2_decay(noise: str) -> None:
    data = measured("linear-phases")
    assert not verdict("linear-phases", f"decay-whole-norm-{noise}", data)
    assert verdict(
        "linear-phases", f"decay-whole-norm-{noise}", changed(data, "runs", "node_norm_ratio", 0.1)
    )


@pytest.mark.parametrize("noise", ["fresh", "fixed"])
@pytest.mark.parametrize(("escaped", "holds"), [(0, False), (90, False), (100, True)])
def test_nearly_all_runs_of_the_divergence_phase_must_escape(
    noise: str, escaped: int, holds: bool
) -> None:
    head: Row = {"phase": "divergence", "noise": noise}
    rows: list[Row] = [
        {**head, "diverged_at": 0.0 if run < escaped else -1.0} for run in range(100)
    ]
    assert verdict("linear-phases", f"divergence-escapes-{noise}", {"runs": rows}) is holds


@pytest.mark.parametrize(("moved", "holds"), [(0.5, False), (1.0, True), (2.0, False)])
def test_the_decoupled_node_must_move_as_far_as_the_walk(moved: float, holds: bool) -> None:
    row: Row = {
        "phase": "decoupled",
        "noise": "fresh",
        "diverged_at": -1.0,
        "moved_over_walk": moved,
    }
    assert verdict("linear-phases", "decoupled-walks-fresh", {"runs": [row] * 100}) is holds


@pytest.mark.parametrize(
    "settings", [FIGURES["linear-phases"].quick, FIGURES["linear-phases"].full]
)
def test_the_phases_are_called_what_the_theory_calls_them(settings: LinearPhases) -> None:
    for name, steepness in settings.sharpness:
        sigma = math.sqrt(steepness / settings.eta / 2)
        pulled = settings.cosine * float(pull(settings.eta, sigma, 1.0))
        gradient = settings.sigma_x * settings.target  # w2 . w1 is 0 at first, and |w2| 1
        walked = float(walk(settings.eta, sigma, gradient, settings.batch))
        assert phase(settings.eta, 2 * sigma**2, pulled, walked) == name


def test_the_boundaries_are_at_two_and_four() -> None:
    data = measured("linear-boundaries")
    for key in ("growth-at-2", "divergence-at-4"):
        assert verdict("linear-boundaries", key, data)
        for factor in (0.9, 1.1):
            assert not verdict(
                "linear-boundaries", key, changed(data, "sharpness", "found", factor)
            )


def test_the_decoupled_boundary_is_that_of_one_step_and_falls_with_their_root() -> None:
    data = measured("linear-boundaries")
    one_step = judged(FIGURES["linear-boundaries"], "decoupled-one-step", data)
    assert isinstance(one_step, Measured)
    assert one_step.low is not None
    assert one_step.high is not None
    assert one_step.low < 1 < one_step.high
    assert one_step.value == pytest.approx(1, abs=0.1)
    assert verdict("linear-boundaries", "decoupled-over-steps", data)
    assert not verdict("linear-boundaries", "decoupled-training", data)
    single_length = {**data, "decoupled": [row for row in data["decoupled"] if row["steps"] == 4]}
    assert isinstance(
        judged(FIGURES["linear-boundaries"], "decoupled-over-steps", single_length), NotRun
    )


def test_decay_times_are_those_predicted() -> None:
    data = measured("decay-time")
    for key, table in (
        ("node-decay-time", "node"),
        ("loss-decay-time", "loss"),
        ("node-decay-time-with-its-length", "node_share"),
    ):
        assert verdict("decay-time", key, data)
        for factor in (0.85, 1.15):
            assert not verdict("decay-time", key, changed(data, table, "measured", factor))
    one_bad = [{**row, "measured": 2 * float(row["measured"])} for row in data["node"][:5]] + data[
        "node"
    ][5:]
    assert not verdict("decay-time", "node-decay-time", {**data, "node": one_bad})
    assert not verdict("decay-time", "node-decay-time-at-any-length", data)


def phases(loss: str, noise: str, phase: str, models: int = 4, **values: float) -> Data:
    rows = [
        {
            "loss": loss,
            "noise": noise,
            "phase": phase,
            "model": float(model),
            "diverged": 0.0,
            **values,
        }
        for model in range(models)
    ]
    jitter = [1.0, 1.001, 0.999, 1.002]
    return {
        "runs": [
            {
                name: v * jitter[i % 4] if name in values and isinstance(v, float) else v
                for name, v in row.items()
            }
            for i, row in enumerate(rows)
        ]
    }


@pytest.mark.parametrize(
    ("key", "phase", "column", "good", "bad"),
    [
        ("decoupled-stays", "decoupled", "node_norm_ratio", 1.0, 0.8),
        ("decay-falls", "decay", "node_norm_ratio", 0.2, 0.6),
        ("decay-no-growth", "decay", "growth", 1.0, 1.2),
        ("catapult-grows", "catapult", "growth", 2.0, 1.0),
        ("catapult-recovers", "catapult", "loss_ratio", 0.1, 0.9),
        ("catapult-falls", "catapult", "node_norm_ratio", 0.2, 0.6),
        ("catapult-flatter", "catapult", "end_sharpness", 0.5, 1.5),
        ("catapult-below-two", "catapult", "end_sharpness", 1.9, 2.1),
    ],
)
def test_claims_on_phases_of_the_relu_network_follow_their_numbers(
    key: str, phase: str, column: str, good: float, bad: float
) -> None:
    for value, holds in ((good, True), (bad, False)):
        data = phases("squared", "fresh", phase, **{column: value})
        for row in data["runs"]:
            row["start_sharpness"] = 1.0
        assert verdict("relu-phases", f"squared-fresh-{key}", data) is holds
        data["runs"][0]["diverged"] = 1.0
        assert not verdict("relu-phases", f"squared-fresh-{key}", data)


def test_divergence_is_a_share_and_fixed_noise_is_compared_model_by_model() -> None:
    data = phases("squared", "fresh", "divergence", models=6)
    assert not verdict("relu-phases", "squared-fresh-divergence-escapes", data)
    for row in data["runs"]:
        row["diverged"] = 1.0
    assert verdict("relu-phases", "squared-fresh-divergence-escapes", data)
    fresh, fixed = (
        phases("squared", noise, "decay", node_norm_ratio=0.2)["runs"]
        for noise in ("fresh", "fixed")
    )
    assert verdict("relu-phases", "squared-decay-fixed-like-fresh", {"runs": fresh + fixed})
    apart = [{**row, "node_norm_ratio": 0.5} for row in fixed]
    assert not verdict("relu-phases", "squared-decay-fixed-like-fresh", {"runs": fresh + apart})
    assert isinstance(
        judged(FIGURES["relu-phases"], "squared-decay-fixed-like-fresh", {"runs": fresh}), NotRun
    )


def test_claims_on_the_node_beside_the_loss_follow_their_numbers() -> None:
    rows = [
        {"loss": "squared", "share": share, "model": float(model), "diverged": 0.0,
         "node_norm_ratio": ratio, "node_halves": 100.0 + model, "train_loss_halves": 60.0}
        for share, ratio in ((0.002, 1.0), (0.5, 0.3))
        for model in range(3)
    ]  # fmt: skip
    data: Data = {"runs": rows}
    assert verdict("node-vs-loss", "squared-similar-evolution", data)
    assert not verdict(
        "node-vs-loss", "squared-similar-evolution", changed(data, "runs", "node_halves", 2.0)
    )
    assert verdict("node-vs-loss", "squared-small-weights", data)
    assert not verdict(
        "node-vs-loss", "squared-small-weights", changed(data, "runs", "node_norm_ratio", 2.0)
    )
    never = [{name: value for name, value in row.items() if name != "node_halves"} for row in rows]
    assert isinstance(
        judged(FIGURES["node-vs-loss"], "squared-similar-evolution", {"runs": never}), NotRun
    )
    ended: list[Row] = [{"loss": "squared", "share": row["share"], "diverged": 1.0} for row in rows]
    for runs in (ended, []):
        for key in ("squared-similar-evolution", "squared-small-weights"):
            assert isinstance(judged(FIGURES["node-vs-loss"], key, {"runs": runs}), NotRun)


def test_the_interval_of_the_best_of_several_sigmas_is_wide_enough_for_the_choice() -> None:
    swept = (0.002, 0.05, 0.15, 0.35, 0.7, 1.4)
    runs: list[Row] = [
        {"loss": "squared", "share": share, "model": float(model), "diverged": 0.0,
         "node_norm_ratio": 0.9 + wobble, "node_halves": 100.0,
         "train_loss_halves": 100.0 * math.exp(wobble)}
        for share in swept
        for model, wobble in enumerate((-0.01, 0.0, 0.01))
    ]  # fmt: skip
    # Student's t with two degrees of freedom, at 0.05 / 5 (the weakest sigma is no choice) and at
    # 0.05 / 6.
    for key, reach, centre, tail in (
        ("squared-small-weights", lambda value: value, 0.9, 0.05 / 5),
        ("squared-similar-evolution", math.log, 0.0, 0.05 / 6),
    ):
        best = judged(FIGURES["node-vs-loss"], key, {"runs": runs})
        assert isinstance(best, Measured)
        assert best.low is not None
        assert best.high is not None
        half = float(stats.t.isf(tail / 2, 2)) * 0.01 / math.sqrt(3)
        assert (reach(best.low), reach(best.high)) == (
            pytest.approx(centre - half),
            pytest.approx(centre + half),
        )
        assert f"0.05/{round(0.05 / tail)}" in best.quantity


def boundaries(onset: float, spread: float, censored: float = 0.0) -> Data:
    """Four models whose last brackets reach a factor `spread` to either side of what was found."""
    head: Row = {"loss": "squared", "boundary": "growth", "sigma_low": 0.5, "sigma_high": 8.0}
    values = [onset * wobble for wobble in (1.0, 1.001, 0.999, 1.0)]
    rows: list[Row] = [
        {
            **head,
            "found": value,
            "found_low": value / spread,
            "found_high": value * spread,
            "censored": 0.0,
        }
        for value in values
    ]
    rows[2]["censored"] = censored
    return {"boundaries": rows}


def test_boundaries_of_the_relu_network_are_known_no_better_than_the_bisection_has_them() -> None:
    assert verdict("relu-boundaries", "squared-growth", boundaries(2.0, 1.05))
    assert not verdict("relu-boundaries", "squared-growth", boundaries(2.3, 1.05))
    assert not verdict("relu-boundaries", "squared-growth", boundaries(1.7, 1.05))
    assert not verdict("relu-boundaries", "squared-growth", boundaries(2.0, 1.15))
    outside = judged(
        FIGURES["relu-boundaries"], "squared-growth", boundaries(2.0, 1.05, censored=1.0)
    )
    assert outside == NotRun("the boundary lies outside σ = 0.5 … 8 in 1 of 4 models")


@pytest.mark.parametrize("censored", [0.0, 1.0])
def test_boundaries_beyond_the_range_are_drawn_hollow(censored: float) -> None:
    rows = [
        {**row, "model": float(model), "boundary": boundary, "loss": loss}
        for loss in ("squared", "cross-entropy")
        for boundary in ("growth", "divergence")
        for model, row in enumerate(boundaries(2.0, 1.05, censored)["boundaries"])
    ]
    for axes in relu_boundaries.draw({"boundaries": rows}).axes:
        hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
        assert [list(line.get_xdata()) for line in hollow] == ([[2.0]] * 2 if censored else [])
        assert all("beyond the σ searched" in str(line.get_label()) for line in hollow)


def test_bisection_finds_where_the_outcome_begins() -> None:
    low, high = relu_boundaries._bisected(lambda sigma: sigma > 2, 0.5, 32.0, 10)
    assert low <= 2 < high
    assert high / low == pytest.approx(64 ** (1 / 1024))


@pytest.mark.parametrize(
    ("begins", "censored"), [(0.4, 1.0), (0.51, 0.0), (2.0, 0.0), (7.9, 0.0), (9.0, 1.0)]
)
def test_a_boundary_beyond_the_range_is_called_censored(begins: float, censored: float) -> None:
    experiment = replace(small_network(), models=1)
    boundary = relu_boundaries._boundary(
        relu_boundaries._Task(experiment, "squared", 0.5, 8.0, 3), lambda sigma: sigma > begins
    )
    assert boundary["censored"] == censored
    assert (boundary["sigma_low"], boundary["sigma_high"]) == (0.5, 8.0)
    assert float(boundary["found_low"]) < float(boundary["found"]) < float(boundary["found_high"])


@cache
def halved_and_doubled() -> tuple[NodeExperiment, Recipe, Trajectory]:
    """A network at its start, with half and with twice its node's weights."""
    experiment = replace(small_network(), models=1)
    recipe = experiment.recipe("squared", 5.0)
    start = experiment.train(recipe, [0])
    (weights,), (node,) = start.weights[0], start.nodes[0]
    assert node is not None
    return (
        experiment,
        recipe,
        Trajectory([0, 10, 20], [[weights] * 3], [[node, node / 2, 2 * node]], np.ones((1, 20))),
    )


def test_a_models_outcome_follows_from_its_trajectory() -> None:
    experiment, recipe, trajectory = halved_and_doubled()
    along = relu_phases._along(experiment, recipe, trajectory, 0, {"loss": "squared"})
    assert [row["step"] for row in along] == [0, 10, 20]
    assert [row["node_norm_ratio"] for row in along] == pytest.approx([1.0, 0.5, 2.0])
    first, less, more = (float(row["loss_with_noise"]) for row in along)
    assert less < first < more
    assert len({row["noise_free_loss"] for row in along}) == 1
    assert relu_phases._outcome(trajectory, 0, along) == {
        "model": 0.0,
        "diverged": 0.0,
        "node_norm_ratio": pytest.approx(2.0),
        "growth": more / first,
        "loss_ratio": more / first,
    }
    back = relu_phases._outcome(trajectory, 0, [along[0], along[2], along[1]])
    assert (back["growth"], back["loss_ratio"]) == (more / first, less / first)
    ended = replace(trajectory, losses=np.full((1, 20), np.nan))
    assert relu_phases._outcome(ended, 0, along) == {"model": 0.0, "diverged": 1.0}


def test_flattening_compares_the_end_with_the_start() -> None:
    experiment, recipe, trajectory = halved_and_doubled()
    curved = relu_phases._flattening(experiment, recipe, trajectory, 0)
    assert curved["start_sharpness"] == sharpness(experiment, recipe, trajectory, 0, 0)
    assert curved["end_sharpness"] > 1.1 * curved["start_sharpness"]
    assert (
        relu_phases._flattening(
            experiment, recipe, replace(trajectory, losses=np.full((1, 20), np.nan)), 0
        )
        == {}
    )


def test_the_node_beside_the_loss_follows_from_the_trajectory() -> None:
    experiment, recipe, trajectory = halved_and_doubled()
    row = node_vs_loss._outcome(experiment, recipe, trajectory, 0)
    assert row["node_norm_ratio"] == pytest.approx(2.0)
    assert row["node_halves"] == pytest.approx(10.0)
    assert "train_loss_halves" not in row
    outputs = plain_outputs(experiment, recipe, trajectory.weights[0], test=True)[-1]
    assert row["test_loss"] == mean_loss(outputs, experiment.data.test_labels, "squared")
    assert row["test_accuracy"] == np.mean(outputs.argmax(axis=1) == experiment.data.test_labels)


def test_several_nodes_meet_where_one_does_in_units_of_the_top_curvature() -> None:
    data = measured("several-nodes")
    for directions, boundary in product(("orthogonal", "equal"), ("growth", "divergence")):
        key = f"several-{directions}-{boundary}"
        found = judged(FIGURES["several-nodes"], key, data)
        assert isinstance(found, Measured)
        assert found.value == pytest.approx(1, abs=0.1)
        narrow = {
            "boundaries": [
                {**row, "found": (2.0 if row["boundary"] == "growth" else 4.0) * wobble}
                for row, wobble in zip(data["boundaries"], cycle((1.0, 1.001, 0.999)), strict=False)
            ]
        }
        assert verdict("several-nodes", key, narrow)
        for factor in (0.9, 1.1):
            assert not verdict("several-nodes", key, changed(narrow, "boundaries", "found", factor))
    one = {"boundaries": [row for row in data["boundaries"] if row["nodes"] == 1]}
    assert isinstance(judged(FIGURES["several-nodes"], "several-equal-growth", one), NotRun)


def averages() -> Data:
    """Rows that agree with the theorem, for one and for two powers of the noise."""
    rows: list[Row] = []
    for noise, order, batch in product(("normal", "uniform", "sign"), (1.0, 2.0), (10.0, 1000.0)):
        std = 1 / math.sqrt(batch)
        rows.append(
            {"noise": noise, "order": order, "batch": batch, "population": 0.0,
             "mean": 1.0, "mean_error": 0.01, "predicted_mean": 1.0,
             "square": std**2, "square_error": 0.01 * std**2, "predicted_std": std}
        )  # fmt: skip
    return {"averages": rows + [{**row, "population": 2000.0} for row in rows]}


@pytest.mark.parametrize(
    ("key", "column", "factor"),
    [
        ("average-mean", "mean", 1.05),
        ("average-std-odd", "square", 1.25),
        ("average-std-even", "square", 0.8),
        ("average-std-population", "square", 1.25),
        ("average-std-even", "square_error", 20.0),
    ],
)
def test_claims_on_averages_of_noise_follow_their_numbers(
    key: str, column: str, factor: float
) -> None:
    assert verdict("noise-products", key, averages())
    assert not verdict("noise-products", key, changed(averages(), "averages", column, factor))


@pytest.mark.parametrize(("power", "holds"), [(-0.5, True), (-0.4, False), (-0.6, False)])
def test_odd_orders_must_fall_with_the_root_of_the_batch(power: float, holds: bool) -> None:
    data = averages()
    for row in data["averages"]:
        row["square"] = float(row["batch"]) ** (2 * power)
    assert verdict("noise-products", "odd-orders-fall", data) is holds


def bounded(diverged: int, accuracy: float, saturated: float) -> Data:
    rows: list[Row] = [
        {"group": "squared", "activation": activation, "share": share, "model": float(model),
         "diverged": float(share > 1 and model < diverged), "accuracy": value + 0.001 * model,
         "saturated": saturated + 0.001 * model}
        for activation in ("relu", "tanh")
        for share, value in ((0.01, 0.8), (10.0, 0.7), (100.0, accuracy))
        for model in range(10)
    ]  # fmt: skip
    return {"runs": rows}


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("tanh-does-not-diverge", (0, 0.1, 0.9), (3, 0.1, 0.9)),
        ("relu-diverges", (10, 0.1, 0.9), (6, 0.1, 0.9)),
        ("tanh-fails", (0, 0.1, 0.9), (0, 0.6, 0.9)),
        ("tanh-saturates", (0, 0.1, 0.9), (0, 0.1, 0.3)),
    ],
)
def test_claims_on_bounded_activations_follow_their_numbers(
    key: str, good: tuple[int, float, float], bad: tuple[int, float, float]
) -> None:
    assert verdict("bounded-activations", f"squared-{key}", bounded(*good))
    assert not verdict("bounded-activations", f"squared-{key}", bounded(*bad))


def test_slopes_of_bounded_activations_are_those_of_the_noisy_preactivations() -> None:
    experiment = replace(small_network(), hidden=(2,), activation="tanh")
    weights = {"w": np.zeros((2, 64), np.float32), "b": np.array([0.0, 3.0], np.float32)}
    for activation, slope in (
        ("tanh", 1 / math.cosh(3) ** 2),
        ("sigmoid", 1 / math.cosh(1.5) ** 2),
    ):
        task = bounded_activations._Task(
            replace(experiment, activation=activation), "squared", "squared", 1.0, 5.0
        )
        still = bounded_activations._slopes(task, weights, np.zeros(2))
        np.testing.assert_allclose(still[0], [1.0, slope], rtol=1e-6)
        noisy = bounded_activations._slopes(task, weights, np.array([1.0, 0.0]))
        assert noisy[:, 0].min() < 0.1
        np.testing.assert_allclose(noisy[:, 1], still[:, 1])


def along_training() -> Data:
    """Two models without and with a node, whose numbers follow the paper's equations exactly."""
    rows: list[Row] = []
    for layer, run in ((-1.0, "none"), (-1.0, "slow"), (0.0, "fresh"), (1.0, "fresh")):
        for model, step in product((0.0, 1.0), range(0, 101, 5)):
            loss = math.exp(-0.02 * step) * (1 + 0.001 * model)
            rows.append(
                {"layer": layer, "run": run, "model": model, "step": float(step), "eta": 0.1,
                 "loss": loss, "gradient": 0.2 * loss, "trace": 3.0 - 0.5 * (layer == 0),
                 "node_norm": math.exp(-0.01 * step), "rate": 0.01 * (1 + 0.001 * model)}
            )  # fmt: skip
    return {"trajectories": rows}


@pytest.mark.parametrize(
    ("key", "column", "wrong"),
    [
        ("loss-by-gradient", "gradient", lambda row: 1.5),
        ("loss-by-trace", "trace", lambda row: 1 + 4 * float(row["step"] > 20)),
        ("node-at-layer-1-falls", "node_norm", lambda row: 1 + 0.02 * float(row["step"])),
        ("node-at-layer-1-by-curvature", "rate", lambda row: 1.5),
        ("trace-with-node", "trace", lambda row: 1 + 0.5 * float(row["layer"] == 0)),
    ],
)
def test_claims_on_loss_and_curvature_follow_their_numbers(
    key: str, column: str, wrong: Callable[[Row], float]
) -> None:
    data = along_training()
    assert verdict("curvature-and-loss", key, data)
    rows = [{**row, column: float(row[column]) * wrong(row)} for row in data["trajectories"]]
    assert not verdict("curvature-and-loss", key, {"trajectories": rows})


def test_the_rate_of_the_node_is_that_of_the_curvature_along_its_weights() -> None:
    # At the output layer, where no shift crosses a kink of ReLU.
    experiment = replace(small_network(), models=1, layer=2)
    recipe = experiment.recipe("cross-entropy", 0.7)
    start = experiment.train(recipe, [0])
    (weights,), (node,) = start.weights[0], start.nodes[0]
    assert node is not None
    task = curvature_and_loss._Task(experiment, 2.0, "fresh", 0.7, 1)
    numbers = curvature_and_loss._numbers(task, recipe, weights, node)
    data = experiment.data
    model = initial_model(recipe.target, data.input_shape, len(data.classes), seed=0)
    inputs, labels = data.inputs[: experiment.probed], data.labels[: experiment.probed]
    at = (model, weights, inputs, labels, recipe.training)
    step = 0.01 * np.tile(node / np.linalg.norm(node), (len(labels), 1))
    up, down = (shifted_gradients(*at, 2, sign * step) for sign in (1, -1))
    curvature = float(((up - down) * step).sum(axis=1).mean()) / 2 / 0.01**2
    assert numbers["rate"] == pytest.approx(experiment.eta * 0.49 * curvature, rel=1e-3)
    assert numbers["node_norm"] == pytest.approx(float(np.linalg.norm(node)))
    outputs = plain_outputs(experiment, recipe, [weights], test=False)[0]
    assert numbers["loss"] == pytest.approx(mean_loss(outputs, labels, "cross-entropy"))
    layers = loss_derivatives(*at)
    traces = [weight_trace(own.curvatures.sum(axis=1), own.inputs) for own in layers]
    assert numbers["trace"] == pytest.approx(sum(traces), rel=1e-4)


@pytest.mark.parametrize(
    ("ratio", "error", "holds"),
    [(1.0, 0.01, True), (1.2, 0.01, False), (0.8, 0.01, False), (1.0, 0.2, False)],
)
def test_estimates_from_nodes_must_agree_at_every_layer(
    ratio: float, error: float, holds: bool
) -> None:
    rows: list[Row] = [
        {"activation": "tanh", "loss": "squared", "state": "end", "layer": layer, "model": model,
         "trace_ratio": ratio if layer else 1.0, "trace_error": error if layer else 0.01}
        for layer in (0.0, 1.0)
        for model in (0.0, 1.0)
    ]  # fmt: skip
    assert verdict("local-traces", "local-trace-tanh", {"layers": rows}) is holds
    assert verdict("local-traces", "whole-trace-tanh", {"networks": rows[2:]}) is holds


@pytest.mark.parametrize("eta", [1e-4, 10.0])
def test_the_rate_of_one_hidden_layer_is_stable_without_noise(eta: float) -> None:
    experiment = replace(small_network(), hidden=(16,), models=1, eta=eta)
    rate = one_hidden_layer._stable_rate(experiment)
    recipe = experiment.recipe("squared", 1e-4)
    initial = experiment.train(recipe, [0])
    found = sharpness(replace(experiment, eta=rate), recipe, initial, 0, 0)
    assert found == pytest.approx(1.0, rel=1e-3) if eta > 1 else rate == eta


def test_the_phases_of_one_hidden_layer_are_between_and_beyond_the_boundaries() -> None:
    rows: list[Row] = [
        {"loss": "squared", "boundary": name, "model": model, "sigma": sigma * 2**model}
        for name, sigma in (("growth", 1.0), ("divergence", 4.0))
        for model in (-1.0, 1.0)
    ]
    sigmas = one_hidden_layer._sigmas({"boundaries": rows}, "squared")
    assert sigmas == pytest.approx(
        {"decoupled": 0.002, "decay": 0.5, "catapult": 2.0, "divergence": 8.0}
    )


def test_halving_is_at_half_of_the_first_value() -> None:
    assert node_vs_loss._halving("x", [0, 10, 20], [4.0, 3.0, 1.0]) == {"x_halves": 15.0}
    assert node_vs_loss._halving("x", [0, 10], [4.0, 2.1]) == {}


@pytest.mark.parametrize("fixed", [True, False])
def test_the_recipe_has_the_requested_noise(fixed: bool) -> None:
    scheme = small_network().recipe("cross-entropy", 1.5, fixed=fixed).scheme
    assert scheme == NoiseNodes(1.5, layer=0, fixed=fixed)


class Linear(nn.Module):
    """w2 . (W1 x), without biases."""

    def __init__(self, inputs: int, classes: int, width: int = 7) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Linear(inputs, width, bias=False),
            nn.Linear(width, classes, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.second(self.first(x))
        return outputs


class Small(nn.Module):
    """A ReLU network with a hidden layer."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 6), nn.ReLU(), nn.Linear(6, classes))

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.layers(x)
        return outputs


def data_of(inputs: np.ndarray, classes: int) -> Dataset:
    labels = np.arange(len(inputs), dtype=np.int64) % classes
    names = tuple(str(name) for name in range(classes))
    return Dataset(
        "made", inputs.astype(np.float32), labels, inputs.astype(np.float32), labels, names
    )


def recipe_of(target: type[nn.Module], loss: str, sigma: float = 1.5) -> Recipe:
    training = Training(loss=loss, momentum=0.0)  # type: ignore[arg-type]
    return Recipe(
        lambda shape, classes: target(shape[0], classes), NoiseNodes(sigma), training, None, 0, 8
    )


def drawn_weights(model: nn.Module, generator: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        name: generator.standard_normal(values.shape).astype(np.float32)
        for name, values in model.named_parameters()
    }


def test_on_noise_alone_the_top_curvature_is_that_of_the_linear_theory() -> None:
    generator = np.random.default_rng(0)
    data, recipe = data_of(np.zeros((64, 5)), 2), recipe_of(Linear, "squared")
    weights, node = (
        drawn_weights(Linear(5, 2), generator),
        generator.standard_normal(7).astype(np.float32),
    )
    weights["second.weight"][1] = 0  # one output, and none
    outputs = noisy_outputs(recipe, data, weights, node, 64)
    noise = outputs[:, 0] / float(weights["second.weight"][0] @ node)
    assert noise.std() == pytest.approx(1.5, rel=0.3)
    expected = float(np.mean(noise**2)) * float(
        np.sum(weights["second.weight"][0] ** 2) + np.sum(node**2)
    )
    assert top_curvature(recipe, data, weights, node, 64) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
def test_the_top_curvature_is_the_top_eigenvalue_of_the_whole_gauss_newton_matrix(
    loss: str,
) -> None:
    generator = np.random.default_rng(1)
    data, recipe = data_of(generator.standard_normal((12, 4)), 3), recipe_of(Small, loss)
    weights, node = (
        drawn_weights(Small(4, 3), generator),
        generator.standard_normal(6).astype(np.float32),
    )

    def outputs(values: Tensor) -> Tensor:
        part, at = {}, 0
        for name, own in weights.items():
            part[name] = values[at : at + own.size].view(own.shape)
            at += own.size
        hidden = (
            data_inputs @ part["layers.0.weight"].T
            + part["layers.0.bias"]
            + noise[:, None] * values[at:]
        )
        return hidden.relu() @ part["layers.2.weight"].T + part["layers.2.bias"]

    data_inputs = torch.from_numpy(data.inputs)
    # The noise that is drawn, from what it does to a network that shows it.
    identity = {name: np.zeros_like(values) for name, values in weights.items()}
    identity["layers.0.bias"][0] = 100.0
    identity["layers.2.weight"][0, 0] = 1.0
    unit = np.eye(6, dtype=np.float32)[0]
    noise = torch.from_numpy(noisy_outputs(recipe, data, identity, unit, 12)[:, 0] - 100.0)
    flat = torch.cat([torch.from_numpy(array).flatten() for array in (*weights.values(), node)])
    logits = outputs(flat)
    np.testing.assert_allclose(
        noisy_outputs(recipe, data, weights, node, 12), logits, rtol=1e-3, atol=1e-3
    )
    jacobian = torch.autograd.functional.jacobian(outputs, flat).double()
    p = torch.softmax(logits.double(), dim=-1)
    inner = (
        torch.eye(3).double().expand(12, 3, 3)
        if loss == "squared"
        else torch.diag_embed(p) - p[:, :, None] * p[:, None]
    )
    matrix = torch.einsum("nca,ncd,ndb->ab", jacobian, inner, jacobian) / 12
    top = float(torch.linalg.eigvalsh(matrix)[-1])
    assert top_curvature(recipe, data, weights, node, 12, iterations=200) == pytest.approx(
        top, rel=2e-3
    )


def test_a_network_without_a_node_has_no_noise_to_be_measured_with() -> None:
    generator = np.random.default_rng(1)
    data, weights = data_of(np.ones((4, 4)), 2), drawn_weights(Small(4, 2), generator)
    with pytest.raises(
        ValueError, match="recipe must have a scheme whose noise node is in the network"
    ):
        top_curvature(
            recipe_of(Small, "squared", sigma=0.0), data, weights, np.ones(6, dtype=np.float32), 4
        )


@cache
def small_network() -> NodeExperiment:
    return network("digits", 100, (16, 16), 0.1, 50, 2, 2, 0)


def test_at_the_reference_sigma_rate_times_curvature_is_two() -> None:
    experiment = small_network()
    recipe = experiment.recipe("squared", reference_sigma(experiment, "squared"))
    initial = experiment.train(recipe, [0])
    assert np.mean(
        [sharpness(experiment, recipe, initial, model, 0) for model in range(2)]
    ) == pytest.approx(2.0, rel=0.03)


def test_a_rate_that_is_too_high_without_noise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"eta must be lower for this network, .* got 50\.0"):
        reference_sigma(replace(small_network(), eta=50.0), "squared")


def test_mean_losses_by_hand() -> None:
    outputs, labels = np.array([[2.0, 0.0], [0.0, 0.0]], dtype=np.float32), np.array([0, 1])
    assert mean_loss(outputs, labels, "squared") == pytest.approx((0.5 * 1 + 0.5 * 1) / 2)
    assert mean_loss(outputs, labels, "cross-entropy") == pytest.approx(
        (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    )
    assert mean_loss(np.array([[np.inf, 0.0]], dtype=np.float32), labels[:1], "squared") == math.inf


def test_the_beginning_has_its_lengths_and_angles() -> None:
    start = beginning(5, 9, 0.3, np.random.default_rng(0), node=0.5, second=2.0)
    np.testing.assert_allclose(start.leak, 0.3 * 0.5 * 2.0, rtol=1e-12)
    np.testing.assert_allclose(start.slope, 0, atol=1e-12)
    np.testing.assert_allclose(np.sum(start.first * start.node, axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(start.node, axis=-1), 0.5)
    assert not np.allclose(start.second[0], start.second[1])
    with pytest.raises(ValueError, match="width must be >= 3, got 2"):
        beginning(1, 2, 0.3, np.random.default_rng(0))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    draws, times = generator.standard_normal((400, 20)), np.arange(20.0)
    covered = {
        "mean": [low < 0 < high for _, low, high in map(mean_interval, draws)],
        "geometric mean": [
            low < 1 < high for _, low, high in map(geometric_mean_interval, np.exp(0.3 * draws))
        ],
        "root mean square": [
            low < 2 < high for _, low, high in map(root_mean_square_interval, 2 * draws)
        ],
        "slope": [
            low < 0.7 < high
            for _, low, high in (slope_interval(times, 0.7 * times + row) for row in draws)
        ],
    }
    for name, hits in covered.items():
        assert stats.binomtest(sum(hits), 400, 0.95).pvalue > 1e-3, name
