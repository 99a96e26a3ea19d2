"""Plan and query the models of a finished study again, if they are still in the cache."""

from typing import Any

from mgaudit.attacks import Observations
from mgaudit.errors import UsageError
from mgaudit.reports.results import AuditResult, Result, StudyResult
from mgaudit.settings.grid import grid_settings
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.comparison import ComparisonPlan, plan_comparison
from mgaudit.study.plan import Plan, plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.train import models_there, train_arm
from mgaudit.study.trained_arm import observe


def plan_result_again(record: Result, changes: dict[str, Any]) -> Plan | ComparisonPlan:
    """Returns the plan of a finished study or grid with other attacks or queries.

    `changes` has the new values by name of the setting; all other settings are those of `record`.

    Raises:
        UsageError: If a model is missing from the cache, because nothing is trained here.
    """
    for study in record.studies:
        _check_trained(study)
    settings = {**record.settings, **changes}
    if "datasets" not in settings:
        return _all_trained(plan_study(study_settings(settings)))
    comparison = plan_comparison(grid_settings(settings))
    for plan in comparison.cells:
        _all_trained(plan)
    return comparison


def _check_trained(study: StudyResult) -> None:
    """Raises UsageError for a study whose models mgaudit did not train and keep."""
    if study.models_from != "training":
        rule = "must be of models that mgaudit trained, not of a training function or of outputs"
        way_out = "attack the outputs again with `mgaudit score`, as the report says"
        if study.models_from == "function":
            way_out = "repeat the audit with other attacks: the predictions of its models are kept"
        if study.models_from == "checkpoint":
            way_out = "repeat its command with another --attack, which trains nothing"
        raise UsageError("the run", rule, None, way_out)


def _all_trained(plan: Plan) -> Plan:
    """Returns the plan unchanged. Raises UsageError if one of its models is not in the cache."""
    for arm in plan.arms:
        there, models = models_there(arm, plan.design), arm.settings.models
        if there < models:
            rule = f"must have its {models} models of {arm.settings.label} in the cache"
            raise UsageError("the run", rule, f"{there}", "run it again with its settings.toml")
    return plan


def observations_of_arm(study: StudyResult, arm: AuditResult) -> Observations:
    """Returns the outputs and the membership of the arm's converged models.

    Raises:
        UsageError: If a model is missing from the cache, because nothing is trained here.
    """
    _check_trained(study)
    plan = _all_trained(plan_study(study_settings(study.settings)))
    keys = [planned.settings.scheme.text for planned in plan.arms]
    planned_arm = plan.arms[keys.index(arm.key)]
    trained = train_arm(planned_arm, plan.design, 1, Progress())
    outputs = ArmOutputs(trained, plan.design)
    return observe(outputs, trained.converged, trained.arm.queries, frozenset())
