"""Examples that may be trained on, and a test split that no model ever trains on."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
            object.__setattr__(self, "origins", tuple(f"example {place}" for place in range(len(self.inputs))))
        if len(self.origins) != len(self.inputs):
            raise ValueError(
                f"dataset {self.name}: origins must name each of {len(self.inputs)} examples, got {len(self.origins)}"
            )
        if len(self.classes) < 2:
            raise ValueError(f"dataset {self.name}: there must be at least 2 classes, got {len(self.classes)}")
        for split, inputs, labels in (
            ("train", self.inputs, self.labels),
            ("test", self.test_inputs, self.test_labels),
        ):
            if len(inputs) != len(labels) or len(labels) == 0:
                raise ValueError(
                    f"dataset {self.name}: the {split} split must hold as many labels as examples and at least one, "
                    f"got {len(inputs)} examples and {len(labels)} labels"
                )
            if inputs.dtype not in (np.uint8, np.float32) or labels.dtype != np.int64:
                raise ValueError(
                    f"dataset {self.name}: {split} inputs must be uint8 or float32 and labels int64, "
                    f"got {inputs.dtype} and {labels.dtype}"
                )
            if inputs.shape[1:] != self.input_shape:
                raise ValueError(
                    f"dataset {self.name}: all examples must have one shape, "
                    f"got {self.input_shape} in train and {inputs.shape[1:]} in {split}"
                )
            if not np.isfinite(inputs).all():
                bad = int(np.flatnonzero(~np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1))[0])
                raise ValueError(f"dataset {self.name}: {split} example {bad} holds NaN or infinity")
            if labels.min() < 0 or labels.max() >= len(self.classes):
                raise ValueError(
                    f"dataset {self.name}: {split} labels must lie in 0..{len(self.classes) - 1}, "
                    f"got {labels.min()}..{labels.max()}"
                )
        missing = np.setdiff1d(self.labels, self.test_labels)
        if missing.size:
            raise ValueError(f"dataset {self.name}: class {self.classes[missing[0]]!r} is missing from the test split")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.inputs.shape[1:]

    def drawn(self, examples: int | None, generator: np.random.Generator) -> "Dataset":
        """Returns the dataset with `examples` of its examples, drawn without replacement, and the whole test split."""
        chosen = drawn(self.name, len(self.inputs), examples, generator)
        origins = tuple(self.origins[index] for index in chosen)
        return replace(self, inputs=self.inputs[chosen], labels=self.labels[chosen], origins=origins)

    def standardised(self) -> "Dataset":
        """Returns the dataset as float32 with mean 0 and sd 1: per channel for images, per feature for vectors.

        The statistics are those of `inputs` as a whole, members and non-members alike, so that they are the same
        for every model and carry nothing about membership.
        """
        axes = (0, *range(2, self.inputs.ndim))
        mean = self.inputs.mean(axis=axes, dtype=np.float64, keepdims=True).astype(np.float32)
        sd = self.inputs.std(axis=axes, dtype=np.float64, keepdims=True).astype(np.float32)
        sd[sd == 0] = 1.0
        return replace(self, inputs=(self.inputs - mean) / sd, test_inputs=(self.test_inputs - mean) / sd)

    def digest(self) -> str:
        """Returns the SHA-256 of the content: every value, shape and class name, and not the dataset's name."""
        sha = hashlib.sha256(repr(self.classes).encode())
        for array in (self.inputs, self.labels, self.test_inputs, self.test_labels):
            sha.update(f"{array.dtype}{array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()


def drawn(name: str, available: int, examples: int | None, generator: np.random.Generator) -> NDArray[np.int64]:
    """Returns the indices of the examples to audit, drawn without replacement; all of them for None."""
    if examples is not None and not 1 <= examples <= available:
        raise ValueError(f"examples must be between 1 and {available}, all that {name} holds, got {examples}")
    return generator.permutation(available)[:examples].astype(np.int64)
