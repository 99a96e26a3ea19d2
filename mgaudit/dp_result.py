"""What an audit of DP-SGD returns in Python."""

from pathlib import Path
from typing import TYPE_CHECKING

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import DPAuditResult, bounds_table, finding
from mgaudit.reports.table import table_html
from mgaudit.reports.white_box import checks_table
from mgaudit.storage.atomic import write_atomically
from mgaudit.targets.home import with_home

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("method", "epsilon", "statement_about")


class DPResult:
    """The result of `mgaudit.audit_dp` and of `mgaudit.WhiteBoxAuditor`.

    `record` holds every number as `dp-audit.json` does, `arrays` the scores of the canaries with
    their membership, and `path` the run directory, None for the audit of a loop of one's own.
    """

    def __init__(self, record: DPAuditResult, arrays: Arrays, path: Path | None) -> None:
        self.record = record
        self.arrays = arrays
        self.path = path

    def __repr__(self) -> str:
        return f"<mgaudit.DPResult: {self.record.label}; {self.verdict}>"

    @property
    def alarm(self) -> bool:
        """Whether a lower bound on ε is above the claimed ε, or a white-box check failed."""
        return self.record.alarm

    @property
    def verdict(self) -> str:
        """The finding in one sentence."""
        return finding(self.record)

    def to_frame(self) -> "pd.DataFrame":
        """Returns the lower bounds on ε (nats): `method`, `epsilon` and `statement_about`."""
        import pandas as pd

        rows = [(bound.method, bound.epsilon, bound.speaks_of) for bound in self.record.bounds]
        return pd.DataFrame(rows, columns=COLUMNS)

    def checks(self) -> "pd.DataFrame":
        """Returns the checks of a white-box audit, a row for each; none for other audits."""
        import pandas as pd

        from mgaudit.reports.white_box import CheckResult

        facts = self.record.white_box
        rows = [] if facts is None else [check.model_dump() for check in facts.checks]
        return pd.DataFrame(rows, columns=list(CheckResult.model_fields))

    def save(self, path: str | Path) -> Path:
        """Writes the result as .json and returns the path. Raises UsageError for another suffix."""
        path = with_home(path, "path")
        if path.suffix.lower() != ".json":
            raise UsageError("path", "must end with .json", repr(str(path)))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (self.record.model_dump_json(indent=2) + "\n").encode())
        return path

    def _repr_html_(self) -> str:
        facts = self.record.white_box
        checks = "" if facts is None else table_html(checks_table(facts))
        return table_html(bounds_table(self.record)) + checks + f"<p>{self.verdict}</p>"
