"""The precision of matrix products and convolutions on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mgaudit.errors import UsageError
from mgaudit.targets.training import Precision


def check_precision(precision: Precision, device: str) -> None:
    """Raises UsageError for a precision other than "float32" on a device other than "cuda"."""
    if precision != "float32" and device != "cuda":
        rule = f"must be float32 on device {device}, others are for a GPU"
        raise UsageError("precision", rule, repr(precision), "use float32")


@contextmanager
def exactness(precision: Precision, device: torch.device) -> Iterator[None]:
    """Computes float32 operations on `device` in TF32 if `precision` is "tf32", else in float32.

    The context is for forward and backward passes, and changes nothing on a CPU. Without it, torch
    uses TF32 for convolutions on a GPU.
    """
    if device.type != "cuda":
        yield
        return
    convolutions: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, convolutions)
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Returns the context for a forward pass, which computes in bf16 if `precision` is "bf16"."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
