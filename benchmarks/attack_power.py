"""How strong each attack is with how many shadows, from one trained pool of models.

    python benchmarks/attack_power.py DATASET --models 33 --examples 10000 --kappa 0.3

trains (or takes from the store) an arm without noise and one with the Gaussian mask. For each of
the last `--targets` models and each number of shadows it draws that many of the other models, fewer
being part of more, and mounts every attack with them. Printed in Markdown: the mean over targets of
AUC and of the TPR at 1 % and 0.1 % FPR, with 95 % intervals for new targets and new examples, and
paired differences. BaVarIA's bend and regression were chosen on the first 12 of 33 models as
targets, for CIFAR-10, an MLP and no noise: so the last ones are taken here.
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
    ShadowClassifier,
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
from mgaudit.study.design import Design, draw_design
from mgaudit.study.plan import plan_arm
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.stacking import with_stack
from mgaudit.study.train import train_arm
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

ATTACKS: dict[str, Attack] = {
    "LiRA, online, pooled": LiRA(),
    "LiRA, online, shrunk": LiRA(variance="shrunk"),
    "LiRA, offline": LiRA(online=False),
    "RMIA, online": RMIA(),
    "RMIA, offline": RMIA(online=False),
    "BaVarIA, Student's t": BaVarIA(),
    "BaVarIA, normal": BaVarIA(predictive="gaussian"),
    "shadow classifier": ShadowClassifier(),
    "threshold": ConfidenceThreshold(),
}
COMPARED = [
    ("BaVarIA, Student's t", "RMIA, online"),
    ("BaVarIA, Student's t", "LiRA, online, pooled"),
    ("LiRA, online, shrunk", "LiRA, online, pooled"),
]
SHOWN = {"AUC": "auc", "TPR @ 1 % FPR, %": tpr_name(0.01), "TPR @ 0.1 % FPR, %": tpr_name(0.001)}
Found = dict[tuple[str, int], dict[str, Resampled]]


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
    parser.add_argument("--kappa", type=float, default=0.3)
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
            "schemes": ["none", f"gaussian-mask:kappa={options.kappa:.15g}"],
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
        logits = ArmOutputs(trained, design).logits(Queries())["pool"]
        found = measured(logits, design, options.targets, options.shadows, counts)
        print(f"\n### {arm.label}\n")
        for title, name in SHOWN.items():
            _print_table(
                title, name, found, options.shadows, int(design.membership.sum(axis=1).min())
            )
        _print_comparison(found, options.shadows)


def measured(
    logits: NDArray[np.float32],
    design: Design,
    targets: int,
    shadows: Sequence[int],
    counts: NDArray[np.uint16],
) -> Found:
    """Returns the metrics of each attack at each number of shadows, the resamples shared by all."""
    models = len(logits)
    chosen = np.arange(models - targets, models)
    scores: dict[tuple[str, int], list[NDArray[np.float64]]] = {}
    for target in chosen:
        order = numpy_generator(0, "power shadows", target).permutation(
            np.delete(np.arange(models), target)
        )
        for number in shadows:
            seen = np.append(target, order[:number])
            view = Observations(logits[seen], design.dataset.labels, design.membership[seen]).view(
                0
            )
            for name, attack in ATTACKS.items():
                scores.setdefault((name, number), []).append(attack.score(view))
    return {
        key: resampled_metrics(np.stack(rows), design.membership[chosen], counts)
        for key, rows in scores.items()
    }


def _print_table(
    title: str, metric: str, found: Found, shadows: Sequence[int], trials: int
) -> None:
    scale, digits = (1, 3) if metric == "auc" else (100, 1)
    print(f"| {title} | " + " | ".join(f"{number} shadows" for number in shadows) + " |")
    print("|---|" + "---|" * len(shadows))
    for name in ATTACKS:
        cells = []
        for number in shadows:
            interval = two_way_interval(found[name, number][metric], trials)
            half = (interval.high - interval.low) / 2
            cells.append(f"{interval.value * scale:.{digits}f} ± {half * scale:.{digits}f}")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def _print_comparison(found: Found, shadows: Sequence[int]) -> None:
    print("| difference | shadows | " + " | ".join(SHOWN) + " |")
    print("|---|---|" + "---|" * len(SHOWN))
    for one, other in COMPARED:
        for number in shadows:
            cells = []
            for metric in SHOWN.values():
                change = two_way_interval(
                    found[one, number][metric] - found[other, number][metric], 1, (-1.0, 1.0)
                )
                scale, digits = (1, 3) if metric == "auc" else (100, 1)
                low, value, high = (
                    f"{bound * scale:+.{digits}f}"
                    for bound in (change.low, change.value, change.high)
                )
                cells.append(f"{value} [{low}, {high}]")
            print(f"| {one} − {other} | {number} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
