"""`mgaudit attack`: other attacks on the models of a finished run."""

from typing import Any

import mgaudit
from mgaudit.cli.ending import reported
from mgaudit.cli.fail_if import (
    FailIfOption,
    FailUnlessOption,
    conditions_on,
    fail_if_met,
)
from mgaudit.cli.options import (
    JobsOption,
    JsonOption,
    QuietOption,
    RunArgument,
    RunsOption,
    with_options,
)
from mgaudit.cli.own_output import own_output
from mgaudit.settings.arguments import ATTACK_AGAIN, RUNS


@with_options(ATTACK_AGAIN)
def attack(
    run: RunArgument,
    *,
    options: dict[str, Any],
    runs: RunsOption = RUNS,
    jobs: JobsOption = None,
    fail_if: FailIfOption = None,
    fail_unless: FailUnlessOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Attack the models of a finished run again, without training.

    - `mgaudit attack latest --attack rmia`

    The result is written to a new run directory beside that of the run.
    """
    both = fail_if, fail_unless
    with reported(), own_output(quiet) as own, conditions_on(*both) as conditions:
        options.setdefault("attack", [])
        result = mgaudit.attack(run, **options, runs=runs, jobs=jobs, quiet=quiet)
        own.folder = result.path
    from mgaudit.cli.printing import print_run

    print_run(result, as_json, quiet)
    fail_if_met(result, conditions, quiet)
