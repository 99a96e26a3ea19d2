"""The axes of a figure, as `plot` returns them."""

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Panels(list["Axes"]):
    """The axes of a figure, a list with an entry for each panel; a notebook shows the figure."""

    def __init__(self, figure: "Figure") -> None:
        super().__init__(figure.axes)
        self._figure = figure

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self._figure.savefig(content, format="png")
        return content.getvalue()
