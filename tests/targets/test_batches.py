"""Batches: every example once an epoch, the same alone and in a stack."""

import torch

from mgaudit.targets.fitting.batches import shuffled_order
from mgaudit.targets.seeds import torch_generator


def test_an_epoch_holds_every_example_once_in_a_fresh_order() -> None:
    generator = torch_generator(0, "batches")
    first, second = (shuffled_order([10], 10, 3, [generator]).of_model(0) for _ in range(2))
    assert [len(batch) for batch in first] == [4, 3, 3]
    assert (
        sorted(torch.cat(first).tolist()) == sorted(torch.cat(second).tolist()) == list(range(10))
    )
    assert torch.cat(first).tolist() != torch.cat(second).tolist()


def test_models_of_a_stack_see_the_batches_they_would_see_alone() -> None:
    sizes = [37, 50, 44]

    def generators() -> list[torch.Generator]:
        return [torch_generator(0, "batches", index) for index in range(3)]

    together = shuffled_order(sizes, 45, 5, generators())
    for model, (size, generator) in enumerate(zip(sizes, generators(), strict=True)):
        alone = shuffled_order([size], 45, 5, [generator]).of_model(0)
        pairs = zip(together.of_model(model), alone, strict=True)
        assert all(torch.equal(batch, own) for batch, own in pairs)


def test_the_length_of_a_batch_does_not_depend_on_the_company() -> None:
    def length(sizes: list[int]) -> int:
        generators = [torch_generator(0, "batches", index) for index in range(len(sizes))]
        return shuffled_order(sizes, 45, 5, generators).length

    assert length([37, 50]) == length([50, 50]) == length([40, 41])
    assert length([37]) == 8


def test_fewer_examples_than_steps_leave_batches_empty() -> None:
    epoch = shuffled_order([3], 5, 5, [torch_generator(0, "batches")])
    assert epoch.sizes == [[1], [1], [1], [0], [0]]
    assert [len(batch) for batch in epoch.of_model(0)] == [1, 1, 1, 0, 0]
