"""Keep what figures measured, so that a repeated reproduction reads it.

So a reproduction that was interrupted continues with the first figure that was not finished, and
within some figures with the first model that was not trained.
"""

import hashlib
import json
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from mgaudit import attacks, targets
from mgaudit.compute.parallel import processors
from mgaudit.papers.claim import Data, Row
from mgaudit.storage.ensembles import querying_code_sha256, training_code_sha256
from mgaudit.storage.measurements import MeasuredBy, load_measurements, save_measurements
from mgaudit.study.provenance import package_sha256, source_sha256, versions

PACKAGES = ("numpy", "torch")
KIND: MeasuredBy = "figures"

Kept = TypeVar("Kept")


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
    values = {
        "rows": determined_by,
        "device": device,
        "processor": processors(device),
        "code": training_code_sha256(),
        "querying code": querying_code_sha256(),
        "module": hashlib.sha256(Path(module).read_bytes()).hexdigest(),
        "versions": {name: version(name) for name in PACKAGES},
    }
    return _kept(values, compute)


def kept_data(
    determined_by: dict[str, Any], device: str, compute: Callable[[], Data]
) -> tuple[Data, float]:
    """Returns `compute()`, the data of a figure, and the seconds that it took, maybe earlier.

    The data depend on the code of mgaudit, of its attacks and of its targets.

    Args:
        determined_by: What the data depend on beside the code: values that JSON can hold.
        device: "cpu" or "cuda".
        compute: Measures the figure.
    """

    def timed() -> dict[str, Any]:
        clock = time.perf_counter()
        data = compute()
        return {"data": data, "seconds": time.perf_counter() - clock}

    kept = _kept(_of_figure(determined_by, device), timed)
    return kept["data"], kept["seconds"]


def has_data(determined_by: dict[str, Any], device: str) -> bool:
    """Returns whether an earlier run kept the data of a figure; see `kept_data`."""
    return _stored(json.dumps(_of_figure(determined_by, device), sort_keys=True)) is not None


def _of_figure(determined_by: dict[str, Any], device: str) -> dict[str, Any]:
    """Returns all that the data of a figure depend on."""
    return {
        "figure": determined_by,
        "device": device,
        "processor": processors(device),
        "code": _code_sha256(),
        "versions": versions(),
    }


@cache
def _code_sha256() -> list[str]:
    """Returns the SHA-256 of each package on whose code the data of a figure may depend."""
    own = source_sha256(Path(__file__).parents[1])
    return [own, package_sha256(attacks), package_sha256(targets)]


def _kept(determined_by: dict[str, Any], compute: Callable[[], Kept]) -> Kept:
    """Returns `compute()`, now or in an earlier run, as JSON holds its values, NaN among them."""
    key = json.dumps(determined_by, sort_keys=True)
    kept = _stored(key)
    if kept is not None:
        return cast(Kept, kept)
    text = json.dumps(compute(), default=float)  # numbers of NumPy
    _store(key, text)
    return cast(Kept, json.loads(text))


def _stored(key: str) -> object:
    """Returns the value that is stored under the key, or None if there is none."""
    arrays = load_measurements(key, lambda message: None, KIND)
    try:
        return None if arrays is None else json.loads(arrays["json"].tobytes())
    except (LookupError, ValueError):  # a file by another program
        return None


def _store(key: str, text: str) -> None:
    """Stores a JSON text. A cache that is full or cannot be written is no error."""
    try:
        save_measurements(key, {"json": np.frombuffer(text.encode(), dtype=np.uint8)}, KIND)
    except OSError:
        return
