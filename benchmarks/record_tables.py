"""Records the tables that benchmarks and slow tests print, for the pages of the documentation.

    python benchmarks/record_tables.py interval-coverage            # runs the command, and records
    python benchmarks/record_tables.py coverage --read OUTPUT.txt   # of a command that has run
    python -m tests.docs.page_figures --write                       # writes the pages

`RECORDINGS` has the command of each name, and the files of its tables in `benchmarks/results`.
`FILE.csv` has the cells of a table as they were printed, and `FILE.toml` how they were recorded. In
a command, PATH and CHECKOUT stand for what `--path` and `--checkout` give: a directory of the
CIFAR-10 images, and a checkout of another version.

A TOML file with the key `transcribed` belongs to numbers that were copied from a page: they were
measured by the command at the commit, before this program existed. The next recording replaces
both files.
"""

import argparse
import csv
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w
from record_results import CODE, RESULTS, ROOT, output_of, processor

from mgaudit.study.provenance import versions

Cells = Sequence[str]
SECTION = "section"  # the column of the heading above a table
PYTEST = "pytest -m slow -s "


@dataclass(frozen=True)
class Recording:
    """A command, and the columns of the tables that it prints, by the name of their file.

    All printed tables with these columns are rows of one file. If the first column of a file is
    `SECTION`, it has the heading above the table.
    """

    command: str
    files: Mapping[str, Cells]


COVERAGE = ("scenario", "examples", "targets", "estimand", "truth")
INTERVALS = ("law", "models", "attack", "metric", "of", "truth", "covered, %", "relative width")
COVERED = ("covered", "too high", "too low", "mean width")
RULES = ("Split", "Bonferroni", "GDP, Split", "GDP, Bonferroni")
ONE_RUN = ("one run", "one run, f-DP", "one run, f-DP Gaussian")
EFFECTS = ("AUC", "difference in AUC", "TPR", "difference in TPR")
WRONG = ("protects, %", "exposes more, %", "no difference that matters, %", "nothing to protect, %")
WRONG_ALONE = ("leaks, %", "no leak that matters, %")
OUTCOMES = (
    *("nothing to protect", "no difference that matters"),
    *("protects, by an uncertain amount", "protects", "undecided"),
)
STUDIES = ("law", "attack", "models")
FLAGGED = ("FDR", "s.e.", "flagged")
SHADOWS = tuple(f"{number} shadows" for number in (2, 4, 8, 16, 32))
LOOPS = ("plain loop", "plain loop, processes", "mgaudit")
TRIALS = ("trials", "as promised", "faulty", "what happened")

RECORDINGS = {
    "coverage": Recording(
        PYTEST + "tests/attacks/test_coverage.py", {"coverage": (*COVERAGE, *COVERED)}
    ),
    "interval-coverage": Recording(
        "python benchmarks/interval_coverage.py --draws 1000 --models 4 8 16",
        {"interval-coverage": INTERVALS},
    ),
    "interval-coverage-stacked": Recording(
        "python benchmarks/interval_coverage.py --draws 200 --models 8 16 --attack stacked"
        " --law normal 'lognormal leak'",
        {"interval-coverage-stacked": INTERVALS},
    ),
    "interval-coverage-differ": Recording(
        "python benchmarks/interval_coverage.py --draws 500 --models 8 --attack lira"
        " --law 'models differ'",
        {"interval-coverage-differ": INTERVALS},
    ),
    "detectable": Recording(
        PYTEST + "tests/analysis/test_detectable.py -k 'eighty_percent and not jackknife'",
        {
            "detectable": (
                *("targets", "examples", "level", *EFFECTS),
                *("AUC, exposed", "TPR, exposed"),
            )
        },
    ),
    "detectable-shadows": Recording(
        PYTEST + "tests/analysis/test_detectable.py -k jackknife",
        {"detectable-shadows": ("attack", "targets", "level", *EFFECTS)},
    ),
    "smallest-leaks": Recording(
        PYTEST + "tests/analysis/test_smallest_leaks.py",
        {"smallest-leaks": ("attack", "targets", "power, AUC", "power, TPR")},
    ),
    "bounds": Recording(
        PYTEST + "tests/attacks/test_epsilon_validity.py",
        {
            "bounds-validity": ("mechanism", "δ", *RULES, *ONE_RUN),
            "bounds-tightness": ("μ", "δ", "ε", *RULES, *ONE_RUN),
            "bounds-limits": ("μ", "δ", "ε", "known threshold", *ONE_RUN),
            "bounds-guesses": ("μ", "δ", "ε", *ONE_RUN),
        },
    ),
    "epsilon-validity": Recording(
        "python benchmarks/epsilon_validity.py --audits 1000",
        {
            "epsilon-validity": (
                *("mechanism", "attack", "δ", "combination", "true ε", "mean bound"),
                "above the truth, %",
            )
        },
    ),
    "verdict-errors": Recording(
        PYTEST + "tests/analysis/test_verdict_errors.py",
        {
            "verdict-errors": ("arms", "truth", "models", *WRONG),
            "verdict-errors-alone": ("arms", "excess", "models", *WRONG_ALONE),
            "verdict-power": ("metric", "d, margins", "models", *OUTCOMES),
        },
    ),
    "verdict-errors-shadows": Recording(
        PYTEST + "tests/analysis/test_verdict_errors_with_shadows.py",
        {
            "verdict-errors-shadows": ("truth", *STUDIES, *WRONG),
            "verdict-errors-shadows-alone": ("truth", *STUDIES, *WRONG_ALONE),
            "verdict-power-shadows": ("metric", "d, margins", *STUDIES, *OUTCOMES),
        },
    ),
    "ppv": Recording(
        PYTEST + "tests/attacks/test_positive_predictive_value.py",
        {
            "ppv-one-target": ("scenario", "FPR", "40", "400", "4,000"),
            "ppv-targets": ("scenario", "targets", "FPR 10 %", "1 %", "0.1 %"),
        },
    ),
    "flagged": Recording(
        PYTEST + "tests/attacks/test_flagged.py",
        {
            "flagged": ("law", "targets", "examples", *FLAGGED, "of the oracle's", "not empty"),
            "flagged-shadows": ("attack", "gain", "models", *FLAGGED, "oracle's", "not empty"),
        },
    ),
    "attack-scoring": Recording(
        "python benchmarks/attack_scoring.py",
        {"attack-scoring": ("measurement", "value", "aim")},
    ),
    "white-box-tightness": Recording(
        "python benchmarks/white_box.py tightness --audits 5",
        {
            "white-box-tightness": (
                *("claim", "directions"),
                *("guesses", "noncentral t", "noise alone"),
            )
        },
    ),
    "white-box-validity": Recording(
        "python benchmarks/white_box.py validity --audits 1000",
        {"white-box-validity": ("wrong", "share of audits")},
    ),
    "white-box-cost": Recording(
        "python benchmarks/white_box.py cost --audits 21",
        {"white-box-cost": ("network", "time, relative to that without the adversary")},
    ),
    "attack-power": Recording(
        "python benchmarks/attack_power.py folder:PATH --models 33 --examples 10000",
        {
            "attack-power-auc": (SECTION, "AUC", *SHADOWS),
            "attack-power-tpr-1": (SECTION, "TPR @ 1 % FPR, %", *SHADOWS),
            "attack-power-tpr-01": (SECTION, "TPR @ 0.1 % FPR, %", *SHADOWS),
            "attack-power-differences": (
                *(SECTION, "difference", "shadows"),
                *("AUC", "TPR @ 1 % FPR, %", "TPR @ 0.1 % FPR, %"),
            ),
        },
    ),
    "training": Recording(
        "python benchmarks/training.py --images folder:PATH --rounds 5",
        {
            "training": (
                *("case", "stack", *LOOPS, "÷ plain", "aim", "÷ plain, processes"),
                *("share of peak", "memory of a worker"),
            ),
            "training-dp": (
                *("DP-SGD", "batch", "plain step, ms", "private step, ms", "÷ plain", "aim"),
                *("by Opacus, ms", "Opacus ÷"),
            ),
        },
    ),
    "private-step": Recording(
        "python benchmarks/private_step.py --other CHECKOUT",
        {
            "private-step": (
                *("network", "batch", "other's plain step, ms", "plain step, ms"),
                *("private step, ms", "private step in a stack of 8, ms", "noise, ms"),
                *("private ÷ other's plain", "floor", "aim", "alone ÷ stacked"),
            )
        },
    ),
    "whole-audit": Recording(
        "python benchmarks/whole_audit.py --other CHECKOUT --only default --rounds 3",
        {"whole-audit": ("audit", "cache", "this, s", "other, s", "ratio", "aim")},
    ),
    "run-memory": Recording(
        "python benchmarks/run_memory.py",
        {
            "run-memory": (
                *("peak with two classes", "with many classes", "logits of an arm"),
                "difference ÷ logits",
            )
        },
    ),
    "dry-runs": Recording(
        "python benchmarks/dry_runs.py --rounds 1", {"dry-runs": ("study", "dry run, s", "aim, s")}
    ),
    "dispatch": Recording(
        "python benchmarks/dispatch.py",
        {
            "dispatch": (
                *("operations of a step", "stack 1", "stack 8", "stack 32", "32 ÷ 1"),
                *("without views", "÷"),
            )
        },
    ),
    "cluster": Recording(
        "python benchmarks/cluster.py --arms 100 --models 64",
        {
            "cluster": ("part", "number", "seconds", "for each"),
            "cluster-model": ("figure", "value"),
        },
    ),
    "overhead": Recording(
        "python benchmarks/overhead.py", {"overhead": ("part", "seconds", "share")}
    ),
    "faults-kill": Recording(
        "python benchmarks/faults.py kill", {"faults-kill": ("SIGKILL of the group", *TRIALS)}
    ),
    "faults-renames": Recording(
        "python benchmarks/faults.py renames", {"faults-renames": ("struck at a rename", *TRIALS)}
    ),
    "faults-signals": Recording(
        "python benchmarks/faults.py signals", {"faults-signals": ("signal", *TRIALS)}
    ),
    "faults-disks": Recording(
        "python benchmarks/faults.py disks",
        {"faults-disks": ("disk full", *TRIALS)},
    ),
    "faults-together": Recording(
        "python benchmarks/faults.py together",
        {"faults-together": ("processes on one cache", *TRIALS)},
    ),
}
FILES = {
    file: columns for recording in RECORDINGS.values() for file, columns in recording.files.items()
}


def split(line: str) -> list[str]:
    """Returns the cells of a row in Markdown.

    >>> split("| a | b |  |")
    ['a', 'b', '']
    """
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def printed_rows(output: str) -> Iterator[tuple[Cells, Cells]]:
    """Yields the rows of all Markdown tables in an output, each with the columns of its table.

    The first column is `SECTION`, the heading above the table, or "" if there is none.
    """
    section, columns = "", []
    lines = output.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("#"):
            section = line.strip("# ")
        is_row = line.startswith("|")
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if is_row and re.fullmatch(r"[|\s:-]+", line):
            continue
        if is_row and re.fullmatch(r"\|[|\s:-]+", following):
            columns = [SECTION, *split(line)]
        elif is_row and columns:
            yield columns, [section, *split(line)]
        elif not is_row:
            columns = []


def tables(output: str, files: Mapping[str, Cells]) -> dict[str, list[Cells]]:
    """Returns the rows of each file in an output.

    Raises:
        LookupError: The output has no table with the columns of a file.
    """
    rows_of: dict[str, list[Cells]] = {file: [] for file in files}
    for columns, cells in printed_rows(output):
        for file, expected in files.items():
            left_out = 0 if expected[0] == SECTION else 1
            if tuple(columns[left_out:]) == tuple(expected):
                rows_of[file].append(cells[left_out:])
    for file, rows in rows_of.items():
        if not rows:
            raise LookupError(f"no table of {file} has the columns {', '.join(files[file])}")
    return rows_of


def table(columns: Cells, rows: Sequence[Cells]) -> str:
    """Returns the rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *rows])
    return text.getvalue()


def provenance(command: str) -> dict[str, Any]:
    """Returns how a table was recorded."""
    return {
        "command": command,
        "commit": output_of("git", "log", "-1", "--format=%H", "--", *CODE, "benchmarks", "tests"),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": processor(),
        "versions": versions(),
    }


def record(name: str, output: str, folder: Path = RESULTS) -> list[Path]:
    """Writes the files of a recording from what its command printed. Returns their paths."""
    recording = RECORDINGS[name]
    paths = []
    for file, rows in tables(output, recording.files).items():
        path = folder / f"{file}.csv"
        path.write_text(table(recording.files[file], rows), encoding="utf-8")
        facts = provenance(recording.command)
        path.with_suffix(".toml").write_text(tomli_w.dumps(facts), encoding="utf-8")
        paths.append(path)
    return paths


def run(command: str, path: str, checkout: str) -> str:
    """Returns what a command prints, which is shown as well.

    Raises:
        subprocess.CalledProcessError: The command fails.
    """
    words = [
        word.replace("PATH", path).replace("CHECKOUT", checkout) for word in shlex.split(command)
    ]
    start = {"python": [], "pytest": ["-m", "pytest"]}[words[0]]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    program = [sys.executable, *start, *words[1:]]
    process = subprocess.Popen(
        program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    if code := process.wait():
        raise subprocess.CalledProcessError(code, program)
    return "".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the commands of the recordings, and writes their files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=RECORDINGS, metavar="NAME")
    parser.add_argument("--read", type=Path, help="the output of a command that has run, of a NAME")
    parser.add_argument("--path", default="PATH", help="directory of the CIFAR-10 images")
    parser.add_argument("--checkout", default="CHECKOUT", help="of version 0.1")
    options = parser.parse_args(arguments)
    if options.read and len(options.names) != 1:
        parser.error("--read needs one NAME")
    for name in options.names:
        command = RECORDINGS[name].command
        output = (
            options.read.read_text(encoding="utf-8")
            if options.read
            else run(command, options.path, options.checkout)
        )
        for path in record(name, output):
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
