"""Many trained models as one thing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call

from mgaudit.targets.fitting.precision import exactness
from mgaudit.targets.querying.gradients import gradient_norms
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import torch_generator


def tensor_layout(model: nn.Module) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Returns the dtype, as numpy names it, and the shape of each tensor in the state of `model`."""
    state = model.state_dict()
    return {
        name: (str(tensor.cpu().numpy().dtype), tuple(tensor.shape))
        for name, tensor in state.items()
    }


@dataclass(frozen=True)
class Ensemble:
    """Models of one architecture, the weights of each by name, in the order of the membership's rows.

    Raises ValueError where the weights are not, by name, dtype and shape, those of the architecture.
    """

    model: nn.Module
    weights: Sequence[dict[str, NDArray[Any]]]

    def __post_init__(self) -> None:
        # functional_call takes the network's own tensors for names that it is not given, and ignores unknown names.
        expected = tensor_layout(self.model)
        for index, weights in enumerate(self.weights):
            if {
                name: (str(values.dtype), values.shape) for name, values in weights.items()
            } != expected:
                raise ValueError(
                    f"weights[{index}] must hold the tensors of the network by name, dtype and shape"
                )

    def logits(
        self,
        inputs: NDArray[np.float32],
        device: str,
        queries: Queries,
        seed: int,
        batch_size: int = 1000,
    ) -> NDArray[np.float32]:
        """Returns the logits (models, examples, queries, classes) at evaluation for `inputs` (examples, *input_shape).

        The queries are determined by `seed` and the place of an example in `inputs`: a crop is the same for audited
        examples and population, or the one would not be like the other for models that know neither.
        """
        self.model.to(device).eval()
        asked = [
            queries.ask(torch.from_numpy(inputs), query, torch_generator(seed, "queries", query))
            for query in range(queries.number)
        ]
        with torch.no_grad(), exactness("float32", torch.device(device)):
            return np.stack(
                [
                    self._logits_of_one(weights, asked, device, batch_size)
                    for weights in self.weights
                ]
            )

    def gradient_norms(
        self, inputs: NDArray[np.float32], labels: NDArray[np.int64], device: str
    ) -> NDArray[np.float32]:
        """Returns the norms (models, examples) of the loss gradients at evaluation."""
        norms = []
        for weights in self.weights:
            self.model.load_state_dict(
                {name: torch.from_numpy(values) for name, values in weights.items()}
            )
            with exactness("float32", torch.device(device)):
                norms.append(gradient_norms(self.model, inputs, labels, device))
        return np.stack(norms)

    def _logits_of_one(
        self,
        weights: dict[str, NDArray[Any]],
        asked: Sequence[torch.Tensor],
        device: str,
        batch_size: int,
    ) -> NDArray[np.float32]:
        parameters = {name: torch.from_numpy(values).to(device) for name, values in weights.items()}
        outputs = [
            torch.cat(
                [
                    functional_call(self.model, parameters, (batch.to(device),)).cpu()
                    for batch in torch.split(inputs, batch_size)
                ]
            )
            for inputs in asked
        ]
        logits: NDArray[np.float32] = torch.stack(outputs, dim=1).numpy()
        return logits
