"""How exact matrix products and convolutions on a GPU are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mgaudit.errors import UsageError
from mgaudit.targets.training import Precision


def check_precision(precision: Precision, device: str) -> None:
    """Raises UsageError for a precision that the device does not have or does not profit from."""
    if precision != "float32" and device != "cuda":
        raise UsageError(
            "precision", f"must be float32 on device {device}, others are for a GPU", repr(precision), "use float32"
        )


@contextmanager
def exactness(precision: Precision, device: torch.device) -> Iterator[None]:
    """Lets float32 operations on `device` use TF32 if that is the precision, and all 24 bits otherwise.

    Around forward and backward pass alike. torch by itself convolves in TF32.
    """
    if device.type != "cuda":
        yield
        return
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Returns the context in which a forward pass runs in bf16, if that is the precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
