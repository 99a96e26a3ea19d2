"""DP-SGD: the baseline with a proven privacy guarantee."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from mgaudit.errors import UsageError
from mgaudit.targets.limits import BATCH_SIZE, EPOCHS, EPSILON, NOISE_MULTIPLIER, VIEWS
from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme

# Below it, the PRV accountant needs minutes and gigabytes for a useless bound.
LEAST_NOISE = 0.3
LARGEST_NOISE = float(NOISE_MULTIPLIER.most)


@dataclass(frozen=True)
class DPSGD(Scheme):
    """Clips each example's gradient and adds Gaussian noise to the sum (Abadi et al. 2016).

    Set either `epsilon` (nats), from which the accountant computes the noise multiplier, or
    `noise_multiplier`, the standard deviation of the noise in units of `max_grad_norm`; 0 means
    clipping without noise. The default of `delta` is 1 / n^1.1, where n is the expected number of
    training examples.

    The other parameters are settings of the training of this arm alone. None means the tuned
    default for the network, the data and epsilon, where there is one
    (`mgaudit.targets.fitting.tuned_dp`); otherwise `epochs`, `batch_size` (expected examples a
    step), `learning_rate` and `momentum` are those of the study, and the rest 1, 1 and 0. A
    gradient is clipped to the norm `max_grad_norm`. It is the mean over `views` of an example, each
    with augmentation and noise of its own. `averaging` is the decay of the average of the weights
    over the steps; 0 keeps the weights of the last step. Models are trained by
    `mgaudit.targets.fitting.dp_sgd`.

    Raises:
        UsageError: For a parameter outside its range, for both or none of `epsilon` and
            `noise_multiplier`, and for a noise multiplier between 0 and 0.3.
    """

    name: ClassVar[str] = "dp-sgd"
    law: ClassVar[str] = "sum of clipped gradients + N(0, noise_multiplier^2 max_grad_norm^2 I)"
    source: ClassVar[str] = "Abadi et al. 2016"
    smaller_is_stronger: ClassVar[str] = "epsilon"

    epsilon: Annotated[float, Range(0, EPSILON.most, low_open=True)] | None = None
    noise_multiplier: Annotated[float, Range(0, LARGEST_NOISE)] | None = None
    delta: Annotated[float, Range(0, 1, low_open=True, high_open=True)] | None = None
    epochs: Annotated[int, Range(1)] | None = None
    batch_size: Annotated[int, Range(1)] | None = None
    learning_rate: Annotated[float, Range(0, low_open=True)] | None = None
    momentum: Annotated[float, Range(0, 1, high_open=True)] | None = None
    max_grad_norm: Annotated[float, Range(0, low_open=True)] | None = None
    views: Annotated[int, Range(1, VIEWS.most)] | None = None
    averaging: Annotated[float, Range(0, 1, high_open=True)] | None = None

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns None and the scheme at some strengths: clipping makes a strength 0 impossible."""
        return None, (cls(noise_multiplier=1.0), cls(noise_multiplier=0.0, max_grad_norm=0.1))

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.epsilon is None) == (self.noise_multiplier is None):
            raise UsageError(
                "",
                "needs exactly one of epsilon and noise_multiplier",
                f"epsilon={self.epsilon} and noise_multiplier={self.noise_multiplier}",
            )
        EPOCHS.check("epochs", self.epochs or 1)
        BATCH_SIZE.check("batch_size", self.batch_size or 1)
        if self.noise_multiplier is not None and 0 < self.noise_multiplier < LEAST_NOISE:
            rule = f"must be 0 (clipping alone, no epsilon) or >= {LEAST_NOISE}"
            raise UsageError("noise_multiplier", rule, str(self.noise_multiplier))
