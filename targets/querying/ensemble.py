"""An ensemble of trained models and its queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call

from mgaudit.targets.fitting.precision import exactness
from mgaudit.targets.fitting.traits import PER_EXAMPLE, Traits
from mgaudit.targets.querying.gradients import gradient_norms, gradient_norms_one_by_one
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import torch_generator

QUERY_BATCH = 1000  # examples that are processed at once


def tensor_layout(model: nn.Module) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Returns (dtype, shape) of each tensor in the state_dict of `model`, by name.

    The dtype is numpy's name of it, such as "float32".
    """
    layout = {}
    for name, tensor in model.state_dict().items():
        dtype = tensor.cpu().numpy().dtype
        layout[name] = (str(dtype), tuple(tensor.shape))
    return layout


@dataclass(frozen=True)
class Ensemble:
    """Models of one architecture: `weights[m]` are the weights of model m by name.

    `model` is a network of this architecture, whose own weights are ignored and may be overwritten.
    The models are in the order of the rows of the membership. `traits` are those of the network.

    Raises:
        ValueError: Where the weights differ from those of the architecture in name, dtype or shape.
    """

    model: nn.Module
    weights: Sequence[dict[str, NDArray[Any]]]
    traits: Traits = PER_EXAMPLE

    def __post_init__(self) -> None:
        # functional_call uses the network's own tensors for missing names, and ignores unknown
        # names.
        expected = tensor_layout(self.model)
        for index, weights in enumerate(self.weights):
            layout = {name: (str(values.dtype), values.shape) for name, values in weights.items()}
            if layout != expected:
                raise ValueError(
                    f"weights[{index}] must hold the tensors of the network "
                    "by name, dtype and shape"
                )

    def logits(
        self,
        inputs: NDArray[np.float32],
        device: str,
        queries: Queries,
        seed: int,
        batch_size: int = QUERY_BATCH,
    ) -> NDArray[np.float32]:
        """Returns the logits (models, examples, queries, classes) at evaluation.

        `inputs` are standardised examples (examples, *input_shape). `queries` computes several
        inputs from each example. They are the same for all models: they are determined by `seed`
        and the index of an example in `inputs`. A crop is the same for audited examples and
        population, so that both have the same distribution for models that trained on neither.
        `batch_size` is the number of examples that are processed at once.
        """
        self.model.to(device).eval()
        x = torch.from_numpy(inputs)
        inputs_of_queries = []
        for query in range(queries.number):
            generator = torch_generator(seed, "queries", query)
            inputs_of_queries.append(queries.ask(x, query, generator))
        with torch.no_grad(), exactness("float32", torch.device(device)):
            return np.stack(
                [
                    self._logits_of_model(weights, inputs_of_queries, device, batch_size)
                    for weights in self.weights
                ]
            )

    def mean_logits(
        self,
        inputs: NDArray[np.float32],
        device: str,
        queries: Queries,
        seed: int,
        batch_size: int = QUERY_BATCH,
    ) -> NDArray[np.float32]:
        """Returns the mean of the logits over the queries (models, examples, 1, classes).

        It is computed one query after another, so that their logits are never kept together. The
        arguments are those of `logits`.
        """
        self.model.to(device).eval()
        x = torch.from_numpy(inputs)
        total: NDArray[np.float64] = np.zeros(())
        with torch.no_grad(), exactness("float32", torch.device(device)):
            for query in range(queries.number):
                asked = queries.ask(x, query, torch_generator(seed, "queries", query))
                of_models = [
                    self._logits_of_model(weights, [asked], device, batch_size)
                    for weights in self.weights
                ]
                total = total + np.stack(of_models, dtype=np.float64)
        mean: NDArray[np.float32] = (total / queries.number).astype(np.float32)
        return mean

    def gradient_norms(
        self, inputs: NDArray[np.float32], labels: NDArray[np.int64], device: str
    ) -> NDArray[np.float32]:
        """Returns the norms (models, examples) of the gradients of each example's cross-entropy.

        The gradient is with respect to all weights, at evaluation. `inputs` are standardised
        examples (examples, *input_shape) and `labels` (examples,).
        """
        by_layer = self.traits.norms_by_layer
        norms = []
        for weights in self.weights:
            state = {name: torch.from_numpy(values) for name, values in weights.items()}
            self.model.load_state_dict(state)
            self.model.eval()
            compute = gradient_norms if by_layer else gradient_norms_one_by_one
            with exactness("float32", torch.device(device)):
                norms.append(compute(self.model, inputs, labels, device))
        return np.stack(norms)

    def _logits_of_model(
        self,
        weights: dict[str, NDArray[Any]],
        inputs_of_queries: Sequence[torch.Tensor],
        device: str,
        batch_size: int,
    ) -> NDArray[np.float32]:
        """Returns the logits (examples, queries, classes) of the model with these weights.

        `inputs_of_queries` holds the inputs (examples, *input_shape) of each query.
        """
        parameters = {name: torch.from_numpy(values).to(device) for name, values in weights.items()}
        outputs = []
        for inputs in inputs_of_queries:
            batches = []
            for batch in torch.split(inputs, batch_size):
                batch_logits = functional_call(self.model, parameters, (batch.to(device),))
                batches.append(batch_logits.cpu())
            outputs.append(torch.cat(batches))
        logits: NDArray[np.float32] = torch.stack(outputs, dim=1).numpy()
        return logits
