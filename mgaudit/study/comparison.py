"""A grid of studies: checked as a whole, run one after the other, told in one result."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import Result, StudyResult
from mgaudit.settings.grid import GridSettings, stack_place
from mgaudit.storage.run_folder import path_word
from mgaudit.study.design import Design
from mgaudit.study.plan import Plan, plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study

COMMAND = "mgaudit compare RUN/settings.toml"


@dataclass(frozen=True)
class ComparisonPlan:
    """A grid whose studies have all been checked against their data; the settings have stack sizes in them."""

    settings: GridSettings
    cells: list[Plan]

    @property
    def slug(self) -> str:
        """What is compared, in a word that may stand in a path."""
        datasets = (dataset.name for dataset in self.settings.datasets)
        return path_word(
            "compare",
            *datasets,
            *map(str, self.settings.targets),
            f"{len(self.settings.schemes)}-arms",
        )

    @property
    def sha256(self) -> str:
        """The hash of all that determines the result."""
        words = (self.settings.title, self.settings.note)
        return hashlib.sha256(
            repr((words, [cell.sha256 for cell in self.cells])).encode()
        ).hexdigest()

    @property
    def device(self) -> str:
        """Where all models are trained."""
        return self.cells[0].design.device


def cell_name(plan: Plan) -> str:
    """Returns what a reader calls one study of the grid."""
    return f"{plan.settings.target} on {plan.settings.dataset}, seed {plan.settings.seed}"


def plan_comparison(grid: GridSettings) -> ComparisonPlan:
    """Returns the plan of every study.

    Raises UsageError or OSError for all that the user can mend; what passes is ready to train.
    """
    cells: list[Plan] = []
    designs: dict[tuple[str, int], Design] = {}
    for settings in grid.cells():
        plan = plan_study(settings)
        # Targets share coins and data, which may fill much of the memory.
        cells.append(
            replace(
                plan, design=designs.setdefault((plan.design.sha256, settings.seed), plan.design)
            )
        )
    return ComparisonPlan(_with_stacks(grid, cells), cells)


def run_comparison(
    plan: ComparisonPlan, jobs: int, progress: Progress
) -> tuple[Result, list[Arrays]]:
    """Returns the result of all studies, and the arrays behind each.

    Raises RuntimeError, naming the study, where one cannot be audited; what was trained is kept.
    """
    studies: list[StudyResult] = []
    arrays: list[Arrays] = []
    for place, cell in enumerate(plan.cells):
        if len(plan.cells) > 1:
            progress.stage(f"study {place + 1} of {len(plan.cells)}: {cell_name(cell)}")
        try:
            study, held = run_study(cell, jobs, progress)
        except UsageError:
            raise
        except (RuntimeError, ValueError) as error:
            raise RuntimeError(f"{cell_name(cell)}: {error}") from error
        studies.append(study)
        arrays.append(held)
    settings = plan.settings
    result = Result(
        title=settings.title,
        note=settings.note,
        command=COMMAND,
        settings=settings.as_dict(),
        studies=studies,
    )
    return result, arrays


def _with_stacks(grid: GridSettings, cells: Sequence[Plan]) -> GridSettings:
    """Returns the settings with the stack sizes of the studies: measured anew, they might be others."""
    stacks: dict[str, int] = {}
    for cell in cells:
        assert cell.settings.stack != "auto"  # plan_study has measured it
        stacks[stack_place(cell.settings.target, cell.settings.dataset)] = cell.settings.stack
    if len(set(stacks.values())) == 1:
        return grid.model_copy(update={"stack": next(iter(stacks.values())), "stacks": {}})
    return grid.model_copy(update={"stacks": stacks})
