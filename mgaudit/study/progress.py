"""The progress of a run. The command line has a subclass that displays it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

SLOW = 3.0  # seconds after which a step is announced that usually takes less


class Progress:
    """Is called at each step of a study. This base class does nothing."""

    def stage(self, text: str) -> None:
        """Called when a step begins; `text` describes it."""

    def note(self, text: str) -> None:
        """Called with a message for the log, which is not displayed."""

    def models_planned(self, models: int) -> None:
        """Called once with the number of models of the run, in all arms and studies."""

    def training_started(self, label: str, models: int, reused: int) -> None:
        """Called before the `models` of an arm are trained; `reused` of them are already."""

    def model_trained(self, label: str, models: int = 1) -> None:
        """Called after further `models` of the arm `label` have been trained and stored."""

    def training_ended(self, label: str) -> None:
        """Called after all models of the arm have been trained."""


@contextmanager
def announced_if_slow(
    progress: Progress, text: str, seconds: float | None = None
) -> Iterator[None]:
    """Announces the stage `text` if the block is not complete after some seconds."""
    timer = Timer(SLOW if seconds is None else seconds, progress.stage, [text])
    timer.daemon = True  # an error in the block may end Python
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
