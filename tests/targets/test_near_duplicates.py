"""Near-duplicates, which intervals resample as one."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from mgaudit.targets.datasets.duplicates import CopyGroups, groups_of
from mgaudit.targets.datasets.near_duplicates import (
    MOST_EXAMPLES,
    NEIGHBOURS,
    ROWS_AT_ONCE,
    _nearest,
    near_duplicates,
    near_duplicates_note,
)


def found(points: np.ndarray) -> tuple[CopyGroups, CopyGroups]:
    copies = groups_of([row.tobytes() for row in points])
    return copies, near_duplicates(points, copies)


@pytest.mark.parametrize("features", [6, 64, 700])
def test_near_duplicates_are_found_among_distinct_examples(features: int) -> None:
    generator = np.random.default_rng(0)
    points = generator.standard_normal((300, features)).astype(np.float32)
    points[270:290] = points[:20] + 0.02 * generator.standard_normal((20, features))
    points[200] = points[0]
    copies, units = found(points)
    groups = {tuple(np.flatnonzero(units.first == first)) for first in np.unique(units.first)}
    several = {group for group in groups if len(group) > 1}
    assert several == {(0, 200, 270), *((i, 270 + i) for i in range(1, 20))}
    note = "39 of 300 examples have near-duplicates; intervals count each group of them"
    assert near_duplicates_note(units, copies)[0].startswith(note)


@pytest.mark.parametrize("features", [1, 64])
def test_the_nearest_points_are_those_of_all_distances(features: int) -> None:
    points = 5 + np.random.default_rng(3).standard_normal((2 * ROWS_AT_ONCE + 7, features))
    distances, neighbours = _nearest(points)
    expected = np.sort(cdist(points, points), axis=1)[:, 1 : NEIGHBOURS + 1]
    np.testing.assert_allclose(np.sort(distances, axis=1), expected, rtol=1e-9, atol=1e-12)
    of_neighbours = np.linalg.norm(points[neighbours] - points[:, np.newaxis], axis=2)
    np.testing.assert_allclose(distances, of_neighbours)
    assert (neighbours != np.arange(len(points))[:, np.newaxis]).all()


def test_images_are_compared_as_vectors() -> None:
    generator = np.random.default_rng(1)
    images = generator.standard_normal((60, 1, 8, 8)).astype(np.float32)
    images[30] = images[3] + 0.01
    _, units = found(images)
    assert units.first[30] == 3
    assert len(units.representatives) == 59
    more = np.concatenate([images, generator.standard_normal((200, 1, 8, 8))])
    copies, units = found(more)
    assert units is copies, "a single pair among many examples is ignored"


@pytest.mark.parametrize("features", [1, 2, 5])
def test_independent_examples_with_few_features_are_hardly_ever_near(features: int) -> None:
    points = np.random.default_rng(2).random((2000, features))
    _, units = found(points)
    assert units.has_copies.mean() < 0.04


def test_few_and_many_examples_keep_their_exact_copies() -> None:
    few = np.zeros((4, 3))
    copies, units = found(few)
    assert units == copies
    assert near_duplicates_note(units, copies) == ()
    many = CopyGroups(np.arange(MOST_EXAMPLES + 1))
    assert near_duplicates(np.zeros((MOST_EXAMPLES + 1, 1)), many) is many
