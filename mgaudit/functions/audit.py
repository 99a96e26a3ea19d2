"""Plan an audit of training functions, train their models, and return what is attacked.

Every function is an arm. All arms have the same data, membership and seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.functions.data import FunctionData
from mgaudit.functions.design import draw_membership, model_seeds
from mgaudit.functions.function import as_fit
from mgaudit.functions.rows import as_inputs
from mgaudit.functions.settings import FunctionSettings
from mgaudit.functions.train import Models, NamedFit, TrainedFunction, train_functions
from mgaudit.outputs.logits import OutputsKind, as_logits
from mgaudit.outputs.model_outputs import ClippedProbabilities, ModelOutputs, OutputsArm
from mgaudit.study.progress import Progress

PLAIN_NAMES = ("plain", "none")  # an arm of this name is the one that others are compared with
LONGEST_NAME = 80  # characters of the name of an arm


@dataclass(frozen=True)
class AuditedFunctions:
    """The outputs of the models of training functions, and how their training went.

    Args:
        arms: An arm for each function.
        membership: Membership (models, examples), bool, also of models that failed.
        notes: What happened, in sentences, such as a fit that failed.
        training_seconds: Seconds of training of each arm, by its key.
        models_reused: Number of models of each arm that an earlier run trained, by its key.
    """

    arms: list[OutputsArm]
    membership: NDArray[np.bool_]
    notes: list[str]
    training_seconds: dict[str, float]
    models_reused: dict[str, int]


def named_fits(fits: Mapping[str, Any], data: FunctionData, outputs: OutputsKind) -> list[NamedFit]:
    """Returns training functions or estimators by name in one form.

    Raises UsageError for names that are not distinct texts, and for what cannot be called as
    `fit(x, y, seed=0)`. `outputs` "auto" is what an estimator is known to return.
    """
    named = []
    for key, name, fit in _with_keys(fits):
        function = as_fit(key, fit, data.classes.values)
        kind = function.outputs if outputs == "auto" else outputs
        named.append(NamedFit(key, name, function, kind))
    return named


def audit_functions(
    fits: Sequence[NamedFit],
    data: FunctionData,
    settings: FunctionSettings,
    jobs: int,
    progress: Progress,
) -> AuditedFunctions:
    """Trains the models of each function, and returns their outputs.

    Args:
        fits: Training functions or estimators, from `named_fits`.
        data: The data, from `function_data`.
        settings: The settings.
        jobs: Number of worker processes.
        progress: Is called at each step.

    Raises:
        UsageError: For a function that breaks its contract. No model is trained then.
        RuntimeError: Where too few models of a function can be trained.
    """
    models = drawn_models(data, settings)
    membership = models.membership
    trained = train_functions(fits, models, jobs, progress)
    arms = [
        _arm(function, fit.fit.outputs, data, membership, settings)
        for function, fit in zip(trained, fits, strict=True)
    ]
    return AuditedFunctions(
        arms=arms,
        membership=membership,
        notes=[*data.notes, *(note for function in trained for note in function.notes)],
        training_seconds={function.name: function.seconds for function in trained},
        models_reused={function.name: function.reused for function in trained},
    )


def drawn_models(data: FunctionData, settings: FunctionSettings) -> Models:
    """Returns the membership and the seeds of the models, which all functions share."""
    membership = draw_membership(settings.models, data.groups, settings.seed)
    seeds = model_seeds(settings.models, settings.seed)
    return Models(data.fitted, data.labels, membership, seeds)


def _with_keys(fits: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Returns the argument, for errors, the name and the function of each arm."""
    if not fits:
        raise UsageError("fits", "must have at least one training function", "none")
    plain = [name for name in fits if name in PLAIN_NAMES]
    if len(plain) > 1:
        raise UsageError("fits", "must have one arm to compare with", " and ".join(plain))
    for name in fits:
        if not isinstance(name, str) or not name.strip():
            raise UsageError("fits", "must have a text as the name of each arm", repr(name))
        if not name.isprintable() or len(name) > LONGEST_NAME:
            rule = f"must have names of at most {LONGEST_NAME} printable characters, in one line"
            raise UsageError("fits", rule, repr(name), 'name it as in {"my defence": fit}')
    if len(fits) == 1:
        return [("fit", name, fit) for name, fit in fits.items()]
    return [(f"fits[{name!r}]", name, fit) for name, fit in fits.items()]


def _arm(
    function: TrainedFunction,
    kind: OutputsKind,
    data: FunctionData,
    membership: NDArray[np.bool_],
    settings: FunctionSettings,
) -> OutputsArm:
    """Returns the outputs of a function's models; `kind` is what its predictions are."""
    predictions = stacked_predictions(function, data)
    outputs = kind if settings.outputs == "auto" else settings.outputs
    key = f"predict of {function.name}"
    examples = len(data.labels)

    def at(clip: float) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Returns the logits of the audited and of the test examples."""
        logits = as_logits(key, predictions, outputs, clip) if len(predictions) else predictions
        return logits[:, :examples], logits[:, examples:]

    logits, population_logits = at(settings.clip)
    clipped = None
    if not np.array_equal(logits, predictions[:, :examples]):  # log p differs from every p
        share = float((predictions < settings.clip).mean())
        clipped = ClippedProbabilities(settings.clip, share, at)
    model_outputs = ModelOutputs(
        logits=logits,
        labels=data.labels,
        membership=np.delete(membership, function.failed, axis=0),
        population_logits=population_logits,
        population_labels=data.test_labels,
        true_labels=data.labels,
        classes=data.classes.names,
        origins=tuple(f"row {row}" for row in data.rows.tolist()),
        inputs=as_inputs(data.fitted.x),
        groups=data.groups if data.has_groups else None,
        population_groups=data.test_groups if data.has_groups else None,
        clipped=clipped,
    )
    is_plain = function.name in PLAIN_NAMES
    return OutputsArm(function.name, function.name, is_plain, model_outputs, function.failed)


def stacked_predictions(function: TrainedFunction, data: FunctionData) -> NDArray[np.floating]:
    """Returns predictions (models, examples + test examples, 1, classes) of one query."""
    shape = len(data.labels) + len(data.test_labels), 1, data.fitted.classes
    models = [
        np.concatenate([predictions["examples"], predictions["test"]]).reshape(shape)
        for predictions in function.predictions
    ]
    return np.stack(models) if models else np.empty((0, *shape))
