"""What is audited: datasets, membership, networks, noise schemes and their training. The only torch code.

The names below are imported when they are first used, so that the settings of training can be read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgaudit.targets.networks import CNN, MLP, NETWORKS, ResNet, TwoLayer, WideCNN
    from mgaudit.targets.querying.queries import QUERIES
    from mgaudit.targets.schemes import SCHEMES

__all__ = ["CNN", "MLP", "NETWORKS", "QUERIES", "SCHEMES", "ResNet", "TwoLayer", "WideCNN"]

_MODULES = {"QUERIES": "mgaudit.targets.querying.queries", "SCHEMES": "mgaudit.targets.schemes"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "mgaudit.targets.networks")), name)
