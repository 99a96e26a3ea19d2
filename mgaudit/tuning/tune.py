"""The searches of a study: which arms they tune, and what they found."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from mgaudit.errors import UsageError
from mgaudit.reports.search_record import SearchRecord, TrialRecord
from mgaudit.settings.grid import GridSettings, study_name
from mgaudit.settings.study_settings import StudySettings
from mgaudit.settings.tuning import Tune, Tuning
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.study.held_out import split_data, trained_examples
from mgaudit.study.kept_privacy_plans import privacy_plan
from mgaudit.study.plan import Arm, Plan, plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.train import determined_by
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.tuned_dp import dp_options, with_dp_settings
from mgaudit.targets.fitting.tuned_settings import TunedSettings
from mgaudit.targets.schemes import dp_sgd_in
from mgaudit.tuning.search import Arena, Search, search, trainings
from mgaudit.tuning.trials import Trial, dp_trials, numbered, plain_trials


def with_searches(
    settings: StudySettings, tune: Tune, trials: int, jobs: int, progress: Progress
) -> StudySettings:
    """Returns the settings with a search of `trials` trials for each arm that is tuned.

    The study is planned first, so that a mistake ends it before anything is trained. Where it would
    audit all examples, a third of them is held out. The searches are kept in the settings, so that
    a run from them repeats none.

    Raises:
        UsageError: For settings that do not fit the data or one another, for too few examples to
            hold some out, and where there is no arm to tune.
    """
    _check_optimizer(settings)
    held = {"held_out": settings.examples is None, "searches": {}}
    settings = settings.model_copy(update=held)
    plan = plan_study(settings, progress)
    tuned = [arm for arm in plan.arms if _is_tuned(arm, tune)]
    if not tuned:
        raise _nothing_to_tune(plan.arms)
    data = split_data(settings.dataset, settings.examples, settings.seed)
    held_out = data.held_out.standardised()
    searches = {}
    for arm in tuned:
        found = _searched(arm, plan, held_out, trials, jobs, progress)
        searches[arm.settings.scheme] = _record(found, len(held_out.labels))
    return settings.model_copy(update={"searches": searches})


def with_grid_searches(
    grid: GridSettings, tuning: Tuning, jobs: int, progress: Progress
) -> GridSettings:
    """Returns the grid with searches for each of its studies, each on data that its study leaves.

    Raises:
        UsageError: As `with_searches`.
    """
    cells = grid.cells()
    searches = {}
    for number, cell in enumerate(cells, start=1):
        name = study_name(cell.target, cell.dataset, cell.seed)
        if len(cells) > 1:
            progress.stage(f"search {number} of {len(cells)}: {name}")
        searched = with_searches(cell, tuning.arms, tuning.trials, jobs, progress)
        searches[name] = searched.searches
    held_out = grid.examples is None
    return grid.model_copy(update={"held_out": held_out, "searches": searches})


def search_trainings(plans: Sequence[Plan], tuning: Tuning) -> int:
    """Returns how many models the searches for these studies train, if none is in the cache."""
    tuned = sum(_is_tuned(arm, tuning.arms) for plan in plans for arm in plan.arms)
    return tuned * trainings(tuning.trials)


def _check_optimizer(settings: StudySettings) -> None:
    """Raises UsageError for an optimizer that a search does not cover."""
    optimizer = settings.training.optimizer
    if optimizer != "sgd":
        rule = "must be sgd for a search, which is over settings of SGD"
        raise UsageError("optimizer", rule, repr(optimizer), "use --optimizer sgd, or no search")


def _nothing_to_tune(arms: Sequence[Arm]) -> UsageError:
    """Returns the error for arms of which none can be tuned."""
    rule = "must have an arm to tune: one with an epsilon of DP-SGD"
    schemes = ", ".join(arm.settings.scheme.text for arm in arms)
    way_out = "leave out --no-dp, or use --tune all"
    if any(dp_sgd_in(arm.recipe.scheme) is not None for arm in arms):
        way_out = "give --epsilon in place of a noise multiplier"
    return UsageError("tune", rule, schemes, way_out)


def _is_tuned(arm: Arm, tune: Tune) -> bool:
    """Returns whether there is a search for an arm.

    There is none for a given noise multiplier, for which each trial would have another epsilon.
    """
    dp_sgd = dp_sgd_in(arm.recipe.scheme)
    if dp_sgd is None:
        return tune == "all"
    return dp_sgd.epsilon is not None


def _searched(
    arm: Arm, plan: Plan, held_out: Dataset, trials: int, jobs: int, progress: Progress
) -> Search:
    """Returns the search for the settings of an arm of the plan."""
    label, examples = arm.settings.label, len(held_out.labels)
    trained = trained_examples(examples, arm.recipe.members)

    def recipe_of(settings: TunedSettings) -> Recipe:
        return _recipe(arm.recipe, settings, trained)

    def determined(recipe: Recipe) -> dict[str, object]:
        facts = determined_by(arm.settings, recipe, plan.design)
        return {key: value for key, value in facts.items() if key not in ("data", "coins")}

    arrays = {"inputs": held_out.inputs, "labels": held_out.labels}
    device, seed = plan.design.device, plan.design.seed
    arena = Arena(held_out, trained, recipe_of, determined, arrays_sha256(arrays), device, seed)
    progress.stage(f"{label}: search over {trials} settings on {examples} held-out examples")
    return search(
        _drawn(arm, trials, seed), arena, jobs, lambda line: progress.stage(f"{label}: {line}")
    )


def _drawn(arm: Arm, trials: int, seed: int) -> list[Trial]:
    """Returns the trials for an arm, of which the first has the settings without a search.

    What the arm's scheme states is the same in all of them.
    """
    recipe = arm.recipe
    plan, training = recipe.plan, recipe.training
    rate = training.batch_size / recipe.members
    own_rate = training.rate(plan is not None)
    first = TunedSettings(training.epochs, min(rate, 1.0), own_rate, momentum=training.momentum)
    dp_sgd = dp_sgd_in(recipe.scheme)
    if plan is None or dp_sgd is None:
        return plain_trials(trials, first, seed)
    first = replace(
        first, max_grad_norm=plan.max_grad_norm, views=plan.views, averaging=plan.averaging
    )
    drawn = dp_trials(trials, first, training.augment != "none", seed)
    given = {name: value for name, value in dp_options(dp_sgd).items() if value is not None}
    if given.pop("batch_size", None):
        given["sample_rate"] = first.sample_rate
    stated = [replace(trial.settings, **given) for trial in drawn]
    return numbered(stated)


def _recipe(recipe: Recipe, settings: TunedSettings, members: int) -> Recipe:
    """Returns the recipe with a trial's settings, for a model of `members` training examples.

    Raises:
        UsageError: For settings with which DP-SGD cannot reach its epsilon.
    """
    dp_sgd = dp_sgd_in(recipe.scheme)
    if dp_sgd is None:
        training = settings.training(recipe.training, members)
        return replace(recipe, training=training, members=members, stack=1)
    dp_sgd, training = with_dp_settings(dp_sgd, recipe.training, settings, members)
    plan = privacy_plan(dp_sgd, training, members)
    return replace(recipe, training=training, plan=plan, members=members, stack=1)


def _record(found: Search, held_out: int) -> SearchRecord:
    """Returns the record of a search."""
    trials = [
        TrialRecord(**asdict(scored.trial.settings), accuracies=list(scored.accuracies))
        for scored in found.trials
    ]
    return SearchRecord(
        trials=trials,
        chosen=found.trials.index(found.best),
        held_out=held_out,
        trained=found.trained,
        validated=found.validated,
    )
