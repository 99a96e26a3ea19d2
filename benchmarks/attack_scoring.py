"""Times the attacks and the ROC curves at the size of a large study, and measures their memory.

    OMP_NUM_THREADS=1 python benchmarks/attack_scoring.py

Random float32 logits with a planted gap between members and non-members; every model is the target
in turn. All times are medians of `--repeats` runs in this process, on data that is in memory
already and has no signal computed yet.
"""

import argparse
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import roc_curve

from mgaudit.attacks import ATTACKS, RMIA, Attack, LiRA, Observations, score_every_target
from mgaudit.attacks.intervals import resample_counts
from mgaudit.attacks.metrics import metrics
from mgaudit.attacks.roc import roc
from mgaudit.attacks.signals import logit_confidence

LOGITS_ONLY = {
    name: attack
    for name, attack in ATTACKS.items()
    if attack.needs <= {"shadows", "population"} and not attack.is_slow
}


@dataclass(frozen=True)
class Line:
    """A line of the table: the measured quantity, its value with unit, and its limit."""

    what: str
    value: float
    unit: str
    goal: str = ""


def planted(
    models: int, examples: int, classes: int, population: int, generator: np.random.Generator
) -> Observations:
    """Returns observations with label logits N(2, 1), N(3, 1) for members, and others N(0, 1)."""
    membership = generator.random((models, examples)) < 0.5
    labels, population_labels = (
        generator.integers(0, classes, count) for count in (examples, population)
    )
    logits, others = (
        generator.standard_normal((models, count, 1, classes), dtype=np.float32)
        for count in (examples, population)
    )
    logits[:, np.arange(examples), 0, labels] += 2 + membership.astype(np.float32)
    others[:, np.arange(population), 0, population_labels] += 2
    return Observations(logits, labels, membership, others, population_labels)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def score(observations: Observations, *attacks: Attack) -> None:
    for attack in attacks:
        score_every_target(attack, observations)


def rmia_with_shares(observations: Observations) -> None:
    attack = RMIA()
    for target in range(observations.models):
        view = observations.view(target)
        attack.score(view)
        attack.population_share(view)


def plain_lira(phi: np.ndarray, membership: np.ndarray) -> None:
    """LiRA as a loop over targets, with new means and standard deviations of shadows for each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an example may have no shadow on one side
        for target in range(len(phi)):
            shadows, members = np.delete(phi, target, axis=0), np.delete(membership, target, axis=0)
            density = []
            for side in (members, ~members):
                values = np.where(side, shadows, np.nan)
                mean, sd = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
                density.append(-0.5 * ((phi[target] - mean) / sd) ** 2 - np.log(sd))
            density[0] - density[1]


def resampled(scores: np.ndarray, membership: np.ndarray, counts: np.ndarray) -> None:
    for start in range(0, len(counts), 64):
        curve = roc(scores, membership, counts[start : start + 64])
        curve.auc(), curve.tpr_at(0.01), curve.tpr_at(0.001)


def ratio(theirs: Callable[[], object], ours: Callable[[], object], repeats: int) -> float:
    """Returns how many times as long theirs takes: the median over interleaved pairs of runs."""
    return statistics.median([seconds(theirs) / seconds(ours) for _ in range(repeats)])


def peak_memory(
    models: int, examples: int, classes: int, population: int, generator: np.random.Generator
) -> float:
    """Returns the peak memory of scoring logits-only attacks, relative to that of the logits."""
    tracemalloc.start()
    observations = planted(models, examples, classes, population, generator)
    tracemalloc.reset_peak()
    for attack in LOGITS_ONLY.values():
        score(observations, attack())
    rmia_with_shares(observations)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert observations.population_logits is not None
    return peak / (observations.logits.nbytes + observations.population_logits.nbytes)


def table(
    models: int,
    examples: int,
    classes: int,
    population: int,
    resamples: int,
    repeats: int,
    seed: int,
) -> list[Line]:
    generator = np.random.default_rng(seed)
    memory = peak_memory(models, examples, classes, population, generator)
    observations = planted(models, examples, classes, population, generator)

    def median(work: Callable[[Observations], object]) -> float:
        found = []
        for _ in range(repeats):
            fresh = replace(observations)  # the same arrays, and no signals yet
            found.append(seconds(lambda fresh=fresh: work(fresh)))
        return statistics.median(found)

    lines = [
        Line(
            "φ, then LiRA online and offline, with every model as the target in turn",
            median(lambda o: score(o, LiRA(), LiRA(online=False))),
            "s",
            "<= 1",
        ),
        Line("RMIA, scores and shares of the population", median(rmia_with_shares), "s", "<= 10"),
    ]

    scores = score_every_target(LiRA(), observations)
    counts = resample_counts(examples, generator, resamples)
    one = (scores[0], observations.membership[0], counts)
    what = f"{resamples:,} resamples of one target:"
    lines += [
        Line(
            f"{what} AUC, TPR @ 1 % and 0.1 % FPR", median(lambda _: resampled(*one)), "s", "<= 1"
        ),
        Line(f"{what} all metrics", median(lambda _: metrics(*one)), "s"),
    ]

    for name, attack in LOGITS_ONLY.items():
        lines.append(
            Line(
                name,
                median(lambda o, attack=attack: score(o, attack())),
                "s",
            )
        )
    together = median(lambda o: score(o, *(attack() for attack in LOGITS_ONLY.values())))
    lines.append(Line("all of these attacks together, with shared signals", together, "s", "<= 60"))

    def from_logits() -> None:
        plain_lira(
            np.stack([logit_confidence(z, observations.labels)[:, 0] for z in observations.logits]),
            observations.membership,
        )

    pairs = list(zip(scores, observations.membership, strict=True))
    lines += [
        Line(
            "time of a loop over targets with `nanmean` and `nanstd`, relative to our LiRA",
            ratio(from_logits, lambda: score(replace(observations), LiRA()), repeats),
            "×",
        ),
        Line(
            "time of scikit-learn's `roc_curve` target by target, relative to our ROC curves",
            ratio(
                lambda: [
                    roc_curve(members, values, drop_intermediate=False) for values, members in pairs
                ],
                lambda: [roc(*pair) for pair in pairs],
                repeats,
            ),
            "×",
        ),
        Line(
            "peak memory, including the logits, relative to the size of the logits",
            memory,
            "×",
            "<= 3",
        ),
    ]
    return lines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (
        ("models", 64),
        ("examples", 20_000),
        ("classes", 10),
        ("population", 10_000),
        ("resamples", 1000),
        ("repeats", 3),
        ("seed", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    sizes = vars(parser.parse_args(arguments))
    print("  ".join(f"{name}={value}" for name, value in sizes.items()))
    print("\n| measurement | value | aim |\n|---|---|---|")
    for line in table(**sizes):
        print(f"| {line.what} | {line.value:.2f} {line.unit} | {line.goal} |")


if __name__ == "__main__":
    main()
