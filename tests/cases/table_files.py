"""Small tables in files, and how they are read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mgaudit.errors import UsageError
from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import Dataset


def read(path: Path, options: str = "", kind: str = "csv") -> Dataset:
    """Returns the dataset with its examples in the order of the file."""
    dataset = load(f"{kind}:{path}{options}", None, np.random.default_rng(0))
    order = np.argsort(dataset.indices)
    return Dataset(
        dataset.name,
        dataset.inputs[order],
        dataset.labels[order],
        dataset.test_inputs,
        dataset.test_labels,
        dataset.classes,
        tuple(dataset.origins[index] for index in order),
        notes=dataset.notes,
    )


def refusal(path: Path, options: str = "", kind: str = "csv") -> str:
    """Returns the message of the refusal, which is one line. Fails if the table is read."""
    with pytest.raises(UsageError) as raised:
        read(path, options, kind)
    message = str(raised.value)
    assert "\n" not in message
    return message


def write(path: Path, header: str, row: Callable[[int], str], rows: int = 24) -> Path:
    """Writes a header and the rows `row(0)`, `row(1)`, …"""
    lines = [header, *(row(number) for number in range(rows))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def ab(number: int) -> str:
    """Returns the class of a row, a or b."""
    return "ab"[number % 2]
