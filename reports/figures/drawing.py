"""A figure with its words and its numbers, and how it becomes SVG or PDF."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mgaudit.reports.formats.visible import visible
from mgaudit.reports.record import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
}
TITLE = 30

Row = Mapping[str, str | float]


@dataclass(frozen=True)
class Drawing:
    """A figure, a short caption, what it shows in words for those who do not see it, and the numbers drawn.

    `draw` makes the figure. It is called once, by the first format that shows it; CSV needs the numbers alone.
    """

    name: str
    draw: Callable[[], "Figure"]
    caption: str
    description: str
    data: Sequence[Row]

    @cached_property
    def figure(self) -> "Figure":
        """The figure with a layout that no save moves."""
        from mgaudit.reports.figures.log_ticks import label_powers

        figure = self.draw()
        for axes in figure.axes:
            label_powers(axes)
        # Constrained layout goes on moving with each save; fixed here, all formats show the same figure.
        with _style():
            figure.draw_without_rendering()
        figure.set_layout_engine(None)  # with "none" each save would draw twice
        return figure

    def svg(self, prefix: str = "") -> str:
        """Returns the figure as an SVG element, the same bytes each time; `prefix` keeps ids apart on one page."""
        figure, buffer = self.figure, io.StringIO()
        with _style(**{"svg.hashsalt": prefix + self.name}):
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        text = buffer.getvalue()
        return text[text.index("<svg") :]

    def pdf(self) -> bytes:
        """Returns the figure as a PDF page with its fonts, the same bytes each time."""
        figure, buffer = self.figure, io.BytesIO()
        with _style():
            figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Creator": None})
        return buffer.getvalue()

    def csv(self) -> str:
        """Returns the numbers drawn, in full, as CSV."""
        columns = list(dict.fromkeys(name for row in self.data for name in row))
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.data)
        return buffer.getvalue()


def _style(**more: Any) -> AbstractContextManager[None]:
    import matplotlib as mpl  # takes half a second, which only those who draw should wait

    settings: Any = {**STYLE, **more}
    return mpl.rc_context(settings)


def estimate_cells(name: str, estimate: Estimate | None) -> dict[str, float]:
    """Returns an estimate and its interval as cells of a row of data; none where there is no estimate."""
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def cut(text: str, length: int) -> str:
    """Returns a name as figures show it: its beginning, an ellipsis and its end where it is longer than that.

    Names often differ in their last part alone. What the font does not have is shown by its number.

    >>> cut("gaussian-mask (kappa=0.3, fixed=true)", 20)
    'gaussian-m…xed=true)'
    """
    text, kept = visible(text), length - 1
    return text if len(text) <= length else f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
