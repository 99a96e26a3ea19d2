"""Networks that may be audited, by name."""

from mgaudit.targets.networks.cnn import CNN
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.networks.resnet import ResNet
from mgaudit.targets.networks.two_layer import TwoLayer
from mgaudit.targets.networks.wide_cnn import WideCNN

TARGETS = {"mlp": MLP, "cnn": CNN, "two-layer": TwoLayer, "wide-cnn": WideCNN, "resnet": ResNet}

__all__ = ["CNN", "MLP", "TARGETS", "ResNet", "TwoLayer", "WideCNN"]
