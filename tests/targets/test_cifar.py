"""Real images: the suite reproduces the accuracy of a plain script on CIFAR-10, in minutes."""

import os

import pytest

from mgaudit.compute.parallel import default_jobs
from mgaudit.settings.datasets import load
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.targets.seeds import numpy_generator

FOLDER = os.environ.get("MGAUDIT_CIFAR10", "")
pytestmark = [
    pytest.mark.cifar,
    pytest.mark.skipif(not FOLDER, reason="MGAUDIT_CIFAR10 does not name a CIFAR-10 image folder"),
]


def test_the_folder_holds_cifar10() -> None:
    dataset = load(f"folder:{FOLDER}", 1000, numpy_generator(0, "examples"))
    assert dataset.inputs.shape == (1000, 3, 32, 32)
    assert dataset.test_inputs.shape == (10_000, 3, 32, 32)
    assert len(dataset.classes) == 10


def test_a_noise_free_mlp_memorises_and_is_found_out() -> None:
    settings = study_settings(
        {
            "dataset": f"folder:{FOLDER}",
            "target": "mlp",
            "models": 8,
            "examples": 10_000,
            "schemes": ["none"],
        }
    )
    study, _ = run_study(plan_study(settings), default_jobs("cpu"), Progress())
    (arm,) = study.arms
    lira, loss = arm.attacks
    assert arm.train_accuracy.value >= 0.99
    assert arm.accuracy.value >= 0.41
    assert lira.metrics["auc"].value >= 0.92
    assert loss.metrics["auc"].value >= 0.84
