"""The shadow models that an example is compared with: its references.

A reference of an example is IN if it trained on the example, and OUT otherwise. Where membership is
not drawn by independent coins, the number of IN references may reveal whether the target trained on
the example: if every example is in exactly half of the models, it does so without error. Limits on
the numbers of references make them equal for all examples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The multipliers of the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LAST = np.iinfo(np.uint64).max


@dataclass(frozen=True)
class ReferenceLimits:
    """The largest number of IN references and of OUT references of an example, each >= 0."""

    references_in: int
    references_out: int

    def __post_init__(self) -> None:
        for name in ("references_in", "references_out"):
            value = getattr(self, name)
            if value < 0:
                raise ValueError(f"{name} must be >= 0, got {value}")


def chosen_references(
    signal: NDArray[np.float64], candidates: NDArray[np.bool_], most: int
) -> NDArray[np.bool_]:
    """Returns at most `most` of the candidates of each example (shadows, examples), bool.

    The choice is pseudo-random and depends on the content only: it does not change with the order
    of the shadows or examples, and high values of the signal are as likely as low ones.

    Args:
        signal: A signal of the shadows (shadows, examples), float64; equal values are
            interchangeable.
        candidates: The shadows that may be chosen for an example (shadows, examples), bool.
        most: The largest number of chosen shadows, >= 0.
    """
    if len(candidates) <= most:
        return candidates
    keys = np.where(candidates, _mixed_bits(signal), _LAST)
    order = np.argsort(keys, axis=0, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(order))[:, np.newaxis], axis=0)
    chosen: NDArray[np.bool_] = candidates & (ranks < most)
    return chosen


def _mixed_bits(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Returns the bits of each float64 number, mixed so that each bit depends on all of them."""
    bits = np.ascontiguousarray(values + 0.0).view(np.uint64)  # + 0.0: -0.0 and 0.0 are equal
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return np.minimum(mixed, _LAST - np.uint64(1))  # the largest key is that of other shadows
