"""The rows of the CSV on the attack on canaries."""

from collections.abc import Iterator

from mgaudit.reports.canaries import CanaryAttack
from mgaudit.reports.metric_names import tpr_name

CanaryRow = dict[str, str | int | float | None]


def canary_rows(attack: CanaryAttack | None) -> Iterator[CanaryRow]:
    """Yields the numbers of the attack on the canaries, and then on all other examples.

    A study without canaries has no row.
    """
    if attack is None:
        return
    groups = {f"{attack.kind} canaries": attack.canaries, "no canaries": attack.others}
    for name, group in groups.items():
        what = f"pooled, {name}"
        yield {"what": f"{what}: examples", "value": group.examples}
        yield {"what": f"{what}: non-members", "value": group.non_members}
        estimates = {"auc": group.auc}
        if attack.level is not None:
            estimates[tpr_name(attack.level)] = group.tpr
        for metric, estimate in estimates.items():
            if estimate is not None:
                row: CanaryRow = {"what": what, "metric": metric, "value": estimate.value}
                yield row | {"low": estimate.low, "high": estimate.high}
