"""The page about tuning DP-SGD has the accuracies of the recorded search and the defaults."""

from collections import defaultdict

from mgaudit.targets.fitting.tuned_dp import tuned_records
from mgaudit.targets.fitting.tuned_settings import TunedSettings
from tests.docs.pages import DOCS
from tests.docs.tables import split
from tests.test_benchmarks import benchmark

PAGE = DOCS / "howto" / "tune-dp.md"
NAMES = {"digits": "digits", "cifar10": "CIFAR-10"}


def accuracies() -> dict[tuple[str, str], dict[TunedSettings, list[float]]]:
    """Returns the accuracies of each trial on its folds, by data with network and by epsilon."""
    search = benchmark("dp_search")
    found: dict[tuple[str, str], dict[TunedSettings, list[float]]] = {}
    for row in search.read_rows():
        place = (f"{NAMES[row['data']]}, {row['network'].upper()}", f"{row['epsilon']:g}")
        trials = found.setdefault(place, defaultdict(list))
        trials[search.settings_of(row)].append(row["accuracy"])
    return found


def percent(values: list[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}" if values else "–"


def rows_of_page() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [split(line) for line in lines if line.startswith(("| digits, ", "| CIFAR-10, "))]


def test_the_page_shows_the_tuned_defaults() -> None:
    expected = {}
    for record in tuned_records():
        data = "digits" if record.members < 1000 else "CIFAR-10"
        own = record.settings
        numbers = (own.epochs, own.sample_rate, own.learning_rate, own.momentum)
        numbers += (own.max_grad_norm, own.averaging)
        place = (f"{data}, {record.network.upper()}", f"{record.epsilon:g}")
        expected[place] = tuple(f"{number:g}" for number in numbers)
    assert {(row[0], row[1]): tuple(row[2:-3]) for row in rows_of_page()} == expected


def test_the_page_shows_the_accuracies_and_the_numbers_of_trials_of_the_search() -> None:
    shown = {(row[0], row[1]): tuple(row[-3:]) for row in rows_of_page()}
    expected = {}
    for place, trials in accuracies().items():
        folds = max(map(len, trials.values()))
        lasting = [values for values in trials.values() if len(values) == folds]
        untuned = next((values for own, values in trials.items() if is_untuned(own)), [])
        best = max(lasting, key=sum)
        ends = (f"{len(trials)} × {folds}", percent(best), percent(untuned))
        expected[place] = ends
    assert shown == expected


def is_untuned(settings: TunedSettings) -> bool:
    """Returns whether these are 30 epochs at the learning rate 0.05, clipped to 1."""
    return (settings.epochs, settings.learning_rate, settings.max_grad_norm) == (30, 0.05, 1.0)
