"""Records the numbers that the tables and sentences of the documentation show.

`benchmarks/results/NAME.csv` has the numbers of a run, and `NAME.toml` how they were recorded and
the verdict; the figure of README is `docs/assets/demo.svg`. After a change of the code, this
records all of them again and writes the pages:

    MGAUDIT_CIFAR10=PATH python benchmarks/record_results.py
    python -m tests.docs.page_figures --write

`PATH` is a directory of the CIFAR-10 images. It takes about an hour and a half on two cores. Models
are kept, so that it goes on after an interruption, and is short if no code that trains has changed.

    python benchmarks/record_results.py digits-cnn          # only one recording
    python benchmarks/record_results.py digits-cnn --run RUN  # the numbers of a run that is there
"""

import argparse
import csv
import io
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tomli_w

import mgaudit
from mgaudit.reports.dp_audit import DPAuditResult, finding
from mgaudit.reports.figures.accuracy import accuracy_figure
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.files import DP_AUDIT_FILE
from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.results import Provenance, StudyResult
from mgaudit.storage.read_run import read_dp_audit

ROOT = Path(__file__).resolve().parent.parent
README_RUN, FIGURE = "digits-cnn", ROOT / "docs" / "assets" / "demo.svg"
SIZE = (4.6, 3.4)  # of the figure, in inches
RESULTS = Path(__file__).parent / "results"
CODE = ("mgaudit", "attacks", "targets", "reports")  # the last commit of which is recorded
CIFAR10 = "MGAUDIT_CIFAR10"  # the variable that names the directory of the CIFAR-10 images

RECORDINGS = {
    "digits-cnn": "run --target cnn --kappa 0.3",
    "kappa-sweep-digits": "compare studies/kappa-sweep.toml",
    "noise-schemes": "compare studies/noise-schemes.toml",
    "canaries": (
        "compare --scheme none --scheme label-smoothing:smoothing=0.3 --scheme early-stop:epochs=10"
        " --scheme dp-sgd:epsilon=8 --attack loss --canaries mislabelled:50"
    ),
    "white-box": "audit-dp --epsilon 8 --adversary white-box",
    "repeated-runs": (
        "audit-dp --epsilon 10 --delta 1e-5 --adversary repeated --runs 500 --target mlp:hidden=64"
    ),
    "cifar-mlp": ("run --dataset folder:PATH --target mlp --kappa 0.3 --models 8 --examples 10000"),
    "kappa-sweep-cifar": (
        "compare studies/kappa-sweep.toml --dataset folder:PATH --target mlp --examples 10000"
        " --models 8"
    ),
    "cifar-cnn": (
        "run --dataset folder:PATH --target cnn --kappa 0.3 --models 8 --examples 10000"
        " --epochs 10 --queries plain:noise_draws=0"
    ),
}

# What is kept of a run, with its metrics; other rows, such as those of single models, are not.
KINDS = {
    "accuracy": ("train_accuracy", "accuracy"),
    "attack": ("auc", "tpr@0.01", "tpr@0.001", "epsilon_lower_bound"),
    "false positives allowed": ("tpr@0.01", "tpr@0.001"),
    "difference to no noise, tested": ("accuracy", "auc", "tpr@0.01"),
    "ignorance: apparent gain": ("auc",),
    "ignorance: real gain": ("auc",),
    "ignorance": ("auc",),
    "through the noise: gain": ("auc",),
    "verdict: difference": ("auc",),
    "matched accuracy: accuracy": ("accuracy",),
    "matched accuracy: strength": ("",),
    "matched accuracy": ("auc",),
    "matched accuracy: difference to reference": ("auc",),
    "pooled, mislabelled canaries": ("auc", "tpr@0.1"),
    "models diverged": ("",),
    "delta": ("",),
    "provable epsilon": ("",),
    "claimed epsilon": ("",),
    "DP-SGD epochs": ("",),
    "DP-SGD batch size": ("",),
    "DP-SGD learning rate": ("",),
    "DP-SGD averaging": ("",),
    "gradient norm at most": ("",),
}
MATCHED_TO = "dp-sgd:epsilon=8"  # whose accuracy schemes are compared at
NUMBERS = ("value", "low", "high", "p_adjusted")
COLUMNS = ("study", "arm", "attack", "adversary", "what", "metric", "reference", *NUMBERS)


def of_study(result: mgaudit.Result) -> Iterator[dict[str, str]]:
    """Yields the rows of the report in CSV that pages use, in its order."""
    for row in csv.DictReader(io.StringIO(render_csv(result.record))):
        matched_to_another = row["what"].startswith("matched") and row["reference"] != MATCHED_TO
        if row["metric"] in KINDS.get(row["what"], ()) and not matched_to_another:
            yield row


def of_dp_audit(audit: DPAuditResult) -> Iterator[dict[str, str]]:
    """Yields the bounds of an audit of DP-SGD as rows."""
    yield {"what": "claimed epsilon", "value": str(audit.epsilon_claimed)}
    yield {"what": "delta", "value": str(audit.delta)}
    for bound in audit.bounds:
        yield {"what": f"bound: {bound.method}", "value": str(bound.epsilon)}


def table(rows: Iterable[dict[str, str]]) -> str:
    """Returns the rows as CSV, with six digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        rounded = {name: f"{float(row[name]):.6g}" for name in NUMBERS if row.get(name)}
        writer.writerow(row | rounded)
    return text.getvalue()


def provenance(command: str, started: str, made_by: Provenance, verdict: str) -> dict[str, Any]:
    """Returns how the numbers were recorded, and the verdict."""
    return {
        "command": f"mgaudit {command}",
        "commit": output_of("git", "log", "-1", "--format=%H", "--", *CODE),
        "date": started[:10],
        "device": made_by.device,
        "processor": processor(),
        "code_sha256": made_by.code_sha256,
        "verdict": verdict.splitlines(),
        "versions": made_by.versions,
    }


def processor() -> str:
    """Returns the name of the processor and the instructions that torch uses on it."""
    import torch

    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def output_of(*command: str) -> str:
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def run(name: str, runs: Path) -> Path:
    """Runs the command of a recording. Returns the run directory."""
    folder = runs / name
    images = os.environ.get(CIFAR10, CIFAR10)
    words = [word.replace("PATH", images) for word in shlex.split(RECORDINGS[name])]
    program = [sys.executable, "-m", "mgaudit", *words, "--out", str(folder)]
    subprocess.run(program, cwd=ROOT, check=True)
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime)


def figure_of(study: StudyResult) -> str:
    """Returns the figure of accuracy against the AUC of the main attack, on white, as SVG."""
    attack = study.arms[0].attacks[0].name
    drawing = Drawing("demo", lambda: accuracy_figure(study, [attack], SIZE), "", "", [])
    start, definitions, rest = drawing.svg().partition(" <defs>")
    return f'{start} <rect width="100%" height="100%" fill="#ffffff"/>\n{definitions}{rest}'


def record(name: str, folder: Path) -> None:
    """Writes the numbers of a run directory and how they were recorded."""
    if (folder / DP_AUDIT_FILE).exists():
        audit, _ = read_dp_audit(folder)
        rows, verdict = of_dp_audit(audit), finding(audit)
        started, made_by = audit.started, audit.provenance
    else:
        result = mgaudit.load(str(folder))
        rows, verdict = of_study(result), result.verdict
        first = result.record.studies[0]
        started, made_by = first.times.started, first.provenance
        if name == README_RUN:
            FIGURE.write_text(figure_of(first), encoding="utf-8")
    facts = provenance(RECORDINGS[name], started, made_by, verdict)
    (RESULTS / f"{name}.csv").write_text(table(rows), encoding="utf-8")
    (RESULTS / f"{name}.toml").write_text(tomli_w.dumps(facts), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*RECORDINGS, []], metavar="NAME")
    parser.add_argument("--run", type=Path, help="take the numbers of this run, for one NAME")
    parser.add_argument("--runs", type=Path, default=Path("runs", "recorded"))
    options = parser.parse_args()
    if options.run and len(options.names) != 1:
        parser.error("--run needs one NAME")
    for name in options.names or RECORDINGS:
        record(name, options.run or run(name, options.runs))
        print(f"wrote benchmarks/results/{name}.csv")


if __name__ == "__main__":
    main()
