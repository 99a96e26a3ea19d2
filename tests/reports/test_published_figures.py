"""The published figures as they are kept, and which of them may stand beside a study's own."""

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mgaudit.attacks import ATTACKS
from mgaudit.reports.published import (
    ACCURACIES,
    PublishedResult,
    comparable,
    published_results,
    published_table,
)
from mgaudit.reports.record import ChoiceRecord, Estimate, NamedChoice
from mgaudit.reports.results import (
    AttackResult,
    AuditResult,
    DatasetSummary,
    PrivacyClaim,
    StudyResult,
)
from mgaudit.settings.choices import Entry
from mgaudit.settings.study_settings import attack_choice
from mgaudit.targets import SCHEMES
from mgaudit.targets.datasets import DATASETS
from tests import fake_study

ROOT = Path(__file__).resolve().parents[2]
TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = sorted((ROOT / "reports" / "published").glob("*"))
AUC = Estimate(value=0.6543, low=0.6443, high=0.6643)
ACCURACY = Estimate(value=0.512, low=0.5, high=0.52)
SETTING = {
    "dataset": "cifar10",
    "scheme": [ChoiceRecord(name="gaussian-mask", options={"kappa": 0.5})],
    "attack": ChoiceRecord(name="lira"),
    "network": "MLP",
    "training_examples": 5000,
    "epochs": 30,
    "optimizer": "sgd",
    "augmentation": "none",
    "inputs": "standardised per channel",
    "shadows": 15,
    "queries": "plain",
}


def attack_record(text: str) -> ChoiceRecord:
    choice = attack_choice(text)
    return ChoiceRecord(name=choice.name, options=dict(choice.options))


def figure(
    metric: str = "auc", printed: str = "0.692", value: float = 0.692, **changes: Any
) -> PublishedResult:
    if "scheme" in changes:
        changes["scheme"] = fake_study.scheme_records(changes["scheme"])
    if changes.get("attack") is not None:
        changes["attack"] = attack_record(changes["attack"])
    return PublishedResult.model_validate(
        {
            "title": "A title",
            "source": "Somebody 2020",
            "address": "https://example.org/paper",
            "place": "Table 1",
            "setting": {**SETTING, **changes},
            "numbers": [{"metric": metric, "printed": printed, "value": value}],
        }
    )


def attack(
    name: str = "lira", adversary: Any = "adaptive", needs: tuple[str, ...] = ("shadows",)
) -> AttackResult:
    tpr = Estimate(value=0.05, low=0.04, high=0.06)
    return AttackResult(
        attack=name,
        choice=attack_record(name),
        adversary=adversary,
        targets=list(range(16)),
        source="Somebody 2020",
        needs=list(needs),
        metrics={"auc": AUC, "tpr@0.001": tpr, "balanced_accuracy": AUC},
        per_target={},
        single_targets={},
        differences={},
        correct_guesses=[1] * 16,
        epsilon_lower_bound=0.1,
        false_positives_allowed={"tpr@0.001": 4},
        non_members=4900,
    )


def arm(scheme: str, *attacks: AttackResult, claim: PrivacyClaim | None = None) -> AuditResult:
    return fake_study.arm("none", f"under {scheme}", 0.6, None).model_copy(
        update={
            "key": scheme,
            "scheme": [ChoiceRecord(name=scheme)]
            if scheme == "my:Mask"
            else fake_study.scheme_records(scheme),
            "train_accuracy": ACCURACY,
            "accuracy": ACCURACY,
            "claim": claim,
            "attacks": list(attacks) or [attack()],
        }
    )


def study(
    *arms: AuditResult, dataset: str = "cifar10", target: str = "MLP", **data: Any
) -> StudyResult:
    name, _, path = dataset.partition(":")
    asked = ChoiceRecord(name=name, options={"path": path} if path else {})
    facts = {
        "examples": 10_000,
        "test_examples": 10_000,
        "input_shape": (3, 32, 32),
        "classes": TEN,
        **data,
    }
    return fake_study.study().model_copy(
        update={
            "settings": {
                "models": 16,
                "training": {
                    "epochs": 30,
                    "stop_epoch": None,
                    "optimizer": "sgd",
                    "augment": "none",
                },
            },
            "target": NamedChoice(name="mlp", label=target),
            "dataset": DatasetSummary(name=dataset, choice=asked, sha256="ab" * 32, **facts),
            "arms": list(arms) or [arm("gaussian-mask:kappa=0.5")],
        }
    )


def differences(published: PublishedResult, **changes: Any) -> list[str]:
    (comparison,) = comparable(study(**changes), [published])
    return comparison.differences


def test_every_file_comes_with_the_package_and_is_read() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["mgaudit.reports"]
    packaged = {path for pattern in patterns for path in (ROOT / "reports").glob(pattern)}
    assert FILES
    assert packaged >= set(FILES)
    results = sum(file.read_text(encoding="utf-8").count('"place":') for file in FILES)
    assert len(published_results()) == results


@pytest.mark.parametrize(
    "published", published_results(), ids=lambda published: f"{published.source}: {published.place}"
)
def test_a_value_is_what_is_printed_and_everything_is_spelt_as_mgaudit_spells_it(
    published: PublishedResult,
) -> None:
    assert published.address.startswith("https://")
    for number in published.numbers:
        digits = re.match(r"~?(\d+(?:\.\d+)?)(%?)(?: ± \d+(?:\.\d+)?%?)?$", number.printed)
        assert digits is not None
        in_percent = digits[2] == "%" or number.unit == "%"
        assert number.value == pytest.approx(
            float(digits[1]) / (100 if in_percent else 1), abs=1e-12
        )
        assert 0 <= number.value <= 1
        assert number.metric in (*ACCURACIES, *fake_study.METRICS) or number.metric.startswith(
            "tpr@"
        )
    assert published.setting.dataset in DATASETS
    for part in published.setting.scheme:
        assert (
            dict(Entry(part.name, SCHEMES[part.name]).chosen(part.options).options) == part.options
        )
    if published.setting.attack is not None:
        name, options = published.setting.attack.name, published.setting.attack.options
        assert dict(Entry(name, ATTACKS[name]).chosen(options).options) == options


def test_no_number_is_kept_twice() -> None:
    seen = Counter(
        (published.address, published.place, number.metric)
        for published in published_results()
        for number in published.numbers
    )
    assert max(seen.values()) == 1


@pytest.mark.parametrize(
    ("source", "location", "metric", "printed"),
    [
        ("Carlini et al. 2022", "Table I, C-10, row Ours", "tpr@0.001", "8.4%"),
        ("Kolomvaki et al. 2026, code", "table of attack AUC, κ = 1.8, 120 epochs", "auc", "0.543"),
        ("Opacus, MNIST example", "(2.91, 10^-5)-DP", "accuracy", "96.78% ± 0.21%"),
        (
            "Tramèr and Boneh 2021, code",
            "main table, CIFAR-10, End-to-end CNN",
            "accuracy",
            "59.2%",
        ),
    ],
)
def test_numbers_are_found_by_their_place(
    source: str, location: str, metric: str, printed: str
) -> None:
    (published,) = [
        published
        for published in published_results()
        if (published.source, published.place) == (source, location)
    ]
    assert {number.metric: number.printed for number in published.numbers}[metric] == printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numbers": [{"metric": "auc", "printed": "69.2%", "value": 0.962}]}, "what is printed"),
        ({"numbers": [{"metric": "auc", "printed": "69.2", "value": 0.692}]}, "what is printed"),
        ({"numbers": [{"metric": "auc", "printed": "high", "value": 0.9}]}, "what is printed"),
        (
            {"numbers": [{"metric": "accuracy", "printed": "0.7", "value": 0.7}]},
            "must go with no attack",
        ),
        ({"setting": {"dataset": "mnist", "scheme": [{"name": "none"}]}}, "must go with an attack"),
        ({"numbers": []}, "at least 1 item"),
        ({"address": "http://example.org"}, "https"),
        ({"comment": "x"}, "not permitted"),
        ({"setting": {**SETTING, "colour": "red"}}, "not permitted"),
    ],
)
def test_a_figure_that_is_not_whole_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PublishedResult.model_validate({**figure().model_dump(), **change})


def test_a_figure_of_the_same_setting_has_our_number_beside_it_and_no_difference() -> None:
    (comparison,) = comparable(study(), [figure()])
    assert comparison.here == AUC
    assert comparison.attack is not None
    assert comparison.attack.attack == "lira"
    assert comparison.differences == []


@pytest.mark.parametrize(
    "published",
    [
        figure(dataset="cifar100"),
        figure(scheme="gaussian-mask:kappa=0.5000001"),
        figure(scheme="gaussian-noise:sigma=0.5"),
        figure(scheme="none"),
        figure(scheme="gaussian-mask:kappa=0.5,fixed=true"),
        figure(attack="rmia"),
        figure(attack="lira:online=false"),
        figure(adversary="naive"),
        figure(metric="tpr@1e-05"),
    ],
    ids=lambda published: repr(published.setting),
)
def test_what_is_not_of_the_same_data_scheme_attack_and_metric_is_not_compared(
    published: PublishedResult,
) -> None:
    assert comparable(study(), [published]) == []


@pytest.mark.parametrize(
    "scheme",
    [
        "gaussian-mask:kappa=0.5,fixed=true",
        "gaussian-mask:kappa=0.5+dp-sgd:epsilon=8",
        "my:Mask",
        "none",
    ],
)
def test_an_arm_of_another_scheme_is_not_compared(scheme: str) -> None:
    assert comparable(study(arm(scheme)), [figure()]) == []


def test_strength_is_compared_as_a_number() -> None:
    assert comparable(
        study(arm("gaussian-mask:kappa=0.50")),
        [figure(scheme="gaussian-mask:kappa=0.5000000000001")],
    )


def test_a_naive_adversary_is_compared_with_a_naive_one() -> None:
    arms = [arm("gaussian-mask:kappa=0.5", attack(), attack(adversary="naive"))]
    for adversary in ("adaptive", "naive"):
        (comparison,) = comparable(study(*arms), [figure(adversary=adversary)])
        assert comparison.attack is not None
        assert comparison.attack.adversary == adversary


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"network": "wide ResNet"}, "network: wide ResNet there, MLP here"),
        ({"training_examples": 25000}, "training examples: 25,000 there, 5,000 here"),
        ({"epochs": 120}, "epochs: 120 there, 30 here"),
        ({"optimizer": "adam"}, "optimizer: adam there, sgd here"),
        ({"augmentation": "crops"}, "augmentation: crops there, none here"),
        (
            {"inputs": "standardised per pixel"},
            "inputs: standardised per pixel there, standardised per channel here",
        ),
        ({"shadows": 256}, "shadow models: 256 there, 15 here"),
        ({"queries": "flips"}, "queries: flips there, plain here"),
        (
            {"attack": "lira:variance=per-example"},
            "attack: lira (variance=per-example) there, lira here",
        ),
        ({"variant": "one-sided"}, "attack: lira (one-sided) there, lira here"),
        ({"network": None, "shadows": None}, "the source does not state network, shadow models"),
    ],
)
def test_every_difference_is_named(change: dict[str, Any], difference: str) -> None:
    assert differences(figure(**change)) == [difference]


def test_several_differences_are_named_together() -> None:
    assert differences(figure(epochs=20, queries=None, shadows=1)) == [
        "epochs: 20 there, 30 here",
        "shadow models: 1 there, 15 here",
        "the source does not state queries",
    ]


def test_an_attack_without_shadows_is_not_said_to_have_other_ones() -> None:
    arms = [arm("gaussian-mask:kappa=0.5", attack("loss", needs=()))]
    (comparison,) = comparable(study(*arms), [figure(attack="loss", shadows=None)])
    assert comparison.differences == []


def test_how_a_metric_is_read_off_is_a_difference() -> None:
    balanced = figure("balanced_accuracy", "63.8%", 0.638, threshold="the best in hindsight")
    assert differences(balanced) == [
        "threshold: the best in hindsight there, chosen on the other half of the examples here"
    ]
    (coarse,) = differences(figure("tpr@0.001", "8.4%", 0.084))
    assert coarse.startswith("coarse here: fewer than 10 of a target's 4900 or more non-members")


def test_training_that_was_stopped_early_has_the_epochs_that_it_had() -> None:
    stopped = study()
    stopped.settings["training"]["stop_epoch"] = 7
    (comparison,) = comparable(stopped, [figure(epochs=7)])
    assert comparison.differences == []


def test_dp_sgd_is_compared_at_the_same_epsilon_with_its_terms_named() -> None:
    claim = PrivacyClaim(
        epsilon=2.99,
        delta=8.8e-5,
        noise_multiplier=1.1,
        max_grad_norm=1.0,
        sample_rate=0.01,
        steps=100,
        accountant="PRV",
        adjacency="add/remove",
    )
    arms = [arm(f"dp-sgd:epsilon={epsilon}", claim=claim) for epsilon in (3, 8)]
    published = figure(
        "accuracy",
        "59.2%",
        0.592,
        attack=None,
        scheme="dp-sgd:epsilon=3",
        delta=1e-5,
        max_grad_norm=0.1,
        accountant=None,
    )
    (comparison,) = comparable(study(*arms), [published])
    assert comparison.arm.key == "dp-sgd:epsilon=3"
    assert comparison.here == ACCURACY
    assert comparison.differences == [
        "clipping norm: 0.1 there, 1 here",
        "δ: 1e-05 there, 8.8e-05 here",
        "the source does not state accountant",
    ]


def test_a_folder_is_taken_for_cifar10_only_by_its_classes_and_shape_and_that_is_told() -> None:
    folder = "folder:/data/pictures"
    (difference,) = differences(figure(), dataset=folder, classes=TEN[::-1])
    assert difference.startswith("data: CIFAR-10 there, here an image folder with its class names")
    assert comparable(study(dataset=folder, classes=(*TEN[:-1], "lorry")), [figure()]) == []
    assert comparable(study(dataset=folder, input_shape=(3, 64, 64)), [figure()]) == []
    assert comparable(study(dataset="folder:/data/cifar10", classes=("a", "b")), [figure()]) == []
    assert comparable(study(dataset="npz:/data/pictures"), [figure()]) == []


def test_the_table_shows_both_numbers_in_one_unit_and_where_theirs_is_printed() -> None:
    arms = [arm("none"), arm("gaussian-mask:kappa=1.8", attack("shadow-classifier"))]
    table = published_table(study(*arms))
    assert table.columns == ["Result", "Setting", "Number there", "Number here", "Differences"]
    rows = {str(row[0]): [str(cell) for cell in row[1:]] for row in table.rows}
    masked = rows["Kolomvaki et al. 2026, code, table of attack AUC, κ = 1.8, 120 epochs"]
    assert masked == [
        "under gaussian-mask:kappa=1.8; shadow-classifier; AUC",
        "0.543",
        "0.654 ± 0.010",
        "attack: shadow-classifier (ML-Leaks: one classifier of all classes, on the three "
        "highest outputs) there, shadow-classifier here; "
        "training examples: 10,520 there, 5,000 here; epochs: 120 there, 30 here; "
        "inputs: standardised per pixel there, standardised per channel here; "
        "shadow models: 1 there, 15 here; the source does not "
        "state network, optimizer, augmentation",
    ]
    accurate = rows["Kolomvaki et al. 2026, code, table of clean test accuracy, κ = 1.80"]
    assert accurate[:3] == [
        "under gaussian-mask:kappa=1.8; test accuracy",
        "49.88%",
        "51.20 [50.00, 52.00] %",
    ]
    fixed = rows["Jebreel et al. 2026, Table 3, row LiRA (online)"]
    assert fixed[1:3] == ["10.268 ± 0.555 %", "5.00 ± 1.00 %"]
    assert not any("Table I, C-100" in row for row in rows)
    assert sum("Kolomvaki et al. 2026, code: " in note for note in table.notes) == 1
    assert any(note.endswith(", https://arxiv.org/abs/2112.03570") for note in table.notes)


def test_a_table_without_rows_says_why() -> None:
    table = published_table(study(dataset="digits"))
    assert table.rows == []
    assert table.notes == [
        "There is no published figure for digits, only for cifar10, cifar100, fashion-mnist, mnist."
    ]
    (note,) = published_table(study(dataset="folder:/data/pictures", classes=("a", "b"))).notes
    assert note.startswith("There is no published figure for folder:pictures,")
    table = published_table(study(arm("gaussian-mask:kappa=0.3")))
    assert table.rows == []
    (note,) = table.notes
    assert "No published figure for cifar10 has the same scheme" in note
    assert "gaussian-mask (kappa=0.5): shadow-classifier" in note
