"""The papers of `mgaudit reproduce`, by their names on the command line."""

from mgaudit.papers.gaussian_masking.paper import PAPER as GAUSSIAN_MASKING
from mgaudit.papers.noise_nodes.paper import PAPER as NOISE_NODES
from mgaudit.papers.paper import Paper
from mgaudit.papers.weight_noise.paper import PAPER as WEIGHT_NOISE

PAPERS: dict[str, Paper] = {
    paper.key: paper for paper in (GAUSSIAN_MASKING, NOISE_NODES, WEIGHT_NOISE)
}
