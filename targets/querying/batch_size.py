"""The number of examples that a network processes at once when it is queried.

It depends on the network and on the shape of the examples alone, and not on the machine, so that
the logits do not either.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

MOST_EXAMPLES = 1000  # the first layers of small networks gain nothing from more
# For the largest activation of a batch. On a CPU, a layer should find the output of the preceding
# layer in the cache. A GPU is fastest with as much work at once as fits into its memory.
CPU_BYTES = 16 * 2**20
GPU_BYTES = 2**30


def query_batch(model: nn.Module, input_shape: Sequence[int], device: str) -> int:
    """Returns the number of examples whose largest activation fits, from 1 to `MOST_EXAMPLES`.

    Args:
        model: A network on `device`, in evaluation mode, where it stays.
        input_shape: The shape of an example.
        device: The device, such as "cpu".
    """
    budget = CPU_BYTES if torch.device(device).type == "cpu" else GPU_BYTES
    of_an_example = largest_activation(model, input_shape, device)
    return min(max(budget // of_an_example, 1), MOST_EXAMPLES)


def largest_activation(model: nn.Module, input_shape: Sequence[int], device: str = "cpu") -> int:
    """Returns the bytes for one example of the largest tensor that the network computes.

    Inputs are counted too. Tensors that do not grow with the batch, such as transposed weights, are
    not, and neither are those within a function of torch, such as the scores of attention, or
    within a compiled module. The arguments are those of `query_batch`.
    """
    one, two = (_sizes(model, torch.zeros(batch, *input_shape, device=device)) for batch in (1, 2))
    growth = [more - less for less, more in zip(one, two, strict=False)]
    return max(growth)


class _Sizes(TorchFunctionMode):
    """Records the bytes of the result of each torch function that is called in the context."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else (result,)
        sizes = [tensor.nbytes for tensor in results if isinstance(tensor, Tensor)]
        self.sizes.append(max(sizes, default=0))
        return result


def _sizes(model: nn.Module, x: Tensor) -> list[int]:
    """Returns the bytes of `x` and of what the network computes for it, in order."""
    with torch.no_grad(), _Sizes() as recorded:
        model(x)
    return [x.nbytes, *recorded.sizes]
