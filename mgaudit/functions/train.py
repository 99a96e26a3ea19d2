"""Train the models of a user's training functions, and keep their predictions."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.compute.messages import can_be_sent
from mgaudit.compute.parallel import pool_of
from mgaudit.compute.pool import Future, WorkerLostError
from mgaudit.compute.this_process import ThisProcess
from mgaudit.functions.contract import trial_fit
from mgaudit.functions.digest import NotDigestibleError, digest
from mgaudit.functions.function import Fit
from mgaudit.functions.predictions import (
    ModelFacts,
    PredictionFolder,
    Predictions,
    Shapes,
    model_name,
)
from mgaudit.functions.rows import count_rows
from mgaudit.functions.worker import FitData, FitOutcome, FitTask, fit_model
from mgaudit.outputs.logits import OutputsKind
from mgaudit.storage.checked_files import lock_holder
from mgaudit.study.progress import Progress
from mgaudit.version import __version__

# The code of this package that determines predictions.
CODE = ("estimator.py", "function.py", "rows.py", "worker.py")


@dataclass(frozen=True)
class NamedFit:
    """A training function, its name for readers, and the argument for errors, such as "fit".

    `outputs` is what its predictions are.
    """

    key: str
    name: str
    fit: Fit
    outputs: OutputsKind = "auto"


@dataclass(frozen=True)
class Models:
    """What all training functions share.

    Args:
        data: The audited examples and the test examples.
        labels: Class numbers (examples,).
        membership: Membership (models, examples), bool.
        seeds: The seed of each model.
    """

    data: FitData
    labels: NDArray[np.int64]
    membership: NDArray[np.bool_]
    seeds: list[int]

    @property
    def names(self) -> list[str]:
        """The name of each model in the store."""
        rows = zip(self.membership, self.seeds, strict=True)
        return [model_name(members, seed) for members, seed in rows]

    @property
    def shapes(self) -> Shapes:
        """The shape of each array of predictions."""
        classes = self.data.classes
        shapes: Shapes = {"examples": (len(self.labels), classes)}
        if self.data.x_test is not None:
            shapes["test"] = (count_rows("x_test", self.data.x_test), classes)
        return shapes


@dataclass(frozen=True)
class TrainedFunction:
    """The predictions of a training function's models.

    Args:
        name: The name of the function.
        predictions: The predictions of each model that was trained, by split.
        failures: The error of each other model, by its index, in one line.
        notes: What happened, in sentences.
        seconds: Seconds of training, over all models.
        reused: Number of models that were in the store before.
    """

    name: str
    predictions: list[Predictions]
    failures: dict[int, str]
    notes: list[str]
    seconds: float
    reused: int

    @property
    def failed(self) -> list[int]:
        """Indices of the models whose training failed, ascending."""
        return sorted(self.failures)


def train_functions(
    fits: Sequence[NamedFit],
    models: Models,
    jobs: int,
    progress: Progress,
    fewest: int = FEWEST_MODELS,
) -> list[TrainedFunction]:
    """Returns each function with all its models trained, after a trial fit of every function.

    Raises:
        UsageError: Where a trial fit finds a mistake; no model is trained then.
        RuntimeError: Where fewer than `fewest` models of every function can be trained.
    """
    with ExitStack() as stack:
        folders = [stack.enter_context(_folder(named, models)) for named in fits]
        notes = []
        for named, (folder, unkept) in zip(fits, folders, strict=True):
            notes.append(unkept + _trial(named, folder, models, progress))
        trained = []
        for named, (folder, _), known in zip(fits, folders, notes, strict=True):
            for note in known:
                progress.note(f"{named.name}: {note}")
            trained.append(_train(named, folder, models, known, jobs, progress))
    if all(len(function.predictions) < fewest for function in trained):
        raise RuntimeError(_too_few(trained[0], len(models.seeds), fewest))
    return trained


def kept_seconds(named: NamedFit, models: Models, progress: Progress) -> list[float]:
    """Returns the seconds of each fit whose predictions are kept; none without a digest."""
    try:
        folder = PredictionFolder.at(_determined_by(named.fit, models.data))
    except NotDigestibleError:
        return []
    kept = _kept(range(len(models.names)), folder, models, progress)
    return [facts.seconds for _, facts in kept.values()]


def _too_few(function: TrainedFunction, models: int, fewest: int) -> str:
    """Returns why a function cannot be audited, with the error of its first failed model."""
    left, first = len(function.predictions), function.failed[0]
    return (
        f"{function.name}: only {left} of {models} models could be trained, and an audit needs "
        f"{fewest}; model {first} failed: {function.failures[first]}"
    )


@contextmanager
def _folder(named: NamedFit, models: Models) -> Iterator[tuple[PredictionFolder, list[str]]]:
    """Yields the folder of a function's models, and a note where it is deleted afterwards."""
    try:
        determined_by = _determined_by(named.fit, models.data)
    except NotDigestibleError as error:
        note = f"models are not kept for a later run, because {error}"
        with tempfile.TemporaryDirectory(prefix="mgaudit-") as temporary:
            yield PredictionFolder(Path(temporary) / "predictions", "{}"), [note]
        return
    yield PredictionFolder.at(determined_by), []


def _determined_by(fit: Fit, data: FitData) -> dict[str, Any]:
    """Returns, as JSON values, all that determines a model except its members and seed."""
    packages = ("numpy", "scipy")
    versions = {name: version(name) for name in packages}
    return {
        "fit": digest(fit.identity),
        "data": digest((data.x, data.y, data.x_test)),
        "classes": data.classes,
        "code": fitting_code_sha256(),
        "versions": {"python": python_version(), "mgaudit": __version__, **versions},
    }


@cache
def fitting_code_sha256() -> str:
    """Returns the SHA-256 of the code that fits models, which identifies their predictions."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in CODE)).hexdigest()


def _trial(
    named: NamedFit, folder: PredictionFolder, models: Models, progress: Progress
) -> list[str]:
    """Returns the notes of the trial fit, which is made once for each folder."""
    with folder.locked(lambda: progress.stage(_waiting(folder))):
        notes = folder.load_trial(progress.stage)
        if notes is None:
            progress.stage(f"{named.name}: trial fit")
            notes = trial_fit(
                named.key,
                named.fit,
                models.data,
                models.labels,
                models.membership,
                models.seeds,
                named.outputs,
            )
            folder.save_trial(notes)
    return notes


def _train(
    named: NamedFit,
    folder: PredictionFolder,
    models: Models,
    notes: list[str],
    jobs: int,
    progress: Progress,
) -> TrainedFunction:
    """Trains the models that the folder lacks, and returns all."""
    with folder.locked(lambda: progress.stage(_waiting(folder))):
        kept = _kept(range(len(models.names)), folder, models, progress)
        missing = [index for index in range(len(models.names)) if index not in kept]
        progress.training_started(named.name, len(models.names), len(kept))
        failures, unsent = _fit_missing(named, folder, models, missing, jobs, progress)
        progress.training_ended(named.name)
        trained = [index for index in missing if index not in failures]
        new = _kept(trained, folder, models, progress)
    if len(new) < len(trained):
        raise RuntimeError(f"the kept models in {folder.path} changed during the run; run again")
    all_models = dict(sorted((kept | new).items()))
    facts = [facts for _, facts in all_models.values()]
    all_notes = [*notes, *unsent, *_failure_notes(failures), *_output_notes(facts)]
    return TrainedFunction(
        name=named.name,
        predictions=[predictions for predictions, _ in all_models.values()],
        failures=failures,
        notes=[f"{named.name}: {note}" for note in all_notes],
        seconds=sum(fact.seconds for fact in facts),
        reused=len(kept),
    )


def _kept(
    indices: Sequence[int], folder: PredictionFolder, models: Models, progress: Progress
) -> dict[int, tuple[Predictions, ModelFacts]]:
    """Returns what is stored of the models with these indices."""
    kept, names = {}, models.names
    for index in indices:
        model = folder.load_model(names[index], models.shapes, progress.stage)
        if model is not None:
            kept[index] = model
    return kept


def _fit_missing(
    named: NamedFit,
    folder: PredictionFolder,
    models: Models,
    missing: list[int],
    jobs: int,
    progress: Progress,
) -> tuple[dict[int, str], list[str]]:
    """Trains models in worker processes. Returns errors by model, and a note about processes."""
    fit = named.fit if jobs == 1 or len(missing) <= 1 else named.fit.with_one_job()
    names = models.names
    tasks = [
        FitTask(
            index,
            names[index],
            fit,
            np.flatnonzero(models.membership[index]),
            models.seeds[index],
            folder,
        )
        for index in missing
    ]
    notes = []
    if jobs > 1 and len(tasks) > 1 and not can_be_sent(fit):
        notes = ["models are trained in one process, because the function cannot be sent to others"]
        progress.note(f"{named.name}: {notes[0]}")
        jobs = 1
    failures: dict[int, str] = {}
    with ThisProcess() if jobs == 1 or len(tasks) <= 1 else pool_of(jobs) as pool:
        pool.on_event = progress.stage
        data = pool.share(models.data)
        futures: dict[Future[FitOutcome], int] = {}
        for task in tasks:
            name = f"{named.name}: model {task.index}"
            futures[pool.submit(fit_model, task, data, name=name)] = task.index
        for future in pool.completed():
            outcome = _outcome(future, futures[future])
            if outcome.failure:
                failures[outcome.index] = outcome.failure
                progress.stage(f"{named.name}: model {outcome.index} failed: {outcome.failure}")
            else:
                folder.write_model(names[outcome.index], outcome.content)
            progress.model_trained(named.name)
    return failures, notes


def _waiting(folder: PredictionFolder) -> str:
    return f"waiting for {lock_holder(folder.path)}, which trains the same models"


def _outcome(future: Future[FitOutcome], index: int) -> FitOutcome:
    """Returns the outcome of a task; a model whose workers died has failed."""
    try:
        return future.result()
    except WorkerLostError as error:
        return FitOutcome(index, str(error))


def _failure_notes(failures: dict[int, str]) -> list[str]:
    return [f"model {index} failed: {failures[index]}" for index in sorted(failures)]


def _output_notes(facts: Sequence[ModelFacts]) -> list[str]:
    """Returns notes about what models printed and warned of, with the first line."""
    notes = []
    texts = {
        "printed a text, which is not shown; the first line": [fact.printed for fact in facts],
        "gave a warning; the first": [fact.warning for fact in facts],
    }
    for what, lines in texts.items():
        given_lines = [line for line in lines if line]
        if given_lines:
            notes.append(f"{len(given_lines)} of {len(facts)} fits {what}: {given_lines[0]}")
    return notes
