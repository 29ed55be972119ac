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


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc's")
def test_large_blocks_are_made_once() -> None:
    kept, many = faults("keep")
    assert kept
    assert many < faults("leave")[1] / 4
