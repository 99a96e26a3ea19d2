"""What `--dry-run` prints: what would be trained, how long that takes, and what it would detect."""

import json
from dataclasses import asdict

from rich.table import Table as RichTable
from rich.text import Text

from mgaudit.analysis.detectable import POWER, Detectable
from mgaudit.cli.console import out
from mgaudit.reports.metric_names import fpr_of, is_tpr
from mgaudit.study.plan_time import CellTime, PlanTime
from mgaudit.targets.free_memory import size_text
from mgaudit.time_text import time_text

TITLE = f"smallest true effects that are detected with {100 * POWER:.0f} % power"
NOTE = (
    "Approximate, for intervals that hold together at 95 %. The attacks on two arms err alike if "
    "they fail on the same models and examples, as they mostly did where it was measured."
)


UNKNOWN = "not known"
UNKNOWN_LINE = (
    "the time of a training function is not known before it has run: an audit with --models 3 "
    "keeps 3 models, from which this estimate then follows"
)


def print_estimate(estimate: PlanTime, as_json: bool, quiet: bool) -> None:
    """Prints the plan and its time, as tables or as one JSON object, or nothing."""
    if as_json:
        print(json.dumps({**asdict(estimate), "seconds": estimate.seconds}))
    elif not quiet:
        _print_tables(estimate)


def _print_tables(estimate: PlanTime) -> None:
    """Prints two tables for each study, and the time of all."""
    for cell in estimate.cells:
        out.print(_table(cell))
        out.print(Text(f"attacks: {', '.join(cell.attacks)}"))
        out.print()
        out.print(_detectable_table(cell.detectable))
        out.print(Text(NOTE, style="dim"))
        out.print()
    out.print(_total(estimate), highlight=False, soft_wrap=True)
    if estimate.memory:
        sizes = f"{size_text(estimate.memory)} of memory and {size_text(estimate.disk)} on disk"
        out.print(f"at least {sizes}", highlight=False, soft_wrap=True)
    if estimate.search_models:
        searches = f"searches for settings train up to {estimate.search_models} models before"
        line = f"{searches}; their time is not counted, and training takes other times after them"
        out.print(line, highlight=False, soft_wrap=True)


def _total(estimate: PlanTime) -> str:
    """Returns the time of all studies in one line, or why it is not known."""
    workers = "1 worker" if estimate.workers == 1 else f"{estimate.workers} workers"
    if estimate.seconds is not None:
        total = f"about {time_text(estimate.seconds)} with {workers}"
        return f"{total}, reports not counted; measured on this machine"
    training = [cell.training for cell in estimate.cells]
    known = [seconds for seconds in training if seconds is not None]
    if len(known) < len(training):
        return UNKNOWN_LINE
    total = f"about {time_text(sum(known))} of training with {workers}"
    return f"{total}, as long as the kept models took; attacks and reports not counted"


def _table(cell: CellTime) -> RichTable:
    table = RichTable(
        title=cell.name, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    table.add_column("arm", overflow="fold")
    for column in ("models", "there", "training"):
        table.add_column(column, justify="right")
    for arm in cell.arms:
        table.add_row(Text(arm.label), str(arm.models), str(arm.there), _time(arm.training))
    if cell.auditing is not None:
        table.add_row(Text("queries and attacks", style="dim"), "", "", _time(cell.auditing))
    return table


def _time(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else time_text(seconds)


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
