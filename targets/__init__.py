"""What is audited: datasets, membership, networks, noise schemes and their training. The only torch code."""

from mgaudit.targets.networks.cnn import CNN
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.networks.resnet import ResNet
from mgaudit.targets.networks.two_layer import TwoLayer
from mgaudit.targets.networks.wide_cnn import WideCNN
from mgaudit.targets.querying.queries import QUERIES
from mgaudit.targets.schemes import SCHEMES

TARGETS = {"mlp": MLP, "cnn": CNN, "two-layer": TwoLayer, "wide-cnn": WideCNN, "resnet": ResNet}

__all__ = ["CNN", "MLP", "QUERIES", "SCHEMES", "TARGETS", "ResNet", "TwoLayer", "WideCNN"]
