"""Bootstrap resamples of few examples, and the fewest members that an audit needs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError

FEWEST_MEMBERS = 10  # and non-members, of each target


def check_members(
    membership: NDArray[np.bool_], targets: Sequence[int], groups: NDArray[np.int64] | None
) -> None:
    """Raises UsageError unless each target has some members and non-members.

    `membership` is (models, examples), bool. With `groups` (examples,), those of members and of
    non-members are counted.
    """
    unit = "examples" if groups is None else "groups"
    numbers = np.arange(membership.shape[1]) if groups is None else groups
    for target in targets:
        for rows, kind in ((membership[target], "members"), (~membership[target], "non-members")):
            count = len(np.unique(numbers[rows]))
            if count < FEWEST_MEMBERS:
                rule = f"must have at least {FEWEST_MEMBERS} {unit} of members and of non-members"
                raise UsageError("membership", rule, f"{count} of {kind} in model {target}")


def with_members(
    resamples: NDArray[np.uint16], membership: NDArray[np.bool_]
) -> NDArray[np.uint16]:
    """Returns the resamples in which every target has members and non-members, as often as before.

    Others have no AUC. They are rare, and are replaced by the first ones that have.

    Args:
        resamples: How often each example is drawn (resamples, examples), uint16.
        membership: Membership of the targets (targets, examples), bool.

    Raises:
        ValueError: If no resample has members and non-members of every target.

    >>> membership = np.array([[True, False]])
    >>> with_members(np.array([[2, 0], [1, 1]], dtype=np.uint16), membership).tolist()
    [[1, 1], [1, 1]]
    """
    drawn = (resamples > 0).astype(np.float32)
    members = drawn @ membership.T.astype(np.float32)
    others = drawn @ (~membership).T.astype(np.float32)
    usable = ((members > 0) & (others > 0)).all(axis=1)
    if usable.all():
        return resamples
    if not usable.any():
        raise ValueError("no resample of the examples has members and non-members of every target")
    rows = np.arange(len(resamples))
    rows[~usable] = np.resize(rows[usable], int((~usable).sum()))
    return resamples[rows]
