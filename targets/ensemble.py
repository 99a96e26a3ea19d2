"""Many trained models as one thing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call


@dataclass(frozen=True)
class Ensemble:
    """Models of one architecture, the weights of each by name, in the order of the membership's rows."""

    model: nn.Module
    weights: Sequence[dict[str, NDArray[np.float32]]]

    def logits(self, inputs: NDArray[np.float32], device: str, batch_size: int = 1000) -> NDArray[np.float32]:
        """Returns the logits (models, examples, classes) at evaluation for `inputs` (examples, *input_shape)."""
        self.model.to(device).eval()
        batches = torch.split(torch.from_numpy(inputs), batch_size)
        with torch.no_grad():
            return np.stack([self._logits_of_one(weights, batches, device) for weights in self.weights])

    def _logits_of_one(
        self, weights: dict[str, NDArray[np.float32]], batches: Sequence[torch.Tensor], device: str
    ) -> NDArray[np.float32]:
        parameters = {name: torch.from_numpy(values).to(device) for name, values in weights.items()}
        outputs = [functional_call(self.model, parameters, (batch.to(device),)).cpu() for batch in batches]
        logits: NDArray[np.float32] = torch.cat(outputs).numpy()
        return logits
