"""How long the dry run of each shipped study takes, with an empty cache.

    python benchmarks/dry_runs.py [--rounds 3]

runs `mgaudit compare studies/NAME.toml --dry-run` for each study, one after the other, in each
round. Prints the medians in Markdown.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AIM = 10.0  # seconds


def main(arguments: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="names of studies (default: all)")
    options = parser.parse_args(arguments)
    studies = sorted((ROOT / "studies").glob("*.toml"))
    chosen = [path for path in studies if not options.only or path.stem in options.only]
    seconds: dict[str, list[float]] = {path.stem: [] for path in chosen}
    for _ in range(options.rounds):
        for path in chosen:
            seconds[path.stem].append(seconds_of_dry_run(path))
    print("| study | dry run, s | aim, s |")
    print("|---|---|---|")
    for name, of_study in seconds.items():
        print(f"| {name} | {statistics.median(of_study):.1f} | {AIM:g} |")
    return 0


def seconds_of_dry_run(study: Path) -> float:
    """Returns the seconds of the command."""
    with tempfile.TemporaryDirectory(prefix="mgaudit-dry-") as folder:
        words = [sys.executable, "-m", "mgaudit", "compare", str(study), "--dry-run", "--quiet"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MGAUDIT_CACHE": f"{folder}/cache"}
        environment.pop("OMP_NUM_THREADS", None)
        clock = time.perf_counter()
        subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - clock


if __name__ == "__main__":
    sys.exit(main())
