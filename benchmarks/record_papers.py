"""Records the claims of papers that `mgaudit reproduce` tested, for the pages of the documentation.

    mgaudit reproduce gaussian-masking --full --dataset folder:PATH
    python benchmarks/record_papers.py runs/…-reproduce-gaussian-masking-full
    python -m tests.docs.page_figures --write

The arguments are run directories. `benchmarks/results/papers-claims.csv` has a row for each claim,
and `papers-claims.toml` says how each paper was reproduced. The claims of other papers and scales
stay as they are. A paper with the key `transcribed` was copied from its report in `docs/papers`.
"""

import argparse
import csv
import io
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import tomli_w
from record_results import CODE, RESULTS, output_of

from mgaudit.reports.reproduction import PaperResult, read_paper

FILE = RESULTS / "papers-claims.csv"
NUMBERS = ("value", "low", "high", "at_least", "at_most")
COLUMNS = (
    *("paper", "scale", "figure", "claim", "statement", "place", "quantity"),
    *(*NUMBERS, "verdict", "mgaudit"),
)
Row = dict[str, str]


def claims_of(result: PaperResult) -> Iterator[Row]:
    """Yields a row for each claim; numbers have six digits, and a missing one is empty."""
    for figure in result.figures:
        for claim in figure.claims:
            numbers = {name: getattr(claim, name) for name in NUMBERS}
            yield {
                "paper": result.key,
                "scale": result.scale,
                "figure": figure.key,
                "claim": claim.key,
                "statement": claim.statement,
                "place": claim.place,
                "quantity": claim.quantity,
                **{name: "" if of is None else f"{of:.6g}" for name, of in numbers.items()},
                "verdict": claim.verdict,
                "mgaudit": result.versions["mgaudit"],
            }


def read_rows(path: Path = FILE) -> list[Row]:
    """Returns the recorded claims."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def merged(rows: Iterable[Row], result: PaperResult) -> list[Row]:
    """Returns the rows with those of the result in place of the same paper at the same scale."""
    others = [row for row in rows if (row["paper"], row["scale"]) != (result.key, result.scale)]
    return sorted(
        [*others, *claims_of(result)], key=lambda row: (row["paper"], row["scale"])
    )  # claims of a paper keep their order


def table(rows: Iterable[Row]) -> str:
    """Returns the rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def record(result: PaperResult, path: Path = FILE) -> None:
    """Writes the claims of a paper, and how it was reproduced."""
    facts_path = path.with_suffix(".toml")
    facts = tomllib.loads(facts_path.read_text(encoding="utf-8")) if facts_path.exists() else {}
    facts[f"{result.key} {result.scale}"] = {
        "command": result.command,
        "commit": output_of("git", "log", "-1", "--format=%H", "--", *CODE),
        "date": result.started[:10],
        "processor": result.processor,
        "seconds": round(result.seconds),
        "versions": result.versions,
    }
    path.write_text(table(merged(read_rows(path), result)), encoding="utf-8")
    facts_path.write_text(tomli_w.dumps(facts), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Records the run directories."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    for folder in parser.parse_args(arguments).runs:
        result = read_paper(folder)
        if result is None:
            parser.error(f"{folder} is not a run directory of mgaudit reproduce")
        record(result)
        print(f"recorded {len(result.claims)} claims of {result.key}, {result.scale}")


if __name__ == "__main__":
    main()
