"""What DP-SGD is tuned by, as distinct from what its epsilon is."""

from dataclasses import dataclass, replace

from mgaudit.targets.training import Training


@dataclass(frozen=True)
class DPSettings:
    """The settings that DP-SGD is tuned by, for models of any number of training examples.

    `sample_rate` is the expected share of a model's examples in a batch, and `epochs` the expected
    number of times that an example is used. `max_grad_norm` is the norm to which a gradient is
    clipped, `views` the number of augmented views of an example over which its gradient is averaged
    before, and `averaging` the decay of the average of the weights, 0 for none.
    """

    epochs: int
    sample_rate: float
    learning_rate: float
    max_grad_norm: float
    views: int = 1
    averaging: float = 0.0

    def batch_size(self, members: float) -> int:
        """Returns the expected size of a batch for models of `members` examples on average."""
        return max(1, min(round(self.sample_rate * members), int(members)))

    def training(self, training: Training, members: float) -> Training:
        """Returns `training` with the epochs, batch size and learning rate of these settings."""
        return replace(
            training,
            epochs=self.epochs,
            batch_size=self.batch_size(members),
            learning_rate=self.learning_rate,
            optimizer="sgd",
            clients=1,
            local_steps=1,
        )
