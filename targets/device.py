"""Where tensors live."""

import torch


def choose_device(requested: str) -> str:
    """Returns "cuda" or "cpu" for "auto", "cuda" or "cpu". Raises ValueError for a GPU that is not there."""
    available = torch.cuda.is_available()
    if requested == "cuda" and not available:
        raise ValueError("device cuda was asked for, but torch finds no GPU; use --device cpu or --device auto")
    return "cuda" if available and requested != "cpu" else "cpu"


def device_name(device: str) -> str:
    """Returns the name of the GPU, or "cpu"."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"
