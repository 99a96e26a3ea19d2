import torch

from mgaudit.targets.fitting.batches import shuffled_batches, stacked_batches
from mgaudit.targets.seeds import torch_generator


def test_an_epoch_holds_every_example_once_in_a_fresh_order() -> None:
    generator = torch_generator(0, "batches")
    first, second = (shuffled_batches(10, 3, generator) for _ in range(2))
    assert [len(batch) for batch in first] == [4, 3, 3]
    assert (
        sorted(torch.cat(first).tolist()) == sorted(torch.cat(second).tolist()) == list(range(10))
    )
    assert torch.cat(first).tolist() != torch.cat(second).tolist()


def test_models_of_a_stack_see_the_batches_they_would_see_alone() -> None:
    sizes = [37, 50, 44]
    indices, weights = stacked_batches(
        sizes, 45, 5, [torch_generator(0, "batches", index) for index in range(3)]
    )
    assert indices.shape == weights.shape
    for model, size in enumerate(sizes):
        alone = shuffled_batches(size, 5, torch_generator(0, "batches", model))
        for step, batch in enumerate(alone):
            assert torch.equal(indices[step, model, : len(batch)], batch)
            assert weights[step, model].tolist() == [1.0] * len(batch) + [0.0] * (
                weights.shape[2] - len(batch)
            )


def test_the_length_of_a_batch_does_not_depend_on_the_company() -> None:
    def length(sizes: list[int]) -> int:
        generators = [torch_generator(0, "batches", index) for index in range(len(sizes))]
        return stacked_batches(sizes, 45, 5, generators)[0].shape[2]

    assert length([37, 50]) == length([50, 50]) == length([40, 41])
    assert length([37]) == 8


def test_fewer_examples_than_steps_leave_batches_empty() -> None:
    _, weights = stacked_batches([3], 5, 5, [torch_generator(0, "batches")])
    assert weights.sum(dim=2).flatten().tolist() == [1, 1, 1, 0, 0]
