"""Freed memory: kept by a process that needs as much again at once."""

import ctypes

# Settings of glibc's <malloc.h>: from how many bytes at the heap's end on they are given back, and how many blocks are mapped apart.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
MOST = (1 << 31) - 1


def keep() -> bool:
    """Keep freed memory for the next use, in the whole process. Returns whether the C library has such a setting: glibc has.

    glibc asks the system for each block of more than 32 MB, and gives it back when it is freed. The system clears its pages every time,
    which costs a network on a large photograph more than a third of its time. The process stays as large as it once was.
    """
    mallopt = getattr(ctypes.pythonapi, "mallopt", None)
    return mallopt is not None and all([mallopt(MMAP_MAX, 0), mallopt(TRIM_THRESHOLD, MOST)])
