"""`mgaudit.reproduce`: the figures and claims of papers, each paper in a run directory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mgaudit.argument_names import checked_names
from mgaudit.errors import UsageError
from mgaudit.progress_bars import on_stderr
from mgaudit.reports.formats.render import PAPER_FORMATS, chosen_formats
from mgaudit.reports.reproduction import PaperResult
from mgaudit.running import checked_jobs, recorded
from mgaudit.settings.arguments import RUNS
from mgaudit.storage.run_folder import RunFolder

if TYPE_CHECKING:
    from mgaudit.papers.reproduction import PaperPlan


@dataclass(frozen=True, repr=False)
class PaperRun:
    """A reproduced paper: its claims and figures, its run directory and the reports in it."""

    record: PaperResult
    path: Path
    reports: list[Path]

    def __repr__(self) -> str:
        """Returns the paper and the run directory."""
        return f"<mgaudit.PaperRun: {self.record.key}, {self.record.scale}; {self.path}>"

    @property
    def failed(self) -> bool:
        """Whether a figure could not be made."""
        return any(figure.failed for figure in self.record.figures)


@checked_names()
def reproduce(
    papers: str | Sequence[str] = (),
    *,
    full: bool = False,
    dataset: str | None = None,
    format: str | Sequence[str] | None = None,
    device: str | None = None,
    jobs: int | None = None,
    out: str | Path = RUNS,
    quiet: bool = False,
) -> list[PaperRun]:
    """Reproduces the figures of papers, and decides their claims.

    Args:
        papers: Papers, or figures as PAPER/FIGURE (default: all papers).
        full: Whether to use the paper's data and sizes, in place of small ones.
        dataset: Images in place of those of the settings, as in "folder:PATH".
        format: Formats of the reports (default: html and pdf).
        device, jobs, out, quiet: As those of `run`.

    Returns:
        One `PaperRun` for each paper, with `record` (the content of `reproduction.json`), `path`
        (the run directory), `reports` (the paths of the reports) and `failed`.

    Raises:
        UsageError: An argument is wrong, or data cannot be read.
        RunFailedError: The reproduction of a paper failed. Papers before it are complete.
    """
    runs = each_paper(
        papers,
        full=full,
        dataset=dataset,
        format=format,
        device=device,
        jobs=jobs,
        out=out,
        quiet=quiet,
    )
    return list(runs)


def each_paper(
    papers: str | Sequence[str],
    *,
    full: bool,
    dataset: str | None,
    format: str | Sequence[str] | None,
    device: str | None,
    jobs: int | None,
    out: str | Path,
    quiet: bool,
) -> Iterator[PaperRun]:
    """Yields each paper of `reproduce` when it is complete. All arguments are checked first."""
    on_stderr(quiet).stage("loading papers")
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.papers.reproduction import plan_papers
    from mgaudit.storage.ensembles import check_cache_folder
    from mgaudit.targets.device import choose_device

    workers = checked_jobs(jobs)
    formats = chosen_formats(format, PAPER_FORMATS)
    names = [papers] if isinstance(papers, str) else papers
    if not isinstance(names, Sequence):
        rule = "must be the name of a paper or figure, or a list of names"
        raise UsageError("papers", rule, f"{type(names).__name__}: {names!r}")
    plans = plan_papers(names, full, dataset)
    check_cache_folder()
    chosen = choose_device(device or "auto")
    for plan in plans:
        yield _reproduced(plan, formats, chosen, workers or default_jobs(chosen), Path(out), quiet)


def _reproduced(
    plan: "PaperPlan", formats: Sequence[str], device: str, jobs: int, out: Path, quiet: bool
) -> PaperRun:
    from mgaudit.papers.paper import Resources
    from mgaudit.papers.reproduction import reproduce as reproduce_plan
    from mgaudit.reports.paper_document import paper_document

    folder = RunFolder.create(out, plan.slug, plan.sha256)
    progress = on_stderr(quiet)
    with recorded(folder, progress):
        record, figures = reproduce_plan(plan, Resources(jobs, device, progress))
        progress.stage("writing the reports")
        reports = folder.write_paper(record, paper_document(record, figures), formats)
    return PaperRun(record, folder.path, reports)
