"""What came out for a paper's figures and claims, to and from JSON."""

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from mgaudit.errors import UsageError
from mgaudit.reports.record import Record

REPRODUCTION_FILE = "reproduction.json"

Verdict = Literal["holds", "does not hold", "not run here"]
VERDICTS: tuple[Verdict, ...] = ("holds", "does not hold", "not run here")


class ClaimResult(Record):
    """One claim and its verdict.

    `quantity` says what `value` is; `low` and `high` are its 95 % interval, if chance is in it, and the claim allows
    what lies from `at_least` to `at_most`, each None where there is no such bound. `why` says why a claim was not run,
    and then there is no value.
    """

    key: str
    statement: str
    place: str
    verdict: Verdict
    quantity: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    why: str = ""


class FigureResult(Record):
    """A figure: what was measured for it, in `data` by the name of the table, and the claims that this decides.

    A number that is not finite, as where training diverged, is None. Without `data` the figure was not run; `failed`
    says what went wrong, if something did.
    """

    key: str
    title: str
    about: str
    description: str
    settings: dict[str, Any]
    seconds: float
    data: dict[str, list[dict[str, str | float | None]]]
    claims: list[ClaimResult]
    failed: str = ""


class PaperResult(Record):
    """A paper's figures, all or some, made with `quick` or `full` settings by `command`."""

    schema_version: Literal[1] = 1
    key: str
    title: str
    source: str
    about: str
    scale: Literal["quick", "full"]
    command: str
    figures: list[FigureResult]
    versions: dict[str, str]
    processor: str
    started: str
    seconds: float

    @property
    def claims(self) -> list[ClaimResult]:
        """The claims of all figures in their order."""
        return [claim for figure in self.figures for claim in figure.claims]

    def count_claims(self, verdict: Verdict) -> int:
        """Returns how many claims have that verdict."""
        return sum(claim.verdict == verdict for claim in self.claims)


def read_paper(folder: Path) -> PaperResult | None:
    """Returns the result that is kept in a run folder; None where it is the folder of something else.

    Raises UsageError where it cannot be read.
    """
    path = folder / REPRODUCTION_FILE
    if not path.is_file():
        return None
    try:
        return PaperResult.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError, RecursionError) as error:
        rule = "cannot be read as the result of a paper"
        raise UsageError(str(path), rule, None, "run the reproduction again") from error
