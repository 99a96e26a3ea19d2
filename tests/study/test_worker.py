"""What travels between a run and its workers, and that a worker queries as the store does."""

from typing import Any

import cloudpickle
import numpy as np
import pytest

from mgaudit.compute.mapped_copy import place_of
from mgaudit.compute.this_process import ThisProcess
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.train import ArmTraining, ensemble_folder, train_arm
from mgaudit.study.trained_arm import observe, questions_of
from mgaudit.study.worker import PackedMembership, StackTask, train_stack
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

MOST_BYTES = 10_000  # of a model, beside its weights and outputs


@pytest.mark.parametrize("examples", [1, 7, 8, 9, 1000])
def test_packed_membership_is_the_membership(examples: int) -> None:
    membership = numpy_generator(0, "test").random((3, examples)) < 0.5
    packed = PackedMembership.of(membership)
    assert packed.bits.shape == (3, -(-examples // 8))
    np.testing.assert_array_equal(packed.unpacked(), membership)
    assert packed.unpacked().dtype == bool


def planned(small: dict[str, Any], **changes: Any) -> Any:
    return plan_study(study_settings({**small, "schemes": ["none"], **changes}))


def test_little_more_than_weights_and_outputs_travels(small: dict[str, Any]) -> None:
    size = "synthetic:size=12000,features=5"
    plan = planned(small, dataset=size, examples=10_000, training={"epochs": 1, "batch_size": 500})
    (arm,), design = plan.arms, plan.design
    members = PackedMembership.of(design.membership[:1])
    questions = tuple(questions_of(arm, plan.arms))
    choices = arm.settings.trained_choices
    folder = ensemble_folder(arm, design)
    task = StackTask(folder, arm.recipe, members, [0], "cpu", questions, choices, {})
    (model,) = train_stack(task, design.dataset)
    weights = folder.model_in(0, model.content, None).weights
    arrays = [*weights.values()]
    for outputs in model.outputs.values():
        arrays += outputs.values()
    sent, received = cloudpickle.dumps(task), cloudpickle.dumps([model])
    assert len(arrays) > 2
    assert len(sent) + len(received) <= sum(array.nbytes for array in arrays) + MOST_BYTES


@pytest.mark.parametrize("target", ["cnn", "mlp:hidden=16"])
def test_a_worker_answers_as_the_models_of_the_store_do(small: dict[str, Any], target: str) -> None:
    # Weights as training leaves them have strides for which convolutions round otherwise.
    plan = planned(small, target=target, models=3)
    (arm,), design = plan.arms, plan.design
    questions = questions_of(arm, plan.arms)
    trained = train_arm(arm, design, 1, Progress())
    from_store = [ArmOutputs(trained, design).answer(question) for question in questions]
    task = StackTask(
        trained.folder,
        arm.recipe,
        PackedMembership.of(design.membership[:1]),
        [0],
        "cpu",
        tuple(questions),
        arm.settings.trained_choices,
        {},
    )
    (model,) = train_stack(task, design.dataset)
    for question, outputs in zip(questions, from_store, strict=True):
        for split, values in outputs.items():
            np.testing.assert_array_equal(model.outputs[question.what][split], values[:1])


def test_a_network_that_cannot_be_queried_is_trained_and_kept(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Any:
        raise ValueError("the network fails in evaluation")

    monkeypatch.setattr("mgaudit.study.questions.Question.answer", fail)
    plan = planned(small)
    (arm,) = plan.arms
    with ArmTraining(arm, plan.design, Progress(), questions_of(arm, plan.arms)) as training:
        with ThisProcess() as pool:
            training.submit(pool, pool.share(plan.design.dataset))
            for future in pool.completed():
                training.keep(future)
        trained = training.trained()
    assert trained.converged == [0, 1, 2, 3]
    assert trained.answers == {}
    with pytest.raises(ValueError, match="the network fails in evaluation"):
        ArmOutputs(trained, plan.design).answer(questions_of(arm, plan.arms)[0])


def test_outputs_in_use_are_in_memory_once_and_others_are_read_again(small: dict[str, Any]) -> None:
    plan = planned(small)
    (arm,), design = plan.arms, plan.design
    outputs = ArmOutputs(train_arm(arm, design, 1, Progress()), design)
    (question, *_) = questions_of(arm, plan.arms)
    first = outputs.answer(question)
    content = first["pool"].copy()
    view = np.asarray(first["pool"].data.toreadonly())  # as attacks see it
    del first
    again = outputs.answer(question)
    assert np.array_equal(again["pool"], content)
    assert not np.shares_memory(again["pool"], view)  # the other split was no longer in use
    for split, values in outputs.answer(question).items():
        assert values is again[split]


def test_outputs_that_were_just_computed_are_mapped_and_observed_without_a_copy(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgaudit.storage.checked_files.MAPPED_BYTES", 1)
    plan = planned(small)
    (arm,), design = plan.arms, plan.design
    outputs = ArmOutputs(train_arm(arm, design, 1, Progress()), design)
    observed = observe(outputs, outputs.converged, Queries(), frozenset())
    again = observe(outputs, outputs.converged, Queries(), frozenset())
    assert observed.population_logits is not None
    for logits in (observed.logits, observed.population_logits):
        assert place_of(logits) is not None
    assert place_of(observed.logits) == place_of(again.logits)


def test_what_a_stack_returned_is_kept_only_as_answers(small: dict[str, Any]) -> None:
    plan = planned(small)
    (arm,), design = plan.arms, plan.design
    with ThisProcess() as pool, ArmTraining(arm, design, Progress()) as training:
        training.submit(pool, pool.share(design.dataset))
        for future in pool.completed():
            training.keep(future)
            assert future.result() is None
        trained = training.trained()
    assert len(trained.records) == arm.settings.models
