"""A progress that keeps what it is called with, and can interrupt a run."""

from mgaudit.study.progress import Progress


class Recorder(Progress):
    def __init__(self, interrupt_after: int | None = None) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []
        self.started: list[tuple[str, int, int]] = []
        self.trained = 0
        self._interrupt_after = interrupt_after

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def training_started(self, label: str, models: int, reused: int) -> None:
        self.started.append((label, models, reused))

    def model_trained(self, label: str, models: int = 1) -> None:
        self.trained += models
        if self.trained == self._interrupt_after:
            raise KeyboardInterrupt
