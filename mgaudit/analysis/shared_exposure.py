"""Whether other schemes expose the examples that training without noise exposes."""

from collections.abc import Sequence

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


def shared_exposure(arms: Sequence[AuditResult], arrays: Arrays, plain: int) -> list[SharedExposure]:
    """Returns what becomes of the noise-free arm's most exposed examples under each arm, `plain` itself among them.

    The examples are chosen by the noise-free targets of even number and looked at in those of odd number: in the
    targets that chose them they look worse than they are. For the same reason `also_exposed` compares the choice of
    one half with that of the other, in the noise-free arm too, whose share is what chance leaves of a perfect match.
    """
    membership = arrays["membership"]
    chosen = _most_exposed(arrays, membership, arms[plain], plain, parity=0)
    found = []
    for place, arm in enumerate(arms):
        both = [one for one in _targets(arms[plain], 1) if one in set(_targets(arm, 1))]
        again = _most_exposed(arrays, membership, arm, place, parity=1)
        if len(both) < FEWEST_TARGETS or len(chosen) < FEWEST_EXAMPLES or len(again) < FEWEST_EXAMPLES:
            continue
        without, here = (
            np.array([_outranked(arrays, arms[number], number, target, chosen, membership) for target in both])
            for number in (plain, place)
        )
        told = ~np.isnan(without + here)  # a target may have trained on none of them
        if told.sum() < FEWEST_TARGETS:
            continue
        found.append(
            SharedExposure(
                arm=arm.key,
                examples=len(chosen),
                plain=_over_targets(without[told], (0.0, 1.0)),
                here=_over_targets(here[told], (0.0, 1.0)),
                difference=_over_targets((here - without)[told], (-1.0, 1.0)),
                also_exposed=len(np.intersect1d(chosen, again)) / len(chosen),
                by_chance=len(again) / membership.shape[1],
            )
        )
    return found


def _targets(arm: AuditResult, parity: int) -> list[int]:
    return [target for target in arm.attacks[0].targets if target % 2 == parity]


def _most_exposed(
    arrays: Arrays, membership: NDArray[np.bool_], arm: AuditResult, place: int, parity: int
) -> NDArray[np.int64]:
    """Returns the examples whose rank rises most where a target of that parity trained on them, in standard errors."""
    targets = _targets(arm, parity)
    rows = [arm.attacks[0].targets.index(target) for target in targets]
    ranks = example_ranks(arrays, place)[rows]
    inside = membership[targets]
    count_in, count_out = inside.sum(axis=0), (~inside).sum(axis=0)
    compared = np.flatnonzero((count_in > 0) & (count_out > 0))
    means = [
        np.where(side, ranks, 0.0).sum(axis=0)[compared] / side.sum(axis=0)[compared] for side in (inside, ~inside)
    ]
    errors = np.sqrt(1 / count_in[compared] + 1 / count_out[compared])
    order = np.argsort(-(means[0] - means[1]) / errors, kind="stable")
    return compared[order[: max(int(SHARE * membership.shape[1]), FEWEST_EXAMPLES)]]


def _outranked(
    arrays: Arrays,
    arm: AuditResult,
    place: int,
    target: int,
    chosen: NDArray[np.int64],
    membership: NDArray[np.bool_],
) -> float:
    """Returns the mean rank, in one target, of the chosen examples that it trained on; NaN where there is none."""
    members = chosen[membership[target, chosen]]
    row = arm.attacks[0].targets.index(target)
    ranks = example_ranks(arrays, place)[row, members]
    return float(ranks.mean()) if len(ranks) else float("nan")


def _over_targets(values: Floats, bounds: tuple[float, float]) -> Estimate:
    interval = mean_interval(values)
    return Estimate(value=interval.value, low=max(interval.low, bounds[0]), high=min(interval.high, bounds[1]))
