"""The stack size: how many models to train together by vectorised operations.

It follows from a rule and not from a measurement, so that it is the same on all machines, and a
repetition rounds in the same way.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mgaudit.targets.fitting.per_example import rule_of
from mgaudit.targets.fitting.precision import exactness
from mgaudit.targets.fitting.stacked_layers import CHAINS
from mgaudit.targets.schemes.noise_nodes import NoiseNode

# Floating point operations of a forward pass with one batch. Below these, most of the time of a
# training step is the overhead of operations, which a stack shares. On a CPU with AVX-512, a stack
# of 8 was 2.2 times as fast as single models with 2 million operations (digits, MLP 64-256-10), 1.2
# times with 21 million (64-512-256-10), and slower from 38 million on. The limit of a GPU was not
# measured.
SMALL_STEP = {"cpu": 2e7, "cuda": 2e10}
SIZES = {"cpu": (4, 8), "cuda": (8, 32, 128)}


def stack_size(operations: int, models: int, device: str) -> int:
    """Returns the stack size for an ensemble of `models` models on "cpu" or "cuda".

    `operations` are those of `forward_operations`. On a CPU, a stack has at most half of the
    models, so that two workers have one each. On a GPU, a stack that does not fit into the memory
    is divided when it is trained.
    """
    most = models if device == "cuda" else models // 2
    size = 1
    for candidate in SIZES[device]:
        work = operations * (candidate if device == "cuda" else 1)
        if candidate <= most and work <= SMALL_STEP[device]:
            size = candidate
    return size


# Layers without weights of their own that compute each number of an example in the same way, bit
# for bit, wherever the example is in a batch.
EXACT = (nn.Sequential, nn.Flatten, nn.ReLU, nn.MaxPool2d, NoiseNode)


def private_stack_size(stack: int, network: nn.Module) -> int:
    """Returns the stack size for DP-SGD if it is `stack` for plain training of `network`.

    It is 1 for layers that only Opacus clips, and for networks whose models would not be the same,
    bit for bit, in every stack.
    """
    for layer in network.modules():
        weights = list(layer.parameters(recurse=False))
        known = rule_of(layer) is not None if weights else type(layer) in (*CHAINS, *EXACT)
        if not known:
            return 1
    return stack


def forward_operations(network: nn.Module, input_shape: Sequence[int], batch_size: int) -> int:
    """Returns the floating point operations of the matrix products of a forward pass on the CPU.

    The MLP and the CNN are counted by their layers, and other networks by torch.
    """
    inputs = torch.zeros(batch_size, *input_shape)
    network.eval()
    products = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    with torch.no_grad(), exactness("float32", torch.device("cpu")):
        if type(network) in CHAINS:
            return _operations_of(products, network, inputs)
        # Imported here, because it imports torch's compiler, which takes a second.
        from torch.utils.flop_counter import FlopCounterMode

        counter = FlopCounterMode(display=False)
        with counter:
            network(inputs)
    return int(counter.get_total_flops())


def _operations_of(layers: Sequence[nn.Module], network: nn.Module, inputs: Tensor) -> int:
    """Returns the operations of these layers of `network` for `inputs` (batch, *input_shape)."""
    operations = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal operations
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        operations += 2 * output.numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return operations
