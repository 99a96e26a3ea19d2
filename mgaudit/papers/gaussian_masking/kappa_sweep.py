"""The audits behind figures 4 and 5: an MLP and a CNN, each trained under several kappas.

kappa is the standard deviation of the Gaussian mask; kappa = 0 is training without a mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mgaudit.papers.audits import run_audit
from mgaudit.papers.claim import Measured, Row
from mgaudit.papers.gaussian_masking.masks import mask
from mgaudit.papers.gaussian_masking.rows import column
from mgaudit.papers.paper import Resources
from mgaudit.papers.rows import interval_of
from mgaudit.reports.results import StudyResult
from mgaudit.settings.study_settings import StudySettings
from mgaudit.targets.training import Training

SWEPT_ATTACKS = ("lira", "shadow-classifier", "loss")
NAMES = {"mlp": "MLP", "cnn": "CNN"}


@dataclass(frozen=True)
class KappaSweep:
    """Audits of both networks at each of `kappas`, of which the first is 0.

    Each of `models` models is the target in turn, and is trained on half of the examples.
    """

    dataset: str
    kappas: tuple[float, ...]
    models: int
    epochs: int
    examples_mlp: int | None
    examples_cnn: int | None

    def of(self, target: str) -> StudySettings:
        """Returns the settings of the study of one network, `target`: "mlp" or "cnn"."""
        return StudySettings(
            dataset=self.dataset,
            target=target,
            models=self.models,
            examples=self.examples_mlp if target == "mlp" else self.examples_cnn,
            attacks=SWEPT_ATTACKS,
            schemes=tuple(mask(kappa) for kappa in self.kappas),
            training=Training(epochs=self.epochs),
        )


def studies(settings: KappaSweep, resources: Resources) -> dict[str, StudyResult]:
    """Returns the result of the study of each network, by its name in NAMES."""
    return {target: run_audit(settings.of(target), resources) for target in NAMES}


def points(
    rows: Sequence[Row], name: str, scale: float = 1.0
) -> tuple[list[float], list[float], list[list[float]]]:
    """Returns the kappas, the values of a column and the lengths of their error bars.

    `name` is the column, whose interval is in `name` + "_low" and "_high". Values and bars are
    multiplied by `scale`. The bars are two lists, below and above the values.
    """
    values = [value * scale for value in column(rows, name)]
    lows = [low * scale for low in column(rows, f"{name}_low")]
    highs = [high * scale for high in column(rows, f"{name}_high")]
    below = [value - low for value, low in zip(values, lows, strict=True)]
    above = [high - value for value, high in zip(values, highs, strict=True)]
    return column(rows, "kappa"), values, [below, above]


def strongest(rows: Sequence[Row]) -> Row:
    """Returns the row with the largest kappa."""
    return max(rows, key=lambda row: float(row["kappa"]))


def change(row: Row, quantity: str, at_least: float = -np.inf, at_most: float = np.inf) -> Measured:
    """Returns the column `change` of a row with its interval, and the range that a claim allows.

    It is the difference to training without a mask, paired over models. `quantity` describes it.
    """
    return Measured.with_interval(quantity, interval_of(row, "change"), at_least, at_most)


QUICK = KappaSweep(
    dataset="digits",
    kappas=(0.0, 0.2, 0.75, 1.5),
    models=6,
    epochs=20,
    examples_mlp=1000,
    examples_cnn=600,
)
FULL = KappaSweep(
    dataset="cifar10",
    kappas=(0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5),
    models=8,
    epochs=30,
    examples_mlp=10_000,
    examples_cnn=5_000,
)
ABOUT_NETWORKS = (
    "Our networks are the suite's own: an MLP (512, 256) and a small CNN without batch norm, "
    "trained by SGD with momentum for 30 epochs (20 at the quick scale) on half of the examples; "
    "the paper's are a GELU MLP of width 4,096 with dropout and a CNN with batch norm and dropout, "
    "trained for 80 to 120 epochs on other splits. "
)
