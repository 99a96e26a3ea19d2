"""`mgaudit audit-dp`: DP-SGD audited in one run."""

from typing import Any

import mgaudit
from mgaudit.cli.ending import reported
from mgaudit.cli.options import (
    JsonOption,
    NewFolderOption,
    QuietOption,
    with_options,
)
from mgaudit.cli.own_output import own_output
from mgaudit.settings.arguments import AUDIT_DP, RUNS


@with_options(AUDIT_DP)
def audit_dp(
    *,
    options: dict[str, Any],
    out_folder: NewFolderOption = RUNS,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Audit DP-SGD: a lower bound on its ε from canaries, beside the claimed ε.

    - `mgaudit audit-dp --epsilon 2 --canaries 500`
    - `mgaudit audit-dp --epsilon 8 --adversary white-box`

    A fair coin decides for each canary whether the model trains on it. Many right guesses of the
    coins prove that ε is not small; a bound above the claimed ε is an alarm. The white-box
    adversary adds canaries to every step and sees what it releases. It proves far more, and checks
    noise, clipping and sampling.
    """
    with reported(), own_output(quiet) as own:
        result = mgaudit.audit_dp(**options, out=out_folder, quiet=quiet)
        own.folder = result.path
    from mgaudit.cli.printing import print_dp_audit

    print_dp_audit(result, as_json, quiet)
