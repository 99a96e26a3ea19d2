"""What the first attack gains if it also queries models through the noise of their arm.

The second query is the mean of the logits over draws of the noise. The plain arm, without noise, is
attacked with the same queries, so that the difference to it is not one of effort.
"""

from collections.abc import Sequence

from mgaudit.analysis.numbers import CHANGE, RATE, Numbers, Quantity
from mgaudit.reports.findings import ThroughNoise
from mgaudit.reports.results import AuditResult, NoiseQueries

METRICS = ("auc", "tpr@0.01")


def through_noise(
    arms: Sequence[AuditResult], plain: int | None, numbers: Numbers
) -> list[ThroughNoise]:
    """Returns a record for each metric of each arm that is queried through its noise.

    `plain` is the index of the plain arm, if there is one. An arm with fewer than three targets is
    left out.
    """
    records = []
    for index, arm in enumerate(arms):
        if arm.noise_queries is None:
            continue
        for metric in METRICS:
            record = _measured(index, arm.key, arm.noise_queries, metric, numbers, plain)
            if record is not None:
                records.append(record)
    return records


def _measured(
    index: int,
    arm: str,
    queries: NoiseQueries,
    metric: str,
    numbers: Numbers,
    plain: int | None,
) -> ThroughNoise | None:
    """Returns the numbers of one metric; None with too few targets."""
    direct = Quantity(index, metric, queries.attack)
    through = Quantity(index, metric, queries.name)
    own = numbers.estimate([(1.0, direct)], RATE, over=[through])
    value = numbers.estimate([(1.0, through)], RATE)
    gain = numbers.estimate([(1.0, through), (-1.0, direct)], CHANGE)
    if own is None or value is None or gain is None:
        return None
    of_plain, difference = None, None
    if plain is not None and queries.plain_targets:
        same_queries = Quantity(index, metric, queries.plain_name)
        of_plain = numbers.estimate([(1.0, same_queries)], RATE, over=[through])
        difference = numbers.estimate([(1.0, through), (-1.0, same_queries)], CHANGE)
    return ThroughNoise(
        arm=arm,
        attack=queries.attack,
        draws=queries.draws,
        metric=metric,
        direct=own,
        through=value,
        gain=gain,
        plain=of_plain,
        difference=difference,
    )
