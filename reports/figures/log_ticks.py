"""Ticks of logarithmic axes, labelled without math text, which is off in all figures."""

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogFormatter, NullFormatter

SHORT = 30  # ratio of the ends of an axis
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def label_powers(axes: Axes) -> None:
    """Labels the ticks of logarithmic axes that have no labels of their own."""
    for axis in (axes.xaxis, axes.yaxis):
        if not isinstance(axis.get_major_formatter(), LogFormatter):
            continue
        axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
        low, high = sorted(map(abs, axis.get_view_interval()))
        is_short = axis.get_scale() == "log" and high < SHORT * low
        if is_short:  # at most a few powers are in view
            axis.set_minor_formatter(FuncFormatter(lambda value, _: _few(value)))
        else:
            axis.set_minor_formatter(NullFormatter())


def power_of_ten(value: float) -> str:
    """Returns the label of a tick: a plain number if it is short, else a power of ten.

    >>> power_of_ten(0.1), power_of_ten(0.0), power_of_ten(1e-4), power_of_ten(-1e12)
    ('0.1', '0', '10⁻⁴', '−10¹²')
    >>> power_of_ten(2000)
    '2·10³'
    """
    if value == 0 or 0.01 <= abs(value) <= 1000:
        return f"{value:g}".replace("-", "−")
    factor, _, power = f"{abs(value):.2e}".partition("e")
    sign = "−" if value < 0 else ""
    times = "" if float(factor) == 1 else f"{float(factor):g}·"
    exponent = str(int(power)).translate(RAISED)
    return f"{sign}{times}10{exponent}"


def _few(value: float) -> str:
    """Returns the label of a tick between powers of ten, at 2 and 5 only."""
    return power_of_ten(value) if f"{value:e}"[0] in "25" else ""
