"""The search behind the tuned defaults of DP-SGD, `targets/fitting/tuned_dp.json`.

Every row of `benchmarks/results/dp_search.csv` is one training: settings, epsilon, fold, and the
accuracy on examples that the model was not trained on. Delta is n^-1.1.

- digits: a fold trains on 599 random images of the training split and evaluates on the other 599.
  No image is left that an audit of all examples does not use, so the test split is not read at all.
- CIFAR-10 images: a fold trains on 5,000 and evaluates on 5,000 of the 40,000 training images that
  are not among the 10,000 of an audit with `--examples 10000 --seed 0`.

    python benchmarks/dp_search.py digits --network cnn --epsilon 8 --folds 4 --trials 12
    python benchmarks/dp_search.py folder:PATH --network mlp --epsilon 8 --repeat
    python benchmarks/dp_search.py --records
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mgaudit.compute import parallel
from mgaudit.settings.datasets import dataset_choice
from mgaudit.study.held_out import Fold
from mgaudit.targets import CNN, MLP
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.privacy_plan import plan_privacy
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.fitting.tuned_settings import TunedSettings
from mgaudit.targets.schemes import DPSGD, Scheme
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training
from mgaudit.tuning.evaluate import Evaluation, evaluate
from mgaudit.tuning.trials import dp_trials

RESULTS = Path(__file__).parent / "results" / "dp_search.csv"
SEED = 7  # audits that the documentation reports have other seeds
AUDITED = 10_000  # examples of the audits of CIFAR-10 images, with seed 0
NETWORKS = {"cnn": CNN, "mlp": MLP}
UNTUNED = TunedSettings(30, 64 / 599, 0.05)
SETTINGS = tuple(field.name for field in fields(TunedSettings))
COLUMNS = ("data", "network", "epsilon", "fold", *SETTINGS, "accuracy", "seconds")


def data_of(name: str) -> tuple[str, Dataset, int]:
    """Returns the name of the data, the search's examples, and how many a model trains on."""
    choice = dataset_choice(name)
    if name == "digits":
        return name, choice.load(None, numpy_generator(SEED, "tuning")).standardised(), 599
    whole = choice.load(None, numpy_generator(0, "examples"))
    audited = choice.load(AUDITED, numpy_generator(0, "examples"))
    used = {row.tobytes() for row in audited.inputs}
    free = [row for row, image in enumerate(whole.inputs) if image.tobytes() not in used]
    rows = np.random.default_rng(SEED).choice(free, AUDITED, replace=False)
    origins = tuple(whole.origins[row] for row in rows)
    inputs, labels, indices = whole.inputs[rows], whole.labels[rows], whole.indices[rows]
    chosen = replace(whole, inputs=inputs, labels=labels, origins=origins, indices=indices)
    return "cifar10", chosen.standardised(), AUDITED // 2


def evaluation(
    network: str, dataset: Dataset, members: int, epsilon: float, settings: TunedSettings, fold: int
) -> Evaluation:
    """Returns the training of a model with `settings` on a fold."""
    order = numpy_generator(SEED, "fold", fold).permutation(len(dataset.labels))
    mask = np.zeros(len(order), dtype=bool)
    mask[order[:members]] = True
    dp_sgd = DPSGD(
        epsilon=epsilon,
        max_grad_norm=settings.max_grad_norm,
        views=settings.views,
        averaging=settings.averaging,
    )
    training = settings.training(Training(), members)
    plan = plan_privacy(dp_sgd, training, members)
    recipe = Recipe(NETWORKS[network], Scheme(), training, plan, SEED, members)
    validated = order[members : members + AUDITED // 2]
    return Evaluation(0, fold, Fold(mask, validated), recipe, dataset, "cpu", "")


def read_rows() -> list[dict[str, Any]]:
    """Returns the trainings on record, numbers as numbers."""
    with RESULTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    whole = {"fold", "epochs", "views"}
    words = {"data", "network"}
    return [
        {
            key: value if key in words else (int(value) if key in whole else float(value))
            for key, value in row.items()
        }
        for row in rows
    ]


def settings_of(row: dict[str, Any]) -> TunedSettings:
    """Returns the settings of a row."""
    return TunedSettings(**{name: row[name] for name in SETTINGS})


def searched(
    name: str, network: str, epsilon: float, trials: Iterable[TunedSettings], folds: Sequence[int]
) -> None:
    """Evaluates the trials on the folds and prints the accuracies.

    Trainings that are not on record are added to it; of the others, the recorded accuracy is
    printed, too.
    """
    data, dataset, members = data_of(name)
    tasks = [
        (fold, settings, evaluation(network, dataset, members, epsilon, settings, fold))
        for fold in folds
        for settings in trials
    ]
    recorded = {_training_of(row): row["accuracy"] for row in read_rows()}
    numbered = [replace(task, trial=number) for number, (_, _, task) in enumerate(tasks)]
    with RESULTS.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        for done in parallel.run(evaluate, numbered, parallel.default_jobs("cpu")):
            fold, settings, _ = tasks[done.trial]
            row = {"data": data, "network": network, "epsilon": epsilon, "fold": fold}
            row |= asdict(settings)
            row |= {"accuracy": round(done.accuracy, 5), "seconds": round(done.seconds, 1)}
            before = recorded.get(_training_of(row))
            if before is None:
                writer.writerow(row)
                file.flush()
            print(row, "" if before is None else f"on record: {before}", flush=True)


def _training_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Returns what identifies the training of a row."""
    return tuple(row[name] for name in ("data", "network", "epsilon", "fold", *SETTINGS))


def print_records() -> None:
    """Prints the trials on record by data, network and epsilon, the best first."""
    groups: dict[tuple[str, str, float], dict[TunedSettings, list[float]]] = {}
    for row in read_rows():
        searched_for = (row["data"], row["network"], row["epsilon"])
        trials = groups.setdefault(searched_for, defaultdict(list))
        trials[settings_of(row)].append(row["accuracy"])
    for searched_for, trials in sorted(groups.items()):
        print(*searched_for)
        ranked = sorted(trials.items(), key=lambda item: (-len(item[1]), -np.mean(item[1])))
        for settings, accuracies in ranked:
            mean = np.mean(accuracies)
            print(f"  {mean:.4f} on {len(accuracies)} folds: {json.dumps(asdict(settings))}")


def main() -> None:
    """Runs the search that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="?", help="digits, or folder:PATH of the CIFAR-10 images")
    parser.add_argument("--network", choices=sorted(NETWORKS), default="cnn")
    parser.add_argument("--epsilon", type=float, default=8.0)
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--trials", type=int, default=16, help="trials drawn at random")
    parser.add_argument("--repeat", action="store_true", help="the trials on record instead")
    parser.add_argument("--records", action="store_true", help="only print the record")
    arguments = parser.parse_args()
    if arguments.records or arguments.data is None:
        print_records()
        return
    data = "digits" if arguments.data == "digits" else "cifar10"
    searched_for = (data, arguments.network, arguments.epsilon)
    trials = [trial.settings for trial in dp_trials(arguments.trials, UNTUNED, False, SEED)]
    if arguments.repeat:
        on_record = [
            settings_of(row)
            for row in read_rows()
            if (row["data"], row["network"], row["epsilon"]) == searched_for
        ]
        trials = list(dict.fromkeys(on_record))
    searched(arguments.data, arguments.network, arguments.epsilon, trials, range(arguments.folds))


if __name__ == "__main__":
    main()
