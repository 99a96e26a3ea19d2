"""Plan an audit of training functions, train their models, and return what is attacked.

Every function is an arm. All arms have the same data, membership and seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.functions.design import draw_membership, model_seeds, split_test
from mgaudit.functions.digest import NotDigestibleError, digest
from mgaudit.functions.function import as_fit
from mgaudit.functions.groups import group_numbers
from mgaudit.functions.rows import as_inputs, count_rows, take
from mgaudit.functions.train import Models, NamedFit, TrainedFunction, train_functions
from mgaudit.functions.worker import FitData
from mgaudit.outputs.logits import OutputsKind, as_logits
from mgaudit.outputs.model_outputs import ClippedProbabilities, ModelOutputs, OutputsArm
from mgaudit.settings.arguments import CLIP
from mgaudit.study.progress import Progress
from mgaudit.targets.arrays.class_labels import Classes, classes_of
from mgaudit.targets.datasets.contents import contents

PLAIN_NAMES = ("plain", "none")  # an arm of this name is the one that others are compared with
FEWEST_EXAMPLES = 20  # audited examples, or groups
MOST_REPEATED = 0.01  # share of test examples that may equal audited ones by chance


@dataclass(frozen=True)
class FunctionSettings:
    """The settings of an audit of training functions.

    Args:
        models: Number of models of each function.
        seed: Random seed of the test split, the membership and the models.
        test_fraction: Fraction of examples or groups that is held out as test data, where no test
            data are given.
        outputs: What predict returns: "auto", "logits" or "probabilities".
        clip: The least probability that is used as such; smaller ones are replaced by it.
    """

    models: int = 16
    seed: int = 0
    test_fraction: float = 0.2
    outputs: OutputsKind = "auto"
    clip: float = CLIP.default

    def __post_init__(self) -> None:
        kinds = get_args(OutputsKind)
        if self.outputs not in kinds:
            rule = f"must be one of {', '.join(kinds)}"
            raise UsageError("outputs", rule, repr(self.outputs))
        if not 0 < self.clip < 0.5:
            raise UsageError("clip", "must be a probability > 0 and < 0.5", str(self.clip))
        if not 0 < self.test_fraction < 1:
            rule = "must be a fraction > 0 and < 1"
            raise UsageError("test_fraction", rule, str(self.test_fraction))


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


@dataclass(frozen=True)
class FunctionData:
    """The data of an audit: audited and test examples in the user's types, labels and groups.

    `labels` (examples,) and `test_labels` (test examples,) are class numbers. `groups` (examples,)
    and `test_groups` (test examples,) are group numbers; the latter are None where test data were
    given. Each example is its own group where none are given. `rows` are the rows of
    the audited examples in the user's data.
    """

    fitted: FitData
    labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    classes: Classes
    groups: NDArray[np.int64]
    test_groups: NDArray[np.int64] | None
    has_groups: bool
    rows: NDArray[np.int64]

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the data; of labels and groups alone if the examples have no digest."""
        numbers = (self.labels, self.test_labels, self.groups)
        try:
            return digest((self.fitted.x, self.fitted.y, self.fitted.x_test, numbers))
        except NotDigestibleError:
            return digest(numbers)


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
    membership = draw_membership(settings.models, data.groups, settings.seed)
    seeds = model_seeds(settings.models, settings.seed)
    models = Models(data.fitted, data.labels, membership, seeds)
    trained = train_functions(fits, models, jobs, progress)
    arms = [
        _arm(function, fit.fit.outputs, data, membership, settings)
        for function, fit in zip(trained, fits, strict=True)
    ]
    return AuditedFunctions(
        arms=arms,
        membership=membership,
        notes=[note for function in trained for note in function.notes],
        training_seconds={function.name: function.seconds for function in trained},
        models_reused={function.name: function.reused for function in trained},
    )


def function_data(
    x: Any, y: Any, x_test: Any, y_test: Any, groups: Any, settings: FunctionSettings
) -> FunctionData:
    """Returns the data that training functions see, with test data held out where none are given.

    Args:
        x: Examples: an array, DataFrame, list, sparse matrix or tensor with a row for each.
        y: The label of each example, of any type that can be sorted.
        x_test, y_test: Test data, or None.
        groups: The group of each example, such as a person, or None.
        settings: The settings.

    Raises:
        UsageError: For data of other types, and for lengths that do not agree.
    """
    examples = _same_length("x", x, "y", y)
    if not examples:
        raise UsageError("x", f"must have at least {FEWEST_EXAMPLES} examples to audit", "0")
    classes = classes_of("y", y)
    if (x_test is None) != (y_test is None):
        missing, present = ("x_test", "y_test") if x_test is None else ("y_test", "x_test")
        raise UsageError(missing, f"must be given with {present}", "None")
    numbers = np.arange(examples)
    if groups is not None:
        _same_length("x", x, "groups", groups)
        numbers = group_numbers("groups", groups)
    rows, test_groups = np.arange(examples), None
    if x_test is None:
        rows, test_rows = split_test(numbers, settings.test_fraction, settings.seed)
        x_test, y_test = take(x, test_rows), take(y, test_rows)
        x, y = take(x, rows), take(y, rows)
        test_groups = numbers[test_rows]
    else:
        _same_length("x_test", x_test, "y_test", y_test)
        _refuse_overlap(x, x_test)
    audited_groups = len(np.unique(numbers[rows]))
    if audited_groups < FEWEST_EXAMPLES:
        key = "x" if groups is None else "groups"
        what = "examples" if groups is None else "groups"
        rule = f"must have at least {FEWEST_EXAMPLES} {what} to audit"
        raise UsageError(key, rule, str(audited_groups))
    return FunctionData(
        fitted=FitData(x, y, x_test, len(classes.values)),
        labels=classes.numbers("y", y),
        test_labels=classes.numbers("y_test", y_test),
        classes=classes,
        groups=numbers[rows],
        test_groups=test_groups,
        has_groups=groups is not None,
        rows=rows,
    )


def _refuse_overlap(x: Any, x_test: Any) -> None:
    """Raises UsageError if more test examples are among the audited ones than some by chance.

    Only examples that are numbers are compared.
    """
    audited, tests = as_inputs(x), as_inputs(x_test)
    if audited is None or tests is None or audited.shape[1:] != tests.shape[1:]:
        return
    row_of = {row: index for index, row in enumerate(contents(audited, np.dtype(np.float64)))}
    repeated = [
        (index, row_of[row])
        for index, row in enumerate(contents(tests, np.dtype(np.float64)))
        if row in row_of
    ]
    by_chance = 1 - len(row_of) / len(audited)
    if len(repeated) > max(3 * by_chance, MOST_REPEATED) * len(tests):
        test, example = repeated[0]
        rule = f"must not repeat rows of x, and {len(repeated)} of its rows do"
        value = f"row {test} of x_test is row {example} of x"
        raise UsageError("x_test", rule, value, "leave them out of one of the two")


def _same_length(first_key: str, first: Any, second_key: str, second: Any) -> int:
    """Returns the number of rows of both. Raises UsageError unless they agree."""
    rows = count_rows(first_key, first)
    others = count_rows(second_key, second)
    if rows != others:
        raise UsageError(second_key, f"must have {rows} rows, as {first_key} has", str(others))
    return rows


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
    predictions = _stacked(function, data)
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


def _stacked(function: TrainedFunction, data: FunctionData) -> NDArray[np.floating]:
    """Returns predictions (models, examples + test examples, 1, classes) of one query."""
    shape = len(data.labels) + len(data.test_labels), 1, data.fitted.classes
    models = [
        np.concatenate([predictions["examples"], predictions["test"]]).reshape(shape)
        for predictions in function.predictions
    ]
    return np.stack(models) if models else np.empty((0, *shape))
