"""The results of a paper's figures and claims, to and from JSON."""

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from mgaudit.errors import UsageError
from mgaudit.reports.checksums import read_checked
from mgaudit.reports.files import REPRODUCTION_FILE
from mgaudit.reports.record import Record

Verdict = Literal["holds", "does not hold", "not run here"]
VERDICTS: tuple[Verdict, ...] = ("holds", "does not hold", "not run here")


class ClaimResult(Record):
    """One claim and its verdict.

    `quantity` says what `value` is; `low` and `high` are its 95 % interval, None for a
    deterministic number. The claim allows values from `at_least` to `at_most`; None is no bound.
    `why` is the reason why a claim was not run, and then there is no value. `after_looking` says
    that the quantity or its allowed range was changed after a measurement had been looked at.
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
    after_looking: bool = False


class CoverageResult(Record):
    """A numbered figure or theorem of a paper, and how far our `figures` reproduce it.

    `why` says what is missing and why; it is empty if the item is reproduced.
    """

    item: str
    about: str
    extent: Literal["reproduced", "partly", "not"]
    figures: tuple[str, ...] = ()
    why: str = ""


class FigureResult(Record):
    """A figure: the numbers measured for it, in `data` by table, and the claims that they decide.

    A number that is not finite, for example because training diverged, is None. Without `data` the
    figure was not run; `failed` is the error message, if there was an error.
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
    """All or some figures of a paper, reproduced by `command` with `quick` or `full` settings.

    `coverage` lists the numbered figures and theorems of the whole paper.
    """

    schema_version: Literal[1] = 1
    key: str
    title: str
    source: str
    about: str
    scale: Literal["quick", "full"]
    command: str
    figures: list[FigureResult]
    coverage: tuple[CoverageResult, ...] = ()
    versions: dict[str, str]
    processor: str
    started: str
    seconds: float

    @property
    def claims(self) -> list[ClaimResult]:
        """The claims of all figures in their order."""
        return [claim for figure in self.figures for claim in figure.claims]

    def count_claims(self, verdict: Verdict) -> int:
        """Returns the number of claims with that verdict."""
        return sum(claim.verdict == verdict for claim in self.claims)


def read_paper(folder: Path) -> PaperResult | None:
    """Returns the result in a run folder; None if the folder holds something else.

    Raises:
        UsageError: The result cannot be read or was changed after the run.
    """
    path = folder / REPRODUCTION_FILE
    if not path.is_file():
        return None
    stored = read_checked(path)
    try:
        return PaperResult.model_validate_json(stored.decode())
    except (ValidationError, UnicodeDecodeError, RecursionError) as error:
        rule = "cannot be read as the result of a paper"
        raise UsageError(str(path), rule, None, "run the reproduction again") from error
