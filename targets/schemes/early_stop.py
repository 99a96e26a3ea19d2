"""Early stopping: a control that regularises without noise."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from mgaudit.errors import UsageError
from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import EXAMPLE_EPOCHS, Scheme
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class EarlyStop(Scheme):
    """Stops training after `epochs` epochs; a control without noise.

    The number of epochs does not depend on the data. The learning rate is scheduled for all epochs
    of the training settings, as if training did not stop. At strength 0, `epochs` is the number in
    the training settings.
    """

    name: ClassVar[str] = "early-stop"
    law: ClassVar[str] = "the weights after that many epochs"
    source: ClassVar[str] = "Morgan and Bourlard 1989"
    smaller_is_stronger: ClassVar[str] = "epochs"

    epochs: Annotated[int, Range(1)]

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at others, with which `check_scheme` tests it."""
        return cls(EXAMPLE_EPOCHS), (cls(EXAMPLE_EPOCHS - 1),)

    def training(self, training: Training) -> Training:
        """Returns the settings with `stop_epoch` set to the scheme's `epochs`.

        Raises:
            UsageError: Where `training` has fewer epochs than the scheme.
        """
        if self.epochs > training.last_epoch:
            rule = f"must be <= {training.last_epoch}, the epochs of the training"
            way_out = "use fewer, or train with more --epochs"
            raise UsageError("early-stop.epochs", rule, str(self.epochs), way_out)
        return replace(training, stop_epoch=self.epochs)
