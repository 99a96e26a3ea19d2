"""Weight decay: a control, for it regularises without noise."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from targets.schemes.ranges import Range
from targets.schemes.scheme import Scheme

if TYPE_CHECKING:
    from targets.training import Training


@dataclass(frozen=True)
class WeightDecay(Scheme):
    """Adds `decay` times the weights to their gradient; a control without noise."""

    law: ClassVar[str] = "gradient + decay w"
    source: ClassVar[str] = "Krogh and Hertz 1991"

    decay: Annotated[float, Range(0)]

    def training(self, training: "Training") -> "Training":
        """Returns the training with the decay in addition to its own."""
        return replace(training, weight_decay=training.weight_decay + self.decay)
