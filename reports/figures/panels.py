"""Panels in rows and columns with a shared size, error bars and one legend."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.reports.figures.drawing import STYLE, WIDTH, cut
from mgaudit.reports.record import Estimate

PAGE_HEIGHT = 9.0
MOST_COLUMNS = 3
LEGEND_WIDTH = 100  # characters in a figure of this width


def panels(
    count: int, height: float, sharey: bool = True, columns: int = MOST_COLUMNS
) -> tuple[Figure, list[Axes]]:
    """Returns a figure with `count` panels and their axes, row by row.

    Args:
        count: The number of panels.
        height: The height of a row in inches; rows are lower if they would not fit on a page.
        sharey: Whether all panels have the same y axis.
        columns: The largest number of panels in a row.
    """
    columns = columns_of(count, columns)
    rows = math.ceil(count / columns)
    size = (WIDTH, min(height * rows, PAGE_HEIGHT))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    axes = list(grid.flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def columns_of(count: int, most: int = MOST_COLUMNS) -> int:
    """Returns the number of panels in a row: as many as fit, but two rows of two for four.

    >>> [columns_of(count) for count in (1, 3, 4, 5)]
    [1, 3, 2, 3]
    """
    return 2 if count == 4 and most == MOST_COLUMNS else min(count, most)


def bars(estimate: Estimate, scale: float = 1.0) -> list[list[float]]:
    """Returns the distances to the lower and upper bound as error bars for matplotlib."""
    below = (estimate.value - estimate.low) * scale
    above = (estimate.high - estimate.value) * scale
    return [[below], [above]]


def error_bars(estimates: Sequence[Estimate], scale: float = 1.0) -> list[list[float]]:
    """Returns the error bars of several points: all distances below, then all above."""
    pairs = [bars(estimate, scale) for estimate in estimates]
    return [[below for (below,), _ in pairs], [above for _, (above,) in pairs]]


def legend(figure: Figure, *panel_axes: Axes) -> None:
    """Puts one legend for all panels above them, in as many columns as fit."""
    entries: dict[str, Any] = {}
    for axes in panel_axes:
        handles, labels = axes.get_legend_handles_labels()
        # The first panel that has a label provides its handle.
        entries = {**dict(zip(labels, handles, strict=True)), **entries}
    if not entries:
        return
    width = round(LEGEND_WIDTH * figure.get_figwidth() / WIDTH)
    fitting = width // (max(map(len, entries)) + 8)
    columns = max(1, min(len(entries), MOST_COLUMNS, fitting))
    names = [cut(name, width - 8) for name in entries]
    figure.legend(entries.values(), names, loc="outside upper center", ncols=columns)
