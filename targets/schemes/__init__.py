"""Noise schemes: ways to add noise to training, one per file.

A scheme is a frozen dataclass with hooks, methods that training calls (`Scheme`).
"""

from mgaudit.targets.schemes.composition import Composition, compose, dp_sgd_in
from mgaudit.targets.schemes.dpsgd import DPSGD
from mgaudit.targets.schemes.dropout import Dropout
from mgaudit.targets.schemes.early_stop import EarlyStop
from mgaudit.targets.schemes.gaussian_mask import GaussianMask
from mgaudit.targets.schemes.gaussian_noise import GaussianNoise
from mgaudit.targets.schemes.label_noise import LabelNoise
from mgaudit.targets.schemes.label_smoothing import LabelSmoothing
from mgaudit.targets.schemes.noise_nodes import NoiseNodes
from mgaudit.targets.schemes.scheme import Scheme
from mgaudit.targets.schemes.weight_decay import WeightDecay
from mgaudit.targets.schemes.weight_noise import WeightNoise

SCHEMES: dict[str, type[Scheme]] = {
    scheme.name: scheme
    for scheme in (
        Scheme,
        GaussianMask,
        GaussianNoise,
        Dropout,
        NoiseNodes,
        WeightNoise,
        LabelNoise,
        DPSGD,
        WeightDecay,
        EarlyStop,
        LabelSmoothing,
    )
}

__all__ = [
    "DPSGD",
    "SCHEMES",
    "Composition",
    "Dropout",
    "EarlyStop",
    "GaussianMask",
    "GaussianNoise",
    "LabelNoise",
    "LabelSmoothing",
    "NoiseNodes",
    "Scheme",
    "WeightDecay",
    "WeightNoise",
    "compose",
    "dp_sgd_in",
]
