"""The figures of weight noise: what they measure and draw, and what their claims say of data made
up for them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch.nn.functional import cross_entropy

from mgaudit.papers.claim import Data, Measured, NotRun, Row
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import matching
from mgaudit.papers.weight_noise import (
    cnns,
    curves,
    depth,
    fig3,
    fig6,
    lasso,
    mlps,
    noisy_training,
    nuclear,
    piecewise,
    sigma_sweep,
    theorem1,
    theorem2,
    training,
    width,
)
from mgaudit.papers.weight_noise.descent import noisy_descent
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import scheme
from mgaudit.papers.weight_noise.paper import PAPER
from mgaudit.settings.datasets import load
from mgaudit.study.progress import Progress
from mgaudit.targets.fitting.recipe import Recipe, TrainedModel, initial_model, train
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.querying.hessian import hessian_trace
from mgaudit.targets.schemes import Scheme, WeightNoise
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training
from mgaudit.theory.weight_noise import deep_linear, relu

WORKSHOP = Resources(1, "cpu", Progress())
# tests.papers.test_privacy tests the figure on privacy.
FIGURES = {figure.key: figure for figure in PAPER.figures if figure.key != "privacy"}
TINY: dict[str, Any] = {
    "theorem1": replace(theorem1.FIGURE.quick, networks=2),
    "theorem2": replace(theorem2.FIGURE.quick, problems=2, width=2, sigmas=(0.05, 0.1)),
    "piecewise": replace(piecewise.FIGURE.quick, networks=2, random_networks=4, groups=2),
    "lasso": lasso.LassoSettings(
        examples=20, features=4, relevant=2, alphas=(0.1, 0.3), problems=2, steps=400
    ),
    "nuclear": nuclear.NuclearSettings(problems=2, steps=200, group_steps=200),
    "width": width.WidthSettings(
        features=3, outputs=2, examples=4, widths=(4, 8), networks=2, draws=20
    ),
    "depth": replace(depth.FIGURE.quick, widths=(4, 8), networks=2),
    "training": training.TrainingSettings(
        examples=20, hidden=(3, 6), steps=8, snapshots=4, models=2
    ),
    "fig3": fig3.Fig3Settings(
        examples=30, tests=40, hidden=(4, 3), sigmas=(0.1, 0.2), steps=4, models=2, snapshots=2
    ),
    "fig7-10": mlps.MLPSettings(
        examples=30, tests=40, widths=(3, 4, 3, 4), steps=4, models=2, snapshots=2, probes=2
    ),
    "fig11-12": cnns.CNNSettings(
        examples=30,
        tests=40,
        toy_channels=(2, 2),
        toy_hidden=(3,),
        wide_channels=(2, 2, 3, 3),
        epochs=4,
        models=2,
        snapshots=4,
        probes=2,
        trace_examples=20,
    ),
    "fig6": fig6.Fig6Settings(
        examples=30, tests=40, width=2, epochs=2, models=2, probes=2, trace_examples=10
    ),
    "sigma-sweep": sigma_sweep.SweepSettings(
        examples=30,
        tests=40,
        sigmas=(0.1, 0.2),
        narrow=(3,),
        wide=(5,),
        deep=(3, 3),
        channels=(2,),
        cnn_hidden=3,
        epochs=2,
        models=2,
        probes=2,
    ),
}


@pytest.fixture(scope="module")
def tiny() -> dict[str, Data]:
    return {key: FIGURES[key].measure(settings, WORKSHOP) for key, settings in TINY.items()}


def claim(figure: PaperFigure, key: str, data: Data) -> Measured | NotRun:
    return next(candidate for candidate in figure.claims if candidate.key == key).check(data)


def measured(figure: PaperFigure, key: str, data: Data) -> Measured:
    result = claim(figure, key, data)
    assert isinstance(result, Measured)
    return result


def test_all_figures_are_there_and_the_quick_ones_need_no_fetched_images() -> None:
    assert list(FIGURES) == list(TINY)
    for key, figure in FIGURES.items():
        if hasattr(figure.quick, "dataset"):
            full = "fashion-mnist" if key in ("fig3", "fig7-10") else "cifar10"
            assert (figure.quick.dataset, figure.full.dataset) == ("digits", full), key


@pytest.mark.parametrize("key", TINY)
def test_a_figure_is_measured_drawn_and_judged(key: str, tiny: dict[str, Data]) -> None:
    figure, data = FIGURES[key], tiny[key]
    for rows in data.values():
        assert 0 < len(rows) <= 2000
        assert all(type(value) in (str, float) for row in rows for value in row.values())
        assert len({tuple(row) for row in rows}) == 1  # the same columns
    drawn = figure.draw(data)
    assert isinstance(drawn, Figure)
    assert all(axes.get_xlabel() and (axes.get_ylabel() or axes.get_title()) for axes in drawn.axes)
    for candidate in figure.claims:
        assert isinstance(candidate.check(data), Measured | NotRun)


@pytest.mark.parametrize("key", ["width", "lasso", "nuclear", "training"])
def test_the_same_settings_give_the_same_data_and_another_seed_others(
    key: str, tiny: dict[str, Data]
) -> None:
    figure, settings = FIGURES[key], TINY[key]
    assert figure.measure(settings, WORKSHOP) == tiny[key]
    assert figure.measure(replace(settings, seed=1), WORKSHOP) != tiny[key]


def test_the_kinds_of_noise_are_those_of_the_scheme() -> None:
    assert scheme("none", 0.3) == Scheme()
    assert scheme("all layers", 0.3) == WeightNoise(0.3, layerwise=False)
    assert scheme("layer-wise", 0.3) == WeightNoise(0.3, layerwise=True)


def test_descent_perturbs_the_gradient_and_not_the_weights() -> None:
    seen: list[list[np.ndarray[Any, Any]]] = []

    def gradient(weights: list[Any]) -> list[Any]:
        seen.append([group.copy() for group in weights])
        return [np.zeros_like(group) for group in weights]

    def run(noise: str, steps: int = 200) -> np.ndarray[Any, Any]:
        seen.clear()
        start = [np.full((1, 400), 2.0), np.full((1, 400), 3.0)]
        predictor = noisy_descent(
            gradient, lambda w: w[0] + w[1], start, noise, 0.5, 0.1, steps, np.random.default_rng(0)
        )
        assert (predictor == 5).all()  # no gradient, no step, whatever the noise
        return np.array(
            [[(noisy - plain).std() for noisy, plain in zip(at, start, strict=True)] for at in seen]
        )

    assert (run("none") == 0).all()
    everywhere = run("all layers")
    np.testing.assert_allclose(everywhere.mean(axis=0), 0.5 / math.sqrt(2), rtol=0.01)
    in_turn = run("layer-wise")
    np.testing.assert_allclose(in_turn[::2, 0].mean(), 0.5, rtol=0.01)
    np.testing.assert_allclose(in_turn[1::2, 1].mean(), 0.5, rtol=0.01)
    assert (in_turn[1::2, 0] == 0).all()
    assert (in_turn[::2, 1] == 0).all()


def test_descent_without_noise_reaches_the_minimum() -> None:
    def gradient(weights: list[Any]) -> list[Any]:
        return [2 * (weights[0] - 3.0)]

    predictor = noisy_descent(
        gradient,
        lambda w: w[0],
        [np.zeros((2, 1))],
        "none",
        1.0,
        0.1,
        4000,
        np.random.default_rng(0),
    )
    np.testing.assert_allclose(predictor, 3.0)


def excess(slopes: dict[str, float], noise: Sequence[float] = (0.0, 0.1, -0.1)) -> Data:
    """Excesses 1 + slope * width * (1 + noise of the seed) for each kind of noise, the predicted
    slope being 0.01."""
    rows: list[Row] = [
        {
            "network": network,
            "noise": kind,
            "width": float(size),
            "seed": float(seed),
            "excess": 1 + slope * size * (1 + 0.1 * shift),
            "error": 0.1,
            "closed_form": 1 + slope * size,
        }
        for network in width.NETWORK_NAMES
        for kind, slope in slopes.items()
        for size in (100, 200, 400)
        for seed, shift in enumerate(noise)
    ]
    return {
        "excess": rows,
        "predicted": [{"network": network, "slope": 0.01} for network in width.NETWORK_NAMES],
    }


def test_the_claims_of_width_reject_a_wrong_coefficient_and_a_false_slope() -> None:
    right = excess({"all layers": 0.01, "layer-wise": 0.0})
    assert all(
        measured(width.FIGURE, candidate.key, right).holds for candidate in width.FIGURE.claims
    )
    assert measured(width.FIGURE, "explosion-linear", right).value == pytest.approx(1)
    for wrong in (0.02, 0.0085):
        assert not measured(
            width.FIGURE, "explosion-relu", excess({"all layers": wrong, "layer-wise": 0.0})
        ).holds
    for slope in (0.001, -0.001):
        data = excess({"all layers": 0.01, "layer-wise": slope})
        assert not measured(width.FIGURE, "layerwise-linear", data).holds
        assert measured(width.FIGURE, "layerwise-linear", data).value == pytest.approx(
            300 * slope / (1 + slope * 700 / 3)
        )
    bent = excess({"all layers": 0.01, "layer-wise": 0.0})
    for row in bent["excess"]:
        row["excess"] = float(row["excess"]) ** 2
    assert not measured(width.FIGURE, "straight", bent).holds
    assert not measured(width.FIGURE, "closed-form", bent).holds


@pytest.mark.parametrize(("power", "holds"), [(1.0, True), (1.2, False), (0.8, False)])
def test_a_rise_by_another_power_of_the_width_is_not_straight(power: float, holds: bool) -> None:
    data = excess({"all layers": 0.0, "layer-wise": 0.0})
    for row in data["excess"]:
        if row["noise"] == "all layers":
            row["excess"] = 1 + 0.01 * float(row["width"]) ** power * (
                1 + 0.01 * float(row["seed"])
            )
    result = measured(width.FIGURE, "straight", data)
    assert result.value == pytest.approx(power)
    assert result.holds == holds
    data["excess"][0]["excess"] = 1.0
    assert claim(width.FIGURE, "straight", data) == NotRun(
        "in 1 networks draws do not distinguish noise on all layers from noise on one at a time"
    )


def test_the_excess_measured_is_the_one_in_closed_form_and_the_prediction_its_slope() -> None:
    settings = replace(TINY["width"], widths=(40, 80), networks=3, draws=400, sigma=0.5)
    data = width.measure(settings, WORKSHOP)
    assert measured(width.FIGURE, "closed-form", data).holds
    for network in width.NETWORK_NAMES:
        slope = next(float(row["slope"]) for row in data["predicted"] if row["network"] == network)
        rows = [
            row
            for row in data["excess"]
            if row["network"] == network and row["noise"] == "all layers"
        ]
        at = {
            size: np.mean([float(row["closed_form"]) for row in rows if row["width"] == size])
            for size in (40, 80)
        }
        assert (at[80] - at[40]) / 40 == pytest.approx(slope, rel=0.3)


def ends(values: dict[tuple[str, float, str], float], spread: float = 0.01) -> Data:
    rows: list[Row] = [
        {
            "network": network,
            "hidden": hidden,
            "noise": noise,
            "seed": float(seed),
            "step": float(step),
        }
        | dict.fromkeys(
            ("clean", "regularised", "noisy"), value * (1 + spread * seed) if step else 9.0
        )
        for (network, hidden, noise), value in values.items()
        for seed in range(3)
        for step in range(5)
    ]
    return {"losses": rows}


def losses(all_narrow: float, all_wide: float, layerwise: float) -> Data:
    return ends(
        {
            (network, hidden, noise): value
            for network in training.NETWORK_NAMES
            for hidden in (50.0, 300.0)
            for noise, value in (
                ("none", 2.0),
                ("all layers", all_narrow if hidden == 50 else all_wide),
                ("layer-wise", layerwise),
            )
        }
    )


def test_the_claims_of_training_compare_ends_in_the_right_direction() -> None:
    right = losses(all_narrow=1.0, all_wide=1.5, layerwise=0.9)
    for key in ("narrow-linear", "minimised-relu", "wide-linear", "grows-relu"):
        assert measured(training.FIGURE, key, right).holds
    assert measured(training.FIGURE, "wide-relu", right).value == pytest.approx(1.5 / 0.9)
    assert measured(training.FIGURE, "grows-relu", right).value == pytest.approx(0.5 / 0.9)
    assert measured(training.FIGURE, "minimised-linear", right).value == pytest.approx(0.45)
    assert not measured(training.FIGURE, "own-objective", right).holds
    wrong = losses(all_narrow=2.5, all_wide=0.8, layerwise=2.4)
    for key in ("narrow-linear", "minimised-relu", "wide-linear", "grows-relu"):
        assert not measured(training.FIGURE, key, wrong).holds
    assert measured(training.FIGURE, "own-objective", wrong).holds


def test_what_diverged_is_not_judged() -> None:
    data = losses(1.0, math.nan, 0.9)
    result = claim(training.FIGURE, "wide-linear", data)
    assert result == NotRun("in 3 of 3 pairs a model diverged")
    assert training.FIGURE.draw(data).axes


def test_the_losses_of_training_start_equal_and_have_the_second_order_between(
    tiny: dict[str, Data],
) -> None:
    rows = tiny["training"]["losses"]
    for network in training.NETWORK_NAMES:
        first = [
            row
            for row in rows
            if (row["network"], row["hidden"], row["step"], row["seed"]) == (network, 3, 0, 0)
        ]
        assert len(first) == 3
        assert (
            len({tuple(row[name] for name in ("clean", "regularised", "noisy")) for row in first})
            == 1
        )
    assert all(float(row["clean"]) < float(row["regularised"]) for row in rows)
    assert all(
        float(row["regularised"]) < float(row["noisy"])
        for row in rows
        if row["network"] == "linear"
    )
    assert len(
        {(row["network"], row["hidden"], row["noise"], row["seed"], row["step"]) for row in rows}
    ) == len(rows)
    finals = {
        row["noise"]: row["clean"]
        for row in rows
        if (row["hidden"], row["step"], row["seed"]) == (6, 8, 1)
    }
    assert len(set(finals.values())) == 3


def test_the_losses_of_training_are_the_closed_forms_at_the_sds_of_the_scheme() -> None:
    generator, sigma = np.random.default_rng(0), 0.3
    shapes = ((5, 4), (3, 5), (6, 4), (6, 3))
    first, second, x, y = (generator.normal(size=shape) for shape in shapes)
    both, single = (sigma / math.sqrt(2), sigma / math.sqrt(2)), ((sigma, 0.0), (0.0, sigma))

    values = training._losses("relu", [first, second], x, y, sigma)
    assert values["clean"] == pytest.approx(relu.expected_risk(first, second, x, y, (0.0, 0.0)))
    added = np.mean([sum(relu.second_order(first, second, x, stds)) for stds in single])
    assert values["regularised"] - values["clean"] == pytest.approx(added)
    assert values["noisy"] == pytest.approx(relu.expected_risk(first, second, x, y, both))

    values = training._losses("linear", [first, second], x, y, sigma)
    assert values["clean"] == pytest.approx(
        deep_linear.expected_risk([first, second], x, y, (0.0, 0.0))
    )
    alone = np.mean([deep_linear.expected_risk([first, second], x, y, stds) for stds in single])
    assert values["regularised"] == pytest.approx(alone)
    assert values["noisy"] == pytest.approx(deep_linear.expected_risk([first, second], x, y, both))


def nearest(descended: np.ndarray[Any, Any], solved: dict[float, np.ndarray[Any, Any]]) -> float:
    return min(solved, key=lambda strength: float(np.linalg.norm(descended - solved[strength])))


def test_noisy_descent_is_nearest_to_the_lasso_of_its_own_alpha() -> None:
    settings = replace(TINY["lasso"], alphas=(0.1, 0.2, 0.4), steps=4000, learning_rate=0.02)
    rows = lasso.measure(settings, WORKSHOP)["coefficients"]
    for seed in range(2):
        of = {
            name: {
                alpha: np.array(
                    [row[name] for row in rows if (row["seed"], row["alpha"]) == (seed, alpha)],
                    dtype=float,
                )
                for alpha in settings.alphas
            }
            for name in ("lasso", "all layers", "layer-wise")
        }
        for noise in ("all layers", "layer-wise"):
            assert nearest(of[noise][0.2], of["lasso"]) == 0.2


def test_noisy_descent_is_nearest_to_the_solver_of_its_own_variance() -> None:
    strengths = (0.1, 0.2, 0.4)
    settings = replace(
        TINY["nuclear"],
        variances=strengths,
        group_variances=strengths,
        steps=1500,
        group_steps=3000,
    )
    rows = nuclear.measure(
        replace(settings, learning_rate=0.02, group_learning_rate=0.02), WORKSHOP
    )["sizes"]
    for model in nuclear.MODELS:
        for seed in range(2):
            own = [row for row in rows if (row["model"], row["seed"]) == (model, seed)]
            of = {
                name: {
                    variance: np.array(
                        [row[name] for row in own if row["variance"] == variance], dtype=float
                    )
                    for variance in strengths
                }
                for name in ("solver", "all layers", "layer-wise")
            }
            for noise in ("all layers", "layer-wise"):
                assert nearest(of[noise][0.2], of["solver"]) == 0.2


def test_what_diverged_under_either_noise_is_not_judged() -> None:
    rows: list[Row] = [
        {
            "seed": float(seed),
            "alpha": 0.1,
            "feature": float(feature),
            "lasso": float(feature),
            "none": 2.0,
        }
        | {"all layers": 0.01, "layer-wise": math.nan if seed else 0.01}
        for seed in range(3)
        for feature in range(2)
    ]
    data: Data = {"coefficients": rows, "objectives": []}
    for key in ("coefficients", "zeros"):
        assert claim(lasso.FIGURE, key, data) == NotRun("in 2 of 3 pairs a model diverged")


def test_a_comparison_is_judged_by_its_interval() -> None:
    result = mean_over_seeds("ratio", [0.9, 0.95, 1.0], at_most=1.0)
    assert isinstance(result, Measured)
    assert result.value == pytest.approx(0.95)
    assert not result.holds  # 95 % of it reach to 1.07
    assert mean_over_seeds("ratio", [0.9, 0.95, 1.0], 0.8, 1.1) == replace(
        result, at_least=0.8, at_most=1.1
    )


def test_the_claims_of_the_lasso_need_descent_to_be_near_and_descent_without_noise_not() -> None:
    def data(near: float) -> Data:
        rows: list[Row] = [
            {
                "seed": float(seed),
                "alpha": 0.1,
                "feature": float(feature),
                "lasso": value,
                "none": value + 0.2,
                "all layers": value + 0.2 * near,
                "layer-wise": value - 0.2 * near * (1 + 0.01 * seed),
            }
            for seed in range(3)
            for feature, value in enumerate((1.0, 0.0, -2.0))
        ]
        objectives: list[Row] = [
            {"seed": 0.0, "alpha": 0.1, "lasso": 1.0, "network": 1.0 + near / 1e3}
        ]
        return {"coefficients": rows, "objectives": objectives}

    good, bad = data(1e-5), data(0.3)
    for key in ("coefficients", "zeros", "objective"):
        assert measured(lasso.FIGURE, key, good).holds
        assert not measured(lasso.FIGURE, key, bad).holds
    assert measured(lasso.FIGURE, "coefficients", bad).value == pytest.approx(0.303)
    for row in good["coefficients"]:
        row["lasso"] = 1.0
    assert claim(lasso.FIGURE, "zeros", good) == NotRun("the Lasso of problem 0 has no zeros")


def test_the_claims_of_the_nuclear_norm_need_descent_to_be_near() -> None:
    def data(near: float) -> Data:
        about: list[Row] = [
            {"model": model, "seed": float(seed), "variance": 0.1}
            for model in nuclear.MODELS
            for seed in range(3)
        ]
        noisy = {"none": 2.0, "all layers": 2 * near, "layer-wise": near}
        return {
            "distances": [row | noisy for row in about],
            "sizes": [
                row
                | {
                    "index": float(index),
                    "solver": size,
                    **{key: size + value for key, value in noisy.items()},
                }
                for row in about
                for index, size in enumerate((5.0, 0.0))
            ],
        }

    for key in ("nuclear", "rank", "group-lasso", "groups"):
        assert measured(nuclear.FIGURE, key, data(0.01)).holds
        result = measured(nuclear.FIGURE, key, data(0.2))
        assert result.value == pytest.approx(0.2)
        assert not result.holds


@pytest.mark.slow
@pytest.mark.parametrize("key", ["lasso", "nuclear", "width"])
def test_the_claims_without_training_hold_in_the_quick_settings(key: str) -> None:
    figure = FIGURES[key]
    data = figure.measure(figure.quick, WORKSHOP)
    for candidate in figure.claims:
        result = candidate.check(data)
        assert isinstance(result, Measured)
        assert result.holds


def test_the_trace_of_a_sweep_is_that_of_the_hessian_at_the_trained_weights() -> None:
    settings: sigma_sweep.SweepSettings = TINY["sigma-sweep"]
    dataset = load("digits", settings.examples, numpy_generator(0, "examples")).standardised()
    target, rules = settings.target("wide"), Training(epochs=1, batch_size=10, learning_rate=0.1)
    model = initial_model(target, dataset.input_shape, len(dataset.classes), seed=3)
    trained = TrainedModel(
        {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}, 1
    )
    task = sigma_sweep._Task(settings, dataset, "cpu", "wide", "none", 0.0)
    outcome = sigma_sweep._outcome(task, target, rules, trained, 4)
    expected = hessian_trace(
        model,
        trained.weights,
        dataset.inputs,
        dataset.labels,
        rules,
        settings.probes,
        numpy_generator(0, "probes", 4),
    )
    assert outcome["trace"] == pytest.approx(expected.value, rel=1e-6)
    assert outcome["trace_error"] == pytest.approx(expected.standard_error, rel=1e-6)
    assert expected.value > 0


def sweep(layerwise: float, everywhere: float, trace: float) -> Data:
    arms = [
        ("none", 0.0),
        *((noise, sigma) for noise in ("all layers", "layer-wise") for sigma in (0.1, 0.4)),
    ]
    rows: list[Row] = []
    for network in sigma_sweep.NETWORK_NAMES:
        for noise, sigma in arms:
            for seed in range(3):
                gain = {"none": 0.0, "all layers": everywhere, "layer-wise": layerwise}[noise] * (
                    sigma == 0.4
                )
                gain = gain / 2 if network == "narrow" else gain
                accuracy = 0.5 + gain + 0.001 * seed * sigma
                rows.append(
                    {
                        "network": network,
                        "noise": noise,
                        "sigma": sigma,
                        "seed": float(seed),
                        "step": 1.0,
                        "accuracy": accuracy,
                        "first_half": accuracy,
                        "second_half": accuracy,
                        "training_accuracy": 1.0,
                        "trace": (trace if noise == "layer-wise" else 1.0) + 0.01 * seed,
                        "trace_error": 0.1,
                    }
                )
    return {"models": rows}


def test_the_claims_of_the_sweep_compare_in_the_right_direction() -> None:
    right = sweep(layerwise=0.1, everywhere=-0.1, trace=0.5)
    for candidate in sigma_sweep.FIGURE.claims:
        assert measured(sigma_sweep.FIGURE, candidate.key, right).holds, candidate.key
    assert "σ = 0.4 " in measured(sigma_sweep.FIGURE, "accuracy-deep", right).quantity
    assert measured(sigma_sweep.FIGURE, "accuracy-deep", right).value == pytest.approx(0.1004)
    assert measured(sigma_sweep.FIGURE, "wide-hurts", right).value == pytest.approx(0.1)
    wrong = sweep(layerwise=-0.1, everywhere=0.1, trace=2.0)
    for row in wrong["models"]:
        if row["sigma"] == 0.1:
            row["first_half"] = row["second_half"] = row["accuracy"] = 0.45
    for candidate in sigma_sweep.FIGURE.claims:
        assert not measured(sigma_sweep.FIGURE, candidate.key, wrong).holds, candidate.key


def test_each_half_of_the_test_examples_is_measured_at_the_sigma_that_the_other_chose() -> None:
    data = sweep(layerwise=0.0, everywhere=0.0, trace=1.0)
    for row in data["models"]:
        if row["noise"] == "layer-wise":
            # A σ that is lucky on one half and unlucky on the other: chosen and measured on one, it
            # would seem to gain.
            lucky, unlucky = (
                ("first_half", "second_half")
                if row["sigma"] == 0.1
                else ("second_half", "first_half")
            )
            row[lucky], row[unlucky] = 0.6, 0.4
    result = measured(sigma_sweep.FIGURE, "accuracy-wide", data)
    assert result.value == pytest.approx(-0.1)
    assert "0.1 and 0.4" in result.quantity


def test_a_sweep_judges_no_models_that_diverged() -> None:
    data = sweep(layerwise=0.1, everywhere=-0.1, trace=0.5)
    for row in data["models"]:
        if row["network"] == "deep" and row["noise"] == "none":
            row.update(dict.fromkeys(("accuracy", "first_half", "second_half", "trace"), math.nan))
    assert claim(sigma_sweep.FIGURE, "accuracy-deep", data) == NotRun(
        "in 3 of 3 pairs a model diverged"
    )
    assert isinstance(claim(sigma_sweep.FIGURE, "trace-deep", data), NotRun)
    assert sigma_sweep.FIGURE.draw(data).axes


def trained(**changes: Any) -> list[Row]:
    """Rows of two models of a small MLP, with each kind of noise at σ = 0.3."""
    training = replace(Training(epochs=6, batch_size=30, learning_rate=0.1), **changes)
    network = partial(MLP, hidden=(4,))
    arms = noisy_training.arms_of_sigmas("own", "4", network, training, (0.3,), quiet_epoch=3)
    probing = noisy_training.Probing(snapshots=2, tests=50, probes=2, trace_examples=20)
    return noisy_training.measured_training(arms, "digits", 30, 2, probing, 0, WORKSHOP)


def test_training_with_noise_is_measured_at_the_weights_of_its_scheme() -> None:
    rows = trained()
    assert [(row["noise"], row["seed"], row["step"]) for row in rows] == list(
        product(("none", "all layers", "layer-wise"), (0, 1), (3, 6))
    )
    dataset = load("digits", 30, numpy_generator(0, "examples")).standardised()
    scheme = WeightNoise(0.3, layerwise=True, stop_epoch=3)
    rules = Training(epochs=6, batch_size=30, learning_rate=0.1)
    target = partial(MLP, hidden=(4,))
    recipe = Recipe(target, scheme, rules, None, noisy_training.SEEDS_APART, 30)
    (model,) = train(recipe, dataset, np.ones((1, 30), dtype=bool), [0], "cpu")
    network = initial_model(target, dataset.input_shape, 10, seed=0)
    network.load_state_dict({name: torch.from_numpy(w) for name, w in model.weights.items()})
    row = matching(rows, noise="layer-wise", seed=1.0, step=6.0)[0]
    with torch.no_grad():
        logits = network(torch.from_numpy(dataset.inputs)).double()
    loss = cross_entropy(logits, torch.from_numpy(dataset.labels))
    assert row["training_loss"] == pytest.approx(float(loss), rel=1e-5)
    inputs, labels = dataset.inputs[:20], dataset.labels[:20]
    generator = numpy_generator(0, "probes", 1)
    trace = hessian_trace(network, model.weights, inputs, labels, rules, 2, generator)
    assert row["trace"] == pytest.approx(trace.value, rel=1e-4)
    tests = numpy_generator(0, "tests").permutation(len(dataset.test_labels))[:50]
    with torch.no_grad():
        guesses = network(torch.from_numpy(dataset.test_inputs[tests])).argmax(dim=1).numpy()
    assert row["accuracy"] == pytest.approx((guesses == dataset.test_labels[tests]).mean())
    assert row["first_half"] == pytest.approx((guesses == dataset.test_labels[tests])[:25].mean())


def test_trained_models_are_read_in_a_repeated_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = trained(learning_rate=0.07)

    def interrupted(*arguments: Any) -> None:
        raise InterruptedError

    monkeypatch.setattr(noisy_training, "training_trajectory", interrupted)
    assert trained(learning_rate=0.07) == rows
    with pytest.raises(InterruptedError):
        trained(learning_rate=0.08)


def ended(values: dict[str, dict[str, float]], sigmas: Sequence[float] = (0.1,)) -> list[Row]:
    """Rows of three models of each noise, whose columns have these values at the end.

    Before the end, accuracies are 0.9 and traces vary by their values.
    """
    names = ("accuracy", "first_half", "second_half", "training_loss", "test_loss", "trace")
    return [
        {"experiment": "own", "network": "4", "dataset": "digits", "classes": 10.0}
        | {"noise": noise, "sigma": sigma * (noise != "none"), "seed": float(seed)}
        | {"step": float(step)}
        | {
            name: value + 0.001 * seed if step == 4 else value * (1 + step % 2) + 0.001 * seed
            for name, value in (dict.fromkeys(names, 0.5) | own).items()
        }
        for noise, own in values.items()
        for sigma in (sigmas if noise != "none" else sigmas[:1])
        for seed in range(3)
        for step in (1, 2, 3, 4)
    ]


def test_curves_are_compared_at_the_end_in_the_right_direction() -> None:
    values = {
        "none": {"accuracy": 0.5, "trace": 2.0},
        "layer-wise": {"accuracy": 0.7, "trace": 1.0},
        "all layers": {"accuracy": 0.4, "trace": 4.0},
    }
    data = {"models": ended(values)}
    for name, noise, higher, value in (
        ("accuracy", "layer-wise", True, 0.2),
        ("accuracy", "all layers", False, -0.1),
        ("trace", "layer-wise", False, 0.5),
        ("trace", "all layers", True, 2.0),
    ):
        right = curves.compared("own", name, noise, "none", higher)(data)  # type: ignore[arg-type]
        wrong = curves.compared("own", name, noise, "none", not higher)(data)  # type: ignore[arg-type]
        assert isinstance(right, Measured)
        assert isinstance(wrong, Measured)
        assert (right.holds, wrong.holds) == (True, False), (name, noise)
        assert right.value == pytest.approx(value, rel=0.01)
        assert "(4, digits)" in right.quantity
    falls = curves.falls_from_peak("own", "none")(data)
    assert isinstance(falls, Measured)
    assert falls.holds
    assert falls.value == pytest.approx(-0.5)
    for noise, ratio in (("layer-wise", 0.5), ("all layers", 2.0)):
        steadier = curves.steadier("own", noise, "none")(data)
        assert isinstance(steadier, Measured)
        assert steadier.value == pytest.approx(ratio, rel=0.01)
        assert steadier.holds == (noise == "layer-wise")


def test_noise_is_not_judged_by_networks_that_learn_nothing_without_it() -> None:
    data = {"models": ended({"none": {"training_loss": 2.0}, "layer-wise": {}})}
    unlearned = NotRun("3 of 3 models without noise did not learn their examples")
    assert curves.compared("own", "accuracy", "layer-wise", "none", higher=True)(data) == unlearned


@pytest.mark.parametrize("figure", [fig3.FIGURE, fig6.FIGURE], ids=["fig3", "fig6"])
def test_the_sweeps_over_sigma_compare_in_the_right_direction(figure: PaperFigure) -> None:
    def data(layerwise: float, everywhere: float) -> Data:
        names = ("accuracy", "first_half", "second_half")
        values = {
            "none": dict.fromkeys(names, 0.5),
            "all layers": dict.fromkeys(names, everywhere) | {"trace": 1 - everywhere},
            "layer-wise": dict.fromkeys(names, layerwise),
        }
        return {"models": ended(values, (0.1, 0.2))}

    for candidate in figure.claims:
        assert measured(figure, candidate.key, data(0.6, 0.4)).holds, candidate.key
        assert not measured(figure, candidate.key, data(0.4, 0.6)).holds, candidate.key


def test_the_scale_of_the_text_is_that_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[noisy_training.Arm]] = {}
    for module in (fig3, mlps, cnns, fig6):

        def planned(arms: Any, *rest: Any, module: Any = module) -> list[Row]:
            seen[f"{module.__name__[-4:]} {rest[-1].device}"] = arms
            return []

        monkeypatch.setattr(module, "measured_training", planned)
        for device in ("cpu", "cuda"):
            module.measure(module.FIGURE.full, Resources(1, device, Progress()))
    rates = {name: [arm.training.learning_rate for arm in arms] for name, arms in seen.items()}
    assert set(rates["fig3 cuda"]) == {0.005}
    assert rates["mlps cuda"][::3] == [0.005, 0.005, 0.005, 0.001]
    assert rates["cnns cuda"][::3] == [0.001, 0.005]
    assert set(rates["fig6 cuda"]) == {0.01}
    hidden = [arm.target.keywords["hidden"] for arm in seen["mlps cuda"][::3]]
    assert hidden == [(500,) * 3, (5000,) * 3, (1000,) * 5, (5000,) * 5]
    assert [arm.sigma for arm in seen["mlps cuda"]][1::3] == [0.05, 0.1, 0.1, 0.05]
    assert seen["fig3 cuda"][0].target.keywords == {"hidden": (5000, 5000)}
    assert {arm.quiet_epoch for arm in seen["fig6 cuda"]} == {135}
    assert {arm.training.batch_size for arm in seen["cnns cuda"]} == {1024}
    for name in ("fig3", "mlps", "cnns", "fig6"):
        assert [arm.sigma for arm in seen[f"{name} cpu"]] == [
            arm.sigma for arm in seen[f"{name} cuda"]
        ]
        assert min(rates[f"{name} cpu"]) > max(rates[f"{name} cuda"]), name


def test_networks_are_trained_by_the_traits_that_the_contract_measures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the channels last, oneDNN corrupts memory for the narrow projections of Fig. 6."""
    tasks: list[Any] = []

    def planned(function: object, of_run: Sequence[Any], *_: Any, **__: Any) -> list[Row]:
        tasks.extend(of_run)
        return []

    monkeypatch.setattr(noisy_training.parallel, "run", planned)
    for module, key in ((fig6, "fig6"), (cnns, "fig11-12")):
        module.measure(TINY[key], WORKSHOP)
    of_figures = {task.arm.experiment: task.traits for task in tasks}
    resnet = of_figures.pop("fig6")
    assert (resnet.mixes_examples, resnet.keeps_state, resnet.channels_last) == (True, True, False)
    assert of_figures
    for traits in of_figures.values():
        assert (traits.per_example, traits.channels_last) == (True, True)


def test_a_sweep_judges_each_half_at_the_sigma_that_the_other_chose() -> None:
    names = ("accuracy", "first_half", "second_half")
    rows = ended({"none": dict.fromkeys(names, 0.5), "layer-wise": {}}, (0.1, 0.2))
    for row in rows:
        if row["noise"] == "layer-wise":
            lucky, unlucky = names[1:] if row["sigma"] == 0.1 else reversed(names[1:])
            row[lucky], row[unlucky] = 0.6, 0.4
    result = noisy_training.gain_at_best_sigma(rows, "layer-wise", at_least=0.0)
    assert isinstance(result, Measured)
    assert result.value == pytest.approx(-0.1, abs=0.002)
    assert "0.1 and 0.2" in result.quantity
