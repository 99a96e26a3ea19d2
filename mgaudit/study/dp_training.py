"""The training of an arm with DP-SGD, whose settings are its own."""

from dataclasses import dataclass
from typing import Literal

from mgaudit.settings.study_settings import AuditSettings
from mgaudit.study.design import Design
from mgaudit.targets.fitting.tuned_dp import dp_options, tuned_record, with_dp_settings
from mgaudit.targets.fitting.tuned_settings import TunedSettings
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.training import Training

# Those that a search found, the tuned defaults where there are some, or those of the study.
ChosenSettings = TunedSettings | Literal["default", "study"]


@dataclass(frozen=True)
class PrivateTraining:
    """DP-SGD and its training with a value for each setting, and their origin in words."""

    dp_sgd: DPSGD
    training: Training
    origin: str


def private_training(
    dp_sgd: DPSGD,
    training: Training,
    settings: AuditSettings,
    design: Design,
    chosen: ChosenSettings,
) -> PrivateTraining:
    """Returns DP-SGD and its training with a value for each setting.

    What the scheme states comes first, then what is `chosen`, then the study's `training`. There
    are no tuned defaults for a given noise multiplier, because it is meant for given steps, and for
    other optimizers than SGD.
    """
    tuned, origin = None, "the settings of the study"
    if isinstance(chosen, TunedSettings):
        tuned, origin = chosen, "found by a search on data held out from the audit"
    elif chosen == "default" and dp_sgd.epsilon is not None and training.optimizer == "sgd":
        dataset = design.dataset
        record = tuned_record(
            settings.target.name,
            dataset.input_shape,
            len(dataset.classes),
            design.expected_members,
            dp_sgd.epsilon,
        )
        if record is not None:
            tuned, origin = record.settings, f"the tuned defaults for ε = {record.epsilon:g}"
    if any(value is not None for value in dp_options(dp_sgd).values()):
        origin = f"{origin}, changed by options of the scheme"
    complete, own = with_dp_settings(dp_sgd, training, tuned, design.expected_members)
    return PrivateTraining(complete, own, origin)
