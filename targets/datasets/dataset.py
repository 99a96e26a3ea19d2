"""A dataset: training examples, and a test split on which no model is ever trained."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.limits import CLASSES

Inputs = NDArray[Any]  # uint8 or float32


@dataclass(frozen=True)
class Dataset:
    """Examples to audit, on which models may train, and a test split, on which no model trains.

    Args:
        name: Name of the dataset.
        inputs: Examples (examples, *input_shape), uint8 or float32, finite; images have channels
            first.
        labels: Class numbers (examples,), int64, in 0..number of classes - 1.
        test_inputs: Test examples (test examples, *input_shape), uint8 or float32, finite.
        test_labels: Class numbers (test examples,), int64. Every class in `labels` must occur.
        classes: Names of the classes, at least 2.
        origins: The origin of each example, such as a file or a row, for display; by default its
            index.
        indices: The position of each example (examples,) in the training split as it is stored,
            int64; by default its index.
        notes: What was changed or left out when the data were read, one sentence each.

    Raises:
        UsageError: For arrays that break one of these rules.
    """

    name: str
    inputs: Inputs
    labels: NDArray[np.int64]
    test_inputs: Inputs
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    origins: tuple[str, ...] = ()
    indices: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origins:
            origins = tuple(f"example {index}" for index in range(len(self.inputs)))
            object.__setattr__(self, "origins", origins)
        if len(self.origins) != len(self.inputs):
            rule = f"must have an origin for each of {len(self.inputs)} examples"
            raise self._error(rule, str(len(self.origins)))
        if not len(self.indices):
            object.__setattr__(self, "indices", np.arange(len(self.inputs)))
        if len(self.indices) != len(self.inputs):
            rule = f"must have an index for each of {len(self.inputs)} examples"
            raise self._error(rule, str(len(self.indices)))
        if len(self.classes) < 2:
            raise self._error("must have at least 2 classes", str(len(self.classes)))
        CLASSES.check(f"dataset {self.name}", len(self.classes))
        for text in (*self.classes, *self.origins):
            if not _is_utf8(text):
                rule = "must have names of classes and examples in UTF-8"
                raise self._error(rule, repr(text), "rename it")
        self._check_split("train", self.inputs, self.labels)
        self._check_split("test", self.test_inputs, self.test_labels)
        missing = np.setdiff1d(self.labels, self.test_labels)
        if missing.size:
            value = f"no test example of class {self.classes[missing[0]]!r}"
            raise self._error("must have every class in the test split", value)

    def _check_split(self, split: str, inputs: Inputs, labels: NDArray[np.int64]) -> None:
        """Raises UsageError where the arrays of a split ("train" or "test") break a rule."""
        if len(inputs) != len(labels) or len(labels) == 0 or labels.ndim != 1:
            rule = f"must have as many labels as examples in the {split} split, and at least one"
            raise self._error(rule, f"{len(inputs)} examples and labels of shape {labels.shape}")
        if inputs.dtype not in (np.uint8, np.float32) or labels.dtype != np.int64:
            rule = f"must have {split} inputs of type uint8 or float32 and labels of type int64"
            raise self._error(rule, f"{inputs.dtype} and {labels.dtype}")
        if inputs.shape[1:] != self.input_shape or inputs.size == 0:
            value = f"{self.input_shape} in train and {inputs.shape[1:]} in {split}"
            raise self._error("must have examples of one shape, with at least one value", value)
        if not np.isfinite(inputs).all():
            finite = np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1)
            bad = int(np.flatnonzero(~finite)[0])
            raise self._error(
                "must hold finite numbers", f"NaN or infinity in {split} example {bad}"
            )
        lowest, highest = labels.min(), labels.max()
        if lowest < 0 or highest >= len(self.classes):
            rule = f"must have {split} labels in 0..{len(self.classes) - 1}"
            raise self._error(rule, f"{lowest}..{highest}")

    def _error(self, rule: str, value: str, way_out: str = "") -> UsageError:
        return UsageError(f"dataset {self.name}", rule, value, way_out)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.inputs.shape[1:]

    def drawn(self, examples: int | None, generator: np.random.Generator) -> "Dataset":
        """Returns the dataset with a random subset of its examples and the whole test split.

        `examples` is the number of examples, which are drawn without replacement; None means all of
        them, in random order.

        Raises:
            UsageError: For more examples than there are, and for fewer than 1.
        """
        chosen = drawn(self.name, len(self.inputs), examples, generator)
        origins = tuple(self.origins[index] for index in chosen)
        inputs, labels = self.inputs[chosen], self.labels[chosen]
        indices = self.indices[chosen]
        return replace(self, inputs=inputs, labels=labels, origins=origins, indices=indices)

    def standardised(self, reference: Inputs | None = None) -> "Dataset":
        """Returns the dataset as float32 with mean 0 and sd 1 per channel (images) or feature.

        Mean and sd are computed from all `inputs`, members and non-members, so that they are the
        same for every model and contain no information about membership. The test split is
        transformed with the same numbers. A constant channel or feature becomes 0. With other
        inputs as `reference` (examples, *input_shape), mean and sd are theirs.
        """
        measured = self.inputs if reference is None else reference
        axes = (0, *range(2, measured.ndim))
        exact_mean = measured.mean(axis=axes, dtype=np.float64, keepdims=True)
        exact_sd = measured.std(axis=axes, dtype=np.float64, keepdims=True)
        mean, sd = exact_mean.astype(np.float32), exact_sd.astype(np.float32)
        sd[sd == 0] = 1.0
        inputs = (self.inputs - mean) / sd
        test_inputs = (self.test_inputs - mean) / sd
        return replace(self, inputs=inputs, test_inputs=test_inputs)

    def digest(self) -> str:
        """Returns the SHA-256 (hexadecimal) of all values, shapes and class names.

        The name of the dataset, origins, indices and notes are not included.
        """
        sha = hashlib.sha256(repr(self.classes).encode())
        for array in (self.inputs, self.labels, self.test_inputs, self.test_labels):
            sha.update(f"{array.dtype}{array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()


def drawn(
    name: str, available: int, examples: int | None, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Returns the indices (examples,), int64, of the examples to audit, in random order.

    `examples` of the `available` examples are drawn without replacement, or all of them for None.
    `name` is the dataset's name in errors.

    Raises:
        UsageError: For fewer than 1 and for more than the available examples.
    """
    if examples is not None and not 1 <= examples <= available:
        rule = f"must be between 1 and {available}, the number of examples of {name}"
        raise UsageError("examples", rule, str(examples))
    order = generator.permutation(available)
    return order[:examples].astype(np.int64)


def _is_utf8(text: str) -> bool:
    """Returns whether the text can be written to a result; file names may not be valid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
