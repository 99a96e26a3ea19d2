"""Targets, the models that are attacked: datasets, membership, networks, noise and training.

This is the only package that uses torch. A noise scheme is a way to add noise to training.

The names below are imported when they are first used, so that settings can be read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgaudit.targets.networks import (
        CNN,
        MLP,
        NETWORKS,
        ResNet,
        ResNet18,
        TwoLayer,
        WideCNN,
        WideResNet,
    )
    from mgaudit.targets.querying.queries import QUERIES
    from mgaudit.targets.schemes import SCHEMES

__all__ = [
    "CNN",
    "MLP",
    "NETWORKS",
    "QUERIES",
    "SCHEMES",
    "ResNet",
    "ResNet18",
    "TwoLayer",
    "WideCNN",
    "WideResNet",
]

_MODULES = {"QUERIES": "mgaudit.targets.querying.queries", "SCHEMES": "mgaudit.targets.schemes"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_MODULES.get(name, "mgaudit.targets.networks"))
    return getattr(module, name)
