"""The white-box audit of mgaudit's own DP-SGD: one model is trained, and every step is seen."""

import time

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import DPAuditResult
from mgaudit.settings.study_settings import DPAuditSettings
from mgaudit.study.design import Design
from mgaudit.study.plan import Arm
from mgaudit.study.progress import Progress
from mgaudit.study.white_box import Claim, now, white_box_result
from mgaudit.targets.fitting.recipe import Recipe, TrainedModel, initial_model
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Plain
from mgaudit.targets.schemes.noise_nodes import NoiseNodes


def check_white_box(settings: DPAuditSettings) -> None:
    """Raises UsageError for settings that a white-box audit does not support."""
    if settings.models != 1:
        rule = "must be 1 for the white-box adversary, who sees every step of one training"
        raise UsageError("models", rule, str(settings.models), "use more directions instead")
    scheme = settings.scheme
    if any(isinstance(part, NoiseNodes) for part in scheme.built.parts):
        rule = "must not have noise-nodes for the white-box adversary"
        raise UsageError("scheme", rule, scheme.text, "use --adversary one-run")


def run_white_box(
    settings: DPAuditSettings, arm: Arm, design: Design, progress: Progress
) -> tuple[DPAuditResult, Arrays]:
    """Trains a model with canaries in every step, and returns the result and its arrays.

    Raises:
        RuntimeError: If the model diverged.
        UsageError: Without DP-SGD that adds noise, and for too few steps.
    """
    # Imported here: it imports Opacus, which takes as long as torch.
    from mgaudit.targets.white_box.own_training import observed_training

    started, clock = now(), time.perf_counter()
    recipe, label = arm.recipe, arm.settings.label
    plan = recipe.plan
    if plan is None or plan.noise_multiplier == 0:
        rule = "must be DP-SGD with noise for the white-box adversary"
        raise UsageError("scheme", rule, settings.scheme.text, "use dp-sgd:epsilon=8")
    progress.stage(f"{label}: training 1 model with canaries in {plan.steps:,} steps")
    model, records = observed_training(
        recipe, design.dataset, design.membership, settings.directions, design.device
    )
    if model.diverged:
        raise RuntimeError("the model diverged; try a lower --learning-rate")
    claim = Claim(
        noise_multiplier=plan.noise_multiplier,
        max_grad_norm=plan.max_grad_norm,
        sample_rate=plan.sample_rate,
        delta=plan.delta,
        examples=int(design.membership.sum()),
    )
    accuracy = _test_accuracy(model, recipe, design)
    about = {
        "settings": settings.as_dict(),
        "label": label,
        "accuracy": accuracy,
        "started": started,
        "seconds": time.perf_counter() - clock,
        "notes": design.notes,
        "device": design.device,
    }
    return white_box_result(records, claim, settings.significance, True, about)


def _test_accuracy(model: TrainedModel, recipe: Recipe, design: Design) -> float:
    """Returns the share of correct predictions on the test split."""
    dataset = design.dataset
    network = initial_model(recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
    ensemble = Ensemble(network, [model.weights], recipe.traits)
    logits = ensemble.logits(dataset.test_inputs, design.device, Plain(), recipe.seed)
    return float(np.mean(logits[0, :, 0].argmax(axis=-1) == dataset.test_labels))
