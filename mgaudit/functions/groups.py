"""Numbers of the groups of examples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.targets.arrays.class_labels import label_values, refuse_missing


def group_numbers(key: str, groups: Any) -> NDArray[np.int64]:
    """Returns the number of each example's group (examples,), in order of first appearance."""
    numbers: dict[Any, int] = {}
    values = label_values(key, groups)
    refuse_missing(key, values)
    codes = [numbers.setdefault(group, len(numbers)) for group in values]
    return np.array(codes, np.int64)
