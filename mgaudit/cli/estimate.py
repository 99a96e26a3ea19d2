"""The tables of `mgaudit compare --dry-run`: what would be trained, and what it would detect."""

from rich.table import Table as RichTable
from rich.text import Text

from mgaudit.analysis.detectable import POWER, Detectable
from mgaudit.cli.console import out
from mgaudit.reports.metric_names import fpr_of, is_tpr
from mgaudit.study.estimate import CellTime, PlanTime
from mgaudit.targets.free_memory import size_text
from mgaudit.time_text import time_text

TITLE = f"smallest true effects that are detected with {100 * POWER:.0f} % power"
NOTE = (
    "Approximate, for intervals that hold together at 95 %. The attacks on two arms err alike if "
    "they fail on the same models and examples, as they mostly did where it was measured."
)


def print_estimate(estimate: PlanTime) -> None:
    """Prints two tables for each study, and the time of all."""
    for cell in estimate.cells:
        out.print(_table(cell))
        out.print()
        out.print(_detectable_table(cell.detectable))
        out.print(Text(NOTE, style="dim"))
        out.print()
    workers = "1 worker" if estimate.workers == 1 else f"{estimate.workers} workers"
    total = f"about {time_text(estimate.seconds)} with {workers}"
    line = f"{total}, reports not counted; measured on this machine"
    out.print(line, highlight=False, soft_wrap=True)
    sizes = f"{size_text(estimate.memory)} of memory and {size_text(estimate.disk)} on disk"
    out.print(f"at least {sizes}", highlight=False, soft_wrap=True)
    if estimate.search_models:
        searches = f"searches for settings train up to {estimate.search_models} models before"
        line = f"{searches}; their time is not counted, and training takes other times after them"
        out.print(line, highlight=False, soft_wrap=True)


def _table(cell: CellTime) -> RichTable:
    table = RichTable(
        title=cell.name, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    table.add_column("arm", overflow="fold")
    for column in ("models", "there", "training"):
        table.add_column(column, justify="right")
    for arm in cell.arms:
        label, training = Text(arm.label), time_text(arm.training)
        table.add_row(label, str(arm.models), str(arm.there), training)
    table.add_row(Text("queries and attacks", style="dim"), "", "", time_text(cell.auditing))
    return table


def _detectable_table(effects: list[Detectable]) -> RichTable:
    """Returns a table with the smallest effects that a study can detect."""
    table = RichTable(
        title=TITLE, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    table.add_column("metric")
    table.add_column("arm - chance", justify="right")
    has_plain = any(effect.has_plain for effect in effects)
    if has_plain:
        table.add_column("arm - no noise, if they err alike", justify="right")
        table.add_column("independently", justify="right")
    for effect in effects:
        numbers = [effect.excess]
        if has_plain:
            numbers += [effect.difference, effect.independent_difference]
        table.add_row(_title(effect.metric), *(_number(effect, number) for number in numbers))
    return table


def _title(metric: str) -> str:
    return f"TPR @ {100 * fpr_of(metric):g} % FPR" if is_tpr(metric) else metric.upper()


def _number(effect: Detectable, number: float | None) -> str:
    """Returns the effect in the unit of its metric, or "none" if no effect is large enough."""
    if number is None:
        return "none"
    return f"{100 * number:.2g} points" if is_tpr(effect.metric) else f"{number:.2g}"
