"""Panels beside and below one another, and what they have in common: size, error bars, one legend."""

import math
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.reports.figures.drawing import STYLE, cut
from mgaudit.reports.record import Estimate

WIDTH = 7.2  # inches
PAGE_HEIGHT = 9.0
MOST_COLUMNS = 3
LEGEND_WIDTH = 100  # characters


def panels(count: int, height: float, sharey: bool = True, columns: int = MOST_COLUMNS) -> tuple[Figure, list[Axes]]:
    """Returns a figure with `count` panels, at most three in a row, of `height` inches where a page has room."""
    columns = min(count, columns)
    rows = math.ceil(count / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, min(height * rows, PAGE_HEIGHT)), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def bars(estimate: Estimate, scale: float = 1.0) -> list[list[float]]:
    """Returns what reaches below and above, as matplotlib's error bars take them."""
    return [[(estimate.value - estimate.low) * scale], [(estimate.high - estimate.value) * scale]]


def legend(figure: Figure, *axes: Axes) -> None:
    """Puts one legend for all panels above them, in as many columns as fit."""
    entries: dict[str, Any] = {}
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        entries = {**dict(zip(labels, handles, strict=True)), **entries}
    if not entries:
        return
    columns = max(1, min(len(entries), MOST_COLUMNS, LEGEND_WIDTH // (max(map(len, entries)) + 8)))
    figure.legend(
        entries.values(), [cut(name, LEGEND_WIDTH - 8) for name in entries], loc="outside upper center", ncols=columns
    )
