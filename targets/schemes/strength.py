"""Settings of three input-noise schemes with equal strength, that is, equal noise variance."""

from dataclasses import dataclass

from mgaudit.targets.schemes.dropout import Dropout
from mgaudit.targets.schemes.gaussian_mask import GaussianMask
from mgaudit.targets.schemes.gaussian_noise import GaussianNoise


@dataclass(frozen=True)
class EqualStrength:
    """Three schemes with equal noise variance relative to the mean square of the inputs."""

    mask: GaussianMask
    dropout: Dropout
    noise: GaussianNoise


def equal_strength(kappa: float, mean_square: float = 1.0) -> EqualStrength:
    """Returns the schemes whose noise has the variance of a Gaussian mask of strength `kappa`.

        kappa^2 = rate / (1 - rate) = sigma^2 / E x^2

    E x^2 is the `mean_square` of the inputs, which is 1 for standardised inputs. The variances are
    equal when summed over all inputs; the variance at a single input x differs, because that of a
    mask and of dropout is proportional to x^2.

    Raises:
        ValueError: For a kappa < 0 and for a mean square that is not > 0.

    >>> equal_strength(0.5).dropout
    Dropout(rate=0.2, fixed=False)
    """
    if not mean_square > 0:
        raise ValueError(f"mean_square must be > 0, got {mean_square}")
    mask = GaussianMask(kappa)
    dropout = Dropout(kappa**2 / (1 + kappa**2))
    noise = GaussianNoise(kappa * mean_square**0.5)
    return EqualStrength(mask, dropout, noise)
