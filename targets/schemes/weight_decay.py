"""Weight decay: a control that regularises without noise."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class WeightDecay(Scheme):
    """Adds `decay` times the weights to their gradient; a control without noise."""

    name: ClassVar[str] = "weight-decay"
    law: ClassVar[str] = "gradient + decay w"
    source: ClassVar[str] = "Krogh and Hertz 1991"

    decay: Annotated[float, Range(0)]

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at others, with which `check_scheme` tests it."""
        return cls(0.0), (cls(0.01),)

    def training(self, training: Training) -> Training:
        """Returns the settings with `decay` added to the weight decay of `training`."""
        return replace(training, weight_decay=training.weight_decay + self.decay)
