"""Train the models of an arm; what the store holds already is not trained again."""

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
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.querying.ensemble import tensor_layout


@dataclass(frozen=True)
class TrainedArm:
    """An arm whose models are in the store; `records` holds the checksum of each and the facts about its training."""

    arm: Arm
    folder: EnsembleFolder
    records: list[ModelRecord]
    models_reused: int
    progress: Progress = field(default_factory=Progress)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The facts about the training of each model: its steps and seconds, and whether it diverged."""
        return [record.facts for record in self.records]

    @property
    def diverged(self) -> list[int]:
        """The models whose loss or weights did not stay finite."""
        return [index for index, fact in enumerate(self.facts) if fact["diverged"]]

    @property
    def converged(self) -> list[int]:
        """The other models, which can be queried and attacked. All outputs are theirs, in this order."""
        return [index for index, fact in enumerate(self.facts) if not fact["diverged"]]


def train_arm(arm: Arm, design: Design, jobs: int, progress: Progress) -> TrainedArm:
    """Returns the arm with all its models trained.

    Models that have been trained before are taken from the store, and each new one is kept as soon as it is trained.
    Kept models whose checksum fails are set aside and trained again.
    """
    folder = ensemble_folder(arm, design)
    with locked(folder, progress):
        records, reused = train_missing(arm, folder, design, jobs, progress)
    plan = arm.recipe.plan
    if plan is not None and any(record.facts["steps"] != plan.steps for record in records):
        raise RuntimeError(
            f"models took other than the {plan.steps} steps that epsilon was computed for"
        )
    return TrainedArm(arm, folder, records, reused, progress)


def train_missing(
    arm: Arm, folder: EnsembleFolder, design: Design, jobs: int, progress: Progress
) -> tuple[list[ModelRecord], int]:
    """Trains what is missing or damaged. Returns a record of each model, and how many were there."""
    models = arm.settings.models
    layout = model_layout(arm, design)
    kept = folder.repaired_models(models, layout, progress.stage)
    missing = [index for index in range(models) if index not in kept]
    progress.training_started(arm.settings.label, models, len(kept))
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
        raise RuntimeError(
            f"training with {' and '.join(own)} failed: {error_line(error)}; {check}"
        ) from error
    progress.training_ended()
    for index in missing:
        model = folder.load_model(index, layout)
        kept[index] = ModelRecord(model.weights_sha256, model.facts)
    return [kept[index] for index in range(models)], models - len(missing)


def models_there(arm: Arm, design: Design) -> int:
    """Returns how many of the arm's models are in the store already."""
    return len(
        ensemble_folder(arm, design).checked_models(arm.settings.models, model_layout(arm, design))
    )


def ensemble_folder(arm: Arm, design: Design) -> EnsembleFolder:
    """Returns where the arm's models are kept; it may not be there yet."""
    return EnsembleFolder.at(determined_by(arm.settings, arm.recipe, design))


def locked(folder: EnsembleFolder, progress: Progress) -> AbstractContextManager[None]:
    """Returns the lock of the folder; `progress` hears where another process holds it."""
    return folder.locked(
        lambda: progress.stage("waiting for another process that trains the same models")
    )


def model_layout(arm: Arm, design: Design) -> Layout:
    """Returns the dtype and shape of each tensor that is kept of a model of the arm."""
    shape, classes = design.dataset.input_shape, len(design.dataset.classes)
    return tensor_layout(initial_model(arm.recipe.target, shape, classes, seed=0))


def _stacks(models: list[int], size: int) -> list[list[int]]:
    return [models[start : start + size] for start in range(0, len(models), size)]


def determined_by(settings: AuditSettings, recipe: Recipe, design: Design) -> dict[str, object]:
    """Returns, as JSON values, all that determines the arm's models; a model's number is its own.

    Data enter by the arrays that models are trained on, the pool after standardisation. Names of classes and the test
    split change no model; the test split is part of what determines outputs.
    """
    return {
        "data": design.pool_sha256,
        "classes": len(design.dataset.classes),
        "coins": design.coins,
        "target": settings.target.text,
        "own code": own_code(settings.trained_choices),
        "scheme": [
            {"name": choice.name, "text": choice.text, **asdict(part)}
            for choice, part in zip(settings.scheme.parts, recipe.scheme.parts, strict=True)
        ],
        "plan": None if recipe.plan is None else asdict(recipe.plan),
        "training": asdict(recipe.training),
        "seed": recipe.seed,
        "members": recipe.members,
        "stack": recipe.stack,
        "device": device_name(design.device),
        "code": training_code_sha256(),
        "versions": {name: version(name) for name in ("torch", "opacus")},
    }
