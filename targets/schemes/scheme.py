"""The base class of noise schemes."""

from dataclasses import dataclass, fields
from typing import ClassVar, get_type_hints

from torch import Generator, Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.ranges import range_in
from mgaudit.targets.training import Training

EXAMPLE_EPOCHS = 3  # of the training that checks a scheme's examples


@dataclass(frozen=True)
class Scheme:
    """Plain training, without noise.

    This is also the base class of all schemes. Its *hooks* are the methods that training calls:
    `training`, `extend`, `inputs`, `labels`, `node_values` and `weight_noise`. Here every hook is
    the identity, that is, it adds no noise; schemes override the hooks that they need. Hooks draw
    only from the generator that is passed to them, so that a scheme of strength zero changes no
    other random stream and no weight. They return new tensors and do not change their arguments.
    There is no noise at evaluation.

    `name` selects the scheme; `law` and `source` describe for readers what is drawn and where it
    was published. The *strength* is the first option that is a number or, if smaller values mean
    stronger noise, the option that `smaller_is_stronger` names. `acts_on_each_example` says that
    the noise on the inputs of an example does not depend on the other examples of its batch; then
    `inputs` is called with the examples of several batches, one after the other, which is faster.
    `mgaudit.testing.check_scheme` checks all this on the scheme's `examples`.

    Noise that is `fixed` is drawn once for each example of each model, before training, instead of
    for each batch. The range of a parameter is part of its type, `Annotated[float, Range(0)]`, and
    is checked when a scheme is created.

    Raises:
        UsageError: For a parameter outside its range.
    """

    name: ClassVar[str] = "none"
    law: ClassVar[str] = "x"
    source: ClassVar[str] = "–"
    smaller_is_stronger: ClassVar[str] = ""
    acts_on_each_example: ClassVar[bool] = False

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            value = getattr(self, field.name)
            allowed = range_in(hints[field.name])
            if value is not None and allowed is not None and value not in allowed:
                raise UsageError(field.name, f"must be a finite number {allowed}", str(value))

    @classmethod
    def examples(cls) -> "tuple[Scheme | None, tuple[Scheme, ...]]":
        """Returns the scheme at strength zero, and the scheme at other strengths as a tuple.

        A scheme at strength zero is plain training bit for bit. The first item is None if there is
        no such strength. `check_scheme` trains each scheme for EXAMPLE_EPOCHS epochs on data of 3
        classes, and with both values of `fixed` if that is a field.
        """
        return Scheme(), ()

    @property
    def fixed(self) -> bool:
        """Whether the noise of an example is drawn once, before training."""
        return False

    @property
    def parts(self) -> "tuple[Scheme, ...]":
        """The schemes of which this one is composed, in the order in which they act, or itself."""
        return (self,)

    def training(self, training: Training) -> Training:
        """Returns the settings of training as modified by the scheme."""
        return training

    def extend(self, model: nn.Module) -> nn.Module:
        """Returns the network that is trained, `model` or `model` with an extension.

        `model` may be changed in place. Extensions are removed after training.
        """
        return model

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns the network's inputs for standardised `x`, both (examples, *input_shape).

        `x` is a batch or, if the scheme is `fixed`, all examples of a model.
        """
        return x

    def labels(self, y: Tensor, classes: int, generator: Generator) -> Tensor:
        """Returns the training labels for `y` (examples,) int64 in 0..classes - 1; drawn once."""
        return y

    def node_values(self, x: Tensor, generator: Generator) -> Tensor | None:
        """Returns the noise node's values (examples,) for `x` (examples, *input_shape).

        A noise node is an additional input of a layer. The result is None without a node.
        """
        return None

    def weight_noise(
        self, weights: dict[str, Tensor], step: int, epoch: float, generator: Generator
    ) -> dict[str, Tensor]:
        """Returns, by name, the noise on the weights at which this step's gradient is computed.

        `weights` are the trainable weights by name. `step` counts the steps of the training from 0,
        and `epoch` the epochs. Weights that are missing from the result get no noise. The step is
        then taken from the weights without noise.
        """
        return {}


def overrides(scheme: Scheme, hook: str) -> bool:
    """Returns whether any part of the scheme overrides the hook (a method) of this name."""
    identity = getattr(Scheme, hook)
    return any(getattr(type(part), hook) is not identity for part in scheme.parts)
