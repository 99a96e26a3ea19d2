"""Early stopping: a control, for it regularises without noise."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from mgaudit.errors import UsageError
from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import EXAMPLE_EPOCHS, Scheme
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class EarlyStop(Scheme):
    """Stops after `epochs` epochs of the schedule, whatever the data say; a control without noise.

    The learning rate falls as if training went on to its end.
    """

    name: ClassVar[str] = "early-stop"
    law: ClassVar[str] = "the weights after that many epochs"
    source: ClassVar[str] = "Morgan and Bourlard 1989"
    smaller_is_stronger: ClassVar[str] = "epochs"

    epochs: Annotated[int, Range(1)]

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the zero and some strengths, for the contract."""
        return cls(EXAMPLE_EPOCHS), (cls(EXAMPLE_EPOCHS - 1),)

    def training(self, training: Training) -> Training:
        """Returns the training, cut short. Raises UsageError where it is no longer than that."""
        if self.epochs > training.last_epoch:
            rule = f"must be <= {training.last_epoch}, the epochs of the training"
            raise UsageError("early-stop.epochs", rule, str(self.epochs), "use fewer, or train with more --epochs")
        return replace(training, stop_epoch=self.epochs)
