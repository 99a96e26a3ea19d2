"""A condition is refused before training if and only if the result would not have its scope."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import mgaudit
from mgaudit.conditions import Condition, check, parse_condition
from mgaudit.planned_conditions import check_arms, check_settings, checked_before_training
from mgaudit.settings.study_settings import attack_choice, study_settings
from mgaudit.storage.run_folder import RunFolder

ARMS = ("none", "gaussian-mask:kappa=0.3", "gaussian-mask", "gaussian-mask:kappa=0.5", "plain", "")
ATTACKS = ("loss", "lira:online=false", "lira", "lira:online=false, naive", "lira, naive")
ATTACKS += ("loss, naive", "rmia", "naive")
SCOPES = (*ARMS, *ATTACKS, *(f"{arm}/{attack}" for arm, attack in product(ARMS, ATTACKS)))


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mgaudit.Result]:
    folder = tmp_path_factory.mktemp("audited")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
        patch.setattr(RunFolder, "write_reports", lambda *_: [])
        yield mgaudit.run(
            target="mlp:hidden=8",
            dp=False,
            attack=["loss", "lira:online=false"],
            models=4,
            examples=120,
            epochs=2,
            stack=1,
            jobs=1,
            quiet=True,
            out=folder,
        )


def is_refused(condition: Condition, check_names: Any, *names: Any) -> bool:
    try:
        with checked_before_training([condition]):
            check_names(*names)
    except mgaudit.UsageError:
        return True
    return False


def test_a_scope_is_refused_if_and_only_if_the_result_has_no_arm_or_attack_of_it(
    audited: mgaudit.Result,
) -> None:
    settings = study_settings(audited.record.studies[0].settings)
    expected = {}
    for scope in filter(None, SCOPES):
        condition = parse_condition(f"{scope}:auc>0.5")
        (first, *_) = check(audited.record, [condition])
        expected[scope] = first.arm == ""
        assert is_refused(condition, check_settings, settings) == expected[scope], scope
    assert 20 < sum(expected.values()) < len(expected) - 10
    assert not is_refused(parse_condition("auc>0.5"), check_settings, settings)


def test_the_arms_of_training_functions_are_their_names_and_none_is_the_plain_one() -> None:
    arms, attacks = [("plain", True), ("mine", False)], [attack_choice("lira")]
    scopes = {"plain": False, "none": False, "mine": False, "other": True}
    scopes |= {"mine/lira, naive": False, "plain/lira, naive": True, "lira": False, "rmia": True}
    for scope, expected in scopes.items():
        condition = parse_condition(f"{scope}:auc>0.5")
        assert is_refused(condition, check_arms, arms, attacks) == expected, scope


def test_outside_of_the_context_nothing_is_refused() -> None:
    with checked_before_training([parse_condition("other:auc>0.5")]):
        pass
    check_arms([("mine", False)], [attack_choice("lira")])


def test_the_names_of_many_arms_are_cut() -> None:
    arms = [(f"arm {number}", False) for number in range(50)]
    condition = parse_condition("other:auc>0.5", must_hold=True)
    with (
        checked_before_training([condition]),
        pytest.raises(
            mgaudit.UsageError, match=r"arm 19 and 30 more, and the attacks lira$"
        ) as refused,
    ):
        check_arms(arms, [attack_choice("lira")])
    assert refused.value.key == "--fail-unless"
    assert not Path("runs").exists()
