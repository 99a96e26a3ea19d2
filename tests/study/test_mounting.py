"""Attacks on targets that are divided among processes: the same bits as in one process."""

import os
import pickle
from typing import Any

import numpy as np
import pytest

from mgaudit.attacks import Observations
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.intervals import Resampled, resample_counts
from mgaudit.attacks.jackknife import random_halves
from mgaudit.compute.this_process import ThisProcess
from mgaudit.settings.study_settings import attack_choice
from mgaudit.study import mounting
from mgaudit.study.audited import AuditedData
from mgaudit.study.mounting import Mounted, Mounting, mount
from mgaudit.targets.membership import fair_coins

MODELS, EXAMPLES, CLASSES = 7, 120, 3


def outputs(seed: int, noise: float = 1.0) -> Observations:
    """Logits of models that are more confident about their members."""
    generator = np.random.default_rng(seed)
    membership = fair_coins(MODELS, EXAMPLES, 0)
    labels, population_labels = (
        np.random.default_rng(0).integers(0, CLASSES, size) for size in (EXAMPLES, 50)
    )
    logits = noise * generator.normal(size=(MODELS, EXAMPLES, 1, CLASSES))
    logits[:, np.arange(EXAMPLES), 0, labels] += 1 + membership
    population = generator.normal(size=(MODELS, 50, 1, CLASSES))
    return Observations(logits, labels, membership, population, population_labels)


def data() -> AuditedData:
    generator = np.random.default_rng(1)
    return AuditedData(
        labels=np.random.default_rng(0).integers(0, CLASSES, EXAMPLES),
        classes=(),
        origins=(),
        membership=fair_coins(MODELS, EXAMPLES, 0),
        expected_members=EXAMPLES / 2,
        example_resamples=resample_counts(EXAMPLES, generator, 20),
        test_resamples=None,
        splits=random_halves(np.arange(EXAMPLES), generator),
        pictures=None,
        seed=3,
    )


def same(first: Resampled, second: Resampled) -> None:
    np.testing.assert_array_equal(first.per_target, second.per_target)
    np.testing.assert_array_equal(first.in_resamples, second.in_resamples)
    assert (first.jackknife is None) == (second.jackknife is None)
    if first.jackknife is not None and second.jackknife is not None:
        np.testing.assert_array_equal(first.jackknife.values, second.jackknife.values)
        groups, other_groups = first.jackknife.group_of_target, second.jackknife.group_of_target
        np.testing.assert_array_equal(groups, other_groups)


@pytest.mark.slow
def test_the_number_of_processes_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounting, "SCORES_A_PROCESS", 1)
    attacks = [attack_choice(name) for name in ("stacked", "rmia", "loss")]
    rows, models = [0, 2, 3, 5, 6], list(range(MODELS))
    arm, plain = outputs(0), outputs(1, noise=0.5)
    mountings = [
        Mounting.of(attacks, arm, rows, models, data(), in_detail=True),
        Mounting.of(attacks[:2], arm, models, models, data(), shadows=plain),
    ]
    together, divided = mount(mountings, 1), mount(mountings, 3)
    for first, second in zip(together, divided, strict=True):
        assert first.power.keys() == second.power.keys()
        for one, other in zip(first.attacks, second.attacks, strict=True):
            np.testing.assert_array_equal(one.scores, other.scores)
            assert one.metrics.keys() == other.metrics.keys()
            for name in one.metrics:
                same(one.metrics[name], other.metrics[name])
        assert first.auc_by_class.keys() == second.auc_by_class.keys()
        for label, of_class in first.auc_by_class.items():
            np.testing.assert_array_equal(of_class.values, second.auc_by_class[label].values)
        for shadows, metrics in first.power.items():
            for name in metrics:
                same(metrics[name], second.power[shadows][name])
    assert list(together[0].power) == [4]
    assert set(together[0].auc_by_class) == set(range(CLASSES))
    assert together[1].auc_by_class == {}
    assert together[0].attacks[0].scores.shape == (5, EXAMPLES)
    assert not np.array_equal(together[0].attacks[1].scores, together[1].attacks[1].scores[rows])


class ProcessNumber(Attack):
    """Scores every example with the number of the process."""

    def score(self, view: Any) -> np.ndarray:
        return np.full(len(view.labels), float(os.getpid()))


def test_attacks_of_the_user_run_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounting, "SCORES_A_PROCESS", 1)
    choice = attack_choice(ProcessNumber())
    models = list(range(MODELS))
    mounted: list[Mounted] = mount([Mounting.of([choice], outputs(0), models, models, data())], 2)
    assert (mounted[0].attacks[0].scores == os.getpid()).all()


def test_few_scores_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []

    def pool_of(jobs: int) -> ThisProcess:
        used.append(jobs)
        return ThisProcess()

    monkeypatch.setattr(mounting, "pool_of", pool_of)
    attacks, models = [attack_choice("loss")], list(range(MODELS))
    task = Mounting.of(attacks, outputs(0), models, models, data())
    mount([task], 2)
    monkeypatch.setattr(mounting, "SCORES_A_PROCESS", MODELS * EXAMPLES // 3)
    for jobs in (2, 8):
        mount([task], jobs)
    assert used == [1, 2, 3]


def test_observations_are_sent_without_signals_and_stay_read_only() -> None:
    observations = outputs(0)
    observations.view(0).target_signal(lambda logits, labels: logits[..., 0].astype(np.float64))
    with pytest.raises(Exception, match=r"pickle|local"):  # a signal that cannot be sent
        pickle.dumps(observations._signals)
    received = pickle.loads(pickle.dumps(observations))
    assert received.is_equal(Observations(**received.__getstate__()))
    assert not received._signals
    with pytest.raises(ValueError, match="read-only"):
        received.logits[0] = 0
