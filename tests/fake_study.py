"""A study made up of known numbers, for tests of how it is told."""

import io
import re
from collections.abc import Sequence
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
from pypdf import PdfReader

from mgaudit.analysis.samples import analyse_study
from mgaudit.reports.arrays import Arrays, arrays_to_bytes
from mgaudit.reports.ceiling import Ceiling
from mgaudit.reports.files import ARRAYS_FILE, RESULT_FILE
from mgaudit.reports.findings import ANALYSED, STORED
from mgaudit.reports.record import ChoiceRecord, Estimate, NamedChoice
from mgaudit.reports.results import (
    AttackResult,
    AuditResult,
    ClassExposure,
    DatasetSummary,
    ExposedExample,
    PowerPoint,
    PrivacyClaim,
    Provenance,
    Result,
    StudyResult,
    Times,
)
from mgaudit.settings.schemes import scheme_choice
from mgaudit.study.strength import strength_of
from mgaudit.study.summarise import metric_facts
from mgaudit.targets import SCHEMES

NASTY = '<script>alert("1")</script> #strong[x] $y$ *z* {{ 7*7 }}'
METRICS = tuple(facts.name for facts in metric_facts())
VALUES = {
    "tpr@0.1": 0.21,
    "tpr@0.01": 0.22,
    "tpr@0.001": 0.23,
    "tpr@0": 0.24,
    "balanced_accuracy": 0.25,
    "advantage": 0.26,
}
SINGLE = ("auc", "tpr@0.1", "tpr@0.01", "tpr@0.001", "tpr@0")
SETTINGS = {
    "models": 6,
    "seed": 5,
    "queries": "plain",
    "examples": None,
    "stack": 4,
    "training": {
        "epochs": 3,
        "batch_size": 8,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 0.0,
        "augment": "crops",
        "precision": "tf32",
    },
}
# The trade-off of the Gaussian mechanism with mu = 2: Phi(Phi^-1(FPR) + 2).
CEILING = Ceiling(
    accountant="PLD",
    fpr=[0.0, 0.0001, 0.001, 0.01, 0.1, 1.0],
    tpr=[0.0, 0.042840, 0.137797, 0.372209, 0.763760, 1.0],
    metrics={
        "auc": 0.921351,
        "advantage": 0.682690,
        "balanced_accuracy": 0.841345,
        "tpr@0.1": 0.763760,
        "tpr@0.01": 0.372209,
        "tpr@0.001": 0.137797,
    },
)
CLAIM = PrivacyClaim(
    epsilon=7.994,
    delta=8.8071e-4,
    noise_multiplier=1.0986,
    max_grad_norm=1.0,
    sample_rate=0.1068,
    steps=281,
    accountant="PRV",
    adjacency="add/remove",
    ceiling=CEILING,
)
SOURCES = {name: scheme.source for name, scheme in SCHEMES.items() if name != "none"}
TARGETS = [0, 1, 2, 3, 4, 5]
parsed = cache(scheme_choice)
SPREAD = np.array([-0.01, 0.01, 0.0, 0.005, -0.005, 0.0])
EXAMPLES = 120


def estimate(value: float, half: float) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half)


def attack(
    name: str, auc: float, change: float | None, adversary: Any = "adaptive"
) -> AttackResult:
    metrics = {metric: estimate(VALUES.get(metric, 0.2), 0.005) for metric in METRICS}
    metrics["auc"] = estimate(auc, 0.0123)
    per_target = [0.3, 0.2, 0.4, 0.3, 0.3, 0.3]
    return AttackResult(
        attack=name,
        choice=ChoiceRecord(name=name),
        adversary=adversary,
        targets=TARGETS,
        source="Somebody 2020",
        needs=["shadows"] if name == "lira" else [],
        metrics=metrics,
        per_target=dict.fromkeys(METRICS, per_target),
        single_targets={
            metric: [estimate(value, 0.03) for value in per_target] for metric in SINGLE
        },
        differences={}
        if change is None
        else {metric: estimate(change, 0.02) for metric in METRICS},
        correct_guesses=[4, 4, 3, 4, 4, 4],
        epsilon_lower_bound=0.3299,
        false_positives_allowed={
            "tpr@0.1": 30,
            "tpr@0.01": 10,
            "tpr@0.001": 0,
            "tpr@0": 0,
        },
        non_members=299,
    )


def arm(
    scheme: str,
    label: str,
    auc: float,
    change: float | None,
    claim: PrivacyClaim | None = None,
    accuracy: float = 0.985,
    note: str = "",
) -> AuditResult:
    epsilon = None if claim is None else claim.epsilon
    parts = [ChoiceRecord(name="x")] if scheme == "x" else scheme_records(scheme)
    return AuditResult(
        key=scheme,
        scheme=parts,
        sources=[SOURCES[part.name] for part in parts if part.name in SOURCES],
        label=label,
        note=note,
        strength=None if scheme in ("none", "x") else strength_of(parsed(scheme), epsilon),
        learning_rate=0.02,
        diverged=[],
        train_accuracy=estimate(0.99, 0.004),
        accuracy=Estimate(value=accuracy, low=accuracy - 0.025, high=accuracy + 0.015),
        accuracy_difference=None if change is None else estimate(-0.031, 0.012),
        claim=claim,
        delta=8.8071e-4,
        guesses=6,
        epsilon_provable=8.9012,
        attacks=[
            attack("lira", auc, change),
            attack("loss", auc - 0.05, change),
            *(
                []
                if change is None
                else [attack("lira", auc - 0.1, change - 0.1, adversary="naive")]
            ),
        ],
        power=[
            PowerPoint(
                shadows=shadows,
                metrics={metric: estimate(auc - 0.1 / shadows, 0.02) for metric in ANALYSED},
            )
            for shadows in (2, 4, 5)
        ],
        most_exposed=[
            ExposedExample(
                example=index,
                origin=f"train/{index}.png",
                label=NASTY if index == 0 else "a",
                score=7.5 - index,
                rank_in=Estimate(value=0.95, low=0.9, high=1.0),
                rank_out=None if index == 1 else Estimate(value=0.5, low=0.25, high=0.75),
                targets=2,
            )
            for index in range(20)
        ],
        by_class=[
            ClassExposure(label="a", examples=40, auc=estimate(auc - 0.02, 0.03)),
            ClassExposure(label=NASTY, examples=20, auc=None),
        ],
    )


def scheme_records(text: str) -> list[ChoiceRecord]:
    return [ChoiceRecord(name=part.name, options=dict(part.options)) for part in parsed(text).parts]


def three_arms(label: str = "gaussian-mask (kappa=0.3)") -> list[AuditResult]:
    return [
        arm("none", "no noise", 0.75, None),
        arm("gaussian-mask:kappa=0.3", label, 0.7, -0.05, accuracy=0.95),
        arm("dp-sgd:epsilon=8", "dp-sgd (epsilon=8)", 0.501, -0.249, CLAIM, accuracy=0.9),
    ]


def study(label: str = "gaussian-mask (kappa=0.3)", **changes: Any) -> StudyResult:
    arms = changes.pop("arms", three_arms(label))
    fields: dict[str, Any] = {
        "settings": SETTINGS,
        "target": NamedChoice(name="cnn", label="CNN"),
        "queries": NamedChoice(name="plain", label="plain"),
        "dataset": DatasetSummary(
            name=f"folder:/data/{label}",
            choice=ChoiceRecord(name="folder", options={"path": f"/data/{label}"}),
            sha256="ab" * 32,
            examples=EXAMPLES,
            test_examples=20,
            input_shape=(1, 8, 8),
            classes=("a", NASTY),
        ),
        "extras": {},
        "metric_facts": metric_facts(),
        "lost": [],
        "analysis": analyse_study(arms, arrays(arms)),
        "provenance": Provenance(
            versions={"torch": "2"}, code_sha256="cd" * 32, device="cpu", processor="x"
        ),
        "times": Times(
            started="2026-01-01",
            seconds=61.5,
            training_seconds={"none": 9.0},
            models_reused={"none": 2},
        ),
    }
    return StudyResult(**{**fields, **changes, "arms": arms})


def result(*studies: StudyResult, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "title": "",
        "note": "",
        "command": "mgaudit run --settings RUN/settings.toml",
        "settings": studies[0].settings,
        "studies": list(studies),
    }
    return Result(**{**fields, **changes})


def arrays(arms: Sequence[AuditResult] | None = None) -> Arrays:
    """The arrays behind the arms: random scores, and samples whose means are the arms' numbers."""
    generator = np.random.default_rng(0)
    grid = np.concatenate([[0.0], np.logspace(-4, 0, 30)])
    named: Arrays = {
        "membership": generator.random((len(TARGETS), EXAMPLES)) < 0.5,
        "roc_fpr": grid,
    }
    for index, arm_result in enumerate(three_arms() if arms is None else arms):
        named |= _samples(
            f"arm{index}/accuracy", arm_result.accuracy.value, len(TARGETS), generator
        )
        named[f"arm{index}/ranks"] = generator.random(
            (len(arm_result.attacks[0].targets), EXAMPLES)
        ).astype(np.float32)
        for mounted in arm_result.attacks:
            named[f"arm{index}/{mounted.name}/scores"] = generator.standard_normal(
                (len(mounted.targets), EXAMPLES)
            )
            named[f"arm{index}/{mounted.name}/roc_tpr"] = np.sqrt(grid)
            for metric in STORED:
                name, value = f"arm{index}/{mounted.name}/{metric}", mounted.metrics[metric].value
                named |= _samples(name, value, len(mounted.targets), generator)
        named[f"arm{index}/most_exposed_pictures"] = generator.integers(0, 256, (20, 8, 8)).astype(
            np.uint8
        )
    return named


def _samples(name: str, value: float, targets: int, generator: np.random.Generator) -> Arrays:
    resampled = (
        value + SPREAD[:targets, np.newaxis] + 0.005 * generator.standard_normal((targets, 50))
    )
    return {
        f"{name}/per_target": value + SPREAD[:targets],
        f"{name}/in_resamples": resampled.astype(np.float32),
    }


def many() -> tuple[StudyResult, Arrays]:
    """Twelve arms, some composed: five masks lower the AUC, five raise it, and one leaves it."""
    arms = [arm("none", "no noise", 0.75, None)]
    for index in range(11):
        change = (-0.05, 0.05)[index % 2] if index < 10 else 0.0
        kappa = f"kappa={index + 1}"
        scheme, label = (f"gaussian-mask:{kappa}", f"gaussian-mask ({kappa})")
        if index > 7:
            scheme, label = f"{scheme}+dp-sgd:epsilon=8", f"{label} + dp-sgd (epsilon=8)"
        arms.append(arm(scheme, label, 0.75 + change - index / 1000 * (change != 0), change))
    return study(arms=arms), arrays(arms)


def write(folder: Path, record: Result, study_arrays: list[Arrays]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / RESULT_FILE).write_text(record.model_dump_json())
    (folder / ARRAYS_FILE).write_bytes(arrays_to_bytes(study_arrays))


def pdf_text(pdf: bytes) -> str:
    text = " ".join(
        " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split()
    )
    return text.replace("\u200b", "")


def html_text(html: str) -> str:
    body = re.sub(r"(?s)<(style|svg|script).*?</\1>", " ", html)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
