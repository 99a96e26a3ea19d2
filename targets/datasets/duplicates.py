"""Exact copies among examples.

A model that has trained on an example has seen its copies, so an attack cannot tell them apart.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.datasets.dataset import Dataset

# Whether copies of an example are together in a model or not, or each has a coin of its own.
Duplicates = Literal["together", "apart"]
TOGETHER = (
    "Copies share one coin, so an attack tests the group as a whole; lower bounds on ε leave these "
    "examples out."
)
APART = "Each copy has a coin of its own."


@dataclass(frozen=True)
class CopyGroups:
    """Groups of equal examples; an example without copies is a group of its own.

    Args:
        first: The index of the first example of the group of each example (examples,), int64.
    """

    first: NDArray[np.int64]

    @property
    def representatives(self) -> NDArray[np.int64]:
        """The first example of each group (groups,), ascending."""
        return np.unique(self.first)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The number of the group of each example (examples,), int64, by first appearance."""
        return np.unique(self.first, return_inverse=True)[1].astype(np.int64)

    @property
    def has_copies(self) -> NDArray[np.bool_]:
        """Whether another example equals the example (examples,), bool."""
        numbers = self.numbers
        sizes: NDArray[np.int64] = np.bincount(numbers)
        return sizes[numbers] > 1

    @property
    def alone(self) -> NDArray[np.int64]:
        """The examples without copies (examples without copies,), ascending."""
        return np.flatnonzero(~self.has_copies)

    def summary(self) -> str:
        """Returns how many examples have copies, in one clause; "" if none has.

        >>> CopyGroups(np.array([0, 1, 0, 3, 0])).summary()
        '3 of 5 examples have exact copies (1 group, the largest of 3)'
        """
        copies = int(self.has_copies.sum())
        if not copies:
            return ""
        sizes = np.bincount(self.numbers)
        groups = int((sizes > 1).sum())
        return (
            f"{copies} of {len(self.first)} examples have exact copies "
            f"({groups} {'group' if groups == 1 else 'groups'}, the largest of {sizes.max()})"
        )

    def notes(self, duplicates: Duplicates) -> tuple[str, ...]:
        """Returns a sentence about exact copies among the examples; empty if there are none."""
        summary = self.summary()
        if not summary:
            return ()
        return (f"{summary}. {TOGETHER if duplicates == 'together' else APART}",)


def copy_groups(dataset: Dataset) -> CopyGroups:
    """Returns the groups of examples with equal inputs and equal labels.

    Inputs are compared as stored, that is, before they are standardised; -0.0 equals 0.0.
    """
    return groups_of(zip(contents(dataset.inputs), dataset.labels.tolist(), strict=True))


def joined_groups(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the smallest groups that contain the groups of both, numbered by first appearance.

    All arrays are numbers of groups, from 0, of each example (examples,), int64.

    >>> joined_groups(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    # Imported here because workers import this module and need no scipy.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = int(first.max()) + int(second.max()) + 2  # the groups of both
    links = coo_array(
        (np.ones(len(first)), (first, second + int(first.max()) + 1)), shape=(nodes, nodes)
    )
    _, component = connected_components(links, directed=False)
    return groups_of(component[first].tolist()).numbers


def groups_of(contents: Iterable[Hashable]) -> CopyGroups:
    """Returns the groups of equal contents, one for each example.

    >>> groups_of(["a", "b", "a"]).first.tolist()
    [0, 1, 0]
    """
    first_of: dict[Hashable, int] = {}
    first = [first_of.setdefault(content, index) for index, content in enumerate(contents)]
    return CopyGroups(np.array(first, dtype=np.int64))
