"""The check of a network against the data of a study, once in a process for each network."""

from mgaudit.errors import UsageError
from mgaudit.settings.choices import Choice
from mgaudit.study.design import Design
from mgaudit.targets.contract import check_device, check_stack, check_target
from mgaudit.targets.fitting.recipe import Target
from mgaudit.targets.fitting.traits import Traits

_checked: dict[tuple[object, ...], tuple[Traits, str]] = {}


def checked_network(target: Choice, design: Design) -> tuple[Traits, str]:
    """Returns the traits of a network, and why its models are trained one by one.

    The reason is empty if several models can be trained as one stack.

    Raises:
        UsageError: Where the network breaks the contract of `mgaudit.targets.contract`.
    """
    shape, classes = design.dataset.input_shape, len(design.dataset.classes)
    key = (target.text, target.own_sha256, shape, classes, design.device)
    if key not in _checked:
        network = (target.name, target.built, shape, classes)
        traits = check_target(*network)
        if design.device != "cpu":
            check_device(*network, design.device)
        _checked[key] = (traits, _reason(network, traits))
    return _checked[key]


def _reason(network: tuple[str, Target, tuple[int, ...], int], traits: Traits) -> str:
    """Returns why models of the network cannot be stacked, or ""."""
    if not traits.per_example:
        return f"the network has {traits.cause}"
    try:
        check_stack(*network, traits.channels_last)
    except UsageError as error:
        return f"the network {error.rule}"
    return ""
