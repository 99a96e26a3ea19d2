"""What a run tells of its progress; silent here, shown by the command line."""


class Progress:
    """Hears of each step of a study. The base class keeps silent."""

    def stage(self, text: str) -> None:
        """A step begins."""

    def note(self, text: str) -> None:
        """Something is for the log alone."""

    def training_started(self, label: str, models: int, reused: int) -> None:
        """An arm's ensemble of `models` begins to train, `reused` of them being there already."""

    def model_trained(self) -> None:
        """One more model of the arm is trained and kept."""

    def training_ended(self) -> None:
        """The arm's ensemble is whole."""
