"""A search for the settings of an arm's training: many trials on one fold, the best on more.

Trials are compared on the same folds of held-out data, with the same seeds. What a search tries is
data-dependent, and epsilon does not pay for it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mgaudit.compute import parallel
from mgaudit.errors import UsageError
from mgaudit.storage.atomic import write_with_folder
from mgaudit.study.held_out import drawn_fold
from mgaudit.targets.cache import cache_folder
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.tuned_settings import TunedSettings
from mgaudit.tuning.evaluate import Evaluated, Evaluation, evaluate
from mgaudit.tuning.trials import Trial, cost_order

FOLDS_OF_ROUNDS = (1, 1, 2)  # a fold is a training of every trial that is still in the search
KEPT = 3  # one in three trials, the best ones, goes on to the next round
FEWEST_KEPT = 2


@dataclass(frozen=True)
class ScoredTrial:
    """A trial and the accuracies of its models, one for each fold that it was evaluated on."""

    trial: Trial
    accuracies: tuple[float, ...]

    @cached_property
    def accuracy(self) -> float:
        """The mean accuracy over its folds."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True)
class Search:
    """The trials of a search, in order of their numbers, and the one that it chose."""

    trials: tuple[ScoredTrial, ...]
    best: ScoredTrial
    trained: int
    validated: int


@dataclass(frozen=True)
class Arena:
    """What all trials of a search share.

    `recipe_of` returns the recipe for the settings of a trial and a number of training examples,
    and raises UsageError for settings that cannot be trained. `determined_by` returns, as JSON
    values, all that determines a model of a recipe, apart from fold and data.
    """

    held_out: Dataset
    trained: int
    recipe_of: Callable[[TunedSettings], Recipe]
    determined_by: Callable[[Recipe], dict[str, object]]
    data_sha256: str
    device: str
    seed: int


def search(
    trials: Sequence[Trial],
    arena: Arena,
    jobs: int,
    stage: Callable[[str], None],
) -> Search:
    """Returns the scores of all trials, and the best of those that lasted to the end.

    In each round all remaining trials are evaluated on further folds, and the best third goes on.
    Evaluations are kept in the cache, so that an interrupted search goes on where it stopped.
    Between equal accuracies the cheaper training wins.

    Raises:
        UsageError: If no trial can be trained, or all of them diverge.
    """
    recipes = _recipes(trials, arena)
    accuracies: dict[int, list[float]] = {number: [] for number in recipes}
    alive = [trial for trial in trials if trial.number in recipes]
    first = 0
    for count in FOLDS_OF_ROUNDS:
        folds = range(first, first + count)
        first += count
        tasks = [_task(trial, fold, recipes, arena) for fold in folds for trial in alive]
        by_place = {(done.trial, done.fold_number): done for done in _evaluated(tasks, jobs)}
        for fold in folds:
            for trial in alive:
                accuracies[trial.number].append(by_place[trial.number, fold].accuracy)
        alive = _ranked(alive, accuracies)
        best = float(np.mean(accuracies[alive[0].number]))
        on = f"{first} fold{'s' * (first > 1)}"
        stage(f"{len(alive)} trials on {on} of held-out data, the best reaches {100 * best:.1f} %")
        if count is not FOLDS_OF_ROUNDS[-1]:
            alive = alive[: _kept_trials(len(alive))]
    if not any(max(values) for values in accuracies.values()):
        rule = "must have a trial whose training does not diverge"
        way_out = "let the scheme state a lower learning_rate, or change the network"
        raise UsageError("tune", rule, f"{len(recipes)} that diverged", way_out)
    scored = tuple(
        ScoredTrial(trial, tuple(accuracies[trial.number]))
        for trial in trials
        if trial.number in recipes
    )
    best_trial = next(trial for trial in scored if trial.trial == alive[0])
    validated = len(drawn_fold(len(arena.held_out.labels), arena.trained, 0, arena.seed).validated)
    return Search(scored, best_trial, arena.trained, validated)


def trainings(trials: int) -> int:
    """Returns the number of models that a search of so many trials trains.

    >>> trainings(16)
    25
    """
    total, alive = 0, trials
    for count in FOLDS_OF_ROUNDS:
        total += count * alive
        alive = min(alive, _kept_trials(alive))
    return total


def _kept_trials(alive: int) -> int:
    """Returns how many trials go on to the next round, if there are so many."""
    return max(FEWEST_KEPT, alive // KEPT)


def _ranked(trials: Iterable[Trial], accuracies: dict[int, list[float]]) -> list[Trial]:
    """Returns the trials, the most accurate first, and of equally accurate ones the cheapest."""
    return sorted(
        trials,
        key=lambda trial: (-np.mean(accuracies[trial.number]), cost_order(trial.settings)),
    )


def _recipes(trials: Sequence[Trial], arena: Arena) -> dict[int, Recipe]:
    """Returns the recipes of the trials that can be trained, by their numbers.

    Raises UsageError if there is none.
    """
    recipes: dict[int, Recipe] = {}
    refused: UsageError | None = None
    for trial in trials:
        try:
            recipes[trial.number] = arena.recipe_of(trial.settings)
        except UsageError as error:
            refused = error
    if not recipes:
        assert refused is not None
        raise refused
    return recipes


def _task(trial: Trial, fold: int, recipes: dict[int, Recipe], arena: Arena) -> Evaluation:
    """Returns the training of a trial on a fold."""
    recipe = recipes[trial.number]
    determined = {
        "held out": arena.data_sha256,
        "trained": arena.trained,
        "fold": fold,
        "model": arena.determined_by(recipe),
    }
    text = json.dumps(determined, sort_keys=True, default=str)
    return Evaluation(
        trial.number,
        fold,
        drawn_fold(len(arena.held_out.labels), arena.trained, fold, arena.seed),
        recipe,
        arena.held_out,
        arena.device,
        hashlib.sha256(text.encode()).hexdigest(),
    )


def _evaluated(tasks: Sequence[Evaluation], jobs: int) -> list[Evaluated]:
    """Returns the evaluations, from the cache where they are there; others are kept in it."""
    done, missing = [], []
    for task in tasks:
        kept = _kept(task)
        if kept is None:
            missing.append(task)
        else:
            done.append(kept)
    on_gpu = any(task.device == "cuda" for task in missing)
    for outcome in parallel.run(evaluate, missing, jobs, on_gpu=on_gpu):
        write_with_folder(_path(outcome.key), json.dumps(asdict(outcome)).encode())
        done.append(outcome)
    return done


def _kept(task: Evaluation) -> Evaluated | None:
    """Returns the evaluation in the cache; None if there is none, or a damaged one."""
    try:
        values = json.loads(_path(task.key).read_text("utf-8"))
        accuracy, seconds = float(values["accuracy"]), float(values["seconds"])
        if values["key"] != task.key or not 0 <= accuracy <= 1:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Evaluated(task.trial, task.fold_number, task.key, accuracy, seconds)


def _path(key: str) -> Path:
    """Returns the file of an evaluation in the cache."""
    return cache_folder() / "searches" / key[:2] / f"{key}.json"
