"""A split of examples into training and test data, with the same share of every class."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

# The draw is always the same, so that audits with different seeds have the same test data.
SEED = 0


class UndividedClassError(ValueError):
    """A class whose examples cannot be on both sides of a split; `label` is its number."""

    def __init__(self, label: int) -> None:
        self.label = label
        super().__init__(f"class {label} must have examples that can be on different sides")


def stratified_test_rows(
    labels: NDArray[np.int64], contents: Sequence[Hashable], fraction: float
) -> NDArray[np.bool_]:
    """Returns, for each example, whether it is test data (examples,), bool.

    Examples with equal contents are on the same side, also if their labels differ. The draw depends
    on the order of the examples and on nothing else.

    Args:
        labels: Class numbers (examples,), int64.
        contents: A value for each example that is equal for identical examples, such as a hash.
        fraction: Share of the examples of each class that are test data, in (0, 1). It is rounded
            to a whole number of examples, at least 1 and at most all but 1.

    Raises:
        UndividedClassError: For a class of which not both sides can have an example.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, content in enumerate(contents):
        groups.setdefault(content, []).append(index)
    order = np.random.default_rng(SEED).permutation(len(groups))
    members = list(groups.values())
    drawn = [members[index] for index in order]
    sizes = np.bincount(labels)
    most = np.clip(np.rint(fraction * sizes).astype(np.int64), 1, np.maximum(sizes - 1, 0))
    test = np.zeros(len(labels), dtype=bool)
    _fill(test, drawn, labels, most)
    # Where identical examples are more than the share of their class, the smallest group is taken.
    for label in np.flatnonzero(np.bincount(labels[test], minlength=len(sizes)) == 0):
        smallest_first = sorted((group for group in drawn if label in labels[group]), key=len)
        room = np.where(most > 0, sizes - 1, 0)
        for group in smallest_first:
            if _fill(test, [group], labels, room):
                break
        else:
            raise UndividedClassError(int(label))
    return test


def _fill(
    test: NDArray[np.bool_],
    groups: Sequence[list[int]],
    labels: NDArray[np.int64],
    most: NDArray[np.int64],
) -> int:
    """Adds groups to the test rows in place, up to `most` (classes,) examples of each class.

    Returns the number of groups that were added.
    """
    counts = np.bincount(labels[test], minlength=len(most))
    added = 0
    for group in groups:
        group_counts = np.bincount(labels[group], minlength=len(most))
        if np.all(counts + group_counts <= most):
            counts += group_counts
            test[group] = True
            added += 1
    return added
