"""Progress of an audit on stderr: bars on a terminal, lines in a notebook and in a pipe."""

import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from mgaudit.study.progress import Progress
from mgaudit.time_text import time_text

SECONDS_BETWEEN_LINES = 10


class _Drawn:
    """Bars that are drawn within a `with` block, on a terminal only."""

    _bars: Bars

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


@dataclass
class _ArmProgress:
    """The models of an arm: `done` of `total`, of which this run trained `new`; and its bar."""

    total: int
    done: int
    task: TaskID
    started: float
    new: int = 0


class ProgressBars(_Drawn, Progress):
    """Progress on stderr, as bars on a terminal and as lines elsewhere; kept for the log."""

    def __init__(self, console: Console, silent: bool) -> None:
        self._console = console
        self.lines: list[str] = []
        self._silent = silent
        self._started = time.monotonic()
        self._arms: dict[str, _ArmProgress] = {}
        self._run_total = 0  # models of all arms; 0 where it is not known
        self._run_done = 0
        self._printed = -math.inf  # when the last line about models was printed
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("models,"),
            TimeRemainingColumn(),
            TextColumn("left{task.fields[note]}"),
            console=console,
            transient=False,
            disable=silent or not console.is_terminal,
        )
        self._plain = not silent and not console.is_terminal

    def _say(self, line: str) -> None:
        self._log(line)
        if self._plain:
            self._print(Text(line))

    def _log(self, line: str) -> None:
        self.lines.append(f"{time.monotonic() - self._started:7.1f} s  {line}")

    def _remaining(self, arm: _ArmProgress, now: float) -> str:
        """Returns the share of the run that is done and the time left for an arm."""
        facts = []
        if self._run_total:
            share = 100 * self._run_done // self._run_total
            facts.append(f"{share} % of all models")
        if arm.done < arm.total:
            seconds = (now - arm.started) * (arm.total - arm.done) / arm.new
            facts.append(f"about {time_text(seconds)} left for this arm")
        return f" ({', '.join(facts)})" if facts else ""

    def stage(self, text: str) -> None:
        """Notes the step; a terminal shows it above the bars."""
        self._say(text)
        if not self._silent and not self._plain:
            self._print(Text(text, style="dim"))

    def _print(self, line: Text) -> None:
        # A full disk behind stderr, a closed stderr, or one that lacks a character, ends no run.
        with suppress(OSError, ValueError):
            self._console.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """Keeps the text for the log."""
        self.lines.append(text)

    def models_planned(self, models: int) -> None:
        """Sets the number of models of the whole run, for the share that is done."""
        self._run_total = models

    def training_started(self, label: str, models: int, reused: int) -> None:
        """Opens a bar for the arm."""
        self._run_done += reused
        note = f", {reused} from the cache" if reused else ""
        self._say(f"{label}: training {models} models{note}")
        task = self._bars.add_task(escape(label), total=models, completed=reused, note=note)
        self._arms[label] = _ArmProgress(models, reused, task, time.monotonic())

    def model_trained(self, label: str, models: int = 1) -> None:
        """Counts further models of the arm, and of the run.

        A terminal advances the bar. Other outputs print at most one line in 10 s and one at the end
        of the arm. The log gets a line for each call.
        """
        arm = self._arms[label]
        arm.done += models
        arm.new += models
        self._run_done += models
        now = time.monotonic()
        line = f"{label}: {arm.done} of {arm.total} models{self._remaining(arm, now)}"
        if arm.done == arm.total or now - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = now
            self._say(line)
        else:
            self._log(line)
        self._bars.advance(arm.task, models)

    def training_ended(self, label: str) -> None:
        """Closes the bar."""
        if label in self._arms:
            self._bars.stop_task(self._arms.pop(label).task)


class _Stderr(Console):
    """A console on stderr. If the reader of its pipe has ended, the run ends as by Ctrl-C."""

    def on_broken_pipe(self) -> None:
        """Raises KeyboardInterrupt in place of rich's SystemExit."""
        self.quiet = True
        raise KeyboardInterrupt


def on_stderr(quiet: bool) -> ProgressBars:
    """Returns the display for Python: bars on a terminal, lines in a notebook and a pipe."""
    return ProgressBars(_Stderr(stderr=True), silent=quiet)


class DownloadBar(_Drawn):
    """One bar for the bytes of several files, with the methods that pooch calls for each file."""

    total: int  # of one file; set by pooch, and of no use here

    def __init__(self, console: Console, label: str, expected: int, silent: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        self._bars = Bars(*columns, console=console, disable=silent or not console.is_terminal)
        self._task = self._bars.add_task(escape(label), total=expected)
        self._before = 0
        self._bytes = 0

    def update(self, count: int) -> None:
        """Adds bytes of the file."""
        self._bytes += count
        self._bars.update(self._task, completed=self._before + self._bytes)

    def reset(self) -> None:
        """Begins the file again: pooch counts whole chunks, and puts that right at the end."""
        self._bytes = 0

    def close(self) -> None:
        """Ends the file."""
        self._before += self._bytes
        self._bytes = 0
