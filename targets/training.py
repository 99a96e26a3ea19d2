"""The settings of training, which schemes modify and the training loop reads."""

import math
from dataclasses import Field, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from mgaudit.errors import UsageError
from mgaudit.targets.limits import BATCH_SIZE, CLIENTS, EPOCHS, LOCAL_STEPS
from mgaudit.targets.ranges import Range, fits_64_bits, range_in

LIMITS = {
    "epochs": EPOCHS,
    "batch_size": BATCH_SIZE,
    "clients": CLIENTS,
    "local_steps": LOCAL_STEPS,
}

Augment = Literal["none", "flips", "crops"]
Precision = Literal["float32", "tf32", "bf16"]

# DP-SGD needs the larger rate, because clipped gradients are small and their noise averages out.
DEFAULT_LEARNING_RATES = {"sgd": 0.02, "adam": 0.001, "dp-sgd": 0.05, "dp-adam": 0.001}


_DEFAULT_RATES = (
    f"sgd {DEFAULT_LEARNING_RATES['sgd']:g}, adam {DEFAULT_LEARNING_RATES['adam']:g}, "
    f"DP-SGD {DEFAULT_LEARNING_RATES['dp-sgd']:g} or tuned"
)


@dataclass(frozen=True)
class Help:
    """The help text of a setting's command line option.

    `default` describes a default value that is not self-explanatory, such as None.
    """

    text: str
    default: str = ""


@dataclass(frozen=True)
class Training:
    """The settings of training: optimizer, learning rate, minibatches and loss.

    `momentum` applies to SGD; Adam uses torch's default betas. A `learning_rate` of None means the
    one in DEFAULT_LEARNING_RATES. The rate decreases to 0 along a cosine, or is constant if
    `schedule` is "constant". `stop_epoch` is the number of epochs after which training ends early,
    or None. `augment` mirrors images at random ("flips"), or also shifts them ("crops"), each time
    that they are used. `precision` is the precision of matrix products and convolutions on a GPU;
    values other than "float32" are less exact and faster. The `loss` "squared" is half the squared
    distance to the one-hot label. With several `clients`, each client has its share of a model's
    examples, and the clients' weights are averaged after every `local_steps` steps
    (`mgaudit.targets.fitting.federated`); `batch_size` then counts the examples of all clients.

    The type, range and default of a setting are stated in its field. A field with Help is a command
    line option.

    Raises:
        UsageError: For a setting outside its range, and for settings that contradict one another.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    epochs: Annotated[int, Range(1), Help("Passes over the data")] = 30
    batch_size: Annotated[int, Range(1), Help("Examples per step")] = 64
    optimizer: Annotated[Literal["sgd", "adam"], Help("Optimizer")] = "sgd"
    learning_rate: Annotated[
        float | None,
        Range(0, low_open=True),
        Help("Initial learning rate", _DEFAULT_RATES),
    ] = None
    momentum: Annotated[float, Range(0, 1, high_open=True)] = 0.9
    weight_decay: Annotated[float, Range(0)] = 0.0
    label_smoothing: Annotated[float, Range(0, 1, high_open=True)] = 0.0
    stop_epoch: Annotated[int | None, Range(1)] = None
    augment: Annotated[Augment, Help("Random changes of images in each epoch")] = "none"
    precision: Annotated[Precision, Help("Precision of matrix products on a GPU")] = "float32"
    loss: Literal["cross-entropy", "squared"] = "cross-entropy"
    schedule: Literal["cosine", "constant"] = "cosine"
    clients: Annotated[
        int, Range(1), Help("Clients that train on shares of the examples, by local SGD")
    ] = 1
    local_steps: Annotated[
        int, Range(1), Help("Steps of each client before the weights are averaged")
    ] = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field, getattr(self, field.name))
        for name, limit in LIMITS.items():
            limit.check(name, getattr(self, name))
        if self.clients == 1 and self.local_steps > 1:
            raise UsageError(
                "local_steps",
                "must be 1 with 1 client, "
                "because it counts the steps between averagings of several clients",
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
                "must be sgd with several clients, because averaged states of adam are not valid",
                repr(self.optimizer),
                "use --optimizer sgd, or leave --clients out",
            )

    @property
    def last_epoch(self) -> int:
        """The epoch after which training stops; the learning rate is scheduled for all epochs."""
        return self.epochs if self.stop_epoch is None else min(self.stop_epoch, self.epochs)

    def steps_per_epoch(self, members: float) -> int:
        """Returns the number of steps of an epoch, for models with `members` examples on average.

        The number is at least 1, and the same for every model, whatever its number of examples. So
        it reveals nothing about a model's members, and all models of an ensemble can be trained as
        one stack, that is, together.
        """
        return max(math.ceil(members / self.batch_size), 1)

    def rate(self, private: bool = False) -> float:
        """Returns the initial learning rate; `private` selects the default of DP-SGD."""
        if self.learning_rate is not None:
            return self.learning_rate
        name = f"dp-{self.optimizer}" if private else self.optimizer
        return DEFAULT_LEARNING_RATES[name]


def choices(hint: Any) -> tuple[Any, ...]:
    """Returns the values that a type hint with a Literal lists, or () for other hints.

    >>> choices(Annotated[Literal["sgd", "adam"], "help"]), choices(int)
    (('sgd', 'adam'), ())
    """
    if get_origin(hint) is Literal:
        return get_args(hint)
    for argument in get_args(hint):
        values = choices(argument)
        if values:
            return values
    return ()


def _check(field: "Field[Any]", value: Any) -> None:
    """Raises UsageError for a value that the type of its field does not allow."""
    if not fits_64_bits(value):
        rule = "must be a whole number of at most 64 bits"
        raise UsageError(field.name, rule, f"one of {value.bit_length()} bits")
    allowed, limits = choices(field.type), range_in(field.type)
    if allowed and value not in allowed:
        raise UsageError(field.name, f"must be one of {', '.join(allowed)}", repr(value))
    if value is None or limits is None or value in limits:
        return
    kind = "" if isinstance(value, int) else "a finite number "
    raise UsageError(field.name, f"must be {kind}{limits}", str(value))
