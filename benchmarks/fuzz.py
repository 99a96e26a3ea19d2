"""Give mgaudit nasty settings, files and command lines, and count tracebacks, hangs and memory.

    python benchmarks/fuzz.py [--commands 2000] [--data 500] [--studies 200] [--seed 0] [--jobs 2]

Every case is a command line in a directory with files, both drawn from the seed. The command is
planned but nothing is trained; only commands on damaged cache files run to their end, with models
of a few weights. Each case runs in a process of its own with a limited address space and time. A
case fails if the exit code is that of an unexpected error (1) or of a signal, if a traceback is
printed, or if it needs more time or memory than a plan may. Exits with 1 if any case failed. The
cases are in `fuzz_cases.py`.
"""

import argparse
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fuzz_cases import GENERATORS, OF_RUNS, Case, Material

MOST_SECONDS = 20  # of processor time
MOST_WAIT_SECONDS = 60.0  # of a case that does not use the processor
MOST_MEBIBYTES = 2048
EXPECTED_CODES = (0, 2, 3)  # success, a mistake of the user, a condition that is met
OK, TRACEBACK, HANG, MEMORY, SIGNAL = "ok", "traceback", "hang", "memory", "signal"
FAULTS = (TRACEBACK, HANG, SIGNAL)
# Imported once, so that the processes of the cases need not.
IMPORTED = (
    *("mgaudit.checkpoint.plan", "mgaudit.cli.app", "mgaudit.cli.build_catalogue"),
    *("mgaudit.outputs.study", "mgaudit.reports.document", "mgaudit.study.estimate"),
    *("mgaudit.study.plan", "mgaudit.study.study", "mgaudit.tuning.tune", "mgaudit.storage.join"),
    *("mgaudit.study.finished", "mgaudit.settings.tuning", "opacus.accountants", "pandas"),
    *("dp_accounting.pld.privacy_loss_distribution", "sklearn.datasets"),
)


class Planned(BaseException):
    """Raised where the work of a command would begin."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case: one of OK, TRACEBACK, HANG, MEMORY and SIGNAL, and its measures."""

    kind: str
    number: int
    outcome: str
    code: int
    seconds: float
    mebibytes: float
    arguments: tuple[str, ...]
    last_line: str


def main(arguments: list[str] | None = None) -> int:
    """Prints a table of the outcomes and the cases that failed. Returns the exit code."""
    options = _parser().parse_args(arguments)
    counts = {"commands": options.commands, "data": options.data, "studies": options.studies}
    cases = [
        (kind, number)
        for kind, (group, share) in GENERATORS.items()
        for number in range(round(counts[group] * share))
        if not (options.no_runs and kind in OF_RUNS)
    ]
    kind, _, number = options.only.partition(":")
    if kind:
        cases = [case for case in cases if case[0] == kind]
    if number:
        cases = [(kind, int(number))]
    with tempfile.TemporaryDirectory(prefix="mgaudit-fuzz-") as folder:
        outcomes = _all_outcomes(cases, options, Path(folder))
    if options.lines:
        for outcome in outcomes:
            print(f"{outcome.kind}:{outcome.number} {outcome.code} {outcome.last_line}")
    return _print(outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--commands", type=int, default=2000, help="settings and command lines")
    add("--data", type=int, default=500, help="data, result and cache files")
    add("--studies", type=int, default=200, help="study files")
    add("--seed", type=int, default=0)
    add("--jobs", type=int, default=2)
    add("--only", default="", help="only this kind of case, as KIND or KIND:NUMBER")
    add("--no-runs", action="store_true", help="leave out damaged results and caches of a run")
    add("--seconds", type=int, default=MOST_SECONDS, help="most processor time of a case")
    add("--mebibytes", type=int, default=MOST_MEBIBYTES, help="most memory of a case")
    add("--fault", choices=FAULTS, help="what every case does, which tests this program")
    add("--lines", action="store_true", help="print the last line of every case")
    add("--keep", type=Path, help="directory for the cases that failed")
    return parser


def _all_outcomes(
    cases: Sequence[tuple[str, int]], options: argparse.Namespace, folder: Path
) -> list[Outcome]:
    """Runs the cases in some processes, which are forked once everything is imported."""
    for module in IMPORTED:
        importlib.import_module(module)
    material = Material.made(folder / "material", with_run=not options.no_runs)
    _plan_only()
    workers = []
    for worker in range(options.jobs):
        process = os.fork()
        if process == 0:
            _work(cases[worker :: options.jobs], options, material, folder / f"worker-{worker}")
        workers.append(process)
    for process in workers:
        if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != 0:
            raise RuntimeError("a worker of the benchmark failed")
    files = sorted(folder.glob("worker-*.json"))
    return [Outcome(**values) for file in files for values in json.loads(file.read_text())]


def _work(
    cases: Sequence[tuple[str, int]],
    options: argparse.Namespace,
    material: Material,
    folder: Path,
) -> None:
    """Runs the cases in this process, writes their outcomes to a file, and ends the process."""
    code = 1
    try:
        values = []
        for case in cases:
            outcome = _outcome(case, options, material, folder)
            values.append(asdict(outcome))
            if outcome.outcome != OK:
                print(f"{outcome.outcome} {outcome.kind}:{outcome.number}", flush=True)
            elif len(values) % 100 == 0:
                print(f"{len(values)} cases", file=sys.stderr, flush=True)
        folder.with_suffix(".json").write_text(json.dumps(values))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _plan_only() -> None:
    """Replaces what trains, attacks or downloads by the end of the command."""
    import mgaudit.api
    import mgaudit.function_runs
    import mgaudit.paper_runs
    import mgaudit.running
    import mgaudit.score_runs
    import mgaudit.study.estimate
    import mgaudit.study.stacking
    import mgaudit.targets.datasets.published
    import mgaudit.tuning.tune

    def stop(*_: Any, **__: Any) -> Any:
        if os.environ.get("FUZZ_RUN"):
            return original(*_, **__)
        raise Planned

    original = mgaudit.running.run_study_plan
    modules: list[tuple[Any, tuple[str, ...]]] = [
        (mgaudit.api, ("run_study_plan", "run_comparison_plan", "run_dp_audit_plan")),
        (mgaudit.api, ("run_checkpoint_plan",)),
        (mgaudit.running, ("run_study_plan", "run_comparison_plan")),
        (mgaudit.score_runs, ("run_outputs_plan",)),
        (mgaudit.function_runs, ("run_functions",)),
        (mgaudit.paper_runs, ("_reproduced",)),
        (mgaudit.study.estimate, ("estimated",)),
        (mgaudit.tuning.tune, ("with_searches", "with_grid_searches")),
        (mgaudit.targets.datasets.published.PublishedDataset, ("fetch",)),
    ]
    for module, names in modules:
        for name in names:
            assert hasattr(module, name), f"{module} has no {name}"
            setattr(module, name, stop)
    # The timing of stacks depends on the machine and takes seconds.
    mgaudit.study.stacking.fastest_stack = lambda *_: 1  # type: ignore[assignment]


def _outcome(
    case: tuple[str, int], options: argparse.Namespace, material: Material, folder: Path
) -> Outcome:
    """Runs one case in a new process and returns its outcome."""
    kind, number = case
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    drawn = material.case(kind, number, options.seed)
    home = folder / "home"
    _write(drawn, material, home)
    started = time.monotonic()
    process = os.fork()
    if process == 0:
        _run(drawn, folder, options)
    status, usage, is_killed = _waited(process, started)
    seconds = time.monotonic() - started
    code = os.waitstatus_to_exitcode(status)
    printed = (folder / "stderr").read_bytes().decode(errors="backslashreplace")
    outcome = OK
    if is_killed or code == -signal.SIGXCPU:
        outcome = HANG
    elif usage.ru_maxrss > 1024 * options.mebibytes:
        outcome = MEMORY
    elif code < 0:
        outcome = SIGNAL
    elif code not in EXPECTED_CODES or "Traceback (most recent call last)" in printed:
        outcome = TRACEBACK
    keep = options.keep
    if outcome != OK and keep is not None:
        shutil.copytree(
            folder, keep / f"{options.seed}-{kind}-{number}", symlinks=True, dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("fifo", "cache", "loop"),
        )  # fmt: skip
    shown = tuple(argument[:200].encode(errors="replace").decode() for argument in drawn.arguments)
    last = printed.strip().rpartition("\n")[2][:400]
    mebibytes = usage.ru_maxrss / 1024
    return Outcome(kind, number, outcome, code, seconds, mebibytes, shown, last)


def _write(case: Case, material: Material, home: Path) -> None:
    """Writes the files of a case, and the special files that every case can name."""
    home.mkdir()
    for source, name in case.copies:
        shutil.copytree(material.folder / source, home / name, symlinks=True, dirs_exist_ok=True)
    for name, content in case.files.items():
        path = os.fsencode(home) + b"/" + os.fsencode(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    os.mkfifo(home / "fifo")
    (home / "loop").symlink_to("loop")


def _run(case: Case, folder: Path, options: argparse.Namespace) -> None:
    """Runs the command in this process, and ends it with the exit code of the command."""
    code = 1
    try:
        os.chdir(folder / "home")
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            file = os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(file, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ |= {"MGAUDIT_CACHE": str(folder / "home" / "cache"), "TMPDIR": str(folder)}
        tempfile.tempdir = None
        if case.runs:
            os.environ["FUZZ_RUN"] = "1"
        own_size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own_size + 2**20 * options.mebibytes,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (options.seconds, options.seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _do(options.fault)
        code = _code(case)
    except Planned:
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _do(fault: str | None) -> None:
    if fault == TRACEBACK:
        raise RuntimeError(fault)
    if fault == SIGNAL:
        os.abort()
    while fault == HANG:
        pass


def _code(case: Case) -> int:
    """Runs the command, or the function that reads a file. Returns the exit code 0."""
    from mgaudit.cli.app import app
    from mgaudit.errors import UsageError

    if case.read is None:
        app(list(case.arguments), prog_name="mgaudit")
        return 0
    try:
        case.read()
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _waited(process: int, started: float) -> tuple[int, resource.struct_rusage, bool]:
    """Returns status and usage of a process when it ends, and whether it was killed."""
    is_killed = False
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            return status, usage, is_killed
        if time.monotonic() - started > MOST_WAIT_SECONDS:
            os.kill(process, signal.SIGKILL)
            is_killed = True
        time.sleep(0.01)


def _print(outcomes: Sequence[Outcome]) -> int:
    failed = [outcome for outcome in outcomes if outcome.outcome != OK]
    for outcome in failed:
        arguments = " ".join(map(repr, outcome.arguments))[:600]
        measures = f"code {outcome.code}, {outcome.seconds:.0f} s, {outcome.mebibytes:.0f} MiB"
        print(f"{outcome.outcome} {outcome.kind}:{outcome.number} ({measures})\n  {arguments}")
        print(f"  {outcome.last_line}")
    columns = (OK, TRACEBACK, HANG, MEMORY, SIGNAL)
    print(f"{'':10} {'cases':>6}", *(f"{name:>9}" for name in columns), " most s  most MiB")
    for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind]
        counts = Counter(outcome.outcome for outcome in of_kind)
        seconds = max(outcome.seconds for outcome in of_kind)
        mebibytes = max(outcome.mebibytes for outcome in of_kind)
        numbers = (f"{counts[name]:>9}" for name in columns)
        print(f"{kind:10} {len(of_kind):>6}", *numbers, f"{seconds:>7.1f} {mebibytes:>9.0f}")
    codes = Counter(outcome.code for outcome in outcomes)
    print("exit codes:", ", ".join(f"{code}: {count}" for code, count in sorted(codes.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
