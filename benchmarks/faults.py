"""Kill, interrupt and stop commands, fill their disks, and count what came of it.

    python benchmarks/faults.py kill [--moments 40] [--seed 0] [--fresh]
    python benchmarks/faults.py renames [--only run]
    python benchmarks/faults.py signals
    python benchmarks/faults.py disks [--sizes 12]
    python benchmarks/faults.py together [--rounds 1]

Every command is a real process in a session of its own, with its own cache, its own directory of
temporary files and its own runs. After each fault the same command runs again, and its result and
arrays must equal those of an undisturbed run bit for bit, apart from times. Prints one table in
Markdown. What went wrong is on stderr. Exits with 1 if anything did. Linux only; `disks` needs the
rights of root, to mount small file systems.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
from fault_processes import (
    Command,
    Place,
    Prepare,
    at_rename,
    import_everything,
    listed_renames,
    names_in_shared_memory,
    numbers,
    reused_models,
    small_disk,
)

# Data of more than 1 MiB, so that workers get them through files in the cache.
STUDY = ["--dataset", "synthetic:size=300,features=1000", "--target", "mlp:hidden=16"]
STUDY += ["--models", "4", "--epochs", "2", "--stack", "1", "--attack", "loss"]
RUN = ["run", *STUDY, "--no-dp"]
COMPARE = ["compare", *STUDY, "--scheme", "none", "--scheme", "gaussian-mask:kappa=0.3"]
COMPARE += ["--seed", "0", "--seed", "1"]
REPORT = ["report", "latest", "--format", "html,pdf,latex,csv"]
REPORTS = ("report.html", "report.pdf", "report-latex", "report.csv")
COMMANDS = {"run": RUN, "compare": COMPARE}

STAGES = {  # by the text on stderr with which they begin
    "planning": "loading data",
    "training": "1 of 4 models",
    "attacking": "querying and attacking",
    "writing reports": "writing the result",
}
SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT", "SIGSEGV", "SIGKILL")
IN_ORDER = ("SIGTERM", "SIGHUP", "SIGINT")
RECEIVERS = ("group", "parent", "worker")
# What is done to each of several processes on one cache.
ACTS: tuple[str, ...]
ACTS = ("undisturbed,undisturbed", "kill,undisturbed", "interrupt,undisturbed")
ACTS += ("stop,undisturbed", "kill,interrupt,stop,undisturbed", "stop,kill,undisturbed,undisturbed")
DISKS = ("cache", "work", "temporary")
WAITING = "waiting for process"
WAITING_SECONDS = 5.0
TITLES = {
    "kill": "SIGKILL of the group",
    "renames": "struck at a rename",
    "signals": "signal",
    "disks": "disk full",
    "together": "processes on one cache",
}


@dataclass
class Tally:
    """What came of the trials of one row: their number, and what was wrong with some of them."""

    trials: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faulty: int = 0


class Experiment:
    """Trials in directories inside `root`, and their table."""

    def __init__(self, root: Path, options: argparse.Namespace) -> None:
        self.root = root
        self.options = options
        self.shared = names_in_shared_memory()
        self.generator = np.random.default_rng(options.seed)
        self.rows: dict[str, Tally] = {}
        self._commands: list[Command] = []
        self._clean: dict[tuple[str, ...], tuple[tuple[str, str], float, Place]] = {}

    def start(
        self, place: Place, arguments: Sequence[str], prepare: Prepare | None = None
    ) -> Command:
        """Starts a command in the place; `prepare` is as in `Command`."""
        is_fresh = self.options.fresh and prepare is None
        command = Command(place, arguments, prepare, is_fresh)
        self._commands.append(command)
        return command

    def end(self) -> None:
        """Kills the commands that still run."""
        for command in self._commands:
            if command.exit_code() is None:
                command.send(signal.SIGKILL)
                command.wait()

    def clean(self, arguments: Sequence[str]) -> tuple[tuple[str, str], float, Place]:
        """Returns the numbers of an undisturbed run, its seconds, and its place."""
        key = tuple(arguments)
        if key not in self._clean:
            place = Place.new(self.root)
            begun = time.monotonic()
            command = self.start(place, arguments)
            if command.wait():
                raise RuntimeError(f"the undisturbed run failed: {command.stderr()}")
            seconds = time.monotonic() - begun
            self._clean[key] = (numbers(place), seconds, place)
        return self._clean[key]

    def expected(self, arguments: Sequence[str]) -> tuple[str, str]:
        """Returns the numbers of an undisturbed run."""
        return self.clean(arguments)[0]

    def note(self, row: str, problems: Sequence[str], *outcomes: str, trial: str = "") -> None:
        """Counts a trial in a row; problems are printed on stderr."""
        tally = self.rows.setdefault(row, Tally())
        tally.trials += 1
        tally.counts.update(outcomes)
        tally.faulty += bool(problems)
        for problem in problems:
            print(f"{row}, {trial}: {problem}", file=sys.stderr, flush=True)

    def rerun_problems(self, place: Place, arguments: Sequence[str], kept: int) -> list[str]:
        """Runs the command again, and returns what is wrong then; `kept` models were there."""
        command = self.start(place, arguments)
        code = command.wait()
        if code:
            return [f"the rerun ended with {code}: {command.stderr()[-500:]}"]
        problems = self.result_problems(place, arguments)
        if not problems and reused_models(place.run_folders()[0]) < kept:
            problems.append(f"the rerun reused fewer than the {kept} models that were kept")
        leftovers = place.leftovers(self.shared)
        if leftovers:
            problems.append(f"left over after the rerun: {', '.join(leftovers)}")
        return problems

    def report_problems(self, place: Place) -> list[str]:
        """Renders the reports again, and returns what is wrong then."""
        command = self.start(place, REPORT)
        code = command.wait()
        if code:
            return [f"the rerun ended with {code}: {command.stderr()[-500:]}"]
        (folder,) = place.run_folders()
        missing = [name for name in REPORTS if not (folder / name).exists()]
        leftovers = place.leftovers(self.shared)
        problems = [f"no {name}" for name in missing]
        return [*problems, *(f"left over after the rerun: {name}" for name in leftovers)]

    def result_problems(self, place: Place, arguments: Sequence[str]) -> list[str]:
        """Returns what is wrong with the result in the place."""
        try:
            is_equal = numbers(place) == self.expected(arguments)
        except (OSError, ValueError) as error:
            return [f"no single result: {error}"]
        return [] if is_equal else ["the result differs from that of the undisturbed run"]


def kill(experiment: Experiment) -> None:
    """Kills the group at random moments of `run` and `compare`."""
    for name in experiment.options.only or COMMANDS:
        arguments = [*COMMANDS[name], "--jobs", str(experiment.options.jobs)]
        _, seconds, _ = experiment.clean(arguments)
        for _ in range(experiment.options.moments):
            place = Place.new(experiment.root)
            moment = experiment.generator.uniform(0, seconds)
            command = experiment.start(place, arguments)
            time.sleep(moment)
            had_ended = command.exit_code() is not None
            command.send(signal.SIGKILL)
            command.wait()
            problems = [f"orphans: {pids}"] if (pids := command.orphans()) else []
            left = place.leftovers(experiment.shared)
            outcome = "ended before" if had_ended else "killed"
            kinds = {"remnants, swept by the rerun"} if left else set()
            problems += experiment.rerun_problems(place, arguments, place.models())
            trial = f"at {moment:.2f} s of {seconds:.2f}"
            experiment.note(f"`{name}`", problems, outcome, *kinds, trial=trial)
            place.remove()


def renames(experiment: Experiment) -> None:
    """Strikes before and after every rename of `run` and of `report`."""
    run = [*RUN, "--jobs", "1"]
    for name in experiment.options.only or ("run", "report"):
        arguments = run if name == "run" else REPORT
        made = experiment.clean(run)[2]

        def new_place(made: Place = made, name: str = name) -> Place:
            is_empty = name == "run"
            return Place.new(experiment.root) if is_empty else made.copy_to(experiment.root)

        place = new_place()
        listing = place.folder / "renames"
        experiment.start(place, arguments, listed_renames(listing)).wait()
        names = listing.read_text().splitlines()
        strikes = [
            (signal_name, number, moment)
            for signal_name in ("SIGKILL", "SIGINT")
            for number in range(1, len(names) + 1)
            for moment in ("before", "after")
        ]
        for index in experiment.generator.permutation(len(strikes)):
            signal_name, number, moment = strikes[index]
            strike = at_rename(number, moment, signal.Signals[signal_name])
            place = new_place()
            command = experiment.start(place, arguments, strike)
            problems = _ending_problems(command, signal_name, "parent")
            if name == "run":
                problems += experiment.rerun_problems(place, run, place.models())
            else:
                problems += experiment.report_problems(place)
                problems += experiment.result_problems(place, run)
            trial = f"{moment} rename {number} ({names[number - 1]})"
            row = f"`{name}`, {signal_name}"
            experiment.note(row, problems, trial=trial)
            place.remove()


def _ending_problems(command: Command, signal_name: str, receiver: str) -> list[str]:
    """Returns what is wrong with how a command ended after a signal."""
    code, number = command.wait(), signal.Signals[signal_name]
    problems = [f"orphans: {pids}"] if (pids := command.orphans()) else []
    of_command = 128 + number if signal_name in IN_ORDER else -number
    expected = 0 if receiver == "worker" else of_command
    if code != expected:
        problems.append(f"exit code {code}, not {expected}: {command.stderr()[-500:]}")
    if "Traceback" in command.stderr():
        problems.append(f"a traceback: {command.stderr()[-1500:]}")
    if expected > 0 and "interrupted" not in command.stderr():
        problems.append("the interruption was not printed")
    return problems


def signals(experiment: Experiment) -> None:
    """Sends each signal to the group, the parent and a worker at each stage of `run`."""
    arguments = [*RUN, "--jobs", str(experiment.options.jobs)]
    experiment.expected(arguments)
    trials = list(product(experiment.options.only or STAGES, RECEIVERS, SIGNALS))
    for index in experiment.generator.permutation(len(trials)):
        stage, receiver, name = trials[index]
        place = Place.new(experiment.root)
        command = experiment.start(place, arguments)
        is_there = command.wait_for(STAGES[stage])
        problems = [] if is_there else [f"the stage did not begin: {command.stderr()}"]
        workers = command.workers()
        kind = "SIGINT, SIGTERM or SIGHUP" if name in IN_ORDER else "SIGSEGV or SIGKILL"
        row = "to a worker" if receiver == "worker" else f"{kind} to the group or the parent"
        if receiver == "worker" and not workers:
            command.send(signal.SIGKILL)
            command.wait()
            experiment.note(row, [], "without a worker", trial=name)
            place.remove()
            continue
        before = place.models()
        _send(command, receiver, workers, signal.Signals[name])
        problems += _ending_problems(command, name, receiver)
        problems += _log_problems(place, name, receiver)
        if place.models() < before:
            problems.append("models were lost")
        problems += experiment.rerun_problems(place, arguments, place.models())
        experiment.note(row, problems, name, trial=name)
        place.remove()


def _send(command: Command, receiver: str, workers: Sequence[int], number: int) -> None:
    if receiver == "group":
        command.send(number)
    else:
        os.kill(command.pid if receiver == "parent" else workers[0], number)


def _log_problems(place: Place, name: str, receiver: str) -> list[str]:
    """Returns what is wrong with the log after a signal."""
    folders = place.run_folders()
    if not folders:  # while planning
        return []
    log = folders[0] / "log.txt"
    text = log.read_text() if log.exists() else ""
    if receiver == "worker":
        return [] if text else ["there is no log"]
    words = "interrupted" if name == "SIGINT" else f"interrupted by {name}"
    if name in IN_ORDER and (text.splitlines() or [""])[-1] != words:
        return [f"the log does not end with {words!r}"]
    return []


def disks(experiment: Experiment) -> None:
    """Runs on disks of several sizes up to what is needed, then with space."""
    arguments = [*RUN, "--jobs", str(experiment.options.jobs)]
    _, _, clean = experiment.clean(arguments)
    sizes = experiment.options.sizes
    for disk in experiment.options.only or DISKS:
        folder = getattr(clean, disk)
        need = _pages(folder)
        for index in range(1, sizes + 1):
            size = max(need * index // (sizes + 1) // 4096, index) * 4096
            place = Place.new(experiment.root)
            with small_disk(getattr(place, disk), size) as with_space:
                command = experiment.start(place, arguments)
                code, stderr = command.wait(), command.stderr()
                outcome, problems = "ended with an error", _disk_problems(place, disk, stderr)
                if code == 0:
                    outcome, problems = "succeeded", experiment.result_problems(place, arguments)
                if code not in (0, 1, 2):
                    problems.append(f"exit code {code}")
                with_space()
                problems += experiment.rerun_problems(place, arguments, place.models())
                trial = f"{size // 1024} KiB"
                experiment.note(f"the {NAMES_OF_DISKS[disk]}", problems, outcome, trial=trial)
            place.remove()


WORDS = {  # for each disk, words of a line that names it
    "cache": ("MGAUDIT_CACHE",),
    "work": ("--out", " runs/"),
    "temporary": ("TMPDIR",),
}
NAMES_OF_DISKS = {"cache": "cache", "work": "runs", "temporary": "directory of temporary files"}


def _pages(folder: Path) -> int:
    """Returns the bytes that the files in a directory take, in whole pages."""
    sizes = [path.lstat().st_size for path in folder.rglob("*")]
    return sum(-(-size // 4096) * 4096 for size in sizes)


def _disk_problems(place: Place, disk: str, stderr: str) -> list[str]:
    """Returns what is wrong with what a command printed that ended because of a full disk."""
    errors = [line for line in stderr.splitlines() if line.startswith("error:")]
    problems = []
    if "Traceback" in stderr:
        problems.append(f"a traceback: {stderr[-1500:]}")
    if len(errors) != 1:
        problems.append(f"{len(errors)} lines of errors: {stderr[-500:]}")
    elif not any(name in errors[0] for name in (*WORDS[disk], str(getattr(place, disk)))):
        problems.append(f"the disk is not named: {errors[0]}")
    return problems


def together(experiment: Experiment) -> None:
    """Runs two and four processes on one cache, and disturbs some of them."""
    arguments = [*RUN, "--jobs", str(experiment.options.jobs)]
    for _ in range(experiment.options.rounds):
        if experiment.options.only is None:
            _stopped_and_waiting(experiment, arguments)
        for acts in experiment.options.only or ACTS:
            _at_once(experiment, arguments, acts.split(","))


def _stopped_and_waiting(experiment: Experiment, arguments: Sequence[str]) -> None:
    """Stops a process that trains, and starts another, which must say that it waits."""
    place = Place.new(experiment.root)
    first = experiment.start(place, arguments)
    first.wait_for(STAGES["training"])
    first.send(signal.SIGSTOP)
    second = experiment.start(place, arguments)
    problems = []
    second.wait_for(STAGES["planning"])
    begun = time.monotonic()
    try:
        second.wait_for(WAITING, 60)
        seconds = time.monotonic() - begun
        if seconds > WAITING_SECONDS:
            problems.append(f"the wait was announced after {seconds:.1f} s")
    except TimeoutError as error:
        problems.append(str(error))
    first.send(signal.SIGCONT)
    for command in (first, second):
        if code := command.wait():
            problems.append(f"exit code {code}: {command.stderr()[-500:]}")
    problems += experiment.rerun_problems(place, arguments, 8)
    experiment.note("two; the first is stopped, the second says that it waits", problems)
    place.remove()


def _at_once(experiment: Experiment, arguments: Sequence[str], acts: Sequence[str]) -> None:
    """Starts a process for each act, which is done to it at a random moment."""
    _, seconds, _ = experiment.clean(arguments)
    place = Place.new(experiment.root)
    commands = [experiment.start(place, arguments) for _ in acts]
    moments = experiment.generator.uniform(0.1, 0.9, len(acts)) * seconds * len(acts) ** 0.5
    begun = time.monotonic()
    for index in np.argsort(moments):
        time.sleep(max(0.0, begun + moments[index] - time.monotonic()))
        number = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT, "stop": signal.SIGSTOP}
        if acts[index] in number:
            commands[index].send(number[acts[index]])
    time.sleep(3)
    for command in commands:
        command.send(signal.SIGCONT)
    problems = []
    for act, command in zip(acts, commands, strict=True):
        code = command.wait()
        allowed = {"kill": (-9, 0), "interrupt": (130, 0)}.get(act, (0,))
        if code not in allowed or "Traceback" in command.stderr():
            problems.append(f"{act}: exit code {code}: {command.stderr()[-800:]}")
        if pids := command.orphans():
            problems.append(f"{act}: orphans {pids}")
    problems += experiment.result_problems(place, arguments)
    problems += experiment.rerun_problems(place, arguments, place.models())
    trial = f"at {', '.join(f'{moment:.2f}' for moment in moments)} s"
    experiment.note(f"{len(acts)} at once", problems, f"({', '.join(acts)})", trial=trial)
    place.remove()


EXPERIMENTS: dict[str, Callable[[Experiment], None]] = {
    "kill": kill,
    "renames": renames,
    "signals": signals,
    "disks": disks,
    "together": together,
}


def main(arguments: list[str] | None = None) -> int:
    """Prints a table of what came of the faults. Returns the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # print the table of what was tried
    if not options.fresh:
        import_everything()
    with tempfile.TemporaryDirectory(prefix="mgaudit-faults-") as folder:
        experiment = Experiment(Path(folder), options)
        try:
            EXPERIMENTS[options.experiment](experiment)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
        finally:
            experiment.end()
            print("\n".join(_table(options.experiment, experiment.rows)))
    return int(any(tally.faulty for tally in experiment.rows.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("experiment", choices=EXPERIMENTS)
    add("--moments", type=int, default=40, help="of `kill`, for each command")
    add("--sizes", type=int, default=12, help="of `disks`, for each disk")
    add("--rounds", type=int, default=1, help="of `together`")
    add("--only", action="append", help="a command, stage, disk or list of acts (default: all)")
    add("--jobs", type=int, default=2, help="processes of each command")
    add("--seed", type=int, default=0)
    add("--fresh", action="store_true", help="start a new interpreter for each command")
    return parser


def _table(name: str, rows: dict[str, Tally]) -> Iterator[str]:
    yield f"| {TITLES[name]} | trials | as promised | faulty | what happened |"
    yield "|---|---|---|---|---|"
    for row, tally in rows.items():
        counts = ", ".join(f"{count} {what}" for what, count in sorted(tally.counts.items()))
        right = tally.trials - tally.faulty
        yield f"| {row} | {tally.trials} | {right} | {tally.faulty} | {counts} |"


if __name__ == "__main__":
    sys.exit(main())
