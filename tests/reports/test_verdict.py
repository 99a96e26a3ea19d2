"""What the report says in words."""

from typing import Any, get_args

import pytest

from mgaudit.reports.arm_verdict import Combined, Needed, OtherAnswer, Outcome
from mgaudit.reports.method import facts, method
from mgaudit.reports.record import Estimate, NamedChoice
from mgaudit.reports.results import StudyResult
from mgaudit.reports.tables import accuracy_vs_privacy
from mgaudit.reports.verdict import question, verdict
from tests.fake_study import arm, estimate, many, study


def test_the_verdict_is_a_sentence_to_quote_and_what_qualifies_it() -> None:
    assert (
        "Does training with gaussian-mask (kappa=0.3) protect the training data of a CNN on"
        in question(study())
    )
    mask, private = verdict(study())
    assert mask == (
        "Training with gaussian-mask (kappa=0.3) protects the training data on average: an "
        "adversary with the attack lira and 5 shadow models trained like the target has AUC "
        "0.700 ± 0.012 instead of 0.750 ± 0.012 without noise (difference −0.050, simultaneous "
        "interval [−0.057, −0.043]) and TPR 21.00 ± 0.50 % instead of 21.00 ± 0.50 % at 10 % FPR; "
        "test accuracy is 95.0 % [92.5, 96.5] instead of 98.5 % [96.0, 100.0] (−3.1 ± 1.2 "
        "percentage points); the attack proves ε ≥ 0.32 at δ = 8.81e-04. By the AUC: protects. By "
        "the TPR at 10 % FPR: no difference that matters."
    )
    assert "; ε ≤ 8.00 is claimed and the attack proves ε ≥ 0.32 at δ = 8.81e-04." in private


def judged(result: StudyResult, **changes: Any) -> StudyResult:
    """The study with fields of its first verdict changed."""
    first, *others = result.analysis.verdicts
    verdicts = [first.model_copy(update=changes), *others]
    analysis = result.analysis.model_copy(update={"verdicts": verdicts})
    return result.model_copy(update={"analysis": analysis})


def with_metric(result: StudyResult, name: str, **changes: Any) -> StudyResult:
    """The study with fields of one metric of its first verdict changed."""
    metric = getattr(result.analysis.verdicts[0], name)
    return judged(result, **{name: metric.model_copy(update=changes)})


def test_every_outcome_has_words() -> None:
    for outcome in (*get_args(Outcome), *get_args(get_args(Combined)[1])):
        against = "chance" if "leak" in outcome else "plain"
        text = verdict(judged(study(), outcome=outcome, against=against))[0]
        assert "gaussian-mask (kappa=0.3)" in text.partition(":")[0]
        assert "{" not in text
    assert verdict(judged(study(), outcome="undecided"))[0].startswith(
        "Whether training with gaussian-mask (kappa=0.3) protects the training data is undecided: "
    )
    alone = judged(study(), outcome="no leak that matters", against="chance")
    assert verdict(alone)[0].startswith(
        "To this adversary, no leak from models trained with gaussian-mask (kappa=0.3) matters: an "
        "adversary with the attack lira and 5 shadow models trained like the target has AUC "
        "0.700 ± 0.012 (guessing: 0.5) and TPR 21.00 ± 0.50 % at 10 % FPR (guessing: 10.61 %); test"
    )
    assert "Too few models converged both here and without noise" in verdict(alone)[0]


def test_a_difference_over_other_models_than_its_numbers_says_so() -> None:
    said = "The differences are over the models that both arms have."
    record = judged(study(), outcome="protects")
    assert said not in verdict(record)[0]
    plain, mask, *others = record.arms
    for arms in (
        [plain.model_copy(update={"diverged": [2]}), mask, *others],
        [plain, mask.model_copy(update={"diverged": [2]}), *others],
    ):
        assert said in verdict(record.model_copy(update={"arms": arms}))[0]


def test_absence_of_evidence_is_not_reported_as_evidence() -> None:
    for outcome in get_args(Outcome):
        text = verdict(judged(study(), outcome=outcome))[0]
        for claim in ("no better than guessing", "recognisable", "not measurably"):
            assert claim not in text


def test_a_difference_that_does_not_matter_has_a_sign_if_it_is_significant() -> None:
    nothing: Outcome = "no difference that matters"
    for sign, side in ((1, "higher"), (-1, "lower")):
        result = with_metric(study(), "auc", outcome=nothing, sign=sign)
        assert (
            f"By the AUC: {nothing} (significantly {side}, by less than 0.02)."
            in (verdict(result)[0])
        )
    result = with_metric(study(), "tpr", outcome=nothing, sign=-1)
    assert f"{nothing} (significantly lower, by less than 20 %)." in verdict(result)[0]
    # With equal outcomes and no sign there is nothing to add.
    assert "By the AUC" not in verdict(with_metric(study(), "auc", outcome=nothing, sign=0))[0]


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (Needed(models=1, examples=None), "For the AUC, about 1 more model would decide, if"),
        (Needed(models=1234, examples=None), "about 1,300 more models would decide, if"),
        (
            Needed(models=None, examples=5001),
            "no number of further models, but only more than 5,100 examples would decide, if",
        ),
    ],
)
def test_an_undecided_arm_says_what_would_decide(needed: Needed, words: str) -> None:
    text = verdict(with_metric(study(), "auc", outcome="undecided", needed=needed))[0]
    assert f"{words} the measured value stays." in text


def test_another_attack_that_contradicts_has_a_sentence() -> None:
    other = OtherAnswer(
        attack="loss",
        outcome="exposes more",
        value=estimate(0.53, 0.01),
        difference=Estimate(value=0.05, low=0.03, high=0.07),
    )
    text = verdict(judged(study(), contradictions=[other]))[0]
    assert text.endswith(
        "The attack loss contradicts this: exposes more (AUC 0.530 ± 0.010, difference +0.050, "
        "simultaneous interval [+0.030, +0.070]; corrected for the number of other attacks and "
        "arms)."
    )
    alone = OtherAnswer(attack="loss", outcome="leaks", value=estimate(0.53, 0.01), difference=None)
    text = verdict(judged(study(), contradictions=[alone]))[0]
    assert "leaks (AUC 0.530 ± 0.010; corrected" in text


@pytest.mark.parametrize(
    ("untrained", "words"),
    [
        ("gaussian-mask:kappa=0.3", "because their test accuracy of 95.0 % [92.5, 96.5]"),
        ("none", "because without noise, the test accuracy of 98.5 % [96.0, 100.0]"),
    ],
)
def test_models_that_may_have_learned_nothing_get_no_verdict(untrained: str, words: str) -> None:
    changes = {"outcome": None, "learned_nothing": untrained, "chance_accuracy": 0.96}
    text = verdict(judged(study(), **changes))[0]
    assert text.startswith(
        "For models trained with gaussian-mask (kappa=0.3), there is no verdict, "
        f"{words} cannot be distinguished from that of a constant guess, 96.0 %: an adversary with "
    )
    assert "protects" not in text
    assert "AUC 0.700 ± 0.012" in text  # a leak of such models is not hidden


def test_a_tpr_that_is_too_coarse_is_named() -> None:
    text = verdict(judged(study(), tpr=None))[0]
    assert "The TPR has no outcome, because fewer than 10 false positives" in text
    assert "% FPR;" not in text


def test_a_result_without_verdicts_shows_its_numbers_only() -> None:
    result = study()
    analysis = result.analysis.model_copy(update={"verdicts": []})
    text = verdict(result.model_copy(update={"analysis": analysis}))[0]
    assert text.startswith(
        "For models trained with gaussian-mask (kappa=0.3), there is no verdict; its result is "
        "incomplete: an adversary with the attack lira"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (-0.05, "Training with x protects the training data on average"),
        (-0.019, "Training with x protects the training data on average, by an uncertain amount"),
        (0.005, "Training with x makes no difference that matters"),
        (0.05, "Training with x exposes the training data more on average"),
    ],
)
def test_the_outcome_follows_the_simultaneous_interval(change: float, words: str) -> None:
    arms = [arm("none", "no noise", 0.75, None), arm("x", "x", 0.75 + change, change)]
    assert verdict(study(arms=arms))[0].startswith(f"{words}: ")


def test_what_proves_nothing_is_not_called_a_proof() -> None:
    clipped = study().arms[2]
    assert clipped.claim is not None
    unbounded = clipped.model_copy(
        update={"claim": clipped.claim.model_copy(update={"epsilon": None})}
    )
    result = study(arms=[study().arms[0], unbounded])
    assert "; no finite ε is claimed and the attack proves ε ≥ 0.32 at" in verdict(result)[0]
    assert str(accuracy_vs_privacy(result).rows[-1][-1]) == "∞"


def test_the_method_claims_no_shadows_that_no_attack_used() -> None:
    arms = [
        arm_result.model_copy(
            update={"attacks": [attack for attack in arm_result.attacks if attack.attack == "loss"]}
        )
        for arm_result in study().arms
    ]
    assert any("shadow models" in text for text in method(study()))
    assert not any("shadow models" in text for text in method(study(arms=arms)))


def test_a_study_without_a_plain_arm_is_told_without_comparisons() -> None:
    alone = study(arms=[arm("x", "x", 0.4, None)])
    assert verdict(alone)[0].startswith("Training data leak from models trained with x: ")
    assert "By the AUC: no leak that matters. By the TPR at 10 % FPR: leaks." in verdict(alone)[0]
    assert "The attack does worse than guessing" in verdict(alone)[0]
    plain = study(arms=[arm("none", "no noise", 0.4, None)])
    assert question(plain).startswith("How much does a CNN on")
    assert len(verdict(plain)) == 1


def test_a_report_of_many_arms_counts_them_and_tells_of_the_lowest() -> None:
    result, _ = many()
    texts = verdict(result)
    assert texts[0].startswith(
        "Outcomes of 11 arms: 5 × protects on average, 5 × exposes more on average, 1 × no "
        "difference that matters."
    )
    assert "the 5 arms with the lowest AUC" in texts[0]
    assert [sentence.split(" protects")[0] for sentence in texts[1:6]] == [
        f"Training with {label}"
        for label in (
            "gaussian-mask (kappa=9) + dp-sgd (epsilon=8)",
            "gaussian-mask (kappa=7)",
            "gaussian-mask (kappa=5)",
            "gaussian-mask (kappa=3)",
            "gaussian-mask (kappa=1)",
        )
    ]
    assert question(result).startswith(
        "Does training with each of 11 schemes protect the training data of a CNN"
    )
    assert "0.02 (all arms)" in dict(facts(result))["Training"]
    assert len(accuracy_vs_privacy(result).rows) == 2 + 11 * 3  # the table has them all


@pytest.mark.parametrize(
    ("target", "article"), [("MLP (hidden=4)", "an"), ("CNN", "a"), ("ResNet", "a"), ("Net", "a")]
)
def test_the_article_is_that_of_how_the_name_is_said(target: str, article: str) -> None:
    assert f"the training data of {article} {target} on" in question(
        study(target=NamedChoice(name="x", label=target))
    )


def test_the_question_names_a_composition_with_dp_sgd_but_not_dp_sgd_alone() -> None:
    composed = arm(
        "gaussian-mask:kappa=1+dp-sgd:epsilon=8", "both", 0.6, -0.1, study().arms[2].claim
    )
    assert "Does training with both protect" in question(
        study(arms=[study().arms[0], composed, study().arms[2]])
    )


def test_shadows_are_counted_where_models_diverged() -> None:
    whole = study()
    lira = whole.arms[1].attacks[0]
    without_the_second = {
        name: {key: numbers[:1] + numbers[2:] for key, numbers in getattr(lira, name).items()}
        for name in ("per_target", "single_targets")
    }
    lira = lira.model_copy(update={"targets": [0, 2, 3, 4, 5], **without_the_second})
    fewer = whole.arms[1].model_copy(
        update={"attacks": [lira, *whole.arms[1].attacks[1:]], "diverged": [1]}
    )
    text = " ".join(method(study(arms=[whole.arms[0], fewer, whole.arms[2]])))
    assert "has trained 4 to 5 shadow models" in text
    assert "has trained 5 shadow models" in " ".join(method(whole))


def test_a_training_setting_without_words_of_its_own_is_told_by_its_name() -> None:
    settings = study().settings
    more = {"label_smoothing": 0.1, "stop_epoch": None, "added_steps": 0, "nesterov": True}
    record = study(settings={**settings, "training": settings["training"] | more})
    assert (
        ", images augmented by crops, label smoothing 0.1, nesterov; tf32"
        in dict(facts(record))["Training"]
    )


def test_models_without_a_name_are_the_models() -> None:
    def given(name: str) -> StudyResult:
        target = NamedChoice(name="outputs", label=name)
        arms = [arm("x", name, 0.75, None)]
        return study(arms=arms).model_copy(update={"target": target, "models_from": "outputs"})

    assert question(given("models")) == ("How much do the models reveal about their training data?")
    assert verdict(given("models"))[0].startswith("Training data leak from the models: an ")
    assert question(given("mine.npz")).startswith("How much do the models of mine.npz reveal")
    assert verdict(given("mine.npz"))[0].startswith("Training data leak from mine.npz: an ")
    assert "5 shadow models has AUC" in verdict(given("mine.npz"))[0]
