"""The kinds of weight noise that the figures compare, and how each is drawn."""

from matplotlib.axes import Axes

from mgaudit.targets.schemes import Scheme, WeightNoise

NOISES = ("none", "all layers", "layer-wise")
NOISE_LOOKS = {"none": ("#000000", "o"), "all layers": ("#D55E00", "s"), "layer-wise": ("#0072B2", "^")}


def scheme(noise: str, sigma: float) -> Scheme:
    """Returns the scheme: sd σ/√M on all M groups of weights, or σ on one group after the other."""
    return Scheme() if noise == "none" else WeightNoise(sigma, layerwise=noise == "layer-wise")


def line(axes: Axes, noise: str, x: list[float], y: list[float], style: str = "-", label: str | None = None) -> None:
    """Draws a line in the colour and with the mark of a kind of noise."""
    colour, mark = NOISE_LOOKS[noise]
    axes.plot(x, y, color=colour, linestyle=style, marker=mark if style == "-" else "", markersize=4, label=label)
