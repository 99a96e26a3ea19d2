import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from mgaudit.errors import UsageError
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.targets.fitting.tuned_dp import tuned_record, tuned_records, with_dp_settings
from mgaudit.targets.fitting.tuned_settings import TunedSettings
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.training import Training

DIGITS, IMAGES = (1, 8, 8), (3, 32, 32)
RECORD = Path(__file__).parents[2] / "benchmarks" / "results" / "dp_search.csv"
SETTINGS = (
    *("epochs", "sample_rate", "learning_rate", "max_grad_norm", "views", "averaging"),
    "momentum",
)
TUNED = TunedSettings(50, 0.2, 0.4, 0.3, averaging=0.9, momentum=0.3)


def test_there_are_records_for_our_networks_and_data_at_four_epsilons() -> None:
    places = {(record.network, record.input_shape) for record in tuned_records()}
    assert places == {(net, shape) for net in ("cnn", "mlp") for shape in (DIGITS, IMAGES)}
    for network, shape in places:
        epsilons = [
            record.epsilon
            for record in tuned_records()
            if (record.network, record.input_shape) == (network, shape)
        ]
        assert sorted(epsilons) == [1, 2, 4, 8]
    for record in tuned_records():
        assert 0 < record.settings.sample_rate <= 1
        assert record.settings.epochs >= 1
        assert 1 <= record.settings.batch_size(record.members) <= record.members


def test_the_records_are_the_best_trials_of_the_search() -> None:
    data = {DIGITS: "digits", IMAGES: "cifar10"}
    trials: dict[tuple[str, str, float], dict[TunedSettings, list[float]]] = {}
    with RECORD.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            place = (row["data"], row["network"], float(row["epsilon"]))
            numbers = [float(row[name]) for name in SETTINGS]
            numbers[0], numbers[4] = int(numbers[0]), int(numbers[4])
            of_place = trials.setdefault(place, defaultdict(list))
            of_place[TunedSettings(*numbers)].append(float(row["accuracy"]))  # type: ignore[arg-type]
    for record in tuned_records():
        scores = trials[data[record.input_shape], record.network, record.epsilon]
        folds = max(map(len, scores.values()))
        lasting = {own: np.mean(values) for own, values in scores.items() if len(values) == folds}
        assert lasting[record.settings] == max(lasting.values()), record
        assert f"accuracy {100 * max(lasting.values()):.1f} %" in record.found


def test_a_record_is_found_by_network_data_members_and_the_nearest_epsilon() -> None:
    def epsilon(network: str, shape: tuple[int, ...], classes: int, n: float, eps: float) -> float:
        record = tuned_record(network, shape, classes, n, eps)
        return math.nan if record is None else record.epsilon

    assert [epsilon("cnn", DIGITS, 10, 599, value) for value in (0.5, 1, 1.4, 1.5, 2.9, 50)] == [
        *(1, 1, 1, 2, 4, 8)
    ]
    assert epsilon("cnn", DIGITS, 10, 300, 8) == 8
    assert math.isnan(epsilon("cnn", DIGITS, 10, 299, 8))
    assert epsilon("cnn", DIGITS, 10, 1198, 8) == 8
    assert math.isnan(epsilon("cnn", DIGITS, 10, 1199, 8))
    assert math.isnan(epsilon("cnn", DIGITS, 9, 599, 8))
    assert math.isnan(epsilon("cnn", (1, 9, 8), 10, 599, 8))
    assert math.isnan(epsilon("resnet", DIGITS, 10, 599, 8))


def test_options_of_the_scheme_come_before_tuned_settings_before_those_of_the_study() -> None:
    study = Training(epochs=7, batch_size=33, weight_decay=0.1, momentum=0.6)
    scheme, training = with_dp_settings(DPSGD(epsilon=8), study, None, 200)
    assert (training.epochs, training.batch_size, training.learning_rate) == (7, 33, 0.05)
    assert training.momentum == 0.6
    assert (scheme.max_grad_norm, scheme.views, scheme.averaging) == (1.0, 1, 0.0)

    scheme, training = with_dp_settings(DPSGD(epsilon=8), study, TUNED, 200)
    assert (training.epochs, training.batch_size, training.learning_rate) == (50, 40, 0.4)
    assert training.momentum == 0.3
    assert (scheme.max_grad_norm, scheme.views, scheme.averaging) == (0.3, 1, 0.9)
    assert training.weight_decay == 0.1

    own = DPSGD(
        epsilon=8,
        epochs=3,
        batch_size=11,
        learning_rate=0.7,
        momentum=0.0,
        max_grad_norm=2.0,
        averaging=0.0,
    )
    scheme, training = with_dp_settings(own, study, TUNED, 200)
    assert (training.epochs, training.batch_size, training.learning_rate) == (3, 11, 0.7)
    assert training.momentum == 0.0
    assert (scheme.max_grad_norm, scheme.averaging) == (2.0, 0.0)


def test_only_the_arm_with_dp_sgd_has_the_tuned_settings() -> None:
    schemes = ["none", "dp-sgd:epsilon=8", "dp-sgd:noise_multiplier=1", "dp-sgd:epsilon=8,epochs=2"]
    plan = plan_study(study_settings({"schemes": schemes, "target": "mlp", "attacks": ["loss"]}))
    record = tuned_record("mlp", DIGITS, 10, 599, 8)
    assert record is not None
    plain, tuned, multiplier, own = plan.arms
    assert (plain.recipe.training, plain.dp_origin) == (Training(), "")
    assert tuned.recipe.training.epochs == record.settings.epochs
    assert tuned.recipe.training.batch_size == record.settings.batch_size(599)
    assert tuned.recipe.plan is not None
    assert tuned.recipe.plan.steps == round(
        record.settings.epochs * 599 / tuned.recipe.training.batch_size
    )
    assert tuned.dp_origin == "the tuned defaults for ε = 8"
    assert multiplier.recipe.training.epochs == 30
    assert multiplier.dp_origin == "the settings of the study"
    assert own.recipe.training.epochs == 2
    assert own.dp_origin == "the tuned defaults for ε = 8, changed by options of the scheme"


@pytest.mark.parametrize(("members", "size"), [(599, 120), (7.5, 2), (2, 1)])
def test_the_batch_keeps_its_share_of_the_examples(members: float, size: int) -> None:
    assert TunedSettings(1, 0.2, 0.1).batch_size(members) == size


def test_the_page_has_all_records() -> None:
    page = (RECORD.parents[2] / "docs" / "howto" / "tune-dp.md").read_text("utf-8")
    data = {DIGITS: "digits", IMAGES: "CIFAR-10"}
    for record in tuned_records():
        own = record.settings
        numbers = (
            *(own.sample_rate, own.learning_rate, own.momentum, own.max_grad_norm),
            own.averaging,
        )
        place = f"| {data[record.input_shape]}, {record.network.upper()} | {record.epsilon:g} |"
        row = f"{place} {own.epochs} | {' | '.join(f'{number:g}' for number in numbers)} |"
        assert row in page, row


def test_early_stopping_is_relative_to_the_epochs_of_dp_sgd() -> None:
    schemes = ["none", "early-stop:epochs=40+dp-sgd:epsilon=8"]
    plan = plan_study(study_settings({"schemes": schemes, "target": "mlp", "attacks": ["loss"]}))
    training = plan.arms[1].recipe.training
    assert (training.epochs, training.last_epoch) == (60, 40)
    with pytest.raises(UsageError, match=r"early-stop.*must be <= 30"):
        plan_study(study_settings({"schemes": ["early-stop:epochs=40"], "target": "mlp"}))
