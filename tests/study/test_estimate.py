"""Estimates: what is timed, and how the time of a run follows from it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mgaudit.settings.grid import grid_settings
from mgaudit.study import estimate, timing
from mgaudit.study.comparison import ComparisonPlan, plan_comparison
from mgaudit.study.estimate import estimated
from mgaudit.study.kinds_of_work import kind_of_training
from mgaudit.study.mounting import Mounting
from mgaudit.study.progress import Progress
from mgaudit.study.timing import (
    MountingTime,
    TimedTraining,
    TrainingTime,
    mounting_time,
    steps_of,
    training_time,
)
from mgaudit.targets.fitting.recipe import Recipe

SMALL: dict[str, Any] = {
    "targets": ["mlp:hidden=8"],
    "seeds": [0],
    "models": 4,
    "examples": 120,
    "stack": 1,
    "schemes": ["none"],
    "attacks": ["loss"],
    "training": {"epochs": 2, "batch_size": 32},
}


def plan(**changes: Any) -> ComparisonPlan:
    return plan_comparison(grid_settings(SMALL | changes))


def trainings_of(planned: ComparisonPlan) -> list[object]:
    """Returns the kind of training of each arm."""
    return [kind_of_training(arm, cell) for cell in planned.cells for arm in cell.arms]


def with_times(
    monkeypatch: pytest.MonkeyPatch,
    training: Callable[[TimedTraining], TrainingTime],
    mounting: Callable[[Mounting], MountingTime],
) -> None:
    """Replaces what is timed by what these functions return."""
    monkeypatch.setattr(estimate, "training_time", training)
    monkeypatch.setattr(estimate, "mounting_time", mounting)
    monkeypatch.setattr(estimate, "query_seconds", lambda *_: 0.5)
    monkeypatch.setattr(estimate._Timings, "slowdown", 1.0)


def test_the_time_of_a_training_is_linear_in_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    (cell,) = plan().cells
    recipe, first = cell.arms[0].recipe, [1.0]

    def seconds(timed: TimedTraining, shortened: Recipe) -> float:
        warming_up = first.pop() if first else 0.0
        return warming_up + 0.02 + 0.003 * steps_of(shortened)

    monkeypatch.setattr(timing, "_seconds_of_training", seconds)
    measured = training_time(
        TimedTraining(recipe, cell.design.dataset, np.ones((1, 1), bool), "cpu")
    )
    expected = TrainingTime(warming_up=1.0, fixed=0.02, step=0.003)
    for name in ("warming_up", "fixed", "step"):
        assert getattr(measured, name) == pytest.approx(getattr(expected, name)), name


def test_a_longer_training_that_took_no_longer_has_no_fixed_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (cell,) = plan().cells
    monkeypatch.setattr(timing, "_seconds_of_training", lambda *_: 0.1)
    timed = TimedTraining(cell.arms[0].recipe, cell.design.dataset, np.ones((1, 1), bool), "cpu")
    measured = training_time(timed)
    assert measured.fixed == 0
    assert measured.step > 0


@pytest.mark.parametrize(
    ("targets", "workers", "seconds"),
    [
        (10, 1, 1 + 4 * 3 + 6 * 2),
        (10, 2, 1 + (4 * 3 + 6 * 2) / 2),
        (3, 1, 1 + 3 * 3),  # all of them are attacked with halves too
    ],
)
def test_attacks_need_a_fixed_part_in_each_worker_and_a_part_for_each_target(
    targets: int, workers: int, seconds: float
) -> None:
    of_attacks = MountingTime(fixed=1.0, halved=4, of_halved=3.0, of_target=2.0)
    assert of_attacks.seconds(targets, workers) == seconds


def test_attacks_are_timed_on_the_first_and_the_last_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (cell,) = plan(attacks=["lira"], models=6).cells
    (mounting,) = estimate._mountings(cell.arms[0], cell)
    attacked: list[list[int]] = []
    clock = iter([0.0, 7.0, 10.0, 12.0, 20.0, 23.0])
    monkeypatch.setattr(timing, "mount_part", lambda _, rows: attacked.append(rows))
    monkeypatch.setattr("mgaudit.study.timing.time.process_time", lambda: next(clock))
    measured = mounting_time(mounting)
    assert attacked == [[0], [5], [0]]
    # 7 s with the signals, 3 s without them, 2 s without halves of the shadow models
    assert measured == MountingTime(fixed=4.0, halved=6, of_halved=3.0, of_target=2.0)


@pytest.mark.parametrize(
    ("stacks", "rounds"),
    [([3], [2]), ([0, 3], [0, 2]), ([3, 4], [1.5, 2.0]), ([1, 1], [0.5, 0.5])],
)
def test_only_a_single_arm_has_rounds_in_which_a_worker_waits(
    stacks: Sequence[int], rounds: Sequence[float]
) -> None:
    assert estimate._rounds(stacks, workers=2) == rounds


def test_one_pool_times_trainings_on_a_gpu_and_attacks_on_as_many_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure = estimate._Measure(1, Progress())
    timed: dict[object, object] = {}

    def submit(what: str) -> Callable[[object, object, Any], None]:
        return lambda arm, cell, timings: timings.add(timed, what, str.upper, what)

    monkeypatch.setattr(measure, "_submit_training", submit("training"))
    monkeypatch.setattr(measure, "_submit_attacks", submit("attacks"))
    (cell,) = plan().cells
    on_gpu = replace(cell, design=replace(cell.design, device="cuda"))
    assert estimate.jobs_on_cpu(1, "cuda") == 1
    measure.run([(cell.arms[0], on_gpu)])
    assert timed == {"training": "TRAINING", "attacks": "ATTACKS"}


def test_only_what_changes_a_step_is_timed_apart() -> None:
    same = ["none", "label-noise:rate=0.2", "weight-decay:decay=0.01", "early-stop:epochs=1"]
    masks = ["gaussian-mask:kappa=0.3", "gaussian-mask:kappa=1"]
    private = [
        "dp-sgd:noise_multiplier=1,batch_size=16",
        "dp-sgd:noise_multiplier=2,batch_size=16",
        "dp-sgd:noise_multiplier=1,batch_size=32",
    ]
    kinds = trainings_of(plan(schemes=[*same, *masks, *private]))
    assert len(set(kinds[:4])) == 1
    assert kinds[4] == kinds[5] != kinds[0]
    assert kinds[6] == kinds[7]
    assert len({kinds[0], kinds[4], kinds[6], kinds[8]}) == 4


def test_a_run_needs_the_trainings_queries_and_attacks_of_all_arms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed: list[int] = []

    def mounting(of_arm: Mounting) -> MountingTime:
        timed.append(of_arm.observations.models)
        return MountingTime(fixed=1.0, halved=0, of_halved=0.0, of_target=2.0)

    with_times(monkeypatch, lambda _: TrainingTime(0.0, 10.0, 0.1), mounting)
    grid = plan(targets=["mlp:hidden=8", "mlp:hidden=16"], schemes=["none", "label-noise:rate=0.2"])
    cells = estimated(grid.cells, 1, Progress(), planning=3.0)
    assert timed == [4]  # the networks and arms differ in no outputs that attacks depend on
    steps = steps_of(grid.cells[0].arms[0].recipe)
    for cell in cells.cells:
        assert [arm.training for arm in cell.arms] == pytest.approx([4 * (10 + 0.1 * steps)] * 2)
        assert cell.auditing == pytest.approx(2 * (4 * 0.5 + 1 + 4 * 2))
    assert cells.starting >= 3.0
    assert cells.seconds == pytest.approx(
        cells.starting + 2 * (8 * (10 + 0.1 * steps) + 2 * (4 * 0.5 + 1 + 4 * 2))
    )


def test_an_estimate_scales_with_the_time_that_others_take_from_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_attacks = MountingTime(1.0, 0, 0.0, 2.0)
    with_times(monkeypatch, lambda _: TrainingTime(0.0, 10.0, 0.1), lambda _: of_attacks)
    (alone,) = estimated(plan().cells, 1, Progress()).cells
    monkeypatch.setattr(estimate._Timings, "slowdown", 2.5)
    (disturbed,) = estimated(plan().cells, 1, Progress()).cells
    assert disturbed.auditing == pytest.approx(2.5 * alone.auditing)
    assert disturbed.arms[0].training == pytest.approx(2.5 * alone.arms[0].training)
