"""Train, query and attack the arms (noise schemes) of a study, as one queue of tasks.

Training a stack of models and querying them is one task. The attacks on an arm follow as soon as
its models, and those of the plain arm, are trained, while other arms are still training.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.compute.parallel import jobs_on_cpu, pool_of
from mgaudit.compute.pool import Future, Pool, WorkerLostError
from mgaudit.settings.schemes import PLAIN
from mgaudit.study.attack import Audit
from mgaudit.study.audited import AuditedData
from mgaudit.study.kept_measurements import KeptMountings
from mgaudit.study.mounting import MountingTasks
from mgaudit.study.plan import Arm, Plan
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.train import ArmTraining, TrainedArm
from mgaudit.study.trained_arm import planned_audit, questions_of

ATTACKED_AT_ONCE = 2  # arms whose outputs are in memory


def audit_arms(
    plan: Plan, data: AuditedData, jobs: int, progress: Progress
) -> tuple[list[TrainedArm], list[Audit]]:
    """Returns the trained arms, and the audits of those with at least FEWEST_MODELS models.

    Both are in the order of the plan. Models are trained in `jobs` processes. On a GPU, attacks run
    on the CPU, in as many processes as it has cores.
    """
    with ExitStack() as open_pools:
        training_pool = open_pools.enter_context(pool_of(jobs))
        training_pool.on_event = progress.stage
        attack_pool = training_pool
        attack_jobs = jobs_on_cpu(jobs, plan.design.device)
        if attack_jobs != jobs:
            attack_pool = open_pools.enter_context(pool_of(attack_jobs))
            attack_pool.on_event = progress.stage
        queue = _Queue(plan, data, attack_pool, progress)
        with ExitStack() as locks:
            queue.train(training_pool, locks)
        queue.finish(attack_pool)
    return queue.trained_arms, queue.audits


def can_be_audited(trained: TrainedArm) -> bool:
    """Returns whether enough models of an arm converged."""
    return len(trained.converged) >= FEWEST_MODELS


class _Queue:
    """What has been trained and attacked, and what to do when a task is complete."""

    def __init__(
        self, plan: Plan, data: AuditedData, attack_pool: Pool, progress: Progress
    ) -> None:
        self._plan = plan
        self._data = data
        self._attack_pool = attack_pool
        self._progress = progress
        self._on_completion: dict[Future[Any], Callable[[Future[Any]], None]] = {}
        self._trained: dict[str, TrainedArm] = {}
        self._outputs: dict[str, ArmOutputs] = {}  # of the arms that can be audited
        self._audits: dict[str, Audit] = {}
        self._ready: list[str] = []  # arms that wait to be attacked
        self._attacked: set[str] = set()
        self._lost: list[WorkerLostError] = []

    @property
    def trained_arms(self) -> list[TrainedArm]:
        """The arms, in the order of the plan."""
        return [self._trained[_key(arm)] for arm in self._plan.arms]

    @property
    def audits(self) -> list[Audit]:
        """The audits, in the order of the plan."""
        keys = [_key(arm) for arm in self._plan.arms]
        return [self._audits[key] for key in keys if key in self._audits]

    def train(self, pool: Pool, locks: ExitStack) -> None:
        """Runs the tasks of training, and what follows from them in this pool."""
        plan = self._plan
        dataset = pool.share(plan.design.dataset)
        trainings = [
            ArmTraining(arm, plan.design, self._progress, questions_of(arm, plan.arms))
            for arm in plan.arms
        ]
        # Two processes that train the same arms lock them in the same order.
        for training in sorted(trainings, key=lambda training: training.path):
            locks.enter_context(training)
        for training in trainings:
            for future in training.submit(pool, dataset):
                self._on_completion[future] = self._keeper(training)
            if training.is_complete:
                self._arm_trained(training)
        self.finish(pool)

    def finish(self, pool: Pool) -> None:
        """Runs all tasks of a pool, and what follows from them."""
        for future in pool.completed():
            self._on_completion.pop(future)(future)
        if self._lost:
            raise self._lost[0]

    def _keeper(self, training: ArmTraining) -> Callable[[Future[Any]], None]:
        def keep(future: Future[Any]) -> None:
            training.keep(future)
            if training.is_complete:
                self._arm_trained(training)

        return keep

    def _arm_trained(self, training: ArmTraining) -> None:
        try:
            trained = training.trained()
        except WorkerLostError as error:  # the other arms are trained and kept first
            self._lost.append(error)
            return
        key = _key(training.arm)
        self._trained[key] = trained
        if can_be_audited(trained):
            outputs = self._outputs[key] = ArmOutputs(trained, self._plan.design)
            for question in questions_of(training.arm, self._plan.arms):
                outputs.answer(question)  # keeps what the workers answered
            self._ready.append(key)
        self._attack()

    def _attack(self) -> None:
        """Submits the attacks on arms that are ready, if not too many are attacked."""
        plain = next((arm for arm in self._plan.arms if _is_plain(arm)), None)
        if plain is not None and _key(plain) not in self._trained:
            return
        while self._ready and len(self._attacked) < ATTACKED_AT_ONCE:
            key = self._ready.pop(0)
            self._attacked.add(key)
            self._submit(key, plain)

    def _submit(self, key: str, plain: Arm | None) -> None:
        trained, notes = self._trained[key], self._plan.settings.notes
        settings = trained.arm.settings
        self._progress.stage(f"{settings.label}: querying and attacking")
        # A naive adversary trains shadow models without noise: they are those of the plain arm.
        shadows = None
        if plain is not None and _key(plain) != key:
            shadows = self._outputs.get(_key(plain))
        planned = planned_audit(
            self._outputs[key], shadows, self._data, notes.get(settings.scheme, "")
        )
        kept = KeptMountings(planned.mountings, self._progress.stage)
        tasks = MountingTasks(kept.missing, self._attack_pool, settings.label)

        def complete() -> None:
            self._audits[key] = planned.audit(kept.with_measured(tasks.joined()))
            self._attacked.remove(key)

        def keep(future: Future[Any]) -> None:
            tasks.keep(future)
            if not tasks.futures:
                complete()
                self._attack()

        for future in tasks.futures:
            self._on_completion[future] = keep
        if not tasks.futures:  # an earlier run measured all
            complete()


def _key(arm: Arm) -> str:
    return arm.settings.scheme.text


def _is_plain(arm: Arm) -> bool:
    return arm.settings.scheme.is_only(PLAIN)
