"""How many processors this process may use."""

import os
from collections.abc import Callable
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def processors() -> int:
    """The processors that the system gives this process: those of its affinity, and no more than its control group's quota, which is
    rounded down. At least one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = quota()
    return count if limit is None else max(1, min(count, int(limit)))


def quota(membership: Path = MEMBERSHIP, cgroups: Path = CGROUPS) -> float | None:
    """The processors' worth of time that the control groups above this process allow, or None where nothing limits it.

    `membership` names this process's groups, and `cgroups` is where they are mounted. Both versions of control groups are read.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    limits: list[float] = []
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0" and not controllers:
            limits += _limits(cgroups, path, _unified)
        elif "cpu" in controllers.split(","):
            for mount in dict.fromkeys((controllers, "cpu")):
                limits += _limits(cgroups / mount, path, _legacy)
    return min(limits, default=None)


def _limits(mount: Path, path: str, read: Callable[[Path], float | None]) -> list[float]:
    """The limits of a group and of those above it. A container may see its own group as the root, whatever its path says."""
    group = mount / path.lstrip("/")
    inside = [folder for folder in (group, *group.parents) if folder.is_relative_to(mount)]
    return [limit for folder in inside if (limit := read(folder)) is not None]


def _unified(group: Path) -> float | None:
    """Version 2: `cpu.max` holds the quota, or `max`, and the period."""
    try:
        allowed, period = (group / "cpu.max").read_text().split()
    except OSError:
        return None
    return None if allowed == "max" else int(allowed) / int(period)


def _legacy(group: Path) -> float | None:
    """Version 1: a file each, with a quota of -1 for none."""
    try:
        allowed = int((group / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu.cfs_period_us").read_text())
    except OSError:
        return None
    return allowed / period if allowed > 0 else None
