"""Reads a run directory, with the verdict also where an earlier version made the run."""

from pathlib import Path

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import Result, StudyResult, read_result


def read_run(folder: Path) -> tuple[Result, list[Arrays]]:
    """Returns the result of a run directory and the arrays of each of its studies.

    A result without verdicts gets them from its arrays.

    Raises:
        UsageError: As `read_result`.
    """
    result, arrays = read_result(folder)
    pairs = zip(result.studies, arrays, strict=True)
    studies = [_with_verdicts(study, own_arrays) for study, own_arrays in pairs]
    return result.model_copy(update={"studies": studies}), arrays


def _with_verdicts(study: StudyResult, arrays: Arrays) -> StudyResult:
    if study.analysis.verdicts:
        return study
    # Imported here because they import scipy, and commands that only read runs must be quick.
    from mgaudit.analysis.margins import Margins
    from mgaudit.analysis.samples import Samples
    from mgaudit.analysis.verdicts import verdicts

    samples = Samples.of(study.arms, arrays)
    found = verdicts(study.arms, arrays, samples, Margins.of(study.settings))
    analysis = study.analysis.model_copy(update={"verdicts": found})
    return study.model_copy(update={"analysis": analysis})
