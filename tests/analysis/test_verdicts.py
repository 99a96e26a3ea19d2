"""The verdict on each arm: which intervals it reads, at which level, and what it adds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mgaudit.analysis.margins import Margins
from mgaudit.analysis.samples import Samples, analyse_study
from mgaudit.analysis.verdict_metrics import tpr_of_verdict, verdict_metrics
from mgaudit.analysis.verdicts import level_of_limits, verdicts
from mgaudit.reports.arm_verdict import ArmVerdict
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.findings import STORED
from mgaudit.reports.results import AuditResult, NoiseQueries
from tests.fake_study import arm

RESAMPLES = 60
MASK, DROPOUT = "gaussian-mask:kappa=0.3", "dropout:rate=0.5"


class Made:
    """Arms with chosen means of AUC, TPR and accuracy, and chosen standard errors.

    `of_models` is the standard error over models of every metric, and `of_examples` that over
    examples. Noise is independent between arms.
    """

    def __init__(self, of_models: float = 1e-4, of_examples: float = 1e-4, models: int = 6) -> None:
        self.of_models, self.of_examples, self.models = of_models, of_examples, models
        self.arms: list[AuditResult] = []
        self.arrays: Arrays = {"membership": np.arange(models * 400).reshape(models, -1) % 2 == 0}
        self.generator = np.random.default_rng(7)

    def add(self, scheme: str, accuracy: float = 0.9, **aucs: float) -> None:
        """Adds an arm; `aucs` are AUC and TPR at 10 % of each attack, such as lira and lira_tpr."""
        index = len(self.arms)
        result = arm(scheme, scheme, 0.5, None if scheme == "none" else 0.0, accuracy=accuracy)
        attacks = []
        for attack in result.attacks:
            changes = {"targets": list(range(self.models)), "non_members": 200}
            attacks.append(attack.model_copy(update=changes))
            auc = aucs.get(attack.attack, aucs["lira"])
            tpr = aucs.get(f"{attack.attack}_tpr", 0.3)
            for metric in STORED:
                self._store(f"arm{index}/{attack.name}/{metric}", auc if metric == "auc" else tpr)
        self._store(f"arm{index}/accuracy", accuracy)
        self.arrays[f"arm{index}/ranks"] = np.full((self.models, 400), 0.5, np.float32)
        self.arms.append(result.model_copy(update={"attacks": attacks}))

    def _store(self, name: str, mean: float) -> None:
        """Stores numbers whose mean and standard errors are exact."""
        per_target = _exact(self.generator.standard_normal(self.models)) * self.models**0.5
        shared = _exact(self.generator.standard_normal(RESAMPLES)) * self.of_examples
        values = mean + self.of_models * per_target
        self.arrays[f"{name}/per_target"] = values
        self.arrays[f"{name}/in_resamples"] = (values[:, np.newaxis] + shared).astype(np.float64)

    def verdicts(self, margins: Margins | None = None) -> list[ArmVerdict]:
        samples = Samples.of(self.arms, self.arrays)
        return verdicts(self.arms, self.arrays, samples, margins or Margins())


def _exact(values: np.ndarray) -> np.ndarray:
    """The values shifted and scaled to mean 0 and standard deviation 1."""
    if len(values) == 1:
        return np.zeros(1)
    standardised: np.ndarray = (values - values.mean()) / values.std(ddof=1)
    return standardised


def two_arms(plain: dict[str, float], other: dict[str, float], **noise: Any) -> ArmVerdict:
    made = Made(**noise)
    made.add("none", **plain)
    made.add(MASK, **other)
    (verdict,) = made.verdicts()
    return verdict


def test_an_arm_is_compared_with_the_plain_arm_in_both_metrics() -> None:
    verdict = two_arms({"lira": 0.75, "lira_tpr": 0.3}, {"lira": 0.70, "lira_tpr": 0.2})
    assert (verdict.arm, verdict.attack, verdict.against) == (MASK, "lira", "plain")
    assert verdict.outcome == verdict.auc.outcome == "protects"
    assert verdict.tpr is not None
    assert (verdict.tpr.metric, verdict.tpr.outcome) == ("tpr@0.1", "protects")
    assert verdict.auc.difference is not None
    assert verdict.auc.difference.value == pytest.approx(-0.05)
    assert verdict.auc.sign == -1
    assert verdict.auc.plain is not None
    assert verdict.auc.plain.value == pytest.approx(0.75)


def test_the_margin_of_a_tpr_is_a_fifth_of_the_plain_arms() -> None:
    for tpr, outcome in [(0.23, "protects"), (0.25, "no difference that matters")]:
        verdict = two_arms({"lira": 0.75, "lira_tpr": 0.3}, {"lira": 0.7, "lira_tpr": tpr})
        assert verdict.tpr is not None
        assert verdict.tpr.outcome == outcome
        assert verdict.tpr.sign == -1
    for tpr, outcome in [(0.35, "no difference that matters"), (0.37, "exposes more")]:
        verdict = two_arms({"lira": 0.75, "lira_tpr": 0.3}, {"lira": 0.7, "lira_tpr": tpr})
        assert verdict.tpr is not None
        assert verdict.tpr.outcome == outcome
    assert verdict.outcome == "mixed: lower average risk, higher risk of the most exposed examples"


def test_nothing_to_protect_near_chance() -> None:
    near = {"lira": 0.51, "lira_tpr": 0.11}
    assert two_arms(near, near).outcome == "nothing to protect"
    leaky = {"lira": 0.6, "lira_tpr": 0.3}
    assert two_arms(leaky, near).outcome == "protects"
    assert two_arms(near, leaky).outcome == "exposes more"


def test_intervals_are_wider_with_more_arms() -> None:
    few, many = Made(of_models=0.004), Made(of_models=0.004)
    for made, number in ((few, 1), (many, 6)):
        made.add("none", lira=0.75)
        for index in range(number):
            made.add(f"gaussian-mask:kappa={index + 1}", lira=0.73)
    (one,), six = few.verdicts(), many.verdicts()
    assert len(six) == 6
    assert one.level == pytest.approx(1 - 0.1 / 8)  # 2 metrics with 1 + 3 limits
    assert six[0].level == pytest.approx(1 - 0.1 / 38)
    widths = [
        verdict.auc.difference.high - verdict.auc.difference.low
        for verdict in (one, six[0])
        if verdict.auc.difference is not None
    ]
    assert widths[1] > 1.2 * widths[0]


def test_every_limit_that_the_rules_read_is_counted() -> None:
    assert level_of_limits(1, 1, has_plain=False) == pytest.approx(0.95)
    assert level_of_limits(1, 2, has_plain=False) == pytest.approx(0.975)
    assert level_of_limits(3, 2, has_plain=True) == pytest.approx(1 - 0.1 / 20)


def test_without_a_plain_arm_every_arm_is_compared_with_chance() -> None:
    made = Made()
    made.add(MASK, lira=0.6, lira_tpr=0.11)
    made.add(DROPOUT, lira=0.51, lira_tpr=0.11)
    leaks, tight = made.verdicts()
    assert leaks.against == "chance"
    assert leaks.auc.outcome == "leaks"
    assert leaks.tpr is not None
    assert leaks.tpr.outcome == "no leak that matters"
    assert leaks.outcome == "leaks"
    assert tight.outcome == "no leak that matters"
    assert tight.auc.sign == 1  # significantly above chance, and too little to matter
    assert tight.auc.plain is tight.auc.difference is None


@pytest.mark.parametrize("models", [1, 2])
def test_one_or_two_targets_have_a_verdict_too(models: int) -> None:
    made = Made(models=models)
    made.add(MASK, lira=0.6, lira_tpr=0.3)
    (verdict,) = made.verdicts()
    assert verdict.outcome == "leaks"
    assert verdict.auc.value.value == pytest.approx(0.6)


def test_one_plain_arm_alone_is_compared_with_chance() -> None:
    made = Made()
    made.add("none", lira=0.6, lira_tpr=0.3)
    (verdict,) = made.verdicts()
    assert (verdict.arm, verdict.against, verdict.outcome) == ("none", "chance", "leaks")


def test_an_arm_that_shares_too_few_targets_is_compared_with_chance() -> None:
    made = Made()
    made.add("none", lira=0.75)
    made.add(MASK, lira=0.7)
    moved = [
        attack.model_copy(update={"targets": [0, 1, 6, 7, 8, 9]}) for attack in made.arms[1].attacks
    ]
    made.arms[1] = made.arms[1].model_copy(update={"attacks": moved})
    (verdict,) = made.verdicts()
    assert verdict.against == "chance"


def test_an_undecided_arm_says_how_many_models_would_decide() -> None:
    verdict = two_arms(
        {"lira": 0.75, "lira_tpr": 0.3}, {"lira": 0.745, "lira_tpr": 0.3}, of_models=0.02
    )
    assert verdict.auc.outcome == "undecided"
    assert verdict.auc.needed is not None
    assert verdict.auc.needed.models is not None
    difference = verdict.auc.difference
    assert difference is not None
    # Half the width must fall to 0.02 - 0.005, the distance to the nearer margin. It falls as
    # t / sqrt(models), with 5 and then 5 + needed degrees of freedom.
    models, tail = 6 + verdict.auc.needed.models, (1 - verdict.level) / 2
    widths = [
        (difference.high - difference.low) / 2 * (6 / total) ** 0.5
        * stats.t.isf(tail, total - 1) / stats.t.isf(tail, 5)
        for total in (models - 1, models)
    ]  # fmt: skip
    assert widths[1] < 0.015 < widths[0] * 1.01
    of_examples = two_arms({"lira": 0.75}, {"lira": 0.745}, of_examples=0.02)
    assert of_examples.auc.needed is not None
    assert of_examples.auc.needed.models is None
    assert of_examples.auc.needed.examples is not None
    assert of_examples.auc.needed.examples > 400


def test_another_attack_contradicts_at_its_corrected_level() -> None:
    verdict = two_arms({"lira": 0.75, "loss": 0.6}, {"lira": 0.70, "loss": 0.65})
    (other,) = verdict.contradictions
    assert (other.attack, other.outcome) == ("loss", "exposes more")
    assert other.difference is not None
    assert other.difference.value == pytest.approx(0.05)
    # Not a contradiction: the same direction, or no effect that matters.
    for loss in (0.55, 0.6):
        assert not two_arms({"lira": 0.75, "loss": 0.6}, {"lira": 0.7, "loss": loss}).contradictions


def test_models_that_may_have_learned_nothing_have_no_outcome() -> None:
    for plain, other, untrained in [(0.9, 0.51, MASK), (0.51, 0.9, "none"), (0.9, 0.8, None)]:
        made = Made()
        made.add("none", lira=0.75, accuracy=plain)
        made.add(MASK, lira=0.5, accuracy=other)
        made.arrays["labels"] = np.arange(400) % 2
        (verdict,) = made.verdicts()
        assert verdict.learned_nothing == untrained
        assert (verdict.outcome is None) is (untrained is not None)
        if untrained is not None:
            assert verdict.chance_accuracy == pytest.approx(0.5)
        assert verdict.auc.outcome == "protects"  # the numbers stay


def test_chance_is_the_most_frequent_class() -> None:
    made = Made()
    made.add(MASK, lira=0.75, accuracy=0.8)
    for rare, untrained in [(80, MASK), (200, None)]:
        made.arrays["labels"] = (np.arange(400) < rare).astype(np.int64)
        assert made.verdicts()[0].learned_nothing == untrained


@pytest.mark.parametrize(
    ("non_members", "name"),
    [
        (10_000, "tpr@0.001"),
        (9_999, "tpr@0.01"),
        (1_000, "tpr@0.01"),
        (999, "tpr@0.1"),
        (100, "tpr@0.1"),
        (99, None),
    ],
)
def test_the_tpr_is_that_at_the_lowest_fpr_with_ten_false_positives(
    non_members: int, name: str | None
) -> None:
    made = Made()
    made.add(MASK, lira=0.75)
    attacks = [
        attack.model_copy(update={"non_members": non_members}) for attack in made.arms[0].attacks
    ]
    arms: Sequence[AuditResult] = [made.arms[0].model_copy(update={"attacks": attacks})]
    assert tpr_of_verdict(arms, made.arrays) == name


@pytest.mark.parametrize(
    ("tied", "name"), [(0.0, "tpr@0.1"), (0.05, "tpr@0.1"), (0.2, None), (1.0, None)]
)
def test_tied_scores_that_leave_no_threshold_give_no_tpr(tied: float, name: str | None) -> None:
    """With 200 non-members, 20 may be accepted: at most as many of the highest may be tied."""
    made = Made()
    made.add(MASK, lira=0.75)
    shape = made.arrays["membership"][made.arms[0].attacks[0].targets].shape
    scores = np.random.default_rng(0).standard_normal(shape)
    for row in scores:
        highest = np.argsort(row)[::-1][: round(tied * len(row))]
        row[highest] = row.max()
    made.arrays["arm0/lira/scores"] = scores
    assert tpr_of_verdict(made.arms, made.arrays) == name


def test_a_result_without_the_tpr_in_its_arrays_is_judged_by_what_it_has() -> None:
    made = Made()
    made.add(MASK, lira=0.75)
    for name in list(made.arrays):
        if "tpr@0.1/" in name:
            del made.arrays[name]
    (verdict,) = made.verdicts()
    assert verdict.tpr is None
    assert verdict.auc.outcome == "leaks"


def test_the_tpr_of_guessing_is_that_of_its_threshold() -> None:
    """20 of 200 non-members may pass a threshold, so 21 in 201 do on average."""
    made = Made()
    made.add(MASK, lira=0.75)
    _, tpr = verdict_metrics(made.arms, made.arrays, Margins())
    assert tpr.chance == pytest.approx(21 / 201)
    assert tpr.least_leak == pytest.approx(0.2 * 21 / 201)


def test_margins_are_settings() -> None:
    made = Made()
    made.add("none", lira=0.75, lira_tpr=0.3)
    made.add(MASK, lira=0.70, lira_tpr=0.2)
    margins = Margins.of({"smallest_auc_difference": 0.06, "smallest_tpr_change": 0.4, "models": 3})
    (verdict,) = made.verdicts(margins)
    assert verdict.outcome == "no difference that matters"
    assert verdict.auc.margin == 0.06
    assert Margins.of({}) == Margins(0.02, 0.2)


def test_the_analysis_has_the_verdicts() -> None:
    made = Made()
    made.add("none", lira=0.75, lira_tpr=0.3)
    made.add(MASK, lira=0.70, lira_tpr=0.2)
    made.arrays["roc_fpr"] = np.array([0.0, 1.0])
    analysis = analyse_study(made.arms, made.arrays)
    assert analysis.verdicts == made.verdicts()


def test_queries_through_the_noise_contradict_the_first_attack() -> None:
    for plain_targets, plain_auc, outcome in [
        (range(6), 0.6, "exposes more"),
        (range(6), 0.8, None),  # the difference to the same queries, not to the plain query
        (range(6), 0.725, "no difference that matters"),  # the noise does not protect
        ([], 0.6, "leaks"),
    ]:
        made = Made()
        made.add("none", lira=0.75, loss=0.75)
        made.add(MASK, lira=0.70, loss=0.70)
        queries = NoiseQueries(
            attack="lira", draws=4, targets=list(range(6)), plain_targets=list(plain_targets)
        )
        made.arms[1] = made.arms[1].model_copy(update={"noise_queries": queries})
        made._store(f"arm1/{queries.name}/auc", 0.72)
        made._store(f"arm1/{queries.plain_name}/auc", plain_auc)
        (verdict,) = made.verdicts()
        assert verdict.auc.outcome == "protects"
        contradictions = [(other.attack, other.outcome) for other in verdict.contradictions]
        expected = [] if outcome is None else [("lira with queries through the noise", outcome)]
        assert contradictions == expected
