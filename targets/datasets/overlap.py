"""Test examples that are also training examples, which must be removed.

Attacks use the test split as the population, data on which no model trained.
"""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset, Inputs


def overlapping(dataset: Dataset) -> list[tuple[int, int]]:
    """Returns the pairs (test index, training index) of examples with equal values and labels.

    A test example that equals several training examples is paired with the last of them. The list
    is empty if nothing overlaps.
    """
    dtype = np.result_type(dataset.inputs, dataset.test_inputs)
    train_contents = _contents(dataset.inputs, dataset.labels, dtype)
    test_contents = _contents(dataset.test_inputs, dataset.test_labels, dtype)
    train_index = {content: index for index, content in enumerate(train_contents)}
    return [
        (test, train_index[content])
        for test, content in enumerate(test_contents)
        if content in train_index
    ]


def _contents(
    inputs: Inputs, labels: NDArray[np.int64], dtype: np.dtype[Any]
) -> list[tuple[bytes, int]]:
    """Returns, for each example, a hash of its values as `dtype`, and its label.

    `inputs` are (examples, *input_shape) and `labels` (examples,).
    """
    contents = []
    for values, label in zip(inputs, labels, strict=True):
        content = values.astype(dtype).tobytes()
        digest = hashlib.blake2b(content, digest_size=16).digest()
        contents.append((digest, int(label)))
    return contents


def refuse_overlap(dataset: Dataset) -> None:
    """Raises UsageError where a test example is among the examples to audit."""
    pairs = overlapping(dataset)
    if not pairs:
        return
    test, train = pairs[0]
    raise UsageError(
        f"dataset {dataset.name}: the test split",
        "must not overlap the examples to audit",
        f"{len(pairs)} of its {len(dataset.test_labels)} examples that are among them "
        f"(test example {test} is {dataset.origins[train]})",
        "remove them from one of the two",
    )


def without_overlap(dataset: Dataset) -> Dataset:
    """Returns the dataset without the test examples that are also training examples.

    Some published test splits contain training examples. All of these are removed, also if the
    training example in question is not audited, so that the test split is always the same.
    """
    keep = np.ones(len(dataset.test_labels), dtype=bool)
    overlapping_tests = [test for test, _ in overlapping(dataset)]
    keep[overlapping_tests] = False
    test_inputs, test_labels = dataset.test_inputs[keep], dataset.test_labels[keep]
    return replace(dataset, test_inputs=test_inputs, test_labels=test_labels)
