"""What a noise scheme is."""

from dataclasses import dataclass

from torch import Generator, Tensor


@dataclass(frozen=True)
class Scheme:
    """Plain training, without noise.

    Every hook is the identity; noise schemes override the hooks that they need. Hooks act in training only. They draw
    from the generator they are given and from nothing else, so that a scheme of strength zero leaves every other
    random stream, and with it every weight, untouched.
    """

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns the batch that the network sees for the batch `x` (batch, *input_shape)."""
        return x
