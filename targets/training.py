"""The settings of training: a leaf, which the schemes change and the loop reads."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

Augment = Literal["none", "flips", "crops"]
Precision = Literal["float32", "tf32", "bf16"]

# Clipped gradients are small and the noise on them averages out over steps: DP-SGD wants the larger rate.
DEFAULT_LEARNING_RATES = {"sgd": 0.02, "adam": 0.001, "dp-sgd": 0.05, "dp-adam": 0.001}


@dataclass(frozen=True)
class Training:
    """How a target is fitted: the mean loss of minibatches under a learning rate that falls to 0 along a cosine.

    `momentum` is SGD's; Adam keeps torch's own betas. `learning_rate` None means DEFAULT_LEARNING_RATES. `stop_epoch`
    ends training early. `augment` mirrors images by a coin (flips), or shifts them as well (crops), anew each time.
    `precision` is that of matrix products and convolutions on a GPU; others than float32 are less exact and faster.
    `loss` squared is half the squared distance to the one-hot label. With the `schedule` constant the rate stays.
    With several `clients` each has its share of a model's examples, and their weights are averaged after every
    `local_steps` steps (`mgaudit.targets.fitting.federated`); `batch_size` is then that of all clients together.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    epochs: int = 30
    batch_size: int = 64
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    stop_epoch: int | None = None
    augment: Augment = "none"
    precision: Precision = "float32"
    loss: Literal["cross-entropy", "squared"] = "cross-entropy"
    schedule: Literal["cosine", "constant"] = "cosine"
    clients: int = 1
    local_steps: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be >= 1, got {self.epochs}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {self.batch_size}")
        if self.optimizer not in ("sgd", "adam"):
            raise ValueError(f"optimizer must be sgd or adam, got {self.optimizer!r}")
        if self.learning_rate is not None and not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be a finite number > 0, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be >= 0 and < 1, got {self.momentum}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be a finite number >= 0, got {self.weight_decay}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be >= 0 and < 1, got {self.label_smoothing}")
        if self.stop_epoch is not None and self.stop_epoch < 1:
            raise ValueError(f"stop_epoch must be >= 1, got {self.stop_epoch}")
        if self.augment not in get_args(Augment):
            raise ValueError(f"augment must be one of {', '.join(get_args(Augment))}, got {self.augment!r}")
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {self.precision!r}")
        if self.loss not in ("cross-entropy", "squared"):
            raise ValueError(f"loss must be cross-entropy or squared, got {self.loss!r}")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule must be cosine or constant, got {self.schedule!r}")
        if self.clients < 1:
            raise ValueError(f"clients must be >= 1, got {self.clients}")
        if self.local_steps < 1:
            raise ValueError(f"local_steps must be >= 1, got {self.local_steps}")
        if self.clients == 1 and self.local_steps > 1:
            raise ValueError(
                f"local_steps counts steps between averagings of several clients, and there is 1; got "
                f"{self.local_steps}; use --clients 10, or leave --local-steps out"
            )
        if self.clients > self.batch_size:
            raise ValueError(
                f"clients must be <= {self.batch_size}, the batch size, which they share, got {self.clients}; "
                "use a larger --batch-size"
            )
        if self.clients > 1 and self.optimizer != "sgd":
            raise ValueError(
                f"several clients need optimizer sgd, got {self.optimizer!r}: an average of adam's states is no state "
                "that adam would reach"
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
