"""A figure with its caption and its data, rendered as SVG or PDF."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from mgaudit.reports.csv_text import csv_text
from mgaudit.reports.formats.visible import visible
from mgaudit.reports.record import Estimate

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.container import ErrorbarContainer
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
WIDTH = 7.2  # inches of a figure that is as wide as the text
TITLE = 30
TIP = "tip:"  # begins the id of an element of the SVG whose values are shown where one points
OF_TIP = re.compile(f'<g id="{TIP}([^"]*)">')

Item = TypeVar("Item")
Row = Mapping[str, str | float]


@dataclass(frozen=True)
class Drawing:
    """A figure, its caption, a description in words for screen readers, and the data drawn.

    `draw` makes the figure. It is called once, by the first format that needs it; CSV needs only
    the data.
    """

    name: str
    draw: Callable[[], "Figure"]
    caption: str
    description: str
    data: Sequence[Row]
    _rendered: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def figure(self) -> "Figure":
        """The figure with a fixed layout."""
        from mgaudit.reports.figures.log_ticks import label_powers

        figure = self.draw()
        for axes in figure.axes:
            label_powers(axes)
        # Constrained layout moves a little with each save; with a fixed layout, all formats show
        # the same figure.
        engine = figure.get_layout_engine()
        with _style():
            if engine is not None:
                engine.execute(figure)
        figure.set_layout_engine(None)  # with "none" each save would draw twice
        return figure

    @property
    def share_of_width(self) -> float:
        """The share of the width of the text that the figure takes on paper."""
        return min(float(self.figure.get_figwidth()) / WIDTH, 1.0)

    def svg(self, prefix: str = "") -> str:
        """Returns the figure as an SVG element, the same bytes each time; HTML and PDF share it.

        `prefix` keeps the ids of figures on one page apart.
        """
        if prefix not in self._rendered:
            self._rendered[prefix] = self._svg(prefix)
        return self._rendered[prefix]

    def _svg(self, prefix: str) -> str:
        figure, buffer = self.figure, io.StringIO()
        with _style(**{"svg.hashsalt": prefix + self.name}):
            metadata = {"Date": None, "Creator": None}
            figure.savefig(buffer, format="svg", metadata=metadata, transparent=True)
        text = buffer.getvalue()
        return with_titles(text[text.index("<svg") :])

    def pdf(self) -> bytes:
        """Returns the figure as a PDF page with its fonts, the same bytes each time."""
        figure, buffer = self.figure, io.BytesIO()
        metadata = {"CreationDate": None, "Creator": None}
        with _style():
            figure.savefig(buffer, format="pdf", metadata=metadata)
        return buffer.getvalue()

    def csv(self) -> str:
        """Returns the data drawn, at full precision, as CSV."""
        columns = list(dict.fromkeys(name for row in self.data for name in row))
        rows = ([row.get(name) for name in columns] for row in self.data)
        return csv_text([columns, *rows])


def set_tip(artist: "Artist | ErrorbarContainer", text: str) -> None:
    """Has `text` shown where one points at this part of the figure in HTML."""
    parts = artist.get_children() if isinstance(artist, tuple) else [artist]
    for part in parts:
        part.set_gid(TIP + visible(text))


def with_titles(svg: str) -> str:
    """Returns the SVG with the texts of `set_tip` as titles, which browsers show.

    >>> with_titles('<g id="tip:no noise: 0.6"><path/></g>')
    '<g class="tip"><title>no noise: 0.6</title><path/></g>'
    """
    return OF_TIP.sub(r'<g class="tip"><title>\1</title>', svg)


def _style(**more: Any) -> AbstractContextManager[None]:
    import matplotlib as mpl  # imported here, because it takes half a second

    settings: Any = {**STYLE, **more}
    return mpl.rc_context(settings)


def pages(name: str, items: Sequence[Item], most: int) -> list[tuple[str, list[Item]]]:
    """Returns the parts of at most so many items, each with the name of its figure.

    >>> pages("scores", [0, 1], 2), pages("scores", [0, 1, 2], 2)
    ([('scores', [0, 1])], [('scores-1', [0, 1]), ('scores-2', [2])])
    """
    parts = [list(items[start : start + most]) for start in range(0, len(items), most)]
    if len(parts) == 1:
        return [(name, parts[0])]
    return [(f"{name}-{count}", part) for count, part in enumerate(parts, start=1)]


def estimate_cells(name: str, estimate: Estimate | None) -> dict[str, float]:
    """Returns an estimate and its interval as cells of a row; no cells without an estimate."""
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def cut(text: str, length: int) -> str:
    """Returns a name for a figure, shortened in the middle to at most `length` characters.

    Names often differ only at the end. A character that the font lacks is shown as its number.

    >>> cut("gaussian-mask (kappa=0.3, fixed=true)", 20)
    'gaussian-m…xed=true)'
    """
    text = visible(text)
    if len(text) <= length:
        return text
    kept = length - 1
    at_end = kept // 2
    return f"{text[: kept - at_end]}…{text[len(text) - at_end :]}"
