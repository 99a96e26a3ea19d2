"""Datasets: training examples, and a test split on which no model is ever trained."""

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.targets.datasets.cifar import CIFAR10, CIFAR100, read_cifar10, read_cifar100
from mgaudit.targets.datasets.dataset import Dataset, Inputs
from mgaudit.targets.datasets.digits import read_digits
from mgaudit.targets.datasets.idx import FASHION_MNIST, MNIST, read_fashion_mnist, read_mnist
from mgaudit.targets.datasets.images.folder import read_folder
from mgaudit.targets.datasets.npz import read_npz
from mgaudit.targets.datasets.own import read_own, reader_of
from mgaudit.targets.datasets.published import PublishedDataset
from mgaudit.targets.datasets.reader import Reader
from mgaudit.targets.datasets.synthetic import draw_synthetic
from mgaudit.targets.datasets.tables.csv import read_csv
from mgaudit.targets.datasets.tables.parquet import read_parquet

DATASETS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("digits", read_digits),
        Reader("synthetic", draw_synthetic),
        Reader("cifar10", read_cifar10, published=CIFAR10.published),
        Reader("cifar100", read_cifar100, published=CIFAR100.published),
        Reader("mnist", read_mnist, published=MNIST.published),
        Reader("fashion-mnist", read_fashion_mnist, published=FASHION_MNIST.published),
        Reader("folder", read_folder, takes_path=True),
        Reader("npz", read_npz, takes_path=True),
        Reader("csv", read_csv, takes_path=True),
        Reader("parquet", read_parquet, takes_path=True),
    )
}
OWN_DATASET = Reader("module:function", read_own)

__all__ = [
    "DATASETS",
    "OWN",
    "Dataset",
    "Inputs",
    "PublishedDataset",
    "Reader",
    "published",
    "published_datasets",
    "reader_of",
]


def published_datasets() -> dict[str, PublishedDataset]:
    """Returns the records of the datasets that can be downloaded, by name."""
    published = {name: reader.published for name, reader in DATASETS.items()}
    return {name: dataset for name, dataset in published.items() if dataset is not None}


def published_dataset(name: str) -> PublishedDataset:
    """Returns the record of the downloadable dataset of this name.

    Raises:
        UsageError: For an unknown name; the message lists the known ones.
    """
    known = published_datasets()
    if name not in known:
        rule = f"must be one of {', '.join(known)} to be fetched"
        raise UsageError("dataset", rule, repr(name), did_you_mean(name, known))
    return known[name]
