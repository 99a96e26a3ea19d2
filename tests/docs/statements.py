"""What the pages say in words about recorded numbers, each with the condition for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mgaudit.reports.findings import SIGNIFICANT
from tests.docs.page_figures import (
    ACCURACY_CHANGE,
    AUC,
    AUC_CHANGE,
    CANARY_AUC,
    CANARY_TPR,
    CIFAR_CNN,
    CIFAR_MLP,
    CIFAR_SWEEP,
    DIGITS_OF,
    DP_SGD,
    FINDINGS,
    LOSS,
    MATCHED_DIFFERENCE,
    MATCHED_ROWS,
    NAIVE,
    NONE,
    README,
    RESULTS,
    SCHEMES,
    STACKED,
    TEST_ACCURACY,
    WITH_CANARIES,
    arm,
    by,
    kind,
    mask,
)
from tests.docs.recorded import Recorded, Where, arms, facts, number_of

KAPPAS = (0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2)
SWEEPS = [*DIGITS_OF.values(), CIFAR_SWEEP]
CALIBRATED = ("stacked", "rmia", "lira")
# The strengths of a row are matched: κ² = σ² = rate / (1 − rate).
INPUT_NOISE = [
    ("gaussian-mask:kappa=0.1", "gaussian-noise:sigma=0.1", "dropout:rate=0.0099"),
    ("gaussian-mask:kappa=0.3", "gaussian-noise:sigma=0.3", "dropout:rate=0.0826"),
    ("gaussian-mask:kappa=0.5", "gaussian-noise:sigma=0.5", "dropout:rate=0.2"),
    ("gaussian-mask:kappa=1", "gaussian-noise:sigma=1", "dropout:rate=0.5"),
    ("gaussian-mask:kappa=2", "gaussian-noise:sigma=2", "dropout:rate=0.8"),
]
APPARENT = kind("ignorance: apparent gain", "auc") | by("stacked", "")
SMOOTHINGS = [f"label-smoothing:smoothing={strength}" for strength in ("0.05", "0.1", "0.2", "0.3")]


def get(*where: Where) -> Recorded:
    joined: dict[str, str] = {}
    for columns in where:
        joined |= columns
    return number_of(joined)


def is_above(number: Recorded) -> bool:
    """Returns whether the whole interval is above 0."""
    return number.low is not None and number.low > 0


def is_below(number: Recorded) -> bool:
    """Returns whether the whole interval is below 0."""
    return number.high is not None and number.high < 0


def is_significant(number: Recorded) -> bool:
    return number.p_adjusted is not None and number.p_adjusted < SIGNIFICANT


def overlap(numbers: Iterable[Recorded]) -> bool:
    """Returns whether the intervals have a point in common."""
    intervals = [(one.low, one.high) for one in numbers]
    return max(low for low, _ in intervals if low is not None) <= min(
        high for _, high in intervals if high is not None
    )


def share_of_ignorance(run: Where, kappa: float) -> float:
    """Returns the share of the apparent gain that is due to the attacker's ignorance."""
    gap = get(run, mask(kappa), kind("ignorance", "auc"), by("stacked", ""))
    return gap.value / get(run, mask(kappa), APPARENT).value


def aucs(run: Where, attack: str) -> list[float]:
    """Returns the AUC without noise, and then with masks of growing strength."""
    strengths = [NONE, *map(mask, KAPPAS)]
    return [get(run, strength, AUC, by(attack)).value for strength in strengths]


def falls(values: list[float]) -> bool:
    """Returns whether no value is larger than the one before."""
    return sorted(values, reverse=True) == values


@dataclass(frozen=True)
class Statement:
    """Words on a page, and whether they are true."""

    page: Path
    words: str
    is_true: Callable[[], bool]


IN_README = [
    Statement(
        README,
        "DP-SGD *protects*",
        lambda: "protects the training data: " in facts("digits-cnn")["verdict"][1],
    ),
]

ON_CIFAR_MLP = [
    Statement(
        RESULTS,
        "The mask at κ = 0.3 did not measurably change test accuracy",
        lambda: (
            not is_above(get(CIFAR_MLP, mask(0.3), ACCURACY_CHANGE))
            and not is_below(get(CIFAR_MLP, mask(0.3), ACCURACY_CHANGE))
        ),
    ),
    Statement(
        RESULTS,
        "it did not lower the AUC of any attack",
        lambda: (
            not any(
                is_below(get(CIFAR_MLP, mask(0.3), AUC_CHANGE, by(attack)))
                for attack in (*CALIBRATED, "loss")
            )
        ),
    ),
    Statement(
        RESULTS,
        "by the verdict, it makes no difference that matters",
        lambda: "makes no difference that matters" in facts("cifar-mlp")["verdict"][0],
    ),
    Statement(
        RESULTS,
        "queries through the mask do not help",
        lambda: (
            not is_above(get(CIFAR_MLP, mask(0.3), STACKED, kind("through the noise: gain", "auc")))
        ),
    ),
    Statement(
        RESULTS,
        "Attackers whose shadow models are trained without the noise are weaker here",
        lambda: all(
            get(CIFAR_MLP, DP_SGD, AUC, by(attack, "naive")).value
            < get(CIFAR_MLP, DP_SGD, AUC, by(attack)).value
            for attack in CALIBRATED
        ),
    ),
]

ON_CIFAR_CNN = [
    Statement(
        RESULTS,
        "It lowers the AUC of `stacked` and RMIA, and perhaps that of LiRA",
        lambda: (
            {
                attack
                for attack in CALIBRATED
                if is_below(get(CIFAR_CNN, mask(0.3), AUC_CHANGE, by(attack)))
            }
            == {"stacked", "rmia"}
        ),
    ),
    Statement(
        RESULTS,
        "For an attacker who does not know about the mask, the AUC falls a little further",
        lambda: all(
            get(CIFAR_CNN, mask(0.3), AUC_CHANGE, by(attack, "naive")).value
            < get(CIFAR_CNN, mask(0.3), AUC_CHANGE, by(attack)).value
            for attack in CALIBRATED
        ),
    ),
    Statement(
        RESULTS,
        "LiRA has the AUC of the loss attack here",
        lambda: overlap(get(CIFAR_CNN, DP_SGD, AUC, by(attack)) for attack in ("lira", "loss")),
    ),
]

ON_SCHEMES = [
    Statement(RESULTS, "This study has 51 arms", lambda: len(arms("noise-schemes")) == 51),
    Statement(FINDINGS, "This study has 51 arms", lambda: len(arms("noise-schemes")) == 51),
    Statement(
        RESULTS,
        "Up to κ = 1 none of the three kinds of input noise lowers the AUC by more than 0.01",
        lambda: all(
            get(SCHEMES, arm(key), AUC_CHANGE, STACKED).value >= -0.01
            for strength in INPUT_NOISE[:4]
            for key in strength
        ),
    ),
    Statement(
        RESULTS,
        "matched strengths have the same effect for every distribution of the noise",
        lambda: all(
            overlap(get(SCHEMES, arm(key), AUC_CHANGE, STACKED) for key in strength)
            for strength in INPUT_NOISE
        ),
    ),
    Statement(
        RESULTS,
        "Where input noise lowers the AUC, it also lowers the accuracy",
        lambda: all(
            is_below(get(SCHEMES, arm(key), ACCURACY_CHANGE))
            for strength in INPUT_NOISE
            for key in strength
            if is_below(get(SCHEMES, arm(key), AUC_CHANGE, STACKED))
        ),
    ),
    Statement(
        RESULTS,
        "**Label smoothing makes members easier to find**",
        lambda: all(
            is_above(get(SCHEMES, arm(key), AUC_CHANGE, STACKED))
            and is_above(get(SCHEMES, arm(key), ACCURACY_CHANGE))
            for key in SMOOTHINGS
        ),
    ),
    Statement(
        RESULTS,
        "and the others learn nothing",
        lambda: (
            get(SCHEMES, arm("weight-noise:sigma=1,layerwise=true"), TEST_ACCURACY).value < 0.15
        ),
    ),
    Statement(
        FINDINGS,
        "At the accuracy of tuned DP-SGD, every kind of noise but label noise leaks more",
        lambda: all(
            is_above(get(SCHEMES, arm(family), MATCHED_DIFFERENCE)) == (family != "label-noise")
            for family in MATCHED_ROWS.values()
        ),
    ),
    Statement(
        FINDINGS,
        "Noise nodes, weight decay and label smoothing do not lower the accuracy that far",
        lambda: all(
            get(SCHEMES, arm(key), TEST_ACCURACY).value > get(SCHEMES, DP_SGD, TEST_ACCURACY).value
            for key in arms("noise-schemes")
            if key.startswith(("noise-nodes", "weight-decay", "label-smoothing"))
        ),
    ),
    Statement(
        FINDINGS,
        "Label smoothing lowers the AUC of a naive attacker and raises the AUC of an adaptive",
        lambda: all(
            is_below(get(SCHEMES, arm(key), AUC_CHANGE, NAIVE))
            and is_above(get(SCHEMES, arm(key), AUC_CHANGE, STACKED))
            for key in SMOOTHINGS
        ),
    ),
]

ON_MASKS = [
    Statement(
        FINDINGS,
        "The AUC that these attackers reach falls from κ = 0.5 on",
        lambda: all(
            is_above(get(run, mask(kappa), APPARENT))
            for run in DIGITS_OF.values()
            for kappa in KAPPAS
            if kappa >= 0.5
        ),
    ),
    Statement(
        FINDINGS,
        "recovers nearly all of this loss up to κ = 1, and most of it beyond",
        lambda: all(
            share_of_ignorance(run, kappa) > (0.9 if kappa == 1 else 0.5)
            for run in SWEEPS
            for kappa in (1, 1.5, 2)
        ),
    ),
    Statement(
        FINDINGS,
        "On the digits, the attacker's ignorance explains the whole measurable fall of the AUC up "
        "to κ = 1.",
        lambda: (
            not any(
                is_below(get(run, mask(kappa), AUC_CHANGE, STACKED))
                for run in DIGITS_OF.values()
                for kappa in KAPPAS
                if kappa <= 1
            )
        ),
    ),
    Statement(
        FINDINGS,
        "Up to κ = 1 a mask protects neither network",
        lambda: (
            not any(
                is_significant(change) and is_below(change)
                for run in SWEEPS
                for kappa in KAPPAS
                if kappa <= 1
                for change in [get(run, mask(kappa), AUC_CHANGE, STACKED)]
            )
        ),
    ),
    Statement(
        FINDINGS,
        "On the digits, DP-SGD at ε = 8 is the better trade as well",
        lambda: all(
            is_above(get(run, arm("gaussian-mask"), MATCHED_DIFFERENCE))
            for run in DIGITS_OF.values()
        ),
    ),
    Statement(
        FINDINGS,
        "No attack makes the AUC fall monotonically with κ",
        lambda: (
            not any(falls(aucs(run, attack)) for run in SWEEPS for attack in (*CALIBRATED, "loss"))
        ),
    ),
]

ON_CIFAR_SWEEP = [
    Statement(
        FINDINGS,
        "Up to κ = 1, some AUCs even *rise*",
        lambda: is_above(get(CIFAR_SWEEP, mask(1), AUC_CHANGE, by("rmia"))),
    ),
    Statement(
        FINDINGS,
        "ignorance explains about seven tenths of the fall at κ = 1.5, and six tenths at κ = 2",
        lambda: (
            round(10 * share_of_ignorance(CIFAR_SWEEP, 1.5)) == 7
            and round(10 * share_of_ignorance(CIFAR_SWEEP, 2)) == 6
        ),
    ),
    Statement(
        FINDINGS,
        "From κ = 1.5 on, the fall is real, and here the mask costs no accuracy",
        lambda: all(
            is_significant(get(CIFAR_SWEEP, mask(kappa), AUC_CHANGE, STACKED))
            and not is_below(get(CIFAR_SWEEP, mask(kappa), ACCURACY_CHANGE))
            for kappa in (1.5, 2)
        ),
    ),
]

EARLY_STOPPED = arm("early-stop:epochs=10")
ON_CANARIES = [
    Statement(
        FINDINGS,
        "By the average AUC, all four arms look alike and nearly private",
        lambda: all(
            0.5 < get(WITH_CANARIES, arm(key), AUC, LOSS).value < 0.56 for key in arms("canaries")
        ),
    ),
    Statement(
        FINDINGS,
        "without noise, most are found",
        lambda: get(WITH_CANARIES, NONE, CANARY_TPR).value > 0.5,
    ),
    Statement(
        FINDINGS,
        "Early stopping has a lower average than DP-SGD, but its canaries are found far more often",
        lambda: (
            get(WITH_CANARIES, EARLY_STOPPED, AUC, LOSS).value
            < get(WITH_CANARIES, DP_SGD, AUC, LOSS).value
            and not overlap(get(WITH_CANARIES, key, CANARY_AUC) for key in (EARLY_STOPPED, DP_SGD))
        ),
    ),
]

OF_RECORDINGS = {
    "digits-cnn": IN_README,
    "kappa-sweep-digits": ON_MASKS,
    "noise-schemes": ON_SCHEMES,
    "canaries": ON_CANARIES,
    "cifar-mlp": ON_CIFAR_MLP,
    "kappa-sweep-cifar": ON_CIFAR_SWEEP,
    "cifar-cnn": ON_CIFAR_CNN,
}
STATEMENTS = [statement for statements in OF_RECORDINGS.values() for statement in statements]
