"""Privacy audits of training noise: how much privacy does it buy, and at what accuracy?

    >>> import mgaudit
    >>> result = mgaudit.run(target="cnn", kappa=0.3)  # doctest: +SKIP
    >>> print(result.verdict)  # doctest: +SKIP

`run`, `compare`, `audit_checkpoint`, `audit_dp` and `attack` are the commands of the command line,
with the same arguments; `load` returns the result of an earlier run, and `tune_dp` searches for the
settings of DP-SGD. `WhiteBoxAuditor` audits a training loop with Opacus while it runs. Importing
this module imports nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mgaudit.version import __version__

if TYPE_CHECKING:
    from mgaudit.api import attack as attack
    from mgaudit.api import audit_checkpoint as audit_checkpoint
    from mgaudit.api import audit_dp as audit_dp
    from mgaudit.api import compare as compare
    from mgaudit.api import load as load
    from mgaudit.api import run as run
    from mgaudit.api import tune_dp as tune_dp
    from mgaudit.dp_result import DPResult as DPResult
    from mgaudit.errors import UsageError as UsageError
    from mgaudit.estimates import estimate as estimate
    from mgaudit.failure import RunFailedError as RunFailedError
    from mgaudit.function_runs import audit as audit
    from mgaudit.paper_runs import reproduce as reproduce
    from mgaudit.result import Result as Result
    from mgaudit.score_runs import score as score
    from mgaudit.settings.study_object import Study as Study
    from mgaudit.tuning_result import TuningResult as TuningResult
    from mgaudit.white_box_auditor import WhiteBoxAuditor as WhiteBoxAuditor

_MODULES = {
    "attack": "mgaudit.api",
    "audit": "mgaudit.function_runs",
    "audit_checkpoint": "mgaudit.api",
    "audit_dp": "mgaudit.api",
    "compare": "mgaudit.api",
    "estimate": "mgaudit.estimates",
    "load": "mgaudit.api",
    "reproduce": "mgaudit.paper_runs",
    "run": "mgaudit.api",
    "score": "mgaudit.score_runs",
    "tune_dp": "mgaudit.api",
    "DPResult": "mgaudit.dp_result",
    "Result": "mgaudit.result",
    "RunFailedError": "mgaudit.failure",
    "Study": "mgaudit.settings.study_object",
    "TuningResult": "mgaudit.tuning_result",
    "UsageError": "mgaudit.errors",
    "WhiteBoxAuditor": "mgaudit.white_box_auditor",
}

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'mgaudit' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Returns the public names."""
    return sorted(__all__)
