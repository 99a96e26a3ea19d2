"""Theorem 4.2 along training: its quantities, its condition, and the rest beside the regulariser.

kappa is the standard deviation of the mask.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import mean_interval
from mgaudit.compute import parallel
from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.biased_runs import moments_among, start
from mgaudit.papers.gaussian_masking.colours import shade
from mgaudit.papers.gaussian_masking.descent import ReluNetwork, descend
from mgaudit.papers.gaussian_masking.loss_trajectories import snapshot_steps
from mgaudit.papers.gaussian_masking.perturbations import Masks
from mgaudit.papers.gaussian_masking.rows import column, levels, select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.reports.figures.panels import legend, panels
from mgaudit.targets.fitting.trajectory import Regression
from mgaudit.targets.seeds import numpy_generator
from mgaudit.theory.loss_decomposition import decompose
from mgaudit.theory.rectified_normal import density, ratio
from mgaudit.theory.smoothed_relu import mask_moments
from mgaudit.theory.two_layer import TwoLayerWeights

A_TENTH = 0.1  # largest rest, relative to the regulariser, that counts as small
QUANTITIES = {
    "weight": ("R_w = max ‖w‖", "#000000", "-"),
    "product": ("R_u = max ‖w ⊙ x‖", "#0072B2", "--"),
    "value": ("B_y = max |y|", "#D55E00", "-."),
    "density": ("max φ(z / s)", "#009E73", ":"),
}


@dataclass(frozen=True)
class TermsInTraining:
    """The training of Fig. 3a under masks, with the terms of the loss at about `moments` moments.

    The learning rate is `speed` / `examples`.
    """

    kappas: tuple[float, ...]
    examples: int
    dimensions: int
    width: int
    steps: int
    seeds: int
    moments: int = 9
    speed: float = 2.5


Task = tuple[TermsInTraining, float, int]


def measure(settings: TermsInTraining, resources: Resources) -> Data:
    """Returns the `terms` and quantities at moments of training, for each kappa and seed."""
    tasks = [(settings, kappa, seed) for kappa in settings.kappas for seed in range(settings.seeds)]
    rows = [row for run in parallel.run(_run, tasks, resources.jobs) for row in run]
    rows.sort(key=lambda row: [float(row[name]) for name in ("kappa", "seed", "step")])
    return {"terms": rows, "width": [{"width": float(settings.width)}]}


def _run(task: Task) -> list[Row]:
    """Trains one network, and returns the row of each moment."""
    settings, kappa, seed = task
    regression, network = start(settings.examples, settings.dimensions, settings.width, seed)
    perturbed = Masks(kappa).steps(regression.inputs, numpy_generator(seed, "masks"))
    steps = moments_among(snapshot_steps(settings.steps), settings.moments)
    rate = settings.speed / settings.examples
    descent = descend(network, perturbed, regression.values, rate, steps)
    return [
        {
            "kappa": kappa,
            "seed": float(seed),
            "step": float(step),
            **_row(trained, regression, kappa),
        }
        for step, trained in zip(steps, descent, strict=True)
    ]


def _row(network: ReluNetwork, regression: Regression, kappa: float) -> Row:
    """Returns the terms of the theorem and the quantities that its statement names."""
    (weights,) = network.layers
    terms = decompose(
        TwoLayerWeights(weights, network.outer), regression.inputs, regression.values, kappa
    )
    z, s = mask_moments(weights, regression.inputs, kappa)
    return {
        "smoothed": terms.smoothed_mse,
        "regulariser": terms.regulariser,
        "rest": terms.rest,
        "variance": terms.variance_part,
        "weight": float(np.linalg.norm(weights, axis=1).max()),
        "product": float(s.max()) / kappa,
        "value": float(np.abs(regression.values).max()),
        "density": float(density(ratio(z, s)).max()),
    }


def draw(data: Data) -> Figure:
    """Returns the share of the rest along training, and the quantities of the theorem."""
    figure, (left, right) = panels(2, 3.0, sharey=False, columns=2)
    kappas = levels(data["terms"], "kappa")
    for index, kappa in enumerate(kappas):
        rows = select(data["terms"], kappa=kappa)
        colour = shade(index, len(kappas))
        for name, line in (("rest", "-"), ("variance", ":")):
            label = f"κ = {kappa:g}" if name == "rest" else None
            _draw_shares(left, rows, name, {"color": colour, "linestyle": line, "label": label})
    left.axhline(A_TENTH, color="0.4", linestyle="--", linewidth=1)
    left.set(xlabel="step", ylabel="|rest| / regulariser", yscale="log")
    rows = select(data["terms"], kappa=kappas[-1])
    steps = levels(rows, "step")
    for name, (label, colour, line) in QUANTITIES.items():
        largest = [max(column(select(rows, step=step), name)) for step in steps]
        right.plot(steps, largest, line, color=colour, label=label, linewidth=1.2)
    right.set(xlabel="step", ylabel=f"largest value, κ = {kappas[-1]:g}")
    for axes in (left, right):
        axes.set_xscale("symlog", linthresh=100)
        axes.set_xlim(left=0)
    legend(figure, left, right)
    return figure


def _draw_shares(axes: Axes, rows: list[Row], name: str, look: dict[str, Any]) -> None:
    """Draws the mean of |term| / regulariser over networks along training."""
    steps = levels(rows, "step")
    means = [float(np.mean(_shares(select(rows, step=step), name))) for step in steps]
    axes.plot(steps, means, linewidth=1.2, **look)


def _shares(rows: list[Row], name: str) -> list[float]:
    """Returns |term| / regulariser for each row."""
    return [abs(float(row[name])) / float(row["regulariser"]) for row in rows]


def condition_holds(data: Data) -> Measured:
    """Returns the largest B_y / (3 sqrt(m) R_w) of any network and moment: at most 1."""
    root = math.sqrt(float(data["width"][0]["width"]))
    shares = [float(row["value"]) / (3 * root * float(row["weight"])) for row in data["terms"]]
    quantity = f"largest B_y / (3 √m R_w) of {len(shares)} networks and moments"
    return Measured(quantity, max(shares), at_most=1.0)


def share_at_the_end(kappa: float) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that the rest of trained networks is at most a tenth of the regulariser."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the mean of |rest| / regulariser over trained networks."""
        rows = select(data["terms"], kappa=kappa)
        if not rows:
            return NotRun(f"the settings have no κ = {kappa:g}")
        last = select(rows, step=max(column(rows, "step")))
        quantity = f"|rest| / regulariser after training at κ = {kappa:g}, mean over networks"
        shares = mean_interval(_shares(last, "rest"))
        return Measured.with_interval(quantity, shares, at_most=A_TENTH)

    return check


def falls_in_training(data: Data) -> Measured:
    """Returns how the rest's share changes in training at the smallest kappa: it must fall."""
    kappa = levels(data["terms"], "kappa")[0]
    rows = select(data["terms"], kappa=kappa)
    steps = levels(rows, "step")
    first = _shares(select(rows, step=steps[0]), "rest")
    last = _shares(select(rows, step=steps[-1]), "rest")
    change = mean_interval([after - before for before, after in zip(first, last, strict=True)])
    quantity = f"|rest| / regulariser after training less before it at κ = {kappa:g}"
    return Measured.with_interval(quantity, change, at_most=0.0)


ABOUT = (
    "The statement of Theorem 4.2 names φ_max, ψ_max, B_y, R_u and R_w, and has the condition B_y "
    "≤ 3 √m R_w. The texts that we have define u = w ⊙ x and none of these quantities, nor do "
    "they give the bound on the rest. We read B_y as the largest |y|, R_w as the largest ‖w‖ and "
    "R_u as the largest ‖w ⊙ x‖; the largest φ(z / s), shown beside them, may be what φ_max "
    "bounds. We compute them, and the rest itself in closed form, along training under masks, "
    "where residuals become small; the other figure on this theorem has networks before training. "
    "Solid: the rest of the theorem; dotted: the rest with the exact mean in place of the proxy."
)
QUICK = TermsInTraining(kappas=(0.1, 0.5), examples=48, dimensions=8, width=32, steps=4000, seeds=5)
FULL = TermsInTraining(
    kappas=(0.1, 0.2, 0.5), examples=500, dimensions=20, width=100, steps=6000, seeds=4, moments=8
)
CLAIMS = (
    Claim(
        "condition",
        "The condition B_y ≤ 3 √m R_w holds all along training.",
        "Theorem 4.2, with our reading of its quantities",
        condition_holds,
    ),
    Claim(
        "trained-rest-0.1",
        "After training at κ = 0.1 the rest is at most a tenth of the regulariser.",
        "Theorem 4.2, taken as smoothed loss and regulariser alone",
        share_at_the_end(0.1),
    ),
    Claim(
        "trained-rest-0.5",
        "After training at κ = 0.5 the rest is at most a tenth of the regulariser.",
        "Theorem 4.2, taken as smoothed loss and regulariser alone",
        share_at_the_end(0.5),
    ),
    Claim(
        "rest-falls",
        "Training lowers the share of the rest, because residuals become small.",
        "ours, on Theorem 4.2",
        falls_in_training,
    ),
)
FIGURE = PaperFigure(
    key="thm42-training",
    title="Theorem 4.2 along training: its quantities, and the rest",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "Left: the share of the rest in the regulariser along training, for several κ, with the "
        "proxy (solid) and with the exact mean (dotted); dashed, a tenth. Right: the largest "
        "weights, products, values and densities along training."
    ),
    claims=CLAIMS,
)
