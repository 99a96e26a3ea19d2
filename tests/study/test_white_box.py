"""White-box audits: of mgaudit's DP-SGD, and of a training loop with Opacus."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from opacus import PrivacyEngine
from opacus.utils.batch_memory_manager import BatchMemoryManager
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.errors import UsageError
from mgaudit.reports.dp_audit import DPAuditResult
from mgaudit.reports.white_box import CHECK_WORDS, checks_table, failures
from mgaudit.targets.fitting import dp_sgd
from mgaudit.targets.fitting.accountants import privacy_bounds
from mgaudit.targets.fitting.clipping import OneBackward

SMALL: dict[str, Any] = {
    "adversary": "white-box",
    "scheme": "dp-sgd:noise_multiplier=1",
    "target": "mlp:hidden=16",
    "epochs": 2,
    "seed": 1,
    "quiet": True,
}
EXAMPLES = 120
Parts = tuple[nn.Module, Any, Any, Any]


def loop(poisson: bool = True, **options: Any) -> Parts:
    """Returns network, optimizer, criterion and data loader of a loop with Opacus."""
    generator = np.random.default_rng(0)
    x = torch.tensor(generator.normal(size=(EXAMPLES, 8)), dtype=torch.float32)
    labels = torch.tensor(generator.integers(0, 3, EXAMPLES))
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(x, labels), batch_size=12, shuffle=True)
    criterion: Any = nn.CrossEntropyLoss()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = PrivacyEngine().make_private(
            module=model,
            optimizer=optimizer,
            data_loader=loader,
            criterion=criterion,
            noise_multiplier=1.0,
            max_grad_norm=0.7,
            poisson_sampling=poisson,
            **options,
        )
    if len(made) == 4:
        private, optimizer, criterion, loader = made
    else:
        private, optimizer, loader = made
    return private, optimizer, criterion, loader


def train(parts: Parts, epochs: int = 2, at_once: int | None = None) -> None:
    """Trains as a user's loop does, in parts of a batch if `at_once` is given."""
    model, optimizer, criterion, loader = parts
    for _ in range(epochs):
        if at_once is None:
            _epoch(model, optimizer, criterion, loader)
            continue
        with BatchMemoryManager(
            data_loader=loader, max_physical_batch_size=at_once, optimizer=optimizer
        ) as splitting:
            _epoch(model, optimizer, criterion, splitting)


def _epoch(model: nn.Module, optimizer: Any, criterion: Any, loader: Any) -> None:
    for x, labels in loader:
        optimizer.zero_grad()
        criterion(model(x), labels).backward()
        optimizer.step()


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def audited(parts: Parts, training: Callable[[Parts], None] = train, **options: Any) -> Any:
    with mgaudit.WhiteBoxAuditor(parts[1], parts[3], **options) as auditor:
        training(parts)
    return auditor.result()


def values(result: mgaudit.DPResult) -> dict[str, float]:
    checks = result.checks()
    return dict(zip(checks.name, checks.value, strict=True))


@pytest.fixture(scope="module")
def own_audit(tmp_path_factory: pytest.TempPathFactory) -> mgaudit.DPResult:
    """The audit of our own DP-SGD, with its run directory and reports."""
    folder = tmp_path_factory.mktemp("own-audit")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
        warnings.simplefilter("ignore")
        return mgaudit.audit_dp(**SMALL, out=folder / "runs")


def test_an_audit_of_our_own_dp_sgd_comes_near_its_claim(own_audit: mgaudit.DPResult) -> None:
    result, record = own_audit, own_audit.record
    assert record.epsilon_claimed is not None
    assert record.white_box is not None
    assert (record.adversary, record.canaries, record.white_box.steps) == ("white-box", 64, 37)
    assert record.guesses == 64 * 37
    assert 0.5 < record.bounds[0].epsilon / record.epsilon_claimed < 1.02
    assert not result.alarm
    assert result.verdict.startswith("No alarm: ε ≤ ")
    assert result.path is not None
    kept = json.loads((result.path / "dp-audit.json").read_text())
    assert DPAuditResult.model_validate(kept) == record
    assert result.arrays["scores"].shape == result.arrays["coins"].shape == (37, 64)


def test_an_implied_epsilon_is_the_accountants_at_the_noise_limit(
    own_audit: mgaudit.DPResult,
) -> None:
    record = own_audit.record
    facts = record.white_box
    assert facts is not None
    for bound in record.bounds:
        noise = facts.noise_at_most[bound.method]
        assert noise is not None
        expected = privacy_bounds(noise, facts.sample_rate, facts.steps, record.delta)
        assert bound.epsilon == expected.by_accountant["PLD"]


def test_the_command_line_shows_bounds_checks_and_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    command = ["audit-dp", "--adversary", "white-box", "--target", "mlp:hidden=16"]
    command += [
        "--scheme",
        "dp-sgd:noise_multiplier=1",
        "--epochs",
        "2",
        "--directions",
        "32",
        "--seed",
        "1",
    ]
    run = CliRunner().invoke(app, [*command, "--out", str(tmp_path)])
    assert run.exit_code == 0
    assert "No alarm: " in run.stdout
    assert "contribution of a canary ÷ clip norm" in run.stdout
    assert "largest contribution of an example in" in run.stdout
    assert "passed" in run.stdout
    lines = [line for line in run.stdout.splitlines() if not line.startswith(str(tmp_path))]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": 2}, "models must be 1 for the white-box adversary"),
        ({"scheme": "none"}, "scheme must be DP-SGD with noise"),
        ({"scheme": "dp-sgd:noise_multiplier=0"}, "scheme must be DP-SGD with noise"),
        (
            {"scheme": "noise-nodes:sigma=1+dp-sgd:noise_multiplier=1"},
            "scheme must not have noise-nodes for the white-box adversary",
        ),
        ({"directions": 0}, "directions must be a whole number >= 1"),
        ({"directions": 2000}, "directions must be at most the size of the network's largest"),
        ({"directions": 1, "epochs": 1}, "steps and directions must give at least 20 scores"),
        ({"adversary": "grey-box"}, "adversary must be"),
    ],
)
def test_what_cannot_be_audited_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        mgaudit.audit_dp(**SMALL | changes, out=tmp_path)


# A loop with Opacus


def test_hooks_ghost_clipping_and_parts_of_a_batch_give_the_same_record() -> None:
    results = []
    for options, at_once in (({}, None), ({"grad_sample_mode": "ghost"}, None), ({}, 3)):
        torch.manual_seed(0)
        parts = loop(**options)
        results.append(audited(parts, lambda own, size=at_once: train(own, at_once=size)))
    first, ghost, split = map(values, results)
    assert first == pytest.approx(split, rel=1e-3)
    for name in ("clipped-sum", "contribution"):
        assert np.isnan(ghost.pop(name))
        del first[name]
    assert first == pytest.approx(ghost, rel=1e-3)
    sizes = [result.record.white_box for result in results]
    assert [facts.audits_clipping for facts in sizes if facts] == [True, False, True]
    notes = checks_table(sizes[1]).notes  # type: ignore[arg-type]
    assert "the clipping is not audited" in notes[1]
    assert "passed, without these: contribution of a canary" in results[1].verdict
    assert "all checks of noise, clipping and sampling passed" in results[0].verdict


@pytest.mark.parametrize("options", [{}, {"grad_sample_mode": "ghost"}])
def test_canaries_leave_the_weights_as_they_are(options: dict[str, Any]) -> None:
    weights = []
    for is_audited in (False, True):
        torch.manual_seed(0)
        parts = loop(**options)
        if is_audited:
            audited(parts)
        else:
            train(parts)
        weights.append([weight.detach().clone() for weight in parts[0].parameters()])
    for plain, own in zip(*weights, strict=True):
        torch.testing.assert_close(own, plain, atol=1e-5, rtol=0)


def test_several_backward_passes_before_a_step_are_one_step() -> None:
    def accumulating(parts: Parts) -> None:
        model, optimizer, criterion, loader = parts
        for x, labels in loader:
            optimizer.zero_grad()
            for own_x, own_labels in zip(x.split(7), labels.split(7), strict=True):
                criterion(model(own_x), own_labels).backward()
            optimizer.step()

    parts = loop(poisson=False)  # Opacus refuses this for Poisson samples
    result = audited(parts, accumulating, directions=128)
    assert result.record.white_box is not None
    assert result.record.white_box.steps == 10
    assert values(result)["canary-noise"] == pytest.approx(1, abs=0.1)
    assert values(result)["contribution"] == pytest.approx(1, abs=0.3)


def test_a_loop_that_shuffles_has_no_poisson_samples() -> None:
    result = audited(loop(poisson=False))
    assert result.alarm
    assert result.verdict.startswith("Alarm: ε ≤ ")
    assert "batches are not Poisson samples" in result.verdict
    assert failures(result.record.white_box) == "batches are not Poisson samples"


def test_the_loop_is_left_as_it_was_also_after_an_error() -> None:
    parts = loop()
    optimizer, sampler = parts[1], parts[3].batch_sampler
    kind = type(sampler)
    auditor = mgaudit.WhiteBoxAuditor(optimizer, parts[3])

    def interrupted() -> None:
        with auditor:
            train(parts, epochs=1)
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        interrupted()
    assert "pre_step" not in vars(optimizer)
    assert type(sampler) is kind
    steps = auditor.result().record.white_box
    train(parts, epochs=1)
    assert auditor.result().record.white_box == steps


def test_the_claim_can_be_stated_in_place_of_what_the_loop_says() -> None:
    result = audited(loop(), noise_multiplier=1.5, max_grad_norm=0.7, sample_rate=0.05)
    failed = set(result.checks().name[result.checks().alarm])
    assert {"noise", "sample-rate"} <= failed
    facts = result.record.white_box
    assert facts is not None
    assert (facts.noise_multiplier, facts.sample_rate) == (1.5, 0.05)
    assert result.record.delta == pytest.approx(EXAMPLES**-1.1)
    assert audited(loop(), delta=1e-5).record.delta == 1e-5


def test_batches_from_elsewhere_have_sizes_but_no_inclusions() -> None:
    def own_batches(parts: Parts) -> None:
        model, optimizer, criterion, loader = parts
        x, labels = loader.dataset.tensors
        for start in range(0, 120, 12):
            optimizer.zero_grad()
            rows = slice(start, start + 12)
            criterion(model(x[rows]), labels[rows]).backward()
            optimizer.step()

    result = audited(loop(), own_batches)
    assert np.isnan(values(result)["inclusions"])
    assert values(result)["batch-sizes"] == 0
    with pytest.raises(UsageError, match="data_loader must be the one whose batches"):
        audited(loop(grad_sample_mode="ghost"), own_batches)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta": 0}, "delta must be a number > 0 and < 1, got 0"),
        ({"delta": "x"}, "delta must be a number > 0 and < 1, got str: 'x'"),
        ({"directions": 2.5}, "directions must be a whole number >= 1, got float: 2.5"),
        ({"seed": "a"}, "seed must be a whole number >= 0, got str: 'a'"),
        ({"directions": 0}, "directions must be a whole number >= 1, got 0"),
        ({"directions": 257}, "directions must be between 1 and 256"),
        ({"noise_multiplier": -1}, "noise_multiplier must be a number > 0"),
        ({"max_grad_norm": float("inf")}, "max_grad_norm must be a finite number > 0"),
        ({"sample_rate": 1.1}, "sample_rate must be a number > 0 and <= 1"),
        ({"significance": 0.5}, "significance must be a number > 0 and < 0.5"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    parts = loop()
    with pytest.raises(UsageError, match=message):
        mgaudit.WhiteBoxAuditor(parts[1], parts[3], **options)


def loop_by_layer() -> Any:
    """Returns the optimizer of a loop that clips each weight tensor to a norm of its own."""
    model = nn.Linear(8, 3)
    loader = DataLoader(TensorDataset(torch.zeros(20, 8), torch.zeros(20)), batch_size=4)
    return PrivacyEngine().make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        data_loader=loader,
        noise_multiplier=1.0,
        max_grad_norm=[0.5, 0.5],
        clipping="per_layer",
    )[1]


def test_other_optimizers_and_loaders_are_refused() -> None:
    model, optimizer, _, loader = loop()
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(UsageError, match="optimizer must be a DPOptimizer of Opacus, got SGD"):
        mgaudit.WhiteBoxAuditor(plain, loader)
    layers = loop_by_layer()
    with pytest.raises(UsageError, match="optimizer must clip all weights together"):
        mgaudit.WhiteBoxAuditor(layers, loader)
    optimizer.noise_multiplier = 0
    with pytest.raises(UsageError, match="optimizer must add noise"):
        mgaudit.WhiteBoxAuditor(optimizer, loader)
    optimizer.noise_multiplier = 1.0
    with pytest.raises(UsageError, match="data_loader must be a DataLoader"):
        mgaudit.WhiteBoxAuditor(optimizer, [1, 2])


def test_two_auditors_at_once_are_refused() -> None:
    parts = loop()
    outer = mgaudit.WhiteBoxAuditor(parts[1], parts[3])
    inner = mgaudit.WhiteBoxAuditor(parts[1], parts[3])
    with outer:
        with pytest.raises(UsageError, match="optimizer must not be audited twice at once"):
            inner.__enter__()
        train(parts, epochs=1)
    assert outer.result().record.white_box is not None


def test_a_noise_that_changes_during_the_audit_is_no_claim() -> None:
    def scheduled(parts: Parts) -> None:
        train(parts, epochs=1)
        parts[1].noise_multiplier = 0.5
        train(parts, epochs=1)

    with pytest.raises(UsageError, match=r"noise_multiplier was 1 and then 0\.5 in step 11"):
        audited(loop(), scheduled)


def test_a_small_network_has_fewer_directions() -> None:
    model = nn.Linear(8, 3)
    loader = DataLoader(TensorDataset(torch.zeros(20, 8), torch.zeros(20)), batch_size=4)
    _, optimizer, private = PrivacyEngine().make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        data_loader=loader,
        noise_multiplier=1.0,
        max_grad_norm=1.0,
    )
    mgaudit.WhiteBoxAuditor(optimizer, private)
    with pytest.raises(UsageError, match="between 1 and 24, the size of the largest weight"):
        mgaudit.WhiteBoxAuditor(optimizer, private, directions=64)


@pytest.mark.parametrize(
    ("adversary", "changes", "message"),
    [
        ("white-box", {"canaries": 50}, "canaries belongs to the adversary one-run"),
        ("repeated", {"directions": 8}, "directions belongs to the adversary white-box"),
        ("one-run", {"runs": 50}, "runs belongs to the adversary repeated"),
    ],
)
def test_arguments_of_another_adversary_are_refused(
    adversary: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        mgaudit.audit_dp(adversary=adversary, **changes, quiet=True)


def test_a_run_is_shown_again(own_audit: mgaudit.DPResult) -> None:
    run = CliRunner().invoke(app, ["runs", "show", str(own_audit.path)])
    assert run.exit_code == 0, run.output
    assert "No alarm: " in run.stdout


def test_without_a_step_there_is_no_result() -> None:
    parts = loop()
    with mgaudit.WhiteBoxAuditor(parts[1], parts[3]) as auditor:
        pass
    with pytest.raises(UsageError, match=r"steps must be at least 1, got 0; call optimizer\.step"):
        auditor.result()


def test_every_check_has_words(own_audit: mgaudit.DPResult) -> None:
    assert list(own_audit.checks().name) == list(CHECK_WORDS)
    of_loop = [name for name, words in CHECK_WORDS.items() if not words.deterministic]
    assert list(audited(loop()).checks().name) == of_loop


# The contribution of an example in a batch


class ThreeTimesTooLong(OneBackward):
    """Clips to a norm that is three times too large; canaries are clipped well."""

    def backward(self, losses: torch.Tensor, max_norm: float, views: int = 1) -> None:
        super().backward(losses, 3 * max_norm, views)


def shown(result: mgaudit.DPResult) -> list[str]:
    """Returns the row of the check but for its name, which the reports have as well."""
    facts = result.record.white_box
    assert facts is not None
    (row,) = [row for row in checks_table(facts).rows if "in a batch" in str(row[0])]
    assert result.path is not None
    name = "largest contribution of an example in a batch ÷ clip norm"
    assert name in (result.path / "report.html").read_text()
    assert (result.path / "report.pdf").stat().st_size > 0
    return [str(cell) for cell in row[1:]]


def test_a_contribution_above_the_clip_norm_is_an_alarm(
    own_audit: mgaudit.DPResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert values(own_audit)["contribution-in-batch"] == pytest.approx(1, abs=1e-4)
    assert shown(own_audit) == ["1", "1", "1", "passed"]
    monkeypatch.setattr(dp_sgd, "clipper_of", ThreeTimesTooLong.of_network)
    wrong = mgaudit.audit_dp(**SMALL, out=tmp_path)
    assert shown(wrong) == ["3", "1", "0", "failed"]
    assert values(wrong)["contribution-in-batch"] == pytest.approx(3, abs=1e-3)
    assert "an example of a batch changes the sum by more than the clip norm" in wrong.verdict
    assert wrong.path is not None
    kept = json.loads((wrong.path / "dp-audit.json").read_text())["white_box"]["checks"]
    (check,) = [check for check in kept if check["name"] == "contribution-in-batch"]
    assert (check["value"], check["p_value"], check["alarm"]) == (
        values(wrong)["contribution-in-batch"],
        0,
        True,
    )
    assert check["part"] == "mechanism"
