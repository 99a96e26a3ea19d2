"""Label smoothing: a control that regularises without noise."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class LabelSmoothing(Scheme):
    """Trains on (1 - smoothing) onehot(y) + smoothing / classes; a control without noise."""

    name: ClassVar[str] = "label-smoothing"
    law: ClassVar[str] = "(1 - smoothing) onehot(y) + smoothing / classes"
    source: ClassVar[str] = "Szegedy et al. 2016"

    smoothing: Annotated[float, Range(0, 1, high_open=True)]

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at others, with which `check_scheme` tests it."""
        return cls(0.0), (cls(0.1),)

    def training(self, training: Training) -> Training:
        """Returns the settings with the smoothing of `training` followed by that of the scheme."""
        own = training.label_smoothing
        combined = own + self.smoothing - own * self.smoothing
        return replace(training, label_smoothing=combined)
