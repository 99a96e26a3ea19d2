"""How exact matrix products and convolutions on a GPU are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch

Precision = Literal["float32", "tf32", "bf16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)


def check_precision(precision: Precision, device: str) -> None:
    """Raises ValueError for a precision that the device does not have or does not profit from."""
    if precision != "float32" and device != "cuda":
        raise ValueError(f"precision {precision} is for a GPU, got device {device}; use float32")


@contextmanager
def precision_of(precision: Precision, device: torch.device) -> Iterator[None]:
    """Lets operations on `device` run at that precision; float32 means all 24 bits, not torch's default of TF32."""
    if device.type != "cuda":
        yield
        return
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value
