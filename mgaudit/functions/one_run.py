"""An audit of one training by a user's function: canaries, coins, one fit, lower bounds on ε."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.signals import logit_confidence
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.functions.api import FunctionArguments, FunctionPlan, plan_functions
from mgaudit.functions.audit import stacked_predictions
from mgaudit.functions.copies import copies_in
from mgaudit.functions.data import FunctionData
from mgaudit.functions.design import model_seeds
from mgaudit.functions.rows import is_frame, take
from mgaudit.functions.train import Models, train_functions
from mgaudit.outputs.logits import as_logits
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import DPAuditResult
from mgaudit.settings.arguments import CANARIES, GUESSES, KIND, SIGNIFICANCE
from mgaudit.settings.number_check import checked_argument, checked_number
from mgaudit.study.one_run_audit import Guessing, proof_fields
from mgaudit.study.progress import Progress
from mgaudit.study.provenance import outputs_provenance
from mgaudit.targets.datasets.canaries import CanaryKind
from mgaudit.targets.fitting.privacy_plan import default_delta
from mgaudit.targets.membership import canary_coins
from mgaudit.targets.ranges import Range
from mgaudit.targets.seeds import numpy_generator

EPSILONS = Range(0, low_open=True)
DELTAS = Range(0, 1, high_open=True)
LEFT_OUT = "They are no canaries, because a copy that is always included reveals nothing."


@dataclass(frozen=True)
class OneRunSettings:
    """The canaries of an audit of one training, the guesses about them, and the claim.

    Args:
        canaries: Number of examples whose membership is decided by fair coins.
        kind: Whether the canaries keep their labels ("natural") or get others ("mislabelled").
        guesses: Fraction of the canaries that are guessed in, and fraction that are guessed out.
        significance: Probability that a bound is wrong.
        epsilon: Claimed ε (nats); None without a claim.
        delta: δ of the claim and of the bounds; None for 1 / n^1.1 for n expected members.
    """

    canaries: int
    kind: CanaryKind = KIND.default
    guesses: float = GUESSES.default
    significance: float = SIGNIFICANCE.default
    epsilon: float | None = None
    delta: float | None = None


@dataclass(frozen=True)
class OneRunPlan:
    """A function with data whose canaries are planted, and the coins of the canaries.

    `canaries` (canaries,) are the indices of the canaries among the audited examples, and
    `membership` (1, examples) is True where the function trains on the example.
    """

    functions: FunctionPlan
    settings: OneRunSettings
    canaries: NDArray[np.int64]
    membership: NDArray[np.bool_]

    @property
    def delta(self) -> float:
        """The δ of the bounds."""
        if self.settings.delta is not None:
            return self.settings.delta
        examples = len(self.functions.data.labels)
        return default_delta(examples - self.settings.canaries / 2)


def one_run_settings(values: Mapping[str, Any]) -> OneRunSettings:
    """Returns checked settings; a value of None is one that was not given.

    Raises UsageError for the first wrong value.
    """
    chosen = {name: value for name, value in values.items() if value is not None}
    for argument in (CANARIES, GUESSES, SIGNIFICANCE):
        if argument.name in chosen:
            chosen[argument.name] = checked_argument(argument, chosen[argument.name])
    for name, limits in (("epsilon", EPSILONS), ("delta", DELTAS)):
        if name in chosen:
            try:
                chosen[name] = float(checked_number(chosen[name], False, limits))
            except UsageError as error:
                raise error.inside(name) from error
    kind, kinds = chosen.get("kind", KIND.default), get_args(CanaryKind)
    if kind not in kinds:
        rule = f"must be one of {', '.join(kinds)}"
        raise UsageError("kind", rule, repr(kind), did_you_mean(str(kind), kinds))
    return OneRunSettings(**chosen)


def plan_one_fit(
    fit: Any, given: FunctionArguments, settings: OneRunSettings, name: str | None = None
) -> OneRunPlan:
    """Returns the plan: canaries are planted, and their coins are tossed.

    `given.models` is ignored. Raises UsageError for a wrong argument, for groups, for several
    functions, and for more canaries than examples.
    """
    if isinstance(fit, Mapping) and len(fit) != 1:
        rule = "must be one training function with models=1"
        raise UsageError("fit", rule, f"{len(fit)} functions", "audit one after the other")
    if given.groups is not None:
        rule = "must not be given with models=1, because bounds from one run need a coin for each"
        rule += " example"
        raise UsageError("groups", rule, None, "leave it out, or give models=16 without canaries")
    plan = plan_functions(fit, replace(given, models=None), name)
    plan = replace(plan, settings=replace(plan.settings, models=1))
    data = plan.data
    candidates, notes = _candidates(data, settings, plan.settings.duplicates)
    if settings.canaries > len(candidates):
        what = "examples"
        if len(candidates) < len(data.labels):
            what = "examples without exact copies"
        rule = f"must be at most {len(candidates)}, the number of {what} to audit"
        way_out = "use fewer canaries or more examples"
        raise UsageError("canaries", rule, str(settings.canaries), way_out)
    generator = numpy_generator(plan.settings.seed, "canaries")
    chosen = candidates[generator.permutation(len(candidates))[: settings.canaries]]
    data = replace(data, notes=notes)
    if settings.kind == "mislabelled":
        data = _mislabelled(data, chosen, generator)
    membership = canary_coins(1, len(data.labels), chosen, plan.settings.seed)
    return OneRunPlan(replace(plan, data=data), settings, chosen, membership)


def run_one_fit(
    plan: OneRunPlan, values: Mapping[str, Any], command: str, progress: Progress
) -> tuple[DPAuditResult, Arrays]:
    """Trains the function once on the included examples, and returns the result and arrays.

    `values` are the settings of the result, and `command` says how the audit is repeated. The
    arrays are those of `run_one_run`, for one model.

    Raises:
        UsageError: For a function that breaks its contract in a trial fit on few examples.
        RuntimeError: If the function fails.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    functions = plan.functions
    data, settings = functions.data, plan.settings
    seed = functions.settings.seed
    models = Models(data.fitted, data.labels, plan.membership, model_seeds(1, seed))
    (trained,) = train_functions(functions.fits, models, 1, progress, fewest=1)
    logits = _logits(plan, stacked_predictions(trained, data))
    examples = len(data.labels)
    labels = data.labels[plan.canaries]
    scores = logit_confidence(logits[:, plan.canaries], labels)[:, :, 0]
    correct = logits[:, examples:, 0].argmax(axis=-1) == data.test_labels
    membership = plan.membership[:, plan.canaries]
    guessing = Guessing(settings.guesses, settings.significance, seed)
    result = DPAuditResult(
        settings=dict(values),
        label=functions.names[0],
        epsilon_claimed=settings.epsilon,
        accountant="",
        **proof_fields(scores, membership, plan.delta, guessing),
        accuracy=float(correct.mean()),
        provenance=outputs_provenance(),
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        notes=(*data.notes, *trained.notes),
        command=command,
    )
    arrays = {"scores": scores, "membership": membership}
    return result, {**arrays, "canaries": data.rows[plan.canaries], "labels": labels}


def _logits(plan: OneRunPlan, predictions: NDArray[np.floating]) -> NDArray[np.floating]:
    """Returns logits (1, examples + test examples, 1, classes) of the model's predictions."""
    (fit,) = plan.functions.fits
    settings = plan.functions.settings
    outputs = fit.fit.outputs if settings.outputs == "auto" else settings.outputs
    return as_logits(f"predict of {fit.name}", predictions, outputs, settings.clip)


def _candidates(
    data: FunctionData, settings: OneRunSettings, duplicates: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Returns the indices of the examples that may be canaries, and notes about exact copies.

    A mislabelled canary must not equal another example in its values alone, because it might get
    the label of this example.
    """
    everyone = np.arange(len(data.labels))
    labels = data.labels if settings.kind == "natural" else np.zeros_like(data.labels)
    copies = copies_in(data.fitted.x, labels)
    if copies is None or duplicates == "apart" or not copies.has_copies.any():
        return everyone, data.notes
    return copies.alone, (f"{copies.summary()}. {LEFT_OUT}",)


def _mislabelled(
    data: FunctionData, chosen: NDArray[np.int64], generator: np.random.Generator
) -> FunctionData:
    """Returns the data in which each canary has another class, drawn uniformly.

    Only classes that audited examples have are drawn. The label is taken from an example of the
    class, so that it has the type that the user gave.
    """
    present, numbers = np.unique(data.labels, return_inverse=True)
    if len(present) < 2:
        rule = "must be natural where all audited examples have one label"
        raise UsageError("kind", rule, "mislabelled")
    shifts = generator.integers(1, len(present), len(chosen))
    numbers[chosen] = (numbers[chosen] + shifts) % len(present)
    first_of = np.array([np.flatnonzero(data.labels == label)[0] for label in present])
    sources = np.arange(len(data.labels))
    sources[chosen] = first_of[numbers[chosen]]
    y = take(data.fitted.y, sources)
    if is_frame(y):
        y.index = data.fitted.y.index  # rows stay aligned with those of x
    return replace(data, fitted=replace(data.fitted, y=y), labels=present[numbers])
