"""Gradients of each example's loss, for white-box attacks."""

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
    *input_shape) and `labels` (examples,). The norms are those by which DP-SGD clips. For layers
    that only Opacus knows they are computed in training mode, so the logits of the model must be
    the same in training mode as at evaluation. The model is moved to `device` and is in evaluation
    mode afterwards. `batch_size` is the most examples that are processed at once.
    """
    # Imported here: Opacus takes as long to import as torch, and few attacks need gradients.
    from mgaudit.targets.fitting.dp_sgd import clipper_of

    model.to(device).train()
    x, y = torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device)
    clipper = clipper_of(model, x)
    at_once = min(batch_size, clipper.rows_at_once)
    norms = []
    for batch, batch_labels in zip(torch.split(x, at_once), torch.split(y, at_once), strict=True):
        losses = cross_entropy(clipper.logits(batch), batch_labels, reduction="none")
        norms.append(clipper.norms(losses).cpu().numpy())
    clipper.close()
    model.zero_grad()
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
