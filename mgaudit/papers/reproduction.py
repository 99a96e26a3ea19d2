"""Reproduce papers: measure and draw their figures, and test their claims with the data."""

import hashlib
import json
import math
import platform
import shlex
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.measuring import (
    AtOnce,
    check_images,
    determined_by,
    measured,
    measured_at_once,
)
from mgaudit.papers.paper import Paper, PaperFigure, Resources
from mgaudit.papers.registry import PAPERS
from mgaudit.reports.reproduction import (
    ClaimResult,
    CoverageResult,
    FigureResult,
    PaperResult,
)
from mgaudit.settings.datasets import dataset_of_option
from mgaudit.storage.ensembles import querying_code_sha256, training_code_sha256
from mgaudit.storage.run_folder import path_word
from mgaudit.study.provenance import source_sha256, versions

CODE = Path(__file__).parents[1]


@dataclass(frozen=True)
class PaperPlan:
    """The figures of a paper that will be reproduced at one scale, quick or full.

    `settings` has the settings of each figure by the key of the figure; their type depends on the
    figure. `command` is the command line that repeats the reproduction.
    """

    paper: Paper
    figures: tuple[PaperFigure, ...]
    full: bool
    settings: Mapping[str, Any]
    command: str

    @property
    def scale(self) -> Literal["quick", "full"]:
        """The word for the scale on the command line."""
        return "full" if self.full else "quick"

    @property
    def slug(self) -> str:
        """The reproduction as one word that is valid in a path."""
        is_whole = len(self.figures) == len(self.paper.figures)
        keys = [] if is_whole else [figure.key for figure in self.figures]
        return path_word("reproduce", self.paper.key, *keys, self.scale)

    @property
    def sha256(self) -> str:
        """The SHA-256 of settings, code and versions, which determine the result on one device."""
        settings = {key: asdict(figure_settings) for key, figure_settings in self.settings.items()}
        own = [source_sha256(CODE / name) for name in ("papers", "theory")]
        code = [*own, training_code_sha256(), querying_code_sha256()]
        text = json.dumps([settings, *code, versions()], default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def plan_papers(names: Sequence[str], full: bool, dataset: str | None) -> list[PaperPlan]:
    """Returns one plan for each paper of `names`, with the figures that are named.

    A name is PAPER, for all figures of the paper, or PAPER/FIGURE. Without names, all papers are
    planned. `dataset` replaces the images in the settings of figures that use images; None keeps
    them.

    Raises:
        UsageError: For an unknown paper or figure, and for data that cannot be loaded.
    """
    chosen: dict[str, list[str]] = {}
    for name in names or list(PAPERS):
        key, figure_keys = _chosen_figures(name)
        chosen.setdefault(key, []).extend(figure_keys)
    if dataset is not None:
        dataset = dataset_of_option(dataset).text
    return [_plan(PAPERS[key], figure_keys, full, dataset) for key, figure_keys in chosen.items()]


def _chosen_figures(name: str) -> tuple[str, list[str]]:
    """Returns the key of the paper and the keys of the figures that PAPER or PAPER/FIGURE names.

    PAPER names all of its figures. Raises UsageError for an unknown paper or figure.
    """
    key, _, figure_key = name.partition("/")
    _check_known("paper", key, list(PAPERS))
    known = [figure.key for figure in PAPERS[key].figures]
    if not figure_key:
        return key, known
    _check_known(f"figure of {key}", figure_key, known)
    return key, [figure_key]


def _check_known(what: str, key: str, known: Sequence[str]) -> None:
    """Raises UsageError unless `key` is `known`. `what` says in the message what the key names."""
    if key not in known:
        rule = f"must be one of {', '.join(known)}"
        raise UsageError(what, rule, repr(key), did_you_mean(key, known))


def _plan(paper: Paper, keys: Sequence[str], full: bool, dataset: str | None) -> PaperPlan:
    """Returns the plan for the figures of `paper` with these `keys`, in the order of the paper."""
    figures = tuple(figure for figure in paper.figures if figure.key in keys)
    settings = {figure.key: figure.full if full else figure.quick for figure in figures}
    if dataset is not None:
        settings = {key: _with_dataset(own, dataset) for key, own in settings.items()}
    command = _command(paper, figures, full, dataset)
    return PaperPlan(paper, figures, full, settings, command)


def _with_dataset(settings: Any, dataset: str) -> Any:
    """Returns settings in which `dataset` replaces the images; unchanged if they have no images.

    The images are loaded, so that missing ones are reported before anything is measured.
    """
    if hasattr(settings, "dataset"):
        settings = replace(settings, dataset=dataset)
    check_images(settings)
    return settings


def _command(paper: Paper, figures: Sequence[PaperFigure], full: bool, dataset: str | None) -> str:
    """Returns the command line that reproduces these figures; without a dataset if it is None."""
    is_whole = len(figures) == len(paper.figures)
    names = [paper.key] if is_whole else [f"{paper.key}/{figure.key}" for figure in figures]
    words = ["mgaudit reproduce", *names, "--full" if full else "--quick"]
    if dataset:
        words.append(f"--dataset {shlex.quote(dataset)}")
    return " ".join(words)


def reproduce(plan: PaperPlan, resources: Resources) -> tuple[PaperResult, dict[str, Figure]]:
    """Returns the result for the paper, and its drawn figures by key.

    A figure whose data are missing is not run, and its claims give the reason. A figure that fails
    does not stop the others.
    """
    started = datetime.now(UTC)
    clock = time.perf_counter()
    results: list[FigureResult] = []
    drawings: dict[str, Figure] = {}
    paper = plan.paper
    at_once = measured_at_once(paper, plan.figures, plan.settings, resources)
    for figure in plan.figures:
        resources.progress.stage(f"{paper.key}/{figure.key}: {figure.title}")
        settings = plan.settings[figure.key]
        result, drawing = _reproduce_figure(paper, figure, settings, resources, at_once)
        results.append(result)
        if drawing is not None:
            drawings[figure.key] = drawing
    return PaperResult(
        key=paper.key,
        title=paper.title,
        source=paper.source,
        about=paper.about,
        scale=plan.scale,
        command=plan.command,
        figures=results,
        coverage=tuple(CoverageResult(**asdict(one)) for one in paper.coverage),
        versions=versions(),
        processor=f"{platform.system()} {platform.machine()}",
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
    ), drawings


@dataclass(frozen=True)
class _Outcome:
    """The result of measuring and drawing a figure.

    `seconds` is what measuring took, in an earlier run if the data were kept. Without data,
    `reason` says why. `failed` is the same text if an error was the cause, and empty otherwise,
    such as for missing images.
    """

    data: Data = field(default_factory=dict)
    seconds: float = 0.0
    drawing: Figure | None = None
    reason: str | None = None
    failed: str = ""


def _reproduce_figure(
    paper: Paper, figure: PaperFigure, settings: Any, resources: Resources, at_once: AtOnce
) -> tuple[FigureResult, Figure | None]:
    """Returns the result of a figure, and its drawing; None if there are no data to draw."""
    outcome = _measure_and_draw(paper, figure, settings, resources, at_once)
    if outcome.reason is None:
        claims = [judge(claim, outcome.data) for claim in figure.claims]
    else:
        claims = [_not_run(claim, outcome.reason) for claim in figure.claims]
    data = {name: [_finite(row) for row in rows] for name, rows in outcome.data.items()}
    return FigureResult(
        key=figure.key,
        title=figure.title,
        about=figure.about,
        description=figure.description,
        settings=asdict(settings),
        seconds=outcome.seconds,
        data=data,
        claims=claims,
        failed=outcome.failed,
    ), outcome.drawing


def _measure_and_draw(
    paper: Paper, figure: PaperFigure, settings: Any, resources: Resources, at_once: AtOnce
) -> _Outcome:
    """Returns the data and the drawing of a figure, or the reason why there are none.

    Data that an earlier run measured are read from the cache. An error is reported to the log and
    in the result, and is not raised.
    """
    try:
        determined_by(paper, figure, settings, resources)
    except (ValueError, OSError) as error:  # of images
        return _Outcome(reason=f"{error}; or --dataset folder:PATH")
    try:
        data, seconds = measured(paper, figure, settings, resources, at_once)
        return _Outcome(data, seconds, figure.draw(data))
    except Exception as error:  # any error: the other figures may already have taken hours
        failed = f"the figure failed: {type(error).__name__}: {error}"
        resources.progress.stage(f"{figure.key}: {failed}; see the log for details")
        resources.progress.note(traceback.format_exc())
        return _Outcome(reason=failed, failed=failed)


def judge(claim: Claim, data: Data) -> ClaimResult:
    """Returns the claim with the verdict of its check on the data of its figure.

    A claim whose check raises an arithmetic or value error is reported as not run.
    """
    try:
        outcome = claim.check(data)
    except (ValueError, ArithmeticError) as error:
        return _not_run(claim, f"the measurements do not decide the claim: {error}")
    if isinstance(outcome, NotRun):
        return _not_run(claim, outcome.why)
    return _decided(claim, outcome)


def _decided(claim: Claim, measured: Measured) -> ClaimResult:
    """Returns the claim with its verdict and the number that decides it."""
    return ClaimResult(
        key=claim.key,
        statement=claim.statement,
        place=claim.place,
        verdict="holds" if measured.holds else "does not hold",
        quantity=measured.quantity,
        value=measured.value,
        low=measured.low,
        high=measured.high,
        at_least=_finite_or_none(measured.at_least),
        at_most=_finite_or_none(measured.at_most),
        after_looking=claim.after_looking,
    )


def _not_run(claim: Claim, why: str) -> ClaimResult:
    """Returns the claim without a verdict; `why` is the reason."""
    return ClaimResult(
        key=claim.key,
        statement=claim.statement,
        place=claim.place,
        verdict="not run here",
        why=why,
        after_looking=claim.after_looking,
    )


def _finite(row: Row) -> dict[str, str | float | None]:
    """Returns a row with None for numbers that JSON cannot represent, infinity and NaN."""
    cells: dict[str, str | float | None] = {}
    for name, value in row.items():
        cells[name] = value if isinstance(value, str) else _finite_or_none(value)
    return cells


def _finite_or_none(value: float) -> float | None:
    """Returns the number, or None for an infinity or NaN."""
    return value if math.isfinite(value) else None
