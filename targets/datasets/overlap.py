"""Test examples that are training examples as well: no model may train on the population."""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset, Inputs


def overlapping(dataset: Dataset) -> list[tuple[int, int]]:
    """Returns the pairs (test example, example) that are equal in every value and in the label."""
    kind = np.result_type(dataset.inputs, dataset.test_inputs)

    def contents(inputs: Inputs, labels: NDArray[np.int64]) -> list[tuple[bytes, int]]:
        return [
            (hashlib.blake2b(row.astype(kind).tobytes(), digest_size=16).digest(), int(label))
            for row, label in zip(inputs, labels, strict=True)
        ]

    places = {
        content: place for place, content in enumerate(contents(dataset.inputs, dataset.labels))
    }
    return [
        (test, places[content])
        for test, content in enumerate(contents(dataset.test_inputs, dataset.test_labels))
        if content in places
    ]


def refuse_overlap(dataset: Dataset) -> None:
    """Raises UsageError where a test example is among the examples to audit."""
    both = overlapping(dataset)
    if both:
        raise UsageError(
            f"dataset {dataset.name}: the test split",
            "must not overlap the examples to audit",
            f"{len(both)} of its {len(dataset.test_labels)} examples that are among them (test example {both[0][0]} "
            f"is {dataset.origins[both[0][1]]})",
            "take them out of one of the two",
        )


def without_overlap(dataset: Dataset) -> Dataset:
    """Returns the dataset without the test examples that are training examples: a published split is not ours to mend.

    All of them go, whichever training examples are audited, so that the test split is always the same.
    """
    keep = np.ones(len(dataset.test_labels), dtype=bool)
    keep[[test for test, _ in overlapping(dataset)]] = False
    return replace(
        dataset, test_inputs=dataset.test_inputs[keep], test_labels=dataset.test_labels[keep]
    )
