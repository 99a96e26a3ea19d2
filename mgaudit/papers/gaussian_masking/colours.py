"""One colour for each strength, from dark blue (none) to orange, told apart by colour-blind readers."""

from matplotlib import colormaps
from matplotlib.colors import to_hex


def shade(place: int, of: int) -> str:
    """Returns the colour of strength number `place` of so many."""
    return to_hex(colormaps["viridis"](0.9 * place / max(of - 1, 1)))
