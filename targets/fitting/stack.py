"""Stacks: networks of one architecture that are trained together."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from mgaudit.targets.fitting.stacked_layers import stacked_chain
from mgaudit.targets.fitting.traits import layer_draws
from mgaudit.targets.schemes.noise_nodes import node_in

Weights = dict[str, Tensor]


@contextmanager
def without_vmap_warnings() -> Iterator[None]:
    """Hides torch's warnings about operations that vmap computes one model at a time."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop because")
        yield


class ModelStack:
    """Models of one architecture in training mode, evaluated together by vectorised operations.

    `weights` holds the trainable tensors of all models by name, (models, *shape). For a single
    model they are (*shape), and the model is called directly, without the overhead of vmap.

    `layers` seeds the layers of a single model that draw random numbers, such as dropout, at each
    evaluation. It is None for a network without such layers.
    """

    def __init__(self, models: Sequence[nn.Module], layers: Generator | None = None) -> None:
        self.models = [model.train() for model in models]
        self._layers = layers
        self._node = node_in(self.models[0])
        self._buffers: Weights = {}
        self._chain = stacked_chain(self.models[0]) if len(self.models) > 1 else None
        if len(self.models) == 1:
            self.weights: Weights = dict(self.models[0].named_parameters())
        else:
            self.weights, self._buffers = stack_module_state(self.models)

    def of_model(self, index: int) -> Weights:
        """Returns the weights of model `index` by name, as views of the stack's weights."""
        if len(self.models) == 1:
            return self.weights
        return {name: tensor[index] for name, tensor in self.weights.items()}

    def with_noise(self, noises: Sequence[Weights]) -> Weights:
        """Returns the weights of all models with noise, in new tensors where there is noise.

        `noises[m]` is the noise of model m by name, shaped as its weights. Weights that are missing
        from it get no noise.
        """
        names = set().union(*noises)
        perturbed = dict(self.weights)
        for name in names:
            weight = self.weights[name]
            if len(self.models) == 1:
                perturbed[name] = weight + noises[0][name]
            else:
                rows = zip(noises, weight.detach(), strict=True)
                stacked = [noise.get(name, torch.zeros_like(row)) for noise, row in rows]
                perturbed[name] = weight + torch.stack(stacked)
        return perturbed

    def logits(self, weights: Weights, x: Tensor, node_values: Tensor | None) -> Tensor:
        """Returns the logits (models, batch, classes), each model on its own batch.

        `weights` are the weights of all models, shaped as `self.weights`. `x` is (models, batch,
        *input_shape). `node_values` (models, batch) are the values of the noise node, None without
        a node; a single model keeps them in its node.
        """
        if self._chain is not None:
            return self._chain(weights, x, node_values)
        if len(self.models) > 1:
            logits_of_all = vmap(self._logits_of_model)
            if node_values is None:
                return logits_of_all(weights, self._buffers, x)
            return logits_of_all(weights, self._buffers, x, node_values)
        if self._node is not None:
            self._node.values = None if node_values is None else node_values[0]
        model, batch = self.models[0], x[0]
        with layer_draws(self._layers, batch.device):
            if weights is self.weights:  # the model's own, which need no functional call
                logits: Tensor = model(batch)
            else:
                logits = functional_call(model, weights, (batch,))
        return logits[None]

    def _logits_of_model(
        self, weights: Weights, buffers: Weights, x: Tensor, node_values: Tensor | None = None
    ) -> Tensor:
        """Returns the logits (batch, classes) of one model, under vmap."""
        if self._node is not None:
            self._node.values = node_values
        logits: Tensor = functional_call(self.models[0], (weights, buffers), (x,))
        return logits

    def close(self) -> None:
        """Copies the weights of the stack to the models, and turns the noise node off.

        A single model needs no copy, because the stack's weights are its own.
        """
        if self._node is not None:
            self._node.values = None
        with torch.no_grad():
            if len(self.models) > 1:
                for index, model in enumerate(self.models):
                    for name, parameter in model.named_parameters():
                        parameter.copy_(self.weights[name][index])
