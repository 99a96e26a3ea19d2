"""Audits of DP-SGD with canaries, as a function and on the command line."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mgaudit.attacks.one_run import guess, one_run_fdp_epsilon
from mgaudit.cli.app import app
from mgaudit.reports.dp_audit import DPAuditResult, bounds_table, finding
from mgaudit.reports.tables import rounded_up
from mgaudit.settings.schemes import audited_scheme
from mgaudit.settings.study_settings import dp_audit_settings
from mgaudit.study.dp_audit import plan_dp_audit, run_dp_audit
from mgaudit.study.progress import Progress
from mgaudit.targets.fitting.accountants import Mechanism
from mgaudit.targets.fitting.last_iterate import last_iterate_epsilon
from mgaudit.targets.fitting.privacy_plan import default_delta, plan_privacy
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training

MEMORISING = {
    "target": "mlp:hidden=256",
    "examples": 600,
    "canaries": 300,
    "training": {"epochs": 30, "batch_size": 32},
}
PRIVATE = {
    "target": "mlp:hidden=16",
    "canaries": 200,
    "training": {"epochs": 3},
    "scheme": "dp-sgd:noise_multiplier=1",
}


def audited(values: dict[str, Any]) -> tuple[DPAuditResult, dict[str, np.ndarray]]:
    return run_dp_audit(plan_dp_audit(dp_audit_settings(values)), 1, Progress())


def test_training_that_memorises_is_found_to_leak_and_dp_sgd_is_not() -> None:
    leaking, _ = audited({**MEMORISING, "scheme": "none"})
    assert leaking.epsilon_claimed is None
    assert all(bound.epsilon > 0.5 for bound in leaking.bounds)
    assert "No finite ε is claimed, and ε ≥ " in finding(leaking)
    private, _ = audited(PRIVATE)
    assert private.epsilon_claimed is not None
    assert private.bounds[0].epsilon < private.epsilon_claimed
    assert not private.alarm
    assert finding(private).startswith("No alarm")
    assert finding(private.model_copy(update={"epsilon_claimed": 90.0})).startswith(
        "No alarm was possible: ε ≤ 90.00"
    )


def test_dp_sgd_that_forgets_its_noise_raises_the_alarm() -> None:
    plan = plan_dp_audit(
        dp_audit_settings({**MEMORISING, "scheme": "dp-sgd:noise_multiplier=1,max_grad_norm=100"})
    )
    accountant = plan.arm.recipe.plan
    assert accountant is not None
    # It claims the epsilon of a noise multiplier of 5 and adds no noise.
    claim = plan_privacy(
        DPSGD(noise_multiplier=5), Training(epochs=30, batch_size=32), plan.design.expected_members
    )
    broken = replace(accountant, noise_multiplier=0.0, epsilon=claim.epsilon)
    recipe = replace(plan.arm.recipe, plan=broken)
    result, _ = run_dp_audit(replace(plan, arm=replace(plan.arm, recipe=recipe)), 1, Progress())
    assert result.alarm
    assert finding(result).startswith("Alarm: ε ≤ ")
    assert f"both at δ = {rounded_up(result.delta)}." in finding(result)
    assert "run it again with another seed" in finding(result)


def test_the_bound_is_that_of_each_models_guesses_together() -> None:
    result, arrays = audited({**PRIVATE, "models": 2, "guesses": 0.2})
    assert arrays["scores"].shape == arrays["membership"].shape == (2, 200)
    made = [
        guess(*pair, 40, 40, numpy_generator(0, "guesses", model))
        for model, pair in enumerate(zip(arrays["scores"], arrays["membership"], strict=True))
    ]
    assert (result.guesses, result.canaries) == (160, 400)
    assert result.correct == sum(guesses.correct for guesses in made)
    together = replace(made[0], correct=result.correct, made=160, canaries=400)
    assert result.bounds[0].epsilon == one_run_fdp_epsilon(together, result.delta, 0.05)


def test_the_claim_counts_the_members_that_are_expected() -> None:
    plan = plan_dp_audit(dp_audit_settings(PRIVATE))
    accountant = plan.arm.recipe.plan
    assert accountant is not None
    assert plan.design.expected_members == 1198 - 100
    assert accountant.delta == default_delta(1098)
    assert accountant.sample_rate == pytest.approx(64 / 1098)
    assert plan.design.membership.sum() == pytest.approx(1098, abs=4 * math.sqrt(50))
    others = np.setdiff1d(np.arange(1198), plan.canaries)
    assert plan.design.membership[:, others].all()


def test_no_number_of_canaries_is_too_odd_for_half_of_them() -> None:
    result, _ = audited({**PRIVATE, "canaries": 23, "guesses": 0.5, "training": {"epochs": 1}})
    assert result.guesses == 22


def test_canaries_are_part_of_what_determines_a_model(own_cache: Path) -> None:
    for change in ({}, {"kind": "natural"}, {"canaries": 190}, {"significance": 0.01}):
        audited({**PRIVATE, **change})
    assert len(list((own_cache / "ensembles").iterdir())) == 3


def result(**changes: Any) -> DPAuditResult:
    audit_result, _ = audited({**PRIVATE, "training": {"epochs": 1}})
    return audit_result.model_copy(update=changes)


def test_the_table_rounds_bounds_down_and_claims_up() -> None:
    audit_result = result(epsilon_claimed=7.991)
    bounds = [bound.model_copy(update={"epsilon": 1.239}) for bound in audit_result.bounds]
    rows = [
        [str(cell) for cell in row]
        for row in bounds_table(audit_result.model_copy(update={"bounds": bounds})).rows
    ]
    assert [row[1] for row in rows] == ["≥ 1.23"] * 7 + ["≤ 8.00"]
    assert rows[0][0] == "one run, f-DP"
    assert rows[-1][0].startswith("claimed (the smaller of two valid upper bounds, PRV ")
    assert sum("empirical ε" in row[2] for row in rows) == 4


def test_the_last_iterate_heuristic_is_shown_on_request_and_is_no_bound() -> None:
    assert result().epsilon_last_iterate is None
    values = {**PRIVATE, "training": {"epochs": 1}, "last_iterate": True}
    shown, _ = audited(values)
    privacy = plan_dp_audit(dp_audit_settings(values)).arm.recipe.plan
    assert privacy is not None
    mechanism = Mechanism(privacy.noise_multiplier, privacy.sample_rate, privacy.steps)
    heuristic = last_iterate_epsilon(mechanism, shown.delta)
    assert shown.epsilon_last_iterate == heuristic
    assert 0 < heuristic < shown.epsilon_claimed
    last = [str(cell) for cell in bounds_table(shown).rows[-1]]
    assert last[:2] == ["last iterate (heuristic)", f"≈ {heuristic:.2f}"]
    assert "not a bound" in last[2]
    assert len(bounds_table(result()).rows) == len(bounds_table(shown).rows) - 1
    # Only the first bound raises an alarm.
    assert not shown.model_copy(update={"epsilon_last_iterate": 99.0}).alarm


SMALL = ["--target", "mlp:hidden=16", "--canaries", "100", "--epochs", "2", "--jobs", "1"]


def test_the_command_prints_the_bounds_beside_the_claim_and_keeps_them(tmp_path: Path) -> None:
    command = CliRunner().invoke(
        app, ["audit-dp", *SMALL, "--epsilon", "4", "--out", str(tmp_path / "a")]
    )
    assert command.exit_code == 0, command.output
    assert "≤ 4.00" in command.stdout
    assert "all at δ = " in " ".join(command.stdout.split())
    assert (
        "No alarm was possible: ε ≤ 4.00 is claimed, and these guesses could prove at most ε ≥ 1."
        in " ".join(command.stdout.split())
    )
    (folder,) = (tmp_path / "a").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        ".mgaudit-run",
        "settings.toml",
        "dp-audit.json",
        "report.html",
        "report.pdf",
        "arrays.npz",
        "checksums.sha256",
        "log.txt",
    }
    again = CliRunner().invoke(
        app,
        [
            "audit-dp",
            "--settings",
            str(folder / "settings.toml"),
            "--json",
            "--out",
            str(tmp_path / "b"),
        ],
    )
    assert again.exit_code == 0, again.output
    printed = json.loads(again.stdout)
    kept = json.loads((folder / "dp-audit.json").read_text())
    assert printed["alarm"] is False
    assert printed["result"]["bounds"] == kept["bounds"]
    assert printed["result"]["settings"] == kept["settings"]


def test_epsilon_changes_the_dp_sgd_part_of_a_composition(tmp_path: Path) -> None:
    composed = ["--scheme", "dp-sgd:epsilon=2+gaussian-mask:kappa=0.3", "--epsilon", "4"]
    command = CliRunner().invoke(
        app, ["audit-dp", *SMALL, *composed, "--json", "--out", str(tmp_path / "runs")]
    )
    assert command.exit_code == 0, command.output
    result = json.loads(command.stdout)["result"]
    assert result["settings"]["scheme"] == "dp-sgd:epsilon=4+gaussian-mask:kappa=0.3"
    assert result["epsilon_claimed"] == pytest.approx(4, abs=0.05)
    alone = audited_scheme(
        "dp-sgd:noise_multiplier=1+gaussian-mask:kappa=0.3", epsilon=4, delta=None
    )
    assert alone.text == "dp-sgd:epsilon=4+gaussian-mask:kappa=0.3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--significance", "0.5"], "significance must be a number > 0 and < 0.5, got 0.5"),
        (["--significance", "0"], "significance must be a number > 0 and < 0.5, got 0"),
        (
            ["--canaries", "1199"],
            "canaries must be between 1 and 1198, the number of examples, got 1199",
        ),
        (["--canaries", "3"], "canaries must be a whole number >= 20, got 3"),
        (["--guesses", "0.6"], "guesses must be a number > 0 and <= 0.5, got 0.6"),
        (["--kind", "odd"], "kind must be 'natural' or 'mislabelled', got 'odd'"),
        (
            ["--scheme", "none", "--epsilon", "3"],
            "--epsilon and --delta need a scheme with dp-sgd in it, got --scheme none",
        ),
        (
            ["--scheme", "none", "--last-iterate"],
            "last_iterate needs a scheme with dp-sgd in it, got scheme none",
        ),
        (["--delta", "1"], "delta must be a finite number > 0 and < 1, got 1"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    printed = CliRunner().invoke(
        app, ["audit-dp", *arguments, "--quiet", "--out", str(tmp_path / "runs")]
    )
    assert printed.exit_code == 2, printed.output
    assert message in printed.stderr
    assert printed.stderr.count("\n") == 1
    assert not list(tmp_path.glob("runs/*"))
