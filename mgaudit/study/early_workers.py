"""Start worker processes while a study is planned, because each takes seconds to import."""

from collections.abc import Callable

from mgaudit.compute.parallel import default_jobs, prepare
from mgaudit.study.design import Design
from mgaudit.study.plan import Arm
from mgaudit.study.train import ensemble_folder

TASKS = "mgaudit.study.worker"  # the module with the tasks that train models


def early_workers(jobs: int | None) -> Callable[[Arm, Design], None]:
    """Returns a function that starts `jobs` workers for the first arm that has no trained model.

    It is called with each arm as soon as it is planned, and its design. `jobs` is None for the
    default number.
    """
    started = False

    def start(arm: Arm, design: Design) -> None:
        nonlocal started
        if not started and not ensemble_folder(arm, design).path.exists():
            started = True
            prepare(jobs or default_jobs(design.device), TASKS)

    return start
