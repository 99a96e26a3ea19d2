"""Gradients of each example's loss, for white-box attacks."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy


def gradient_norms(
    model: nn.Module,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    device: str,
    batch_size: int = 500,
) -> NDArray[np.float32]:
    """Returns the norm of the gradient of each example's cross-entropy (examples,).

    The gradient is with respect to all weights. `inputs` are standardised examples (examples,
    *input_shape) and `labels` (examples,). The norms are Opacus' ghost norms, which need no
    per-example gradients in memory. They work in training mode only, so the logits of the model
    must be the same in training mode as at evaluation. The model is moved to `device` and is in
    evaluation mode afterwards. `batch_size` is the number of examples that are processed at once.
    """
    # Imported here: it takes as long as torch, and few attacks need gradients.
    from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
        GradSampleModuleFastGradientClipping,
    )

    # Contiguous, as in fitting/dp_sgd.py: Opacus misreads images in channels-last order. The inputs
    # are cloned, because `contiguous()` regards grey images as contiguous and does not change their
    # strides.
    model.to(device, memory_format=torch.contiguous_format).train()  # type: ignore[call-overload]
    wrapped = GradSampleModuleFastGradientClipping(model, loss_reduction="sum")
    norms = []
    for start in range(0, len(labels), batch_size):
        rows = slice(start, start + batch_size)
        batch = torch.from_numpy(inputs[rows]).to(device)
        batch = batch.clone(memory_format=torch.contiguous_format)
        batch_labels = torch.from_numpy(labels[rows]).to(device)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            loss = cross_entropy(wrapped(batch), batch_labels, reduction="sum")
            torch.autograd.backward(loss)
        norms_of_batch = wrapped.get_norm_sample()
        norms.append(norms_of_batch.detach().cpu().numpy())
        wrapped.zero_grad()
    wrapped.to_standard_module()
    model.eval()
    return np.concatenate(norms)


def gradient_norms_one_by_one(
    model: nn.Module, inputs: NDArray[np.float32], labels: NDArray[np.int64], device: str
) -> NDArray[np.float32]:
    """Returns the norm of the gradient of each example's cross-entropy (examples,), by autograd.

    This is slower than `gradient_norms`, and right for every network in evaluation mode, such as
    one with BatchNorm. The mode of `model` is not changed. Weights that the loss does not depend on
    have no gradient. The arguments are those of `gradient_norms`.
    """
    model.to(device)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    x, y = torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device)
    norms = []
    for example, label in zip(torch.split(x, 1), torch.split(y, 1), strict=True):
        loss = cross_entropy(model(example), label)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        of_weights = [gradient.norm() for gradient in gradients if gradient is not None]
        norms.append(torch.stack(of_weights).norm())
    return torch.stack(norms).detach().cpu().numpy()
