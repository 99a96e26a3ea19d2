"""`mgaudit run`: an audit of a noise scheme, beside no noise and DP-SGD."""

from typing import Any

import mgaudit
from mgaudit.cli.ending import reported
from mgaudit.cli.fail_if import (
    FailIfOption,
    FailUnlessOption,
    conditions_on,
    fail_if_met,
    refuse_with_shard,
)
from mgaudit.cli.options import (
    DryRunOption,
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
    dry_run: DryRunOption = False,
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

    By default: Gaussian mask (κ = 0.3), no noise and DP-SGD (ε = 8); CNN; digits.
    """
    with reported():
        refuse_with_shard(shard, fail_if=fail_if, fail_unless=fail_unless, dry_run=dry_run)
    if dry_run:
        with reported(), own_output(quiet), conditions_on(fail_if, fail_unless):
            from mgaudit.estimates import estimate_run

            estimate = estimate_run(**options, quiet=quiet)
        from mgaudit.cli.estimate import print_estimate

        print_estimate(estimate, as_json, quiet)
        return
    if shard is not None:
        with reported("the training"), own_output(quiet):
            from mgaudit.shards import run_shard

            trained = run_shard(shard, **options, quiet=quiet)
        print_shard(trained, as_json, quiet)
        return
    both = fail_if, fail_unless
    with reported(), own_output(quiet) as own, conditions_on(*both) as conditions:
        result = mgaudit.run(**options, out=out_folder, quiet=quiet)
        own.folder = result.path
    from mgaudit.cli.printing import print_run

    print_run(result, as_json, quiet)
    fail_if_met(result, conditions, quiet)
