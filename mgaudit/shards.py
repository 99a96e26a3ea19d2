"""Train shares of the models of `run` and `compare` on machines that share a cache."""

from __future__ import annotations

from typing import Any

from mgaudit.api import compare, run
from mgaudit.argument_names import values_of
from mgaudit.argument_types import StudyArgument
from mgaudit.errors import UsageError
from mgaudit.progress_bars import on_stderr
from mgaudit.run_plans import arguments_of_compare, plan_of_compare, plan_of_run
from mgaudit.running import checked_jobs
from mgaudit.study.shard import KEY, Shard, ShardResult, train_shard


def run_shard(shard: str, **arguments: Any) -> ShardResult:
    """Trains one share of the models of `run`, and keeps them in the cache.

    Args:
        shard: The number of the share and the number of shares, as in "1/3".
        **arguments: Those of `run`, but `cluster` and `out`. When all shares are trained, `run`
            with the same arguments finds the models.

    Raises:
        UsageError: An argument is wrong, or data cannot be read.
    """
    values = values_of(run, arguments)
    number = checked_shard(shard, values["cluster"], values["fit"])
    progress = values["progress"] or on_stderr(values["quiet"])
    with progress:
        plan, workers = plan_of_run(values, progress)
        return train_shard([plan], number, workers, progress)


def compare_shard(shard: str, study: StudyArgument | None = None, **arguments: Any) -> ShardResult:
    """Trains one share of the models of `compare`; see `run_shard`."""
    values = values_of(compare, {"study": study, **arguments})
    number = checked_shard(shard, values["cluster"], values["x"])
    progress = values["progress"] or on_stderr(values["quiet"])
    workers = checked_jobs(values["jobs"])
    with progress:
        plan = plan_of_compare(study, arguments_of_compare(values), workers, progress)
        return train_shard(plan.cells, number, workers, progress)


def checked_shard(shard: str, cluster: object, function: object) -> Shard:
    """Returns the share. Raises UsageError for a wrong text and beside what has no shares."""
    if cluster is not None:
        way_out = "a cluster divides the models among its workers; leave --shard out"
        raise UsageError(KEY, "must not be given with --cluster", shard, way_out)
    if function is not None:
        way_out = "use --jobs or --cluster"
        raise UsageError(KEY, "must not be given with a training function", shard, way_out)
    return Shard.of(shard)
