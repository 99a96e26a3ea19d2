"""`mgaudit run`: an audit of a noise scheme, beside no noise and DP-SGD."""

from typing import Any

import mgaudit
from mgaudit.cli.ending import reported
from mgaudit.cli.fail_if import (
    FailIfOption,
    FailUnlessOption,
    checked_conditions,
    fail_if_met,
    refuse_with_shard,
)
from mgaudit.cli.options import (
    JsonOption,
    NewFolderOption,
    QuietOption,
    ShardOption,
    with_options,
)
from mgaudit.cli.own_output import own_output
from mgaudit.cli.shards import print_shard
from mgaudit.settings.arguments import RUN, RUNS


@with_options(RUN)
def run(
    *,
    options: dict[str, Any],
    shard: ShardOption = None,
    out_folder: NewFolderOption = RUNS,
    fail_if: FailIfOption = None,
    fail_unless: FailUnlessOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train models with and without noise, attack them, and write a report.

    - `mgaudit run --target cnn --kappa 0.3`
    - `mgaudit run --scheme dropout:rate=0.2 --attack rmia --epochs 50`

    By default: the Gaussian mask (κ = 0.3), no noise and DP-SGD (ε = 8), on a small CNN and
    scikit-learn's digits.
    """
    with reported():
        refuse_with_shard(shard, fail_if=fail_if, fail_unless=fail_unless)
    if shard is not None:
        with reported("the training"), own_output(quiet):
            from mgaudit.shards import run_shard

            trained = run_shard(shard, **options, quiet=quiet)
        print_shard(trained, as_json, quiet)
        return
    with reported(), own_output(quiet) as own:
        conditions = checked_conditions(fail_if, fail_unless)
        result = mgaudit.run(**options, out=out_folder, quiet=quiet)
        own.folder = result.path
    from mgaudit.cli.printing import print_run

    print_run(result, as_json, quiet)
    fail_if_met(result, conditions, quiet)
