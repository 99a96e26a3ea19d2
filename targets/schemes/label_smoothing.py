"""Label smoothing: a control, for it regularises without noise."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class LabelSmoothing(Scheme):
    """Trains on (1 - smoothing) of the label and smoothing / classes of every class; a control without noise."""

    name: ClassVar[str] = "label-smoothing"
    law: ClassVar[str] = "(1 - smoothing) onehot(y) + smoothing / classes"
    source: ClassVar[str] = "Szegedy et al. 2016"

    smoothing: Annotated[float, Range(0, 1, high_open=True)]

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the zero and some strengths, for the contract."""
        return cls(0.0), (cls(0.1),)

    def training(self, training: Training) -> Training:
        """Returns the training on labels that are smoothed further, if the settings smooth them already."""
        own = training.label_smoothing
        return replace(training, label_smoothing=own + self.smoothing - own * self.smoothing)
