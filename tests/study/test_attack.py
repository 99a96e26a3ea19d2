"""The whole way from settings to result, on studies that train in a second."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgaudit.attacks import ATTACKS, LiRA, Observations
from mgaudit.attacks.combined_runs import combined_epsilons
from mgaudit.attacks.one_run import Guesses
from mgaudit.attacks.roc import roc
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import StudyResult
from mgaudit.settings.study_settings import study_settings
from mgaudit.storage.ensembles import EnsembleFolder
from mgaudit.study.attack import accuracy
from mgaudit.study.design import draw_design
from mgaudit.study.extras import EXTRAS
from mgaudit.study.features import principal_components
from mgaudit.study.plan import plan_arm, plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.study import run_study
from mgaudit.study.train import determined_by, train_arm
from mgaudit.targets.fitting.privacy_plan import epsilon_spent
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries

DP = "dp-sgd:noise_multiplier=1"  # finding the noise multiplier of an epsilon takes seconds


class Counting(Progress):
    """Counts what is trained and what is reused."""

    def __init__(self) -> None:
        self.trained = 0
        self.reused = 0

    def training_started(self, label: str, models: int, reused: int) -> None:
        self.reused += reused

    def model_trained(self, label: str, models: int = 1) -> None:
        self.trained += models


def run(
    values: dict[str, Any], jobs: int = 1, progress: Progress | None = None
) -> tuple[StudyResult, Arrays]:
    return run_study(plan_study(study_settings(values)), jobs, progress or Progress())


def without_times(study: StudyResult) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(study.model_dump_json())
    del content["times"]
    return content


@pytest.fixture
def fresh_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Path]:
    count = iter(range(99))

    def make() -> Path:
        cache = tmp_path / f"cache-{next(count)}"
        monkeypatch.setenv("MGAUDIT_CACHE", str(cache))
        return cache

    return make


def models_of(cache: Path, scheme: str, models: int = 4) -> list[dict[str, np.ndarray]]:
    for folder in (cache / "ensembles").iterdir():
        if json.loads((folder / "settings.json").read_text())["scheme"][0]["name"] == scheme:
            return [EnsembleFolder(folder, "").load_model(index).weights for index in range(models)]
    raise AssertionError(f"no ensemble of {scheme}")


def same(first: list[dict[str, np.ndarray]], second: list[dict[str, np.ndarray]]) -> bool:
    return all(
        np.array_equal(a[name], b[name]) for a, b in zip(first, second, strict=True) for name in a
    )


def test_kappa_zero_is_bit_for_bit_the_arm_without_noise(
    small: dict[str, Any], own_cache: Path
) -> None:
    schemes = ["none", "gaussian-mask:kappa=0", DP]
    zero, _ = run({**small, "schemes": schemes})
    assert same(models_of(own_cache, "none"), models_of(own_cache, "gaussian-mask"))
    plain, masked, _ = zero.arms
    assert plain.attacks[0].metrics == masked.attacks[0].metrics
    assert plain.accuracy == masked.accuracy
    assert all(
        (change.value, change.low, change.high) == (0, 0, 0)
        for change in masked.attacks[0].differences.values()
    )

    masked_for_real, _ = run({**small, "schemes": ["none", "gaussian-mask:kappa=0.3", DP]})
    assert masked_for_real.arms[0] == zero.arms[0]
    assert masked_for_real.arms[2] == zero.arms[2]
    assert masked_for_real.arms[1].attacks[0].metrics != zero.arms[1].attacks[0].metrics


def test_a_seed_determines_the_result_and_another_changes_it(
    small: dict[str, Any], fresh_cache: Callable[[], Path]
) -> None:
    fresh_cache()
    first, arrays = run(small)
    fresh_cache()
    torch.rand(3)
    again, arrays_again = run(small)
    assert without_times(first) == without_times(again)
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], arrays_again[name], err_msg=name)
    other, _ = run({**small, "seed": 1})
    assert other.dataset.sha256 != first.dataset.sha256
    assert other.arms[0].attacks[0].metrics != first.arms[0].attacks[0].metrics


def test_the_number_of_workers_changes_no_bit(
    small: dict[str, Any], fresh_cache: Callable[[], Path]
) -> None:
    one_cache = fresh_cache()
    serial, _ = run(small, jobs=1)
    two_cache = fresh_cache()
    parallel, _ = run(small, jobs=2)
    assert without_times(serial) == without_times(parallel)
    for scheme in ("none", "gaussian-mask", "dp-sgd"):
        assert same(models_of(one_cache, scheme), models_of(two_cache, scheme))


def test_nothing_is_trained_twice(small: dict[str, Any]) -> None:
    small["attacks"] = ["lira", "loss"]
    first, repeat, other_attack, more, other_training = (Counting() for _ in range(5))
    study, _ = run(small, progress=first)
    assert (first.trained, first.reused) == (12, 0)
    repeated, _ = run(small, progress=repeat)
    assert (repeat.trained, repeat.reused) == (0, 12)
    assert without_times(study) == without_times(repeated)
    run({**small, "attacks": ["lira:online=false"]}, progress=other_attack)
    assert (other_attack.trained, other_attack.reused) == (0, 12)
    run({**small, "models": 6}, progress=more)
    assert (more.trained, more.reused) == (6, 12)
    run({**small, "training": {"epochs": 2, "batch_size": 32}}, progress=other_training)
    assert (other_training.trained, other_training.reused) == (12, 0)


def test_more_models_extend_fewer_and_give_what_they_would_have_alone(
    small: dict[str, Any], fresh_cache: Callable[[], Path]
) -> None:
    fresh_cache()
    run({**small, "schemes": ["none"]})
    extended, _ = run({**small, "schemes": ["none"], "models": 6})
    fresh_cache()
    alone, _ = run({**small, "schemes": ["none"], "models": 6})
    assert without_times(extended) == without_times(alone)


def test_the_result_holds_what_was_run(small: dict[str, Any]) -> None:
    study, arrays = run(small)
    assert [arm.label for arm in study.arms] == [
        "no noise",
        "gaussian-mask (kappa=0.3)",
        "dp-sgd (noise_multiplier=1)",
    ]
    assert study.target.label == "MLP (hidden=16)"
    assert study.dataset.examples == 200
    assert arrays["membership"].shape == arrays["arm0/lira/scores"].shape == (4, 200)
    for arm in study.arms:
        names = ["stacked", "rmia", "lira", "loss"]
        if arm is not study.arms[0]:
            names += ["stacked, naive", "rmia, naive", "lira, naive"]
        assert [attack.name for attack in arm.attacks] == names
        for attack in arm.attacks:
            for name, estimate in attack.metrics.items():
                assert estimate.low <= estimate.value <= estimate.high
                assert estimate.value == pytest.approx(np.mean(attack.per_target[name]))
            assert attack.false_positives_allowed["tpr@0"] == 0
            assert 7 <= attack.false_positives_allowed["tpr@0.1"] <= 10
    assert study.arms[0].attacks[0].differences == {}
    plain, masked, _ = study.arms
    assert masked.accuracy_difference is not None
    assert masked.accuracy_difference.value == pytest.approx(
        masked.accuracy.value - plain.accuracy.value
    )
    assert masked.accuracy_difference.value != 0
    for key, estimates in plain.attacks[0].single_targets.items():
        assert [estimate.value for estimate in estimates] == pytest.approx(
            plain.attacks[0].per_target[key]
        )
        assert all(estimate.low <= estimate.value <= estimate.high for estimate in estimates)
        assert all(estimate.low < estimate.high for estimate in estimates)
    for index, scores in enumerate(arrays["arm0/stacked/scores"]):
        assert (
            plain.attacks[0].per_target["auc"][index]
            == roc(scores, arrays["membership"][index]).auc()
        )
    tprs = [
        [float(roc(*pair).tpr_at(level)) for level in (0.0, 0.1)]
        for pair in zip(arrays["arm0/lira/scores"], arrays["membership"], strict=True)
    ]
    assert arrays["arm0/lira/roc_tpr"][0] == pytest.approx(np.mean(tprs, axis=0)[0])
    at_tenth = int(np.argmin(np.abs(arrays["roc_fpr"] - 0.1)))
    assert arrays["arm0/lira/roc_tpr"][at_tenth] == pytest.approx(np.mean(tprs, axis=0)[1])
    change = study.arms[1].attacks[1].differences["auc"]
    aucs = [arm.attacks[1].metrics["auc"].value for arm in study.arms[:2]]
    assert change.value == pytest.approx(aucs[1] - aucs[0])


def test_every_attack_runs_on_a_study_and_is_told_as_it_was_asked_for(
    small: dict[str, Any],
) -> None:
    asked = [*ATTACKS, "lira:online=false", "rmia:temperature=1"]
    study, arrays = run({**small, "schemes": ["none"], "attacks": asked, "queries": "crops:3"})
    assert [attack.attack for attack in study.arms[0].attacks] == asked
    needs = {attack.attack: attack.needs for attack in study.arms[0].attacks}
    assert needs["population"] == ["population"]
    assert needs["rmia:temperature=1"] == ["shadows"]
    assert all(np.isfinite(arrays[f"arm0/{name}/scores"]).all() for name in asked)


def test_a_naive_adversary_takes_the_noise_free_models_for_shadows(small: dict[str, Any]) -> None:
    strong = {**small, "schemes": ["none", "gaussian-mask:kappa=1.5"], "attacks": ["lira", "loss"]}
    study, arrays = run(strong)
    adaptive, _, naive = study.arms[1].attacks
    assert (adaptive.adversary, naive.adversary) == ("adaptive", "naive")
    assert naive.metrics != adaptive.metrics
    settings = study_settings(strong)
    design = draw_design(settings)
    plain, masked = (
        train_arm(plan_arm(arm, design), design, 1, Progress()) for arm in settings.arms()
    )
    targets, shadows = (
        ArmOutputs(arm, design).logits(Queries())["pool"] for arm in (masked, plain)
    )
    for target in range(4):
        mixed = shadows.copy()
        mixed[target] = targets[target]  # the target among noise-free shadows
        observations = Observations(mixed, design.dataset.labels, design.membership)
        assert np.allclose(
            LiRA().score(observations.view(target)), arrays["arm1/lira, naive/scores"][target]
        )
    alone, _ = run({**strong, "schemes": ["gaussian-mask:kappa=1.5"]})
    assert [attack.adversary for attack in alone.arms[0].attacks] == ["adaptive", "adaptive"]


def test_queries_are_drawn_from_the_arms_own_noise_and_asked_of_the_naive_shadows_too(
    small: dict[str, Any],
) -> None:
    study, _ = run(small)
    masked, _ = run({**small, "queries": "mask:4"})
    assert masked.arms[0].attacks == study.arms[0].attacks  # no noise to draw, and plain shadows
    assert masked.arms[2].attacks == study.arms[2].attacks
    for index in range(3):
        assert masked.arms[1].attacks[index].metrics != study.arms[1].attacks[index].metrics
    assert (
        masked.arms[1].accuracy == study.arms[1].accuracy
    )  # of the plain answers, whatever is asked


def test_an_attack_that_needs_several_queries_is_refused_before_training(
    small: dict[str, Any],
) -> None:
    for queries in ("plain", "mask:count=4"):
        settings = study_settings({**small, "attacks": ["label-only"], "queries": queries})
        with pytest.raises(
            ValueError,
            match=f"label-only needs several .* --queries {queries}.* 'no noise' has one",
        ):
            plan_study(settings)
    plan_study(study_settings({**small, "attacks": ["label-only"], "queries": "mask:4,kappa=0.5"}))


def test_the_most_exposed_examples_are_in_the_result(small: dict[str, Any]) -> None:
    study, arrays = run(small)
    for index, arm in enumerate(study.arms):
        assert len(arm.most_exposed) == 20
        assert arrays[f"arm{index}/most_exposed_pictures"].shape == (20, 8, 8)
        scores, membership = arrays[f"arm{index}/stacked/scores"], arrays["membership"]
        first = arm.most_exposed[0]
        assert first.score == pytest.approx(
            scores[membership[:, first.example], first.example].mean()
        )
        gaps = [
            (row[trained].mean() - row[~trained].mean())
            / np.sqrt(1 / trained.sum() + 1 / (~trained).sum())
            for row, trained in zip(scores.T, membership.T, strict=True)
            if 0 < trained.sum() < 4
        ]
        (gap,) = [gaps[index] for index in [int(np.argmax(gaps))]]
        trained = membership[:, first.example]
        error = np.sqrt(1 / trained.sum() + 1 / (~trained).sum())
        assert (first.score - scores[~trained, first.example].mean()) / error == pytest.approx(gap)
        assert first.targets == membership[:, first.example].sum()
        assert first.origin.startswith("load_digits()[")
        assert len(arm.by_class) == 10
        assert sum(exposure.examples for exposure in arm.by_class) == 200


def test_the_bound_on_epsilon_is_that_of_the_guesses_in_the_result(small: dict[str, Any]) -> None:
    study, arrays = run(small)
    models = study.settings["models"]
    halves = [list(range(half, models, 2)) for half in (0, 1)]
    for index, arm in enumerate(study.arms):
        assert arm.guesses == 20  # a twentieth of 200 on either side
        assert arm.delta is not None
        first = arm.attacks[0].epsilon_proof
        assert first is not None
        assert arm.epsilon_provable == first.provable
        for attack in arm.attacks:
            for target, correct in enumerate(attack.correct_guesses):
                order = np.argsort(arrays[f"arm{index}/{attack.name}/scores"][target])
                members = arrays["membership"][target][order]
                assert correct == members[-10:].sum() + (~members[:10]).sum()
            proof = attack.epsilon_proof
            assert proof is not None
            runs = [Guesses(correct, proof.guesses, 200) for correct in proof.correct]
            (bound,) = combined_epsilons([runs], arm.delta, proof.significance)
            assert attack.epsilon_lower_bound == bound <= proof.provable
            if "shadows" in attack.needs:
                assert [proof.targets, proof.shadows] in (halves, halves[::-1])
                assert proof.significance == 0.05 / 8
            else:
                assert (proof.targets, proof.shadows) == (attack.targets, [])
                assert proof.significance == 0.05 / 4


def test_principal_components_are_the_populations() -> None:
    generator = np.random.default_rng(0)
    population = generator.standard_normal((300, 2, 3)).astype(np.float32) * [[10, 1, 1], [1, 1, 5]]
    inputs = generator.standard_normal((40, 2, 3)).astype(np.float32)
    features, others = principal_components(inputs, population.astype(np.float32))
    assert features.shape == (40, 6)
    assert np.abs(np.corrcoef(others[:, 0], population[:, 0, 0])[0, 1]) > 0.99
    assert np.allclose(others.mean(axis=0), 0, atol=1e-4)
    shifted, _ = principal_components(inputs[:7], population.astype(np.float32))
    assert np.allclose(shifted, features[:7], atol=1e-4)


def test_the_claim_is_the_accountants_for_the_steps_really_taken(
    small: dict[str, Any], own_cache: Path
) -> None:
    study, _ = run({**small, "schemes": ["dp-sgd:epsilon=3"]})
    claim = study.arms[0].claim
    assert claim is not None
    folder = next((own_cache / "ensembles").iterdir())
    taken = {EnsembleFolder(folder, "").load_model(index).facts["steps"] for index in range(4)}
    assert taken == {claim.steps}
    assert claim.epsilon == epsilon_spent(
        claim.noise_multiplier, claim.sample_rate, claim.steps, claim.delta
    )
    assert 2.98 < claim.epsilon <= 3  # type: ignore[operator]
    assert claim.epsilon == min(claim.epsilon_prv, claim.epsilon_pld)  # type: ignore[type-var]
    assert study.arms[0].learning_rate == 0.05
    unbounded, _ = run({**small, "schemes": ["dp-sgd:noise_multiplier=0"]})
    assert unbounded.arms[0].claim.epsilon is None  # type: ignore[union-attr]


def test_accuracies_are_those_of_the_members_and_of_the_test_split(
    small: dict[str, Any], own_cache: Path
) -> None:
    settings = study_settings({**small, "schemes": ["none"]})
    study, _ = run({**small, "schemes": ["none"]})
    design = draw_design(settings)
    model = plan_arm(settings.arms()[0], design).recipe.target(design.dataset.input_shape, 10)
    train, test = [], []
    for index, weights in enumerate(models_of(own_cache, "none")):
        model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
        with torch.no_grad():
            answers = model(torch.from_numpy(design.dataset.inputs)).argmax(dim=1).numpy()
            test_answers = model(torch.from_numpy(design.dataset.test_inputs)).argmax(dim=1).numpy()
        train.append((answers == design.dataset.labels)[design.membership[index]].mean())
        test.append((test_answers == design.dataset.test_labels).mean())
    assert study.arms[0].train_accuracy.value == pytest.approx(np.mean(train))
    assert study.arms[0].accuracy.value == pytest.approx(np.mean(test))


def test_a_memorised_model_is_found_out_and_with_membership_permuted_it_is_not(
    small: dict[str, Any], tmp_path: Path
) -> None:
    # Random labels can only be memorised: every attack must see it.
    generator = np.random.default_rng(0)
    np.savez(
        tmp_path / "noise.npz",
        x_train=generator.standard_normal((200, 20)),
        y_train=generator.integers(0, 4, 200),
        x_test=generator.standard_normal((50, 20)),
        y_test=generator.integers(0, 4, 50),
    )
    memorising = {
        "models": 8,
        "target": "mlp:hidden=64",
        "training": {"epochs": 60, "batch_size": 32},
    }
    study, arrays = run(
        {**memorising, "dataset": f"npz:{tmp_path / 'noise.npz'}", "schemes": ["none"]}
    )
    for attack in study.arms[0].attacks:
        assert attack.metrics["auc"].low > 0.75
    permuted = generator.permuted(arrays["membership"], axis=1)
    pairs = zip(arrays["arm0/lira/scores"], permuted, strict=True)
    assert np.mean([float(roc(*pair).auc()) for pair in pairs]) == pytest.approx(0.5, abs=0.06)


def test_accuracy_in_a_resample_is_that_of_the_examples_drawn() -> None:
    generator = np.random.default_rng(0)
    correct, counted = generator.random((3, 40)) < 0.7, generator.random((3, 40)) < 0.5
    resamples = generator.integers(0, 3, (5, 40)).astype(np.uint16)
    accuracies = accuracy(correct, counted, resamples)
    for model in range(3):
        assert accuracies.per_target[model] == pytest.approx(correct[model][counted[model]].mean())
        for row, drawn in enumerate(resamples):
            again, who = np.repeat(correct[model], drawn), np.repeat(counted[model], drawn)
            assert accuracies.in_resamples[model, row] == pytest.approx(again[who].mean(), abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"target": "mlp:hidden=17"},
        {"seed": 3},
        {"examples": 199},
        {"schemes": ["gaussian-mask:kappa=0.31"]},
        {"training": {"epochs": 3, "batch_size": 31}},
    ],
    ids=str,
)
def test_what_determines_a_model_is_in_its_key(
    small: dict[str, Any], change: dict[str, Any]
) -> None:
    def key(values: dict[str, Any]) -> dict[str, object]:
        settings = study_settings({**small, "schemes": ["gaussian-mask:kappa=0.3"], **values})
        design, (arm,) = draw_design(settings), settings.arms()
        return determined_by(arm, plan_arm(arm, design).recipe, design)

    assert key(change) != key({})
    assert key({"models": 9, "attacks": ["loss"]}) == key({})


def test_the_training_code_and_the_versions_are_in_the_key(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = study_settings({**small, "schemes": ["none"]})
    design, (arm,) = draw_design(settings), settings.arms()
    recipe = plan_arm(arm, design).recipe
    before = determined_by(arm, recipe, design)
    monkeypatch.setattr("mgaudit.study.train.training_code_sha256", lambda: "other")
    other_code = determined_by(arm, recipe, design)
    monkeypatch.setattr("mgaudit.study.train.version", lambda name: "other")
    assert (
        len(
            {
                json.dumps(determined)
                for determined in (before, other_code, determined_by(arm, recipe, design))
            }
        )
        == 3
    )


def test_a_model_damaged_after_its_training_is_trained_again_in_the_same_run(
    small: dict[str, Any],
) -> None:
    settings = study_settings({**small, "schemes": ["none"]})
    design = draw_design(settings)
    trained = train_arm(plan_arm(settings.arms()[0], design), design, 1, Progress())
    expected = ArmOutputs(trained, design).logits(Queries())
    for path in trained.folder.path.glob("*.safetensors"):
        if path.name.startswith("outputs") or path == trained.folder.model_path(1):
            path.write_bytes(path.read_bytes()[:-1])
    again = ArmOutputs(trained, design).logits(Queries())
    assert all(np.array_equal(again[split], expected[split]) for split in expected)
    assert len(list(trained.folder.path.glob("*.damaged"))) == 2


def test_outputs_that_are_not_finite_are_not_kept(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = study_settings({**small, "schemes": ["none"]})
    design = draw_design(settings)
    trained = train_arm(plan_arm(settings.arms()[0], design), design, 1, Progress())
    monkeypatch.setattr(
        Ensemble, "gradient_norms", lambda *_: np.array([[1.0, 2.0], [3.0, np.inf]], np.float32)
    )
    with pytest.raises(
        ValueError, match=r"no noise: gradient norms must be finite.* model 1 and example 1 of pool"
    ):
        EXTRAS["gradient_norm"].compute(ArmOutputs(trained, design), design)
    assert not list(trained.folder.path.glob("outputs-*"))
