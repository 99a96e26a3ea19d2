"""One colour for each strength of the mask (kappa), safe for colour-blind readers.

Colours go from dark blue for the weakest mask to yellow for the strongest.
"""

from matplotlib import colormaps
from matplotlib.colors import to_hex


def shade(index: int, count: int) -> str:
    """Returns the colour, "#rrggbb", of the strength with this `index` from 0, out of `count`."""
    last = max(count - 1, 1)
    viridis = colormaps["viridis"]
    return to_hex(viridis(0.9 * index / last))
