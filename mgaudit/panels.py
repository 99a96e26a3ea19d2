"""The axes of a figure, as `plot` returns them."""

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Panels(list["Axes"]):
    """The axes of one figure, a list with an entry for each panel; a notebook shows the figure."""

    def _repr_png_(self) -> bytes | None:
        if not self:
            return None
        content = BytesIO()
        self[0].figure.savefig(content, format="png", bbox_inches="tight")
        return content.getvalue()
