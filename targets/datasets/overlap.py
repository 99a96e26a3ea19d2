"""Test examples that are also training examples, which must be removed.

Attacks use the test split as the population, data on which no model trained.
"""

from dataclasses import replace

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.datasets.dataset import Dataset


def overlapping(dataset: Dataset) -> list[tuple[int, int]]:
    """Returns the pairs (test index, training index) of examples with equal values and labels.

    A test example that equals several training examples is paired with the last of them. The list
    is empty if nothing overlaps.
    """
    pairs, _ = _equal_examples(dataset)
    return pairs


def _equal_examples(dataset: Dataset) -> tuple[list[tuple[int, int]], int]:
    """Returns the pairs of `overlapping`, and how many others are equal but for their labels.

    The second number counts the test examples that equal training examples of other labels only.
    """
    dtype = np.result_type(dataset.inputs, dataset.test_inputs)
    train_contents = contents(dataset.inputs, dtype)
    test_contents = contents(dataset.test_inputs, dtype)
    train_examples = zip(train_contents, dataset.labels.tolist(), strict=True)
    test_examples = zip(test_contents, dataset.test_labels.tolist(), strict=True)
    train_index = {example: index for index, example in enumerate(train_examples)}
    train_values = set(train_contents)
    pairs, with_other_labels = [], 0
    for test, example in enumerate(test_examples):
        if example in train_index:
            pairs.append((test, train_index[example]))
        elif example[0] in train_values:
            with_other_labels += 1
    return pairs, with_other_labels


def checked_splits(dataset: Dataset) -> Dataset:
    """Returns the dataset, with a note on test examples that differ from others in the label only.

    Raises:
        UsageError: Where a test example is among the examples to audit.
    """
    pairs, with_other_labels = _equal_examples(dataset)
    if pairs:
        test, train = pairs[0]
        raise UsageError(
            f"dataset {dataset.name}: the test split",
            "must not overlap the examples to audit",
            f"{len(pairs)} of its {len(dataset.test_labels)} examples that are among them "
            f"(test example {test} is {dataset.origins[train]})",
            "remove them from one of the two",
        )
    if not with_other_labels:
        return dataset
    note = (
        f"{with_other_labels} of {len(dataset.test_labels)} test examples have the values of an "
        "example to audit, with another label."
    )
    return replace(dataset, notes=(*dataset.notes, note))


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
