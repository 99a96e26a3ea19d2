"""Check the arguments of an audit of training functions, then train their models."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mgaudit.compute.parallel import default_jobs
from mgaudit.functions.audit import AuditedFunctions, audit_functions, named_fits
from mgaudit.functions.data import FunctionData, function_data
from mgaudit.functions.digest import NotDigestibleError, digest
from mgaudit.functions.estimator import EstimatorFit, is_estimator
from mgaudit.functions.function import load_fit
from mgaudit.functions.settings import FunctionSettings
from mgaudit.functions.train import NamedFit
from mgaudit.interrupts import KEPT, NOTHING_KEPT
from mgaudit.settings.arguments import CLIP, JOBS, MODELS, SEED
from mgaudit.settings.number_check import checked_argument
from mgaudit.storage.ensembles import check_cache_folder
from mgaudit.study.attack_trial import OutputShapes
from mgaudit.study.progress import Progress
from mgaudit.targets.device import choose_device


@dataclass(frozen=True)
class FunctionArguments:
    """The data of an audit of training functions, and how it is audited.

    Args:
        x: Examples with a row for each: an array, DataFrame, list, sparse matrix or tensor.
        y: The label of each example.
        x_test, y_test: Test data; by default the fraction `test_fraction` of the examples, or of
            the groups, is held out.
        groups: The group of each example, such as a person; a model trains on all examples of a
            group or on none.
        models, seed: Models of each function, and random seed; None is the default.
        test_fraction: Fraction of the examples or groups to hold out.
        outputs: What predict returns: "auto", "logits" or "probabilities".
        clip: The least probability; None is the default.
        jobs: Number of processes; None is one per core, or 1 for functions on a GPU.
        duplicates: Whether exact copies of an example share one coin ("together") or not ("apart").
    """

    x: Any
    y: Any
    x_test: Any = None
    y_test: Any = None
    groups: Any = None
    models: int | None = None
    seed: int | None = None
    test_fraction: float = 0.2
    outputs: Any = "auto"
    clip: float | None = None
    jobs: int | None = None
    duplicates: Any = "together"


@dataclass(frozen=True)
class FunctionPlan:
    """Training functions or estimators with their data, which were checked."""

    fits: list[NamedFit]
    data: FunctionData
    settings: FunctionSettings
    jobs: int

    @property
    def names(self) -> list[str]:
        """The name of each function."""
        return [fit.name for fit in self.fits]

    @cached_property
    def fits_sha256(self) -> str:
        """The SHA-256 of the functions; random where one of them has no digest."""
        try:
            return digest([fit.fit.identity for fit in self.fits])
        except NotDigestibleError:
            return secrets.token_hex(32)

    @cached_property
    def kept(self) -> str:
        """What remains after an interruption, in words."""
        unkept = [fit.name for fit in self.fits if not (self.data.has_digest and _has_digest(fit))]
        if not unkept:
            return KEPT
        if len(unkept) == len(self.fits):
            return NOTHING_KEPT
        return f"{KEPT}, except for those of {', '.join(unkept)}, which are not kept"

    @property
    def output_shapes(self) -> OutputShapes:
        """The shapes of the outputs that attacks will see."""
        data, classes = self.data, len(self.data.classes.values)
        return OutputShapes(self.settings.models, data.labels, data.test_labels, 1, classes)

    def train(self, progress: Progress) -> AuditedFunctions:
        """Returns the outputs of the trained models.

        Raises:
            UsageError: A function breaks its contract. No model is trained then.
            RuntimeError: Too few models of every function can be trained.
        """
        return audit_functions(self.fits, self.data, self.settings, self.jobs, progress)


def plan_functions(fits: Any, given: FunctionArguments, name: str | None = None) -> FunctionPlan:
    """Returns the plan of an audit of a training function or estimator, or of several by name.

    `name` is that of a single function. Raises UsageError for a wrong argument.
    """
    models = MODELS.default if given.models is None else given.models
    seed = SEED.default if given.seed is None else given.seed
    clip = CLIP.default if given.clip is None else given.clip
    settings = FunctionSettings(
        models=int(checked_argument(MODELS, models)),
        seed=int(checked_argument(SEED, seed)),
        test_fraction=given.test_fraction,
        outputs=given.outputs,
        clip=float(checked_argument(CLIP, clip)),
        duplicates=given.duplicates,
    )
    workers = None if given.jobs is None else int(checked_argument(JOBS, given.jobs))
    if isinstance(fits, str):
        name = name or fits
        fits = load_fit(fits)
    by_name = fits if isinstance(fits, Mapping) else {name or name_of(fits): fits}
    data = function_data(given.x, given.y, given.x_test, given.y_test, given.groups, settings)
    named = named_fits(by_name, data, settings.outputs)
    check_cache_folder()
    return FunctionPlan(named, data, settings, workers or _default_jobs(named))


def _has_digest(fit: NamedFit) -> bool:
    """Returns whether the models of a function are kept, which its digest identifies."""
    try:
        digest(fit.fit.identity)
    except NotDigestibleError:
        return False
    return True


def name_of(fit: Any) -> str:
    """Returns the name of a training function or estimator for readers."""
    if is_estimator(fit):
        steps = getattr(fit, "steps", None)
        last = steps[-1][1] if steps else fit
        return type(last).__name__
    name = getattr(fit, "__name__", type(fit).__name__)
    return "fit" if name == "<lambda>" else str(name)


def _default_jobs(fits: Sequence[NamedFit]) -> int:
    """Returns one process for each core, or one if a function may train on a GPU."""
    only_estimators = all(isinstance(fit.fit, EstimatorFit) for fit in fits)
    return default_jobs("cpu" if only_estimators else choose_device("auto"))
