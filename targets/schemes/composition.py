"""Several schemes at once."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.schemes.dpsgd import DPSGD
from mgaudit.targets.schemes.scheme import Scheme, overrides
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class Composition(Scheme):
    """Schemes that act one after the other: the first acts on the data first, the next on what it made of them.

    Raises UsageError for what cannot be composed: no noise at all with some; the same scheme twice; noise on the inputs
    that is drawn once behind noise that is drawn anew, for what is drawn once is put on the data before training.
    """

    members: tuple[Scheme, ...]

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError(f"a composition needs at least 2 schemes, got {len(self.members)}")
        kinds = [type(part) for part in self.members]
        if Scheme in kinds:
            raise UsageError("none", "cannot be composed with another scheme: it stands for training without any")
        for kind in kinds:
            if kinds.count(kind) > 1:
                way_out = "give it once, with the joint strength"
                raise UsageError(_name(kind), "cannot be composed with itself", None, way_out)
        fresh: Scheme | None = None
        for part in self.members:
            if overrides(part, "inputs") and not part.fixed:
                fresh = part
            elif overrides(part, "inputs") and fresh is not None:
                raise UsageError(
                    f"{_name(type(part))} with fixed=true",
                    f"cannot come behind {_name(type(fresh))}: what is drawn once is put on the data before training, "
                    "and so before all that is drawn anew",
                    way_out="put it first",
                )

    @property
    def parts(self) -> tuple[Scheme, ...]:
        """The members."""
        return self.members

    def training(self, training: Training) -> Training:
        """Returns how models are fitted under all members."""
        for part in self.members:
            training = part.training(training)
        return training

    def extend(self, model: nn.Module) -> nn.Module:
        """Returns the network with all that members put into it."""
        for part in self.members:
            model = part.extend(model)
        return model

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns what all members make of `x`, in their order."""
        for part in self.members:
            x = part.inputs(x, generator)
        return x

    def labels(self, y: Tensor, classes: int, generator: Generator) -> Tensor:
        """Returns what all members make of the labels."""
        for part in self.members:
            y = part.labels(y, classes, generator)
        return y

    def node_values(self, x: Tensor, generator: Generator) -> Tensor | None:
        """Returns the values of the one member that has a node."""
        return next(
            (values for part in self.members if (values := part.node_values(x, generator)) is not None),
            None,
        )

    def weight_noise(
        self, weights: dict[str, Tensor], step: int, epoch: float, generator: Generator
    ) -> dict[str, Tensor]:
        """Returns the noise of the one member that puts noise on the weights."""
        noise: dict[str, Tensor] = {}
        for part in self.members:
            noise |= part.weight_noise(weights, step, epoch, generator)
        return noise


def compose(members: tuple[Scheme, ...]) -> Scheme:
    """Returns one scheme that does what all members do in their order."""
    if len(members) < 2:
        return members[0] if members else Scheme()
    return Composition(members)


def dp_sgd_in(scheme: Scheme) -> DPSGD | None:
    """Returns the part of the scheme that is DP-SGD, if there is one."""
    return next((part for part in scheme.parts if isinstance(part, DPSGD)), None)


def _name(kind: type[Scheme]) -> str:
    return kind.name if "name" in vars(kind) else kind.__name__
