"""What is audited: datasets, membership, networks, noise schemes and their training. The only torch code."""

from targets.cnn import CNN
from targets.mlp import MLP
from targets.queries import QUERIES
from targets.schemes import SCHEMES

TARGETS = {"mlp": MLP, "cnn": CNN}

__all__ = ["CNN", "MLP", "QUERIES", "SCHEMES", "TARGETS"]
