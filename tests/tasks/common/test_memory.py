"""Memory that is freed stays with the process."""

import subprocess
import sys

import pytest

FAULTS = """
import resource
import sys

import torch

from tasks.common import memory

kept = memory.keep() if sys.argv[1] == "keep" else True


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


# An aligned block is at first laid behind the last one.
for _ in range(12):
    torch.ones(16 << 20)
before = faults()
for _ in range(4):
    torch.ones(16 << 20)
print(kept, faults() - before)
"""


def faults(how: str) -> tuple[bool, int]:
    """Whether memory can be kept, and how many pages the system made for the last four of sixteen blocks of 64 MB."""
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    kept, many = done.stdout.split()
    return kept == "True", int(many)


TRIMMED = """
import psutil
import torch

from tasks.common import memory

memory.keep()
torch.ones(64 << 20)
before = psutil.Process().memory_info().rss
memory.trim(1 << 40)
enough = psutil.Process().memory_info().rss
memory.trim(100 << 20)
print(before >> 20, enough >> 20, psutil.Process().memory_info().rss >> 20)
"""

only_glibc = pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc's")


@only_glibc
def test_large_blocks_are_made_once() -> None:
    kept, many = faults("keep")
    assert kept
    assert many < faults("leave")[1] / 4


@only_glibc
def test_what_is_free_is_given_back_where_it_is_too_much() -> None:
    done = subprocess.run([sys.executable, "-c", TRIMMED], capture_output=True, text=True, check=True)
    before, enough, after = map(int, done.stdout.split())
    assert abs(enough - before) < 16
    assert after < before - 200
