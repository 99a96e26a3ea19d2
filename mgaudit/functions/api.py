"""Audit training functions from Python: check all arguments, then train their models."""

from collections.abc import Mapping
from typing import Any

from mgaudit.compute.parallel import default_jobs
from mgaudit.functions.audit import (
    SMALLEST_PROBABILITY,
    AuditedFunctions,
    FunctionSettings,
    audit_functions,
    function_data,
)
from mgaudit.functions.estimator import is_estimator
from mgaudit.outputs.logits import OutputsKind
from mgaudit.settings.arguments import JOBS, MODELS, SEED
from mgaudit.settings.number_check import checked_argument
from mgaudit.storage.ensembles import check_cache_folder
from mgaudit.study.progress import Progress
from mgaudit.targets.device import choose_device


def train_models(
    fits: Any,
    x: Any,
    y: Any,
    *,
    x_test: Any = None,
    y_test: Any = None,
    groups: Any = None,
    models: int = 16,
    seed: int = 0,
    test_fraction: float = 0.2,
    outputs: OutputsKind = "auto",
    clip: float = SMALLEST_PROBABILITY,
    jobs: int | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> AuditedFunctions:
    """Trains models with a training function, or with each of several, and returns their outputs.

    Args:
        fits: A function `fit(x, y, *, seed) -> predict`, an estimator, or several of them by name.
        x: Examples with a row for each: an array, DataFrame, list, sparse matrix or tensor.
        y: The label of each example.
        x_test, y_test: Test data; by default the fraction `test_fraction` of the examples, or of
            the groups, is held out.
        groups: The group of each example, such as a person; a model trains on all examples of a
            group or on none.
        models, seed: Models of each function, and random seed.
        outputs: What predict returns: "auto", "logits" or "probabilities".
        clip: The least probability that is used as such.
        jobs: Number of processes (default: one per core, or 1 for functions on a GPU).
        name: The name of a single function for readers.
        progress: Is called at each step.

    Raises:
        UsageError: An argument is wrong, or a function breaks its contract. No model is trained.
        RuntimeError: Too few models of every function can be trained.
    """
    settings = FunctionSettings(
        models=int(checked_argument(MODELS, models)),
        seed=int(checked_argument(SEED, seed)),
        test_fraction=test_fraction,
        outputs=outputs,
        clip=clip,
    )
    workers = None if jobs is None else int(checked_argument(JOBS, jobs))
    by_name = fits if isinstance(fits, Mapping) else {name or name_of(fits): fits}
    data = function_data(x, y, x_test, y_test, groups, settings)
    check_cache_folder()
    workers = workers or _default_jobs(by_name)
    return audit_functions(by_name, data, settings, workers, progress or Progress())


def name_of(fit: Any) -> str:
    """Returns the name of a training function or estimator for readers."""
    if is_estimator(fit):
        steps = getattr(fit, "steps", None)
        last = steps[-1][1] if steps else fit
        return type(last).__name__
    name = getattr(fit, "__name__", type(fit).__name__)
    return "fit" if name == "<lambda>" else str(name)


def _default_jobs(fits: Mapping[str, Any]) -> int:
    """Returns one process for each core, or one if a function may train on a GPU."""
    only_estimators = all(is_estimator(fit) for fit in fits.values())
    return default_jobs("cpu" if only_estimators else choose_device("auto"))
