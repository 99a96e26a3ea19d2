"""What the paper leaves open: large kappa, masks that stay, deeper networks, and DP-SGD beside them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.audits import accuracy_row, arm_of, attack_rows, mask, run_audit
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.reports.results import AuditResult
from mgaudit.settings.study_settings import StudySettings
from mgaudit.targets.training import Training

PRIVATE = "dp-sgd:epsilon=8"
ARM_LOOKS = {"fresh masks": ("#0072B2", "s"), "fixed masks": ("#56B4E9", "v"), "DP-SGD": ("#D55E00", "D")}


@dataclass(frozen=True)
class OpenQuestions:
    """Audits of an MLP under large and under fixed masks and DP-SGD, and of MLPs of several depths at one kappa.

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
        """Returns the study of kappa, of fixed masks and of DP-SGD."""
        fixed = tuple(mask(kappa, fixed=True) for kappa in self.fixed_kappas)
        return self._study("mlp", ("none", *map(mask, self.kappas), *fixed, PRIVATE))

    def depth(self, depth: int) -> StudySettings:
        """Returns the study of one depth."""
        widths = "x".join([str(self.width)] * (depth - 1))
        return self._study(f"mlp:hidden={widths}", ("none", mask(self.depth_kappa)))

    def _study(self, target: str, schemes: tuple[str, ...]) -> StudySettings:
        return StudySettings(
            dataset=self.dataset,
            target=target,
            models=self.models,
            examples=self.examples,
            attacks=("lira",),
            schemes=schemes,
            training=Training(epochs=self.epochs),
        )


def measure(settings: OpenQuestions, workshop: Workshop) -> Data:
    """Returns accuracy and LiRA's AUC of each of the `arms`, and at each of the `depths` what the mask changes."""
    study = run_audit(settings.masks(), workshop)
    arms = [("none", 0.0, "none"), *(("fresh masks", kappa, mask(kappa)) for kappa in settings.kappas)]
    arms += [("fixed masks", kappa, mask(kappa, fixed=True)) for kappa in settings.fixed_kappas]
    arms += [("DP-SGD", 0.0, PRIVATE)]
    rows: list[Row] = []
    for kind, kappa, scheme in arms:
        arm = arm_of(study, scheme)
        rows.append(_joined(accuracy_row(arm), _adaptive(arm), kind=kind, kappa=kappa))
    depths = []
    for depth in settings.depths:
        arm = arm_of(run_audit(settings.depth(depth), workshop), mask(settings.depth_kappa))
        depths.append(_joined(accuracy_row(arm), _adaptive(arm), depth=float(depth), kappa=settings.depth_kappa))
    return {"arms": rows, "depths": depths}


def _adaptive(arm: AuditResult) -> Row:
    return next(row for row in attack_rows(arm) if row["adversary"] == "adaptive")


def _joined(accuracy: Row, attack: Row, **named: str | float) -> Row:
    renamed = {key.replace("change", "accuracy_change"): value for key, value in accuracy.items()}
    return {**named, **renamed, **{key: value for key, value in attack.items() if key != "adversary"}}


def draw(data: Data) -> Figure:
    """Returns accuracy against LiRA's AUC for all arms, and what the mask changes at each depth."""
    figure, (left, right) = panels(2, 3.2, sharey=False, columns=2)
    plain = next(row for row in data["arms"] if row["kind"] == "none")
    left.errorbar(*_point(plain), color="#000000", marker="o", markersize=5, linestyle="", label="no noise")
    for kind, (colour, mark) in ARM_LOOKS.items():
        rows = [row for row in data["arms"] if row["kind"] == kind]
        points = sorted(rows, key=lambda row: float(row["kappa"]))
        for place, row in enumerate(points):
            named: dict[str, Any] = {"label": kind} if place == 0 else {}
            left.errorbar(*_point(row), color=colour, marker=mark, markersize=5, linestyle="", **named)
            if kind != "DP-SGD":
                spot = (float(row["auc"]), float(row["accuracy"]) * 100)
                left.annotate(f"κ = {row['kappa']:g}", spot, xytext=(4, 4), textcoords="offset points", fontsize=7)
    left.set(xlabel="AUC of LiRA", ylabel="test accuracy, %")
    changes = [float(row["change"]) for row in data["depths"]]
    reach = [
        [float(row["change"]) - float(row["change_low"]) for row in data["depths"]],
        [float(row["change_high"]) - float(row["change"]) for row in data["depths"]],
    ]
    depths = [float(row["depth"]) for row in data["depths"]]
    right.errorbar(depths, changes, reach, color="#0072B2", marker="s", markersize=5, linestyle="", capsize=2)
    right.axhline(0, color="0.6", linewidth=0.8)
    right.set(xlabel="depth", ylabel=f"change of LiRA's AUC at κ = {data['depths'][0]['kappa']:g}", xticks=depths)
    legend(figure, left)
    return figure


def _point(row: Row) -> tuple[list[float], list[float], list[list[float]], list[list[float]]]:
    def reach(name: str, scale: float) -> list[list[float]]:
        value = float(row[name])
        return [[(value - float(row[f"{name}_low"])) * scale], [(float(row[f"{name}_high"]) - value) * scale]]

    return [float(row["auc"])], [float(row["accuracy"]) * 100], reach("accuracy", 100), reach("auc", 1)


def _arm(data: Data, kind: str) -> Row:
    """Returns the strongest arm of that kind."""
    return max((row for row in data["arms"] if row["kind"] == kind), key=lambda row: float(row["kappa"]))


def large_kappa_protects(data: Data) -> Measured:
    """At the largest kappa LiRA finds less than without a mask."""
    row = _arm(data, "fresh masks")
    return _changed(row, "change", f"AUC of LiRA at κ = {row['kappa']:g} less that at κ = 0", at_most=0.0)


def large_kappa_is_free(data: Data) -> Measured:
    """The largest kappa costs no more than a point of accuracy."""
    row = _arm(data, "fresh masks")
    told = f"test accuracy at κ = {row['kappa']:g} less that at κ = 0, as a fraction"
    return _changed(row, "accuracy_change", told, at_least=-0.01)


def fixed_masks_protect(data: Data) -> Measured:
    """Masks that stay the same for each example bring LiRA down."""
    row = _arm(data, "fixed masks")
    return _changed(row, "change", f"AUC of LiRA at fixed κ = {row['kappa']:g} less that at κ = 0", at_most=0.0)


def like_dp(data: Data) -> Measured:
    """The largest kappa brings LiRA as far down as DP-SGD at epsilon 8 does."""
    ours, theirs = _arm(data, "fresh masks"), _arm(data, "DP-SGD")
    value = float(ours["auc"]) - float(theirs["auc"])
    # Taken as independent, which is cautious: both arms have the same members and examples.
    half = [
        float(np.hypot(float(one["auc_high"]) - float(one["auc"]), float(two["auc"]) - float(two["auc_low"])))
        for one, two in ((ours, theirs), (theirs, ours))
    ]
    return Measured(
        f"AUC of LiRA at κ = {ours['kappa']:g} less that under DP-SGD at ε = 8",
        value,
        at_most=0.0,
        low=value - half[1],
        high=value + half[0],
    )


def depth_protects(depth: int, data: Data) -> Measured | NotRun:
    """The mask brings LiRA down on a network of that depth."""
    row = next((one for one in data["depths"] if one["depth"] == depth), None)
    if row is None:
        return NotRun(f"depth {depth} is not among those that were run")
    told = f"AUC of LiRA at κ = {row['kappa']:g} less that at κ = 0, at depth {depth}"
    return _changed(row, "change", told, at_most=0.0)


def _changed(row: Row, name: str, quantity: str, at_least: float = -np.inf, at_most: float = np.inf) -> Measured:
    return Measured(
        quantity, float(row[name]), at_least, at_most, float(row[f"{name}_low"]), float(row[f"{name}_high"])
    )


FIGURE = PaperFigure(
    key="open-questions",
    title="Open questions: large κ, fixed masks, depth, DP-SGD",
    about=(
        "The paper leaves these open, and so there is nothing to reproduce: each statement is what its argument for "
        "masks suggests, put to the test by audits of MLPs with LiRA, whose shadows know of the mask. A fixed mask is "
        "drawn once for each example and model, so that the network sees the same input again and again."
    ),
    quick=OpenQuestions(
        "digits", None, kappas=(1.0, 2.0, 3.0), fixed_kappas=(1.0,), depths=(2, 3, 4, 5), depth_kappa=1.0
    ),
    full=OpenQuestions(
        "cifar10", 5_000, kappas=(1.0, 2.0, 3.0), fixed_kappas=(0.5, 1.0), depths=(2, 3, 4, 5), depth_kappa=1.0
    ),
    measure=measure,
    draw=draw,
    description="Accuracy against LiRA's AUC under fresh and fixed masks and DP-SGD; what masks change at each depth.",
    claims=(
        Claim("large-kappa", "A very large κ protects.", "open question", large_kappa_protects),
        Claim(
            "large-kappa-cost",
            "Test accuracy at the largest κ is lower by a point at most.",
            "open question",
            large_kappa_is_free,
        ),
        Claim("fixed-masks", "Masks that stay the same protect, too.", "open question", fixed_masks_protect),
        Claim("formal-dp", "Masks protect as far as DP-SGD at ε = 8.", "open question", like_dp),
        *(
            Claim(
                f"depth-{depth}",
                f"Masks of κ = 1 protect a network of depth {depth}.",
                "open question",
                lambda data, depth=depth: depth_protects(depth, data),  # type: ignore[misc]
            )
            for depth in (2, 3, 4, 5)
        ),
    ),
)
