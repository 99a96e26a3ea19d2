"""Train the models of an arm (one noise scheme of a study).

The store, a folder of the cache for each arm, keeps the models. Models that it has are not trained
again. A stack is a group of models that are trained as one.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

from mgaudit.compute.parallel import pool_of, processors
from mgaudit.compute.pool import Future, Pool, WorkerLostError
from mgaudit.compute.this_process import ThisProcess
from mgaudit.errors import UsageError
from mgaudit.settings.choices import own_code
from mgaudit.settings.study_settings import AuditSettings
from mgaudit.storage.checked_files import lock_holder
from mgaudit.storage.ensembles import (
    EnsembleFolder,
    Layout,
    ModelRecord,
    Outputs,
    training_code_sha256,
)
from mgaudit.study.design import Design
from mgaudit.study.plan import Arm
from mgaudit.study.progress import Progress
from mgaudit.study.questions import Question
from mgaudit.study.worker import FinishedModel, PackedMembership, StackTask, train_stack
from mgaudit.targets.device import device_name
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.querying.ensemble import tensor_layout

SAME_MODELS = "trains the same models"
Answers = dict[str, dict[int, Outputs]]  # by question and index of the model


@dataclass(frozen=True)
class TrainedArm:
    """An arm whose models are in the store.

    `records` has the checksum and the training facts of each model, by its index. `models_reused`
    is the number of models that were in the store before. `answers` are outputs that are not in the
    store yet.
    """

    arm: Arm
    folder: EnsembleFolder
    records: list[ModelRecord]
    models_reused: int
    progress: Progress = field(default_factory=Progress)
    answers: Answers = field(default_factory=dict)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The facts about each model's training: `steps`, `seconds`, and whether it `diverged`."""
        return [record.facts for record in self.records]

    @property
    def diverged(self) -> list[int]:
        """Indices of the models whose loss or weights became infinite or NaN."""
        return [index for index, fact in enumerate(self.facts) if fact["diverged"]]

    @property
    def converged(self) -> list[int]:
        """Indices of the other models. They are attacked, and outputs are in this order."""
        return [index for index, fact in enumerate(self.facts) if not fact["diverged"]]


def train_arm(arm: Arm, design: Design, jobs: int, progress: Progress) -> TrainedArm:
    """Returns the arm with all its models trained, in `jobs` processes.

    Raises what `ArmTraining.trained` raises.
    """
    with pool_of(jobs) as pool, ArmTraining(arm, design, progress) as training:
        pool.on_event = progress.stage
        training.submit(pool, pool.share(design.dataset))
        for future in pool.completed():
            training.keep(future)
        return training.trained()


def train_again(trained: TrainedArm, design: Design) -> None:
    """Trains models that are no longer in the store, in this process, whose lock the caller has."""
    training = ArmTraining(trained.arm, design, trained.progress)
    with ThisProcess() as pool:
        training.submit(pool, pool.share(design.dataset))
        for future in pool.completed():
            training.keep(future)
    training.trained()


class ArmTraining:
    """The training of an arm in tasks of a pool.

    Models that were trained before come from the store, and each new model is kept as soon as it is
    trained. Kept models with a wrong checksum are set aside and trained again. The context has the
    lock of the arm's folder. `trained` releases it too.

    Args:
        arm: The arm.
        design: The design of its study.
        progress: Is told of each step.
        questions: What new models are queried for, in the same tasks.
        models: The indices of the models; None for all.
    """

    def __init__(
        self,
        arm: Arm,
        design: Design,
        progress: Progress,
        questions: Sequence[Question] = (),
        models: Sequence[int] | None = None,
    ) -> None:
        self.arm = arm
        self._design = design
        self._progress = progress
        self._questions = tuple(questions)
        self._models = range(arm.settings.models) if models is None else models
        self._folder = ensemble_folder(arm, design)
        self._layout = model_layout(arm, design)
        self._records: dict[int, ModelRecord] = {}
        self._answers: Answers = {}
        self.missing = 0  # models that the store lacked
        self._stacks: dict[Future[list[FinishedModel]], list[int]] = {}
        self._has_started = False
        self._lost: WorkerLostError | None = None
        self._lock = ExitStack()

    @property
    def path(self) -> Path:
        """The folder of the arm's models."""
        return self._folder.path

    def __enter__(self) -> "ArmTraining":
        self._lock.enter_context(locked(self._folder, self._progress))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()

    def submit(self, pool: Pool, dataset: Any) -> list[Future[list[FinishedModel]]]:
        """Adds a task for each stack of missing models to the pool.

        `dataset` is that of the design, shared with the workers of the pool.
        """
        label, on_damage = self.arm.settings.label, self._progress.stage
        self._records = self._folder.repaired_models(self._models, self._layout, on_damage)
        missing = [index for index in self._models if index not in self._records]
        self.missing = len(missing)
        choices = self.arm.settings.trained_choices
        own = own_code(choices)
        for indices in _stacks(missing, self.arm.recipe.stack):
            task = StackTask(
                self._folder,
                self.arm.recipe,
                PackedMembership.of(self._design.membership[indices]),
                indices,
                self._design.device,
                self._questions,
                choices,
                own,
            )
            name = f"{label}: the training of models {indices[0]} to {indices[-1]}"
            on_gpu = self._design.device == "cuda"
            future = pool.submit(train_stack, task, dataset, name=name, on_gpu=on_gpu)
            self._stacks[future] = indices
        for stack in self._stacks:
            stack.on_start = self._started  # on a cluster, any of them may be the first
        if not missing:
            self._started()
        return list(self._stacks)

    def keep(self, future: Future[list[FinishedModel]]) -> None:
        """Writes the models of a finished stack into the store.

        The models of a stack whose workers died are missing; `trained` raises its error, so that
        the other stacks are trained and kept first.
        """
        indices = self._stacks.pop(future)
        try:
            finished = self._result(future)
        except WorkerLostError as error:
            self._lost = error
            return
        for model in finished:
            kept = self._folder.model_in(model.index, model.content, self._layout)
            self._folder.write_model(model.index, model.content)
            self._records[model.index] = ModelRecord(kept.weights_sha256, kept.facts)
            for what, outputs in model.outputs.items():
                self._answers.setdefault(what, {})[model.index] = outputs
        future.forget()  # the answers alone are kept, until they are in the store
        self._progress.model_trained(self.arm.settings.label, len(indices))

    @property
    def is_complete(self) -> bool:
        """Whether no task is left."""
        return not self._stacks

    def trained(self) -> TrainedArm:
        """Returns the arm with all its models, once all tasks are complete. Releases the lock.

        Raises:
            RuntimeError: If the number of DP-SGD steps is not the one that epsilon was computed
                for, or if the workers that trained a stack died again and again.
        """
        self.finish()
        records = [self._records[index] for index in range(self.arm.settings.models)]
        plan = self.arm.recipe.plan
        if plan is not None and {record.facts["steps"] for record in records} != {plan.steps}:
            raise RuntimeError(
                f"models took other than the {plan.steps} steps that epsilon was computed for"
            )
        self._lock.close()
        reused = len(records) - self.missing
        return TrainedArm(self.arm, self._folder, records, reused, self._progress, self._answers)

    def finish(self) -> None:
        """Closes the progress of the arm, once all tasks are complete.

        Raises:
            WorkerLostError: If the workers that trained a stack died again and again.
        """
        self._progress.training_ended(self.arm.settings.label)
        if self._lost is not None:
            raise self._lost

    def _started(self) -> None:
        """Says how the models are trained, when the first task starts."""
        if self._has_started:
            return
        self._has_started = True
        arm, label, progress = self.arm, self.arm.settings.label, self._progress
        if self._stacks and arm.one_by_one and arm.recipe.plan is None:
            progress.stage(f"{label}: models are trained one by one, because {arm.one_by_one}")
        if self._stacks and arm.recipe.traits.same_start:
            reason = "because the network is built with the same weights for each seed"
            progress.stage(f"{label}: all models start from the same weights, {reason}")
        reused = len(self._models) - self.missing
        progress.training_started(label, len(self._models), reused)

    def _result(self, future: Future[list[FinishedModel]]) -> list[FinishedModel]:
        """Returns the models of a stack. An error names the user's own classes."""
        own = own_code(self.arm.settings.trained_choices)
        try:
            return future.result()
        except (UsageError, OSError, WorkerLostError):
            raise
        except RAISED as error:
            if not own:
                raise
            check = "mgaudit.testing.check_scheme and check_network check such classes"
            words = f"training with {' and '.join(own)} failed: {error_line(error)}; {check}"
            raise RuntimeError(words) from error


def models_there(arm: Arm, design: Design) -> int:
    """Returns how many of the arm's models are in the store already."""
    folder = ensemble_folder(arm, design)
    return len(folder.checked_models(arm.settings.models, model_layout(arm, design)))


def ensemble_folder(arm: Arm, design: Design) -> EnsembleFolder:
    """Returns the folder of the arm's models, which may not exist yet."""
    return EnsembleFolder.at(determined_by(arm.settings, arm.recipe, design))


def locked(folder: EnsembleFolder, progress: Progress) -> AbstractContextManager[None]:
    """Returns the lock of the folder; waiting for another process is a stage of `progress`."""
    return folder.locked(
        lambda: progress.stage(f"waiting for {lock_holder(folder.path)}, which {SAME_MODELS}")
    )


def model_layout(arm: Arm, design: Design) -> Layout:
    """Returns the dtype and shape of each tensor that the store keeps for a model of the arm."""
    shape, classes = design.dataset.input_shape, len(design.dataset.classes)
    network = initial_model(arm.recipe.target, shape, classes, seed=0)
    return tensor_layout(network)


def _stacks(models: list[int], size: int) -> list[list[int]]:
    """Returns the models in groups of `size` that are trained as one; the last may be smaller."""
    return [models[start : start + size] for start in range(0, len(models), size)]


def _without_bounds(plan: PrivacyPlan) -> dict[str, object]:
    """Returns what determines a model in the plan of DP-SGD, which the proved epsilon does not."""
    bounds = ("delta", "epsilon", "epsilon_prv", "epsilon_pld", "accountant")
    return {name: value for name, value in asdict(plan).items() if name not in bounds}


def determined_by(settings: AuditSettings, recipe: Recipe, design: Design) -> dict[str, object]:
    """Returns, as JSON values, everything that determines the models, except for their indices.

    Data are represented by the standardised arrays that models are trained on. Names of classes and
    the test split do not affect the models; the test split is part of the key of outputs.
    """
    scheme_parts = []
    for choice, part in zip(settings.scheme.parts, recipe.scheme.parts, strict=True):
        scheme_parts.append({"name": choice.name, "text": choice.text, **asdict(part)})
    return {
        "data": design.pool_sha256,
        "classes": len(design.dataset.classes),
        "coins": design.coins,
        "target": settings.target.text,
        "own code": own_code(settings.trained_choices),
        "scheme": scheme_parts,
        "plan": None if recipe.plan is None else _without_bounds(recipe.plan),
        "training": asdict(recipe.training),
        "seed": recipe.seed,
        "members": recipe.members,
        "stack": recipe.stack,
        "device": device_name(design.device),
        "processor": processors(design.device),
        "code": training_code_sha256(),
        "versions": {name: version(name) for name in ("torch", "opacus")},
    }
