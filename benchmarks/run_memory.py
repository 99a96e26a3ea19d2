"""How much more memory a whole audit takes for many classes than for two.

    python benchmarks/run_memory.py [--models 24] [--examples 12000] [--classes 100] [--jobs 2]

runs `mgaudit run` with a mask on synthetic data, with an empty cache, once with two classes and
once with many, and samples the memory of all its processes together, shared pages counted once
(PSS). Prints both peaks, and their difference in units of the logits of one arm, in Markdown. Linux
only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLING_SECONDS = 0.05
MEGABYTE = 1e6


def main(arguments: list[str] | None = None) -> int:
    """Prints the table."""
    options = _parser().parse_args(arguments)
    peaks = [peak_memory(options, classes) for classes in (2, options.classes)]
    logits = 4.0 * options.models * options.examples * options.classes
    few, many = (f"{peak / MEGABYTE:,.0f} MB" for peak in peaks)
    print("| peak with two classes | with many classes | logits of an arm | difference ÷ logits |")
    print("|---|---|---|---|")
    difference = (peaks[1] - peaks[0]) / logits
    print(f"| {few} | {many} | {logits / MEGABYTE:,.0f} MB | {difference:.1f} |")
    return 0


def peak_memory(options: argparse.Namespace, classes: int) -> float:
    """Returns the largest memory of `mgaudit run` and its workers, in bytes."""
    data = f"synthetic:classes={classes},features=128,size={options.examples}"
    words = ["run", "--dataset", data, "--target", "mlp:hidden=16", "--kappa", "0.3", "--no-dp"]
    words += ["--models", options.models, "--epochs", "1", "--jobs", options.jobs]
    words += [word for attack in options.attack for word in ("--attack", attack)]
    with tempfile.TemporaryDirectory(prefix="mgaudit-memory-") as folder:
        environment = {**os.environ, "MGAUDIT_CACHE": f"{folder}/cache"}
        command = [sys.executable, "-m", "mgaudit", *map(str, words), "--quiet"]
        process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)
        peak = 0.0
        try:
            while process.poll() is None:
                peak = max(peak, sum(map(_proportional_bytes, _of_session(process.pid))))
                time.sleep(SAMPLING_SECONDS)
        finally:
            process.kill()  # and with it its workers
        if process.returncode:
            raise RuntimeError(f"the run ended with exit code {process.returncode}")
    return peak


def _of_session(leader: int) -> list[int]:
    """Returns the processes in the session of a process."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                if os.getsid(int(name)) == leader:
                    members.append(int(name))
            except ProcessLookupError:
                continue
    return members


def _proportional_bytes(process: int) -> float:
    """Returns the PSS of a process: its own pages, and its share of those that others share."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return 1024.0 * sum(kilobytes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=int, default=24)
    parser.add_argument("--examples", type=int, default=12_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--attack", nargs="+", default=["rmia", "lira"])
    return parser


if __name__ == "__main__":
    sys.exit(main())
