import numpy as np
import pytest
import torch

from mgaudit.targets.querying.queries import (
    QUERIES,
    Crops,
    Flips,
    Mask,
    NoiseDraws,
    Plain,
    Queries,
)
from mgaudit.targets.schemes import DPSGD, GaussianMask, Scheme
from mgaudit.targets.seeds import torch_generator


def stream(query: int) -> torch.Generator:
    return torch_generator(0, "queries", query)


IMAGES = torch.arange(2 * 3 * 16 * 16, dtype=torch.float32).reshape(2, 3, 16, 16)


def test_the_plain_query_is_the_example_itself() -> None:
    assert Queries().number == 1
    assert Queries().ask(IMAGES, 0, stream(0)) is IMAGES


def test_plain_queries_name_the_draws_of_the_noise_on_inputs() -> None:
    assert Plain().under(GaussianMask(0.3)) == Queries()
    assert Plain().through(GaussianMask(0.3)) == NoiseDraws(4, GaussianMask(0.3))
    assert Plain(7).through(GaussianMask(0.3)) == NoiseDraws(7, GaussianMask(0.3))
    assert Plain(0).through(GaussianMask(0.3)) is None
    assert Plain().through(DPSGD(epsilon=8)) is None
    for others in (Flips(), Crops(2), Mask(2)):
        assert others.through(GaussianMask(0.3)) is None


def test_flips_are_the_image_and_its_mirror_image_left_for_right() -> None:
    assert Flips().number == 2
    assert torch.equal(Flips().ask(IMAGES, 0, stream(0)), IMAGES)
    mirrored = Flips().ask(IMAGES, 1, stream(1))
    assert torch.equal(mirrored[:, :, 5, 0], IMAGES[:, :, 5, 15])


def test_crops_shift_all_images_alike_and_fill_with_the_mean() -> None:
    crops = Crops(40, pixels=2, mirror=False)
    assert torch.equal(crops.ask(IMAGES, 0, stream(0)), IMAGES)
    shifts = set()
    for query in range(1, 40):
        shifted = crops.ask(IMAGES, query, stream(query))
        matches = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(
                shifted[:, :, 2 + down : 14 + down, 2 + right : 14 + right],
                IMAGES[:, :, 2:14, 2:14],
            )
        ]
        assert len(matches) == 1
        shifts.add(matches[0])
        down, right = matches[0]
        outside = torch.ones(16, 16, dtype=torch.bool)
        outside[max(down, 0) : 16 + min(down, 0), max(right, 0) : 16 + min(right, 0)] = False
        assert (shifted[:, :, outside] == 0).all()
    assert len(shifts) > 15
    for axis in (0, 1):
        assert {shift[axis] for shift in shifts} == {-2, -1, 0, 1, 2}


def test_crops_mirror_by_a_coin() -> None:
    crops = Crops(60, pixels=1)
    rising = [
        bool((crops.ask(IMAGES, query, stream(query))[0, 0, 8, 2:14].diff() > 0).all())
        for query in range(1, 60)
    ]
    assert 15 < sum(rising) < 45


@pytest.mark.parametrize("queries", [Flips(), Crops(4), NoiseDraws(4, GaussianMask(0.3))], ids=repr)
def test_queries_are_fixed_and_leave_the_inputs_as_they_are(queries: Queries) -> None:
    before = IMAGES.clone()
    asked = [queries.ask(IMAGES, query, stream(query)) for query in range(queries.number)]
    again = [queries.ask(IMAGES, query, stream(query)) for query in range(queries.number)]
    assert all(map(torch.equal, asked, again))
    assert not torch.equal(asked[0], asked[1])
    assert torch.equal(before, IMAGES)


def test_masks_follow_the_arms_own_noise_unless_a_strength_is_given() -> None:
    mask = Mask(8)
    assert mask.under(GaussianMask(0.3)) == NoiseDraws(8, GaussianMask(0.3))
    assert mask.under(Scheme()) == mask.under(DPSGD(epsilon=8)) == Queries()
    assert Mask(8, kappa=0.5).under(Scheme()) == NoiseDraws(8, GaussianMask(0.5))
    drawn = NoiseDraws(8, GaussianMask(0.5)).ask(torch.ones(1000, 1, 8, 8), 3, stream(3))
    assert drawn.mean() == pytest.approx(1, abs=4 * 0.5 / 64000**0.5)
    assert drawn.std() == pytest.approx(0.5, rel=0.02)
    assert (
        torch.corrcoef(drawn.reshape(1000, -1)[:2])[0, 1].abs() < 0.5
    )  # a mask of its own for each example


def test_every_entry_of_the_registry_builds() -> None:
    options = {"crops": {"count": 4}, "mask": {"count": 4}}
    for name, queries in QUERIES.items():
        assert queries(**options.get(name, {})).number >= 1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: Flips().check((5,)), r"queries flips must be used for images .* \(5,\)"),
        (lambda: Crops(4).check((5,)), "queries crops must be used for images"),
        (lambda: Crops(1), "count must be >= 2, got 1"),
        (lambda: Crops(4, pixels=0), "pixels must be >= 1, got 0"),
        (
            lambda: Crops(4, pixels=16).check((3, 16, 20)),
            "pixels must be < 16, the image's side, got 16",
        ),
        (lambda: Mask(0), "count must be >= 2, got 0"),
        (lambda: Mask(4, kappa=-1), "kappa must be a finite number >= 0, got -1"),
    ],
)
def test_queries_that_cannot_be_asked_are_refused(ask, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        ask()


def test_standardised_inputs_stay_float32() -> None:
    assert NoiseDraws(2, GaussianMask(0.3)).ask(
        torch.from_numpy(np.ones((2, 3), np.float32)), 0, stream(0)
    ).dtype == (torch.float32)
