"""Near-duplicates among examples: they depend on one another, so intervals resample them together.

Near-duplicates keep coins of their own, unlike exact copies.
"""

import numpy as np
from numpy.typing import NDArray

from mgaudit.targets.datasets.duplicates import CopyGroups, joined_groups

NEIGHBOURS = 20
LARGEST_RATIO = 0.2
# Expected number of neighbours of an example that are that near by chance, in independent features.
CHANCE = 0.01
FEATURES = 64  # of more, random projections are compared
MOST_EXAMPLES = 20_000
ROWS_AT_ONCE = 256  # for which all distances are in memory
FEWEST = 0.01  # share of near-duplicates among distinct examples; fewer change no interval


def near_duplicates(inputs: NDArray[np.floating], copies: CopyGroups) -> CopyGroups:
    """Returns groups of exact copies and of near-duplicates.

    Two distinct examples are near-duplicates if their distance is at most a fifth of the distance
    of one of them to its 20th neighbour. With few features, the share is smaller, because examples
    are that near by chance. Groups of more than 20 near-duplicates are not found. Above 20,000
    distinct examples, near-duplicates are not looked for, and fewer than 1 % are ignored.

    Args:
        inputs: Standardised inputs (examples, ...).
        copies: The groups of exact copies.
    """
    distinct = copies.representatives
    if not NEIGHBOURS < len(distinct) <= MOST_EXAMPLES:
        return copies
    from scipy.sparse import coo_array  # imported here because workers need no scipy
    from scipy.sparse.csgraph import connected_components

    points = _points(inputs[distinct])
    distances, neighbours = _nearest(points)
    limit = largest_ratio(points.shape[1]) * distances.max(axis=1, keepdims=True)
    rows, columns = np.nonzero(distances <= limit)
    others = neighbours[rows, columns]
    size = len(distinct)
    links = coo_array((np.ones(len(rows)), (rows, others)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    if (np.bincount(component)[component] > 1).mean() < FEWEST:
        return copies
    of_distinct = np.zeros(len(inputs), dtype=np.int64)
    of_distinct[distinct] = component
    near = of_distinct[copies.first]
    numbers = joined_groups(copies.numbers, near)
    _, first, number_of_example = np.unique(numbers, return_index=True, return_inverse=True)
    return CopyGroups(first[number_of_example].astype(np.int64))


def near_duplicates_note(units: CopyGroups, copies: CopyGroups) -> tuple[str, ...]:
    """Returns a sentence about near-duplicates; empty if `units` has none beside exact copies."""
    near = int((units.has_copies & ~copies.has_copies).sum())
    if not near:
        return ()
    return (
        f"{near} of {len(units.first)} examples have near-duplicates; intervals count each group "
        "of them as one example.",
    )


def largest_ratio(features: int) -> float:
    """Returns the largest ratio of the distances of near-duplicates and of the 20th neighbour.

    In a uniform cloud, the expected number of neighbours within the ratio is NEIGHBOURS times the
    ratio to the power of the number of features.

    >>> largest_ratio(1), largest_ratio(64)
    (0.0005, 0.2)
    """
    return float(min(LARGEST_RATIO, (CHANCE / NEIGHBOURS) ** (1 / features)))


def _nearest(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns the distances to the NEIGHBOURS nearest other points, and their indices.

    Both arrays have the shape (points, NEIGHBOURS); the neighbours of a point are in no order. This
    compares all pairs, because the import of scikit-learn's search takes longer than most audits.
    """
    squares = (points**2).sum(axis=1)
    distances = np.empty((len(points), NEIGHBOURS))
    neighbours = np.empty((len(points), NEIGHBOURS), dtype=np.int64)
    for first in range(0, len(points), ROWS_AT_ONCE):
        block = points[first : first + ROWS_AT_ONCE]
        rows = np.arange(len(block))
        nearness = squares - 2 * (block @ points.T)  # the squared distance less that of the origin
        nearness[rows, first + rows] = np.inf
        nearest = np.argpartition(nearness, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        neighbours[first + rows] = nearest
        differences = points[nearest] - block[:, np.newaxis]
        distances[first + rows] = np.linalg.norm(differences, axis=2)
    return distances, neighbours


def _points(inputs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Returns the inputs as vectors (examples, features), projected to at most FEATURES."""
    vectors = inputs.reshape(len(inputs), -1).astype(np.float64)
    features = vectors.shape[1]
    if features <= FEATURES:
        return vectors
    directions = np.random.default_rng(0).standard_normal((features, FEATURES))
    return np.asarray(vectors @ directions, dtype=np.float64)
