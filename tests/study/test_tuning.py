"""The search for settings of training: its trials, its race, its data, and its cache."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mgaudit
from mgaudit.errors import UsageError
from mgaudit.reports.results import read_result
from mgaudit.reports.search_record import SearchRecord
from mgaudit.settings.study_settings import StudySettings, study_settings
from mgaudit.settings.tuning import Tuning
from mgaudit.storage.run_folder import RunFolder
from mgaudit.study.design import draw_design
from mgaudit.study.held_out import SplitData, split_data
from mgaudit.study.progress import Progress
from mgaudit.targets.cache import cache_folder
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting import loop, recipe
from mgaudit.targets.fitting.tuned_settings import TunedSettings
from mgaudit.targets.training import Training
from mgaudit.tuning.evaluate import Evaluated, Evaluation
from mgaudit.tuning.search import Arena, Search, _evaluated, search, trainings
from mgaudit.tuning.trials import Trial, dp_trials, plain_trials
from mgaudit.tuning.tune import with_searches

FIRST = TunedSettings(epochs=30, sample_rate=0.1, learning_rate=0.05)
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class FakeTraining:
    """Stands for `evaluate`: counts the trainings, and gives each the accuracy of a function."""

    def __init__(self, accuracy: Callable[[Evaluation], float], stops_after: int = 10**6) -> None:
        self.accuracy = accuracy
        self.stops_after = stops_after
        self.tasks: list[Evaluation] = []

    def __call__(self, task: Evaluation) -> Evaluated:
        if len(self.tasks) == self.stops_after:
            raise KeyboardInterrupt
        self.tasks.append(task)
        return Evaluated(task.trial, task.fold_number, task.key, self.accuracy(task), 0.0)


def faked(
    monkeypatch: pytest.MonkeyPatch,
    accuracy: Callable[[Evaluation], float] = lambda task: task.trial / 100,
    stops_after: int = 10**6,
) -> FakeTraining:
    fake = FakeTraining(accuracy, stops_after)
    monkeypatch.setattr("mgaudit.tuning.search.evaluate", fake)
    return fake


def arrays(examples: int = 360, seed: int = 0) -> Arrays:
    """Two classes of points that overlap."""
    draw = np.random.default_rng(seed)
    labels = np.arange(examples + 40) % 2
    inputs = draw.normal(labels[:, None] * 2.0, 1.0, (examples + 40, 3)).astype(np.float32)
    return inputs[40:], labels[40:], inputs[:40], labels[:40]


def settings(data: Any = None, **changes: Any) -> StudySettings:
    values = {
        "dataset": arrays() if data is None else data,
        "target": "mlp:hidden=4",
        "models": 3,
        "stack": 1,
        "schemes": ["none"],
        "attacks": ["loss"],
        "training": {"epochs": 2, "batch_size": 16},
    }
    return study_settings(values | changes)


def searched(study: StudySettings, trials: int = 3, jobs: int = 1) -> SearchRecord:
    done = with_searches(study, "all", trials, jobs, Progress())
    (record,) = done.searches.values()
    return record


def split(study: StudySettings) -> SplitData:
    return split_data(study.dataset, study.examples, study.seed)


# Trials


@pytest.mark.parametrize("drawn", [dp_trials, plain_trials])
def test_a_longer_search_begins_with_the_trials_of_a_shorter_one(drawn: Any) -> None:
    views = (True,) if drawn is dp_trials else ()
    short, long = drawn(4, FIRST, *views, 7), drawn(9, FIRST, *views, 7)
    assert long[:4] == short
    assert [trial.number for trial in long] == list(range(9))
    assert short[0].settings == FIRST
    other = drawn(9, FIRST, *views, 8)
    assert other[0] == long[0]
    assert all(mine != theirs for mine, theirs in zip(other[1:], long[1:], strict=True))


def test_views_are_tried_only_of_augmented_data() -> None:
    assert {trial.settings.views for trial in dp_trials(40, FIRST, False, 0)} == {1}
    assert {trial.settings.views for trial in dp_trials(40, FIRST, True, 0)} == {1, 4}


def test_the_length_of_a_step_is_within_its_limits_for_each_clip_norm_and_momentum() -> None:
    trials = [trial.settings for trial in dp_trials(100, FIRST, True, 0)[1:]]
    assert {drawn.momentum for drawn in trials} == {0.0, 0.9}
    for drawn in trials:
        length = drawn.learning_rate * drawn.max_grad_norm / (1 - drawn.momentum)
        assert 0.095 <= length <= 6.5
        assert 0.1 <= drawn.max_grad_norm <= 1.5
        assert 15 <= drawn.epochs <= 80
        assert 0.05 <= drawn.sample_rate <= 1


# The race


def race(
    monkeypatch: pytest.MonkeyPatch,
    trials: list[Trial],
    accuracy: Callable[[Evaluation], float],
) -> tuple[Search, FakeTraining]:
    """The search over trials whose recipe is the settings themselves."""
    fake = faked(monkeypatch, accuracy)
    x, y, x_test, y_test = arrays(120)
    held_out = Dataset("x", x, y.astype(np.int64), x_test, y_test.astype(np.int64), ("a", "b"))
    recipe_of: Any = lambda own: own  # noqa: E731
    determined_by: Any = asdict
    arena = Arena(held_out, 60, recipe_of, determined_by, "sha", "cpu", 0)
    return search(trials, arena, 1, lambda line: None), fake


def numbered(count: int, epochs: Callable[[int], int] = lambda number: 10 + number) -> list[Trial]:
    return [Trial(number, replace(FIRST, epochs=epochs(number))) for number in range(count)]


def test_the_best_third_goes_on_and_the_rest_is_trained_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, fake = race(monkeypatch, numbered(9), lambda task: task.trial / 10)
    folds = {scored.trial.number: len(scored.accuracies) for scored in found.trials}
    assert folds == {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 2, 7: 4, 8: 4}
    assert found.best.trial.number == 8
    assert len(fake.tasks) == trainings(9) == 9 + 3 + 2 * 2


def test_the_mean_over_all_folds_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def accuracy(task: Evaluation) -> float:
        lucky = {0: 0.9, 1: 0.1, 2: 0.1, 3: 0.1}
        return lucky[task.fold_number] if task.trial == 0 else 0.5 - task.trial / 100

    found, _ = race(monkeypatch, numbered(4), accuracy)
    assert found.best.trial.number == 1
    assert found.trials[0].accuracies == (0.9, 0.1, 0.1, 0.1)


def test_of_equally_accurate_trials_the_cheapest_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials = numbered(6, epochs=lambda number: 30 - number)
    trials[5] = Trial(5, replace(trials[5].settings, views=4))  # fewest epochs, most views
    found, _ = race(monkeypatch, trials, lambda task: 0.5)
    assert found.best.trial.number == 4


def test_all_trials_are_compared_on_the_same_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    _, fake = race(monkeypatch, numbered(4), lambda task: task.trial / 10)
    for fold in range(4):
        masks = [task.fold.trained for task in fake.tasks if task.fold_number == fold]
        assert all(np.array_equal(mask, masks[0]) for mask in masks)
        assert not masks[0][fake.tasks[0].fold.validated].all()
    for task in fake.tasks:
        assert task.fold.trained.sum() == 60
        assert not task.fold.trained[task.fold.validated].any()
    first, second = (
        next(task.fold.trained for task in fake.tasks if task.fold_number == fold)
        for fold in (0, 1)
    )
    assert not np.array_equal(first, second)


def test_one_trial_is_chosen_without_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found, fake = race(monkeypatch, numbered(1), lambda task: 0.1)
    assert found.best.trial.number == 0
    assert len(fake.tasks) == trainings(1) == 4


def test_a_search_of_which_every_training_diverges_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError, match="must have a trial whose training does not diverge"):
        race(monkeypatch, numbered(3), lambda task: 0.0)


# Data


def test_the_audit_and_the_search_share_no_example() -> None:
    halves = split(settings(held_out=True))
    assert len(halves.held_out.labels) == 120
    assert len(halves.audited.labels) == 240
    rows = {row.tobytes() for row in halves.audited.inputs}
    assert not any(row.tobytes() in rows for row in halves.held_out.inputs)


def test_an_example_that_is_audited_is_not_held_out_in_another_copy() -> None:
    x, y, x_test, y_test = arrays()
    plain = split(settings((x, y, x_test, y_test), examples=150))
    audited, held = plain.audited.indices[0], plain.held_out.indices[0]
    x = x.copy()
    x[held] = x[audited]
    planted = split(settings((x, y, x_test, y_test), examples=150))
    assert list(planted.audited.indices) == list(plain.audited.indices)
    assert held not in planted.held_out.indices
    assert audited not in planted.held_out.indices


def test_a_copy_with_a_negative_zero_is_not_held_out() -> None:
    x, y, x_test, y_test = arrays(300)
    x[:, 0] = 0.0
    copies = x.copy()
    copies[:, 0] = -0.0
    data = (np.concatenate([x, copies]), np.concatenate([y, y]), x_test, y_test)
    halves = split(settings(data, examples=150))
    audited = {tuple(row) for row in halves.audited.inputs}  # 0.0 and -0.0 are equal here
    assert len(halves.held_out.labels) == 150
    assert not any(tuple(row) in audited for row in halves.held_out.inputs)


def test_copies_that_leave_too_few_examples_are_named() -> None:
    x, y, x_test, y_test = arrays(40)
    data = (np.repeat(x, 8, axis=0), np.repeat(y, 8), x_test, y_test)
    with pytest.raises(UsageError) as error:
        split(settings(data, examples=150))
    assert error.value.key == "tune"
    assert "fewer copies" in str(error.value)


def test_an_audit_of_chosen_size_has_the_same_data_as_without_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faked(monkeypatch)
    study = settings(examples=150)
    tuned = with_searches(study, "all", 2, 1, Progress())
    assert not tuned.held_out
    before, after = draw_design(study), draw_design(tuned)
    assert before.sha256 == after.sha256
    assert np.array_equal(before.membership, after.membership)


def test_the_search_does_not_depend_on_the_data_of_the_audit() -> None:
    x, y, x_test, y_test = arrays()
    study = settings((x, y, x_test, y_test))
    before = searched(study, trials=2)
    rows = split(study.model_copy(update={"held_out": True})).audited.indices
    draw = np.random.default_rng(1)
    x, y = x.copy(), y.copy()
    x[rows] = draw.normal(5, 3, x[rows].shape)
    y[rows] = 1 - y[rows]
    x_test = draw.normal(-5, 3, x_test.shape).astype(np.float32)
    assert searched(settings((x, y, x_test, y_test)), trials=2) == before
    other = x.copy()
    other[[row for row in range(len(x)) if row not in rows]] += 1000 * draw.random((120, 3))
    assert searched(settings((other, y, x_test, y_test)), trials=2) != before


def test_too_few_examples_for_a_search_are_refused() -> None:
    for study in (settings(arrays(240)), settings(examples=300)):
        with pytest.raises(UsageError) as error:
            with_searches(study, "all", 2, 1, Progress())
        assert error.value.key == "tune"
        assert "at least 100" in error.value.rule


# What a study tunes


def test_the_first_trial_has_the_settings_without_a_search_and_the_same_seed_the_same_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faked(monkeypatch)
    study = settings(training={"epochs": 7, "batch_size": 12, "learning_rate": 0.03})
    record = searched(study, trials=5)
    first = record.trials[0]
    assert (first.epochs, first.learning_rate) == (7, 0.03)
    assert first.sample_rate == pytest.approx(12 / 120)  # of half of 240 examples
    assert searched(study, trials=5) == record
    other = searched(study.model_copy(update={"seed": 1}), trials=5)
    assert other.trials[1:] != record.trials[1:]


@pytest.mark.slow
def test_real_trainings_are_the_same_in_two_processes() -> None:
    study = settings()
    alone = searched(study, trials=3)
    for path in (cache_folder() / "searches").rglob("*.json"):
        path.unlink()
    assert searched(study, trials=3, jobs=2) == alone
    assert max(alone.best.accuracies) > 0.6


def test_a_diverging_trial_has_accuracy_zero_and_is_not_chosen() -> None:
    study = settings(training={"epochs": 2, "batch_size": 16, "learning_rate": 1e30})
    record = searched(study, trials=4)
    assert record.trials[0].accuracies == [0.0]
    assert record.chosen != 0


def test_an_interrupted_search_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    study = settings()
    fake = faked(monkeypatch, stops_after=4)
    with pytest.raises(KeyboardInterrupt):
        searched(study, trials=6)
    assert len(fake.tasks) == 4
    again = faked(monkeypatch)
    record = searched(study, trials=6)
    assert len(again.tasks) == trainings(6) - 4
    none = faked(monkeypatch)
    assert searched(study, trials=6) == record
    assert not none.tasks


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"key": "other", "accuracy": 0.5, "seconds": 1}', b"\xff"],
)
def test_a_damaged_file_of_the_cache_is_evaluated_again(
    damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch)
    record = searched(settings())
    path = sorted((cache_folder() / "searches").rglob("*.json"))[0]
    path.write_bytes(damage)
    again = faked(monkeypatch)
    assert searched(settings()) == record
    assert len(again.tasks) == 1


def test_an_accuracy_above_one_in_the_cache_is_evaluated_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faked(monkeypatch)
    record = searched(settings())
    path = sorted((cache_folder() / "searches").rglob("*.json"))[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"accuracy": 1.5}))
    assert searched(settings()) == record


def test_only_dp_sgd_is_tuned_unless_all_arms_are(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = faked(monkeypatch)
    study = settings(schemes=["none", "gaussian-mask:kappa=0.3", "dp-sgd:epsilon=8"])
    tuned = with_searches(study, "dp", 2, 1, Progress())
    assert [scheme.text for scheme in tuned.searches] == ["dp-sgd:epsilon=8"]
    assert {task.recipe.plan is not None for task in fake.tasks} == {True}
    every = with_searches(study, "all", 2, 1, Progress())
    assert [scheme.text for scheme in every.searches] == [scheme.text for scheme in study.schemes]
    assert every.searches[study.schemes[2]] == tuned.searches[study.schemes[2]]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "tune"),
        ({"schemes": ["none", "dp-sgd:noise_multiplier=1"]}, "tune"),
        ({"schemes": ["dp-sgd:epsilon=1e-9,delta=1e-12"]}, "epsilon"),
        ({"training": {"optimizer": "adam"}}, "optimizer"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_training(
    changes: dict[str, Any], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = faked(monkeypatch)
    with pytest.raises(UsageError) as error:
        with_searches(settings(**changes), "dp", 2, 1, Progress())
    assert error.value.key == key
    assert error.value.way_out
    assert not fake.tasks


# Python


def short_fit(
    models: Any, examples: Any, scheme: Any, training: Training, *rest: Any, **options: Any
) -> Any:
    return loop.fit(models, examples, scheme, replace(training, epochs=2), *rest, **options)


@pytest.fixture
def small_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Options of a run that takes two epochs, also where a search found hundreds."""
    monkeypatch.setattr(recipe, "fit", short_fit)
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    return {
        "target": "mlp:hidden=4",
        "examples": 120,
        "models": 3,
        "stack": 1,
        "attack": "loss",
        "epochs": 2,
        "batch_size": 16,
        "jobs": 1,
        "quiet": True,
        "out": tmp_path / "runs",
    }


def test_a_tuned_run_repeats_from_its_settings_without_a_search(
    small_run: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch)
    result = mgaudit.run(**small_run, dp=False, tune="all", tune_dp=3)
    searches = [arm.search for arm in result.record.studies[0].arms]
    assert [record.chosen for record in searches if record is not None] == [2, 2]
    again = faked(monkeypatch)
    out = small_run["out"].with_name("again")
    file = result.path / "settings.toml"
    repeated = mgaudit.run(settings=file, jobs=1, quiet=True, out=out)
    assert not again.tasks
    first, second = (
        json.loads(read_result(path)[0].model_dump_json()) for path in (result.path, repeated.path)
    )
    for content in (first, second):
        del content["studies"][0]["times"]
    assert first == second
    with pytest.raises(UsageError) as error:
        mgaudit.run(settings=file, seed=1, jobs=1, quiet=True, out=out)
    assert error.value.key == "seed"
    with pytest.raises(UsageError) as error:
        mgaudit.run(settings=file, kappa=0.5, jobs=1, quiet=True, out=out)
    assert (error.value.key, error.value.value) == ("scheme", "gaussian-mask:kappa=0.5")
    for changed in ({"augment": "flips"}, {"optimizer": "adam"}, {"clients": 2}):
        with pytest.raises(UsageError) as error:
            mgaudit.run(settings=file, **changed, jobs=1, quiet=True, out=out)
        assert error.value.key in changed
    fewer = mgaudit.run(settings=file, epochs=3, plain=False, jobs=1, quiet=True, out=out)
    assert list(fewer.record.settings["searches"]) == ["gaussian-mask:kappa=0.3"]
    assert not again.tasks
    mgaudit.run(settings=file, seed=1, tune="all", tune_dp=2, jobs=1, quiet=True, out=out)
    assert len(again.tasks) == 2 * trainings(2)


def test_a_third_of_the_examples_is_not_audited_where_all_would_be(
    small_run: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = faked(monkeypatch)
    options = small_run | {"examples": None, "dataset": arrays(), "dp": False}
    result = mgaudit.run(**options, tune="all", tune_dp=2)
    (study,) = result.record.studies
    assert study.dataset.examples == 240
    assert study.settings["held_out"]
    assert [len(task.dataset.labels) for task in fake.tasks] == [120] * 2 * trainings(2)
    searches = [arm.search for arm in study.arms]
    facts = [(one.held_out, one.trained, one.validated) for one in searches if one is not None]
    assert facts == [(120, 90, 30)] * 2  # of 120 members on average, at most 75 % of 120
    untuned = mgaudit.run(**options)
    assert untuned.record.studies[0].dataset.examples == 360
    assert "held_out" not in untuned.record.settings
    assert "searches" not in untuned.record.settings


def test_tune_dp_has_the_search_of_run_and_a_scheme_with_its_settings(
    small_run: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = faked(monkeypatch)
    shared: dict[str, Any] = {"target": "mlp:hidden=4", "examples": 120, "jobs": 1, "quiet": True}
    tuned = mgaudit.tune_dp(**shared, trials=2, epochs=2, batch_size=16)
    assert len(fake.tasks) == trainings(2)
    assert tuned.accuracy == pytest.approx(0.01)
    frame = tuned.to_frame()
    assert list(frame["chosen"]) == [False, True]
    assert next(iter(frame["epochs"])) == 2
    assert "ε does not account for it" in repr(tuned)
    again = faked(monkeypatch)
    result = mgaudit.run(**small_run, plain=False, tune_dp=2)
    assert not again.tasks
    (arm,) = (arm for arm in result.record.studies[0].arms if arm.claim is not None)
    assert arm.search == tuned.record
    assert arm.claim is not None
    assert arm.claim.training is not None
    assert "search" in arm.claim.training.origin
    for name in ("epochs", "batch_size", "learning_rate", "momentum", "views", "averaging"):
        assert getattr(arm.claim.training, name) == tuned.settings[name], name
    stated = mgaudit.run(**small_run, plain=False, dp=False, scheme=tuned.scheme)
    (own,) = (arm for arm in stated.record.studies[0].arms if arm.claim is not None)
    assert own.claim is not None
    assert own.claim.model_dump(exclude={"training"}) == arm.claim.model_dump(exclude={"training"})
    assert own.attacks == arm.attacks


def test_each_study_of_a_comparison_has_its_own_search(
    small_run: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = faked(monkeypatch)
    result = mgaudit.compare(**small_run, scheme="none", seed=[0, 1], tune="all", tune_dp=2)
    assert len(fake.tasks) == 2 * trainings(2)
    first, second = (study.arms[0].search for study in result.record.studies)
    assert first is not None
    assert second is not None
    assert first.trials[1] != second.trials[1]
    file = result.path / "settings.toml"
    again = faked(monkeypatch)
    out = small_run["out"].with_name("again")
    repeated = mgaudit.compare(file, jobs=1, quiet=True, out=out)
    assert not again.tasks
    assert [study.arms for study in repeated.record.studies] == [
        study.arms for study in result.record.studies
    ]
    with pytest.raises(UsageError) as error:
        mgaudit.compare(file, seed=[0, 2], jobs=1, quiet=True, out=out)
    assert error.value.key == "searches"
    with pytest.raises(UsageError) as error:
        mgaudit.compare(file, examples=100, jobs=1, quiet=True, out=out)
    assert error.value.key == "examples"


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"tune_dp": 0}, "tune_dp"),
        ({"tune_dp": 2.5}, "tune_dp"),
        ({"tune_dp": "4"}, "tune_dp"),
        ({"tune": "plain"}, "tune"),
        ({"tune_dp": 2, "fit": "training:fit"}, "tune_dp"),
    ],
)
def test_a_wrong_search_is_refused(arguments: dict[str, Any], key: str) -> None:
    with pytest.raises(UsageError) as error:
        mgaudit.run(**arguments, quiet=True)
    assert error.value.key == key


def test_true_is_sixteen_trials_and_false_is_none() -> None:
    from mgaudit.settings.tuning import checked_tuning

    assert checked_tuning(True, None) == Tuning("dp", 16)
    assert checked_tuning(1, None) == Tuning("dp", 1)
    assert checked_tuning(False, None) is None
    assert checked_tuning(None, "all") == Tuning("all", 16)
    assert checked_tuning(4, "all") == Tuning("all", 4)


def test_what_the_scheme_states_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch)
    scheme = "dp-sgd:epsilon=8,epochs=3,batch_size=18,averaging=0"
    study = settings(schemes=["none", scheme])
    tuned = with_searches(study, "dp", 8, 1, Progress())
    (record,) = tuned.searches.values()
    assert {(trial.epochs, trial.averaging) for trial in record.trials} == {(3, 0.0)}
    assert len({trial.sample_rate for trial in record.trials}) == 1
    assert len({trial.learning_rate for trial in record.trials}) == 8
    assert len({trial.max_grad_norm for trial in record.trials}) > 4


@pytest.mark.parametrize(("device", "on_gpu"), [("cpu", False), ("cuda", True)])
def test_trials_on_cuda_run_on_workers_with_a_gpu(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch, device: str, on_gpu: bool
) -> None:
    seen = []

    def run(*_: object, on_gpu: bool = False) -> list[Evaluated]:
        seen.append(on_gpu)
        return []

    monkeypatch.setattr("mgaudit.compute.parallel.run", run)
    trial: Any = SimpleNamespace(device=device, key="0" * 64)
    assert _evaluated([trial], jobs=2) == []
    assert seen == [on_gpu]
