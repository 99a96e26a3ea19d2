"""The progress of a run: nothing here, displayed by the command line."""


class Progress:
    """Receives each step of a study. This base class displays nothing."""

    def stage(self, text: str) -> None:
        """A step begins."""

    def note(self, text: str) -> None:
        """A message for the log only."""

    def models_planned(self, models: int) -> None:
        """Called once with the number of models of the run, in all arms and studies."""

    def training_started(self, label: str, models: int, reused: int) -> None:
        """Training of the arm's `models` begins; `reused` of them are trained already."""

    def model_trained(self) -> None:
        """Another model of the arm is trained and kept."""

    def training_ended(self) -> None:
        """All models of the arm are trained."""
