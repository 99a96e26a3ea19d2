"""Sums of clipped per-example gradients by Opacus' ghost clipping, in two backward passes.

It knows more layers than `mgaudit.targets.fitting.clipping`, and is the check on it.
"""

import warnings
from collections.abc import Sequence

import torch
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
    GradSampleModuleFastGradientClipping,
)
from torch import Tensor, nn

from mgaudit.targets.fitting.clipping import SMALLEST_NORM, OfWeights, add_clipped


class GhostClipping:
    """The clipper for layers without a rule of ours; it processes a batch as a whole.

    The layout of the network's weights in memory becomes row-major, because Opacus 1.6 unfolds a
    convolution's inputs with the strides of that layout, whatever their own: for channels-last
    inputs its norms, and therefore the clipping, would be wrong.
    """

    rows_at_once = 2**62

    def __init__(self, model: nn.Module) -> None:
        model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._wrapped = GradSampleModuleFastGradientClipping(
            model, max_grad_norm=1.0, loss_reduction="sum"
        )

    def logits(self, x: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """Returns the network's logits (rows, classes) for `x` (rows, *input_shape).

        All rows are those of one network, whatever their `sizes`.
        """
        # contiguous() would not change the strides of grey images.
        logits: Tensor = self._wrapped(x.clone(memory_format=torch.contiguous_format))
        return logits

    def backward(self, losses: Tensor, max_norm: float, views: int = 1) -> None:
        """Adds the sum of the examples' gradients, clipped to `max_norm`, to the weights' `grad`.

        Raises:
            ValueError: For several views, which Opacus' ghost clipping does not support.
        """
        if views > 1:
            raise ValueError(f"views must be 1 for Opacus' ghost clipping, got {views}")
        before = [weight.grad for weight in self._weights]
        self._clear_gradients()  # or the first pass would add to these tensors
        norms = self._norms(losses, retain_graph=True)
        self._clear_gradients()
        factors = (max_norm / (norms + SMALLEST_NORM)).clamp(max=1.0)
        self._wrapped.disable_hooks()
        _backward((factors * losses).sum())
        self._wrapped.enable_hooks()
        for weight, earlier in zip(self._weights, before, strict=True):
            if earlier is not None:
                weight.grad = earlier if weight.grad is None else earlier + weight.grad

    def add(self, gradients: OfWeights, max_norm: float) -> None:
        """Adds the sum of further examples' gradients, clipped to `max_norm`, to the `grad`.

        They are clipped by mgaudit's code, because Opacus takes losses and no gradients.
        """
        add_clipped(gradients, max_norm)

    def _clear_gradients(self) -> None:
        """Sets the gradients to None; `zero_grad` would also clear what Opacus has recorded."""
        for weight in self._weights:
            weight.grad = None

    def norms(self, losses: Tensor) -> Tensor:
        """Returns the norm of the gradient of each of the last rows' `losses` (rows,)."""
        norms = self._norms(losses, retain_graph=False)
        self._clear_gradients()
        return norms

    def _norms(self, losses: Tensor, retain_graph: bool) -> Tensor:
        """Returns the norms of `norms`; `retain_graph` allows for a second backward pass."""
        _backward(losses.sum(), retain_graph)
        norms: Tensor = self._wrapped.get_norm_sample().detach()
        return norms

    def close(self) -> None:
        """Removes the hooks from the network."""
        self._wrapped.to_standard_module()


def _backward(loss: Tensor, retain_graph: bool = False) -> None:
    """Runs a backward pass without torch's warning about the hook on the first layer.

    Ghost clipping hooks this layer like all others, but its inputs need no gradient.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        torch.autograd.backward(loss, retain_graph=retain_graph)
