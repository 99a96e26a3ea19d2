"""Datasets: examples that may be trained on, and a test split that no model ever trains on."""

from collections.abc import Callable

import numpy as np

from mgaudit.targets.datasets.cifar import CIFAR10, CIFAR100, read_cifar10, read_cifar100
from mgaudit.targets.datasets.csv import read_csv
from mgaudit.targets.datasets.dataset import Dataset, Inputs
from mgaudit.targets.datasets.digits import read_digits
from mgaudit.targets.datasets.folder import read_folder
from mgaudit.targets.datasets.idx import FASHION_MNIST, MNIST, read_fashion_mnist, read_mnist
from mgaudit.targets.datasets.npz import read_npz
from mgaudit.targets.datasets.options import read_options
from mgaudit.targets.datasets.overlap import refuse_overlap
from mgaudit.targets.datasets.own import read_own
from mgaudit.targets.datasets.published import Published
from mgaudit.targets.datasets.synthetic import draw_synthetic

# Called as (examples, generator, **options), and those that TAKES_PATH names as (path, examples, generator).
DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": read_digits,
    "synthetic": draw_synthetic,
    "cifar10": read_cifar10,
    "cifar100": read_cifar100,
    "mnist": read_mnist,
    "fashion-mnist": read_fashion_mnist,
    "folder": read_folder,
    "npz": read_npz,
    "csv": read_csv,
}
TAKES_PATH = frozenset({"folder", "npz", "csv"})
OWN = "module:function"
PUBLISHED = {one.published.name: one.published for one in (CIFAR10, CIFAR100, MNIST, FASHION_MNIST)}

__all__ = ["DATASETS", "OWN", "PUBLISHED", "TAKES_PATH", "Dataset", "Inputs", "Published", "load", "published"]


def load(spec: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """Returns the dataset that `spec` names, its inputs as stored. Nothing is ever downloaded.

    `spec` is a name in DATASETS with its path ("npz:PATH") or options ("synthetic:teacher,size=500"), or the
    "module:function" that makes the user's own. `examples` of its training examples are drawn by `generator`, all of
    them for None; the test split is whole. Raises ValueError or FileNotFoundError, naming the place, where the data are
    missing or malformed, or where a test example is among the examples to audit.
    """
    name, _, argument = spec.partition(":")
    if name in DATASETS and (name not in TAKES_PATH or argument):
        build = DATASETS[name]
        if name in TAKES_PATH:
            dataset = build(argument, examples, generator)
        else:
            dataset = build(examples, generator, **read_options(name, argument, build))
    elif name and name not in DATASETS and argument:
        dataset = read_own(spec, examples, generator)
    else:
        known = [f"{key}:PATH" if key in TAKES_PATH else key for key in DATASETS]
        raise ValueError(f"dataset must be one of {', '.join(known)} or your own {OWN}, got {spec!r}")
    refuse_overlap(dataset)
    return dataset


def published(name: str) -> Published:
    """Returns the published dataset of this name. Raises ValueError that lists the known ones."""
    if name not in PUBLISHED:
        raise ValueError(f"the data that can be fetched are {', '.join(PUBLISHED)}, got {name!r}")
    return PUBLISHED[name]
