"""Noise schemes, one a file. A scheme is a frozen dataclass with the training hooks it needs."""

from targets.schemes.dpsgd import DPSGD
from targets.schemes.gaussian_mask import GaussianMask
from targets.schemes.scheme import Scheme

SCHEMES: dict[str, type[Scheme]] = {
    "none": Scheme,
    "gaussian-mask": GaussianMask,
    "dp-sgd": DPSGD,
}

__all__ = ["DPSGD", "SCHEMES", "GaussianMask", "Scheme"]
