"""One arm before any attack: what its models are, their training, and what they answer."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.compute import parallel
from mgaudit.errors import UsageError
from mgaudit.settings.choices import Choice, own_code
from mgaudit.settings.study_settings import AuditSettings
from mgaudit.storage.ensembles import (
    DamagedFileError,
    EnsembleFolder,
    Layout,
    ModelRecord,
    Outputs,
    OutputsKey,
    Tensors,
    training_code_sha256,
)
from mgaudit.study.design import Design
from mgaudit.study.extras import extras_in
from mgaudit.study.progress import Progress
from mgaudit.targets.contract import check_per_example_gradients, check_stack, check_target
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.device import device_name
from mgaudit.targets.fitting.dp_sgd import plan_privacy
from mgaudit.targets.fitting.examples import fixed_part
from mgaudit.targets.fitting.precision import check_precision
from mgaudit.targets.fitting.recipe import Recipe, initial_model, train
from mgaudit.targets.querying.ensemble import Ensemble, tensor_layout
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.schemes import Scheme, dp_sgd_in
from mgaudit.targets.schemes.noise_nodes import without_node
from mgaudit.targets.schemes.scheme import overrides

# The accountant takes seconds, and the studies of a grid ask for the same again and again.
_planned = cache(plan_privacy)


@dataclass(frozen=True)
class Arm:
    """How the models of one arm are trained and queried."""

    settings: AuditSettings
    recipe: Recipe
    queries: Queries


def plan_arm(settings: AuditSettings, design: Design) -> Arm:
    """Returns the arm. Raises UsageError for settings that do not fit the data or one another."""
    scheme = settings.scheme.built
    training = scheme.training(settings.training)
    check_precision(training.precision, design.device)
    _check_augmentation(settings.label, scheme, training.augment, design.dataset.input_shape)
    dp_sgd = dp_sgd_in(scheme)
    if dp_sgd is not None:
        # Opacus' norms must be exact, and its epsilon is that of one trainer who holds all examples.
        training = replace(training, precision="float32", clients=1, local_steps=1)
    plan = None if dp_sgd is None else _planned(dp_sgd, training, design.expected_members)
    stack = _checked_stack(settings, design)
    recipe = Recipe(
        settings.target.built,
        scheme,
        training,
        plan,
        settings.seed,
        design.expected_members,
        stack=stack if plan is None else 1,  # Opacus trains one model at a time
    )
    _check_network(settings, recipe, design.dataset)
    return Arm(settings, recipe, _checked_queries(settings, design.dataset))


def _check_augmentation(label: str, scheme: Scheme, augment: str, input_shape: tuple[int, ...]) -> None:
    """Raises UsageError where the data cannot be augmented, or the scheme does not allow it."""
    if augment == "none":
        return
    if len(input_shape) != 3:
        raise UsageError(
            f"augment {augment}",
            "needs images (channels, height, width)",
            f"examples of shape {input_shape}",
            "use --augment none",
        )
    if overrides(fixed_part(scheme), "inputs"):
        raise UsageError(
            f"{label}:",
            f"noise that is drawn once for each example cannot be composed with --augment {augment}, "
            "which would move it about",
            way_out="use --augment none or fixed=false",
        )


def _checked_stack(settings: AuditSettings, design: Design) -> int:
    """Returns the number of models that are trained as one. Raises UsageError where it does not fit the study."""
    stack, clients = settings.stack, settings.training.clients
    if stack == "auto":
        raise UsageError(
            "stack",
            "must be a number once an arm is planned",
            "'auto'",
            "mgaudit.study.stacking.with_stack makes it one",
        )
    if stack > settings.models:
        raise UsageError("stack", f"must be <= {settings.models}, the models of an arm", str(stack), "use --stack auto")
    if clients > 1 and stack > 1:
        rule = "must be 1 with several clients, which are trained as one stack"
        raise UsageError("stack", rule, str(stack), "leave --stack out")
    fewest = int(design.membership.sum(axis=1).min())
    if clients > 1 and clients > fewest:
        rule = f"must be <= {fewest}, the fewest training examples of a model"
        raise UsageError("clients", rule, str(clients), "use fewer clients or more examples")
    return stack


def _check_network(settings: AuditSettings, recipe: Recipe, dataset: Dataset) -> None:
    """Raises UsageError where the network cannot be trained as the recipe says, or attacked."""
    shape, classes = dataset.input_shape, len(dataset.classes)
    network = (settings.target.name, recipe.target, shape, classes)
    check_target(*network)
    if recipe.stack > 1 or recipe.training.clients > 1:

        def extended(shape: tuple[int, ...], classes: int) -> Any:
            return recipe.scheme.extend(recipe.target(shape, classes))

        check_stack(settings.target.name, extended, shape, classes)
    _check_extension(settings.label, recipe.scheme, recipe, shape, classes)
    extras = [extra for attack in settings.attacks for extra in extras_in(attack.built.needs)]
    if recipe.plan is not None or any(extra.per_example_gradients for extra in extras):
        check_per_example_gradients(*network)


def _checked_queries(settings: AuditSettings, dataset: Dataset) -> Queries:
    """Returns the queries. Raises UsageError where they do not fit the data or an attack."""
    queries: Queries = settings.queries.built.under(settings.scheme.built)
    queries.check(dataset.input_shape)
    for attack in settings.attacks:
        if "queries" in attack.built.needs and queries.number < 2:
            raise UsageError(
                f"the attack {attack}",
                f"needs several queries of each example, and with --queries {settings.queries} the "
                f"arm {settings.label!r} is asked once",
                way_out="give --queries crops:8, or mask:8,kappa=0.3 for any data",
            )
    return queries


def _check_extension(label: str, scheme: Scheme, recipe: Recipe, shape: tuple[int, ...], classes: int) -> None:
    """Raises ValueError where the scheme cannot extend the network, or where that cannot be undone."""
    plain, extended = (initial_model(recipe.target, shape, classes, seed=0) for _ in range(2))
    try:
        extended = scheme.extend(extended)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error
    if list(without_node(extended).state_dict()) != list(plain.state_dict()):
        raise ValueError(
            f"{label}: what extend puts into the network must be a NoiseNode, which training takes out again"
        )


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

    def logits(self, queries: Queries, design: Design) -> Outputs:
        """Returns the logits (converged, examples, queries, classes) of the audited examples, "pool", and of "test"."""

        def asked(ensemble: Ensemble) -> Outputs:
            splits = {"pool": design.dataset.inputs, "test": design.dataset.test_inputs}
            seed = self.arm.recipe.seed
            return {split: ensemble.logits(inputs, design.device, queries, seed) for split, inputs in splits.items()}

        inputs = (design.pool_sha256, design.test_sha256)
        return self.kept(f"logits {queries}", inputs, asked, design)

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs], design: Design
    ) -> Outputs:
        """Returns what is computed of the converged models, from the store where it is kept there.

        It is kept under the name `what`, the checksums of the models and those of the `inputs`.
        """
        key = OutputsKey(what, tuple(record.weights_sha256 for record in self.records), inputs)
        with _locked(self.folder, self.progress):
            outputs = self.folder.load_outputs(key, self.progress.stage)
            if outputs is None:
                dataset = design.dataset
                network = initial_model(self.arm.recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
                outputs = compute(Ensemble(network, self._weights(design)))
                self._check_outputs(what, outputs)
                self.folder.save_outputs(key, outputs)
        return outputs

    def _weights(self, design: Design) -> list[Tensors]:
        """Returns the weights of the converged models; what was damaged since the training is trained again."""
        layout = _layout(self.arm, design)
        try:
            models = [self.folder.load_model(index, layout) for index in self.converged]
        except (FileNotFoundError, DamagedFileError):
            _train_missing(self.arm, self.folder, design, 1, self.progress)
            models = [self.folder.load_model(index, layout) for index in self.converged]
        expected = [self.records[index].weights_sha256 for index in self.converged]
        if [model.weights_sha256 for model in models] != expected:
            raise RuntimeError(f"the kept models in {self.folder.path} changed during the run; run again")
        return [model.weights for model in models]

    def _check_outputs(self, what: str, outputs: Outputs) -> None:
        """Raises ValueError for outputs that must not be kept: each must be finite."""
        for split, values in outputs.items():
            finite = np.isfinite(values.reshape(*values.shape[:2], -1)).all(axis=2)
            if not finite.all():
                model, example = np.argwhere(~finite)[0].tolist()
                raise ValueError(
                    f"{self.arm.settings.label}: {what} must be finite, got NaN or infinity for model "
                    f"{self.converged[model]} and example {example} of {split}; try a lower --learning-rate"
                )


def train_arm(arm: Arm, design: Design, jobs: int, progress: Progress) -> TrainedArm:
    """Returns the arm with all its models trained.

    Models that have been trained before are taken from the store, and each new one is kept as soon as it is trained.
    Kept models whose checksum fails are set aside and trained again.
    """
    folder = ensemble_folder(arm, design)
    with _locked(folder, progress):
        records, reused = _train_missing(arm, folder, design, jobs, progress)
    plan = arm.recipe.plan
    if plan is not None and any(record.facts["steps"] != plan.steps for record in records):
        raise RuntimeError(f"models took other than the {plan.steps} steps that epsilon was computed for")
    return TrainedArm(arm, folder, records, reused, progress)


def _train_missing(
    arm: Arm, folder: EnsembleFolder, design: Design, jobs: int, progress: Progress
) -> tuple[list[ModelRecord], int]:
    """Trains what is missing or damaged. Returns a record of each model, and how many were there."""
    models = arm.settings.models
    layout = _layout(arm, design)
    kept = folder.repaired_models(models, layout, progress.stage)
    missing = [index for index in range(models) if index not in kept]
    progress.training_started(arm.settings.label, models, len(kept))
    choices = arm.settings.trained_choices
    own = own_code(choices)
    tasks = [
        _Task(
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
    for trained in parallel.run(_train_and_keep, tasks, jobs):
        for _ in range(trained):
            progress.model_trained()
    progress.training_ended()
    for index in missing:
        model = folder.load_model(index, layout)
        kept[index] = ModelRecord(model.weights_sha256, model.facts)
    return [kept[index] for index in range(models)], models - len(missing)


def models_there(arm: Arm, design: Design) -> int:
    """Returns how many of the arm's models are in the store already."""
    return len(ensemble_folder(arm, design).checked_models(arm.settings.models, _layout(arm, design)))


def ensemble_folder(arm: Arm, design: Design) -> EnsembleFolder:
    """Returns where the arm's models are kept; it may not be there yet."""
    return EnsembleFolder.at(determined_by(arm.settings, arm.recipe, design))


def _locked(folder: EnsembleFolder, progress: Progress) -> AbstractContextManager[None]:
    return folder.locked(lambda: progress.stage("waiting for another process that trains the same models"))


def _layout(arm: Arm, design: Design) -> Layout:
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


@dataclass(frozen=True)
class _Task:
    folder: EnsembleFolder
    recipe: Recipe
    dataset: Dataset
    membership: NDArray[np.bool_]
    indices: list[int]
    device: str
    choices: tuple[Choice, ...]
    own_code: dict[str, str]


def _train_and_keep(task: _Task) -> int:
    """Trains one stack and keeps its models. Returns how many they are."""
    if own_code(task.choices) != task.own_code:  # a worker imports the classes anew
        raise RuntimeError(f"the source of {', '.join(task.own_code)} was edited during the run; run again")
    trained = train(task.recipe, task.dataset, task.membership, task.indices, task.device)
    for index, model in zip(task.indices, trained, strict=True):
        task.folder.save_model(
            index, model.weights, {"steps": model.steps, "seconds": model.seconds, "diverged": model.diverged}
        )
    return len(trained)
