"""Freed memory that stays with the process: what glibc gives back, each step fetches again."""

import ctypes
import sys

# Of malloc.h, with what they are set to: one arena, no mmap for large pieces, no giving back.
# With more arenas the pages would still be fetched anew, because XLA frees from other threads.
OPTIONS = {"M_ARENA_MAX": (-8, 1), "M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1)}


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed, and return whether there is a glibc that does.

    It changes no result. Large pieces that were allocated before are still given back, so this
    comes before anything is loaded. The process stays as large as it has been at most. Without
    glibc, as on macOS or with musl, nothing is done.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt"):
        return False
    for option, value in OPTIONS.values():
        libc.mallopt(option, value)
    return True
