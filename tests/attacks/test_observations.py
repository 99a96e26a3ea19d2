from dataclasses import replace

import numpy as np
import pytest

from mgaudit.attacks import AdversaryView, Observations
from mgaudit.attacks.drift import Drift
from mgaudit.attacks.ensemble import Ensemble
from mgaudit.attacks.shadow_moments import moments_of
from mgaudit.attacks.signals import (
    BentConfidence,
    LogProbability,
    label_logit,
    logit_confidence,
    loss,
)
from tests.oracles import observations_of, planted


def arrays(models: int = 4, examples: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((models, examples, 1, 3))
    membership = np.tile(np.arange(examples) % 2 == 0, (models, 1))
    return logits, np.zeros(examples, dtype=np.int64), membership


def test_shadow_moments_are_those_of_the_shadows_alone() -> None:
    observations = planted(
        models=9, examples=40, shift=1.0, generator=np.random.default_rng(1), queries=2
    )
    phi = np.stack([logit_confidence(z, observations.labels) for z in observations.logits]) + 0.0
    for target in range(9):
        moments = observations.view(target).shadow_moments(logit_confidence)
        shadows = np.delete(phi, target, axis=0)
        members = np.delete(observations.membership, target, axis=0)
        for e in range(40):
            for count, mean, squares, inside in (
                (moments.count_in, moments.mean_in, moments.squares_in, members[:, e]),
                (moments.count_out, moments.mean_out, moments.squares_out, ~members[:, e]),
            ):
                values = shadows[inside, e]
                assert count[e, 0] == len(values)
                if len(values):
                    assert np.allclose(mean[e], values.mean(axis=0), atol=1e-12)
                    assert np.allclose(
                        squares[e], ((values - values.mean(axis=0)) ** 2).sum(axis=0), atol=1e-9
                    )
                else:
                    assert np.isnan(mean[e]).all()
                    assert (squares[e] == 0).all()


def test_moments_keep_their_digits_far_from_zero() -> None:
    generator = np.random.default_rng(2)
    membership = generator.random((8, 30)) < 0.5
    phi = 1e6 + generator.standard_normal((8, 30))
    far = observations_of(phi, membership).view(0).shadow_moments(logit_confidence)
    near = observations_of(phi - 1e6, membership).view(0).shadow_moments(logit_confidence)
    assert np.allclose(far.squares_in, near.squares_in, atol=1e-6)


def assert_same_view(ours: AdversaryView, theirs: AdversaryView) -> None:
    """Fails where a public attribute differs, also in the views of pseudo-targets."""
    for name in [name for name in dir(ours) if not name.startswith("_")]:
        attribute = getattr(ours, name)
        if name in ("pseudo_target", "like_pseudo_target", "with_more_shadows", "without"):
            continue
        if callable(attribute):
            keys = ((logit_confidence, "none"), (LogProbability(2.0), "class"))
            arguments = {
                "shadow_outputs": (np.arange(30) % ours.shadows, np.arange(30)),
                "target_columns": (keys,),
                "reference_moments": (keys,),
                "reference_means": (keys,),
            }.get(name, ("gradient_norm" if "extra" in name else logit_confidence,))
            result, other = attribute(*arguments), getattr(theirs, name)(*arguments)
            if isinstance(result, np.ndarray):
                pairs = [(result, other)]
            elif isinstance(result, tuple):
                pairs = list(zip(result, other, strict=True))
            else:
                pairs = list(zip(vars(result).values(), vars(other).values(), strict=True))
        else:
            pairs = [(attribute, getattr(theirs, name))]
        for value, other_value in pairs:
            assert np.allclose(value, other_value, atol=1e-12, equal_nan=True), name


def test_nothing_in_a_view_depends_on_the_targets_own_membership() -> None:
    generator = np.random.default_rng(3)
    observations = replace(
        planted(models=5, examples=30, shift=1.0, generator=generator),
        extras={"gradient_norm": generator.random((5, 30))},
        population_extras={"gradient_norm": generator.random((5, 500))},
    )
    flipped_rows = observations.membership.copy()
    flipped_rows[2] = ~flipped_rows[2]
    flipped = replace(observations, membership=flipped_rows)
    ours, theirs = observations.view(2), flipped.view(2)
    assert_same_view(ours, theirs)
    assert_same_view(ours.like_pseudo_target(), theirs.like_pseudo_target())
    fewer, other = (each.view(2, numbers=np.array([0])) for each in (observations, flipped))
    more = np.array([1, 4])
    assert_same_view(fewer.with_more_shadows(more), other.with_more_shadows(more))
    (pseudo_target, members), (other, other_members) = (
        view.pseudo_target(3) for view in (ours, theirs)
    )
    assert_same_view(pseudo_target, other)
    assert (members == other_members).all()
    assert ours.shadow_membership.shape == (4, 30)
    pairs_of = ours.shadow_outputs(np.array([1, 2, 3]), np.array([7, 7, 5]))
    assert np.array_equal(pairs_of, observations.logits[[1, 3, 4], [7, 7, 5]])


def test_columns_are_the_signals_one_after_another_and_exactly_blind_to_the_target() -> None:
    observations = planted(6, 40, 1.0, np.random.default_rng(4), queries=2, classes=3)
    keys = ((BentConfidence(4.0), "none"), (LogProbability(2.0), "class"), (label_logit, "logits"))
    view = observations.view(3)
    columns = view.target_columns(keys)
    of_signals = [view.target_signal(*key) for key in keys]
    assert np.array_equal(columns, np.concatenate(of_signals, axis=1))
    moments, means = view.reference_moments(keys), view.reference_means(keys)
    values = np.concatenate([view.shadow_signal(*key) for key in keys], axis=2)
    expected = moments_of(values, view.references_in, view.references_out)
    for name, moment in vars(moments).items():
        assert np.allclose(moment, getattr(expected, name), atol=1e-12, equal_nan=True), name
    assert np.array_equal(means[0], moments.mean_in, equal_nan=True)
    assert np.array_equal(means[1], moments.mean_out, equal_nan=True)
    garbled = observations.membership.copy()
    garbled[3] = ~garbled[3]
    blind = replace(observations, membership=garbled).view(3).reference_moments(keys)
    for name, moment in vars(moments).items():
        assert np.array_equal(moment, getattr(blind, name), equal_nan=True), name


@pytest.mark.parametrize("drift", ["none", "class"])
def test_an_ensemble_with_one_other_model_has_the_signals_of_its_logits(drift: Drift) -> None:
    first, other = (planted(5, 40, 1.0, np.random.default_rng(seed), classes=3) for seed in (5, 6))
    second = replace(other, labels=first.labels, population_labels=first.population_labels)
    mixed = first.with_model(2, second)
    computed = Ensemble(
        mixed.logits,
        mixed.labels,
        mixed.membership,
        mixed.population_logits,
        mixed.population_labels,
    )
    for signal in (logit_confidence, LogProbability(2.0), label_logit):
        assert np.array_equal(mixed.signal(signal, drift), computed.signal(signal, drift))
        population, expected = (each.population_signal(signal, drift) for each in (mixed, computed))
        assert np.array_equal(population, expected)
    assert np.array_equal(mixed.signal(loss)[2], second.signal(loss)[2])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused_by_model_and_example(value: float) -> None:
    logits, labels, membership = arrays()
    logits[2, 4, 0, 1] = value
    with pytest.raises(ValueError, match="NaN or infinity for model 2, example 4"):
        Observations(logits, labels, membership)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda z, y, m: (z[:, :, 0], y, m),
            r"must have the shape \(models, examples, queries, classes\), got 3 axes",
        ),
        (lambda z, y, m: (z[:0], y, m[:0]), "at least 1 model"),
        (lambda z, y, m: (z[..., :1], y, m), "at least 1 query and 2 classes"),
        (lambda z, y, m: (z, y[:-1], m), "labels must have the shape"),
        (lambda z, y, m: (z, y.astype(float), m), "labels must be whole class numbers"),
        (lambda z, y, m: (z, y + 3, m), r"labels must lie in 0..2, got 3..3"),
        (
            lambda z, y, m: (z, y, m.T),
            r"membership must be a bool array of shape \(models, examples\)",
        ),
        (lambda z, y, m: (z, y, m.astype(int)), "membership must be a bool array"),
        (
            lambda z, y, m: (z, y, m | True),
            "membership of model 0 must hold members and non-members, got 6 of 6",
        ),
        (
            lambda z, y, m: (z, y, m & False),
            "membership of model 0 must hold members and non-members, got 0 of 6",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        Observations(*change(*arrays()))


@pytest.mark.parametrize(
    ("population", "labels", "message"),
    [
        (np.zeros((4, 5, 1, 3)), None, "must be given together"),
        (
            np.zeros((4, 5, 1, 2)),
            np.zeros(5, dtype=int),
            r"\(models, population, queries, classes\) = \(4, 5, 1, 3\)",
        ),
        (
            np.full((4, 5, 1, 3), np.nan),
            np.zeros(5, dtype=int),
            "population_logits must be finite, .* model 0",
        ),
    ],
)
def test_a_population_that_does_not_fit_is_refused(population, labels, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        Observations(*arrays(), population_logits=population, population_labels=labels)


def test_extras_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"extras\['gradient_norm'\] must have the shape \(models, examples, ...\) = ",
    ):
        Observations(*arrays(), extras={"gradient_norm": np.ones((6, 4))})
    with pytest.raises(
        ValueError, match=r"extras\['features'\] must be finite, .* for model 0, example 0"
    ):
        Observations(*arrays(), extras={"features": np.full((4, 6, 2), np.nan)})


def test_an_extra_that_is_not_there_is_named() -> None:
    view = Observations(*arrays(), extras={"gradient_norm": np.ones((4, 6))}).view(0)
    with pytest.raises(ValueError, match=r"extras must hold 'features', got \['gradient_norm'\]"):
        view.target_extra("features")
    with pytest.raises(ValueError, match=r"population_extras must hold 'features', got \[\]"):
        view.population_extra("features")


def test_a_population_that_overlaps_the_audited_examples_is_refused() -> None:
    logits, labels, membership = arrays()
    logits = logits + np.random.default_rng(0).standard_normal(logits.shape)
    others = np.random.default_rng(1).standard_normal((4, 5, 1, 3))
    others[:, 3] = logits[:, 2]
    population = np.full(5, labels[2])
    with pytest.raises(
        ValueError,
        match=r"must not overlap the audited examples, but 1 of .* \(point 3: example 2\)",
    ):
        Observations(logits, labels, membership, others, population)
    Observations(
        logits, labels, membership, others, (population + 1) % 3
    )  # another label: another example
    others[1, 3] += 0.1
    Observations(logits, labels, membership, others, population)


def test_models_that_answer_all_alike_raise_no_alarm_of_overlap() -> None:
    logits, labels, membership = arrays()
    Observations(
        np.zeros_like(logits), labels, membership, np.zeros((4, 5, 1, 3)), np.full(5, labels[0])
    )


def test_coarse_logits_that_coincide_by_chance_raise_no_alarm_of_overlap() -> None:
    generator = np.random.default_rng(0)
    logits, others = (
        generator.integers(0, 40, (1, count, 1, 2)).astype(float) for count in (400, 500)
    )
    membership = generator.random((1, 400)) < 0.5
    Observations(logits, np.zeros(400, int), membership, others, np.zeros(500, int))
    others[:, :300] = logits[:, :300]
    with pytest.raises(ValueError, match="must not overlap"):
        Observations(logits, np.zeros(400, int), membership, others, np.zeros(500, int))


def test_a_naive_adversary_has_the_other_ensembles_shadows_without_the_targets_twin() -> None:
    generator = np.random.default_rng(4)
    noisy = planted(models=5, examples=30, shift=1.0, generator=generator)
    plain = replace(noisy, logits=noisy.logits + generator.standard_normal(noisy.logits.shape))
    view = noisy.view(2, plain)
    assert np.array_equal(view.target_logits, noisy.logits[2])
    for shadow, model in enumerate((0, 1, 3, 4)):
        outputs = view.shadow_outputs(np.full(30, shadow), np.arange(30))
        assert np.array_equal(outputs, plain.logits[model])
    assert np.array_equal(view.shadow_membership, np.delete(noisy.membership, 2, axis=0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda o: replace(o, membership=~o.membership),
            "membership of the shadows must equal that of the targets",
        ),
        (
            lambda o: replace(o, labels=1 - o.labels),
            "labels of the shadows must equal that of the targets",
        ),
        (
            lambda o: replace(o, population_labels=1 - o.population_labels),
            "population_labels of the shadows must equal that of the targets",
        ),
        (
            lambda o: replace(
                o,
                logits=np.repeat(o.logits, 2, axis=2),
                population_logits=np.repeat(o.population_logits, 2, axis=2),
            ),
            r"must have the \(queries, classes\) \(1, 2\) of the targets', got \(2, 2\)",
        ),
    ],
)
def test_shadows_of_another_design_are_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    observations = planted(models=5, examples=30, shift=1.0, generator=np.random.default_rng(4))
    with pytest.raises(ValueError, match=message):
        observations.view(2, change(observations))


def test_a_target_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target must lie in 0..3, got 4"):
        Observations(*arrays()).view(4)


def test_saturated_outputs_are_no_overlap() -> None:
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((3, 100, 1, 2))
    population = generator.standard_normal((3, 50, 1, 2))
    logits[:, :10] = population[:, :5] = [0.0, -13.8]  # clipped probabilities of sure models
    labels, membership = np.zeros(100, dtype=int), np.arange(300).reshape(3, 100) % 2 == 0
    Observations(logits, labels, membership, population, labels[:50])
    population[:, 20:40] = logits[:, 20:40]
    with pytest.raises(ValueError, match="20 of its points"):
        Observations(logits, labels, membership, population, labels[:50])
