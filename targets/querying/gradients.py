"""What a white-box adversary reads off a model: the gradient of each example's loss."""

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

    `inputs` (examples, *input_shape), standardised; `labels` (examples,). The norms come from Opacus' ghost norms,
    which never hold a gradient of an example. They work in training mode only, so the model must do nothing there that
    it does not do at evaluation.
    """
    # Imported here: it takes as long as torch, and few attacks ask for gradients.
    from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
        GradSampleModuleFastGradientClipping,
    )

    # Contiguous, as in fitting/dp_sgd.py: Opacus misreads images with the channels last. A clone, since grey images are
    # both contiguous and channels last in the eyes of `contiguous()`, which leaves their strides as they are.
    model.to(device, memory_format=torch.contiguous_format).train()  # type: ignore[call-overload]
    wrapped = GradSampleModuleFastGradientClipping(model, loss_reduction="sum")
    norms = []
    for start in range(0, len(labels), batch_size):
        batch = torch.from_numpy(inputs[start : start + batch_size]).to(device)
        batch = batch.clone(memory_format=torch.contiguous_format)
        answers = torch.from_numpy(labels[start : start + batch_size]).to(device)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            torch.autograd.backward(cross_entropy(wrapped(batch), answers, reduction="sum"))
        norms.append(wrapped.get_norm_sample().detach().cpu().numpy())
        wrapped.zero_grad()
    wrapped.to_standard_module()
    model.eval()
    return np.concatenate(norms)
