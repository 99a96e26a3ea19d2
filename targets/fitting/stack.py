"""Networks of one architecture that are trained as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from mgaudit.targets.schemes.noise_nodes import node_in

Weights = dict[str, Tensor]


class ModelStack:
    """Models of one architecture side by side, so that one operation serves them all.

    `weights` holds the trainable tensors by name, (models, *shape), or (*shape) where there is a single model, which is
    then called as it is: a stack of one costs nothing.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.models = list(models)
        self._node = node_in(self.models[0])
        self._buffers: Weights = {}
        if len(self.models) == 1:
            self.weights: Weights = dict(self.models[0].named_parameters())
        else:
            self.weights, self._buffers = stack_module_state(self.models)

    def of_model(self, index: int) -> Weights:
        """Returns the weights of one model by name."""
        if len(self.models) == 1:
            return self.weights
        return {name: tensor[index] for name, tensor in self.weights.items()}

    def with_noise(self, noises: Sequence[Weights]) -> Weights:
        """Returns the weights of all models with noise added, `noises[m]` holding that of model m by name."""
        names = set().union(*noises)
        perturbed = dict(self.weights)
        for name in names:
            if len(self.models) == 1:
                perturbed[name] = self.weights[name] + noises[0][name]
            else:
                rows = zip(noises, self.weights[name].detach(), strict=True)
                perturbed[name] = self.weights[name] + torch.stack(
                    [noise.get(name, torch.zeros_like(row)) for noise, row in rows]
                )
        return perturbed

    def logits(self, weights: Weights, x: Tensor, node_values: Tensor | None) -> Tensor:
        """Returns the logits (models, batch, classes) at `weights` for a batch of each model's own.

        `x` is (models, batch, *input_shape) and `node_values` (models, batch) what the noise node holds, if there is
        one.
        """
        if len(self.models) > 1:
            of_each = (weights, self._buffers, x) if node_values is None else (weights, self._buffers, x, node_values)
            return vmap(self._one)(*of_each)
        if self._node is not None:
            self._node.values = None if node_values is None else node_values[0]
        model = self.models[0]
        one: Tensor = model(x[0]) if weights is self.weights else functional_call(model, weights, (x[0],))
        return one[None]

    def _one(self, weights: Weights, buffers: Weights, x: Tensor, node_values: Tensor | None = None) -> Tensor:
        if self._node is not None:
            self._node.values = node_values
        logits: Tensor = functional_call(self.models[0], (weights, buffers), (x,))
        return logits

    def close(self) -> None:
        """Puts the weights of the stack back into the models, and turns the noise node off."""
        if self._node is not None:
            self._node.values = None
        with torch.no_grad():
            if len(self.models) > 1:
                for index, model in enumerate(self.models):
                    for name, parameter in model.named_parameters():
                        parameter.copy_(self.weights[name][index])
