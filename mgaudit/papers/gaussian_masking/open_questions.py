"""Open questions of the paper: large kappa, fixed masks, deeper networks, compared with DP-SGD.

kappa is the standard deviation of the Gaussian mask. A fresh mask is drawn at each use of an
example, and a fixed mask once for each example. An arm is the part of a study with one scheme of
training.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import Interval
from mgaudit.papers.audits import accuracy_row, arm_of, attack_rows, run_audit
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.masks import mask
from mgaudit.papers.gaussian_masking.rows import column, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import interval_of
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.settings.study_settings import StudySettings
from mgaudit.targets.training import Training

PRIVATE = "dp-sgd:epsilon=8"
ARM_LOOKS = {
    "fresh masks": ("#0072B2", "s"),
    "fixed masks": ("#56B4E9", "v"),
    "DP-SGD": ("#D55E00", "D"),
}


@dataclass(frozen=True)
class OpenQuestions:
    """Audits of an MLP under masks and DP-SGD, and of MLPs of several depths at one kappa.

    A network of depth d has d - 1 hidden layers of `width`.
    """

    dataset: str
    examples: int | None
    kappas: tuple[float, ...]
    fixed_kappas: tuple[float, ...]
    depths: tuple[int, ...]
    depth_kappa: float
    models: int = 8
    epochs: int = 30
    width: int = 128

    def masks(self) -> StudySettings:
        """Returns the settings of the study with fresh masks, fixed masks and DP-SGD."""
        fresh = [mask(kappa) for kappa in self.kappas]
        fixed = [mask(kappa, fixed=True) for kappa in self.fixed_kappas]
        return self._study("mlp", ("none", *fresh, *fixed, PRIVATE))

    def depth(self, depth: int) -> StudySettings:
        """Returns the settings of the study of one depth, without and with a mask."""
        hidden_layers = [str(self.width)] * (depth - 1)
        target = f"mlp:hidden={'x'.join(hidden_layers)}"
        return self._study(target, ("none", mask(self.depth_kappa)))

    def _study(self, target: str, schemes: tuple[str, ...]) -> StudySettings:
        """Returns the settings of a study of one network under several schemes."""
        return StudySettings(
            dataset=self.dataset,
            target=target,
            models=self.models,
            examples=self.examples,
            attacks=("lira",),
            schemes=schemes,
            training=Training(epochs=self.epochs),
        )


def measure(settings: OpenQuestions, resources: Resources) -> Data:
    """Returns accuracy and LiRA's AUC of the `arms`, and the changes at each of the `depths`."""
    study = run_audit(settings.masks(), resources)
    rows = [_arm_row(study, kind, kappa, scheme) for kind, kappa, scheme in _schemes(settings)]
    depth_rows: list[Row] = []
    for depth in settings.depths:
        kappa = settings.depth_kappa
        depth_study = run_audit(settings.depth(depth), resources)
        arm = arm_of(depth_study, mask(kappa))
        depth_rows.append({"depth": float(depth), "kappa": kappa, **_numbers(arm)})
    return {"arms": rows, "depths": depth_rows}


def _schemes(settings: OpenQuestions) -> list[tuple[str, float, str]]:
    """Returns the kind, the kappa (0 without a mask) and the scheme of each arm."""
    fresh = [("fresh masks", kappa, mask(kappa)) for kappa in settings.kappas]
    fixed = [("fixed masks", kappa, mask(kappa, fixed=True)) for kappa in settings.fixed_kappas]
    return [("none", 0.0, "none"), *fresh, *fixed, ("DP-SGD", 0.0, PRIVATE)]


def _arm_row(study: StudyResult, kind: str, kappa: float, scheme: str) -> Row:
    """Returns the row of the arm with this scheme; `kind` and `kappa` are its labels."""
    numbers = _numbers(arm_of(study, scheme))
    return {"kind": kind, "kappa": kappa, **numbers}


def _numbers(arm: AuditResult) -> Row:
    """Returns test accuracy, LiRA's AUC with adaptive shadow models, and their changes.

    Changes are relative to training without noise. All have intervals.
    """
    accuracy: Row = {}
    for name, value in accuracy_row(arm).items():
        accuracy[name.replace("change", "accuracy_change")] = value
    (attack, *_) = select(attack_rows(arm), adversary="adaptive")
    del attack["adversary"]
    return {**accuracy, **attack}


def draw(data: Data) -> Figure:
    """Returns accuracy against LiRA's AUC for all arms, and LiRA's change at each depth."""
    figure, (left, right) = panels(2, 3.2, sharey=False, columns=2)
    _draw_arms(left, data)
    _draw_depths(right, data)
    legend(figure, left)
    return figure


def _draw_arms(axes: Axes, data: Data) -> None:
    """Draws test accuracy against LiRA's AUC, a mark with error bars for each arm."""
    look: dict[str, Any] = {"markersize": 5, "linestyle": ""}
    plain = select(data["arms"], kind="none")[0]
    axes.errorbar(*_point(plain), color="#000000", marker="o", label="no noise", **look)
    for kind, (colour, marker) in ARM_LOOKS.items():
        rows = select(data["arms"], kind=kind)
        rows.sort(key=lambda row: float(row["kappa"]))
        for index, row in enumerate(rows):
            label = kind if index == 0 else None  # one entry in the legend for each kind
            axes.errorbar(*_point(row), color=colour, marker=marker, label=label, **look)
            if kind != "DP-SGD":
                _annotate(axes, row)
    axes.set(xlabel="AUC of LiRA", ylabel="test accuracy, %")


def _annotate(axes: Axes, row: Row) -> None:
    """Writes the kappa of an arm beside its mark."""
    auc = float(row["auc"])
    accuracy = float(row["accuracy"])
    axes.annotate(
        f"κ = {row['kappa']:g}",
        (auc, accuracy * 100),
        xytext=(4, 4),
        textcoords="offset points",
        fontsize=7,
    )


def _draw_depths(axes: Axes, data: Data) -> None:
    """Draws how much the mask changes LiRA's AUC, against the depth of the network."""
    rows = data["depths"]
    depths = column(rows, "depth")
    changes = [interval_of(row, "change") for row in rows]
    values = [change.value for change in changes]
    below = [change.value - change.low for change in changes]
    above = [change.high - change.value for change in changes]
    look: dict[str, Any] = {"marker": "s", "markersize": 5, "linestyle": "", "capsize": 2}
    axes.errorbar(depths, values, [below, above], color="#0072B2", **look)
    axes.axhline(0, color="0.6", linewidth=0.8)
    kappa = f"κ = {rows[0]['kappa']:g}"
    axes.set(xlabel="depth", ylabel=f"change of LiRA's AUC at {kappa}", xticks=depths)


def _point(row: Row) -> tuple[list[float], list[float], list[list[float]], list[list[float]]]:
    """Returns AUC and accuracy in percent, and the error bars of accuracy and of AUC."""
    auc = interval_of(row, "auc")
    accuracy = interval_of(row, "accuracy")
    accuracy_bars = _error_bars(accuracy, scale=100)
    auc_bars = _error_bars(auc, scale=1)
    return [auc.value], [accuracy.value * 100], accuracy_bars, auc_bars


def _error_bars(interval: Interval, scale: float) -> list[list[float]]:
    """Returns the lengths of the bars below and above a value, both multiplied by `scale`."""
    below = (interval.value - interval.low) * scale
    above = (interval.high - interval.value) * scale
    return [[below], [above]]


def _strongest(data: Data, kind: str) -> Row:
    """Returns the row of the arm with the largest kappa, of the arms of one kind."""
    rows = select(data["arms"], kind=kind)
    return max(rows, key=lambda row: float(row["kappa"]))


def large_kappa_protects(data: Data) -> Measured:
    """Returns the change of LiRA's AUC at the largest kappa, which must not be positive."""
    row = _strongest(data, "fresh masks")
    quantity = f"AUC of LiRA at κ = {row['kappa']:g} less that at κ = 0"
    return Measured.with_interval(quantity, interval_of(row, "change"), at_most=0.0)


def large_kappa_is_free(data: Data) -> Measured:
    """Returns the change of accuracy at the largest kappa, at least minus one percentage point."""
    row = _strongest(data, "fresh masks")
    quantity = f"test accuracy at κ = {row['kappa']:g} less that at κ = 0, as a fraction"
    return Measured.with_interval(quantity, interval_of(row, "accuracy_change"), at_least=-0.01)


def fixed_masks_protect(data: Data) -> Measured:
    """Returns the change of LiRA's AUC under fixed masks, which must not be positive."""
    row = _strongest(data, "fixed masks")
    quantity = f"AUC of LiRA at fixed κ = {row['kappa']:g} less that at κ = 0"
    return Measured.with_interval(quantity, interval_of(row, "change"), at_most=0.0)


def like_dp(data: Data) -> Measured:
    """Returns LiRA's AUC at the largest kappa minus its AUC under DP-SGD: at most 0."""
    row = _strongest(data, "fresh masks")
    ours = interval_of(row, "auc")
    theirs = interval_of(_strongest(data, "DP-SGD"), "auc")
    difference = _independent_difference(ours, theirs)
    quantity = f"AUC of LiRA at κ = {row['kappa']:g} less that under DP-SGD at ε = 8"
    return Measured.with_interval(quantity, difference, at_most=0.0)


def _independent_difference(ours: Interval, theirs: Interval) -> Interval:
    """Returns the difference of two estimates with the interval of independent ones.

    That is conservative, because both arms have the same members and examples.
    """
    value = ours.value - theirs.value
    above = float(np.hypot(ours.high - ours.value, theirs.value - theirs.low))
    below = float(np.hypot(theirs.high - theirs.value, ours.value - ours.low))
    return Interval(value, value - below, value + above)


def depth_protects(depth: int, data: Data) -> Measured | NotRun:
    """Returns the change of LiRA's AUC on a network of a depth, which must not be positive."""
    rows = select(data["depths"], depth=depth)
    if not rows:
        return NotRun(f"the settings have no depth {depth}")
    row = rows[0]
    quantity = f"AUC of LiRA at κ = {row['kappa']:g} less that at κ = 0, at depth {depth}"
    return Measured.with_interval(quantity, interval_of(row, "change"), at_most=0.0)


def _depth_claim(depth: int) -> Claim:
    """Returns the claim that a mask protects a network of this depth."""
    return Claim(
        f"depth-{depth}",
        f"Masks of κ = 1 protect a network of depth {depth}.",
        "open question",
        partial(depth_protects, depth),
    )


ABOUT = (
    "The paper leaves these open, and so there is nothing to reproduce: each statement is "
    "what its argument for masks suggests, put to the test by audits of MLPs with LiRA, whose "
    "shadows know of the mask. A fixed mask is drawn once for each example and model, so that "
    "the network sees the same input again and again."
)
QUICK = OpenQuestions(
    "digits",
    1000,
    kappas=(1.0, 3.0),
    fixed_kappas=(1.0,),
    depths=(2, 3, 4, 5, 6),
    depth_kappa=1.0,
    epochs=20,
)
FULL = OpenQuestions(
    "cifar10",
    5_000,
    kappas=(1.0, 2.0, 3.0),
    fixed_kappas=(0.5, 1.0),
    depths=(2, 3, 4, 5, 6),
    depth_kappa=1.0,
)
CLAIMS = (
    Claim("large-kappa", "A very large κ protects.", "open question", large_kappa_protects),
    Claim(
        "large-kappa-cost",
        "Test accuracy at the largest κ is lower by a point at most.",
        "open question",
        large_kappa_is_free,
    ),
    Claim(
        "fixed-masks",
        "Masks that stay the same protect, too.",
        "open question",
        fixed_masks_protect,
    ),
    Claim("formal-dp", "Masks protect as far as DP-SGD at ε = 8.", "open question", like_dp),
    *(_depth_claim(depth) for depth in (2, 3, 4, 5, 6)),
)
FIGURE = PaperFigure(
    key="open-questions",
    title="Open questions: large κ, fixed masks, depth, DP-SGD",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "Accuracy against LiRA's AUC under fresh and fixed masks and DP-SGD; what masks "
        "change at each depth."
    ),
    claims=CLAIMS,
)
