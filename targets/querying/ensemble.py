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
from mgaudit.targets.querying.batch_size import query_batch
from mgaudit.targets.querying.gradients import gradient_norms, gradient_norms_one_by_one
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import torch_generator


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
        batch_size: int | None = None,
    ) -> NDArray[np.float32]:
        """Returns the logits (models, examples, queries, classes) at evaluation.

        `inputs` are standardised examples (examples, *input_shape). `queries` computes several
        inputs from each example. They are the same for all models: they are determined by `seed`
        and the index of an example in `inputs`. A crop is the same for audited examples and
        population, so that both have the same distribution for models that trained on neither.
        The inputs of one query at a time are in memory. `batch_size` is the number of examples that
        are processed at once, by default `query_batch`.
        """
        first = self._answers(inputs, device, queries, 0, seed, batch_size)
        if queries.number == 1:
            return first[:, :, None]
        models, examples, classes = first.shape
        logits = np.empty((models, examples, queries.number, classes), first.dtype)
        logits[:, :, 0] = first
        for query in range(1, queries.number):
            logits[:, :, query] = self._answers(inputs, device, queries, query, seed, batch_size)
        return logits

    def mean_logits(
        self,
        inputs: NDArray[np.float32],
        device: str,
        queries: Queries,
        seed: int,
        batch_size: int | None = None,
    ) -> NDArray[np.float32]:
        """Returns the mean of the logits over the queries (models, examples, 1, classes).

        It is computed one query after another, so that their logits are never kept together. The
        arguments are those of `logits`.
        """
        total: NDArray[np.float64] = np.zeros(())
        for query in range(queries.number):
            answers = self._answers(inputs, device, queries, query, seed, batch_size)
            total = total + answers.astype(np.float64)
        mean: NDArray[np.float32] = (total / queries.number).astype(np.float32)
        return mean[:, :, None]

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

    def _answers(
        self,
        inputs: NDArray[np.float32],
        device: str,
        queries: Queries,
        query: int,
        seed: int,
        batch_size: int | None,
    ) -> NDArray[np.float32]:
        """Returns the logits (models, examples, classes) for query number `query`.

        The other arguments are those of `logits`.
        """
        self.model.to(device).eval()
        asked = queries.ask(
            torch.from_numpy(inputs), query, torch_generator(seed, "queries", query)
        )
        with torch.no_grad(), exactness("float32", torch.device(device)):
            size = batch_size or query_batch(self.model, inputs.shape[1:], device)
            of_models = [
                self._logits_of_model(weights, asked, device, size) for weights in self.weights
            ]
        return np.stack(of_models)

    def _logits_of_model(
        self, weights: dict[str, NDArray[Any]], inputs: torch.Tensor, device: str, batch_size: int
    ) -> NDArray[np.float32]:
        """Returns the logits (examples, classes) of the model with these weights.

        `inputs` are those of one query (examples, *input_shape).
        """
        parameters = {
            name: self._laid_out(torch.from_numpy(values).to(device))
            for name, values in weights.items()
        }
        batches = []
        for batch in torch.split(inputs, batch_size):
            batch_inputs = self._laid_out(batch.to(device))
            batches.append(functional_call(self.model, parameters, (batch_inputs,)).cpu())
        logits: NDArray[np.float32] = torch.cat(batches).numpy()
        return logits

    def _laid_out(self, tensor: torch.Tensor) -> torch.Tensor:
        """Returns images or weights of convolutions in the order in which a CPU is fastest.

        That is with the channels as the last axis in memory, where the network accepts it.
        """
        if tensor.ndim == 4 and tensor.device.type == "cpu" and self.traits.channels_last:
            return tensor.to(memory_format=torch.channels_last)
        return tensor
