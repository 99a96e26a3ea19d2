"""The settings of training that a search chooses."""

from dataclasses import dataclass, replace

from mgaudit.targets.training import Training


@dataclass(frozen=True)
class TunedSettings:
    """Settings that a search chooses, for models of any number of training examples.

    `sample_rate` is the share of a model's examples in a batch, and `epochs` the number of times
    that an example is used; with DP-SGD both are expected values. `momentum` is that of SGD. The
    others are those of DP-SGD: `max_grad_norm` is the norm to which a gradient is clipped, `views`
    the number of augmented views of an example over which its gradient is averaged before, and
    `averaging` the decay of the average of the weights, 0 for none.
    """

    epochs: int
    sample_rate: float
    learning_rate: float
    max_grad_norm: float = 1.0
    views: int = 1
    averaging: float = 0.0
    momentum: float = 0.9

    def batch_size(self, members: float) -> int:
        """Returns the size of a batch for models of `members` examples on average."""
        return max(1, min(round(self.sample_rate * members), int(members)))

    def training(self, training: Training, members: float) -> Training:
        """Returns `training` by SGD with the settings of all training chosen here."""
        return replace(
            training,
            epochs=self.epochs,
            batch_size=self.batch_size(members),
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            optimizer="sgd",
        )
