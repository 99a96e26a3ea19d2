"""Settings that do not fit the data or one another are refused before anything is trained."""

from dataclasses import replace
from typing import Any

import pytest

from mgaudit.errors import UsageError
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.design import draw_design
from mgaudit.study.plan import plan_arm, plan_study
from mgaudit.study.train import determined_by
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.training import Training


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stack": "auto"}, "stack must be a number once an arm is planned"),
        ({"stack": 2, "training": {"clients": 2}}, "stack must be 1 with several clients"),
        (
            {"training": {"clients": 150, "batch_size": 160}},
            "clients must be <= [0-9]+, the fewest training examples of a model, got 150",
        ),
        (
            {
                "target": "cnn",
                "schemes": ["gaussian-mask:kappa=1,fixed=true"],
                "training": {"augment": "flips"},
            },
            "noise that is drawn once for each example cannot be composed with --augment flips",
        ),
        ({"dataset": "synthetic", "training": {"augment": "flips"}}, "augment flips needs images"),
    ],
)
def test_an_arm_that_does_not_fit_is_refused(
    small: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    settings = study_settings({**small, "schemes": ["none"], **changes})
    with pytest.raises(UsageError, match=message):
        plan_arm(settings.arms()[0], draw_design(settings))


def test_a_scheme_that_cannot_say_how_it_trains_is_refused(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(scheme: Scheme, training: Training) -> Training:
        raise RuntimeError("no idea")

    settings = study_settings({**small, "schemes": ["gaussian-mask:kappa=1"]})
    (arm,), design = settings.arms(), draw_design(settings)
    built = type(arm.scheme.built)
    monkeypatch.setattr(built, "training", lambda scheme, training: replace(training, epochs=1))
    assert plan_arm(arm, design).recipe.training.epochs == 1
    monkeypatch.setattr(built, "training", fails)
    with pytest.raises(UsageError, match="cannot change the training: RuntimeError: no idea"):
        plan_arm(arm, design)
    monkeypatch.setattr(built, "training", lambda scheme, training: None)
    with pytest.raises(UsageError, match="must return the training that it changes, got NoneType"):
        plan_arm(arm, design)


def test_models_of_dp_sgd_are_kept_whatever_is_proved_of_them() -> None:
    plan = plan_study(
        study_settings({"target": "mlp", "schemes": ["none", "dp-sgd:epsilon=8"], "models": 3})
    )
    arm = plan.arms[1]
    claim = arm.recipe.plan
    assert claim is not None

    def key(changed: PrivacyPlan) -> dict[str, object]:
        return determined_by(arm.settings, replace(arm.recipe, plan=changed), plan.design)

    proved = replace(claim, epsilon=1.0, epsilon_prv=2.0, epsilon_pld=1.0, delta=0.1)
    assert key(proved) == key(claim)
    for name in ("noise_multiplier", "max_grad_norm", "sample_rate", "steps", "views", "averaging"):
        assert key(replace(claim, **{name: 17})) != key(claim)


def test_models_of_dp_sgd_are_stacked_as_others_where_their_network_allows_it(
    small: dict[str, Any],
) -> None:
    shared = {"schemes": ["none", "dp-sgd:noise_multiplier=0"], "models": 4, "stack": 2}
    for target, expected in {"mlp": 2, "resnet": 1}.items():
        plan = plan_study(study_settings({**small, **shared, "target": target}))
        assert [arm.recipe.stack for arm in plan.arms] == [2, expected]
