"""Keep the rows that a trained model contributes to a figure, so that a repeated run reads them.

So a reproduction that was interrupted continues with the first model that was not finished.
"""

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mgaudit.compute.parallel import processors
from mgaudit.papers.claim import Row
from mgaudit.storage.ensembles import querying_code_sha256, training_code_sha256
from mgaudit.storage.measurements import (
    MeasuredBy,
    StoredArrays,
    load_measurements,
    save_measurements,
)

PACKAGES = ("numpy", "torch")
KIND: MeasuredBy = "figures"


def kept_rows(
    determined_by: dict[str, Any], module: str, device: str, compute: Callable[[], list[Row]]
) -> list[Row]:
    """Returns `compute()`, or what it returned in an earlier run with the same arguments.

    Args:
        determined_by: What the rows depend on beside the code: values that JSON can hold.
        module: The path of the module that computes the rows, whose code they depend on.
        device: "cpu" or "cuda".
        compute: Trains a model and returns its rows.
    """
    key = _key(determined_by, module, device)
    kept = load_measurements(key, lambda message: None, KIND)
    rows = None if kept is None else _unpacked(kept)
    if rows is None:
        rows = compute()
        _keep(key, rows)
    return rows


def _key(determined_by: dict[str, Any], module: str, device: str) -> str:
    """Returns what determines the rows, as JSON."""
    values = {
        "rows": determined_by,
        "device": device,
        "processor": processors(device),
        "code": training_code_sha256(),
        "querying code": querying_code_sha256(),
        "module": hashlib.sha256(Path(module).read_bytes()).hexdigest(),
        "versions": {name: version(name) for name in PACKAGES},
    }
    return json.dumps(values, sort_keys=True)


def _keep(key: str, rows: list[Row]) -> None:
    """Stores the rows. A cache that is full or cannot be written is no error."""
    text = json.dumps(rows).encode()
    try:
        save_measurements(key, {"rows": np.frombuffer(text, dtype=np.uint8)}, KIND)
    except OSError:
        return


def _unpacked(arrays: StoredArrays) -> list[Row] | None:
    """Returns the stored rows, or None for a file by another program."""
    try:
        rows: list[Row] = json.loads(arrays["rows"].tobytes())
    except (LookupError, TypeError, ValueError):
        return None
    return rows
