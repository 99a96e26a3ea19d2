"""The method of an audit of models that mgaudit did not train, in words."""

from mgaudit.reports.results import StudyResult
from mgaudit.reports.tables import has_one_target, is_by_group

INTERVALS = (
    "Intervals: the 95 % intervals cover both sources of variation, other targets and other "
    "{units}. The part of the {units} comes from bootstrap resamples. {models}"
)
JACKKNIFE = (
    "The part of the models is a jackknife: targets are scored again without some of the shadow "
    "models, because the targets are each other's shadow models."
)
SPREAD = "The part of the models is the spread of the targets."
ONE_TARGET = (
    "Intervals: there is one target, so the 95 % intervals are for this model and other examples. "
    "The AUC has DeLong's interval, a TPR that of Clopper and Pearson at the threshold of the "
    "non-members, and other numbers the interval of bootstrap resamples of the examples."
)
ONE_TARGET_AND_GROUPS = (
    "Intervals: there is one target, so the 95 % intervals are for this model and other groups. "
    "They come from bootstrap resamples of the groups, on the logit scale."
)
LIMITS = (
    "Limits: an attack only gives a lower bound on privacy loss. If an attack fails, another "
    "attack may still succeed. The numbers are of these models and this membership."
)
FEW_CANARIES = "too few examples have a coin of their own"
READY_MADE = (
    "Attack: the scores are those of an attack that was mounted elsewhere; a higher score means "
    "member."
)


def design(study: StudyResult) -> str:
    """Returns how the models and their membership came about."""
    models, examples = study.settings["models"], study.dataset.examples
    checks = study.checks
    assert checks is not None  # of every study whose models mgaudit did not train
    if study.models_from == "function":
        coins = f"each of the {examples} examples"
        if checks.by_group:
            groups = checks.by_group[0].groups
            coins = f"each of the {groups} groups of the {examples} examples"
        called = f"the training function of the user was called {models} times"
        if len(study.arms) > 1:
            called = f"for each arm, {called}"
        same = " The coins and the seeds are the same in every arm." if len(study.arms) > 1 else ""
        return (
            f"Design: {called}. An independent fair coin for {coins} decides whether a model "
            f"trains on it.{same}"
        )
    if study.models_from == "checkpoint":
        return _design_of_checkpoint(study)
    return (
        f"Design: outputs of {models} {'model' if models == 1 else 'models'} for {examples} "
        "examples were given, with the membership of each example in each model."
    )


def _design_of_checkpoint(study: StudyResult) -> str:
    settings = study.settings
    scheme = settings["scheme"]
    noise = "without noise" if scheme == "none" else f"with {scheme}"
    return (
        "Design: the target is a model that was trained before. It is attacked with its "
        f"{settings['members']} members and {settings['non_members']} non-members, as they were "
        f"given. For this audit, {settings['models']} shadow models were trained {noise}. An "
        f"independent fair coin for each of the {settings['training_examples']} examples of the "
        "training split decides whether a shadow model trains on it. Their inputs are standardised "
        "per channel (vectors: per feature) with the statistics of all training examples."
    )


def part_of_models(study: StudyResult) -> str:
    """Returns where the part of the intervals comes from that is due to the models."""
    uses_shadows = any("shadows" in attack.needs for attack in study.arms[0].attacks)
    return JACKKNIFE if uses_shadows else SPREAD


def intervals(study: StudyResult) -> str:
    """Returns what the intervals cover."""
    grouped = is_by_group(study)
    units = "groups" if grouped else "examples"
    text = INTERVALS.format(units=units, models=part_of_models(study))
    if has_one_target(study):
        text = ONE_TARGET_AND_GROUPS if grouped else ONE_TARGET
    if study.arms[0].accuracy is None:
        return text
    if study.dataset.test_examples:
        tests = study.dataset.test_examples
        return f"{text} Test accuracy is that on {tests} examples on which no model trained."
    return f"{text} Test accuracy is that of each target on the examples it did not train on."


def no_lower_bound(study: StudyResult) -> str:
    """Returns why there is no lower bound on epsilon."""
    reason = study.checks.membership.reason if study.checks else FEW_CANARIES
    return (
        f"ε at least: no lower bound on ε is given, because {reason}. A bound needs membership "
        "that is drawn by an independent fair coin for each example and model."
    )


def checkpoint_facts(study: StudyResult) -> list[tuple[str, str]]:
    """Returns the facts about the target and the shadow models, as pairs of a name and a value."""
    settings = study.settings
    members, non_members = settings["members"], settings["non_members"]
    return [
        ("Checkpoint", settings["checkpoint"]),
        ("Weights SHA-256", settings["checkpoint_sha256"]),
        ("Audited examples", f"{members} members, {non_members} non-members"),
        ("Inputs of the checkpoint", settings["inputs"]),
        ("Shadow models", f"{settings['models']}, scheme {settings['scheme']}"),
    ]


def training_facts(study: StudyResult) -> list[tuple[str, str]]:
    """Returns the facts about the models, as pairs of a name and a value."""
    names = ("source", "outputs", "clip", "targets", "fits", "test_fraction", "groups")
    values = study.settings
    return [
        (name.replace("_", " ").capitalize(), _shown(values[name]))
        for name in names
        if name in values
    ]


def _shown(value: object) -> str:
    """Returns a setting as text, a list with commas.

    >>> _shown(["plain", "my defence"])
    'plain, my defence'
    """
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
