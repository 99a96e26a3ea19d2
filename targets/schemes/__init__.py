"""Noise schemes, one a file. A scheme is a frozen dataclass with the training hooks it needs."""

from targets.schemes.composition import Composition, compose, dp_sgd_in
from targets.schemes.dpsgd import DPSGD
from targets.schemes.dropout import Dropout
from targets.schemes.early_stop import EarlyStop
from targets.schemes.gaussian_mask import GaussianMask
from targets.schemes.gaussian_noise import GaussianNoise
from targets.schemes.label_noise import LabelNoise
from targets.schemes.label_smoothing import LabelSmoothing
from targets.schemes.noise_nodes import NoiseNodes
from targets.schemes.scheme import Scheme
from targets.schemes.weight_decay import WeightDecay
from targets.schemes.weight_noise import WeightNoise

SCHEMES: dict[str, type[Scheme]] = {
    "none": Scheme,
    "gaussian-mask": GaussianMask,
    "gaussian-noise": GaussianNoise,
    "dropout": Dropout,
    "noise-nodes": NoiseNodes,
    "weight-noise": WeightNoise,
    "label-noise": LabelNoise,
    "dp-sgd": DPSGD,
    "weight-decay": WeightDecay,
    "early-stop": EarlyStop,
    "label-smoothing": LabelSmoothing,
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
