"""Data with few examples: a result, or one line before anything is trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import mgaudit
from mgaudit.attacks import ATTACKS, Observations
from mgaudit.errors import UsageError
from mgaudit.study.design import _with_both
from mgaudit.study.features import MOST_FULLY_SOLVED, principal_components

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
FAST: dict[str, Any] = {"target": "mlp:hidden=4", "epochs": 1, "stack": 1, "jobs": 1, "quiet": True}
SEVERAL_QUERIES = "mask:2,kappa=0.3"


def tiny(examples: int, classes: int = 2, tests: int = 10, rare: bool = False) -> Arrays:
    """Returns noise as arrays; with `rare`, all classes but the first have one example."""
    draw = np.random.default_rng(examples)
    inputs = draw.normal(size=(examples + tests, 4)).astype(np.float32)
    labels = np.arange(examples) % classes
    if rare:
        labels = np.r_[np.zeros(examples - classes + 1, dtype=int), np.arange(1, classes)]
    return inputs[:examples], labels, inputs[examples:], np.arange(tests) % classes


@pytest.fixture(autouse=True)
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgaudit.storage.run_folder.RunFolder.write_reports", lambda *_: [])


@pytest.mark.parametrize("examples", [4, 8, 12, 19])
def test_b11_too_few_examples_are_refused_before_training(
    examples: int, tmp_path: Path, own_cache: Path
) -> None:
    data = tiny(examples)
    np.savez(
        tmp_path / "a.npz",
        **dict(zip(("x_train", "y_train", "x_test", "y_test"), data, strict=True)),
    )
    for dataset in (data, f"npz:{tmp_path / 'a.npz'}"):
        with pytest.raises(UsageError, match=f"got {examples}"):
            mgaudit.run(dataset=dataset, models=4, out=tmp_path / "runs", **FAST)
        with pytest.raises(UsageError, match=f"got {examples}"):
            mgaudit.compare(
                {"schemes": ["none"]}, dataset=dataset, models=4, out=tmp_path / "runs", **FAST
            )
    with pytest.raises(UsageError, match="canaries"):
        mgaudit.audit_dp(dataset=data, canaries=20, out=tmp_path / "runs", **FAST)
    with pytest.raises(UsageError):
        mgaudit.audit(LogisticRegression(), *data[:2], out=tmp_path / "runs", quiet=True)
    with pytest.raises(UsageError, match="at least 20 examples"):
        mgaudit.audit_checkpoint(
            {}, members="0:2", dataset=data, models=4, out=tmp_path / "runs", **FAST
        )
    assert not (tmp_path / "runs").exists()
    assert not (own_cache / "ensembles").exists()


@pytest.mark.parametrize(
    ("examples", "classes", "tests", "rare"),
    [(20, 2, 2, False), (20, 4, 4, True), (21, 10, 10, False), (25, 2, 2, True)],
)
def test_b11_few_examples_have_a_result(
    examples: int, classes: int, tests: int, rare: bool, tmp_path: Path
) -> None:
    data = tiny(examples, classes, tests, rare)
    ran = mgaudit.run(dataset=data, models=4, dp=False, plain=False, out=tmp_path, **FAST)
    for attack in ran.record.studies[0].arms[0].attacks:
        for metric in attack.metrics.values():
            assert -1 <= metric.low <= metric.value <= metric.high <= 1


def test_b11_every_attack_takes_few_examples(tmp_path: Path) -> None:
    ran = mgaudit.run(
        dataset=tiny(20, 3, 3, rare=True),
        models=3,
        dp=False,
        plain=False,
        attack=list(ATTACKS),
        queries=SEVERAL_QUERIES,
        out=tmp_path,
        **FAST,
    )
    attacks = {attack.attack for attack in ran.record.studies[0].arms[0].attacks}
    assert attacks >= set(ATTACKS)


def test_b11_a_model_without_a_non_member_in_a_resample() -> None:
    membership = np.ones((2, 20), dtype=np.bool_)
    membership[0, :10] = False
    membership[1, 0] = False
    draw = np.random.default_rng(0)
    resamples = draw.multinomial(20, np.full(20, 1 / 20), size=100).astype(np.uint16)
    replaced = _with_both(resamples, membership)
    assert (replaced[:, 0] > 0).all()
    unchanged = resamples[:, 0] > 0
    assert (replaced[unchanged] == resamples[unchanged]).all()
    assert (~unchanged).any()
    both = _with_both(resamples, np.tile(membership[:1], (2, 1)))
    assert (both == resamples).all()


def test_b11_a_model_without_any_non_member_is_refused() -> None:
    membership = np.ones((3, 20), dtype=np.bool_)
    with pytest.raises(UsageError, match="another --seed") as error:
        _with_both(np.ones((5, 20), dtype=np.uint16), membership)
    assert error.value.key == "examples"


@pytest.mark.parametrize("clients", [2, 15])
def test_b11_clients_and_few_members(clients: int, tmp_path: Path, own_cache: Path) -> None:
    def ran() -> mgaudit.Result:
        return mgaudit.run(
            dataset=tiny(20), models=3, dp=False, plain=False, clients=clients, out=tmp_path, **FAST
        )

    if clients == 2:
        assert ran().record.studies[0].arms
        return
    with pytest.raises(UsageError, match="clients"):
        ran()
    assert not (own_cache / "ensembles").exists()


def test_b11_dp_sgd_on_few_examples(tmp_path: Path) -> None:
    data = tiny(25)
    arguments = {"dataset": data, "batch_size": 2, "out": tmp_path, **FAST}
    scheme = "dp-sgd:noise_multiplier=1"
    assert mgaudit.audit_dp(canaries=20, scheme=scheme, **arguments).verdict
    ran = mgaudit.run(models=3, plain=False, scheme=scheme, dp=False, **arguments)
    assert ran.record.studies[0].arms[0].claim is not None


def test_b11_coarse_outputs_of_few_test_examples_are_no_overlap(tmp_path: Path) -> None:
    inputs, labels, test_inputs, test_labels = tiny(25, 4, 2)
    audited = mgaudit.audit(
        KNeighborsClassifier(3),
        inputs,
        labels,
        x_test=test_inputs,
        y_test=test_labels,
        models=3,
        out=tmp_path,
        jobs=1,
        quiet=True,
    )
    assert audited.record.studies[0].arms


def coarse_logits(points: int, models: int = 2) -> np.ndarray:
    """Returns logits (models, points, 1, 3) with 4 values, different for each point."""
    numbers = np.arange(points)
    digits = np.stack([numbers % 4, numbers // 4 % 4, numbers // 16 % 4], axis=-1)
    return np.tile(digits[np.newaxis, :, np.newaxis].astype(np.float32), (models, 1, 1, 1))


@pytest.mark.parametrize(("repeated", "is_refused"), [(1, False), (4, False), (5, True)])
def test_b11_many_coarse_points_that_repeat_are_an_overlap(repeated: int, is_refused: bool) -> None:
    logits, labels = coarse_logits(40), np.zeros(40, dtype=np.int64)
    membership = np.arange(80).reshape(2, 40) % 2 == 0
    arguments = (logits, labels, membership, logits[:, :repeated], labels[:repeated])
    if is_refused:
        with pytest.raises(ValueError, match="must not overlap"):
            Observations(*arguments)
    else:
        Observations(*arguments)


@pytest.mark.parametrize("models", [3, 8])
def test_a19_b40_few_shadow_models_and_two_test_examples(models: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(52, 4)).astype(np.float32)
    inputs[:, 1] = 0.1  # a constant column
    labels = np.arange(52) % 2
    data = (inputs[:50], labels[:50], inputs[50:], labels[50:])
    ran = mgaudit.run(
        dataset=data,
        models=models,
        dp=False,
        plain=False,
        attack=["lira", "quantile", "rmia"],
        out=tmp_path,
        **FAST,
    )
    metrics = [attack.metrics for attack in ran.record.studies[0].arms[0].attacks]
    assert all(np.isfinite(metric.value) for named in metrics for metric in named.values())


def test_b40_one_rare_class_of_two_hundred(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(210, 4)).astype(np.float32)
    labels = (np.arange(210) % 200 == 0).astype(int)
    data = (inputs[:200], labels[:200], inputs[200:], labels[200:])
    ran = mgaudit.run(dataset=data, models=3, dp=False, plain=False, out=tmp_path, **FAST)
    assert ran.record.studies[0].arms


# B25: principal components of large inputs


def eigenvectors(population: np.ndarray, count: int) -> np.ndarray:
    """Returns the first eigenvectors of the covariance in float64, as columns."""
    centred = (population - population.mean(axis=0)).astype(np.float64)
    return np.linalg.svd(centred, full_matrices=False)[2][:count].T


def test_b25_components_of_large_inputs_equal_the_eigenvectors() -> None:
    draw = np.random.default_rng(0)
    spread = 1 / np.arange(1, MOST_FULLY_SOLVED + 101)
    population = (draw.normal(size=(150, len(spread))) * spread).astype(np.float32)
    inputs = (draw.normal(size=(20, len(spread))) * spread).astype(np.float32)
    features, others = principal_components(inputs, population)
    exact = (inputs - population.mean(axis=0)) @ eigenvectors(population, 32)
    assert features.shape == (20, 32)
    assert others.shape == (150, 32)
    assert features.dtype == np.float32
    assert np.allclose(np.abs(features), np.abs(exact), atol=1e-3 * exact[:, 0].std())
    assert np.array_equal(principal_components(inputs, population)[0], features)


@pytest.mark.parametrize("kind", ["constant", "two points", "two kinds of points"])
def test_b25_components_of_degenerate_populations_are_finite_and_the_same(kind: str) -> None:
    draw = np.random.default_rng(0)
    points = draw.normal(size=(2, MOST_FULLY_SOLVED + 1)).astype(np.float32)
    population = {
        "constant": np.tile(points[:1], (80, 1)),
        "two points": points,
        "two kinds of points": np.tile(points, (40, 1)),
    }[kind]
    features, _ = principal_components(points, population)
    assert np.isfinite(features).all()
    assert np.array_equal(features, principal_components(points, population)[0])


def test_b25_components_are_computed_once_in_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        calls.append(arrays)
        return principal_components(*arrays)

    monkeypatch.setattr("mgaudit.study.design.principal_components", counted)
    mgaudit.run(dataset=tiny(60), models=3, dp=False, attack="quantile", out=tmp_path, **FAST)
    assert len(calls) == 1
