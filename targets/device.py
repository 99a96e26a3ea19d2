"""The device on which tensors are stored and computed."""

import torch

from mgaudit.errors import UsageError


def choose_device(requested: str) -> str:
    """Returns "cuda" or "cpu" for "auto", "cuda" or "cpu".

    Raises:
        UsageError: For "cuda" where torch finds no GPU.
    """
    available = torch.cuda.is_available()
    if requested == "cuda" and not available:
        rule = "must be 'cpu' or 'auto', because torch finds no GPU"
        raise UsageError("device", rule, "cuda", "use --device auto")
    return "cuda" if available and requested != "cpu" else "cpu"


def device_name(device: str) -> str:
    """Returns the name of the GPU, or "cpu"."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


def gpu_name() -> str:
    """Returns the name of the GPU of this machine; "" without one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""
