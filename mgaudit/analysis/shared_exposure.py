"""Whether other schemes expose the examples that training without noise exposes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import mean_interval
from mgaudit.reports.arrays import Arrays, example_ranks
from mgaudit.reports.findings import SharedExposure
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult

SHARE = 0.05
FEWEST_EXAMPLES = 5
FEWEST_TARGETS = 2  # in each half

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class _ArmRanks:
    """The ranks (targets, examples) of the examples in each target of an arm."""

    targets: list[int]
    ranks: NDArray[np.floating]
    membership: NDArray[np.bool_]

    @classmethod
    def of(cls, arm: AuditResult, index: int, arrays: Arrays) -> "_ArmRanks":
        """Returns the ranks under the first attack on the arm."""
        return cls(arm.attacks[0].targets, example_ranks(arrays, index), arrays["membership"])

    def half(self, parity: int) -> list[int]:
        """Returns the targets of even number (parity 0) or of odd number (1)."""
        return [target for target in self.targets if target % 2 == parity]

    def most_exposed(self, parity: int) -> Indices:
        """Returns the examples whose rank rises most where a target of that parity has them.

        The rise is the difference of mean ranks as member and as non-member, in standard errors.
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
        """Returns the mean rank, in one target, of the chosen examples that it trained on.

        NaN where it trained on none of them.
        """
        is_member = self.membership[target, chosen]
        row = self.targets.index(target)
        ranks = self.ranks[row, chosen[is_member]]
        return float(ranks.mean()) if len(ranks) else float("nan")


def shared_exposure(
    arms: Sequence[AuditResult], arrays: Arrays, plain: int
) -> list[SharedExposure]:
    """Returns how exposed the noise-free arm's most exposed examples are under each arm.

    The noise-free arm, of index `plain`, is among the arms. The examples are chosen by the
    noise-free targets of even number and evaluated in those of odd number, because examples look
    more exposed than they are in the targets by which they were chosen. For the same reason
    `also_exposed` compares the choice of one half with that of the other, in the noise-free arm
    too: its share is what chance leaves of a perfect match.
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
    """Returns the exposure under one arm; None with too few targets or examples."""
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
    """Returns the mean of values (targets,) with its interval, clipped to the bounds."""
    interval = mean_interval(values)
    lowest, highest = bounds
    low = max(interval.low, lowest)
    high = min(interval.high, highest)
    return Estimate(value=interval.value, low=low, high=high)
