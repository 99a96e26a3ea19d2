"""The directory of a process in the cache, for files that no later run needs."""

import os
import secrets
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from mgaudit.targets.cache import cache_folder

FOLDER = "running"  # in the cache
LOCK_SUFFIX = ".lock"


class RunFiles:
    """A directory that is deleted when it is closed, or, if this process is killed, by the next.

    Beside the directory is a lock file, whose lock this process holds as long as it lives.
    """

    def __init__(self) -> None:
        root = cache_folder() / FOLDER
        root.mkdir(parents=True, exist_ok=True)
        sweep()
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = FileLock(root / f"{name}{LOCK_SUFFIX}")
        while True:
            self._lock.acquire()
            if Path(self._lock.lock_file).exists():
                break
            self._lock.release()  # another process took the new file for one of an ended process
        self.folder = root / name
        self.folder.mkdir()

    def close(self) -> None:
        """Deletes the directory and its lock file."""
        shutil.rmtree(self.folder, ignore_errors=True)
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


def sweep() -> None:
    """Deletes the directories of processes that ended without closing them."""
    root = cache_folder() / FOLDER
    for lock_path in root.glob(f"*{LOCK_SUFFIX}"):
        lock = FileLock(lock_path, timeout=0)
        try:
            lock.acquire()
        except (Timeout, OSError):
            continue  # its process lives, or another process sweeps too
        shutil.rmtree(lock_path.with_suffix(""), ignore_errors=True)
        lock_path.unlink(missing_ok=True)
        lock.release()
