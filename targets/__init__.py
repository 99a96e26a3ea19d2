"""What is audited: datasets, membership, networks, noise schemes and their training. The only torch code."""

from targets.cnn import CNN
from targets.mlp import MLP
from targets.queries import QUERIES
from targets.resnet import ResNet
from targets.schemes import SCHEMES
from targets.two_layer import TwoLayer
from targets.wide_cnn import WideCNN

TARGETS = {"mlp": MLP, "cnn": CNN, "two-layer": TwoLayer, "wide-cnn": WideCNN, "resnet": ResNet}

__all__ = ["CNN", "MLP", "QUERIES", "SCHEMES", "TARGETS", "ResNet", "TwoLayer", "WideCNN"]
