"""Studies of simulated models, in which the attacked models are each other's shadow models.

The outputs of the models are drawn as in benchmarks/interval_coverage.py. They are attacked,
rescored without groups of models and resampled by the functions with which a study does so, so the
intervals are those of a study.
"""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.samples import Samples
from mgaudit.attacks import Attack, Observations, score_every_target
from mgaudit.attacks.intervals import Resampled, resample_counts, resampled_metrics
from mgaudit.attacks.jackknife import ModelGroups, number_of_groups, random_halves
from mgaudit.attacks.metrics import metrics
from mgaudit.attacks.rescoring import rescored
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import AuditResult
from tests.fake_study import arm

Floats = NDArray[np.float64]

SOURCE = Path(__file__).parents[1] / "benchmarks" / "interval_coverage.py"
SPEC = importlib.util.spec_from_file_location("interval_coverage", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
interval_coverage: Any = importlib.util.module_from_spec(SPEC)
sys.modules["interval_coverage"] = interval_coverage  # where dataclasses look their module up
SPEC.loader.exec_module(interval_coverage)

LAWS: dict[str, Any] = {law.name: law for law in interval_coverage.LAWS}
EXAMPLES: int = interval_coverage.EXAMPLES
FPR = 0.1
TPR = "tpr@0.1"  # the TPR of the verdict with 400 examples
NAMES = ("none", *(f"gaussian-mask:kappa={number}" for number in range(1, 8)))
GRID = np.linspace(0.0, 2.0, 9)  # scales of the leak, among which those of an AUC are interpolated


@dataclass(frozen=True)
class Study:
    """The metrics of each arm of a study, by name, and the membership (models, examples)."""

    arms: list[dict[str, Resampled]]
    membership: NDArray[np.bool_]

    def of_arms(self, chosen: Sequence[int], has_plain: bool) -> tuple[list[AuditResult], Arrays]:
        """Returns the results and the arrays of some arms, the first of which may be plain."""
        models = len(self.membership)
        names = NAMES if has_plain else NAMES[1:]
        results = []
        arrays: Arrays = {"membership": self.membership}
        for position, index in enumerate(chosen):
            results.append(self._result(names[position], models))
            for metric in ("auc", TPR):
                arrays |= Samples.arrays(position, "lira", metric, self.arms[index][metric])
        return results, arrays

    def _result(self, name: str, models: int) -> AuditResult:
        """Returns the record of an arm with one attack, which has the name "lira" throughout."""
        result = arm(name, name, 0.5, None)
        fewest = int((~self.membership).sum(axis=1).min())
        changes = {"targets": list(range(models)), "non_members": fewest}
        attack = result.attacks[0].model_copy(update=changes)
        return result.model_copy(update={"attacks": [attack]})


@dataclass(frozen=True)
class Studies:
    """Simulated studies of `models` models, with an arm for each of the `scales` of the leak."""

    law: Any
    attack: Attack
    models: int
    scales: tuple[float, ...]
    resamples: int = 150

    def values(self, draws: int, seed: int) -> Floats:
        """Returns the mean AUC and TPR over targets (draws, arms, 2), without intervals."""
        generator = np.random.default_rng([1, seed, self.models])
        of_draws = []
        for _ in range(draws):
            drawn = interval_coverage.draw(self.law, self.models, generator, self.scales)
            of_draws.append([self._means(observed) for observed in drawn.arms])
        return np.array(of_draws)

    def _means(self, observed: Observations) -> list[float]:
        scores = score_every_target(self.attack, observed)
        of_targets = [metrics(*pair) for pair in zip(scores, observed.membership, strict=True)]
        return [float(np.mean([row[name] for row in of_targets])) for name in ("auc", TPR)]

    def studies(self, draws: int, seed: int) -> Iterator[Study]:
        """Yields studies whose metrics have resamples and a jackknife."""
        generator = np.random.default_rng([2, seed, self.models])
        for _ in range(draws):
            drawn = interval_coverage.draw(self.law, self.models, generator, self.scales)
            counts = resample_counts(EXAMPLES, generator, self.resamples)
            halves = random_halves(drawn.units, generator)
            arms = [self._resampled(observed, counts, halves) for observed in drawn.arms]
            yield Study(arms, drawn.arms[0].membership)

    def _resampled(
        self, observed: Observations, counts: NDArray[np.uint16], halves: NDArray[np.bool_]
    ) -> dict[str, Resampled]:
        targets = range(self.models)
        number = number_of_groups(self.models, self.attack.is_slow)
        groups = ModelGroups.of(np.arange(self.models), number)
        scores, jackknife, _ = rescored(self.attack, observed, None, targets, groups, halves)
        return resampled_metrics(scores, observed.membership, counts, jackknife=jackknife)


def scales_of(
    law: Any, attack: Attack, models: int, expected: Sequence[float], metric: str = "auc"
) -> tuple[float, ...]:
    """Returns the scales of the leak at which a metric has the expected values, by simulation."""
    values = Studies(law, attack, models, tuple(GRID)).values(draws=1000 // models, seed=0)
    means = values.mean(axis=0)[:, ["auc", TPR].index(metric)]
    assert max(expected) < means[-1]
    return tuple(float(scale) for scale in np.interp(expected, means, GRID))
