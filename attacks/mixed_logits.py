"""The logits of models of which some are from another ensemble, without a copy of either."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating]


class MixedLogits:
    """Logits (models, ...), in which those of some models are from `others` (models, ...).

    It is used in place of an array by an ensemble, which reads one model at a time, or some
    examples of some models. A naive adversary mixes the outputs of each target with those of all
    shadow models, and copies for each target would be most of the memory of an attack.
    """

    def __init__(self, logits: Logits, models: int | NDArray[np.int64], others: Logits) -> None:
        self._logits, self._others = logits, others
        self._is_other = np.zeros(len(logits), np.bool_)
        self._is_other[models] = True
        self.shape = logits.shape
        self.dtype = np.result_type(logits, others)

    def __len__(self) -> int:
        """Returns the number of models."""
        return len(self._logits)

    def __iter__(self) -> Iterator[Logits]:
        """Yields the logits of each model."""
        return (self[model] for model in range(len(self)))

    def __getitem__(self, index: Any) -> Logits:
        """Returns the logits of a model, without a copy if both ensembles have the same dtype.

        With a list or array of models, or a pair of arrays (of models and of examples), the result
        is a copy, as that of an array with the same index.
        """
        if isinstance(index, int | np.integer):
            row: Logits = (self._others if self._is_other[index] else self._logits)[index]
            return row.astype(self.dtype, copy=False)
        is_other = self._is_other[index[0] if isinstance(index, tuple) else index]
        values: Logits = self._logits[index].astype(self.dtype)
        values[is_other] = self._others[index][is_other]
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Logits:
        """Returns a copy as an array."""
        return self[np.arange(len(self))].astype(dtype or self.dtype, copy=False)
