"""How long a study will take, as far as it is known, and which effects it can detect."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.detectable import AuditSize, Detectable, detectable
from mgaudit.analysis.verdict_metrics import fpr_of_verdict


@dataclass(frozen=True)
class ArmTime:
    """The time for one arm.

    `models` is the number of its models, `there` is how many of them are in the cache already, and
    `training` are the seconds to train the others; None for a training function of which no model
    is kept.
    """

    label: str
    models: int
    there: int
    training: float | None


@dataclass(frozen=True)
class CellTime:
    """The time for one study; `auditing` are the seconds to query and attack all its models.

    `auditing` is None for training functions, whose attacks are not timed. `detectable` has the
    smallest effects that the study can detect, and `attacks` the attacks as in the settings.
    """

    name: str
    arms: list[ArmTime]
    auditing: float | None
    detectable: list[Detectable] = field(default_factory=list)
    attacks: list[str] = field(default_factory=list)

    @property
    def training(self) -> float | None:
        """The seconds of training; None if those of an arm are not known."""
        return _sum([arm.training for arm in self.arms])

    @property
    def seconds(self) -> float | None:
        """The seconds of training and auditing together; None if one of them is not known."""
        return _sum([self.auditing, self.training])


@dataclass(frozen=True)
class PlanTime:
    """The time for a grid; `starting` are the seconds until all workers train: plan and imports.

    `search_models` are the models that searches for settings train first, without their time.
    `memory` and `disk` are the bytes that the run needs at least, 0 where they are not known.
    """

    cells: list[CellTime]
    starting: float
    workers: int
    search_models: int = 0
    memory: float = 0.0
    disk: float = 0.0

    @property
    def seconds(self) -> float | None:
        """The seconds of all studies and of starting the workers; None if some are not known."""
        return _sum([self.starting, *(cell.seconds for cell in self.cells)])


def _sum(seconds: Sequence[float | None]) -> float | None:
    """Returns the sum of the seconds, or None if some are not known."""
    known = [number for number in seconds if number is not None]
    return sum(known) if len(known) == len(seconds) else None


def detectable_effects(
    membership: NDArray[np.bool_], shared: float, is_plain: Sequence[bool]
) -> list[Detectable]:
    """Returns the smallest effects that a study with this membership can detect.

    Args:
        membership: Membership (models, examples), bool.
        shared: Number of coins for each example; less than 1 where examples share a coin.
        is_plain: Whether each arm is the plain one.
    """
    non_members = (~membership).sum(axis=1)
    fpr = fpr_of_verdict(int(non_members.min()))
    members = shared * float(membership.sum(axis=1).mean())
    has_plain = any(is_plain) and not all(is_plain)
    size = AuditSize(len(membership), members, shared * float(non_members.mean()))
    return detectable(size, fpr, len(is_plain) - has_plain, has_plain)
