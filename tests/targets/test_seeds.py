import numpy as np
import torch

from mgaudit.targets.seeds import numpy_generator, stream, torch_generator


def test_a_stream_is_named_by_all_three_of_its_arguments() -> None:
    seeds = {stream(s, p, i) for s in range(3) for p in ("noise", "batches") for i in range(3)}
    assert len(seeds) == 18
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_streams_do_not_run_into_each_other_by_the_spelling_of_their_names() -> None:
    assert stream(1, "a", 11) != stream(11, "a", 1) != stream(1, "a/1", 1)
    assert stream(1, "a1", 1) not in (stream(1, "a", 11), stream(11, "a1", 1))
    assert stream(1, "1a", 1) != stream(11, "a", 1)


def test_a_stream_starts_afresh_each_time_and_leaves_the_global_state_alone() -> None:
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert torch.equal(
        torch.rand(3, generator=torch_generator(0, "x")),
        torch.rand(3, generator=torch_generator(0, "x")),
    )
    assert numpy_generator(0, "x").random() == numpy_generator(0, "x").random()
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002
