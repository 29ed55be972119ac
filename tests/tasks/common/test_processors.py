import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.common.processors import processors, quota
from tests.conftest import ROOT


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_the_affinity_counts() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nfrom tasks.common.processors import processors; print(processors())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(("text", "expected"), [("150000 100000", 1.5), ("max 100000", None), ("25000 50000", 0.5)])
def test_version_2(tmp_path: Path, text: str, expected: float | None) -> None:
    write(tmp_path / "member", "0::/a/b\n")
    write(tmp_path / "cgroup" / "a" / "b" / "cpu.max", text + "\n")
    assert quota(tmp_path / "member", tmp_path / "cgroup") == expected


def test_the_tightest_of_the_groups_above_counts(tmp_path: Path) -> None:
    write(tmp_path / "member", "0::/a/b\n")
    write(tmp_path / "cgroup" / "a" / "b" / "cpu.max", "400000 100000\n")
    write(tmp_path / "cgroup" / "a" / "cpu.max", "200000 100000\n")
    # Outside the mount, so none of ours.
    write(tmp_path / "cpu.max", "100000 100000\n")
    assert quota(tmp_path / "member", tmp_path / "cgroup") == 2


def test_a_container_that_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    write(tmp_path / "member", "0::/docker/0123\n")
    write(tmp_path / "cgroup" / "cpu.max", "300000 100000\n")
    assert quota(tmp_path / "member", tmp_path / "cgroup") == 3


@pytest.mark.parametrize(("allowed", "expected"), [("250000", 2.5), ("-1", None)])
@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1(tmp_path: Path, mount: str, allowed: str, expected: float | None) -> None:
    write(tmp_path / "member", f"4:memory:/m\n3:{'cpu,cpuacct' if ',' in mount else 'cpu'}:/a\n0::/\n")
    write(tmp_path / "cgroup" / mount / "a" / "cpu.cfs_quota_us", f"{allowed}\n")
    write(tmp_path / "cgroup" / mount / "a" / "cpu.cfs_period_us", "100000\n")
    assert quota(tmp_path / "member", tmp_path / "cgroup") == expected


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path / "none", tmp_path) is None


@pytest.mark.parametrize(("limit", "expected"), [(0.5, 1), (1.9, 1), (1e6, None), (None, None)])
def test_a_quota_is_rounded_down_and_never_more_than_the_affinity(
    monkeypatch: pytest.MonkeyPatch, limit: float | None, expected: int | None
) -> None:
    monkeypatch.setattr("tasks.common.processors.quota", lambda: limit)
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert processors() == (expected or affinity)
