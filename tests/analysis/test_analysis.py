"""Comparisons between arms, on made-up fronts whose answers are known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mgaudit.analysis.dp_equivalent import dp_equivalent
from mgaudit.analysis.front import front
from mgaudit.analysis.ignorance import ignorance
from mgaudit.analysis.matched import NotReached, crossing, matched
from mgaudit.analysis.numbers import CHANGE, Quantity, accuracy_quantity
from mgaudit.analysis.pairs import pair_differences
from mgaudit.analysis.samples import Samples, analyse_study
from mgaudit.analysis.shared_exposure import shared_exposure
from mgaudit.analysis.significance import changes, holm
from mgaudit.attacks.intervals import resample_counts
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.comparison_tables import differences_table
from mgaudit.reports.families import families
from mgaudit.reports.findings import Change, DPEquivalent, Matched
from mgaudit.reports.results import AuditResult, read_result
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from tests.fake_study import CLAIM, EXAMPLES, TARGETS, arm, arrays, result, study, write

Point = tuple[str, float, float]  # scheme, accuracy, AUC
WEAK, MIDDLING, STRONG = (f"gaussian-mask:kappa={kappa:g}" for kappa in (0.5, 1, 2))
NAMES = ("lira", "loss", "lira, naive")
DROPOUT = "dropout:rate=0.5"
MASKS = [(WEAK, 0.9, 0.70), (MIDDLING, 0.8, 0.66), (STRONG, 0.6, 0.58)]
PRIVATE = [
    ("dp-sgd:epsilon=1", 0.5, 0.52),
    ("dp-sgd:epsilon=4", 0.7, 0.56),
    ("dp-sgd:epsilon=16", 0.8, 0.64),
]


def exact(points: Sequence[Point]) -> tuple[list[AuditResult], Arrays]:
    """Arms whose every target and resample has the same numbers."""
    return measured(points, [np.zeros((len(TARGETS), 9))] * (2 * len(points)))


def measured(
    points: Sequence[Point], noise: Sequence[np.ndarray]
) -> tuple[list[AuditResult], Arrays]:
    """Arms with noise (targets, 1 + resamples) on accuracy and AUC, the first as measured."""
    arms, study_arrays = [], dict(arrays([]))
    for index, (scheme, true_accuracy, true_auc) in enumerate(points):
        accuracy, auc = true_accuracy + noise[2 * index], true_auc + noise[2 * index + 1]
        claim = (
            CLAIM.model_copy(update={"epsilon": float(scheme.partition("=")[2])})
            if "dp-sgd" in scheme
            else None
        )
        change = None if scheme == "none" else 0.0
        arms.append(
            arm(
                scheme,
                scheme,
                float(auc[:, 0].mean()),
                change,
                claim,
                accuracy=float(accuracy[:, 0].mean()),
            )
        )
        study_arrays |= sample(f"arm{index}/accuracy", accuracy)
        for mounted in arms[-1].attacks:
            study_arrays |= sample(
                f"arm{index}/{mounted.name}/auc",
                auc + mounted.metrics["auc"].value - auc[:, 0].mean(),
            )
            for metric in ("tpr@0.01", "tpr@0.001"):
                study_arrays |= sample(
                    f"arm{index}/{mounted.name}/{metric}", mounted.metrics[metric].value + 0 * auc
                )
        study_arrays[f"arm{index}/ranks"] = np.full((len(auc), EXAMPLES), 0.5, np.float32)
    return arms, study_arrays


def sample(prefix: str, values: np.ndarray) -> Arrays:
    return {f"{prefix}/per_target": values[:, 0], f"{prefix}/in_resamples": values[:, 1:]}


def two_way_noise(generator: np.random.Generator, scale: float = 0.01) -> np.ndarray:
    """The mean over examples of target, example and own effects, as measured and in resamples."""
    targets, examples = len(TARGETS), 150
    values = scale * (
        generator.standard_normal((targets, 1))
        + 6 * generator.standard_normal((1, examples))
        + 12 * generator.standard_normal((targets, examples))
    )
    counts = resample_counts(examples, generator, resamples=100)
    return np.concatenate(
        [values.mean(axis=1, keepdims=True), values @ counts.T / examples], axis=1
    )


def only(records: Sequence[Any], **fields: str) -> Any:
    """The one record that has these values in its fields."""
    (record,) = [
        record
        for record in records
        if all(getattr(record, name) == value for name, value in fields.items())
    ]
    return record


def at_matched(points: Sequence[Point], family: str, reference: str) -> Matched:
    arms, study_arrays = exact(points)
    match: Matched = only(
        matched(arms, "lira", Samples.of(arms, study_arrays)), family=family, reference=reference
    )
    return match


def test_families_run_from_the_weakest_noise_to_the_strongest() -> None:
    points = [
        ("none", 0.95, 0.75),
        MASKS[2],
        PRIVATE[1],
        MASKS[0],
        PRIVATE[2],
        MASKS[1],
        PRIVATE[0],
    ]
    points += [("early-stop:epochs=2", 0.5, 0.5), ("early-stop:epochs=3", 0.6, 0.5)]
    points += [("gaussian-mask:kappa=1,fixed=true", 0.6, 0.5)]
    arms, _ = exact(points)
    assert families(arms) == {
        "gaussian-mask": [0, 3, 5, 1],
        "dp-sgd": [4, 2, 6],
        "early-stop": [0, 8, 7],
        "gaussian-mask:fixed=true": [0, 9],
    }


def test_matched_accuracy_lies_on_the_line_between_two_arms() -> None:
    match = at_matched(
        [("none", 0.95, 0.75), *MASKS, (DROPOUT, 0.65, 0.63)], "gaussian-mask", DROPOUT
    )
    assert match.not_reached is None
    assert match.accuracy == pytest.approx(0.65)
    assert match.strength == pytest.approx(1.75)  # 0.65 lies 3/4 of the way from 0.8 to 0.6
    assert match.metrics["auc"].value == pytest.approx(0.60)
    assert match.differences["auc"].value == pytest.approx(-0.03)
    assert match.differences["auc"].sign == -1


def test_matched_accuracy_reaches_down_from_no_noise_at_all() -> None:
    match = at_matched(
        [("none", 0.96, 0.76), *MASKS, (DROPOUT, 0.93, 0.63)], "gaussian-mask", DROPOUT
    )
    assert match.strength == pytest.approx(0.25)
    assert match.metrics["auc"].value == pytest.approx(0.73)


@pytest.mark.parametrize(
    ("reached", "why"),
    [
        (0.97, "never that accurate: 95.0 % at most"),
        (0.5, "more accurate at its strongest: 60.0 %"),
    ],
)
def test_an_accuracy_that_a_family_does_not_have_is_not_reached(reached: float, why: str) -> None:
    points = [("none", 0.95, 0.75), *MASKS, (DROPOUT, reached, 0.63)]
    match = at_matched(points, "gaussian-mask", DROPOUT)
    assert match.not_reached == why
    assert match.metrics == match.differences == {}
    assert match.strength is None


def test_of_several_crossings_the_strongest_noise_counts() -> None:
    points = [("none", 0.90, 0.75), (MIDDLING, 0.80, 0.7), (STRONG, 0.92, 0.65)]
    points += [("gaussian-mask:kappa=3", 0.80, 0.6), (DROPOUT, 0.86, 0.63)]
    match = at_matched(points, "gaussian-mask", DROPOUT)
    assert match.strength == pytest.approx(2.5)
    assert match.metrics["auc"].value == pytest.approx(0.625)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1))
def test_a_crossing_has_the_value_of_the_level(values: list[float], level: float) -> None:
    point = crossing(values, level)
    if isinstance(point, NotReached):
        assert level > max(values) if point.above else level < values[-1]
        return
    ends = values[point.index : point.index + 2]
    assert 0 <= point.weight < 1 or point.weight == pytest.approx(1)
    assert (1 - point.weight) * ends[0] + point.weight * ends[-1] == pytest.approx(level, abs=1e-9)
    assert all(value <= level for value in values[point.index + 1 :])


def test_the_error_of_the_accuracies_counts_with_the_slope_of_the_line() -> None:
    """Noise on the reference's accuracy moves the matched AUC along the line, 0.04 for each 0.1."""
    points = [*MASKS, (DROPOUT, 0.85, 0.63)]
    noise = [np.zeros((len(TARGETS), 9)) for _ in range(2 * len(points))]
    noise[6] = np.repeat(np.array([-0.02, 0.02, -0.01, 0.01, 0.0, 0.0])[:, np.newaxis], 9, axis=1)
    arms, study_arrays = measured(points, noise)
    match = only(
        matched(arms, "lira", Samples.of(arms, study_arrays)),
        family="gaussian-mask",
        reference=DROPOUT,
    )
    half = stats.t.isf(0.025, 5) * 0.4 * np.std([-0.02, 0.02, -0.01, 0.01, 0, 0], ddof=1) / 6**0.5
    assert match.metrics["auc"].value == pytest.approx(0.68)
    assert (match.metrics["auc"].high - match.metrics["auc"].low) / 2 == pytest.approx(
        half, rel=0.01
    )


@pytest.mark.parametrize("reference", [0.85, 0.7], ids=str)
def test_intervals_at_matched_accuracy_cover_the_truth(reference: float) -> None:
    points = [("none", 0.95, 0.75), *MASKS, (DROPOUT, reference, 0.63)]
    truth = {0.85: 0.68, 0.7: 0.62}[reference]
    covered = []
    for seed in range(120):
        generator = np.random.default_rng(seed)
        arms, study_arrays = measured(
            points, [two_way_noise(generator, 0.004) for _ in range(2 * len(points))]
        )
        match = only(
            matched(arms, "lira", Samples.of(arms, study_arrays)),
            family="gaussian-mask",
            reference=DROPOUT,
        )
        covered.append(match.metrics["auc"].low <= truth <= match.metrics["auc"].high)
        assert match.differences["auc"].value == pytest.approx(
            match.metrics["auc"].value - arms[4].attacks[0].metrics["auc"].value
        )
    assert 0.93 <= np.mean(covered) <= 0.985, np.mean(covered)


def equivalents(
    points: Sequence[Point], noise: Sequence[np.ndarray] | None = None
) -> list[DPEquivalent]:
    arms, study_arrays = exact(points) if noise is None else measured(points, noise)
    arms = [arm.model_copy(update={"attacks": arm.attacks[:1]}) for arm in arms]
    return dp_equivalent(arms, Samples.of(arms, study_arrays))


def test_the_equivalent_epsilon_lies_on_the_line_in_log_epsilon() -> None:
    equivalent = only(equivalents([*PRIVATE, (MIDDLING, 0.85, 0.60)]), arm=MIDDLING)
    assert equivalent.epsilon == pytest.approx(8)  # half way from 4 to 16
    assert equivalent.accuracy.value == pytest.approx(0.75)
    assert equivalent.accuracy_difference.value == pytest.approx(0.10)
    assert equivalent.beyond is None


def test_the_order_of_the_arms_does_not_matter() -> None:
    arms = [PRIVATE[1], (MIDDLING, 0.85, 0.60), PRIVATE[2], PRIVATE[0]]
    assert equivalents(arms) == equivalents([*PRIVATE, arms[1]])


@pytest.mark.parametrize(
    ("auc", "side", "low", "high"), [(0.7, "largest", 16, None), (0.51, "smallest", None, 1)]
)
def test_an_epsilon_beyond_the_arms_there_are_is_not_made_up(
    auc: float, side: str, low: Any, high: Any
) -> None:
    equivalent = only(equivalents([*PRIVATE, (MIDDLING, 0.85, auc)]), arm=MIDDLING)
    assert (equivalent.epsilon, equivalent.beyond) == (None, side)
    assert (equivalent.low, equivalent.high) == (low, high) or (
        equivalent.low,
        equivalent.high,
    ) == pytest.approx((low, high))
    assert equivalent.accuracy is equivalent.accuracy_difference is None


def test_the_set_of_equivalent_epsilons_covers_the_truth_and_is_open_where_it_must_be() -> None:
    points = [*PRIVATE, (MIDDLING, 0.85, 0.60)]
    covered = []
    for seed in range(120):
        generator = np.random.default_rng(seed)
        (equivalent,) = equivalents(
            points, [two_way_noise(generator, 0.006) for _ in range(2 * len(points))]
        )
        covered.append((equivalent.low or 0) <= 8 <= (equivalent.high or np.inf))
    assert 0.92 <= np.mean(covered) <= 0.99, np.mean(covered)
    generator = np.random.default_rng(0)
    loud = [two_way_noise(generator, 0.04) for _ in range(2 * len(points))]
    (equivalent,) = equivalents(points, loud)
    assert (equivalent.low, equivalent.high) == (None, None)
    # Beyond the arms as measured, but not significantly: the targets differ by far more.
    apart = [np.zeros((len(TARGETS), 9)) for _ in loud]
    apart[-1] = np.repeat(np.array([-0.2, 0.2, -0.2, 0.2, 0.0, 0.0])[:, np.newaxis], 9, axis=1)
    (equivalent,) = equivalents([*PRIVATE, (MIDDLING, 0.85, 0.66)], apart)
    assert (equivalent.epsilon, equivalent.beyond, equivalent.low, equivalent.high) == (
        None,
        "largest",
        None,
        None,
    )


def test_the_front_holds_what_nothing_beats() -> None:
    points = [("none", 0.95, 0.75), *MASKS, (DROPOUT, 0.79, 0.67), ("dropout:rate=0.6", 0.9, 0.70)]
    arms, study_arrays = exact(points)
    stand = {point.arm: point for point in front(arms, "lira", Samples.of(arms, study_arrays))}
    assert stand[DROPOUT].status == "dominated"
    assert stand[DROPOUT].by == MIDDLING
    assert stand[DROPOUT].accuracy is not None
    assert stand[DROPOUT].accuracy.value == pytest.approx(0.01)
    assert stand[DROPOUT].auc is not None
    assert stand[DROPOUT].auc.value == pytest.approx(-0.01)
    # Two arms with the same numbers beat neither each other nor lose.
    assert all(
        stand[scheme].status == "front"
        for scheme in ("none", "dropout:rate=0.6", *(point[0] for point in MASKS))
    )


def test_what_is_beaten_within_the_error_is_not_called_dominated() -> None:
    points = [("none", 0.80, 0.66), (DROPOUT, 0.79, 0.67)]
    apart = np.repeat(np.array([-0.1, 0.1, -0.1, 0.1, 0.0, 0.0])[:, np.newaxis], 9, axis=1)
    arms, study_arrays = measured(points, [apart, apart, 0 * apart, 0 * apart])
    first, second = front(arms, "lira", Samples.of(arms, study_arrays))
    assert (first.status, second.status, second.by) == ("front", "within error", "none")


def key_of(change: Change) -> tuple[str | None, ...]:
    return change.arm, change.attack, change.adversary, change.metric


def test_every_part_of_the_analysis_of_a_front() -> None:
    points = [("none", 0.95, 0.75), *MASKS, *PRIVATE]
    arms, study_arrays = exact(points)
    analysis = analyse_study(arms, study_arrays)
    assert analysis.absent == {}
    assert {match.family for match in analysis.matched} == {"gaussian-mask", "dp-sgd"}
    (auc,) = [
        change
        for change in analysis.changes
        if key_of(change) == (STRONG, "lira", "adaptive", "auc")
    ]
    assert auc.difference.value == pytest.approx(-0.17)
    naive = only(analysis.ignorance, arm=STRONG)
    assert naive.plain.value == pytest.approx(0.75)
    assert naive.adaptive.value == pytest.approx(0.58)
    assert naive.naive.value == pytest.approx(0.48)
    assert naive.apparent.value == pytest.approx(0.27)
    assert naive.real.value == pytest.approx(0.17)
    assert naive.gap.value == pytest.approx(0.10)
    # Test accuracy once, and each metric for lira, loss and naive lira, of six arms.
    assert len(analysis.changes) == 6 + 3 * 6 * 3


def test_a_naive_attack_is_compared_with_the_same_attack_on_the_arm_without_noise() -> None:
    arms, study_arrays = exact([("none", 0.95, 0.75), MASKS[0]])
    all_changes = changes(arms, 0, Samples.of(arms, study_arrays))
    change = only(all_changes, attack="lira", adversary="naive", metric="auc")
    assert change.difference.value == pytest.approx(0.70 - 0.1 - 0.75)


def test_differences_are_corrected_within_a_metric() -> None:
    points = [("none", 0.95, 0.75), *MASKS]
    arms, study_arrays = measured(
        points, [two_way_noise(np.random.default_rng(seed), 0.02) for seed in range(8)]
    )
    for metric in ("auc", "accuracy"):
        same = [
            change
            for change in changes(arms, 0, Samples.of(arms, study_arrays))
            if change.metric == metric
        ]
        assert [change.p_adjusted for change in same] == holm([change.p_value for change in same])
        for change in same:
            assert (change.p_value < 0.05) is (change.difference.sign != 0)


def test_arms_other_than_the_plain_one_are_compared_with_each_other() -> None:
    points = [("none", 0.95, 0.75), *MASKS]
    arms, study_arrays = exact(points)
    samples = Samples.of(arms, study_arrays)
    of_pairs = pair_differences(arms, 0, samples)
    auc = {(one.arm, one.other): one.difference.value for one in of_pairs if one.metric == "auc"}
    assert auc == {
        (WEAK, MIDDLING): pytest.approx(0.04),
        (WEAK, STRONG): pytest.approx(0.12),
        (MIDDLING, STRONG): pytest.approx(0.08),
    }
    accuracy = only(of_pairs, arm=WEAK, other=STRONG, metric="accuracy")
    assert accuracy.difference.value == pytest.approx(0.3)
    # Without a plain arm, all arms are compared; of one arm and of many there is nothing to say.
    assert len({(one.arm, one.other) for one in pair_differences(arms, None, samples)}) == 6
    assert pair_differences(arms[:2], 0, samples) == []
    unknown = [one.model_copy(update={"accuracy": None}) for one in arms]
    without = {one.metric for one in pair_differences(unknown, 0, samples)}
    assert without == {"auc", "tpr@0.01"}
    many, many_arrays = exact([("none", 0.95, 0.75), *MASKS] * 3)
    assert pair_differences(many, 0, Samples.of(many, many_arrays)) == []


def test_pairs_are_corrected_within_a_metric() -> None:
    points = [("none", 0.95, 0.75), *MASKS]
    noise = [two_way_noise(np.random.default_rng(seed), 0.02) for seed in range(8)]
    arms, study_arrays = measured(points, noise)
    of_pairs = pair_differences(arms, 0, Samples.of(arms, study_arrays))
    for metric in ("auc", "accuracy"):
        same = [one for one in of_pairs if one.metric == metric]
        assert len(same) == 3
        assert [one.p_adjusted for one in same] == holm([one.p_value for one in same])
        for one in same:
            assert (one.p_value < 0.05) is (one.difference.sign != 0)
            assert one.stands == (one.difference.sign if one.p_adjusted < 0.05 else 0)


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    with patch("gc.collect"):  # which statsmodels calls each time
        expected = multipletests(p_values, method="holm")[1].tolist()
    assert holm(p_values) == pytest.approx(expected)


def test_arms_that_share_too_few_targets_are_not_compared() -> None:
    arms, study_arrays = exact([("none", 0.95, 0.75), MASKS[0]])
    alone = arms[1].model_copy(
        update={
            "attacks": [
                attack.model_copy(update={"targets": [6, 7, 8, 9, 4, 5]})
                for attack in arms[1].attacks
            ]
        }
    )
    samples = Samples.of([arms[0], alone], study_arrays)
    terms = [(1.0, accuracy_quantity(0)), (-1.0, accuracy_quantity(1))]
    assert samples.estimate(terms, CHANGE) is None
    assert samples.p_value(terms) is None
    assert changes([arms[0], alone], 0, samples) == []
    assert ignorance([arms[0], alone], 0, samples) == []
    assert samples.estimate([(1.0, Quantity(1, "auc", "lira"))], CHANGE) is not None


def test_only_shared_targets_enter_a_difference() -> None:
    arms, study_arrays = exact([("none", 0.95, 0.75), MASKS[0]])
    study_arrays["arm0/accuracy/per_target"] = np.array([0.9, 0.9, 0.9, 0.5, 0.5, 0.5])
    moved = [
        attack.model_copy(update={"targets": [0, 1, 2, 7, 8, 9]}) for attack in arms[1].attacks
    ]
    samples = Samples.of([arms[0], arms[1].model_copy(update={"attacks": moved})], study_arrays)
    change = samples.estimate([(1.0, accuracy_quantity(0)), (-1.0, accuracy_quantity(1))], CHANGE)
    assert change is not None
    assert change.value == pytest.approx(0.0)


def planted(kept: float) -> tuple[list[AuditResult], Arrays]:
    """Without noise, 10 of 200 examples outrank all non-members; under the mask a share `kept`."""
    generator = np.random.default_rng(1)
    arms, study_arrays = exact([("none", 0.95, 0.75), MASKS[0]])
    targets = list(range(12))
    arms = [
        arm.model_copy(
            update={
                "attacks": [
                    attack.model_copy(update={"targets": targets}) for attack in arm.attacks
                ]
            }
        )
        for arm in arms
    ]
    membership = generator.random((12, 200)) < 0.5
    study_arrays["membership"] = membership
    for index, top in enumerate((1.0, kept)):
        ranks = 0.4 + 0.2 * generator.random((12, 200))
        ranks[:, :10] = np.where(membership[:, :10], top, 0.3)
        study_arrays[f"arm{index}/ranks"] = ranks.astype(np.float32)
    return arms, study_arrays


def test_the_same_examples_are_looked_at_under_the_other_scheme() -> None:
    arms, study_arrays = planted(kept=0.8)
    plain, mask = shared_exposure(arms, study_arrays, 0)
    assert (plain.arm, mask.arm, plain.examples) == ("none", WEAK, 10)
    assert plain.here.value == pytest.approx(1.0)
    assert plain.difference.value == plain.difference.low == plain.difference.high == 0
    assert mask.here.value == pytest.approx(0.8)
    assert mask.difference.value == pytest.approx(-0.2)
    assert plain.also_exposed >= 0.9  # an example may be in all of a half's targets, or in none
    assert mask.also_exposed >= 0.7
    assert mask.by_chance == 0.05


def test_examples_are_not_judged_by_the_targets_that_chose_them() -> None:
    """Where nothing is exposed, the chosen examples outrank half in the other targets."""
    arms, study_arrays = planted(kept=1.0)
    generator = np.random.default_rng(2)
    study_arrays["membership"] = generator.random((12, 2000)) < 0.5
    for index in (0, 1):
        study_arrays[f"arm{index}/ranks"] = generator.random((12, 2000)).astype(np.float32)
    plain, mask = shared_exposure(arms, study_arrays, 0)
    for exposure in (plain, mask):
        assert exposure.here.low < 0.5 < exposure.here.high
        assert exposure.also_exposed < 0.15


def test_a_study_holds_the_analysis_of_the_arrays_that_it_keeps(
    small: dict[str, Any], tmp_path: Path
) -> None:
    analysed, study_arrays = run_study(plan_study(study_settings(small)), 1, Progress())
    write(tmp_path / "run", result(analysed), [study_arrays])
    _, (kept,) = read_result(tmp_path / "run")
    assert analyse_study(analysed.arms, kept) == analysed.analysis
    differences = {
        (arm.key, attack.name, metric): change
        for arm in analysed.arms
        for attack in arm.attacks
        for metric, change in attack.differences.items()
        if attack.adversary == "adaptive"
    }
    adaptive = [change for change in analysed.analysis.changes if change.adversary == "adaptive"]
    compared = [
        change for change in adaptive if (change.arm, change.attack, change.metric) in differences
    ]
    assert len(compared) == 2 * 4 * 3  # the arms with noise, four attacks, three metrics
    for change in compared:
        expected = differences[change.arm, change.attack, change.metric]
        for end in ("value", "low", "high"):
            assert getattr(change.difference, end) == pytest.approx(
                getattr(expected, end), abs=1e-6
            )


def test_arms_that_cannot_be_paired_keep_their_rows() -> None:
    whole = study()
    fewer = [change for change in whole.analysis.changes if change.arm != "dp-sgd:epsilon=8"]
    table = differences_table(
        whole.model_copy(update={"analysis": whole.analysis.model_copy(update={"changes": fewer})})
    )
    rows = [[str(cell) for cell in row] for row in table.rows]
    assert rows[3:] == [
        ["dp-sgd (epsilon=8)", name, "–", "–", end]
        for name, end in zip(NAMES, ("–", "", ""), strict=True)
    ]
    assert all(row[2] != "–" for row in rows[:3])
