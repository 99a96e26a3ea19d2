"""What an error says if the memory or a disk was full, and what to do then."""

import errno
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mgaudit.targets.cache import cache_folder

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LITTLE_BYTES = 2**22  # of free space, with which a disk counts as full
# torch raises RuntimeError for the memory of the CPU, and a class of this name for that of a GPU.
ALLOCATOR, OF_GPU = "DefaultCPUAllocator", "OutOfMemoryError"
SHARED_MEMORY = Path("/dev/shm")


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error of Python, numpy or torch says that there is no more memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == OF_GPU:
        return True
    return isinstance(error, RuntimeError) and ALLOCATOR in str(error)


def memory_line(error: BaseException) -> str:
    """Returns the line for an error for which `is_out_of_memory` holds."""
    sentence = " ".join(str(error).split()).partition(". ")[0]
    reason = f" ({sentence})" if sentence else ""
    way_out = "use fewer --examples, --models, --queries or --jobs, or a smaller --target"
    return f"the memory is full{reason}; {way_out}"


def is_disk_full(error: BaseException) -> bool:
    """Returns whether an error of the file system says that a disk or a quota is exhausted."""
    return isinstance(error, OSError) and error.errno in FULL


def disk_line(error: OSError, run_folder: Path | None) -> str:
    """Returns the line for an error for which `is_disk_full` holds.

    It names the file, or else the directories whose disks have no space left.
    """
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}; free disk space, or write to another disk"
    folders = {"the cache (MGAUDIT_CACHE)": cache_folder()}
    if run_folder is not None:
        folders = {"the run directory (--out)": run_folder, **folders}
    folders["temporary files (TMPDIR)"] = Path(tempfile.gettempdir())
    folders["shared memory"] = SHARED_MEMORY
    full = {name: folder for name, folder in folders.items() if _is_full(folder)} or folders
    return f"{error.strerror}, in {_listed(full)}; free disk space, or use another directory"


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LITTLE_BYTES
    except OSError:
        return False


def _listed(folders: Mapping[str, Path]) -> str:
    return " or ".join(f"{name} {folder}" for name, folder in folders.items())
