"""Privacy beside theory: the strongest attack under the noise of a paper, at matched accuracy.

One figure of each paper asks what its noise does to the strongest attack. The audits, the verdicts,
the interpolation to a common accuracy and the search for the settings of DP-SGD are those of
`mgaudit run`.

An arm is the part of a study with one scheme of training. The plain arm is training without noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mgaudit.analysis.matched import TOO_FEW_MODELS
from mgaudit.papers.audits import run_audit
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.paper import Resources
from mgaudit.papers.rows import interval_of, matching
from mgaudit.reports.families import families
from mgaudit.reports.figures.drawing import estimate_cells
from mgaudit.reports.findings import Matched
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.settings.arguments import SMALLEST_AUC_DIFFERENCE
from mgaudit.settings.study_settings import StudySettings
from mgaudit.targets.training import Training
from mgaudit.tuning.tune import with_searches

PLAIN = "none"
PRIVATE = "dp-sgd:epsilon=8"
STOPPED = "early-stop"
NAMES = {PLAIN: "no noise", STOPPED: "early stopping", PRIVATE: "DP-SGD, ε = 8"}
MARGIN: float = SMALLEST_AUC_DIFFERENCE.default  # the smallest difference that a verdict counts
LEARNED_NOTHING = "its models learned nothing"


@dataclass(frozen=True)
class Noise:
    """A kind of noise in the figure: the schemes of one `family`, which differ in the strength.

    `key` is its name in the keys of claims, `name` its name in texts, and `symbol` that of the
    strength. `family` is the scheme without the strength, as in `mgaudit.reports.families`. It is
    drawn in `colour` with the mark `marker`. `after_looking` says that its strengths at quick scale
    were changed, to reach an accuracy, after AUCs had been seen.
    """

    key: str
    name: str
    family: str
    symbol: str
    colour: str
    marker: str
    after_looking: bool = False


@dataclass(frozen=True)
class PrivacyAudit:
    """Audits of one network under noise, without noise and under DP-SGD at ε = 8.

    `schemes` are the noises, the weakest of each kind first. Training without noise is a control;
    it also stops early, after each number of epochs in `stops`, the largest first. The first of
    `attacks` is the strongest one, chosen before the audit. Each of `models` models is the target
    in turn, and is trained on half of the examples. With `trials` > 0, a search of as many trials
    on images outside the audit finds the settings of DP-SGD; 0 are the settings that an earlier
    search found for this data and kind of network.
    """

    dataset: str
    examples: int | None
    schemes: tuple[str, ...]
    stops: tuple[int, ...]
    attacks: tuple[str, ...]
    models: int
    trials: int
    target: str = "mlp:hidden=128"
    epochs: int = 30

    def study(self, device: str) -> StudySettings:
        """Returns the settings of the study on torch's `device`."""
        stopped = (f"{STOPPED}:epochs={epochs}" for epochs in self.stops)
        return StudySettings(
            dataset=self.dataset,
            target=self.target,
            models=self.models,
            examples=self.examples,
            attacks=self.attacks,
            schemes=(PLAIN, *self.schemes, *stopped, PRIVATE),
            training=Training(epochs=self.epochs),
            device=device,
        )


def measure(noises: Sequence[Noise], settings: PrivacyAudit, resources: Resources) -> Data:
    """Returns the `arms`, the noises at `matched` accuracy, the `control`, and the arms `lost`.

    `arms` has the verdict, the test accuracy, AUC and TPR at 1 % FPR of the strongest attack, their
    changes from the plain arm, and the attack with the highest AUC. `matched` has each noise at the
    accuracy of each arm of another kind, and its AUC there minus the AUC of that arm. `control` has
    the AUC of each arm with noise minus that of early stopping at its accuracy. Too many models of
    the `lost` arms diverged. Numbers have intervals, and differences are paired.
    """
    study_settings = settings.study(resources.device)
    if settings.trials:
        study_settings = with_searches(
            study_settings, "dp", settings.trials, resources.jobs, resources.progress
        )
    study = run_audit(study_settings, resources)
    names = {noise.family: noise.name for noise in noises}
    arms = [_arm_row(study, arm, names) for arm in study.arms]
    matched, control = [], []
    for record in study.analysis.matched:
        if record.family in names:
            matched.append(matched_row(study, record, names))
        elif record.family == STOPPED and record.reference in settings.schemes:
            control.append(_control_row(study, record, names))
    lost: list[Row] = [
        {"scheme": arm.key, "diverged": float(len(arm.diverged))} for arm in study.lost
    ]
    return {"arms": arms, "matched": matched, "control": control, "lost": lost}


def _arm_row(study: StudyResult, arm: AuditResult, names: Mapping[str, str]) -> Row:
    """Returns the row of an arm; `names` are the names of the noises by family."""
    strongest = arm.attacks[0]
    adaptive = [attack for attack in arm.attacks if attack.adversary == "adaptive"]
    highest = max(adaptive, key=lambda attack: attack.metrics["auc"].value)
    row: Row = {"noise": _name_of(arm, names), "scheme": arm.key, **_verdict(study, arm)}
    if arm.strength is not None and arm.strength.value is not None:
        row["strength"] = arm.strength.value
    row |= estimate_cells("accuracy", arm.accuracy)
    row |= estimate_cells("accuracy_change", arm.accuracy_difference)
    row["attack"] = strongest.attack
    for name, metric in (("auc", "auc"), ("tpr", "tpr@0.01")):
        row |= estimate_cells(name, strongest.metrics[metric])
        row |= estimate_cells(f"{name}_change", strongest.differences.get(metric))
    return {**row, "highest": highest.attack, "highest_auc": highest.metrics["auc"].value}


def _name_of(arm: AuditResult, names: Mapping[str, str]) -> str:
    """Returns the name of the arm's kind of noise, or of the training without such noise."""
    family = "" if arm.strength is None else arm.strength.family
    return names.get(family) or NAMES[STOPPED if family == STOPPED else arm.key]


def _verdict(study: StudyResult, arm: AuditResult) -> Row:
    """Returns the verdict on an arm in words as a cell; no cell for the plain arm."""
    for verdict in study.analysis.verdicts:
        if verdict.arm == arm.key:
            return {"verdict": verdict.outcome or LEARNED_NOTHING}
    return {}


def matched_row(study: StudyResult, record: Matched, names: Mapping[str, str]) -> Row:
    """Returns the row of a noise at the accuracy of another arm, the reference.

    If the noise is more accurate than the plain arm even at its strongest, the row compares its
    strongest arm with the plain arm, and has a note. If a noise never has the accuracy of another
    reference, the row has the reason instead of numbers.
    """
    row: Row = {"noise": names[record.family], "reference": record.reference}
    row["accuracy"] = record.accuracy
    if record.not_reached is None:
        row["strength"] = 0.0 if record.strength is None else record.strength
        row |= estimate_cells("auc", record.metrics["auc"])
        row |= estimate_cells("difference", record.differences["auc"])
        return row
    strongest = _strongest(study, record.family)
    if record.reference != PLAIN or not _is_more_accurate(strongest, record):
        return {**row, "not_reached": record.not_reached}
    attack = strongest.attacks[0]
    if "auc" not in attack.differences:
        return {**row, "not_reached": TOO_FEW_MODELS}
    assert strongest.strength is not None  # as every arm of a family
    row["strength"] = float(strongest.strength.value or 0.0)
    row |= estimate_cells("auc", attack.metrics["auc"])
    row |= estimate_cells("difference", attack.differences["auc"])
    return {**row, "note": record.not_reached}


def _control_row(study: StudyResult, record: Matched, names: Mapping[str, str]) -> Row:
    """Returns the row of an arm with noise and of early stopping at its accuracy.

    If early stopping never has this accuracy, the row has the reason instead of numbers.
    """
    arm = next(arm for arm in study.arms if arm.key == record.reference)
    row: Row = {"noise": _name_of(arm, names), "scheme": arm.key, "accuracy": record.accuracy}
    if record.not_reached is not None:
        return {**row, "not_reached": record.not_reached}
    if record.strength is not None:
        row["epochs"] = record.strength
    row |= estimate_cells("auc", record.metrics["auc"])
    reverse = record.differences["auc"]  # early stopping minus the arm
    cells = {
        "difference": -reverse.value,
        "difference_low": -reverse.high,
        "difference_high": -reverse.low,
    }
    return {**row, **cells}


def _strongest(study: StudyResult, family: str) -> AuditResult:
    """Returns the arm of the family with the strongest noise; there must be one."""
    return study.arms[families(study.arms)[family][-1]]


def _is_more_accurate(arm: AuditResult, record: Matched) -> bool:
    return arm.known_accuracy.value > record.accuracy


def free(noise: Noise, data: Data) -> Measured | NotRun:
    """Returns the AUC under the noise minus that of the plain arm, at most -MARGIN.

    It is the AUC at the strongest noise that has the accuracy of the plain arm.
    """
    row = _matched_with(noise, PLAIN, data)
    if isinstance(row, NotRun):
        return row
    quantity = f"AUC of {_attack(data)} under {noise.name} less that without noise"
    if not row["strength"]:
        everywhere = f"{quantity}; {noise.symbol} = 0, because every strength costs accuracy"
        return Measured(everywhere, 0.0, at_most=-MARGIN)
    quantity = f"{quantity}; {noise.symbol} = {row['strength']:.3g}"
    return Measured.with_interval(quantity, interval_of(row, "difference"), at_most=-MARGIN)


def better_than_stopping(noise: Noise, data: Data) -> Measured | NotRun:
    """Returns the AUC under the strongest noise minus that of early stopping, at most 0.

    Both have the same accuracy.
    """
    rows = matching(data["control"], noise=noise.name)
    if not rows:
        return NotRun(f"no arm with {noise.name} or with early stopping could be audited")
    row = rows[-1]
    if "not_reached" in row:
        return NotRun(f"early stopping has no such accuracy: {row['not_reached']}")
    quantity = f"AUC of {_attack(data)} under {row['scheme']} less that of early stopping"
    return Measured.with_interval(quantity, interval_of(row, "difference"), at_most=0.0)


def as_dp(noise: Noise, data: Data) -> Measured | NotRun:
    """Returns the AUC under the noise minus that under DP-SGD at its accuracy, at most MARGIN."""
    row = _matched_with(noise, PRIVATE, data)
    if isinstance(row, NotRun):
        return row
    strength = f"{noise.symbol} = {row['strength']:.3g}"
    quantity = f"AUC of {_attack(data)} under {noise.name} at {strength} less that under DP-SGD"
    return Measured.with_interval(quantity, interval_of(row, "difference"), at_most=MARGIN)


def gentler(noise: Noise, other: Noise, data: Data) -> Measured | NotRun:
    """Returns the AUC under a noise minus that under another, at the accuracy of the latter.

    It is at most 0. The arm of the other noise is the strongest one.
    """
    arms = matching(data["arms"], noise=other.name)
    if not arms:
        return NotRun(f"no arm with {other.name} could be audited")
    reference = arms[-1]
    row = _matched_with(noise, str(reference["scheme"]), data)
    if isinstance(row, NotRun):
        return row
    of_other = f"{other.symbol} = {reference['strength']:g}"
    quantity = f"AUC of {_attack(data)} under {noise.name} less that under {other.name}, {of_other}"
    return Measured.with_interval(quantity, interval_of(row, "difference"), at_most=0.0)


def _matched_with(noise: Noise, reference: str, data: Data) -> Row | NotRun:
    """Returns the row of the noise at the accuracy of a reference, or why there are no numbers."""
    rows = matching(data["matched"], noise=noise.name, reference=reference)
    if not rows:
        return NotRun(f"no arm with {noise.name} or {reference} could be audited")
    if "not_reached" in rows[0]:
        accuracy = f"{100 * float(rows[0]['accuracy']):.1f} %"
        return NotRun(f"{noise.name} has no strength with {accuracy}: {rows[0]['not_reached']}")
    return rows[0]


def _attack(data: Data) -> str:
    """Returns the name of the strongest attack."""
    return str(data["arms"][0]["attack"])


def claims_of(noise: Noise) -> tuple[Claim, ...]:
    """Returns the claims on a noise, each at matched accuracy.

    They compare it with training without noise, with early stopping and with DP-SGD.
    """
    subject = noise.name[0].upper() + noise.name[1:]
    return (
        Claim(
            f"privacy-{noise.key}-free",
            f"{subject} that costs no accuracy lowers the AUC of the strongest attack by at least "
            f"{MARGIN:g}.",
            "open question",
            partial(free, noise),
            noise.after_looking,
        ),
        Claim(
            f"privacy-{noise.key}-early-stop",
            f"At the same accuracy, the AUC of the strongest attack is lower under {noise.name} at "
            "its strongest than without noise in training that stops early.",
            "open question",
            partial(better_than_stopping, noise),
            noise.after_looking,
        ),
        Claim(
            f"privacy-{noise.key}-as-dp",
            f"{subject} protects as far as tuned DP-SGD at ε = 8 of the same accuracy: the AUC of "
            f"the strongest attack is higher by at most {MARGIN:g}.",
            "open question",
            partial(as_dp, noise),
            noise.after_looking,
        ),
    )
