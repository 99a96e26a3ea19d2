"""How the C library of a process keeps freed memory."""

import ctypes
import platform

# Parameters of mallopt(3), by the numbers in glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEPT_BYTES, TOP_PAD_BYTES = 2**30, 2**26


def keep_big_blocks() -> None:
    """Makes glibc keep freed memory blocks of any size, up to 1 GiB at the top of the heap.

    By default glibc returns large blocks to the kernel. Each training step frees and allocates the
    same megabytes, and the kernel would have to clear every page that it allocates again. With
    another C library, nothing is changed.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    libc.mallopt(M_TOP_PAD, TOP_PAD_BYTES)


def release_free_blocks() -> None:
    """Returns memory that was freed to the system, which glibc keeps between blocks in use.

    With another C library, nothing is changed.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
