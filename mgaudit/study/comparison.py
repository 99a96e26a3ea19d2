"""A grid of studies: checked as a whole, run one after the other, collected in one result.

A cell of the grid is one study, with its own dataset, network and seed. All cells have the same
arms, that is, noise schemes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import Result, StudyResult
from mgaudit.settings.grid import GridSettings, stack_place, study_name
from mgaudit.settings.named_code import permission
from mgaudit.storage.run_folder import path_word
from mgaudit.study.design import Design
from mgaudit.study.plan import OnArm, Plan, PlansPrivacy, plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study

COMMAND = "mgaudit compare RUN/settings.toml"


@dataclass(frozen=True)
class ComparisonPlan:
    """A grid whose studies were all checked against their data.

    `cells` has the plan of each study. `settings` has the sizes of stacks (models that are trained
    as one) that were measured for the studies.
    """

    settings: GridSettings
    cells: list[Plan]

    @property
    def slug(self) -> str:
        """The compared datasets, networks and number of arms as one word for a path."""
        settings = self.settings
        datasets = [dataset.name for dataset in settings.datasets]
        targets = [str(target) for target in settings.targets]
        return path_word("compare", *datasets, *targets, f"{len(settings.schemes)}-arms")

    @property
    def sha256(self) -> str:
        """The SHA-256 of everything that determines the result."""
        words = (self.settings.title, self.settings.note)
        studies = [cell.sha256 for cell in self.cells]
        content = repr((words, studies))
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def device(self) -> str:
        """The device on which all models are trained, the same for all cells."""
        return self.cells[0].design.device


def cell_name(plan: Plan) -> str:
    """Returns the name of one study of the grid for reports and errors."""
    return study_name(plan.settings.target, plan.settings.dataset, plan.settings.seed)


def plan_comparison(
    grid: GridSettings,
    progress: Progress | None = None,
    on_arm: OnArm | None = None,
    plans_privacy: PlansPrivacy | None = None,
) -> ComparisonPlan:
    """Returns the plan of every study. `on_arm` and `plans_privacy` are those of `plan_study`.

    Raises:
        UsageError: For settings that do not fit the data or one another.
        OSError: For data that cannot be read.
    """
    cells: list[Plan] = []
    designs: dict[tuple[str, int], Design] = {}
    for settings in grid.cells():
        plan = plan_study(settings, progress, on_arm, plans_privacy)
        # Studies of one dataset and seed share one design, because data may fill the memory.
        key = (plan.design.sha256, settings.seed)
        design = designs.setdefault(key, plan.design)
        cells.append(replace(plan, design=design))
    return ComparisonPlan(_with_stacks(grid, cells), cells)


def run_comparison(
    plan: ComparisonPlan, jobs: int, progress: Progress
) -> tuple[Result, list[Arrays]]:
    """Returns the result of all studies, and the arrays behind each.

    Raises:
        RuntimeError: If a study cannot be audited, with its name. Trained models are kept.
    """
    studies: list[StudyResult] = []
    arrays: list[Arrays] = []
    count = len(plan.cells)
    claims = sum(cell.claims for cell in plan.cells)
    for number, cell in enumerate(plan.cells, start=1):
        name = cell_name(cell)
        if count > 1:
            progress.stage(f"study {number} of {count}: {name}")
        try:
            study, study_arrays = run_study(cell, jobs, progress, claims)
        except UsageError:
            raise
        except (RuntimeError, ValueError) as error:
            raise RuntimeError(f"{name}: {error}") from error
        studies.append(study)
        arrays.append(study_arrays)
    settings = plan.settings
    result = Result(
        title=settings.title,
        note=settings.note,
        command=COMMAND + permission(settings.as_dict()),
        settings=settings.as_dict(),
        studies=studies,
    )
    return result, arrays


def _with_stacks(grid: GridSettings, cells: Sequence[Plan]) -> GridSettings:
    """Returns the settings with the stack sizes of the studies.

    A stack has the models that are trained as one. A run from these settings has the same sizes,
    because it does not measure them again.
    """
    stacks: dict[str, int] = {}
    for cell in cells:
        assert cell.settings.stack != "auto"  # plan_study has measured it
        key = stack_place(cell.settings.target, cell.settings.dataset)
        stacks[key] = cell.settings.stack
    if len(set(stacks.values())) == 1:
        shared_size = next(iter(stacks.values()))
        return grid.model_copy(update={"stack": shared_size, "stacks": {}})
    return grid.model_copy(update={"stacks": stacks})
