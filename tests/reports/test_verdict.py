"""What the report says in words."""

import pytest

from mgaudit.reports.method import facts, method
from mgaudit.reports.record import NamedChoice
from mgaudit.reports.results import StudyResult
from mgaudit.reports.tables import accuracy_vs_privacy
from mgaudit.reports.verdict import question, verdict
from tests.fake_study import arm, attack, many, study


def test_the_verdict_says_what_the_intervals_say() -> None:
    assert (
        "Does training with gaussian-mask (kappa=0.3) protect the training data of a CNN on"
        in question(study())
    )
    mask, private = verdict(study())
    assert mask.startswith(
        "Training with gaussian-mask (kappa=0.3) lowers the AUC of the attack lira: "
        "0.700 ± 0.012 against 0.750 ± 0.012 without noise (paired difference −0.050 ± 0.020); "
        "members remain recognisable, and test accuracy falls: "
    )
    assert "95.0 % ([92.5, 96.5])" in mask
    assert "(−3.1 ± 1.2 percentage points)" in mask
    assert "for which ε ≤ 8.00 at δ = 8.81e-04 is proved, lowers" in private
    assert "this attack does no better than guessing, and test accuracy" in private


def test_the_verdict_does_not_hide_a_later_attack_that_succeeds_where_the_first_fails() -> None:
    weak = arm("x", "x", 0.501, -0.2)
    noisy = weak.model_copy(update={"attacks": [weak.attacks[0], attack("loss", 0.53, -0.2)]})
    text = verdict(study(arms=[arm("none", "no noise", 0.75, None), noisy]))[0]
    assert "this attack does no better than guessing, but loss does (AUC 0.530 ± 0.012)" in text


@pytest.mark.parametrize(
    ("change", "word"), [(-0.05, "lowers"), (0.019, "does not measurably change"), (0.05, "raises")]
)
def test_the_verdict_claims_a_change_only_when_the_interval_leaves_zero_out(
    change: float, word: str
) -> None:
    arms = [arm("none", "no noise", 0.75, None), arm("x", "x", 0.75 + change, change)]
    assert f"Training with x {word} the AUC" in verdict(study(arms=arms))[0]


def test_what_proves_nothing_is_not_called_a_proof() -> None:
    clipped = study().arms[2]
    assert clipped.claim is not None
    unbounded = clipped.model_copy(
        update={"claim": clipped.claim.model_copy(update={"epsilon": None})}
    )
    result = study(arms=[study().arms[0], unbounded])
    assert "for which no finite ε is proved, lowers" in verdict(result)[0]
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
    assert "Trained with x, the model reaches a test accuracy of 98.5 %" in verdict(alone)[0]
    assert "worse than guessing" in verdict(alone)[0]
    plain = study(arms=[arm("none", "no noise", 0.4, None)])
    assert question(plain).startswith("How much does a CNN on")
    assert len(verdict(plain)) == 1


def test_a_report_of_many_arms_counts_them_and_tells_of_the_lowest() -> None:
    result, _ = many()
    texts = verdict(result)
    assert texts[0].startswith(
        "Of 11 arms, 5 lower the AUC of the attack lira, 5 raise it, and 1 do not measurably "
        "change it"
    )
    assert [sentence.split(" lowers")[0] for sentence in texts[1:6]] == [
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
    assert verdict(given("models"))[0].startswith("The test accuracy of the models is ")
    assert question(given("mine.npz")).startswith("How much do the models of mine.npz reveal")
    assert verdict(given("mine.npz"))[0].startswith("The test accuracy of mine.npz is ")
