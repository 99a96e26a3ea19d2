"""Train the models of an arm (one noise scheme of a study).

The store, a folder of the cache for each arm, keeps the models. Models that it has are not trained
again. A stack is a group of models that are trained as one.
"""

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from mgaudit.compute import parallel
from mgaudit.errors import UsageError
from mgaudit.settings.choices import own_code
from mgaudit.settings.study_settings import AuditSettings
from mgaudit.storage.ensembles import EnsembleFolder, Layout, ModelRecord, training_code_sha256
from mgaudit.study.design import Design
from mgaudit.study.plan import Arm
from mgaudit.study.progress import Progress
from mgaudit.study.worker import TrainingTask, train_and_keep
from mgaudit.targets.device import device_name
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.querying.ensemble import tensor_layout


@dataclass(frozen=True)
class TrainedArm:
    """An arm whose models are in the store.

    `records` has the checksum and the training facts of each model, by its index. `models_reused`
    is the number of models that were in the store before.
    """

    arm: Arm
    folder: EnsembleFolder
    records: list[ModelRecord]
    models_reused: int
    progress: Progress = field(default_factory=Progress)

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
    """Returns the arm with all its models trained.

    Models that were trained before come from the store, and each new model is kept as soon as it is
    trained. Kept models with a wrong checksum are set aside and trained again.

    Raises:
        RuntimeError: If the number of DP-SGD steps is not the one that epsilon was computed for.
    """
    folder = ensemble_folder(arm, design)
    with locked(folder, progress):
        records, reused = train_missing(arm, folder, design, jobs, progress)
    plan = arm.recipe.plan
    if plan is not None:
        steps = {record.facts["steps"] for record in records}
        if steps != {plan.steps}:
            raise RuntimeError(
                f"models took other than the {plan.steps} steps that epsilon was computed for"
            )
    return TrainedArm(arm, folder, records, reused, progress)


def train_missing(
    arm: Arm, folder: EnsembleFolder, design: Design, jobs: int, progress: Progress
) -> tuple[list[ModelRecord], int]:
    """Trains the models that are missing or damaged in the store. The caller must have the lock.

    Returns the records of all models, and the number of models that were not trained again.
    """
    models = arm.settings.models
    layout = model_layout(arm, design)
    kept = folder.repaired_models(models, layout, progress.stage)
    missing = [index for index in range(models) if index not in kept]
    if missing and arm.one_by_one and arm.recipe.plan is None:
        label = arm.settings.label
        progress.stage(f"{label}: models are trained one by one, because {arm.one_by_one}")
    if missing and arm.recipe.traits.same_start:
        reason = "because the network is built with the same weights for each seed"
        progress.stage(f"{arm.settings.label}: all models start from the same weights, {reason}")
    progress.training_started(arm.settings.label, models, len(kept))
    _train(missing, arm, folder, design, jobs, progress)
    progress.training_ended()
    for index in missing:
        model = folder.load_model(index, layout)
        kept[index] = ModelRecord(model.weights_sha256, model.facts)
    return [kept[index] for index in range(models)], models - len(missing)


def _train(
    missing: list[int],
    arm: Arm,
    folder: EnsembleFolder,
    design: Design,
    jobs: int,
    progress: Progress,
) -> None:
    """Trains the missing models in worker processes, which keep them in the folder."""
    choices = arm.settings.trained_choices
    own = own_code(choices)
    tasks = [
        TrainingTask(
            folder,
            arm.recipe,
            design.dataset,
            design.membership[indices],
            indices,
            design.device,
            choices,
            own,
        )
        for indices in _stacks(missing, arm.recipe.stack)
    ]
    try:
        for trained in parallel.run(train_and_keep, tasks, jobs):
            for _ in range(trained):
                progress.model_trained()
    except (UsageError, OSError):
        raise
    except RAISED as error:
        if not own:
            raise
        check = "mgaudit.testing.check_scheme and check_network check such classes"
        names = " and ".join(own)
        raise RuntimeError(f"training with {names} failed: {error_line(error)}; {check}") from error


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
        lambda: progress.stage("waiting for another process that trains the same models")
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
        "code": training_code_sha256(),
        "versions": {name: version(name) for name in ("torch", "opacus")},
    }
