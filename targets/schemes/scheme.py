"""What a noise scheme is."""

from dataclasses import dataclass, fields
from typing import ClassVar, get_type_hints

from torch import Generator, Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.ranges import range_in
from mgaudit.targets.training import Training

EXAMPLE_EPOCHS = 3  # of the training in which a scheme's examples are checked


@dataclass(frozen=True)
class Scheme:
    """Plain training, without noise.

    Every hook is the identity; schemes override the hooks that they need. Hooks act in training only. They draw from
    the generator they are given and from nothing else, so that a scheme of strength zero leaves every other random
    stream, and with it every weight, untouched. `name` is how the scheme is chosen; `law` and `source` say, for a
    reader, what is drawn and who says so. The strength is the first option that is a number, or, where a smaller value
    is stronger noise, the option that `smaller_is_stronger` names. `mgaudit.testing.check_scheme` checks all this on
    the scheme's `examples`.

    What is `fixed` is drawn once for each example of each model, before training, and not again for each batch.
    A parameter's range stands in its type, `Annotated[float, Range(0)]`, and is checked here.
    """

    name: ClassVar[str] = "none"
    law: ClassVar[str] = "x"
    source: ClassVar[str] = "–"
    smaller_is_stronger: ClassVar[str] = ""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            value, allowed = getattr(self, field.name), range_in(hints[field.name])
            if value is not None and allowed is not None and value not in allowed:
                raise UsageError(field.name, f"must be a finite number {allowed}", str(value))

    @classmethod
    def examples(cls) -> "tuple[Scheme | None, tuple[Scheme, ...]]":
        """Returns the scheme at strength zero, which is plain training bit for bit, and the scheme at some strengths.

        The zero is None where there is no such strength. The contract trains for EXAMPLE_EPOCHS epochs, on examples of
        3 classes, and checks each example with `fixed` on and off if that is a field.
        """
        return Scheme(), ()

    @property
    def fixed(self) -> bool:
        """Whether the noise of an example is drawn once, before training."""
        return False

    @property
    def parts(self) -> "tuple[Scheme, ...]":
        """The schemes that this one is composed of, in the order in which they act."""
        return (self,)

    def training(self, training: Training) -> Training:
        """Returns how models are fitted under the scheme."""
        return training

    def extend(self, model: nn.Module) -> nn.Module:
        """Returns the network that is trained; what is put into it is taken out again after training."""
        return model

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns what the network sees for `x` (examples, *input_shape), a batch or, if fixed, all examples."""
        return x

    def labels(self, y: Tensor, classes: int, generator: Generator) -> Tensor:
        """Returns the labels that are trained on for `y` (examples,) int64 in 0..classes - 1; drawn once."""
        return y

    def node_values(self, x: Tensor, generator: Generator) -> Tensor | None:
        """Returns what the noise node holds for each of `x` (examples, *input_shape), (examples,); None for none."""
        return None

    def weight_noise(
        self, weights: dict[str, Tensor], step: int, epoch: float, generator: Generator
    ) -> dict[str, Tensor]:
        """Returns by name what is added to the weights at which the gradient of this step is taken.

        Weights that are not named stay as they are. The step is then made from the weights without the noise.
        """
        return {}


def overrides(scheme: Scheme, hook: str) -> bool:
    """Returns whether any part of the scheme has a hook of that name of its own."""
    return any(getattr(type(part), hook) is not getattr(Scheme, hook) for part in scheme.parts)
