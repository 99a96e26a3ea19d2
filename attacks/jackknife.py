"""Jackknife over models: a metric of each target, computed again without groups of models.

Models are divided into groups. A group is removed as a whole, from the targets and from the shadows
of the other targets. So the jackknife sees that the targets are each other's shadows.

The variance of a mean over targets has parts from models, from examples, and from both together:
the noise of single models on single examples. Resampling the examples shows the last two. For the
first, the jackknife is computed on two halves of the examples. What a model does to all examples
changes both halves alike; noise on single examples changes them independently. Several splits into
halves make the estimate more precise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPLITS = 4
MOST_GROUPS, MOST_OF_SLOW = 16, 8  # with more, intervals take longer and are hardly shorter


@dataclass(frozen=True)
class ModelGroups:
    """The groups of some models: `of_model` (models,), in 0..`number` - 1."""

    number: int
    of_model: NDArray[np.int64]

    @classmethod
    def of(cls, models: NDArray[np.int64], number: int) -> "ModelGroups":
        """Returns the groups of the models with the indices `models` (models,) of a study.

        The group is the index modulo `number`. Models are trained from independent seeds, so this
        is as good as a random group.

        >>> ModelGroups.of(np.array([0, 1, 3, 4]), 3).of_model.tolist()
        [0, 1, 0, 1]
        """
        return cls(number, np.asarray(models % number, dtype=np.int64))

    def members(self) -> list[NDArray[np.int64]]:
        """Returns the positions of the models of each group."""
        return [np.flatnonzero(self.of_model == group) for group in range(self.number)]


def number_of_groups(models: int, is_slow: bool = False) -> int:
    """Returns the number of groups: one model in each up to 16 groups, or 8 for slow attacks."""
    return min(models, MOST_OF_SLOW if is_slow else MOST_GROUPS)


def random_halves(
    unit_of_example: NDArray[np.int64], generator: np.random.Generator, splits: int = SPLITS
) -> NDArray[np.bool_]:
    """Returns whether an example is in the first half, for each split (splits, examples).

    `unit_of_example` (examples,) has the number of the unit of each example, from 0. The halves
    have equally many units, up to one. Units are examples or groups of examples that depend on one
    another.
    """
    units = int(unit_of_example.max()) + 1
    order = [generator.permutation(units) for _ in range(splits)]
    return np.stack([(numbers % 2 == 0)[unit_of_example] for numbers in order])


@dataclass(frozen=True)
class Jackknife:
    """A metric of each target without each group of models, on two halves of the examples.

    `values` is (splits, 2, groups, targets): two halves for each split of the examples.
    `group_of_target` (targets,) is the group of each target. The value of a target without its own
    group is not used.
    """

    values: Floats
    group_of_target: NDArray[np.int64]

    def __post_init__(self) -> None:
        shape, targets = self.values.shape, len(self.group_of_target)
        if len(shape) != 4 or (shape[1], shape[3]) != (2, targets):
            raise ValueError(
                f"values must be (splits, 2, groups, targets = {targets}), got {shape}"
            )

    def at(self, rows: list[int]) -> "Jackknife":
        """Returns the record of the targets in these rows."""
        return Jackknife(self.values[..., rows], self.group_of_target[rows])

    @classmethod
    def joined(cls, parts: "Sequence[Jackknife]") -> "Jackknife":
        """Returns the record of the targets of all parts, in their order."""
        values = np.concatenate([part.values for part in parts], axis=-1)
        return cls(values, np.concatenate([part.group_of_target for part in parts]))

    def plus(self, addend: Floats) -> "Jackknife":
        """Returns the record of the metric plus another one, which broadcasts to the values."""
        return Jackknife(self.values + addend, self.group_of_target)

    def times(self, factor: float) -> "Jackknife":
        """Returns the record of a multiple of the metric."""
        return Jackknife(factor * self.values, self.group_of_target)

    def variance(self) -> float:
        """Returns the variance of the mean over targets that is due to the models alone.

        With m_g and m'_g the means over the targets that are left without group g, on one half of
        the examples and on the other, and G groups, it is

            (G - 1) / G sum_g (m_g - mean of m) (m'_g - mean of m'),

        averaged over the splits. This is an unbiased estimate, which may be negative where models
        hardly differ.
        """
        groups = np.arange(self.values.shape[2])[:, np.newaxis]
        is_left = self.group_of_target != groups
        left = is_left.sum(axis=1)
        sums = np.where(is_left, self.values, 0.0).sum(axis=-1)[..., left > 0]
        means = sums / left[left > 0]
        deviations = means - means.mean(axis=-1, keepdims=True)
        number = deviations.shape[-1]
        products = (deviations[:, 0] * deviations[:, 1]).sum(axis=-1)
        return float((number - 1) / number * products.mean())

    @property
    def degrees_of_freedom(self) -> int:
        """The number of groups that have a target, minus 1."""
        return len(np.unique(self.group_of_target)) - 1


def sum_of_jackknives(
    first: Jackknife | None, second: Jackknife | None, of_first: Floats, of_second: Floats
) -> Jackknife | None:
    """Returns the jackknife of the sum of two metrics of the same targets.

    None stands for a metric that does not depend on shadows, with the values `of_first` or
    `of_second` (targets,) whatever is removed.

    Raises:
        ValueError: For different groups.
    """
    if first is None:
        return None if second is None else second.plus(of_first)
    if second is None:
        return first.plus(of_second)
    same = np.array_equal(first.group_of_target, second.group_of_target)
    if not same or first.values.shape != second.values.shape:
        raise ValueError("both metrics must be of the same targets in the same groups")
    return first.plus(second.values)
