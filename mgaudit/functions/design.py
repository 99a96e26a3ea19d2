"""The random draws of an audit of training functions: test split, membership and seeds."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.seeds import numpy_generator, stream

SEEDS = 2**31  # seeds are below it, because some libraries take 32 bits with a sign


def model_seeds(models: int, seed: int) -> list[int]:
    """Returns the seed of each model in 0..2^31 - 1, which depends only on `seed` and its index."""
    return [stream(seed, "fit", model) % SEEDS for model in range(models)]


def split_test(
    groups: NDArray[np.int64], test_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the indices of the audited and of the test examples, ascending.

    The fraction `test_fraction` of the groups, rounded, is drawn, and all their examples are test
    examples. `groups` are group numbers (examples,); without groups, each example is its own.

    Raises UsageError where one of the two parts would be empty.
    """
    distinct = np.unique(groups)
    number = round(test_fraction * len(distinct))
    if not 0 < number < len(distinct):
        rule = "must leave examples for the test and for the audit"
        raise UsageError(
            "test_fraction", rule, f"{test_fraction:g} of {len(distinct)}", "give x_test and y_test"
        )
    drawn = numpy_generator(seed, "test split").permutation(distinct)[:number]
    is_test = np.isin(groups, drawn)
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def draw_membership(models: int, groups: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Returns membership (models, examples), bool: a fair coin for each model and group.

    `groups` are group numbers (examples,). If each example is its own group, in ascending order,
    the result is that of `fair_coins`.

    Raises UsageError where a model would have no members or no non-members.
    """
    distinct, positions = np.unique(groups, return_inverse=True)
    membership = fair_coins(models, len(distinct), seed)[:, positions]
    members = membership.sum(axis=1)
    one_sided = (members == 0) | (members == len(groups))
    if one_sided.any():
        rule = "must give every model members and non-members"
        value = f"{len(distinct)} groups, of which model {int(one_sided.argmax())} has all or none"
        raise UsageError("groups", rule, value, "use more groups or examples")
    return membership
