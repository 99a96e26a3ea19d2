"""The checks of a network against the data of a study, once in a process for each network."""

from mgaudit.errors import UsageError
from mgaudit.settings.choices import Choice
from mgaudit.study.design import Design
from mgaudit.targets.contract import check_batch_sizes, check_device, check_stack, check_target
from mgaudit.targets.fitting.recipe import Target, initial_model
from mgaudit.targets.fitting.traits import Traits
from mgaudit.targets.querying.batch_size import query_batch
from mgaudit.targets.training import Training

_batches_checked: set[tuple[object, ...]] = set()
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


def check_batches(target: Choice, training: Training, design: Design) -> None:
    """Checks that an own network accepts batches of the sizes of training and of queries.

    Raises:
        UsageError: Where it fails for one of them.
    """
    if target.own_sha256 is None:
        return
    shape, classes = design.dataset.input_shape, len(design.dataset.classes)
    of_training = max(1, min(training.batch_size, int(design.expected_members)))
    model = initial_model(target.built, shape, classes, seed=0).to(design.device).eval()
    of_queries = min(query_batch(model, shape, design.device), len(design.dataset.labels))
    key = (target.text, target.own_sha256, shape, classes, of_training, of_queries)
    if key not in _batches_checked:
        check_batch_sizes(target.name, target.built, shape, classes, of_training, of_queries)
        _batches_checked.add(key)


def _reason(network: tuple[str, Target, tuple[int, ...], int], traits: Traits) -> str:
    """Returns why models of the network cannot be stacked, or ""."""
    if not traits.per_example:
        return f"the network has {traits.cause}"
    try:
        check_stack(*network, traits.channels_last)
    except UsageError as error:
        return f"the network {error.rule}"
    return ""
