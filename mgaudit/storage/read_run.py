"""Reads a run directory, with the verdict also where an earlier version made the run."""

from pathlib import Path

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays, read_arrays
from mgaudit.reports.checksums import read_checked
from mgaudit.reports.dp_audit import DPAuditResult
from mgaudit.reports.files import ARRAYS_FILE, DP_AUDIT_FILE
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


def read_dp_audit(folder: Path) -> tuple[DPAuditResult, Arrays]:
    """Returns the result of an audit of DP-SGD in a run directory, and its arrays.

    Raises:
        UsageError: If there is no such result, it cannot be read, or it was changed after the run.
    """
    path = folder / DP_AUDIT_FILE
    try:
        stored = read_checked(path)
    except OSError as error:
        rule = f"cannot be read: {error.strerror}"
        raise UsageError(str(path), rule, None, "run it again") from error
    try:
        result = DPAuditResult.model_validate_json(stored)
    except (ValueError, RecursionError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(str(path), f"cannot be read: {first}", None, "run it again") from error
    (arrays,) = read_arrays(folder, 1)
    coins = "coins" if result.white_box is not None else "membership"
    if not {"scores", coins} <= arrays.keys() or arrays["scores"].shape != arrays[coins].shape:
        rule = f"must have scores and {coins} of one shape"
        raise UsageError(str(folder / ARRAYS_FILE), rule, None, "run it again")
    return result, arrays
