"""One arm: train an ensemble under a scheme, query it, attack each of its models, measure."""

from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from attacks import Attack, Observations, score_every_target
from attacks.intervals import Resampled
from attacks.metrics import ROC, metrics, roc
from mgaudit import parallel
from mgaudit.design import Design
from mgaudit.progress import Progress
from mgaudit.settings import AuditSettings, attack_choice, target_choice
from mgaudit.store import EnsembleFolder, training_code_sha256
from targets.datasets import Dataset
from targets.device import device_name
from targets.dp_training import plan_privacy
from targets.ensemble import Ensemble
from targets.recipe import Recipe, initial_model, train
from targets.schemes import DPSGD

ROC_GRID = np.concatenate([[0.0], np.logspace(-4, 0, 161)])


@dataclass(frozen=True)
class AttackOutcome:
    """An attack's scores (models, examples), its metrics by name, and its mean TPR on ROC_GRID."""

    attack: Attack
    scores: NDArray[np.float64]
    metrics: dict[str, Resampled]
    mean_roc: NDArray[np.float64]


@dataclass(frozen=True)
class Audit:
    """What came out of one arm, with the resamples, so that a study can pair it with another."""

    settings: AuditSettings
    recipe: Recipe
    train_accuracy: Resampled
    test_accuracy: Resampled
    attacks: dict[str, AttackOutcome]
    training_seconds: float
    models_reused: int


def build_recipe(settings: AuditSettings, design: Design) -> Recipe:
    """Returns how the arm's models are trained. Raises ValueError for settings that do not fit the data."""
    target = target_choice(settings.target)
    scheme = settings.choice.build(**settings.choice.options)
    examples = len(design.dataset.labels)
    plan = plan_privacy(scheme, settings.training, examples) if isinstance(scheme, DPSGD) else None
    recipe = Recipe(partial(target.build, **target.options), scheme, settings.training, plan, settings.seed)
    initial_model(recipe.target, design.dataset.input_shape, len(design.dataset.classes), seed=0)
    return recipe


def audit(settings: AuditSettings, recipe: Recipe, design: Design, jobs: int, progress: Progress) -> Audit:
    """Returns the arm's accuracy and the success of each attack on it.

    Models that have been trained before are taken from the store, and each new one is kept as soon as it is trained.
    """
    folder = EnsembleFolder.at(determined_by(settings, recipe, design))
    with folder.locked():
        reused = _train_missing(folder, settings, recipe, design, jobs, progress)
        progress.stage(f"{settings.label}: querying and attacking")
        logits = folder.load_logits(settings.models) or _query(folder, settings, recipe, design)
    facts = [folder.load_facts(index) for index in range(settings.models)]
    if recipe.plan is not None and any(fact["steps"] != recipe.plan.steps for fact in facts):
        raise RuntimeError(f"models took other than the {recipe.plan.steps} steps that epsilon was computed for")

    observations = Observations(
        logits["pool"][:, :, np.newaxis],
        design.dataset.labels,
        design.membership,
        population_logits=logits["test"][:, :, np.newaxis],
        population_labels=design.dataset.test_labels,
    )
    outcomes = {text: _attack(text, observations, design) for text in settings.attacks}
    correct = logits["pool"].argmax(axis=-1) == design.dataset.labels
    test_correct = logits["test"].argmax(axis=-1) == design.dataset.test_labels
    return Audit(
        settings=settings,
        recipe=recipe,
        train_accuracy=accuracy(correct, design.membership, design.example_resamples),
        test_accuracy=accuracy(test_correct, np.ones_like(test_correct), design.test_resamples),
        attacks=outcomes,
        training_seconds=sum(fact["seconds"] for fact in facts),
        models_reused=reused,
    )


def determined_by(settings: AuditSettings, recipe: Recipe, design: Design) -> dict[str, object]:
    """Returns, as JSON values, all that determines the arm's models; a model's number is its own."""
    return {
        "dataset": design.sha256,
        "target": settings.target,
        "scheme": {"name": settings.choice.name, **asdict(recipe.scheme)},
        "plan": None if recipe.plan is None else asdict(recipe.plan),
        "training": asdict(recipe.training),
        "seed": recipe.seed,
        "device": device_name(design.device),
        "code": training_code_sha256(),
        "versions": {name: version(name) for name in ("torch", "opacus")},
    }


@dataclass(frozen=True)
class _Task:
    folder: EnsembleFolder
    recipe: Recipe
    dataset: Dataset
    members: NDArray[np.bool_]
    index: int
    device: str


def _train_and_keep(task: _Task) -> None:
    trained = train(task.recipe, task.dataset, task.members, task.index, task.device)
    task.folder.save_model(task.index, trained.weights, {"steps": trained.steps, "seconds": trained.seconds})


def _train_missing(
    folder: EnsembleFolder,
    settings: AuditSettings,
    recipe: Recipe,
    design: Design,
    jobs: int,
    progress: Progress,
) -> int:
    """Trains the models that the store lacks and returns how many it had."""
    missing = folder.missing(settings.models)
    reused = settings.models - len(missing)
    progress.training_started(settings.label, settings.models, reused)
    tasks = [_Task(folder, recipe, design.dataset, design.membership[index], index, design.device) for index in missing]
    for _ in parallel.run(_train_and_keep, tasks, jobs):
        progress.model_trained()
    progress.training_ended()
    return reused


def _query(
    folder: EnsembleFolder, settings: AuditSettings, recipe: Recipe, design: Design
) -> dict[str, NDArray[np.float32]]:
    """Returns the logits (models, examples, classes) of the audited examples, "pool", and of the test split, "test"."""
    dataset = design.dataset
    model = initial_model(recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
    ensemble = Ensemble(model, [folder.load_weights(index) for index in range(settings.models)])
    logits = {
        "pool": ensemble.logits(dataset.inputs, design.device),
        "test": ensemble.logits(dataset.test_inputs, design.device),
    }
    folder.save_logits(settings.models, logits)
    return logits


def _attack(text: str, observations: Observations, design: Design) -> AttackOutcome:
    choice = attack_choice(text)
    attack: Attack = choice.build(**choice.options)
    scores = score_every_target(attack, observations)
    pairs = list(zip(scores, design.membership, strict=True))
    found = [(metrics(*pair), metrics(*pair, design.example_resamples)) for pair in pairs]
    return AttackOutcome(
        attack=attack,
        scores=scores,
        metrics={
            name: Resampled(
                np.concatenate([exact[name] for exact, _ in found]), np.stack([drawn[name] for _, drawn in found])
            )
            for name in found[0][0]
        },
        mean_roc=np.mean([_on_grid(roc(*pair)) for pair in pairs], axis=0),
    )


def _on_grid(curve: ROC) -> NDArray[np.float64]:
    return np.array([float(curve.tpr_at(level)) for level in ROC_GRID])


def accuracy(correct: NDArray[np.bool_], counted: NDArray[np.bool_], resamples: NDArray[np.uint16]) -> Resampled:
    """Returns the share of correct answers (models, examples) among those that are counted."""
    weights = resamples.astype(np.float32)
    hits, total = (correct & counted).astype(np.float32), counted.astype(np.float32)
    per_target = hits.sum(axis=1, dtype=np.float64) / total.sum(axis=1, dtype=np.float64)
    in_resamples = (hits @ weights.T).astype(np.float64) / (total @ weights.T)
    return Resampled(per_target, in_resamples)
