"""Settings of different schemes that are equally strong."""

from dataclasses import dataclass

from mgaudit.targets.schemes.dropout import Dropout
from mgaudit.targets.schemes.gaussian_mask import GaussianMask
from mgaudit.targets.schemes.gaussian_noise import GaussianNoise


@dataclass(frozen=True)
class EqualStrength:
    """Noise on the inputs of one variance, relative to the mean square of the inputs, in three laws."""

    mask: GaussianMask
    dropout: Dropout
    noise: GaussianNoise


def equal_strength(kappa: float, mean_square: float = 1.0) -> EqualStrength:
    """Returns the schemes whose noise has the variance of a Gaussian mask of strength `kappa`, summed over inputs.

    kappa^2 = rate / (1 - rate) = sigma^2 / E x^2 with E x^2 the `mean_square` of the inputs, which is 1 for
    standardised ones. Raises ValueError for a kappa < 0 and for a mean square that is not > 0.

    >>> equal_strength(0.5).dropout
    Dropout(rate=0.2, fixed=False)
    """
    if not mean_square > 0:
        raise ValueError(f"mean_square must be > 0, got {mean_square}")
    mask = GaussianMask(kappa)
    return EqualStrength(mask, Dropout(kappa**2 / (1 + kappa**2)), GaussianNoise(kappa * mean_square**0.5))
