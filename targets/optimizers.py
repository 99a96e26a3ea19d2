"""Adam and SGD of torch that do not import torch's compiler.

torch.optim wraps the methods of its optimizers, so that each imports `torch._dynamo` when it is
first called. This takes as long as the import of torch, in every process that trains. Only
`torch.compile` needs it, which mgaudit does not use. The classes here have the same methods without
those wrappers.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

from torch import no_grad, optim


class SGD(optim.SGD):
    """Stochastic gradient descent as in `torch.optim.SGD`; it is not differentiable."""

    step: Callable[..., Any] = no_grad()(unwrap(optim.SGD.step))
    zero_grad = unwrap(optim.SGD.zero_grad)
    add_param_group = unwrap(optim.SGD.add_param_group)


class Adam(optim.Adam):
    """Adam as in `torch.optim.Adam`; it is not differentiable."""

    step: Callable[..., Any] = no_grad()(unwrap(optim.Adam.step))
    zero_grad = unwrap(optim.Adam.zero_grad)
    add_param_group = unwrap(optim.Adam.add_param_group)
