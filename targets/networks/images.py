"""The check that examples are images, for convolutional networks."""

from mgaudit.errors import UsageError


def require_images(input_shape: tuple[int, ...], smallest: int) -> None:
    """Raises UsageError unless `input_shape` is that of images (channels, height, width).

    Height and width must be at least `smallest` pixels.
    """
    if len(input_shape) != 3:
        raise UsageError(
            "",
            "needs images of shape (channels, height, width)",
            f"examples of shape {input_shape}",
            "use --target mlp for feature vectors",
        )
    if min(input_shape[1:]) < smallest:
        rule = f"needs images of at least {smallest}x{smallest} pixels"
        value = f"{input_shape[1]}x{input_shape[2]}"
        raise UsageError("", rule, value, "use --target mlp for smaller ones")
