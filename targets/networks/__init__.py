"""The built-in networks that can be audited, by name."""

from mgaudit.targets.networks.cnn import CNN
from mgaudit.targets.networks.mlp import MLP
from mgaudit.targets.networks.network import Network
from mgaudit.targets.networks.resnet import ResNet
from mgaudit.targets.networks.resnet18 import ResNet18
from mgaudit.targets.networks.two_layer import TwoLayer
from mgaudit.targets.networks.wide_cnn import WideCNN
from mgaudit.targets.networks.wide_resnet import WideResNet

_ALL = (MLP, CNN, TwoLayer, WideCNN, ResNet, ResNet18, WideResNet)
NETWORKS: dict[str, type[Network]] = {network.name: network for network in _ALL}

__all__ = [
    "CNN",
    "MLP",
    "NETWORKS",
    "Network",
    "ResNet",
    "ResNet18",
    "TwoLayer",
    "WideCNN",
    "WideResNet",
]
