"""The figures on privacy: claims from made-up rows, and an audit of a second."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from mgaudit.papers.claim import Data, Measured, NotRun, Row
from mgaudit.papers.noise_nodes.privacy import NODE
from mgaudit.papers.paper import Resources
from mgaudit.papers.privacy import (
    MARGIN,
    PLAIN,
    PRIVATE,
    STOPPED,
    Noise,
    PrivacyAudit,
    as_dp,
    better_than_stopping,
    free,
    gentler,
    matched_row,
    measure,
)
from mgaudit.papers.privacy_drawing import draw
from mgaudit.papers.registry import PAPERS
from mgaudit.papers.rows import column, interval_of, matching
from mgaudit.papers.weight_noise.privacy import ALL, LAYERWISE, NOISES
from mgaudit.reports.findings import Matched
from mgaudit.reports.results import StudyResult
from mgaudit.settings.schemes import scheme_choice
from mgaudit.study.progress import Progress
from mgaudit.study.strength import strength_of

SCHEMES = (
    "weight-noise:sigma=0.1",
    "weight-noise:sigma=0.6",
    "weight-noise:sigma=2,layerwise=true",
)


def row_of(noise: Noise, reference: str, value: float, **cells: str | float) -> Row:
    difference = {"difference": value, "difference_low": value - 0.01}
    names: Row = {"noise": noise.name, "reference": reference, "accuracy": 0.9, "strength": 1.0}
    return {**names, **difference, "difference_high": value + 0.01, **cells}


def data_of(*matched: Row, control: Row | None = None) -> Data:
    arms: list[Row] = [
        {"noise": noise.name, "scheme": f"{noise.key}-{strength:g}", "strength": strength}
        for noise in NOISES
        for strength in (1.0, 2.0)
    ]
    for arm in arms:
        arm["attack"] = "rmia"
    return {"arms": arms, "matched": list(matched), "control": [control] if control else []}


def held(outcome: Measured | NotRun) -> bool:
    assert isinstance(outcome, Measured)
    return outcome.holds


def test_noise_without_cost_must_lower_the_auc_by_the_margin() -> None:
    assert held(free(ALL, data_of(row_of(ALL, PLAIN, -MARGIN - 0.011))))
    assert not held(free(ALL, data_of(row_of(ALL, PLAIN, -MARGIN - 0.009))))
    assert not held(free(ALL, data_of(row_of(ALL, PLAIN, MARGIN + 0.02))))


def test_no_strength_without_cost_is_no_protection() -> None:
    outcome = free(ALL, data_of(row_of(ALL, PLAIN, 0.0, strength=0.0)))
    assert isinstance(outcome, Measured)
    assert (outcome.value, outcome.low, outcome.holds) == (0.0, None, False)


def test_noise_is_like_dp_sgd_up_to_the_margin() -> None:
    assert held(as_dp(ALL, data_of(row_of(ALL, PRIVATE, MARGIN - 0.011))))
    assert not held(as_dp(ALL, data_of(row_of(ALL, PRIVATE, MARGIN - 0.009))))
    assert held(as_dp(ALL, data_of(row_of(ALL, PRIVATE, -MARGIN))))


def test_noise_must_have_a_lower_auc_than_early_stopping() -> None:
    for value, holds in ((-0.011, True), (-0.009, False), (0.02, False)):
        control = row_of(ALL, STOPPED, value, scheme="all-layers-2")
        assert held(better_than_stopping(ALL, data_of(control=control))) is holds, value


def test_layerwise_noise_is_compared_at_the_strongest_noise_on_all_layers() -> None:
    weakest = row_of(LAYERWISE, "all-layers-1", 0.5)
    strongest = row_of(LAYERWISE, "all-layers-2", -0.02)
    assert held(gentler(LAYERWISE, ALL, data_of(weakest, strongest)))
    assert not held(gentler(LAYERWISE, ALL, data_of(strongest | {"difference_high": 0.001})))


def test_an_accuracy_that_is_not_reached_decides_nothing() -> None:
    reason: Row = {"noise": ALL.name, "accuracy": 0.9, "not_reached": "too accurate"}
    data = data_of({**reason, "reference": PRIVATE}, control={**reason, "scheme": "all-layers-2"})
    for outcome in (as_dp(ALL, data), better_than_stopping(ALL, data)):
        assert isinstance(outcome, NotRun)
        assert "too accurate" in outcome.why
    for outcome in (free(ALL, data), gentler(LAYERWISE, ALL, data), free(NODE, data_of())):
        assert isinstance(outcome, NotRun)


@pytest.fixture(scope="module")
def resources() -> Resources:
    return Resources(1, "cpu", Progress())


@pytest.fixture(scope="module")
def measured(resources: Resources) -> Data:
    settings = PrivacyAudit(
        dataset="digits",
        examples=150,
        schemes=SCHEMES,
        stops=(2, 1),
        attacks=("rmia", "loss"),
        models=4,
        trials=2,
        target="mlp:hidden=8",
        epochs=3,
    )
    return measure(NOISES, settings, resources)


@pytest.fixture(scope="module")
def study(measured: Data, resources: Resources) -> StudyResult:
    assert measured["arms"]
    (result,) = resources.shared.values()
    assert isinstance(result, StudyResult)
    return result


def test_every_arm_has_a_verdict_and_paired_changes(measured: Data) -> None:
    assert measured["lost"] == []
    named = [(row["noise"], row["scheme"]) for row in measured["arms"]]
    assert named == [
        ("no noise", PLAIN),
        (ALL.name, SCHEMES[0]),
        (ALL.name, SCHEMES[1]),
        (LAYERWISE.name, SCHEMES[2]),
        ("early stopping", "early-stop:epochs=2"),
        ("early stopping", "early-stop:epochs=1"),
        ("DP-SGD, ε = 8", PRIVATE),
    ]
    plain, *others = measured["arms"]
    assert "verdict" not in plain
    for row in others:
        assert row["verdict"], row["scheme"]
        change = float(row["auc"]) - float(plain["auc"])
        assert float(row["auc_change"]) == pytest.approx(change), row["scheme"]
        assert float(row["auc_change_low"]) < change < float(row["auc_change_high"])


def test_differences_are_those_of_the_aucs(measured: Data) -> None:
    aucs = {row["scheme"]: float(row["auc"]) for row in measured["arms"]}
    matched = [row for row in measured["matched"] if "difference" in row]
    control = [row for row in measured["control"] if "difference" in row]
    assert matched
    assert control
    for row in matched:
        expected = float(row["auc"]) - aucs[row["reference"]]
        assert float(row["difference"]) == pytest.approx(expected)
    for row in control:  # the other way round: the noise minus early stopping
        expected = aucs[row["scheme"]] - float(row["auc"])
        assert float(row["difference"]) == pytest.approx(expected)
    for row in (*matched, *control):
        difference = interval_of(row, "difference")
        assert difference.low <= difference.value <= difference.high


def test_the_figure_shows_every_arm_and_comparison(measured: Data) -> None:
    figure = draw(NOISES, measured)
    assert isinstance(figure, Figure)
    left, right = figure.axes
    lines = [np.asarray(line.get_xdata()) for line in left.lines]
    marks = [x.item() for x in lines if x.size == 1]
    for auc in column(measured["arms"], "auc"):
        assert auc in marks
    labels = [label.get_text() for label in right.get_yticklabels()]
    assert len(labels) == 6
    shown = [line for line in right.lines if line.get_marker() in ("P", "^")]
    rows = [row for row in measured["matched"] if row["reference"] in (PLAIN, PRIVATE)]
    rows += [matching(measured["control"], noise=noise.name)[-1] for noise in NOISES]
    assert len(shown) == sum("difference" in row for row in rows)


def test_noise_more_accurate_than_none_is_compared_at_its_strongest(study: StudyResult) -> None:
    def row_at(accuracy: float, reference: str) -> Row:
        record = Matched(
            family=ALL.family,
            reference=reference,
            accuracy=accuracy,
            not_reached="more accurate at its strongest",
            strength=None,
            metrics={},
            differences={},
        )
        return matched_row(study, record, {ALL.family: ALL.name})

    strongest = study.arms[2]
    row = row_at(0.0, PLAIN)
    assert row["strength"] == 0.6
    assert row["difference"] == strongest.attacks[0].differences["auc"].value
    assert row["auc"] == strongest.attacks[0].metrics["auc"].value
    assert "not_reached" in row_at(1.0, PLAIN)
    assert "not_reached" in row_at(0.0, PRIVATE)


def test_settings_name_every_noise_weakest_first() -> None:
    for paper in PAPERS.values():
        (figure,) = [figure for figure in paper.figures if figure.key == "privacy"]
        noises = figure.draw.args[0]  # type: ignore[attr-defined]
        for settings in (figure.quick, figure.full):
            strengths: dict[str, list[float]] = {noise.family: [] for noise in noises}
            for scheme in settings.schemes:
                strength = strength_of(scheme_choice(scheme), None)
                assert strength is not None
                strengths[strength.family].append(float(strength.value or 0.0))
            for family, values in strengths.items():
                assert len(values) >= 2, (paper.key, family)
                assert values == sorted(values), (paper.key, family)
            assert list(settings.stops) == sorted(settings.stops, reverse=True), paper.key
