"""The number of models in a stack: set by the user, or by a rule.

A stack is a group of models that are trained as one, because this is faster than one by one.
"""

from typing import TypeVar

from mgaudit.settings.study_settings import DPAuditSettings, StudySettings
from mgaudit.study.design import Design
from mgaudit.study.network_check import check_batches, checked_network
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.fitting.stack_size import forward_operations, stack_size

Settings = TypeVar("Settings", StudySettings, DPAuditSettings)


def with_stack(settings: Settings, design: Design) -> Settings:
    """Returns the settings with a number as the stack size; for "auto", it follows from a rule."""
    if settings.stack != "auto":
        return settings
    return settings.model_copy(update={"stack": _size(settings, design)})


def _size(settings: StudySettings | DPAuditSettings, design: Design) -> int:
    """Returns the stack size of the rule; 1 for a network that cannot be trained in stacks."""
    target, training = settings.target, settings.training
    if training.clients > 1:  # the clients are trained as one stack already
        return 1
    _, reason_for_one = checked_network(target, design)
    if reason_for_one:
        return 1
    check_batches(target, training, design)
    shape, classes = design.dataset.input_shape, len(design.dataset.classes)
    network = initial_model(target.built, shape, classes, seed=0)
    operations = forward_operations(network, shape, training.batch_size)
    return stack_size(operations, len(design.membership), design.device)
