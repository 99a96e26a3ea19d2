"""One colour for each strength, from dark blue (none) to yellow, safe for colour-blind readers."""

from matplotlib import colormaps
from matplotlib.colors import to_hex


def shade(index: int, count: int) -> str:
    """Returns the colour of strength `index` of `count`."""
    last = max(count - 1, 1)
    viridis = colormaps["viridis"]
    return to_hex(viridis(0.9 * index / last))
