"""Sums of clipped per-example gradients, for DP-SGD."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

from mgaudit.targets.fitting.aligned_rows import aligned
from mgaudit.targets.fitting.joined_layers import JoinedLayer, JoinedLinear, Recorded, joined, some
from mgaudit.targets.fitting.per_example import OfLayer, PerExample, Rule, rule_of

SMALLEST_NORM = 1e-6  # added to norms, as Opacus does, so that rounding does not exceed the limit

# Bytes of inputs, patches and per-example gradients that are held at once. On a CPU, about as much
# as its caches hold; more is slower.
BYTES_AT_ONCE = {"cpu": 2**24, "cuda": 2**30}


# The per-example gradients of weights. Of a stack, the examples of all models one after the other,
# with the same weight of each model.
OfWeights = Sequence[tuple[nn.Parameter, PerExample]]
OfStack = Sequence[tuple[Sequence[nn.Parameter], OfLayer]]


class Clipper(Protocol):
    """Computes sums of clipped per-example gradients of a network, or of each network of a stack.

    A batch is processed in parts of at most `rows_at_once` rows: `logits`, then `backward`.
    """

    rows_at_once: int

    def logits(self, x: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """Returns the logits (rows, classes) for `x` (rows, *input_shape).

        The first `sizes[0]` rows are those of the first network, and so on. None means that all
        rows are those of one network.
        """

    def backward(self, losses: Tensor, max_norm: float, views: int = 1) -> None:
        """Adds the sum of the examples' gradients, clipped to `max_norm`, to the weights' `grad`.

        A `grad` of None counts as 0. An example has `views` rows, one after the other, and its loss
        is the mean of their `losses` (rows,), which are those of the last `logits`.
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

    The networks of a stack are evaluated at once: the first of them on the rows of all, in which
    each layer with weights uses the weights of each network for its own rows. The rows need no
    padding, and each product has the numbers and the shape that it has for one network alone.
    """

    def __init__(
        self, layers: dict[nn.Module, Rule], models: Sequence[nn.Module], rows_at_once: int
    ) -> None:
        """Prepares for `models`; `layers` are the first one's, with their rules."""
        self.rows_at_once = rows_at_once
        self._model = models[0]
        self._rules = layers
        alike = zip(*(model.modules() for model in models), strict=True)
        self._layers = {of_all[0]: of_all for of_all in alike if of_all[0] in layers}
        self._named = {layer: _named_weights(self._layers[layer]) for layer in layers}
        self._weights = [
            weight for model in models for weight in model.parameters() if weight.requires_grad
        ]
        self._rows: list[slice] = []
        self._anchor = torch.empty(0)
        self._recorded: dict[nn.Module, Recorded] = {}

    @classmethod
    def of_network(cls, model: nn.Module, x: Tensor) -> "OneBackward | None":
        """Returns the clipper of `model`, or None if there is no rule for one of its layers.

        There is none either for layers that are evaluated twice, and for shared weights. `x` (1 or
        more, *input_shape) are some inputs, of which the first is evaluated.
        """
        return cls.of_stack([model], x)

    @classmethod
    def of_stack(cls, models: Sequence[nn.Module], x: Tensor) -> "OneBackward | None":
        """Returns the clipper of `models`, of one architecture, or None as `of_network`."""
        model = models[0]
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
        return cls(layers, models, max(at_once, 1))

    def logits(self, x: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """Returns the logits (rows, classes) for `x` (rows, *input_shape).

        The first `sizes[0]` rows are those of the first network, and so on. None means that all
        rows are those of one network.
        """
        self._recorded = {}
        self._rows = [slice(0, len(x))] if sizes is None else _slices(sizes)
        self._anchor = torch.empty(0, device=x.device, requires_grad=True)
        with self._evaluated_together():
            logits: Tensor = self._model(x)
        return logits

    @contextmanager
    def _evaluated_together(self) -> Iterator[None]:
        """Has the layers of the first network evaluate and record the rows of all networks.

        Weights count as constants, so that no gradient of theirs is computed.
        """
        for layer in self._rules:
            layer.__dict__["forward"] = partial(self._evaluated, layer)
        for weight in self._weights:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in self._weights:
                weight.requires_grad_(True)
            for layer in self._rules:
                del layer.__dict__["forward"]

    def _evaluated(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Returns the outputs of `layer` for the rows `x` of all networks, and records them."""
        recorded = Recorded(x.detach())
        self._recorded[layer] = recorded
        layers = self._layers[layer]
        if type(layer) is nn.Linear and x.ndim == 2:
            linears = [own for own in layers if isinstance(own, nn.Linear)]
            return joined(JoinedLinear, x, self._anchor, linears, self._rows, recorded)
        if len(layers) > 1:
            return joined(JoinedLayer, x, self._anchor, layers, self._rows, recorded)
        outputs: Tensor = type(layer).forward(layer, x)
        if outputs.requires_grad:
            outputs.register_hook(recorded.keep)  # type: ignore[no-untyped-call]
            return outputs
        # Nothing before this layer needs a gradient. A copy is returned, because a leaf of torch's
        # graph cannot be changed in place, as by ReLU(inplace=True).
        leaf = outputs.detach().requires_grad_()
        leaf.register_hook(recorded.keep)  # type: ignore[no-untyped-call]
        return leaf.clone()

    def backward(self, losses: Tensor, max_norm: float, views: int = 1) -> None:
        """Adds the sum of the examples' gradients, clipped to `max_norm`, to the weights' `grad`.

        A `grad` of None counts as 0. An example has `views` rows, one after the other, and its loss
        is the mean of their `losses` (rows,), which are those of the last `logits`.
        """
        gradients = self._per_example(losses, views)
        if len(self._rows) == 1:
            add_clipped([(weight, values) for (weight,), values in gradients], max_norm)
        else:
            examples = [slice(rows.start // views, rows.stop // views) for rows in self._rows]
            add_clipped_of_stack(gradients, max_norm, examples)
        for weight in self._weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)

    def add(self, gradients: OfWeights, max_norm: float) -> None:
        """Adds the sum of further examples' gradients, clipped to `max_norm`, to the `grad`."""
        add_clipped(gradients, max_norm)

    def norms(self, losses: Tensor) -> Tensor:
        """Returns the norm of the gradient of each of the last rows' `losses` (rows,)."""
        return _norms([values for _, values in self._per_example(losses, views=1)])

    def _per_example(self, losses: Tensor, views: int) -> OfStack:
        """Returns the gradients of each weight whose layer the losses depend on."""
        examples = len(losses) // views
        torch.autograd.backward(losses.sum() / views)
        gradients: list[tuple[Sequence[nn.Parameter], OfLayer]] = []
        for layer, rule in self._rules.items():
            recorded = self._recorded.get(layer)
            if recorded is None or recorded.at_outputs is None:
                continue
            by_name = rule.gradients(layer, recorded.inputs, recorded.at_outputs, examples)
            gradients += [(weights, by_name[name]) for name, weights in self._named[layer]]
        self._recorded = {}
        return gradients

    def close(self) -> None:
        """Leaves the network as it was, except for its gradients."""


def _named_weights(layers: Sequence[nn.Module]) -> list[tuple[str, list[nn.Parameter]]]:
    """Returns the names of the trained weights of a layer, with the weights in each network."""
    return [
        (name, [own.get_parameter(name) for own in layers])
        for name, weight in layers[0].named_parameters(recurse=False)
        if weight.requires_grad
    ]


def _slices(sizes: Sequence[int]) -> list[slice]:
    """Returns the slices of rows of which the first has `sizes[0]` rows, and so on."""
    stops = list(accumulate(sizes, initial=0))
    return [slice(start, stop) for start, stop in pairwise(stops)]


def add_clipped(gradients: OfWeights, max_norm: float) -> None:
    """Adds the sum of the examples' gradients, each clipped to `max_norm`, to the weights' `grad`.

    A `grad` of None counts as 0. The gradient of a weight of four axes, a convolution's, is flat in
    channels-last order.
    """
    factors = _factors(_norms([of_examples for _, of_examples in gradients]), max_norm)
    for weight, of_examples in gradients:
        _add(weight, of_examples.weighted_sum(factors))


def add_clipped_of_stack(gradients: OfStack, max_norm: float, examples: Sequence[slice]) -> None:
    """Adds the clipped sum over each model's `examples` to the `grad` of its weights.

    The other arguments are as for `add_clipped`.
    """
    factors = _factors(_norms([values for _, values in gradients], examples), max_norm)
    for model, own in enumerate(examples):
        if not some(own):
            continue
        of_model = aligned(factors[own])
        for weights, of_examples in gradients:
            _add(weights[model], of_examples.part(own).weighted_sum(of_model))


def _factors(norms: Tensor, max_norm: float) -> Tensor:
    """Returns the factors (examples,) that clip gradients with these norms."""
    return (max_norm / (norms + SMALLEST_NORM)).clamp(max=1.0)


def _add(weight: nn.Parameter, total: Tensor) -> None:
    """Adds a flat sum to the `grad` of `weight`, in channels-last order for a convolution."""
    if weight.ndim == 4:
        outputs, channels, high, wide = weight.shape
        total = total.view(outputs, high, wide, channels).permute(0, 3, 1, 2)
    total = total.view_as(weight)
    if weight.grad is not None:
        weight.grad += total
    elif total.stride() == weight.stride():
        weight.grad = total
    else:
        weight.grad = torch.empty_like(weight).copy_(total)


def _norms(gradients: Sequence[PerExample], examples: Sequence[slice] = ()) -> Tensor:
    """Returns the norm over all weights of each example's gradient (examples,).

    The squares of the `examples` of each model of a stack are summed by themselves, because torch
    can sum the rows of a matrix in another order at its last columns than at its first.
    """
    squares = torch.stack([of_examples.squared_norms() for of_examples in gradients])
    if not examples:
        return squares.sum(dim=0).sqrt()
    return torch.cat([aligned(squares[:, own].contiguous()).sum(dim=0) for own in examples]).sqrt()


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
