"""Commands of mgaudit in sessions of their own, which `faults.py` kills, stops and interrupts.

A command runs in a fork of this process, which has imported everything, or in a new interpreter.
"""

import contextlib
import ctypes
import errno
import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHARED_MEMORY = Path("/dev/shm")
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000  # of unshare, mount
# Imported once, so that forks need not.
IMPORTED = (
    *("mgaudit.cli.app", "mgaudit.reports.document", "mgaudit.run_plans", "mgaudit.study.plan"),
    *("mgaudit.study.study", "mgaudit.study.comparison", "mgaudit.storage.join", "torch.func"),
    *("opacus.accountants", "sklearn.datasets", "mgaudit.compute.processes"),
)
OF_TORCH = "torchinductor_"  # an empty directory in TMPDIR, one for each user, made by an import
ORPHAN_SECONDS = 5.0  # in which all processes of a killed command must end
LONGEST_SECONDS = 240.0  # of a command on a busy machine
Prepare = Callable[[], None]


@dataclass(frozen=True)
class Place:
    """A directory with a cache, a working directory and a directory of temporary files."""

    folder: Path

    @classmethod
    def new(cls, root: Path) -> "Place":
        """Returns an empty place in `root`."""
        place = cls(Path(tempfile.mkdtemp(dir=root, prefix="place-")))
        for path in (place.cache, place.work, place.temporary, place.shared):
            path.mkdir()
        return place

    @property
    def cache(self) -> Path:
        """The directory of MGAUDIT_CACHE."""
        return self.folder / "cache"

    @property
    def work(self) -> Path:
        """The current directory of the commands, in which they make `runs`."""
        return self.folder / "work"

    @property
    def temporary(self) -> Path:
        """The directory of TMPDIR."""
        return self.folder / "temporary"

    @property
    def shared(self) -> Path:
        """What commands see as `SHARED_MEMORY`, where this process may mount it there."""
        return self.folder / "shared"

    def copy_to(self, root: Path) -> "Place":
        """Returns a copy of the place in `root`."""
        copy = Place(Path(tempfile.mkdtemp(dir=root, prefix="place-")))
        shutil.copytree(self.folder, copy.folder, dirs_exist_ok=True)
        return copy

    def remove(self) -> None:
        """Deletes the place."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def models(self) -> int:
        """Returns the number of models in the cache."""
        return len(list(self.cache.glob("ensembles/*/model-*.safetensors")))

    def run_folders(self) -> list[Path]:
        """Returns the run directories."""
        return sorted(path for path in self.work.glob("runs/*") if path.is_dir())

    def leftovers(self, shared: frozenset[str]) -> list[str]:
        """Returns what ended commands left that no later command needs, one path each.

        `shared` are the names that were in shared memory before.
        """
        patterns: tuple[str, ...]
        patterns = ("work/runs/*/.in-use-*", "work/runs/*/.checksums.lock", "cache/running/*")
        patterns += ("temporary/*", "shared/*")
        found = [path for pattern in patterns for path in self._glob(pattern)]
        found += [path for path in self.folder.rglob(".*.partial") if path not in found]
        names = [
            str(path.relative_to(self.folder))
            for path in found
            if not path.name.startswith(OF_TORCH)
        ]
        if os.geteuid() != 0:  # then commands share it with all other processes
            names += sorted(f"/dev/shm/{name}" for name in names_in_shared_memory() - shared)
        return names

    def _glob(self, pattern: str) -> Iterator[Path]:
        return self.folder.glob(pattern)


def names_in_shared_memory() -> frozenset[str]:
    """Returns the names of the files in shared memory."""
    with contextlib.suppress(OSError):
        return frozenset(os.listdir(SHARED_MEMORY))
    return frozenset()


def numbers(place: Place) -> tuple[str, str]:
    """Returns the SHA-256 of the result without its times, and of the arrays, of the only run.

    Raises ValueError unless there is exactly one run directory.
    """
    (folder,) = place.run_folders()
    return numbers_of(folder)


def numbers_of(folder: Path) -> tuple[str, str]:
    """Returns the SHA-256 of the result without its times, and of the arrays, of a run."""
    result = json.loads((folder / "result.json").read_text())
    for study in result["studies"]:
        del study["times"]
    arrays = sha256()
    with np.load(folder / "arrays.npz") as stored:
        for name in sorted(stored.files):
            values = stored[name]
            arrays.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    text = json.dumps(result, sort_keys=True)
    return sha256(text.encode()).hexdigest(), arrays.hexdigest()


def reused_models(folder: Path) -> int:
    """Returns how many models the run took from the cache."""
    result = json.loads((folder / "result.json").read_text())
    return sum(sum(study["times"]["models_reused"].values()) for study in result["studies"])


def import_everything() -> None:
    """Imports what commands import, so that forks of this process start at once."""
    for module in IMPORTED:
        importlib.import_module(module)


class Command:
    """A command of mgaudit in a session of its own."""

    def __init__(
        self,
        place: Place,
        arguments: Sequence[str],
        prepare: Prepare | None = None,
        is_fresh: bool = False,
    ) -> None:
        """Starts the command in a place.

        Args:
            place: Where it runs.
            arguments: The command line after `mgaudit`.
            prepare: Called in the fork before the command begins.
            is_fresh: Start a new interpreter, which takes seconds; `prepare` must be None.
        """
        descriptor, name = tempfile.mkstemp(dir=place.folder, prefix="stderr-")
        self._stderr = Path(name)
        self._exit_code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _become(place, arguments, descriptor, prepare, is_fresh)
            finally:
                os._exit(70)  # not reached
        os.close(descriptor)

    def exit_code(self) -> int | None:
        """Returns the exit code, negative for a signal; None while the command runs."""
        if self._exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code

    def wait(self, seconds: float = LONGEST_SECONDS) -> int:
        """Returns the exit code of the ended command. Raises TimeoutError and kills it."""
        deadline = time.monotonic() + seconds
        while (code := self.exit_code()) is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"the command did not end in {seconds:.0f} s: {self.stderr()}")
            time.sleep(0.01)
        return code

    def wait_for(self, text: str, seconds: float = LONGEST_SECONDS) -> bool:
        """Waits until stderr contains the text. Returns False where the command ended before."""
        deadline = time.monotonic() + seconds
        while text not in self.stderr():
            if self.exit_code() is not None:
                return text in self.stderr()
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"{text!r} was not printed in {seconds:.0f} s")
            time.sleep(0.005)
        return True

    def stderr(self) -> str:
        """Returns what the command has printed on stderr."""
        return self._stderr.read_text(errors="replace")

    def send(self, number: int) -> None:
        """Sends a signal to all processes of the command, if it runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def workers(self) -> list[int]:
        """Returns the process numbers of the living processes of the session but the first."""
        return [pid for pid in living_processes(self.pid) if pid != self.pid]

    def orphans(self) -> list[int]:
        """Returns the processes that live when `ORPHAN_SECONDS` have passed after the end."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while (left := self.workers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left


def living_processes(session: int) -> list[int]:
    """Returns the processes of a session, from /proc. Ended ones that nobody waits for are not."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(path.parent.name))
    return found


def _become(
    place: Place,
    arguments: Sequence[str],
    stderr: int,
    prepare: Prepare | None,
    is_fresh: bool,
) -> None:
    """Makes this process, a fork, the command. Does not return."""
    os.setsid()
    if os.geteuid() == 0:
        _mount_shared_memory(place.shared)
    os.chdir(place.work)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, descriptor in enumerate((nothing, nothing, stderr)):
        os.dup2(descriptor, number)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ |= {
        "MGAUDIT_CACHE": str(place.cache),
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(place.temporary),
    }
    for name in ("SIGTERM", "SIGHUP", "SIGSEGV"):
        signal.signal(signal.Signals[name], signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if is_fresh:
        command = [sys.executable, "-m", "mgaudit", *arguments]
        os.execv(sys.executable, command)
    tempfile.tempdir = None
    sys.stdout, sys.stderr = _text_of(1), _text_of(2)
    sys.argv = ["mgaudit", *arguments]
    if prepare is not None:
        prepare()
    _run_command()


def _mount_shared_memory(folder: Path) -> None:
    """Mounts a directory at SHARED_MEMORY, for this process and those that it starts."""
    library = ctypes.CDLL(None, use_errno=True)
    source, target, root = (str(path).encode() for path in (folder, SHARED_MEMORY, "/"))
    failed = library.unshare(CLONE_NEWNS)
    failed = failed or library.mount(b"none", root, None, MS_REC | MS_PRIVATE, None)
    failed = failed or library.mount(source, target, None, MS_BIND, None)
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(SHARED_MEMORY))


def _run_command() -> None:
    from mgaudit.cli.app import main

    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _text_of(descriptor: int) -> TextIOWrapper:
    return open(descriptor, "w", encoding="utf-8", closefd=False)


def at_rename(number: int, moment: str, signal_number: int) -> Prepare:
    """Returns what makes a command strike itself "before" or "after" its rename `number`.

    Renames count from 1. SIGKILL goes to the whole group, other signals to the process.
    """

    def prepare() -> None:
        rename = os.replace
        count = 0

        def strike() -> None:
            if signal_number == signal.SIGKILL:
                os.killpg(0, signal_number)
            os.kill(os.getpid(), signal_number)

        def replace(source: Path, destination: Path) -> None:
            nonlocal count
            count += 1
            is_struck = count == number
            if is_struck and moment == "before":
                strike()
            rename(source, destination)
            if is_struck and moment == "after":
                strike()

        os.replace = replace  # type: ignore[assignment]

    return prepare


def listed_renames(path: Path) -> Prepare:
    """Returns what makes a command write the destination of each rename to a file, one a line."""

    def prepare() -> None:
        rename = os.replace

        def replace(source: Path, destination: Path) -> None:
            rename(source, destination)
            with path.open("a") as file:
                file.write(f"{Path(destination).name}\n")

        os.replace = replace  # type: ignore[assignment]

    return prepare


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """Mounts a file system of `size` bytes at a directory, which needs the rights of root.

    Yields a function that gives it space. Raises OSError where it cannot be mounted.
    """
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield lambda: _mount("-o", "remount,size=256m", str(folder))
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(errno.EPERM, f"mount failed: {done.stderr.strip()}")
