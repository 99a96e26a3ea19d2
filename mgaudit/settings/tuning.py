"""What to search settings for, and which searches of an earlier run are kept."""

from dataclasses import dataclass
from typing import Any, Literal

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.settings.arguments import TRIALS, TUNE, TUNE_DP
from mgaudit.settings.number_check import checked_argument
from mgaudit.settings.study_settings import StudySettings

Tune = Literal["dp", "all"]  # the arms whose settings are searched

# What the held-out data of a search depend on, or what it found settings for.
SEARCHED = ("dataset", "target", "examples", "seed")
# The settings of training that a search replaces, or on which its choice hardly depends.
NOT_SEARCHED = {"epochs", "batch_size", "learning_rate", "precision"}
SEARCH_AGAIN = "add --tune-dp to search again, or leave the settings file out"


@dataclass(frozen=True)
class Tuning:
    """A search of `trials` trials for each arm with DP-SGD, or for all arms."""

    arms: Tune
    trials: int = TRIALS


def checked_tuning(tune_dp: object, tune: object) -> Tuning | None:
    """Returns what to search for, None for no search.

    Args:
        tune_dp: The number of trials, True for the default number, and None or False for no search.
        tune: "dp" or "all", with the default number of trials unless `tune_dp` gives it.

    Raises:
        UsageError: For other values.
    """
    if tune is not None and tune not in TUNE.values:
        rule = f"must be one of {', '.join(TUNE.values)}"
        raise UsageError("tune", rule, repr(tune), did_you_mean(tune, TUNE.values))
    trials = TRIALS
    if tune_dp is False and tune is not None:
        rule = "must not be given with tune_dp=False, which asks for no search"
        raise UsageError("tune", rule, repr(tune), "leave one of the two out")
    if tune_dp is None or tune_dp is False:
        if tune is None:
            return None
    elif tune_dp is not True:
        trials = int(checked_argument(TUNE_DP, tune_dp))
    return Tuning("all" if tune == "all" else "dp", trials)


def with_kept_searches(settings: StudySettings, before: StudySettings) -> StudySettings:
    """Returns the settings with the searches of the arms that they still have.

    `before` are the settings of an earlier run, from which these were edited.

    Raises:
        UsageError: If the searches were on other data, for another network or training, or for
            another strength of a scheme.
    """
    if not before.searches:
        return settings
    for name in SEARCHED:
        refuse_other_search(name, getattr(before, name), getattr(settings, name))
    training = settings.as_dict()["training"]
    for name, value in before.as_dict()["training"].items():
        if name not in NOT_SEARCHED:
            refuse_other_search(name, value, training.get(name))
    _refuse_other_strength(settings, before)
    kept = {arm: found for arm, found in settings.searches.items() if arm in settings.schemes}
    return settings.model_copy(update={"searches": kept})


def _refuse_other_strength(settings: StudySettings, before: StudySettings) -> None:
    """Raises UsageError if a searched arm has other options now, so that it would lose its search.

    An arm that is left out loses nothing.
    """
    new = [scheme for scheme in settings.schemes if scheme not in before.schemes]
    for searched in before.searches:
        if searched in settings.schemes:
            continue
        names = [part.name for part in searched.parts]
        for scheme in new:
            if [part.name for part in scheme.parts] == names:
                refuse_other_search("scheme", searched, scheme)


def refuse_other_search(name: str, before: Any, after: Any) -> None:
    """Raises UsageError if a setting is not the one with which the settings were searched."""
    if before != after:
        shown = "all" if before is None else str(before)
        rule = f"must stay {shown}, for which the settings file holds a search of settings"
        raise UsageError(name, rule, "all" if after is None else str(after), SEARCH_AGAIN)
