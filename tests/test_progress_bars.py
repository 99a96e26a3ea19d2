"""Progress in a pipe: share of the run and time left, a line at most every ten seconds."""

import io

import pytest
from rich.console import Console

from mgaudit import progress_bars
from mgaudit.progress_bars import ProgressBars


class Clock:
    """Seconds that the test sets, in place of `time`."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_bars, "time", clock)
    return clock


def in_pipe() -> tuple[ProgressBars, io.StringIO]:
    stream = io.StringIO()
    return ProgressBars(Console(file=stream, width=40), silent=False), stream


def test_a_line_states_the_share_of_the_run_and_the_time_left_for_the_arm(clock: Clock) -> None:
    progress, stream = in_pipe()
    progress.models_planned(16)
    progress.training_started("no noise", models=8, reused=2)
    clock.seconds = 12
    progress.model_trained("no noise")  # 1 new model in 12 s: 5 more take 60 s
    assert stream.getvalue().splitlines() == [
        "no noise: training 8 models, 2 from the cache",
        "no noise: 3 of 8 models (18 % of all models, about 60 s left for this arm)",
    ]


def test_lines_are_ten_seconds_apart_and_the_log_has_all(clock: Clock) -> None:
    progress, stream = in_pipe()
    progress.models_planned(20)
    progress.training_started("no noise", models=10, reused=0)
    for _ in range(10):
        clock.seconds += 4
        progress.model_trained("no noise")
    counts = [line.split()[2] for line in stream.getvalue().splitlines()[1:]]
    assert counts == ["1", "4", "7", "10"]
    assert stream.getvalue().splitlines()[-1] == "no noise: 10 of 10 models (50 % of all models)"
    assert len(progress.lines) == 11


def test_the_time_left_counts_from_the_start_of_the_arm(clock: Clock) -> None:
    progress, stream = in_pipe()
    progress.training_started("no noise", models=1, reused=0)
    clock.seconds = 100
    progress.model_trained("no noise")
    progress.training_started("dropout", models=3, reused=0)
    clock.seconds = 130
    progress.model_trained("dropout")
    last = stream.getvalue().splitlines()[-1]
    assert last == "dropout: 1 of 3 models (about 60 s left for this arm)"


def test_models_that_end_together_count_together(clock: Clock) -> None:
    progress, stream = in_pipe()
    progress.models_planned(100)
    progress.training_started("no noise", models=50, reused=0)
    clock.seconds = 12
    progress.model_trained("no noise", 20)  # 20 in 12 s: 30 more take 18 s
    last = stream.getvalue().splitlines()[-1]
    assert last == "no noise: 20 of 50 models (20 % of all models, about 18 s left for this arm)"
    assert len(progress.lines) == 2
