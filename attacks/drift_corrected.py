"""The option of attacks to subtract the drift of each model's classes first."""

from dataclasses import dataclass, field

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.drift import DRIFTS, Drift


@dataclass(frozen=True)
class DriftCorrected(Attack):
    """An attack with the option `drift`, which is subtracted from the logits before all else.

    `drift` is "none", "class" or "logits" (`mgaudit.attacks.drift`). Other drifts than "none" need
    a population.
    """

    drift: Drift = field(default="none", kw_only=True)

    def __post_init__(self) -> None:
        if self.drift not in DRIFTS:
            raise ValueError(f"drift must be one of {', '.join(DRIFTS)}, got {self.drift!r}")
        if self.drift != "none":
            object.__setattr__(self, "needs", self.needs | {"population"})
