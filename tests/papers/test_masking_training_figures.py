"""Figures 3 to 5 of the masking paper and its open questions: claims on planted numbers."""

import math
from pathlib import Path

import numpy as np
import pytest

from mgaudit.papers.claim import Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking import (
    accuracy_by_kappa,
    attacks_by_kappa,
    distributed,
    kappa_sweep,
    loss_trajectories,
    open_questions,
)
from mgaudit.papers.paper import Resources
from mgaudit.study.progress import Progress

WORKSHOP = Resources(1, "cpu", Progress())
SPREAD = (0.99, 1.0, 1.01)


def runs(
    rate: dict[float, float], floor: dict[float, float], settled: float = 0.95, last: float = 0.1
) -> Data:
    """Planted runs of three seeds that differ by a percent."""
    return {
        "runs": [
            {
                "kappa": kappa,
                "seed": float(seed),
                "rate": rate[kappa] * spread,
                "floor": floor[kappa] * spread,
                "settled": settled,
                "window": 40.0,
                "final": last * spread,
                "halfway": 1.0,
            }
            for kappa in floor
            for seed, spread in enumerate(SPREAD)
        ]
    }


KAPPAS = (0.0, 0.1, 0.2, 0.4)


@pytest.mark.parametrize(
    ("changed", "holds"), [(1.0, True), (0.95, True), (1.05, True), (0.85, False), (1.15, False)]
)
def test_rates_are_the_same_within_a_tenth(changed: float, holds: bool) -> None:
    rate = {0.0: 0.04, 0.1: 0.04, 0.2: 0.04 * changed, 0.4: 0.0}  # the last has no linear phase
    outcome = loss_trajectories.same_rate(runs(rate, dict.fromkeys(KAPPAS, 1.0)))
    assert isinstance(outcome, Measured)
    assert outcome.holds is holds
    assert abs(outcome.value) == pytest.approx(abs(changed - 1), rel=0.2)
    assert "two of the 3 κ" in outcome.quantity


def test_rates_are_held_against_one_another_and_by_the_widest_interval() -> None:
    apart = {0.0: 0.04, 0.1: 0.04 * 1.09, 0.2: 0.04 * 0.92, 0.4: 0.0}
    outcome = loss_trajectories.same_rate(runs(apart, dict.fromkeys(KAPPAS, 1.0)))
    assert isinstance(outcome, Measured)
    assert not outcome.holds
    data = runs(dict.fromkeys(KAPPAS, 0.04), dict.fromkeys(KAPPAS, 1.0))
    for row in data["runs"]:
        if row["kappa"] == 0.2:  # right in the mean, and nothing is known of it
            row["rate"] = 0.04 * (0.7, 1.0, 1.3)[int(float(row["seed"]))]
    outcome = loss_trajectories.same_rate(data)
    assert isinstance(outcome, Measured)
    assert not outcome.holds
    assert isinstance(
        loss_trajectories.same_rate(runs({0.0: 0.04, 0.1: 0.0}, {0.0: 1.0, 0.1: 1.0})), NotRun
    )


@pytest.mark.parametrize(("third", "holds"), [(3.0, True), (1.5, False), (2.001, False)])
def test_the_floor_must_rise_at_every_step(third: float, holds: bool) -> None:
    floor = {0.0: 1.0, 0.1: 2.0 * 1.5, 0.2: third * 1.5, 0.4: 9.0}
    data = runs(dict.fromkeys(KAPPAS, 1.0), floor)
    for row in data[
        "runs"
    ]:  # the seeds differ at one strength alone, so that its step has an interval
        row["floor"] = float(row["floor"]) * (
            SPREAD[int(float(row["seed"]))] if row["kappa"] == 0.2 else 1.0
        )
    assert loss_trajectories.monotone_floor(data).holds is holds


@pytest.mark.parametrize(("power", "holds"), [(1.0, True), (2.5, False), (0.5, False)])
def test_the_slope_of_the_floor_is_the_power_that_was_planted(power: float, holds: bool) -> None:
    floor = {kappa: 7 * kappa**power if kappa else 1e-9 for kappa in KAPPAS}
    outcome = loss_trajectories.proportional_floor(runs(dict.fromkeys(KAPPAS, 1.0), floor))
    assert outcome.value == pytest.approx(power)
    assert outcome.holds is holds


def test_a_floor_that_has_not_settled_has_no_part_in_the_slope() -> None:
    data = runs(
        dict.fromkeys(KAPPAS, 1.0), {kappa: 7 * kappa if kappa else 1.0 for kappa in KAPPAS}
    )
    for row in data["runs"]:
        if row["kappa"] == 0.1:
            row["floor"], row["settled"] = 100.0, 0.5
    assert loss_trajectories.proportional_floor(data).value == pytest.approx(1.0)


@pytest.mark.parametrize(("last", "holds"), [(0.1, True), (0.6, False)])
def test_without_a_mask_the_loss_must_halve_again(last: float, holds: bool) -> None:
    data = runs(dict.fromkeys(KAPPAS, 1.0), dict.fromkeys(KAPPAS, 1.0), last=last)
    assert loss_trajectories.keeps_falling(data).holds is holds


def test_steps_looked_at_begin_at_0_end_at_the_last_and_cover_the_last_fifth() -> None:
    steps = loss_trajectories.snapshot_steps(6000)
    assert (steps[0], steps[-1]) == (0, 6000)
    assert sum(step >= 4800 for step in steps) >= 20
    assert steps == sorted(set(steps))


def test_a_rate_is_that_of_the_approach_to_the_floor() -> None:
    steps = np.arange(0, 100, 4)
    loss = 3.0 + 400 * np.exp(-0.04 * steps)
    assert loss_trajectories._rate(steps, loss - 3.0, 60) == pytest.approx(0.04)
    assert (
        loss_trajectories._leaves(steps, loss, 30.0) == 64
    )  # 3 + 400 e^(-0.04 64) = 33.9, and at 68 29.4


def test_the_clean_loss_is_half_the_sum_of_squares() -> None:
    regression = loss_trajectories.problem(6, 3, 4, seed=1)
    np.testing.assert_allclose(np.linalg.norm(regression.inputs, axis=1), 1.0)
    expected = 0.0
    for x, y in zip(regression.inputs, regression.values, strict=True):
        output = (
            sum(
                a * max(0.0, float(w @ x))
                for a, w in zip(regression.outer, regression.weights, strict=True)
            )
            / 2.0
        )
        expected += (output - y) ** 2 / 2
    assert loss_trajectories.clean_loss(regression, regression.weights[None])[0] == pytest.approx(
        expected
    )


def test_loss_trajectories_are_measured_and_drawn() -> None:
    settings = loss_trajectories.LossTrajectories(
        (0.0, 0.5), steps=300, seeds=2, examples=30, dimensions=4, width=40
    )
    data = loss_trajectories.measure(settings, WORKSHOP)
    assert len(data["runs"]) == 4
    first = [row for row in data["curves"] if row["step"] == 0]
    assert first[0]["loss"] == first[1]["loss"]  # before the first step there is no mask
    last = {row["kappa"]: float(row["loss"]) for row in data["curves"] if row["step"] == 300}
    assert last[0.0] < last[0.5]
    assert len(loss_trajectories.draw(data).axes) == 2


def clients(difference: float = 0.0, crossings: dict[float, float] | None = None) -> Data:
    at = crossings or {0.0: 40.0, 1.0: 40.0, 5.0: 42.0}
    return {
        "runs": [
            {
                "kappa": kappa,
                "local_steps": local_steps,
                "seed": float(seed),
                "steps_to_a_tenth": at[local_steps] * spread,
                "floor": (1 + kappa) * spread,
                "difference": difference if local_steps == 1 else 0.3,
            }
            for kappa in (0.0, 0.5)
            for local_steps in at
            for seed, spread in enumerate(SPREAD)
        ]
    }


def test_clients_are_judged_by_their_steps_and_their_averagings() -> None:
    assert distributed.one_step_is_central(clients()).holds
    assert not distributed.one_step_is_central(clients(difference=1e-6)).holds
    slower = clients(crossings={0.0: 40.0, 1.0: 40.0, 5.0: 60.0})
    assert (
        holds(distributed.rate_per_step(clients())),
        holds(distributed.rate_per_step(slower)),
    ) == (True, False)
    assert (
        holds(distributed.fewer_rounds(clients())),
        holds(distributed.fewer_rounds(slower)),
    ) == (True, False)
    outcome = distributed.fewer_rounds(clients())
    assert isinstance(outcome, Measured)
    assert outcome.value == pytest.approx(40 / (42 / 5))
    falling = clients()
    for row in falling["runs"]:
        row["floor"] = 1.0 - 0.1 * float(row["kappa"]) + 0.001 * float(row["seed"])
    assert (distributed.floor_rises(clients()).holds, distributed.floor_rises(falling).holds) == (
        True,
        False,
    )


def test_a_loss_that_never_falls_to_a_tenth_has_no_part_in_the_claims() -> None:
    data = clients()
    for row in data["runs"]:
        if row["kappa"] == 0.5:
            row["steps_to_a_tenth"] = math.nan
    outcome = distributed.rate_per_step(data)
    assert isinstance(outcome, Measured)
    assert "falls so far, 0" in outcome.quantity
    for row in data["runs"]:
        row["steps_to_a_tenth"] = math.nan
    assert isinstance(distributed.rate_per_step(data), NotRun)
    assert isinstance(distributed.fewer_rounds(data), NotRun)


def test_a_crossing_lies_between_the_steps_that_are_looked_at() -> None:
    steps, loss = np.array([0, 10, 20]), np.array([100.0, 30.0, 3.0])
    assert distributed._crossing(steps, loss, 30.0) == pytest.approx(10)
    assert distributed._crossing(steps, loss, float(np.sqrt(90))) == pytest.approx(15)
    assert math.isnan(distributed._crossing(steps, loss, 1.0))


def test_ten_clients_are_measured_and_drawn() -> None:
    settings = distributed.Distributed(
        (0.0, 0.5), (1, 3), steps=60, seeds=2, clients=3, examples=30, dimensions=4, width=9
    )
    data = distributed.measure(settings, WORKSHOP)
    assert distributed.one_step_is_central(data).holds
    assert len(distributed.draw(data).axes) == 2


def change(value: float, half: float = 0.01) -> Row:
    return {"change": value, "change_low": value - half, "change_high": value + half}


def holds(outcome: Measured | NotRun) -> bool:
    return isinstance(outcome, Measured) and outcome.holds


def attacks(at: dict[float, float]) -> Data:
    """LiRA's AUC changed by so much at each strength, on both networks."""
    none: Row = {"auc": 0.7, "auc_low": 0.69, "auc_high": 0.71, "kappa": 0.0}
    rows = [
        none,
        *({**none, "kappa": kappa, "auc": 0.7 + by, **change(by)} for kappa, by in at.items()),
    ]
    shared = [
        {"target": target, "attack": "lira", "adversary": "adaptive"}
        for target in kappa_sweep.NAMES
    ]
    return {"attacks": [{**labels, **row} for labels in shared for row in rows]}


@pytest.mark.parametrize(
    ("at", "falls", "monotone"),
    [
        ({0.5: -0.05, 1.5: -0.1}, True, True),
        ({0.5: 0.05, 1.5: -0.1}, True, False),
        ({0.5: -0.05, 1.5: -0.005}, False, False),
        ({0.5: -0.05, 1.5: 0.1}, False, False),
    ],
)
def test_attacks_fall_only_where_the_whole_interval_does(
    at: dict[float, float], falls: bool, monotone: bool
) -> None:
    assert attacks_by_kappa.attack_falls("mlp", "lira", attacks(at)).holds is falls
    assert attacks_by_kappa.monotone_fall("cnn", attacks(at)).holds is monotone


def test_accuracy_claims() -> None:
    rows: list[Row] = [
        {"target": target, "kappa": kappa, **change(by)}
        for target in kappa_sweep.NAMES
        for kappa, by in ((0.2, 0.02), (1.5, -0.05))
    ]
    turned: list[Row] = [{**row, **change(-float(row["change"]))} for row in rows]
    assert holds(accuracy_by_kappa.small_kappa_helps({"accuracy": rows}))
    assert not holds(accuracy_by_kappa.small_kappa_helps({"accuracy": turned}))
    assert accuracy_by_kappa.accuracy_falls("cnn", {"accuracy": rows}).holds
    assert not accuracy_by_kappa.accuracy_falls("cnn", {"accuracy": turned}).holds
    assert isinstance(accuracy_by_kappa.small_kappa_helps({"accuracy": rows[1:]}), NotRun)


def test_a_rise_is_looked_for_where_the_interval_reaches_highest() -> None:
    data = attacks({0.5: -0.02, 1.0: -0.03, 1.5: -0.1})
    for row in data["attacks"]:
        if row["kappa"] == 1.0:
            row["change_high"] = 0.11
    assert not attacks_by_kappa.monotone_fall("mlp", data).holds


def test_the_adaptive_classifier_is_held_against_the_naive_on_each_network() -> None:
    def gap(target: str, kappa: float, value: float) -> Row:
        reach = {"gap": value, "gap_low": value - 0.01, "gap_high": value + 0.01}
        return {"target": target, "attack": "shadow-classifier", "kappa": kappa, **reach}

    data: Data = {
        "ignorance": [gap("mlp", 0.5, -0.1), gap("mlp", 1.5, 0.05), gap("cnn", 1.5, 0.005)]
    }
    assert attacks_by_kappa.knowing_helps("mlp", data).holds
    assert not attacks_by_kappa.knowing_helps("cnn", data).holds


def test_audits_are_those_of_mgaudit_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path))
    settings = kappa_sweep.KappaSweep(
        "digits", (0.0, 0.5), models=3, epochs=1, examples_mlp=100, examples_cnn=100
    )
    resources = Resources(1, "cpu", Progress())
    data = accuracy_by_kappa.measure(settings, resources) | attacks_by_kappa.measure(
        settings, resources
    )
    assert len(resources.shared) == 2  # a study for each network, for both figures
    assert len(data["accuracy"]) == 4
    assert {(row["attack"], row["adversary"]) for row in data["attacks"]} == {
        ("lira", "adaptive"),
        ("lira", "naive"),
        ("shadow-classifier", "adaptive"),
        ("shadow-classifier", "naive"),
        ("loss", "adaptive"),
    }
    (study, _) = resources.shared.values()
    assert data["accuracy"][1]["accuracy"] == study.arms[1].accuracy.value
    for claim in (*accuracy_by_kappa.FIGURE.claims, *attacks_by_kappa.FIGURE.claims):
        assert isinstance(claim.check(data), Measured | NotRun)
    assert len(accuracy_by_kappa.draw(data).axes) == len(attacks_by_kappa.draw(data).axes) == 2


def test_open_questions_are_judged_by_their_own_arms() -> None:
    def row(kind: str, kappa: float, auc: float, by: float) -> Row:
        accuracy = {f"accuracy_{name}": value for name, value in change(-0.005, 0.002).items()}
        reach = {"auc": auc, "auc_low": auc - 0.01, "auc_high": auc + 0.01}
        return {"kind": kind, "kappa": kappa, **reach, **change(by), **accuracy}

    data: Data = {
        "arms": [
            row("fresh masks", 1.0, 0.70, 0.0),
            row("fresh masks", 3.0, 0.60, -0.1),
            row("fixed masks", 1.0, 0.72, 0.02),
            row("DP-SGD", 0.0, 0.52, -0.18),
        ],
        "depths": [
            {"depth": depth, "kappa": 1.0, **change(by)}
            for depth, by in ((2.0, -0.02), (3.0, -0.005))
        ],
    }
    verdicts = {claim.key: claim.check(data) for claim in open_questions.FIGURE.claims}
    assert {
        key: isinstance(outcome, Measured) and outcome.holds for key, outcome in verdicts.items()
    } == {
        "large-kappa": True,
        "large-kappa-cost": True,
        "fixed-masks": False,
        "formal-dp": False,
        "depth-2": True,
        "depth-3": False,
        "depth-4": False,
        "depth-5": False,
        "depth-6": False,
    }
    assert isinstance(verdicts["depth-5"], NotRun)
    drawn = {**data, "arms": [row("none", 0.0, 0.7, 0.0), *data["arms"]]}
    for each in drawn["arms"]:
        each |= {"accuracy": 0.9, "accuracy_low": 0.89, "accuracy_high": 0.91}
    left, right = open_questions.draw(drawn).axes
    assert [text.get_text() for text in left.texts] == ["κ = 1", "κ = 3", "κ = 1"]
    assert right.containers[0].lines[0].get_ydata().tolist() == [-0.02, -0.005]
    for row in data["arms"]:
        row["accuracy_change"], row["accuracy_change_low"] = -0.02, -0.03
    assert not open_questions.large_kappa_is_free(data).holds
