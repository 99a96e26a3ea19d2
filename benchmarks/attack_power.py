"""How strong each attack is with how many shadows, from one trained pool of models.

    python benchmarks/attack_power.py DATASET --models 33 --examples 10000 --schemes none dp-sgd

trains (or takes from the store) an arm for each scheme. For each of the last `--targets` models and
each number of shadows it draws that many of the other models, fewer being part of more, and mounts
every attack with them. Printed in Markdown: the mean over targets of AUC and of the TPR at 1 % and
0.1 % FPR, with 95 % intervals for new targets and new examples; paired differences; and, for each
number of shadows, the paired difference of the stacked attack and the best of the other attacks
that know as much. `--best-only` prints this last table only.

BaVarIA's regression was chosen on CIFAR-10, an MLP and no noise; the settings of the stacked attack
on ensembles with the seeds 101 to 103; its fallback with few shadows, and the defaults of BaVarIA,
LiRA and the reference attack, with the seed 301. Results with the seed 201 are in
benchmarks/results/attack_power.md.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks import (
    RMIA,
    Attack,
    BaVarIA,
    ConfidenceThreshold,
    LiRA,
    Observations,
    Reference,
    ShadowClassifier,
    Stacked,
    score_every_target,
)
from mgaudit.attacks.intervals import (
    Resampled,
    resample_counts,
    resampled_metrics,
    two_way_interval,
)
from mgaudit.attacks.metrics import tpr_name
from mgaudit.compute.parallel import default_jobs
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.design import draw_design
from mgaudit.study.plan import plan_arm
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.stacking import with_stack
from mgaudit.study.train import train_arm
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

STACKED = "stacked, online"
ATTACKS: dict[str, Attack] = {
    STACKED: Stacked(),
    "stacked, offline": Stacked(online=False),
    "LiRA, online, pooled": LiRA(),
    "LiRA, online, shrunk": LiRA(variance="shrunk"),
    "LiRA, offline": LiRA(online=False),
    "LiRA, online, without class drift": LiRA(drift="class"),
    "RMIA, online": RMIA(),
    "RMIA, online, without class drift": RMIA(drift="class"),
    "RMIA, online, without logit drift": RMIA(drift="logits"),
    "RMIA, offline": RMIA(online=False),
    "BaVarIA, Student's t": BaVarIA(),
    "BaVarIA, Student's t, without class drift": BaVarIA(drift="class"),
    "BaVarIA, bend 4": BaVarIA(bend=4.0),
    "BaVarIA, bend 8": BaVarIA(bend=8.0),
    "BaVarIA, normal": BaVarIA(predictive="gaussian"),
    "reference, bandwidth 0.5": Reference(bandwidth=0.5),
    "reference, bandwidth 1": Reference(bandwidth=1.0),
    "shadow classifier": ShadowClassifier(),
    "threshold": ConfidenceThreshold(),
}
COMPARED = [
    (STACKED, "RMIA, online"),
    (STACKED, "BaVarIA, Student's t"),
    (STACKED, "LiRA, online, pooled"),
    ("BaVarIA, Student's t", "RMIA, online"),
    ("BaVarIA, Student's t", "LiRA, online, pooled"),
    ("LiRA, online, shrunk", "LiRA, online, pooled"),
]
SHOWN = {"AUC": "auc", "TPR @ 1 % FPR, %": tpr_name(0.01), "TPR @ 0.1 % FPR, %": tpr_name(0.001)}
Measures = dict[tuple[str, int], dict[str, Resampled]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", help="digits, folder:PATH or npz:PATH")
    parser.add_argument("--target", default="mlp")
    parser.add_argument("--models", type=int, default=33)
    parser.add_argument("--examples", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--schemes", nargs="+", default=["none", "gaussian-mask:kappa=0.3"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--best-only", action="store_true")
    parser.add_argument("--targets", type=int, default=16)
    parser.add_argument("--shadows", type=int, nargs="+", default=[2, 4, 8, 16, 32])
    parser.add_argument("--resamples", type=int, default=200)
    options = parser.parse_args(arguments)
    if max(options.shadows) >= options.models or not 2 <= options.targets <= options.models:
        parser.error(
            "--models must be more than --shadows and at least --targets, and those at least 2"
        )
    settings = study_settings(
        {
            "dataset": options.dataset,
            "target": options.target,
            "models": options.models,
            "examples": options.examples,
            "schemes": options.schemes,
            "seed": options.seed,
            "training": {"epochs": options.epochs},
        }
    )
    design = draw_design(settings)
    settings = with_stack(settings, design)
    counts = resample_counts(
        len(design.dataset.labels), numpy_generator(0, "power resamples"), options.resamples
    )
    for arm in settings.arms():
        trained = train_arm(plan_arm(arm, design), design, default_jobs(design.device), Progress())
        logits = ArmOutputs(trained, design).logits(Queries())
        observations = Observations(
            logits["pool"],
            design.dataset.labels,
            design.membership,
            logits["test"],
            design.dataset.test_labels,
        )
        measures = measured(observations, options.targets, options.shadows, counts)
        print(f"\n### {arm.label}\n")
        trials = int(design.membership.sum(axis=1).min())
        if not options.best_only:
            for title, name in SHOWN.items():
                _print_table(title, name, measures, options.shadows, trials)
            _print_comparison(measures, options.shadows)
        _print_best(measures, options.shadows, trials)


def measured(
    observations: Observations,
    targets: int,
    shadows: Sequence[int],
    counts: NDArray[np.uint16],
) -> Measures:
    """Returns the metrics of each attack at each number of shadows, the resamples shared by all."""
    models = observations.models
    targeted = np.arange(models - targets, models)
    scores: dict[tuple[str, int], list[NDArray[np.float64]]] = {}
    for target in targeted:
        others = np.delete(np.arange(models), target)
        order = numpy_generator(0, "power shadows", target).permutation(others)
        for number in shadows:
            seen = observations.of_models([target, *order[:number].tolist()])
            for name, attack in ATTACKS.items():
                (of_target,) = score_every_target(attack, seen, targets=[0])
                scores.setdefault((name, number), []).append(of_target)
    membership = observations.membership[targeted]
    return {
        key: resampled_metrics(np.stack(rows), membership, counts) for key, rows in scores.items()
    }


def _print_table(
    title: str, metric: str, measures: Measures, shadows: Sequence[int], trials: int
) -> None:
    scale, digits = (1, 3) if metric == "auc" else (100, 1)
    print(f"| {title} | " + " | ".join(f"{number} shadows" for number in shadows) + " |")
    print("|---|" + "---|" * len(shadows))
    for name in ATTACKS:
        cells = []
        for number in shadows:
            interval = two_way_interval(measures[name, number][metric], trials)
            half = (interval.high - interval.low) / 2
            cells.append(f"{interval.value * scale:.{digits}f} ± {half * scale:.{digits}f}")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def _print_comparison(measures: Measures, shadows: Sequence[int]) -> None:
    print("| difference | shadows | " + " | ".join(SHOWN) + " |")
    print("|---|---|" + "---|" * len(SHOWN))
    for one, other in COMPARED:
        for number in shadows:
            cells = []
            for metric in SHOWN.values():
                change = two_way_interval(
                    measures[one, number][metric] - measures[other, number][metric], 1, (-1.0, 1.0)
                )
                scale, digits = (1, 3) if metric == "auc" else (100, 1)
                low, value, high = (
                    f"{bound * scale:+.{digits}f}"
                    for bound in (change.low, change.value, change.high)
                )
                cells.append(f"{value} [{low}, {high}]")
            print(f"| {one} − {other} | {number} | " + " | ".join(cells) + " |")


def _print_best(measures: Measures, shadows: Sequence[int], trials: int) -> None:
    """Prints, for each number of shadows, the stacked attack and the best of the others."""
    print("| metric | shadows | stacked | best of the others | difference [95 %] |")
    print("|---|---|---|---|---|")
    others = [name for name in ATTACKS if not name.startswith("stacked")]
    for metric in SHOWN.values():
        scale, digits = (1, 4) if metric == "auc" else (100, 2)
        for number in shadows:
            values = {
                name: two_way_interval(measures[name, number][metric], trials).value
                for name in (STACKED, *others)
            }
            best = max(others, key=values.__getitem__)
            difference = measures[STACKED, number][metric] - measures[best, number][metric]
            change = two_way_interval(difference, 1, (-1.0, 1.0))
            low, value, high = (
                f"{bound * scale:+.{digits}f}" for bound in (change.low, change.value, change.high)
            )
            ours, theirs = (f"{values[name] * scale:.{digits}f}" for name in (STACKED, best))
            cells = (metric, str(number), ours, f"{theirs} ({best})", f"{value} [{low}, {high}]")
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
