"""Compositions of several schemes."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.schemes.dpsgd import DPSGD
from mgaudit.targets.schemes.scheme import Scheme, overrides
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class Composition(Scheme):
    """Schemes that act one after the other: each acts on the result of the previous one.

    Raises:
        ValueError: For fewer than two schemes.
        UsageError: For schemes that cannot be composed: plain training with any other scheme; the
            same scheme twice; noise on the inputs that is drawn once, in a place after noise that
            is drawn for each batch. Noise that is drawn once is added to the data before training,
            so it must be in a place before the other.
    """

    members: tuple[Scheme, ...]

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError(f"a composition needs at least 2 schemes, got {len(self.members)}")
        kinds = [type(part) for part in self.members]
        if Scheme in kinds:
            rule = "cannot be composed with another scheme: it stands for training without any"
            raise UsageError("none", rule)
        for kind in kinds:
            if kinds.count(kind) > 1:
                way_out = "give it once, with the joint strength"
                raise UsageError(_name(kind), "cannot be composed with itself", None, way_out)
        fresh: Scheme | None = None  # the last scheme so far whose noise is drawn for each batch
        on_inputs = [part for part in self.members if overrides(part, "inputs")]
        for part in on_inputs:
            if not part.fixed:
                fresh = part
            elif fresh is not None:
                raise UsageError(
                    f"{_name(type(part))} with fixed=true",
                    f"cannot come after {_name(type(fresh))}: noise that is drawn once is added to "
                    "the data before training, and so before noise that is drawn for each batch",
                    way_out="put it first",
                )

    @property
    def parts(self) -> tuple[Scheme, ...]:
        """The members."""
        return self.members

    def training(self, training: Training) -> Training:
        """Returns the settings as modified by all members."""
        for part in self.members:
            training = part.training(training)
        return training

    def extend(self, model: nn.Module) -> nn.Module:
        """Returns the network as extended by all members."""
        for part in self.members:
            model = part.extend(model)
        return model

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns `x` with the noise of all members, in their order."""
        for part in self.members:
            x = part.inputs(x, generator)
        return x

    def labels(self, y: Tensor, classes: int, generator: Generator) -> Tensor:
        """Returns the labels with the noise of all members, in their order."""
        for part in self.members:
            y = part.labels(y, classes, generator)
        return y

    def node_values(self, x: Tensor, generator: Generator) -> Tensor | None:
        """Returns the values (examples,) of the first member with a noise node, or None."""
        for part in self.members:
            values = part.node_values(x, generator)
            if values is not None:
                return values
        return None

    def weight_noise(
        self, weights: dict[str, Tensor], step: int, epoch: float, generator: Generator
    ) -> dict[str, Tensor]:
        """Returns the noise of the member that adds noise to the weights, or {}."""
        noise: dict[str, Tensor] = {}
        for part in self.members:
            noise |= part.weight_noise(weights, step, epoch, generator)
        return noise


def compose(members: tuple[Scheme, ...]) -> Scheme:
    """Returns a scheme that applies all members in their order; plain training for no members.

    A single member is returned itself. The errors are those of `Composition`.
    """
    if len(members) < 2:
        return members[0] if members else Scheme()
    return Composition(members)


def dp_sgd_in(scheme: Scheme) -> DPSGD | None:
    """Returns the part of the scheme that is DP-SGD, or None."""
    for part in scheme.parts:
        if isinstance(part, DPSGD):
            return part
    return None


def _name(kind: type[Scheme]) -> str:
    """Returns the name of a scheme, or of its class if it has inherited the name of another."""
    return kind.name if "name" in vars(kind) else kind.__name__
