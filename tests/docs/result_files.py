"""The results behind the tables of the pages: `benchmarks/results/NAME.csv`, written from a run.

    python -m tests.docs.result_files RUN NAME

keeps those numbers of a run that tables show, in the tidy form of `Result.to_frame()`.
"""

import csv
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import mgaudit
from tests.docs.pages import ROOT
from tests.docs.tables import half_unit, numbers

FOLDER = ROOT / "benchmarks" / "results"
METRICS = ("train_accuracy", "accuracy", "auc", "tpr@0.01", "tpr@0.001", "epsilon_lower_bound")
IN_PERCENT = ("train_accuracy", "accuracy", "tpr@0.01", "tpr@0.001")
COLUMNS = ("study", "arm", "attack", "adversary", "metric", "value", "low", "high")


@dataclass(frozen=True)
class Row:
    """A number of a result with its interval; the ends are None for a bound."""

    value: float
    low: float | None
    high: float | None

    def is_shown_as(self, figure: str, in_percent: bool) -> bool:
        """Returns whether a figure of a table shows this number, rounded to the figure's digits.

        A figure is "0.626 ± 0.014", "97.3 [96.2, 98.1]" or, for a bound, "1.90".

        >>> Row(0.6263, 0.6121, 0.6405).is_shown_as("0.626 ± 0.014", in_percent=False)
        True
        >>> Row(0.6263, 0.6121, 0.6405).is_shown_as("0.627 ± 0.014", in_percent=False)
        False
        >>> Row(0.0551, 0.0459, 0.0661).is_shown_as("5.5 [4.6, 6.6]", in_percent=True)
        True
        """
        scale = 100 if in_percent else 1
        shown, half = numbers(figure), half_unit(figure) * 1.000001
        expected = [scale * self.value]
        if self.low is not None and self.high is not None:
            if "±" in figure:
                expected.append(scale * (self.high - self.low) / 2)
                half_of_interval = 2 * half  # the larger of two unequal sides may be shown
            else:
                expected += [scale * self.low, scale * self.high]
                half_of_interval = half
        else:
            half_of_interval = half
        return (
            len(shown) == len(expected)
            and abs(shown[0] - expected[0]) <= half
            and all(
                abs(one - other) <= half_of_interval
                for one, other in zip(shown[1:], expected[1:], strict=True)
            )
        )


def stored(name: str) -> dict[tuple[str, str, str, str, str], Row]:
    """Returns the numbers of a stored result by study, arm, attack, adversary and metric."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return {
        (line["study"], line["arm"], line["attack"], line["adversary"], line["metric"]): Row(
            float(line["value"]), _number(line["low"]), _number(line["high"])
        )
        for line in lines
    }


def _number(text: str) -> float | None:
    return float(text) if text else None


def write(run: str, name: str) -> None:
    """Writes the numbers of a run."""
    frame = mgaudit.load(run).to_frame()
    kept = frame[frame["metric"].isin(METRICS)]
    path = FOLDER / f"{name}.csv"
    kept[list(COLUMNS)].to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    print(f"{len(kept)} numbers in {path.relative_to(ROOT)}")


def differences(cells: Mapping[tuple[str, str, str, str, str], str], name: str) -> Iterable[str]:
    """Yields each figure of a page that is not the number of the stored result."""
    rows = stored(name)
    for key, figure in cells.items():
        if not rows[key].is_shown_as(figure, key[4] in IN_PERCENT):
            yield f"{key}: the page has {figure}, and the result {rows[key]}"


if __name__ == "__main__":
    write(str(Path(sys.argv[1])), sys.argv[2])
