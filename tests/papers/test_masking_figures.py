import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import norm

from mgaudit.papers.claim import Data, Measured, NotRun
from mgaudit.papers.gaussian_masking import decomposition, masked_neuron, proxy, smoothed_activation
from mgaudit.papers.gaussian_masking.agreement import agreement, rises
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.study.progress import Progress

SMALL = {
    "fig1a": replace(proxy.FIGURE.quick, draws=50_000),
    "fig1b": replace(smoothed_activation.FIGURE.quick, draws=50_000),
    "fig2": replace(masked_neuron.FIGURE.quick, masks=20_000),
    "thm42": decomposition.LossTerms(examples=40, dimensions=8, width=16, networks=8, masks=400),
}
FIGURES = [proxy.FIGURE, smoothed_activation.FIGURE, masked_neuron.FIGURE, decomposition.FIGURE]
EACH = pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.key)


@cache
def measured(key: str) -> Data:
    figure = next(figure for figure in FIGURES if figure.key == key)
    return figure.measure(SMALL[key], Resources(1, "cpu", Progress()))


def verdict(figure: PaperFigure, key: str, data: Data) -> bool:
    outcome = next(claim for claim in figure.claims if claim.key == key).check(data)
    assert isinstance(outcome, Measured)
    return outcome.holds


def changed(data: Data, table: str, column: str, factor: float) -> Data:
    return {**data, table: [{**row, column: float(row[column]) * factor} for row in data[table]]}


@EACH
def test_data_are_small_plain_and_the_same_each_time(figure: PaperFigure) -> None:
    data = measured(figure.key)
    assert 0 < sum(map(len, data.values())) <= 2000
    for rows in data.values():
        for row in rows:
            assert all(type(value) in (str, float) for value in row.values())
            assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
    if figure.key != "thm42":
        assert figure.measure(SMALL[figure.key], Resources(1, "cpu", Progress())) == data


@EACH
def test_figures_are_drawn_from_the_data_with_axes_that_say_what_they_are(
    figure: PaperFigure,
) -> None:
    drawn = Drawing(
        figure.key, lambda: figure.draw(measured(figure.key)), figure.title, figure.description, []
    ).figure
    for axes in drawn.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.lines
        labels = [
            label.get_text() for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()
        ]
        assert not any("$" in label for label in labels)
    assert drawn.legends


@EACH
def test_each_claim_is_judged_or_says_why_not(figure: PaperFigure) -> None:
    for claim in figure.claims:
        assert isinstance(claim.check(measured(figure.key)), Measured)
        assert claim.statement.endswith(".")
        assert claim.place


def test_deviations_are_judged_by_the_largest_that_so_many_may_have() -> None:
    row = {"expected": 1.0, "error": 0.1}
    alone, largest = (agreement([{**row, "mean": 1.0 + 0.1 * score}]) for score in (-3.2, 3.4))
    assert (alone.holds, largest.holds) == (True, False)
    assert alone.at_most == pytest.approx(norm.isf(0.0005))
    many = agreement([{**row, "mean": 0.66}, *[{**row, "mean": 1.0}] * 99])
    assert many.holds
    assert many.value == pytest.approx(3.4)
    assert not agreement([{**row, "mean": 0.5}, *[{**row, "mean": 1.0}] * 99]).holds


def test_rises_are_judged_by_the_smallest() -> None:
    assert rises([{"rise": 1.0, "error": 0.1}, {"rise": 0.4, "error": 0.1}]).holds
    assert not rises([{"rise": 1.0, "error": 0.1}, {"rise": 0.2, "error": 0.1}]).holds
    assert not rises([{"rise": 1.0, "error": 0.1}, {"rise": -0.9, "error": 0.1}]).holds


def test_true_closed_forms_are_seldom_refused_and_slightly_wrong_ones_always() -> None:
    generator = np.random.default_rng(0)
    rows = [
        {"expected": 1.0, "mean": 1.0 + 0.1 * score, "error": 0.1}
        for score in generator.standard_normal(40)
    ]
    holds = [
        agreement(
            [
                {"expected": 1.0, "mean": 1 + 0.01 * score, "error": 0.01}
                for score in generator.standard_normal(40)
            ]
        ).holds
        for _ in range(500)
    ]
    assert np.mean(holds) > 0.99
    assert agreement(rows).holds
    assert not agreement([{**row, "expected": 1.6} for row in rows]).holds


@pytest.mark.parametrize(
    ("figure", "table", "key"), [(smoothed_activation.FIGURE, "draws", "smoothed-relu")]
)
def test_the_smoothed_relu_is_refused_with_a_wrong_factor(
    figure: PaperFigure, table: str, key: str
) -> None:
    data = measured(figure.key)
    assert verdict(figure, key, data)
    for factor in (0.98, 1.02):
        assert not verdict(figure, key, changed(data, table, "expected", factor))
    without = [
        {**row, "expected": float(row["z"]) * float(norm.cdf(float(row["z"]) / float(row["s"])))}
        for row in data[table]
    ]
    assert not verdict(figure, key, {**data, table: without})
    assert not verdict(figure, "smoothing-rises", changed(data, "rises", "rise", -1.0))
    assert not verdict(figure, "smoothing-rises", changed(data, "rises", "error", 100.0))


def test_masked_images_are_refused_with_a_wrong_spread() -> None:
    figure, data = masked_neuron.FIGURE, measured("fig2")
    assert verdict(figure, "masked-neuron", data)
    assert verdict(figure, "kappa-smooths", data)
    assert not verdict(figure, "masked-neuron", changed(data, "masked", "expected", 1.05))
    assert not verdict(figure, "kappa-smooths", changed(data, "rises", "rise", -1.0))
    kink = [row for row in data["masked"] if abs(float(row["z"])) < 1e-12]
    assert len(kink) == len(
        SMALL["fig2"].kappas
    )  # the line meets the kink, where the mean is kappa times the same
    shares = [float(row["expected"]) / float(row["kappa"]) for row in kink]
    assert shares == pytest.approx([shares[0]] * len(kink))


def test_the_proxy_is_not_the_mean_and_would_be_seen_to_be() -> None:
    figure, data = proxy.FIGURE, measured("fig1a")
    assert not verdict(figure, "proxy-is-the-mean", data)
    outcome = proxy.proxy_is_the_mean(data)
    assert outcome.low is not None
    assert outcome.high is not None
    assert outcome.low < 1 / math.sqrt(2 * math.pi) < outcome.high
    assert verdict(figure, "proxy-is-the-mean", changed(data, "gaps", "gap", 0.01))
    assert verdict(figure, "proxy-gap", data)
    for factor in (0.97, 1.03, -1.0):
        assert not verdict(figure, "proxy-gap", changed(data, "gaps", "gap", factor))
    assert verdict(figure, "proxy-limit", data)
    slow = [
        {**row, "proxy": float(row["relu"]) + math.sqrt(float(row["s"]))} for row in data["curves"]
    ]
    assert not verdict(figure, "proxy-limit", {**data, "curves": slow})


def planted(orders: dict[str, float], noise: float = 0.3, networks: int = 12) -> Data:
    """Terms of the loss as powers of kappa, with network-to-network spread."""
    generator = np.random.default_rng(0)
    rows = []
    for network in range(networks):
        spread = generator.standard_normal()
        for kappa in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
            row = {"network": float(network), "kappa": kappa, "regulariser": kappa**2}
            rows.append(
                {
                    **row,
                    **{name: (1 + noise * spread) * kappa**order for name, order in orders.items()},
                }
            )
    return {"terms": rows}


def test_orders_are_those_that_were_planted() -> None:
    figure = decomposition.FIGURE
    for order, near, higher in (
        (1.5, True, False),
        (1.8, True, False),
        (1.2, False, False),
        (3.0, False, True),
    ):
        data = planted({"rest_over_targets": order, "variance": order})
        outcome = decomposition.order_near_zero(data)
        assert outcome.value == pytest.approx(order, abs=0.02)
        assert outcome.holds == near
        assert decomposition.higher_order(data).holds == higher
        assert verdict(figure, "exact-mean-order", data) == (order == 3.0)
        assert decomposition.order_above(data).holds == (order >= 1.5)


def test_the_interval_of_an_order_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    kappas = (0.01, 0.02, 0.05, 0.1)
    covered = 0
    for _ in range(200):
        rows = [
            {
                "network": float(network),
                "kappa": kappa,
                "rest_over_targets": float(
                    kappa**1.7 * math.exp(0.4 * generator.standard_normal())
                ),
            }
            for network in range(12)
            for kappa in kappas
        ]
        outcome = decomposition.order_near_zero({"terms": rows})
        assert outcome.low is not None
        assert outcome.high is not None
        covered += outcome.low <= 1.7 <= outcome.high
    assert 0.88 < covered / 200 <= 1.0


def test_the_share_of_the_regulariser_is_judged_with_its_interval() -> None:
    figure = decomposition.FIGURE
    data = planted({"rest": 2.0, "variance": 2.0}, noise=0.0)
    for factor, holds in ((0.05, True), (-0.05, True), (0.2, False), (-0.2, False)):
        assert verdict(figure, "rest-small-0.1", changed(data, "terms", "rest", factor)) == holds
        assert (
            verdict(figure, "exact-mean-small", changed(data, "terms", "variance", factor)) == holds
        )
    elsewhere = {"terms": [row for row in data["terms"] if row["kappa"] != 0.5]}
    missing = decomposition.share("rest", 0.5)(elsewhere)
    assert isinstance(missing, NotRun)
    assert missing.why == "the settings have no κ = 0.5"


def test_the_loss_is_refused_with_a_wrong_term() -> None:
    figure, data = decomposition.FIGURE, measured("thm42")
    assert verdict(figure, "expected-loss", data)
    for lost in ("regulariser", "variance"):
        rows = [
            {**row, "expected": float(row["expected"]) - float(row[lost])} for row in data["terms"]
        ]
        assert not verdict(figure, "expected-loss", {"terms": rows})
    for row in data["terms"]:
        parts = sum(float(row[name]) for name in ("smoothed", "regulariser", "rest"))
        assert parts == pytest.approx(float(row["expected"]))


def test_the_rest_over_targets_is_that_of_many_targets() -> None:
    settings = SMALL["thm42"]
    generator = np.random.default_rng(2)
    inputs = generator.standard_normal((settings.examples, settings.dimensions))
    network = decomposition.TwoLayerWeights.drawn(settings.width, settings.dimensions, generator)
    variance = decomposition.decompose(
        network, inputs, np.zeros(settings.examples), 0.3
    ).variance_part
    rests = [
        decomposition.decompose(network, inputs, inputs @ generator.standard_normal(8), 0.3).rest
        for _ in range(200)
    ]
    expected = float(np.sqrt(np.mean(np.square(rests))))
    outcome = decomposition.over_targets(network, inputs, 0.3, variance)
    assert outcome == pytest.approx(expected, rel=4 / math.sqrt(2 * 200))
    assert outcome != pytest.approx(1.5 * expected, rel=4 / math.sqrt(2 * 200))
