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
    """Audit DP-SGD in one run: a lower bound on its ε from canaries, beside the claimed ε.

    - `mgaudit audit-dp --epsilon 2 --canaries 500`
    - `mgaudit audit-dp --epsilon 8 --adversary white-box`

    A fair coin decides for each canary whether the model trains on it; all other examples are
    always trained on. The audit guesses the coins from the outputs of the trained model. Many right
    guesses prove that ε is not small. A bound above the claimed ε is an alarm.

    The white-box adversary adds canaries to every step and sees what the step releases. It proves
    far more, and checks noise, clipping and sampling; a failed check is an alarm.
    """
    with reported(), own_output(quiet) as own:
        result = mgaudit.audit_dp(**options, out=out_folder, quiet=quiet)
        own.folder = result.path
    from mgaudit.cli.printing import print_dp_audit

    print_dp_audit(result, as_json, quiet)
