"""The settings of training: a leaf, which the schemes change and the loop reads."""

import math
from dataclasses import Field, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from mgaudit.errors import UsageError
from mgaudit.targets.ranges import Range, fits_64_bits, range_in

Augment = Literal["none", "flips", "crops"]
Precision = Literal["float32", "tf32", "bf16"]

# Clipped gradients are small and the noise on them averages out over steps: DP-SGD wants the larger rate.
DEFAULT_LEARNING_RATES = {"sgd": 0.02, "adam": 0.001, "dp-sgd": 0.05, "dp-adam": 0.001}


_DEFAULT_RATES = (
    f"sgd {DEFAULT_LEARNING_RATES['sgd']:g}, adam {DEFAULT_LEARNING_RATES['adam']:g}, "
    f"DP-SGD {DEFAULT_LEARNING_RATES['dp-sgd']:g}"
)


@dataclass(frozen=True)
class Help:
    """What a setting is, for the help of its option of the command line.

    `default` describes a default that the value alone does not, such as None.
    """

    text: str
    default: str = ""


@dataclass(frozen=True)
class Training:
    """How a target is fitted: the mean loss of minibatches under a learning rate that falls to 0 along a cosine.

    `momentum` is SGD's; Adam keeps torch's own betas. `learning_rate` None means DEFAULT_LEARNING_RATES. `stop_epoch`
    ends training early. `augment` mirrors images by a coin (flips), or shifts them as well (crops), anew each time.
    `precision` is that of matrix products and convolutions on a GPU; others than float32 are less exact and faster.
    `loss` squared is half the squared distance to the one-hot label. With the `schedule` constant the rate stays.
    With several `clients` each has its share of a model's examples, and their weights are averaged after every
    `local_steps` steps (`mgaudit.targets.fitting.federated`); `batch_size` is then that of all clients together.

    A field states its type, range and default once. One with Help is an option of the command line.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    epochs: Annotated[int, Range(1), Help("Passes over the training data")] = 30
    batch_size: Annotated[int, Range(1), Help("Examples per step")] = 64
    optimizer: Annotated[Literal["sgd", "adam"], Help("Optimizer")] = "sgd"
    learning_rate: Annotated[
        float | None, Range(0, low_open=True), Help("Initial learning rate (cosine schedule)", _DEFAULT_RATES)
    ] = None
    momentum: Annotated[float, Range(0, 1, high_open=True)] = 0.9
    weight_decay: Annotated[float, Range(0)] = 0.0
    label_smoothing: Annotated[float, Range(0, 1, high_open=True)] = 0.0
    stop_epoch: Annotated[int | None, Range(1)] = None
    augment: Annotated[Augment, Help("Random changes of images in each epoch")] = "none"
    precision: Annotated[Precision, Help("Precision of matrix products, others than float32 on a GPU only")] = "float32"
    loss: Literal["cross-entropy", "squared"] = "cross-entropy"
    schedule: Literal["cosine", "constant"] = "cosine"
    clients: Annotated[int, Range(1), Help("Clients that train on shares of the examples, by local SGD")] = 1
    local_steps: Annotated[int, Range(1), Help("Steps of each client between two averagings of the weights")] = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field, getattr(self, field.name))
        if self.clients == 1 and self.local_steps > 1:
            raise UsageError(
                "local_steps",
                "must be 1 with 1 client, because it counts the steps between averagings of several clients",
                str(self.local_steps),
                "use --clients 10, or leave --local-steps out",
            )
        if self.clients > self.batch_size:
            raise UsageError(
                "clients",
                f"must be <= {self.batch_size}, the batch size, which they share",
                str(self.clients),
                "use a larger --batch-size",
            )
        if self.clients > 1 and self.optimizer != "sgd":
            raise UsageError(
                "optimizer",
                "must be sgd with several clients, because an average of adam's states is no state that adam reaches",
                repr(self.optimizer),
                "use --optimizer sgd, or leave --clients out",
            )

    @property
    def last_epoch(self) -> int:
        """The epoch that training stops after; the learning rate falls as if it went on to the end."""
        return self.epochs if self.stop_epoch is None else min(self.stop_epoch, self.epochs)

    def steps_per_epoch(self, members: float) -> int:
        """Returns the steps of an epoch for models with `members` examples on average.

        The same for each of them, however many it got: so a model's number of steps says nothing of its members, and
        all models of an ensemble can be trained as one.
        """
        return max(math.ceil(members / self.batch_size), 1)

    def rate(self, private: bool = False) -> float:
        """Returns the learning rate that training starts from; `private` says that it is DP-SGD's."""
        if self.learning_rate is not None:
            return self.learning_rate
        return DEFAULT_LEARNING_RATES[f"dp-{self.optimizer}" if private else self.optimizer]


def choices(hint: Any) -> tuple[Any, ...]:
    """Returns the values that a type hint such as `Annotated[Literal["a", "b"], …]` allows; empty where it is open.

    >>> choices(Annotated[Literal["sgd", "adam"], "help"]), choices(int)
    (('sgd', 'adam'), ())
    """
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next((values for part in get_args(hint) if (values := choices(part))), ())


def _check(field: "Field[Any]", value: Any) -> None:
    """Raises UsageError for a value that the type of its field does not allow."""
    if not fits_64_bits(value):
        raise UsageError(field.name, "must be a whole number of at most 64 bits", f"one of {value.bit_length()} bits")
    allowed, limits = choices(field.type), range_in(field.type)
    if allowed and value not in allowed:
        raise UsageError(field.name, f"must be one of {', '.join(allowed)}", repr(value))
    if value is None or limits is None or value in limits:
        return
    kind = "" if isinstance(value, int) else "a finite number "
    raise UsageError(field.name, f"must be {kind}{limits}", str(value))
