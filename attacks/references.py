"""The shadow models that an example is compared with: its references.

A reference of an example is IN if it trained on the example, and OUT otherwise. Where membership is
not drawn by independent coins, the number of IN references may reveal whether the target trained on
the example: if every example is in exactly half of the models, it does so without error. Limits on
the numbers of references make them equal for all examples.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The multipliers of the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LAST = np.uint64(np.iinfo(np.uint64).max)


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

    The choice is pseudo-random. It is seeded by the whole content of shadows and examples, so that
    it does not change with their order, and does not depend on the values of single shadows: for
    signals with few values, such as the outputs of trees, a choice by value would reveal members.

    Args:
        signal: A signal of the shadows (shadows, examples), float64.
        candidates: The shadows that may be chosen for an example (shadows, examples), bool.
        most: The largest number of chosen shadows, >= 0.
    """
    if len(candidates) <= most:
        return candidates
    keys = np.where(candidates, _keys(signal, candidates), _LAST)
    order = np.argsort(keys, axis=0, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(order))[:, np.newaxis], axis=0)
    chosen: NDArray[np.bool_] = candidates & (ranks < most)
    return chosen


def content_order(signal: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the shadows (shadows,) in a pseudo-random order that their content determines.

    The order does not depend on the order of shadows or examples. It is a fixed permutation of the
    ranks of the shadows by their mean signal, in which the lowest rank comes first. So rounding in
    the outputs of models, which differs between processors, changes it only where two means are
    nearly equal. Shadows with equal means, as of signals with few values, are ranked by a hash of
    their content. Only those with the same content keep the order in which they are given.

    Args:
        signal: A signal of the shadows (shadows, examples, queries), float64.
    """
    values = signal.mean(axis=-1)
    sums = [math.fsum(of_shadow) for of_shadow in values]
    by_mean = np.lexsort((_keys_of_shadows(_mixed(_bits(values))), np.asarray(sums)))
    ranks = np.argsort(_mixed(np.arange(len(sums), dtype=np.uint64)))
    return by_mean[ranks]


def _keys(signal: NDArray[np.float64], candidates: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Returns a pseudo-random key for each shadow and example (shadows, examples).

    A key is drawn from the content of the shadow over all examples and that of the example over all
    shadows. Examples with equal content get different keys, and are interchangeable.
    """
    cells = _mixed(_bits(signal) ^ np.where(candidates, _FIRST, _SECOND))
    of_shadows = _keys_of_shadows(cells)
    of_examples = _mixed(cells ^ of_shadows[:, np.newaxis]).sum(axis=0)
    of_examples = of_examples + _SECOND * _repeats(of_examples)
    keys = _mixed(of_shadows[:, np.newaxis] ^ _mixed(of_examples))
    return np.minimum(keys, _LAST - np.uint64(1))  # the largest key is that of other shadows


def _bits(signal: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Returns the bits of the values, the same for -0.0 and 0.0."""
    bits: NDArray[np.uint64] = np.ascontiguousarray(signal + 0.0).view(np.uint64)
    return bits


def _keys_of_shadows(cells: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns a key (shadows,) of the content of each row of `cells` (shadows, examples).

    Rows that have the same values at other examples have different keys.
    """
    return _mixed(_mixed(cells ^ _mixed(cells.sum(axis=0))).sum(axis=1))


def _repeats(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns for each value how many equal values precede it (values,)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    is_new = np.append(True, ordered[1:] != ordered[:-1])
    starts = np.maximum.accumulate(np.where(is_new, np.arange(len(values)), 0))
    repeats = np.empty(len(values), dtype=np.uint64)
    repeats[order] = np.arange(len(values)) - starts
    return repeats


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns the numbers mixed so that each bit depends on all bits."""
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed
