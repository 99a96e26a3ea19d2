"""Whether other schemes expose the examples that training without noise exposes.

An example is exposed if an attack ranks it high where the target trained on it, and low elsewhere.
A target is an attacked model, and an arm is one noise scheme of the study.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.reports.arrays import Arrays, example_ranks
from mgaudit.reports.findings import SharedExposure
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult

SHARE = 0.05  # of the examples are chosen as the most exposed, but at least FEWEST_EXAMPLES
FEWEST_EXAMPLES = 5
FEWEST_TARGETS = 2  # in each half

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class _ArmRanks:
    """The ranks of the examples in each target of an arm.

    `ranks` (targets, examples) are the shares, in [0, 1], of a target's non-members that an example
    outranks. The rows are in the order of `targets`, the indices of these models. `membership`
    (models, examples) has a row for every model of the study.
    """

    targets: list[int]
    ranks: NDArray[np.floating]
    membership: NDArray[np.bool_]

    @classmethod
    def of(cls, arm: AuditResult, index: int, arrays: Arrays) -> "_ArmRanks":
        """Returns the ranks under the first attack on the arm with this index."""
        return cls(arm.attacks[0].targets, example_ranks(arrays, index), arrays["membership"])

    def half(self, parity: int) -> list[int]:
        """Returns the targets with an even index (parity 0) or an odd index (parity 1)."""
        return [target for target in self.targets if target % 2 == parity]

    def most_exposed(self, parity: int) -> Indices:
        """Returns the most exposed examples, in the targets of one parity, as indices (chosen,).

        Their mean rank in targets that trained on them exceeds their mean rank in the other targets
        by the most, in units of the standard error. The most exposed example is first. Examples
        that all or none of these targets trained on are left out.
        """
        targets = self.half(parity)
        rows = [self.targets.index(target) for target in targets]
        ranks = self.ranks[rows]
        inside = self.membership[targets]
        outside = ~inside
        count_in = inside.sum(axis=0)
        count_out = outside.sum(axis=0)
        compared = np.flatnonzero((count_in > 0) & (count_out > 0))
        sum_in = np.where(inside, ranks, 0.0).sum(axis=0)
        sum_out = np.where(outside, ranks, 0.0).sum(axis=0)
        mean_in = sum_in[compared] / count_in[compared]
        mean_out = sum_out[compared] / count_out[compared]
        errors = np.sqrt(1 / count_in[compared] + 1 / count_out[compared])
        order = np.argsort(-(mean_in - mean_out) / errors, kind="stable")
        examples = self.membership.shape[1]
        chosen_count = max(int(SHARE * examples), FEWEST_EXAMPLES)
        return compared[order[:chosen_count]]

    def mean_rank(self, target: int, chosen: Indices) -> float:
        """Returns the mean rank, in one target, of the chosen examples that this target trained on.

        Returns NaN if it trained on none of them.
        """
        is_member = self.membership[target, chosen]
        row = self.targets.index(target)
        ranks = self.ranks[row, chosen[is_member]]
        return float(ranks.mean()) if len(ranks) else float("nan")


def shared_exposure(
    arms: Sequence[AuditResult], arrays: Arrays, plain: int
) -> list[SharedExposure]:
    """Returns how exposed the noise-free arm's most exposed examples are under each arm.

    `plain` is the index of the noise-free arm, which is compared with itself too. The examples are
    chosen by the noise-free targets with an even index and evaluated in targets with an odd index,
    because examples look more exposed than they are in the targets by which they were chosen. For
    the same reason `also_exposed` is the overlap of the choice by even noise-free targets with the
    choice by an arm's odd targets. For the noise-free arm it would be 1 without random error, and
    so shows how much of the overlap random error removes. An arm with too few targets or examples
    is left out.
    """
    plain_ranks = _ArmRanks.of(arms[plain], plain, arrays)
    chosen = plain_ranks.most_exposed(parity=0)
    exposures = []
    for index, arm in enumerate(arms):
        arm_ranks = _ArmRanks.of(arm, index, arrays)
        exposure = _compare(arm.key, plain_ranks, arm_ranks, chosen)
        if exposure is not None:
            exposures.append(exposure)
    return exposures


def _compare(
    key: str, plain_ranks: _ArmRanks, arm_ranks: _ArmRanks, chosen: Indices
) -> SharedExposure | None:
    """Returns the exposure of the `chosen` examples under the arm `key`.

    Returns None with fewer than FEWEST_TARGETS targets or FEWEST_EXAMPLES examples.
    """
    arm_targets = set(arm_ranks.half(1))
    shared = [target for target in plain_ranks.half(1) if target in arm_targets]
    chosen_again = arm_ranks.most_exposed(parity=1)
    if len(shared) < FEWEST_TARGETS or min(len(chosen), len(chosen_again)) < FEWEST_EXAMPLES:
        return None
    plain = np.array([plain_ranks.mean_rank(target, chosen) for target in shared])
    here = np.array([arm_ranks.mean_rank(target, chosen) for target in shared])
    has_members = ~np.isnan(plain + here)  # a target may have trained on none of the examples
    if has_members.sum() < FEWEST_TARGETS:
        return None
    chosen_twice = np.intersect1d(chosen, chosen_again)
    examples = arm_ranks.membership.shape[1]
    return SharedExposure(
        arm=key,
        examples=len(chosen),
        plain=_over_targets(plain[has_members], (0.0, 1.0)),
        here=_over_targets(here[has_members], (0.0, 1.0)),
        difference=_over_targets((here - plain)[has_members], (-1.0, 1.0)),
        also_exposed=len(chosen_twice) / len(chosen),
        by_chance=len(chosen_again) / examples,
    )


def _over_targets(values: Floats, bounds: tuple[float, float]) -> Estimate:
    """Returns the mean of values (targets,) with its 95 % interval, clipped to the bounds."""
    interval = mean_interval(values)
    lowest, highest = bounds
    low = max(interval.low, lowest)
    high = min(interval.high, highest)
    return Estimate(value=interval.value, low=low, high=high)
