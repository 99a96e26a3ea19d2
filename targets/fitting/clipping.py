"""Sums of clipped per-example gradients, for DP-SGD."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from mgaudit.targets.fitting.per_example import PerExample, Rule, rule_of

SMALLEST_NORM = 1e-6  # added to norms, as Opacus does, so that rounding does not exceed the limit

# Bytes of inputs, patches and per-example gradients that are held at once. On a CPU, about as much
# as its caches hold; more is slower.
BYTES_AT_ONCE = {"cpu": 2**24, "cuda": 2**30}


# The per-example gradients of weights.
OfWeights = Sequence[tuple[nn.Parameter, PerExample]]


class Clipper(Protocol):
    """Computes sums of clipped per-example gradients of a network.

    A batch is processed in parts of at most `rows_at_once` rows: `logits`, then `backward`.
    """

    rows_at_once: int

    def logits(self, x: Tensor) -> Tensor:
        """Returns the network's logits (rows, classes) for `x` (rows, *input_shape)."""

    def backward(self, losses: Tensor, max_norm: float, views: int = 1) -> None:
        """Adds the sum of the examples' gradients, clipped to `max_norm`, to the weights' `grad`.

        An example has `views` rows, one after the other, and its loss is the mean of their `losses`
        (rows,), which are those of the last `logits`.
        """

    def add(self, gradients: OfWeights, max_norm: float) -> None:
        """Adds the sum of further examples' gradients, clipped to `max_norm`, to the `grad`."""

    def norms(self, losses: Tensor) -> Tensor:
        """Returns the norm of the gradient of each of the last rows' `losses` (rows,)."""

    def close(self) -> None:
        """Leaves the network as it was, except for its gradients."""


class OneBackward:
    """The clipper for networks of known layers, each evaluated at most once in a forward pass.

    One backward pass computes the gradients at the layers' outputs. The gradients of the weights
    are computed from them once they are clipped, or example by example where that is less work.
    """

    def __init__(self, layers: dict[nn.Module, Rule], model: nn.Module, rows_at_once: int) -> None:
        self.rows_at_once = rows_at_once
        self._model = model
        self._rules = layers
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._inputs: dict[nn.Module, Tensor] = {}
        self._at_outputs: dict[nn.Module, Tensor] = {}

    @classmethod
    def of_network(cls, model: nn.Module, x: Tensor) -> "OneBackward | None":
        """Returns the clipper of `model`, or None if there is no rule for one of its layers.

        There is none either for layers that are evaluated twice, and for shared weights. `x` (1 or
        more, *input_shape) are some inputs, of which the first is evaluated.
        """
        layers: dict[nn.Module, Rule] = {}
        weights = 0
        for layer in model.modules():
            own = [weight for weight in layer.parameters(recurse=False) if weight.requires_grad]
            rule = rule_of(layer)
            if own and rule is None:
                return None
            if own and rule is not None:
                layers[layer] = rule
                weights += len(own)
        if weights != sum(weight.requires_grad for weight in model.parameters()):
            return None  # layers share a weight, which `parameters` lists once
        floats = _floats_of_a_row(layers, model, x[:1])
        if floats is None:
            return None
        at_once = BYTES_AT_ONCE[x.device.type] // (floats * x.element_size())
        return cls(layers, model, max(at_once, 1))

    def logits(self, x: Tensor) -> Tensor:
        """Returns the network's logits (rows, classes) for `x` (rows, *input_shape)."""
        self._inputs, self._at_outputs = {}, {}
        with self._recorded():
            logits: Tensor = self._model(x)
        return logits

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """Records each layer's inputs now, and the gradient at its outputs in the backward pass.

        Weights count as constants, so that no gradient of theirs is computed.
        """
        hooks = [layer.register_forward_hook(self._record) for layer in self._rules]
        for weight in self._weights:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in self._weights:
                weight.requires_grad_(True)
            for hook in hooks:
                hook.remove()

    def _record(self, layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor | None:
        """Records the inputs of `layer`, and has the gradient at its `output` recorded."""
        self._inputs[layer] = inputs[0].detach()

        def keep(gradient: Tensor) -> None:
            self._at_outputs[layer] = gradient

        if output.requires_grad:
            output.register_hook(keep)  # type: ignore[no-untyped-call]
            return None
        # Nothing before this layer needs a gradient. A copy is returned, because a leaf of torch's
        # graph cannot be changed in place, as by ReLU(inplace=True).
        leaf = output.detach().requires_grad_()
        leaf.register_hook(keep)  # type: ignore[no-untyped-call]
        return leaf.clone()

    def backward(self, losses: Tensor, max_norm: float, views: int = 1) -> None:
        """Adds the sum of the examples' gradients, clipped to `max_norm`, to the weights' `grad`.

        An example has `views` rows, one after the other, and its loss is the mean of their `losses`
        (rows,), which are those of the last `logits`.
        """
        gradients = self._per_example(losses, views)
        for weight in self._weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        self.add(gradients, max_norm)

    def add(self, gradients: OfWeights, max_norm: float) -> None:
        """Adds the sum of further examples' gradients, clipped to `max_norm`, to the `grad`."""
        add_clipped(gradients, max_norm)

    def norms(self, losses: Tensor) -> Tensor:
        """Returns the norm of the gradient of each of the last rows' `losses` (rows,)."""
        return _norms(self._per_example(losses, views=1))

    def _per_example(self, losses: Tensor, views: int) -> list[tuple[nn.Parameter, PerExample]]:
        """Returns the gradients of each weight whose layer the losses depend on."""
        examples = len(losses) // views
        torch.autograd.backward(losses.sum() / views)
        gradients = []
        for layer, rule in self._rules.items():
            if layer not in self._at_outputs:
                continue
            named = rule.gradients(layer, self._inputs[layer], self._at_outputs[layer], examples)
            gradients += [
                (weight, named[name])
                for name, weight in layer.named_parameters(recurse=False)
                if weight.requires_grad
            ]
        self._inputs, self._at_outputs = {}, {}
        return gradients

    def close(self) -> None:
        """Leaves the network as it was, except for its gradients."""


def add_clipped(gradients: OfWeights, max_norm: float) -> None:
    """Adds the sum of the examples' gradients, each clipped to `max_norm`, to the weights' `grad`.

    The gradient of a weight of four axes, a convolution's, is flat in channels-last order.
    """
    factors = (max_norm / (_norms(gradients) + SMALLEST_NORM)).clamp(max=1.0)
    for weight, of_examples in gradients:
        total = of_examples.weighted_sum(factors)
        if weight.ndim == 4:
            outputs, channels, high, wide = weight.shape
            total = total.view(outputs, high, wide, channels).permute(0, 3, 1, 2)
        assert weight.grad is not None
        weight.grad += total.view_as(weight)


def _norms(gradients: OfWeights) -> Tensor:
    """Returns the norm over all weights of each example's gradient (examples,)."""
    squares = [of_examples.squared_norms() for _, of_examples in gradients]
    return torch.stack(squares).sum(dim=0).sqrt()


def _floats_of_a_row(layers: dict[nn.Module, Rule], model: nn.Module, x: Tensor) -> int | None:
    """Returns the number of floats that the rules need for the row `x` (1, *input_shape).

    Returns None if a layer is evaluated more than once, or without a positional argument.
    """
    floats: dict[nn.Module, int] = {}
    unknown = []

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if layer in floats or not inputs:
            unknown.append(layer)
            return
        floats[layer] = inputs[0].numel() + layers[layer].floats(layer, inputs[0], output)

    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return None if unknown else sum(floats.values())
