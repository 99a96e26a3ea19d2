"""From a paper's figures to its result: measured, drawn and judged."""

import hashlib
import json
import math
import platform
import shlex
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.papers.claim import Claim, Data, Measured, NotRun
from mgaudit.papers.paper import Paper, PaperFigure, Workshop
from mgaudit.papers.registry import PAPERS
from mgaudit.reports.reproduction import ClaimResult, FigureResult, PaperResult
from mgaudit.settings.datasets import dataset_of_option, load
from mgaudit.storage.ensembles import querying_code_sha256, training_code_sha256
from mgaudit.storage.run_folder import path_word
from mgaudit.study.provenance import versions
from mgaudit.targets.seeds import numpy_generator


@dataclass(frozen=True)
class PaperPlan:
    """A paper, which of its figures to make, and at which scale; `settings` are those of each figure by its key."""

    paper: Paper
    figures: tuple[PaperFigure, ...]
    full: bool
    settings: Mapping[str, Any]
    command: str

    @property
    def slug(self) -> str:
        """What is made, in a word that may stand in a path."""
        some = [figure.key for figure in self.figures] if len(self.figures) < len(self.paper.figures) else []
        return path_word("reproduce", self.paper.key, *some, "full" if self.full else "quick")

    @property
    def sha256(self) -> str:
        """The hash of settings, code and versions, which determine the result but for the device."""
        settings = {key: asdict(one) for key, one in self.settings.items()}
        parts = [settings, _own_code_sha256(), training_code_sha256(), querying_code_sha256(), versions()]
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


@cache
def _own_code_sha256() -> str:
    """Returns the SHA-256 over the source of figures, checks and closed forms."""
    root, sha = Path(__file__).parent.parent, hashlib.sha256()
    for path in sorted(path for folder in ("papers", "theory") for path in (root / folder).rglob("*.py")):
        sha.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def plan_papers(wanted: Sequence[str], full: bool, dataset: str | None) -> list[PaperPlan]:
    """Returns what to make: all papers, or those that are `wanted` as PAPER or PAPER/FIGURE.

    `dataset` takes the place of the images in the settings of figures that use some. Raises UsageError for what there
    is not, with the nearest that there is, and for data that cannot be loaded.
    """
    chosen: dict[str, list[str]] = {}
    for text in wanted or list(PAPERS):
        key, _, figure = text.partition("/")
        if key not in PAPERS:
            raise UsageError("paper", f"must be one of {', '.join(PAPERS)}", repr(key), did_you_mean(key, PAPERS))
        known = [one.key for one in PAPERS[key].figures]
        if figure and figure not in known:
            raise UsageError(
                f"figure of {key}", f"must be one of {', '.join(known)}", repr(figure), did_you_mean(figure, known)
            )
        chosen.setdefault(key, []).extend([figure] if figure else known)
    dataset = None if dataset is None else dataset_of_option(dataset).text
    scale = "full" if full else "quick"
    plans = []
    for key, keys in chosen.items():
        figures = tuple(figure for figure in PAPERS[key].figures if figure.key in keys)
        settings = {figure.key: figure.full if full else figure.quick for figure in figures}
        if dataset is not None:
            settings = {
                name: replace(one, dataset=dataset) if hasattr(one, "dataset") else one
                for name, one in settings.items()
            }
            for one in settings.values():
                _load_images(one)
        names = [key] if len(figures) == len(PAPERS[key].figures) else [f"{key}/{figure.key}" for figure in figures]
        images = [f"--dataset {shlex.quote(dataset)}"] if dataset else []
        command = " ".join(["mgaudit reproduce", *names, f"--{scale}", *images])
        plans.append(PaperPlan(PAPERS[key], figures, full, settings, command))
    return plans


def reproduce(plan: PaperPlan, workshop: Workshop) -> tuple[PaperResult, dict[str, Figure]]:
    """Returns what came out for the paper, and the figures that were drawn by their keys.

    A figure whose data are not here is not run, and its claims say so. One that fails takes no other with it.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    results, drawn = [], {}
    for figure in plan.figures:
        workshop.progress.stage(f"{plan.paper.key}/{figure.key}: {figure.title}")
        result, picture = _made(figure, plan.settings[figure.key], workshop)
        results.append(result)
        if picture is not None:
            drawn[figure.key] = picture
    paper = plan.paper
    return PaperResult(
        key=paper.key,
        title=paper.title,
        source=paper.source,
        about=paper.about,
        scale="full" if plan.full else "quick",
        command=plan.command,
        figures=results,
        versions=versions(),
        processor=f"{platform.system()} {platform.machine()}",
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
    ), drawn


def _made(figure: PaperFigure, settings: Any, workshop: Workshop) -> tuple[FigureResult, Figure | None]:
    clock, data, picture, failed = time.perf_counter(), Data(), None, ""
    missing = _missing(settings)
    if missing is None:
        try:
            data = figure.measure(settings, workshop)
            picture = figure.draw(data)
        except Exception as error:  # whatever it is, hours of other figures must not go with it
            missing = failed = f"the figure failed: {type(error).__name__}: {error}"
            workshop.progress.stage(f"{figure.key}: {failed}; the whole story is in the log")
            workshop.progress.note(traceback.format_exc())
            data, picture = Data(), None
    claims = [judge(claim, data) if missing is None else _not_run(claim, missing) for claim in figure.claims]
    return FigureResult(
        key=figure.key,
        title=figure.title,
        about=figure.about,
        description=figure.description,
        settings=asdict(settings),
        seconds=time.perf_counter() - clock,
        data={name: [_finite(row) for row in rows] for name, rows in data.items()},
        claims=claims,
        failed=failed,
    ), picture


def _missing(settings: Any) -> str | None:
    """Returns why the images that the settings name are not here; None where they are."""
    try:
        _load_images(settings)
    except (ValueError, OSError) as error:
        return f"{error}; or --dataset folder:PATH"
    return None


def _load_images(settings: Any) -> None:
    """Loads the most examples that the settings ask for, if they name images at all, to see that they are here."""
    if hasattr(settings, "dataset"):
        asked = [value for name, value in asdict(settings).items() if name.startswith("examples")]
        _loaded(settings.dataset, max(filter(None, asked), default=None))


@cache
def _loaded(dataset: str, examples: int | None) -> bool:
    load(dataset, examples, numpy_generator(0, "examples"))
    return True


def judge(claim: Claim, data: Data) -> ClaimResult:
    """Returns the claim with the verdict of its check on the data; a claim whose check fails is not run here."""
    try:
        found = claim.check(data)
    except (ValueError, ArithmeticError) as error:
        return _not_run(claim, f"what was measured decides nothing: {error}")
    if isinstance(found, NotRun):
        return _not_run(claim, found.why)
    return _decided(claim, found)


def _decided(claim: Claim, found: Measured) -> ClaimResult:
    return ClaimResult(
        key=claim.key,
        statement=claim.statement,
        place=claim.place,
        verdict="holds" if found.holds else "does not hold",
        quantity=found.quantity,
        value=found.value,
        low=found.low,
        high=found.high,
        at_least=found.at_least if math.isfinite(found.at_least) else None,
        at_most=found.at_most if math.isfinite(found.at_most) else None,
    )


def _not_run(claim: Claim, why: str) -> ClaimResult:
    return ClaimResult(key=claim.key, statement=claim.statement, place=claim.place, verdict="not run here", why=why)


def _finite(row: Mapping[str, str | float]) -> dict[str, str | float | None]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }
