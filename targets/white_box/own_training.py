"""A training with DP-SGD by mgaudit that a white-box adversary takes part in."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from mgaudit.errors import UsageError
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.fitting.recipe import Recipe, TrainedModel, one_thread, train_at_once
from mgaudit.targets.white_box.recorder import StepRecorder
from mgaudit.targets.white_box.witness import Witness

# Leaving out an example takes about half as long as a step. One in 20 steps made the audit of the
# digits 1.8 % longer for the MLP and 3.3 % for the CNN.
STEPS_OF_AN_EXAMPLE = 20
FEWEST_LEFT_OUT = 4


def observed_training(
    recipe: Recipe,
    dataset: Dataset,
    membership: NDArray[Any],
    directions: int,
    device: str,
) -> tuple[TrainedModel, dict[str, Any]]:
    """Returns the model with index 0, and the record of its steps.

    `dataset`, `membership` (1, examples) and `device` are those of `recipe.train`; the recipe must
    have a plan for DP-SGD. `attacks.white_box.StepRecords` describes the record.

    Raises:
        UsageError: For more directions than the largest weight tensor has numbers.
    """
    witnesses = []

    def observe(model: nn.Module, plan: PrivacyPlan) -> Witness:
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        norm = plan.max_grad_norm
        try:
            recorder = StepRecorder(weights, directions, norm, recipe.seed)
        except ValueError as error:
            most = max(weight.numel() for weight in weights)
            rule = "must be at most the size of the network's largest weight tensor"
            raise UsageError("directions", rule, str(directions), f"use {most} or fewer") from error
        # TF32 changes the gradients of an example by more than rounding, with the batch it is in.
        exact = recipe.training.precision == "float32"
        left_out = max(plan.steps // STEPS_OF_AN_EXAMPLE, FEWEST_LEFT_OUT) if exact else 0
        witnesses.append(Witness(model, recorder, norm, plan.batch_size, left_out))
        return witnesses[-1]

    with one_thread():
        (model,) = train_at_once(
            recipe, dataset, membership, [0], torch.device(device), observe=observe
        )
    (witness,) = witnesses
    record = witness.recorder.arrays()
    return model, {**record, "largest_contribution": witness.largest_contribution}
