"""Freed memory: kept by a process that needs as much again at once, and given back where it is too much."""

import ctypes

# Settings of glibc's <malloc.h>: from how many bytes at the heap's end on they are given back, and how many blocks are mapped apart.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
NEVER = (1 << 31) - 1
# Freed bytes that a process may keep.
KEPT = 1 << 30


class _Counted(ctypes.Structure):
    """glibc's `struct mallinfo2`; `fordblks` are the bytes that are free."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


def keep() -> bool:
    """Keep freed memory for the next use, in the whole process. Returns whether the C library has such a setting: glibc has.

    glibc asks the system for each block of more than 32 MB, and gives it back when it is freed. The system clears its pages every time,
    which costs a network on a large photograph more than a third of its time. `trim` gives back what gathers.
    """
    mallopt = getattr(ctypes.pythonapi, "mallopt", None)
    return mallopt is not None and all([mallopt(MMAP_MAX, 0), mallopt(TRIM_THRESHOLD, NEVER)])


def trim(most: int = KEPT) -> None:
    """Give freed memory back where it is more than `most` bytes: blocks of many sizes leave gaps that none of them fits."""
    counted, give_back = (getattr(ctypes.pythonapi, name, None) for name in ("mallinfo2", "malloc_trim"))
    if counted is None or give_back is None:
        return
    counted.restype = _Counted
    if counted().fordblks > most:
        give_back(0)
