"""Traits of a network, which determine how its models are trained and queried."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Generator

from mgaudit.targets.seeds import default_generators_seeded


@dataclass(frozen=True)
class Traits:
    """What a network does in training mode, as `mgaudit.targets.contract` measures it.

    The defaults are those of a network whose logits depend only on the example and on the weights.

    Args:
        mixes_examples: The logits of an example depend on the others in its batch (BatchNorm).
        keeps_state: Training changes buffers, such as running statistics (BatchNorm).
        draws: The network draws random numbers from torch's default generator (dropout).
        same_at_evaluation: The logits are those of evaluation mode.
        channels_last: The network accepts images whose channels are the last axis in memory.
        layers: The layers that mix examples, keep state or draw, in words; "" if none is known.
        buffers: Names of the buffers that training changes, if no such layer is known to do it.
        hooks_gradients: Hooks change gradients (`Tensor.register_hook`), which a stack leaves out.
        same_start: The initial weights do not depend on the seed, as those of a pretrained network.
    """

    mixes_examples: bool = False
    keeps_state: bool = False
    draws: bool = False
    same_at_evaluation: bool = True
    channels_last: bool = True
    layers: str = ""
    buffers: tuple[str, ...] = ()
    hooks_gradients: bool = False
    same_start: bool = False

    @property
    def per_example(self) -> bool:
        """Whether the network computes each example by itself in training, without hooks.

        Only then can its models be stacked, that is, trained together, because the shorter batches
        of a stack are padded with repeated examples, its models have no random streams of their
        own, and vmap does not call hooks on gradients. DP-SGD needs the same, because it clips the
        gradient of each example.
        """
        mixes_or_draws = self.mixes_examples or self.keeps_state or self.draws
        return not (mixes_or_draws or self.hooks_gradients)

    @property
    def norms_by_layer(self) -> bool:
        """Whether norms at evaluation follow from what training mode leaves at the layers."""
        return self.per_example and self.same_at_evaluation

    @property
    def cause(self) -> str:
        """Why the network is not `per_example`, in words."""
        if self.layers:
            return self.layers
        if self.mixes_examples:
            return "logits that depend on the rest of the batch"
        if self.keeps_state:
            return f"buffers that training changes ({', '.join(self.buffers)})"
        if self.draws:
            return "random numbers in training"
        return "hooks that change gradients"

    @property
    def way_out(self) -> str:
        """How to change the network so that it becomes `per_example`."""
        if self.buffers and not self.mixes_examples:
            return "keep no buffers that training changes"
        if self.mixes_examples or self.keeps_state:
            return "use GroupNorm in place of BatchNorm"
        if self.draws:
            return "remove dropout"
        return "remove register_hook and the like"


PER_EXAMPLE = Traits()


@contextmanager
def layer_draws(generator: Generator | None, device: torch.device) -> Iterator[None]:
    """Lets layers that draw random numbers, such as dropout, draw from a model's own stream.

    Such layers draw from torch's default generator. It is seeded by the next number of `generator`,
    which is on the CPU, and restored afterwards. None changes nothing.
    """
    if generator is None:
        yield
        return
    seed = int(torch.randint(2**62, (), generator=generator))
    with default_generators_seeded(seed, device):
        yield
