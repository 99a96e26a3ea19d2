"""Examples that may be trained on, and a test split that no model ever trains on."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError

Inputs = NDArray[Any]  # uint8 or float32


@dataclass(frozen=True)
class Dataset:
    """Examples and a test split.

    `inputs` (examples, *input_shape) and `test_inputs` (test examples, *input_shape) are uint8 or float32,
    images with channels first; `labels` and `test_labels` are int64 class numbers; `classes` names the classes.
    `origins` (examples,) says where each came from, a file or a row, for who wants to look at it; by default it is the
    place in `inputs`.
    """

    name: str
    inputs: Inputs
    labels: NDArray[np.int64]
    test_inputs: Inputs
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origins:
            object.__setattr__(
                self, "origins", tuple(f"example {index}" for index in range(len(self.inputs)))
            )
        if len(self.origins) != len(self.inputs):
            raise self._refused(
                f"must have an origin for each of {len(self.inputs)} examples",
                str(len(self.origins)),
            )
        if len(self.classes) < 2:
            raise self._refused("must have at least 2 classes", str(len(self.classes)))
        for text in (*self.classes, *self.origins):
            if not _is_utf8(text):
                raise self._refused(
                    "must have names of classes and examples in UTF-8", repr(text), "rename it"
                )
        self._check_split("train", self.inputs, self.labels)
        self._check_split("test", self.test_inputs, self.test_labels)
        missing = np.setdiff1d(self.labels, self.test_labels)
        if missing.size:
            value = f"no test example of class {self.classes[missing[0]]!r}"
            raise self._refused("must have every class in the test split", value)

    def _check_split(self, split: str, inputs: Inputs, labels: NDArray[np.int64]) -> None:
        if len(inputs) != len(labels) or len(labels) == 0 or labels.ndim != 1:
            rule = f"must have as many labels as examples in the {split} split, and at least one"
            raise self._refused(rule, f"{len(inputs)} examples and labels of shape {labels.shape}")
        if inputs.dtype not in (np.uint8, np.float32) or labels.dtype != np.int64:
            rule = f"must have {split} inputs of type uint8 or float32 and labels of type int64"
            raise self._refused(rule, f"{inputs.dtype} and {labels.dtype}")
        if inputs.shape[1:] != self.input_shape or inputs.size == 0:
            value = f"{self.input_shape} in train and {inputs.shape[1:]} in {split}"
            raise self._refused("must have examples of one shape, with at least one value", value)
        if not np.isfinite(inputs).all():
            bad = int(np.flatnonzero(~np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1))[0])
            raise self._refused(
                "must hold finite numbers", f"NaN or infinity in {split} example {bad}"
            )
        if labels.min() < 0 or labels.max() >= len(self.classes):
            rule = f"must have {split} labels in 0..{len(self.classes) - 1}"
            raise self._refused(rule, f"{labels.min()}..{labels.max()}")

    def _refused(self, rule: str, value: str, way_out: str = "") -> UsageError:
        return UsageError(f"dataset {self.name}", rule, value, way_out)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.inputs.shape[1:]

    def drawn(self, examples: int | None, generator: np.random.Generator) -> "Dataset":
        """Returns the dataset with `examples` of its examples, drawn without replacement, and the whole test split."""
        chosen = drawn(self.name, len(self.inputs), examples, generator)
        origins = tuple(self.origins[index] for index in chosen)
        return replace(
            self, inputs=self.inputs[chosen], labels=self.labels[chosen], origins=origins
        )

    def standardised(self) -> "Dataset":
        """Returns the dataset as float32 with mean 0 and sd 1: per channel for images, per feature for vectors.

        The statistics are those of `inputs` as a whole, members and non-members alike, so that they are the same
        for every model and carry nothing about membership.
        """
        axes = (0, *range(2, self.inputs.ndim))
        mean = self.inputs.mean(axis=axes, dtype=np.float64, keepdims=True).astype(np.float32)
        sd = self.inputs.std(axis=axes, dtype=np.float64, keepdims=True).astype(np.float32)
        sd[sd == 0] = 1.0
        return replace(
            self, inputs=(self.inputs - mean) / sd, test_inputs=(self.test_inputs - mean) / sd
        )

    def digest(self) -> str:
        """Returns the SHA-256 of the content: every value, shape and class name, and not the dataset's name."""
        sha = hashlib.sha256(repr(self.classes).encode())
        for array in (self.inputs, self.labels, self.test_inputs, self.test_labels):
            sha.update(f"{array.dtype}{array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()


def drawn(
    name: str, available: int, examples: int | None, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Returns the indices of the examples to audit, drawn without replacement.

    None for `examples` means all of the `available` ones.
    """
    if examples is not None and not 1 <= examples <= available:
        raise UsageError(
            "examples", f"must be between 1 and {available}, all that {name} holds", str(examples)
        )
    return generator.permutation(available)[:examples].astype(np.int64)


def _is_utf8(text: str) -> bool:
    """Returns whether the text can be written to a result; names of files may be other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
