"""How often intervals contain the truth, where the attacked models are each other's shadows.

Models are drawn anew for every simulated audit, and every attack scores them anew, so that what an
interval has to cover includes the shadows. The statistic is the mean over targets of AUC or TPR, or
its paired difference between two arms of the same models and examples. The truth is the mean of the
statistic over many audits.

    python benchmarks/interval_coverage.py --draws 1000
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks import RMIA, Attack, LiRA, Observations, Stacked, score_every_target
from mgaudit.attacks.intervals import (
    Interval,
    Resampled,
    resample_counts,
    resampled_metrics,
    two_way_interval,
)
from mgaudit.attacks.jackknife import ModelGroups, number_of_groups, random_halves
from mgaudit.attacks.metrics import metrics
from mgaudit.attacks.rescoring import rescored

Floats = NDArray[np.float64]

EXAMPLES = 400
GROUP = 5  # near-duplicates of each other
RESAMPLES = 150
METRICS = ("auc", "tpr@0.01", "tpr@0.1")
SCALES = (1.0, 0.5)  # of the leak, in the plain arm and in the other arm, by default
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Law:
    """How phi of an example under a model is drawn: difficulty + leak if a member + noise.

    `noise` and `difficulty` draw arrays of a shape, and `leak` the leaks of examples. `spread` is
    the sd of the leak over models, relative to its mean. With `near_duplicates`, examples come in
    groups of GROUP that share difficulty, leak and most of the noise, and half of the leak of an
    example depends on how many of its group are members.
    """

    name: str
    difficulty: Callable[[np.random.Generator, tuple[int, ...]], Floats]
    leak: Callable[[np.random.Generator, tuple[int, ...]], Floats]
    noise: Callable[[np.random.Generator, tuple[int, ...]], Floats]
    spread: float = 0.0
    near_duplicates: bool = False


def normal(sd: float) -> Callable[[np.random.Generator, tuple[int, ...]], Floats]:
    """Returns a function that draws normal numbers of mean 0."""
    return lambda generator, shape: sd * generator.standard_normal(shape)


def heavy(scale: float) -> Callable[[np.random.Generator, tuple[int, ...]], Floats]:
    """Returns a function that draws from Student's t with 3 degrees of freedom."""
    return lambda generator, shape: scale * generator.standard_t(3, shape)


def constant(value: float) -> Callable[[np.random.Generator, tuple[int, ...]], Floats]:
    """Returns a function that returns the same leak for every example."""
    return lambda generator, shape: np.full(shape, value)


def lognormal(mean: float, sd: float) -> Callable[[np.random.Generator, tuple[int, ...]], Floats]:
    """Returns a function that draws numbers whose logarithm is normal."""
    return lambda generator, shape: generator.lognormal(mean, sd, shape)


LAWS = (
    Law("normal", normal(1.5), constant(0.6), normal(0.8)),
    Law("heavy-tailed", heavy(1.5), constant(0.6), heavy(0.8)),
    Law("lognormal leak", normal(1.5), lognormal(-1.5, 1.5), normal(0.8)),
    Law("weak leak", normal(1.5), constant(0.1), normal(0.8)),
    Law("near-duplicates", normal(1.5), lognormal(-0.5, 0.5), normal(0.8), near_duplicates=True),
    Law("models differ", normal(1.5), constant(0.6), normal(0.8), spread=0.3),
)


@dataclass(frozen=True)
class Draw:
    """Arms with the same membership, and the unit of each example (examples,)."""

    arms: tuple[Observations, ...]
    units: NDArray[np.int64]


def draw(
    law: Law, models: int, generator: np.random.Generator, scales: Sequence[float] = SCALES
) -> Draw:
    """Returns a simulated audit of an arm for each scale; arms differ in leak and noise."""
    membership = generator.random((models, EXAMPLES)) < 0.5
    units = np.arange(EXAMPLES) // GROUP if law.near_duplicates else np.arange(EXAMPLES)
    number = int(units.max()) + 1
    difficulty = 1 + law.difficulty(generator, (number,))[units]
    leak = law.leak(generator, (number,))[units]
    effect = membership.astype(np.float64)
    if law.near_duplicates:
        share = membership.reshape(models, number, GROUP).mean(axis=2)[:, units]
        effect = (effect + share) / 2
    arms = []
    for scale in scales:
        of_model = 1 + law.spread * generator.standard_normal((models, 1))
        noise = law.noise(generator, (models, number))[:, units]
        if law.near_duplicates:
            noise = noise + 0.3 * generator.standard_normal((models, EXAMPLES))
        phi = difficulty + scale * leak * of_model * effect + noise
        logits = np.zeros((models, EXAMPLES, 1, 2))
        logits[:, :, 0, 0] = phi
        arms.append(Observations(logits, np.zeros(EXAMPLES, dtype=np.int64), membership))
    return Draw(tuple(arms), units)


Statistic = tuple[str, str, str]  # attack, metric, and "plain arm" or "difference"


def statistics(drawn: Draw, attacks: Mapping[str, Attack]) -> dict[Statistic, float]:
    """Returns each statistic of one simulated audit, without intervals."""
    values: dict[Statistic, float] = {}
    for name, attack in attacks.items():
        of_arms = []
        for arm in drawn.arms:
            scores = score_every_target(attack, arm)
            pairs = zip(scores, arm.membership, strict=True)
            of_targets = [metrics(row, members) for row, members in pairs]
            of_arms.append({m: np.mean([values[m] for values in of_targets]) for m in METRICS})
        for metric in METRICS:
            values[name, metric, "plain arm"] = float(of_arms[0][metric])
            values[name, metric, "difference"] = float(of_arms[1][metric] - of_arms[0][metric])
    return values


def intervals(
    drawn: Draw, attacks: Mapping[str, Attack], generator: np.random.Generator
) -> dict[Statistic, Interval]:
    """Returns each statistic of one simulated audit with its 95 % interval."""
    units = drawn.units
    counts = resample_counts(int(units.max()) + 1, generator, RESAMPLES)[:, units]
    halves = random_halves(units, generator)
    trials = int(drawn.arms[0].membership.sum(axis=1).min())
    interval_of: dict[Statistic, Interval] = {}
    for name, attack in attacks.items():
        plain, other = (_resampled(attack, arm, counts, halves) for arm in drawn.arms)
        for metric in METRICS:
            change = other[metric] - plain[metric]
            interval_of[name, metric, "plain arm"] = two_way_interval(plain[metric], trials)
            interval_of[name, metric, "difference"] = two_way_interval(change, trials, (-1.0, 1.0))
    return interval_of


def _resampled(
    attack: Attack, arm: Observations, counts: NDArray[np.uint16], halves: NDArray[np.bool_]
) -> dict[str, Resampled]:
    groups = ModelGroups.of(np.arange(arm.models), number_of_groups(arm.models, attack.is_slow))
    targets = range(arm.models)
    scores, jackknife, _ = rescored(attack, arm, None, targets, groups, halves)
    return resampled_metrics(scores, arm.membership, counts, jackknife=jackknife)


@dataclass
class Coverage:
    """The intervals of one statistic over simulated audits, and its values over all audits."""

    intervals: list[Interval] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    @property
    def truth(self) -> float:
        """The mean of the statistic over all audits."""
        return float(np.mean(self.values))

    @property
    def covered(self) -> float:
        """The share of intervals that contain the truth."""
        truth = self.truth
        return float(np.mean([low <= truth <= high for _, low, high in self.intervals]))

    @property
    def width(self) -> float:
        """The median width, divided by that of the true sampling distribution's 95 % range."""
        median = float(np.median([high - low for _, low, high in self.intervals]))
        return median / (2 * NORMAL_95 * float(np.std(self.values)))


def coverage(
    law: Law, models: int, attacks: Mapping[str, Attack], draws: int, more: int, seed: int
) -> dict[Statistic, Coverage]:
    """Returns the coverage of each statistic in `draws` audits; `more` only improve the truth."""
    generator = np.random.default_rng([seed, models, LAWS.index(law)])
    coverage_of: dict[Statistic, Coverage] = {}
    for number in range(draws + more):
        drawn = draw(law, models, generator)
        if number < draws:
            of_draw = intervals(drawn, attacks, generator)
            for key, interval in of_draw.items():
                coverage_of.setdefault(key, Coverage()).intervals.append(interval)
            values = {key: interval.value for key, interval in of_draw.items()}
        else:
            values = statistics(drawn, attacks)
        for key, value in values.items():
            coverage_of.setdefault(key, Coverage()).values.append(value)
    return coverage_of


def rows(coverage_of: Mapping[Statistic, Coverage], law: Law, models: int) -> Iterator[str]:
    """Yields a row of the table in Markdown for each statistic."""
    for (attack, metric, kind), cover in coverage_of.items():
        yield (
            f"| {law.name} | {models} | {attack} | {metric} | {kind} | {cover.truth:.4f} | "
            f"{100 * cover.covered:.1f} | {cover.width:.2f} |"
        )


def main() -> None:
    """Prints the table of coverage for the laws and numbers of models that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--more", type=int, default=1000, help="audits for the truth alone")
    parser.add_argument("--models", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--law", nargs="+", default=[law.name for law in LAWS])
    parser.add_argument("--attack", nargs="+", default=["lira", "rmia"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    known: dict[str, Attack] = {"lira": LiRA(), "rmia": RMIA(), "stacked": Stacked()}
    attacks = {name: known[name] for name in options.attack}
    print("| law | models | attack | metric | of | truth | covered, % | relative width |")
    print("|---|---|---|---|---|---|---|---|")
    for models in options.models:
        for law in LAWS:
            if law.name in options.law:
                coverage_of = coverage(
                    law, models, attacks, options.draws, options.more, options.seed
                )
                for row in rows(coverage_of, law, models):
                    print(row, flush=True)


if __name__ == "__main__":
    main()
