"""The kinds of weight noise that the figures compare, and their colours and marks.

σ is the strength of the noise. "all layers" puts noise of standard deviation σ/√M on all M groups
of weights at once. "layer-wise" puts noise of standard deviation σ on one group at each step, in
turn.
"""

from matplotlib.axes import Axes

from mgaudit.targets.schemes import Scheme, WeightNoise

NOISES = ("none", "all layers", "layer-wise")
NOISE_LOOKS = {
    "none": ("#000000", "o"),
    "all layers": ("#D55E00", "s"),
    "layer-wise": ("#0072B2", "^"),
}


def scheme(noise: str, sigma: float) -> Scheme:
    """Returns the training scheme for one of NOISES; `sigma` >= 0 is ignored for "none"."""
    if noise == "none":
        return Scheme()
    return WeightNoise(sigma, layerwise=noise == "layer-wise")


def line(
    axes: Axes,
    noise: str,
    x: list[float],
    y: list[float],
    style: str = "-",
    label: str | None = None,
) -> None:
    """Draws a line in the colour of a kind of noise, with marks at the points if it is solid.

    `style` is a line style of matplotlib.
    """
    colour, mark = NOISE_LOOKS[noise]
    marker = mark if style == "-" else ""
    axes.plot(x, y, color=colour, linestyle=style, marker=marker, markersize=4, label=label)


def scatter(
    axes: Axes, noise: str, x: list[float], y: list[float], label: str | None = None
) -> None:
    """Draws marks in the colour and shape of a kind of noise."""
    colour, mark = NOISE_LOOKS[noise]
    axes.plot(x, y, color=colour, marker=mark, linestyle="", markersize=3, alpha=0.6, label=label)


def noise_label(noise: str) -> str:
    """Returns the legend's words for marks of a kind of noise."""
    return "no noise" if noise == "none" else f"noise, {noise}"
